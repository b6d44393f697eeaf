//! Strings that must not be shown.

use std::fmt;

/// A string of the configuration. `Debug` hides it if it contains the value of a `SecretString` parameter.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SensitiveString {
    value: String,
    secret: bool,
}

impl SensitiveString {
    /// A string without secrets.
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            secret: false,
        }
    }

    pub(crate) fn with_secret(value: String, secret: bool) -> Self {
        Self { value, secret }
    }

    /// The string itself.
    pub fn as_str(&self) -> &str {
        &self.value
    }

    /// Whether the value of a `SecretString` parameter is part of it.
    pub fn is_secret(&self) -> bool {
        self.secret
    }
}

impl fmt::Debug for SensitiveString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret {
            f.write_str("***")
        } else {
            fmt::Debug::fmt(&self.value, f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        assert_eq!(
            format!("{:?}", SensitiveString::with_secret("hunter2".into(), true)),
            "***"
        );
        assert_eq!(format!("{:?}", SensitiveString::new("open")), "\"open\"");
    }
}

//! Strings that must not be shown.

use std::fmt;

/// A text of the configuration that is shown by `Debug` unless a `SecretString` parameter went into it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SensitiveString {
    value: String,
    secret: bool,
}

impl SensitiveString {
    /// An open text.
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            secret: false,
        }
    }

    pub(crate) fn with_secret(value: String, secret: bool) -> Self {
        Self { value, secret }
    }

    /// The text itself.
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

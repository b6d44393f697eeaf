//! Text that must not be shown.

use std::fmt;

/// A text that is never printed: neither `Debug` nor any error or answer of this crate shows it, and it has
/// no
/// `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretString(String);

impl SecretString {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no character in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A text of the configuration that is shown by `Debug` unless a `SecretString` parameter went into it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text {
    value: String,
    secret: bool,
}

impl Text {
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

impl fmt::Debug for Text {
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
        let secret = SecretString::new("hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{:?}", Text::with_secret("hunter2".into(), true)), "***");
        assert_eq!(format!("{:?}", Text::new("open")), "\"open\"");
    }
}

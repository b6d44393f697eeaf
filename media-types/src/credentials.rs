use std::fmt;
use std::str::FromStr;

/// What every secret prints as.
const HIDDEN: &str = "***";

/// A string that is never printed: `Debug` shows `***`, and there is no `Display`.
///
/// ```
/// let secret = lva_media_types::SecretString::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "***");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct SecretString(String);

impl SecretString {
    /// Hides a string.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The string itself, for the one place that has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it has no characters.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl From<String> for SecretString {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl From<&str> for SecretString {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

/// A user name and a password. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    username: String,
    password: SecretString,
}

impl Credentials {
    /// Both as plain text.
    pub fn new(username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
        }
    }

    /// The user name.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password. For the wire only: keep it out of logs and answers.
    pub fn password(&self) -> &str {
        self.password.expose()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({HIDDEN})")
    }
}

/// When a password may be sent as it is, as Basic does. Digest sends a hash of it, and is taken wherever it is offered.
///
/// ```
/// use lva_media_types::BasicAuthentication;
///
/// let policy: BasicAuthentication = "over-tls".parse()?;
/// assert!(policy.allows(true) && !policy.allows(false));
/// # Ok::<(), lva_media_types::UnknownBasicAuthentication>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BasicAuthentication {
    /// `allowed`: to every peer that offers nothing better. Who listens on the way has the password then.
    #[default]
    Allowed,
    /// `over-tls`: to peers behind TLS alone.
    OverTls,
    /// `never`: Digest or nothing. Peers that know Basic alone are not reached.
    Never,
}

impl BasicAuthentication {
    /// Whether it may be sent over a connection with TLS, or without.
    pub fn allows(self, is_tls: bool) -> bool {
        match self {
            Self::Allowed => true,
            Self::OverTls => is_tls,
            Self::Never => false,
        }
    }
}

impl fmt::Display for BasicAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::OverTls => "over-tls",
            Self::Never => "never",
        })
    }
}

/// A string that names no [`BasicAuthentication`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' does not say when Basic is used: use allowed, over-tls or never")]
pub struct UnknownBasicAuthentication(String);

impl FromStr for BasicAuthentication {
    type Err = UnknownBasicAuthentication;

    fn from_str(word: &str) -> Result<Self, UnknownBasicAuthentication> {
        let all = [Self::Allowed, Self::OverTls, Self::Never];
        let named = all.into_iter().find(|policy| policy.to_string() == word.trim());
        named.ok_or_else(|| UnknownBasicAuthentication(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_user_nor_password_is_printed() {
        let credentials = Credentials::new("viewer", "hunter2");
        assert_eq!(format!("{credentials:?}"), "Credentials(***)");
        assert_eq!(format!("{:#?}", Some(credentials)).matches("***").count(), 1);
    }

    #[test]
    fn basic_is_allowed_as_the_policy_says() {
        for (name, with_tls, without) in [
            ("allowed", true, true),
            ("over-tls", true, false),
            ("never", false, false),
        ] {
            let policy: BasicAuthentication = name.parse().unwrap();
            assert_eq!(policy.to_string(), name);
            assert_eq!((policy.allows(true), policy.allows(false)), (with_tls, without));
        }
        let error = "sometimes".parse::<BasicAuthentication>().unwrap_err();
        assert!(error.to_string().contains("'sometimes'"), "{error}");
    }
}

//! WS-UsernameToken with a digest of the password, dated by the device's clock.

use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha1::{Digest, Sha1};

/// A user and a password. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// By how much a device's clock is ahead of ours, in seconds.
///
/// Devices refuse tokens that are some seconds old, and their clocks may be off by decades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ClockOffset(i64);

impl ClockOffset {
    pub(crate) fn new(device: Timestamp, ours: SystemTime) -> Self {
        Self(device.as_second() - seconds(ours))
    }

    /// A moment as the device's clock shows it.
    fn apply(self, now: SystemTime) -> Timestamp {
        Timestamp::from_second(seconds(now).saturating_add(self.0)).unwrap_or_default()
    }
}

fn seconds(time: SystemTime) -> i64 {
    Timestamp::try_from(time).map_or(0, Timestamp::as_second)
}

impl Password {
    /// The token's three texts: digest, nonce and time.
    ///
    /// The digest is Base64 of SHA-1 over nonce, time and password: the profile of 2004 knows no other, so whoever has
    /// read one can try passwords at leisure. TLS is the remedy.
    pub(super) fn token(&self, offset: ClockOffset, now: SystemTime, nonce: [u8; 16]) -> Token {
        let created = offset.apply(now).to_string();
        let mut hash = Sha1::new();
        hash.update(nonce);
        hash.update(created.as_bytes());
        hash.update(self.password.as_bytes());
        Token {
            digest: STANDARD.encode(hash.finalize()),
            nonce: STANDARD.encode(nonce),
            created,
        }
    }
}

/// What proves knowledge of a password, once.
pub(super) struct Token {
    pub(super) digest: String,
    pub(super) nonce: String,
    pub(super) created: String,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn admin() -> Password {
        Password {
            user: "admin".to_owned(),
            password: "userpassword".to_owned(),
        }
    }

    #[test]
    fn the_digest_is_that_of_the_onvif_programmers_guide() {
        // Section "WS-UsernameToken": nonce, time, password and what comes out.
        let nonce: [u8; 16] = STANDARD
            .decode("LKqI6G/AikKCQrN0zqZFlg==")
            .unwrap()
            .try_into()
            .unwrap();
        let at = "2010-09-16T07:50:45Z".parse::<Timestamp>().unwrap();
        let token = admin().token(ClockOffset::default(), SystemTime::from(at), nonce);
        assert_eq!(token.created, "2010-09-16T07:50:45Z");
        assert_eq!(token.digest, "tuOSpGlFlIXsozq4HFNeeGeFLEI=");
    }

    #[test]
    fn the_time_is_the_devices() {
        let ours = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        let offset = ClockOffset::new("1970-01-02T00:00:10Z".parse().unwrap(), ours);
        let token = admin().token(offset, ours + Duration::from_secs(5), [0; 16]);
        assert_eq!(token.created, "1970-01-02T00:00:15Z");
        let absurd = ClockOffset::new(Timestamp::MAX, ours);
        admin().token(absurd, ours + Duration::from_secs(1 << 40), [0; 16]);
        assert_eq!(format!("{:?}", admin()), "Password(hidden)");
    }
}

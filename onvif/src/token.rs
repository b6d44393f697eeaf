//! WS-UsernameToken with a digest of the password, dated by the device's clock.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use lva_media_types::Credentials;
use sha1::{Digest, Sha1};

/// How many seconds a device's clock is ahead of this machine's.
///
/// Devices reject tokens that are some seconds old, and their clocks may be off by decades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ClockOffset(i64);

impl ClockOffset {
    pub(crate) fn new(device: Timestamp, here: SystemTime) -> Self {
        Self(device.as_second() - seconds(here))
    }

    /// The time on the device's clock.
    fn apply(self, now: SystemTime) -> Timestamp {
        Timestamp::from_second(seconds(now).saturating_add(self.0)).unwrap_or_default()
    }
}

fn seconds(time: SystemTime) -> i64 {
    Timestamp::try_from(time).map_or(0, Timestamp::as_second)
}

/// Proves knowledge of a password, once.
pub(crate) struct Token {
    pub(crate) digest: String,
    pub(crate) nonce: String,
    pub(crate) created: String,
}

impl Token {
    /// The digest is Base64 of SHA-1 over nonce, time and password. The profile of 2004 has no other, so anyone who
    /// captures a token can guess passwords offline; TLS prevents that.
    pub(crate) fn new(
        credentials: &Credentials,
        offset: ClockOffset,
        now: SystemTime,
        nonce: [u8; 16],
    ) -> Self {
        let created = offset.apply(now).to_string();
        let mut hash = Sha1::new();
        hash.update(nonce);
        hash.update(created.as_bytes());
        hash.update(credentials.password().as_bytes());
        Self {
            digest: STANDARD.encode(hash.finalize()),
            nonce: STANDARD.encode(nonce),
            created,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn admin() -> Credentials {
        Credentials::new("admin", "userpassword")
    }

    #[test]
    fn the_digest_matches_the_onvif_programmers_guide() {
        // Its section "WS-UsernameToken" has the inputs and the digest.
        let nonce: [u8; 16] = STANDARD
            .decode("LKqI6G/AikKCQrN0zqZFlg==")
            .unwrap()
            .try_into()
            .unwrap();
        let at = "2010-09-16T07:50:45Z".parse::<Timestamp>().unwrap();
        let token = Token::new(&admin(), ClockOffset::default(), SystemTime::from(at), nonce);
        assert_eq!(token.created, "2010-09-16T07:50:45Z");
        assert_eq!(token.digest, "tuOSpGlFlIXsozq4HFNeeGeFLEI=");
    }

    #[test]
    fn the_time_is_that_of_the_devices_clock() {
        let ours = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        let offset = ClockOffset::new("1970-01-02T00:00:10Z".parse().unwrap(), ours);
        let token = Token::new(&admin(), offset, ours + Duration::from_secs(5), [0; 16]);
        assert_eq!(token.created, "1970-01-02T00:00:15Z");
        let absurd = ClockOffset::new(Timestamp::MAX, ours);
        Token::new(&admin(), absurd, ours + Duration::from_secs(1 << 40), [0; 16]);
    }
}

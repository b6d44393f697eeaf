//! Who calls, and the cookie of a login.
//!
//! The cookie is not stored anywhere: it is signed with the token that was shown, so that it lasts over a restart, and ends when the
//! token is changed.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};
use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::options::{ConsoleOptions, Grant, Role};

/// How long a login lasts.
const LIFE_S: u64 = 30 * 24 * 3600;

/// Logins by token and cookie.
pub(crate) struct Sessions {
    grants: Vec<Grant>,
    cookie: String,
    secure: bool,
}

impl Sessions {
    pub(crate) fn new(options: &ConsoleOptions) -> Self {
        // Cookies are shared by all ports of a host, where another console may listen.
        let token = options.grants.first().map_or("", |grant| grant.token.expose());
        let name: String = signature(token, "name").chars().take(8).collect();
        Self {
            grants: options.grants.clone(),
            cookie: format!("lva-console-{name}"),
            secure: options.secure_cookies,
        }
    }

    /// The role of a caller by its bearer token or its cookie.
    pub(crate) fn role(&self, headers: &HeaderMap) -> Option<Role> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        if let Some(token) = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")) {
            return self.grant(token.trim()).map(|(_, grant)| grant.role.clone());
        }
        let all = headers.get_all(header::COOKIE).iter();
        let mut pairs = all
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.cookie).then(|| self.read(value, now_s()))?
        })
    }

    /// The cookie for somebody who has shown a token; `None` for a wrong one.
    pub(crate) fn log_in(&self, token: &str) -> Option<HeaderValue> {
        let (index, grant) = self.grant(token)?;
        self.set_cookie(&write(index, grant, now_s() + LIFE_S), LIFE_S)
    }

    /// The cookie that ends a login.
    pub(crate) fn log_out(&self) -> Option<HeaderValue> {
        self.set_cookie("", 0)
    }

    fn grant(&self, token: &str) -> Option<(usize, &Grant)> {
        let is_it = |grant: &Grant| bool::from(grant.token.expose().as_bytes().ct_eq(token.as_bytes()));
        self.grants.iter().enumerate().find(|(_, grant)| is_it(grant))
    }

    /// Without a path: browsers take that of the API, wherever it is nested.
    fn set_cookie(&self, value: &str, life_s: u64) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let name = &self.cookie;
        let text = format!("{name}={value}; HttpOnly; SameSite=Strict; Max-Age={life_s}{secure}");
        HeaderValue::from_str(&text).ok()
    }

    fn read(&self, value: &str, now_s: u64) -> Option<Role> {
        let mut parts = value.splitn(3, '.');
        let (index, until, signed) = (parts.next()?, parts.next()?, parts.next()?);
        let grant = self.grants.get(index.parse::<usize>().ok()?)?;
        let until: u64 = until.parse().ok()?;
        let expected = signature(grant.token.expose(), &format!("{index}.{until}"));
        let is_valid = bool::from(expected.as_bytes().ct_eq(signed.as_bytes())) && now_s < until;
        is_valid.then(|| grant.role.clone())
    }
}

fn write(index: usize, grant: &Grant, until: u64) -> String {
    let text = format!("{index}.{until}");
    let signed = signature(grant.token.expose(), &text);
    format!("{text}.{signed}")
}

fn signature(token: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let tag = hmac::sign(&key, format!("lva-console {text}").as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn sessions() -> Sessions {
        let cameras = BTreeSet::from(["door".to_owned()]);
        let options = ConsoleOptions::new()
            .with_token("operator-0123456789".into())
            .and_then(|options| options.with_viewer("viewer-0123456789ab".into(), Some(cameras)))
            .unwrap();
        Sessions::new(&options)
    }

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_login_gives_a_cookie_with_the_role_of_its_token() {
        let sessions = sessions();
        assert!(sessions.log_in("operator-012345678").is_none());
        let cookie = sessions.log_in("viewer-0123456789ab").unwrap();
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Strict;"), "{cookie}");
        let (pair, _) = cookie.split_once(';').unwrap();
        let sent = headers(header::COOKIE, &format!("other=1; {pair}"));
        let Some(Role::Viewer(Some(cameras))) = sessions.role(&sent) else {
            panic!("not a viewer: {cookie}");
        };
        assert!(cameras.contains("door"));
        // Another index is signed by another token.
        let forged = pair.replacen("=1.", "=0.", 1);
        assert_ne!(forged, pair);
        assert_eq!(sessions.role(&headers(header::COOKIE, &forged)), None);
    }

    #[test]
    fn a_bearer_token_works_too_and_a_wrong_one_is_not_saved_by_a_cookie() {
        let sessions = sessions();
        let bearer = |token: &str| headers(header::AUTHORIZATION, &format!("Bearer {token}"));
        assert_eq!(
            sessions.role(&bearer("operator-0123456789")),
            Some(Role::Operator)
        );
        assert_eq!(sessions.role(&bearer("operator")), None);
        assert_eq!(sessions.role(&HeaderMap::new()), None);
    }

    #[test]
    fn a_login_ends_after_its_time_and_with_its_token() {
        let sessions = sessions();
        let value = write(0, &sessions.grants[0], 100);
        assert_eq!(sessions.read(&value, 99), Some(Role::Operator));
        assert_eq!(sessions.read(&value, 100), None);
        let later = value.replacen("100", "999", 1);
        assert_eq!(sessions.read(&later, 99), None);
        let options = ConsoleOptions::new()
            .with_token("changed-0123456789".into())
            .unwrap();
        assert_eq!(Sessions::new(&options).read(&value, 99), None);
    }

    #[test]
    fn short_tokens_are_refused_and_tokens_are_not_shown() {
        assert!(ConsoleOptions::new().with_token("short".into()).is_err());
        let options = ConsoleOptions::new()
            .with_token("operator-0123456789".into())
            .unwrap();
        assert!(!format!("{options:?}").contains("operator-0"));
    }
}

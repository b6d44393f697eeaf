//! Where a device is asked, and what becomes of the addresses that it names.
//!
//! **Every request goes to the scheme, host and port that the operator wrote.** Of the address that a device names for a
//! service, path and query are taken and nothing else, so that a device that lies cannot have us ask others, with
//! credentials or without, nor leave TLS. It also reaches devices behind forwarded ports, which name addresses that only
//! they can reach. A device whose media service listens on another port is not served.
//!
//! Stream addresses are not followed here, but somebody will, with the camera's password: one on another host is answered
//! with the host that was asked. Users and passwords in them are left out.

use std::fmt;
use std::net::IpAddr;

use url::Url;

/// Where ONVIF Core wants the device service to be.
const DEVICE_SERVICE: &str = "/onvif/device_service";
/// Longest address that is taken from a device.
const MAX_ADDRESS: usize = 1024;

/// A device's address, `http` or `https`. `Debug` and `Display` leave the query out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DeviceUrl(Url);

/// An address that cannot be asked. The caller's to mend; no text repeats it, as it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("the endpoint's url has to begin with http:// or https://")]
    Scheme,
    #[error("the endpoint is a TlsEndpoint, so its url has to begin with https://")]
    NotTls,
    #[error("the endpoint's url holds user information: give it as credentials instead")]
    UserInfo,
    #[error("the endpoint's url cannot be read: write http://HOST/onvif/device_service")]
    Malformed,
}

impl DeviceUrl {
    /// Reads an address. Without a path, it is that of the device service.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let mut url = Url::parse(text.trim()).map_err(|_| AddressError::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(AddressError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::UserInfo);
        }
        if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
            return Err(AddressError::Malformed);
        }
        url.set_fragment(None);
        if url.path() == "/" && url.query().is_none() {
            url.set_path(DEVICE_SERVICE);
        }
        Ok(Self(url))
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Name or address, without brackets.
    pub(crate) fn host(&self) -> &str {
        bare(self.0.host_str().unwrap_or_default())
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(80)
    }

    /// For the `Host` header: without the port where it is the usual one.
    pub(crate) fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// What is asked for.
    pub(crate) fn path_and_query(&self) -> String {
        target(&self.0)
    }

    /// Path and query of a service's address, and whether the rest of it is another place than this.
    pub(super) fn service(&self, named: &str) -> Option<(String, bool)> {
        // Some devices name several addresses in one text.
        let named = named.split_whitespace().next()?;
        let url = Url::parse(named).ok().filter(|_| named.len() <= MAX_ADDRESS)?;
        matches!(url.scheme(), "http" | "https").then(|| (target(&url), url.origin() != self.0.origin()))
    }

    /// A stream's address as it may be answered, and whether it was on another host; `peer` is the address that the
    /// device was reached by. `None` for what is no address of a stream.
    pub(super) fn stream(&self, named: &str, peer: Option<IpAddr>) -> Option<(String, bool)> {
        let named = named.trim();
        if named.len() > MAX_ADDRESS || named.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return None;
        }
        let mut url = Url::parse(named).ok()?;
        if !matches!(url.scheme(), "rtsp" | "rtsps" | "http" | "https") {
            return None;
        }
        let host = bare(url.host_str().filter(|host| !host.is_empty())?);
        let own = host.eq_ignore_ascii_case(self.host())
            || host.parse().is_ok_and(|address: IpAddr| {
                peer.is_some_and(|peer| peer.to_canonical() == address.to_canonical())
            });
        let has_user = !url.username().is_empty() || url.password().is_some();
        if own && !has_user {
            return Some((named.to_owned(), false));
        }
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        if !own {
            url.set_host(self.0.host_str()).ok()?;
        }
        Some((url.to_string(), !own))
    }
}

/// Whether a device that answered from `from` may be asked at this address, as far as one can see.
pub(super) fn endpoint(named: &str) -> Option<DeviceUrl> {
    DeviceUrl::parse(named)
        .ok()
        .filter(|_| named.len() <= MAX_ADDRESS)
}

fn target(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

impl fmt::Display for DeviceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.0.scheme(), self.authority(), self.0.path())
    }
}

impl fmt::Debug for DeviceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked() -> DeviceUrl {
        DeviceUrl::parse("http://cam.local:8080/onvif/device_service").unwrap()
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    #[test]
    fn addresses_are_read_and_shown_without_their_query() {
        for (text, shown, host, port, path) in [
            (
                " http://10.0.0.9 ",
                "http://10.0.0.9/onvif/device_service",
                "10.0.0.9",
                80,
                DEVICE_SERVICE,
            ),
            (
                "https://cam/x?k=secret",
                "https://cam/x",
                "cam",
                443,
                "/x?k=secret",
            ),
            (
                "http://[fe80::1]:81/a#b",
                "http://[fe80::1]:81/a",
                "fe80::1",
                81,
                "/a",
            ),
        ] {
            let url = DeviceUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(
                (url.host(), url.port(), url.path_and_query().as_str()),
                (host, port, path)
            );
            assert!(!format!("{url:?}").contains("secret"));
        }
        for (text, error) in [
            ("rtsp://cam/", AddressError::Scheme),
            ("http://u:secret@cam/", AddressError::UserInfo),
            ("cam", AddressError::Malformed),
            ("http://cam:0/", AddressError::Malformed),
        ] {
            assert_eq!(DeviceUrl::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn of_a_services_address_only_the_path_is_followed() {
        let url = asked();
        let named = |text: &str| url.service(text);
        let path = || "/onvif/media".to_owned();
        assert_eq!(named("http://cam.local:8080/onvif/media"), Some((path(), false)));
        assert_eq!(named("http://169.254.169.254/onvif/media"), Some((path(), true)));
        assert_eq!(named("http://cam.local:2375/onvif/media"), Some((path(), true)));
        assert_eq!(
            named("http://10.0.0.9/onvif/media http://[fe80::1]/x"),
            Some((path(), true))
        );
        for none in ["", "file:///etc/passwd", "/onvif/media", "x:y"] {
            assert_eq!(named(none), None, "{none}");
        }
    }

    #[test]
    fn a_stream_stays_on_the_host_that_was_asked_and_loses_its_password() {
        let url = asked();
        let named = |text: &str| url.stream(text, Some(PEER));
        let kept = |text: &str| Some((text.to_owned(), false));
        assert_eq!(
            named("rtsp://10.0.0.9:554/1?a=b"),
            kept("rtsp://10.0.0.9:554/1?a=b")
        );
        assert_eq!(named("rtsp://CAM.local/1"), kept("rtsp://CAM.local/1"));
        assert_eq!(named("rtsp://u:p@10.0.0.9/1"), kept("rtsp://10.0.0.9/1"));
        assert_eq!(
            named("rtsp://u:p@203.0.113.5:554/1"),
            Some(("rtsp://cam.local:554/1".to_owned(), true))
        );
        for none in [
            "",
            "rtsp:///1",
            "javascript:alert(1)",
            "file:///x",
            "rtsp://a b/",
            "rtsp://a/\r\nx",
        ] {
            assert_eq!(named(none), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_named_leads_elsewhere(text in "(rtsp|http|https)://[ -~]{0,60}") {
            let url = asked();
            if let Some((path, _)) = url.service(&text) {
                prop_assert!(path.starts_with('/'));
                prop_assert!(!path.contains(['\r', '\n', ' ']));
            }
            if let Some((stream, _)) = url.stream(&text, Some(PEER)) {
                let host = Url::parse(&stream).unwrap().host_str().unwrap().to_ascii_lowercase();
                prop_assert!(host == "cam.local" || host == "10.0.0.9", "{stream}");
            }
        }
    }
}

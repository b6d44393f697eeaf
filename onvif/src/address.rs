//! Where a device is asked, and how addresses in its responses are rewritten.
//!
//! **Every request goes to the scheme, host and port that the caller gave.** Of the address that a device reports for a
//! service, only path and query are used: a malicious device cannot redirect requests to other hosts, with credentials or
//! without, or away from TLS. This also reaches devices behind forwarded ports, which report addresses that only
//! they can reach. A device whose media service listens on another port is not supported.
//!
//! This crate does not open streams, but callers will, with the camera's password: the host of a stream on another host
//! is replaced by the host that was asked, and user information is removed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::uri::PathAndQuery;
use lva_client_transport::http::Origin;
use lva_media_types::masked_address;
use url::Url;

/// Where ONVIF Core wants the device service to be.
const DEVICE_SERVICE: &str = "/onvif/device_service";
/// Longest address that is accepted from a device.
const MAX_ADDRESS: usize = 1024;

/// A device's address, `http` or `https`. `Debug` and `Display` leave the query out.
///
/// Without a path, it is that of the device service: `/onvif/device_service`.
///
/// ```
/// let url: lva_onvif::DeviceUrl = "http://192.168.1.20".parse()?;
/// assert_eq!(url.to_string(), "http://192.168.1.20/onvif/device_service");
/// # Ok::<(), lva_onvif::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceUrl {
    url: Url,
    target: PathAndQuery,
}

/// An invalid address of a device. No text repeats it, as it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Another scheme than `http` and `https`.
    #[error("the endpoint's url must begin with http:// or https://")]
    Scheme,
    /// A user or a password in the address.
    #[error("the endpoint's url holds user information: give it as credentials instead")]
    UserInfo,
    /// Anything else.
    #[error("the endpoint's url is invalid: write http://HOST/onvif/device_service")]
    Malformed,
}

impl FromStr for DeviceUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
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
        let target = target(&url).ok_or(AddressError::Malformed)?;
        Ok(Self { url, target })
    }
}

impl DeviceUrl {
    /// Whether it is `https`.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        bare(self.url.host_str().unwrap_or_default())
    }

    /// The port; 80 or 443 where none is written.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(80)
    }

    pub(crate) fn origin(&self) -> Origin {
        match self.is_tls() {
            true => Origin::https(self.host(), self.port()),
            false => Origin::http(self.host(), self.port()),
        }
    }

    pub(crate) fn path_and_query(&self) -> &PathAndQuery {
        &self.target
    }

    /// Path and query of a service's address, and whether it is on another origin than this.
    pub(crate) fn service(&self, reported: &str) -> Option<(PathAndQuery, bool)> {
        // Some devices report several addresses in one element.
        let reported = reported.split_whitespace().next()?;
        let url = Url::parse(reported)
            .ok()
            .filter(|_| reported.len() <= MAX_ADDRESS)?;
        let is_http = matches!(url.scheme(), "http" | "https");
        let target = target(&url).filter(|_| is_http)?;
        Some((target, url.origin() != self.url.origin()))
    }

    /// A stream's address as callers may use it, and whether it was on another host; `peer` is the address that the
    /// device responded from. `None` for anything but the address of a stream.
    pub(crate) fn stream(&self, reported: &str, peer: Option<IpAddr>) -> Option<(String, bool)> {
        let reported = reported.trim();
        if reported.len() > MAX_ADDRESS || reported.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return None;
        }
        let mut url = Url::parse(reported).ok()?;
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
            return Some((reported.to_owned(), false));
        }
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        if !own {
            url.set_host(self.url.host_str()).ok()?;
        }
        Some((url.to_string(), !own))
    }
}

/// An address from a discovery, where it is usable.
pub(crate) fn endpoint(reported: &str) -> Option<DeviceUrl> {
    reported.parse().ok().filter(|_| reported.len() <= MAX_ADDRESS)
}

fn target(url: &Url) -> Option<PathAndQuery> {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()).parse().ok(),
        None => url.path().parse().ok(),
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

impl fmt::Display for DeviceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), masked_address(self.target.path()))
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

    fn device() -> DeviceUrl {
        "http://cam.local:8080/onvif/device_service".parse().unwrap()
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    #[test]
    fn addresses_are_parsed_and_shown_without_their_query() {
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
            let url: DeviceUrl = text.parse().unwrap();
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
            assert_eq!(text.parse::<DeviceUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn only_the_path_of_a_services_address_is_used() {
        let url = device();
        let named = |text: &str| {
            url.service(text)
                .map(|(target, moved)| (target.to_string(), moved))
        };
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
    fn a_stream_stays_on_the_devices_host_and_loses_its_password() {
        let url = device();
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
        fn no_reported_address_leads_to_another_host(text in "(rtsp|http|https)://[ -~]{0,60}") {
            let url = device();
            if let Some((path, _)) = url.service(&text) {
                prop_assert!(path.as_str().starts_with('/'));
                prop_assert!(!path.as_str().contains(['\r', '\n', ' ']));
            }
            if let Some((stream, _)) = url.stream(&text, Some(PEER)) {
                let host = Url::parse(&stream).unwrap().host_str().unwrap().to_ascii_lowercase();
                prop_assert!(host == "cam.local" || host == "10.0.0.9", "{stream}");
            }
        }
    }
}

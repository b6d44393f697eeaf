//! The entry point of the fuzz target in `onvif/fuzz`, compiled for it and for tests only.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use lva_client_transport::http::HttpCredentials;

use crate::address::DeviceUrl;
use crate::description::MAX_FOUND_DEVICES;
use crate::discovery::Matches;
use crate::query::{DeviceQuery, OnvifResponse};
use crate::soap::envelope;

const PASSWORD: &str = "c0rrect-horse";
const ID: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));
const STATUSES: [u16; 8] = [200, 200, 200, 500, 400, 401, 404, 302];
/// Requests of every kind, for every profile, each rejected as often as is retried.
const MAX_REQUESTS: usize = 270 * 4;

/// A device's responses, separated by a byte 255, each after a byte that selects its form.
///
/// # Panics
///
/// When an invariant is broken: a request to another origin, a stream on another host, the password in clear text, or
/// requests without end.
pub fn device(data: &[u8]) {
    datagrams(data);
    let Ok(url) = "http://cam.local/onvif/device_service".parse::<DeviceUrl>() else {
        panic!("the address is valid")
    };
    let credentials = HttpCredentials::password("operator", PASSWORD);
    let mut query = DeviceQuery::new(
        url,
        Some(credentials),
        lva_media_types::BasicAuthentication::Allowed,
    );
    let mut requests = 0;
    for answer in data.split(|byte| *byte == 0xff) {
        let Some(request) = query.next(SystemTime::UNIX_EPOCH, [requests as u8; 16]) else {
            break;
        };
        requests += 1;
        assert!(requests <= MAX_REQUESTS, "requests without end");
        let target = request.target.to_string();
        assert!(
            target.starts_with('/') && !target.contains(char::is_whitespace),
            "{target}"
        );
        assert!(
            !request.body.contains(PASSWORD),
            "the password is in the envelope"
        );
        let header = request
            .credentials
            .as_ref()
            .and_then(|(_, value)| value.to_str().ok());
        assert!(
            !header.unwrap_or_default().contains(PASSWORD),
            "the password is in a header"
        );
        let content_type = request.content_type.to_str().unwrap_or_default();
        let name = content_type
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches('"');
        let response = response(name, answer);
        if let Err(error) = query.on_response(&response, Some(PEER), SystemTime::UNIX_EPOCH) {
            let shown = error.to_string();
            assert!(!shown.contains(PASSWORD), "{shown}");
            assert!(shown.len() < 4096 && !shown.contains(['\n', '\x1b']), "{shown}");
            return;
        }
    }
    for stream in query
        .finish()
        .profiles
        .iter()
        .filter_map(|profile| profile.stream_uri.as_ref())
    {
        let (_, rest) = stream.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        assert!(!authority.contains('@'), "{authority}");
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, port)| match port.parse::<u16>() {
                Ok(_) => host,
                Err(_) => authority,
            });
        let host = host.trim_end_matches(':').to_ascii_lowercase();
        let own = ["cam.local", "10.0.0.9", "[::ffff:10.0.0.9]", "[::ffff:a00:9]"];
        assert!(
            own.contains(&host.as_str()) || host.starts_with('['),
            "{}",
            stream
        );
    }
}

/// A response to a request, in the form that its first byte selects.
fn response(name: &str, answer: &[u8]) -> OnvifResponse {
    let (form, rest) = answer.split_first().unwrap_or((&0, &[]));
    let text = String::from_utf8_lossy(rest);
    let body = match form & 0x18 {
        0x08 => envelope("", &format!("<x:{name}Response>{text}</x:{name}Response>")).into_bytes(),
        0x10 => envelope("", &format!("<x:Fault>{text}</x:Fault>")).into_bytes(),
        0x18 => envelope("", &text).into_bytes(),
        _ => rest.to_vec(),
    };
    OnvifResponse {
        status: STATUSES.get(usize::from(form & 7)).copied().unwrap_or(200),
        content_type: Some(text.chars().take(300).collect()),
        challenges: if form & 0x20 == 0 {
            Vec::new()
        } else {
            vec![text.into_owned()]
        },
        body: Bytes::from(body),
    }
}

/// The same bytes as datagrams.
fn datagrams(data: &[u8]) {
    let mut found = Matches::new(ID);
    for datagram in data.split(|byte| *byte == 0xff) {
        found.on_datagram(datagram, PEER);
        let text = String::from_utf8_lossy(datagram);
        let header = format!("<RelatesTo>urn:uuid:{ID}</RelatesTo>");
        found.on_datagram(
            envelope(&header, &format!("<ProbeMatches>{text}</ProbeMatches>")).as_bytes(),
            PEER,
        );
    }
    let devices = found.into_devices();
    assert!(devices.len() <= MAX_FOUND_DEVICES, "too many");
    for device in devices {
        assert!(
            device
                .service_urls
                .iter()
                .all(|url| url.to_ascii_lowercase().starts_with("http")),
            "{device:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    /// Fragments that reach deep into the parsers.
    const FRAGMENTS: [&[u8]; 24] = [
        b"\xff\x00",
        b"\xff\x08",
        b"\xff\x08",
        b"\xff\x0d",
        b"\xff\x2d",
        b"\xff\x1e",
        b"\xff\x0f",
        b"Digest realm=\"r\", qop=\"auth\", nonce=\"n\"",
        b"Digest realm=\"r\", qop=\"auth\", nonce=\"n\", stale=true",
        b"Basic realm=\"r\"",
        b"<Service><Namespace>http://www.onvif.org/ver10/media/wsdl</Namespace><XAddr>",
        b"</XAddr></Service>",
        b"http://169.254.169.254/latest?x=1",
        b"<Capabilities><Media><XAddr>http://u@10.0.0.9:1/m</XAddr></Media></Capabilities>",
        b"<Profiles token=\"t\"><Name>n</Name></Profiles><Profiles token=\"u\"/>",
        b"<MediaUri><Uri>rtsp://u:p@203.0.113.5/1</Uri></MediaUri>",
        b"<MediaUri><Uri>rtsp://[::ffff:10.0.0.9]/1</Uri></MediaUri>",
        b"<SystemDateAndTime><UTCDateTime><Time><Hour>1</Hour><Minute>2</Minute><Second>60</Second></Time>\
          <Date><Year>9999</Year><Month>12</Month><Day>31</Day></Date></UTCDateTime></SystemDateAndTime>",
        b"<DNSInformation><DNSManual><IPv4Address>1.2.3.4</IPv4Address></DNSManual></DNSInformation>",
        b"<Code><Value>NotAuthorized</Value></Code><Reason><Text>c0rrect-horse</Text></Reason>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"&b;&#65;",
        b"<a b='c'>",
        b"<ProbeMatch><Types>x:NetworkVideoTransmitter</Types><XAddrs>http://10.0.0.9/ https://h</XAddrs></ProbeMatch>",
    ];

    /// A well-behaved device's responses, in order.
    const RESPONSES: [&[u8]; 7] = [
        b"\x08<SystemDateAndTime><DateTimeType>NTP</DateTimeType></SystemDateAndTime>",
        b"\x08<HostnameInformation><Name>n</Name></HostnameInformation>",
        b"\x08<DNSInformation/>",
        b"\x08<Service><Namespace>http://www.onvif.org/ver10/media/wsdl</Namespace><XAddr>http://h/m</XAddr></Service>",
        b"\x08<Profiles token=\"t\"/><Profiles token=\"u\"/>",
        b"\x08<MediaUri><Uri>rtsp://u:p@203.0.113.5:554/1</Uri></MediaUri>",
        b"\x08<MediaUri><Uri>rtsp://10.0.0.9/1</Uri></MediaUri>",
    ];

    #[test]
    fn no_device_breaks_an_invariant() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as usize
        };
        for _ in 0..2000 {
            let mut data = Vec::new();
            for response in RESPONSES {
                // Sometimes there is noise before a response, or in its place.
                let noise = if random() % 4 == 0 { random() % 8 } else { 0 };
                for _ in 0..noise {
                    match random() % 8 {
                        0 => data.extend((0..random() % 4).map(|_| random() as u8)),
                        _ => data.extend_from_slice(FRAGMENTS[random() % FRAGMENTS.len()]),
                    }
                }
                if random() % 8 != 0 {
                    data.extend_from_slice(if data.is_empty() { b"" } else { b"\xff" });
                    data.extend_from_slice(response);
                }
            }
            super::device(&data);
        }
    }
}

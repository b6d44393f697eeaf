//! A device that says anything, and what may not come of it.

use std::net::IpAddr;
use std::time::SystemTime;

use super::address::DeviceUrl;
use super::inquiry::{Inquiry, Reply};
use super::login::Credentials;
use super::probe::Found;
use super::soap::envelope;
use super::token::Password;

const PASSWORD: &str = "c0rrect-horse";
const ID: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));
const STATUSES: [u16; 8] = [200, 200, 200, 500, 400, 401, 404, 302];
/// Questions of every kind, for every profile that is taken, each refused as often as is answered.
const MOST_CALLS: usize = 270 * 4;

pub(super) fn run(data: &[u8]) {
    heard(data);
    let Ok(url) = DeviceUrl::parse("http://cam.local/onvif/device_service") else {
        panic!("the address is a good one")
    };
    let credentials = Credentials::Password(Password {
        user: "operator".to_owned(),
        password: PASSWORD.to_owned(),
    });
    let mut inquiry = Inquiry::new(url, Some(credentials));
    let mut calls = 0;
    for answer in data.split(|byte| *byte == 0xff) {
        let Some(call) = inquiry.next(SystemTime::UNIX_EPOCH, [calls as u8; 16]) else {
            break;
        };
        calls += 1;
        assert!(calls <= MOST_CALLS, "questions without end");
        assert!(
            call.path.starts_with('/') && !call.path.contains(char::is_whitespace),
            "{}",
            call.path
        );
        assert!(!call.body.contains(PASSWORD), "the password is in the envelope");
        let header = call.header.as_ref().and_then(|(_, value)| value.to_str().ok());
        assert!(
            !header.unwrap_or_default().contains(PASSWORD),
            "the password is in a header"
        );
        let question = call.action.rsplit('/').next().unwrap_or_default();
        let reply = reply(question, answer);
        if let Err(error) = inquiry.answered(&reply, Some(PEER), SystemTime::UNIX_EPOCH) {
            let shown = error.to_string();
            assert!(!shown.contains(PASSWORD), "{shown}");
            assert!(shown.len() < 4096 && !shown.contains(['\n', '\x1b']), "{shown}");
            return;
        }
    }
    for stream in inquiry
        .finish()
        .media_profiles
        .iter()
        .filter_map(|profile| profile.media_uri.as_ref())
    {
        let (_, rest) = stream.uri.split_once("://").unwrap_or_default();
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
            stream.uri
        );
    }
}

/// An answer to a question, in the form that its first byte tells.
fn reply(question: &str, answer: &[u8]) -> Reply {
    let (form, rest) = answer.split_first().unwrap_or((&0, &[]));
    let text = String::from_utf8_lossy(rest);
    let body = match form & 0x18 {
        0x08 => envelope(
            "",
            &format!("<x:{question}Response>{text}</x:{question}Response>"),
        )
        .into_bytes(),
        0x10 => envelope("", &format!("<x:Fault>{text}</x:Fault>")).into_bytes(),
        0x18 => envelope("", &text).into_bytes(),
        _ => rest.to_vec(),
    };
    Reply {
        status: STATUSES.get(usize::from(form & 7)).copied().unwrap_or(200),
        content_type: Some(text.chars().take(300).collect()),
        challenges: if form & 0x20 == 0 {
            Vec::new()
        } else {
            vec![text.into_owned()]
        },
        body,
    }
}

/// The same as datagrams.
fn heard(data: &[u8]) {
    let mut found = Found::new(ID);
    for datagram in data.split(|byte| *byte == 0xff) {
        found.take(datagram, PEER);
        let text = String::from_utf8_lossy(datagram);
        let header = format!("<RelatesTo>urn:uuid:{ID}</RelatesTo>");
        found.take(
            envelope(&header, &format!("<ProbeMatches>{text}</ProbeMatches>")).as_bytes(),
            PEER,
        );
    }
    let devices = found.into_devices();
    assert!(
        devices.len() <= lva_graph_model::onvif::MAX_DISCOVERED_DEVICES,
        "too many"
    );
    for device in devices {
        assert!(
            device
                .endpoints
                .iter()
                .all(|url| url.to_ascii_lowercase().starts_with("http")),
            "{device:?}"
        );
    }
}

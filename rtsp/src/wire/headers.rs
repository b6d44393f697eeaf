//! The values of headers that a session needs, read forgivingly.

use std::net::IpAddr;
use std::time::Duration;

use super::message::Message;
use super::repairs::{Repair, Repairs};

/// RFC 2326 section 12.37.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The identifier of a session, and how long it lives without a request: `A1B2; timeout = 60`.
pub(crate) fn session(answer: &Message, repairs: &mut Repairs) -> Option<(String, Duration)> {
    let value = answer.header("session")?;
    let mut parts = value.split(';').map(str::trim);
    let id = parts.next().filter(|id| !id.is_empty())?.to_owned();
    let mut timeout = DEFAULT_TIMEOUT;
    for part in parts.filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let seconds: Option<u64> = value.trim().parse().ok();
        match seconds.filter(|seconds| *seconds > 0) {
            Some(seconds) if name.trim().eq_ignore_ascii_case("timeout") => {
                timeout = Duration::from_secs(seconds);
            }
            _ => repairs.add(Repair::HeaderValue),
        }
    }
    Some((id, timeout))
}

/// What SETUP was answered with. Everything may be missing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Transport {
    pub(crate) channel: Option<u8>,
    pub(crate) server_port: Option<u16>,
    /// Where datagrams come from, if the camera names an address.
    pub(crate) source: Option<IpAddr>,
    /// The lower transport that it means: TCP (true) or UDP.
    pub(crate) tcp: Option<bool>,
    pub(crate) multicast: bool,
    /// The group, and its first port.
    pub(crate) destination: Option<IpAddr>,
    pub(crate) port: Option<u16>,
}

/// The header `Transport` of an answer to SETUP.
pub(crate) fn transport(answer: &Message, repairs: &mut Repairs) -> Transport {
    let mut transport = Transport::default();
    let Some(value) = answer.header("transport") else {
        repairs.add(Repair::HeaderValue);
        return transport;
    };
    // A list would be of alternatives; the first is the camera's choice.
    let first = value.split(',').next().unwrap_or_default();
    let mut has_ports = false;
    for (index, part) in first.split(';').map(str::trim).enumerate() {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        let number = |text: &str| {
            text.split('-')
                .next()
                .and_then(|first| first.trim().parse::<u16>().ok())
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "interleaved" => transport.channel = number(value).and_then(|channel| u8::try_from(channel).ok()),
            "server_port" => {
                has_ports = true;
                transport.server_port = number(value).filter(|port| *port != 0);
            }
            "client_port" => has_ports = true,
            "multicast" => transport.multicast = true,
            "port" => transport.port = number(value).filter(|port| *port != 0),
            "destination" => transport.destination = value.parse().ok(),
            "source" => {
                transport.source = value
                    .parse()
                    .ok()
                    .filter(|address: &IpAddr| !address.is_unspecified());
            }
            protocol if index == 0 && protocol.ends_with("/tcp") => transport.tcp = Some(true),
            _ => {}
        }
    }
    // A stray `multicast` or none: the address decides.
    if let Some(destination) = transport.destination {
        transport.multicast = destination.is_multicast();
    }
    // Many write `RTP/AVP` for both.
    if transport.channel.is_some() {
        transport.tcp = Some(true);
    } else if has_ports && transport.tcp.is_none() {
        transport.tcp = Some(false);
    }
    transport
}

/// Where relative addresses of a description begin, in the camera's own spelling.
pub(crate) fn base(answer: &Message, request: &str, repairs: &mut Repairs) -> String {
    let header = answer
        .header("content-base")
        .or_else(|| answer.header("content-location"));
    let Some(value) = header else {
        return request.to_owned();
    };
    if value.contains("://") {
        return for_request_line(value);
    }
    repairs.add(Repair::HeaderValue);
    if value.starts_with('/') {
        let origin = request
            .match_indices('/')
            .nth(2)
            .map_or(request, |(at, _)| request.get(..at).unwrap_or(request));
        return for_request_line(&format!("{origin}{value}"));
    }
    // Some cameras, of Anjvision for one, leave the scheme out.
    for_request_line(&format!("rtsp://{value}"))
}

/// The address of a track: what live555 and ffmpeg make of `a=control`, which is simpler than RFC 3986.
pub(crate) fn join(base: &str, control: &str) -> String {
    let control = control.trim();
    if control.is_empty() || control == "*" {
        return base.to_owned();
    }
    if control.contains("://") {
        return for_request_line(control);
    }
    let slash = if base.ends_with('/') || control.starts_with('/') {
        ""
    } else {
        "/"
    };
    for_request_line(&format!("{base}{slash}{control}"))
}

/// Escapes what would end an address, or a line.
fn for_request_line(address: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

    const SET: AsciiSet = CONTROLS.add(b' ');
    utf8_percent_encode(address, &SET).to_string()
}

/// The methods of the header `Public`.
pub(crate) fn offers(answer: &Message, method: &str) -> bool {
    let methods = answer.headers("public").flat_map(|value| value.split(','));
    methods
        .map(str::trim)
        .any(|offered| offered.eq_ignore_ascii_case(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &str) -> Message {
        Message::parse(
            format!("RTSP/1.0 200 OK\r\n{headers}\r\n\r\n").as_bytes(),
            &mut Repairs::default(),
        )
    }

    #[test]
    fn sessions_are_read_with_blanks_other_parameters_and_without_a_time() {
        for (value, seconds) in [
            ("A1;timeout=30", 30),
            ("A1; timeout = 30", 30),
            ("A1;Timeout=30;mode=play", 30),
            ("A1;mode=play;timeout=30", 30),
            ("A1;timeout=0", 60),
            ("A1;timeout=soon", 60),
            ("A1", 60),
            (" A1 ;", 60),
        ] {
            let read = session(&answer(&format!("Session: {value}")), &mut Repairs::default());
            assert_eq!(
                read,
                Some(("A1".to_owned(), Duration::from_secs(seconds))),
                "{value}"
            );
        }
        assert_eq!(
            session(&answer("Session: ;timeout=3"), &mut Repairs::default()),
            None
        );
    }

    #[test]
    fn transports_are_read_whatever_is_missing() {
        let read = |value: &str| transport(&answer(&format!("Transport: {value}")), &mut Repairs::default());
        let tcp = Transport {
            channel: Some(8),
            tcp: Some(true),
            ..Transport::default()
        };
        assert_eq!(
            read("RTP/AVP/TCP;unicast;source=cam.local;interleaved=8-9;ssrc=123456789"),
            tcp
        );
        assert_eq!(read("RTP/AVP/TCP; unicast; interleaved = 8"), tcp);
        assert_eq!(read("RTP/AVP/TCP;unicast").channel, None);
        assert_eq!(read("RTP/AVP/TCP;unicast;client_port=0-0").tcp, Some(true));
        let udp = read("RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;source=10.0.0.1");
        assert_eq!((udp.tcp, udp.server_port), (Some(false), Some(6000)));
        assert_eq!(udp.source, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(read("RTP/AVP;server_port=0-0").server_port, None);
        let group = read("RTP/AVP;multicast;destination=239.1.2.3;port=5000-5001;ttl=16");
        assert_eq!(
            (group.multicast, group.destination, group.port),
            (true, Some("239.1.2.3".parse().unwrap()), Some(5000))
        );
        assert!(!read("RTP/AVP;unicast;destination=10.0.0.2;client_port=1-2").multicast);
        let mut repairs = Repairs::default();
        assert_eq!(
            transport(&answer("Transport:"), &mut repairs),
            Transport::default()
        );
        assert_eq!(repairs.count(Repair::HeaderValue), 1);
    }

    #[test]
    fn bases_and_controls_are_joined_as_ffmpeg_does() {
        let base_of = |headers: &str| {
            base(
                &answer(headers),
                "rtsp://cam:554/live?x=1",
                &mut Repairs::default(),
            )
        };
        assert_eq!(base_of("A: b"), "rtsp://cam:554/live?x=1");
        assert_eq!(base_of("Content-Base:"), "rtsp://cam:554/live?x=1");
        assert_eq!(
            base_of("Content-Base: rtsp://10.0.0.1/a b/"),
            "rtsp://10.0.0.1/a%20b/"
        );
        assert_eq!(base_of("Content-Base: cam:554/"), "rtsp://cam:554/");
        assert_eq!(base_of("Content-Location: /other"), "rtsp://cam:554/other");
        assert_eq!(join("rtsp://h/live", "trackID=0"), "rtsp://h/live/trackID=0");
        assert_eq!(join("rtsp://h/live/", "trackID=0"), "rtsp://h/live/trackID=0");
        assert_eq!(join("rtsp://h/live", "*"), "rtsp://h/live");
        assert_eq!(join("rtsp://h/live", "rtsp://x/y z"), "rtsp://x/y%20z");
    }
}

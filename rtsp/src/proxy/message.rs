//! The parts of an RTSP or HTTP message that the proxy needs.
//!
//! `httparse` knows only `HTTP/1.x`, and `rtsp-types` rejects lines that end with a line feed alone, which cameras send.

use http_auth::PasswordClient;

/// The head of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// Its length, the empty line included.
    pub(crate) len: usize,
    pub(crate) content_length: usize,
    pub(crate) cseq: Option<String>,
    /// Without parameters.
    pub(crate) session: Option<String>,
    /// Values of `WWW-Authenticate`.
    pub(crate) challenges: Vec<String>,
    /// Whether `Content-Base` or `Content-Location` is present.
    pub(crate) has_base: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Request { method: String, uri: String },
    Response { status: u16 },
}

impl Head {
    /// `None` until the empty line has arrived. Ignores malformed headers; a malformed first line is a response with
    /// status 0.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let len = end_of_head(bytes)?;
        let text = String::from_utf8_lossy(bytes.get(..len)?);
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let mut words = first.split_ascii_whitespace();
        let (one, two) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let kind = if one.starts_with("RTSP/") || one.starts_with("HTTP/") || words.next().is_none() {
            Kind::Response {
                status: two.parse().unwrap_or(0),
            }
        } else {
            Kind::Request {
                method: one.to_owned(),
                uri: two.to_owned(),
            }
        };
        let mut head = Self {
            kind,
            len,
            content_length: 0,
            cseq: None,
            session: None,
            challenges: Vec::new(),
            has_base: false,
        };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "content-length" => head.content_length = value.parse().unwrap_or(0),
                "cseq" => head.cseq = Some(value.to_owned()),
                "session" => head.session = value.split(';').next().map(|id| id.trim().to_owned()),
                "www-authenticate" => head.challenges.push(value.to_owned()),
                "content-base" | "content-location" => head.has_base = true,
                _ => {}
            }
        }
        Some(head)
    }

    /// A client for the challenges, if one of them can be answered.
    pub(crate) fn password_client(&self) -> Option<PasswordClient> {
        let builder = self
            .challenges
            .iter()
            .fold(PasswordClient::builder(), |builder, challenge| {
                builder.challenges(challenge)
            });
        builder.build().ok()
    }
}

/// Length of the head, the empty line included. Some cameras end lines with a line feed alone.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut line_is_empty = false;
    for (place, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if line_is_empty => return Some(place + 1),
            b'\n' => line_is_empty = true,
            b'\r' => {}
            _ => line_is_empty = false,
        }
    }
    None
}

/// The first line with its end.
pub(crate) fn first_line(head: &[u8]) -> &[u8] {
    let end = head
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(head.len(), |at| at + 1);
    head.get(..end).unwrap_or_default()
}

/// The header lines, byte for byte, without the first line, the empty line, and headers with these names (in lower case).
pub(crate) fn without(head: &[u8], names: &[&str]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len());
    let mut skipped = false;
    for line in head.split_inclusive(|byte| *byte == b'\n').skip(1) {
        if line.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            break;
        }
        // A line that begins with white space continues the previous header.
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
            skipped = names.contains(&name.as_str());
        }
        if !skipped {
            out.extend_from_slice(line);
        }
    }
    out
}

/// Length of the interleaved packet (RFC 2326 section 10.12) at the start, its four header bytes included; `None` for
/// anything else, and for fewer than four bytes.
pub(crate) fn packet_len(bytes: &[u8]) -> Option<usize> {
    match bytes.first_chunk::<4>()? {
        &[b'$', _, high, low] => Some(4 + usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn heads_are_parsed_whatever_their_line_ends() {
        for text in [
            "RTSP/1.0 401 No\r\nCSeq: 7\r\nWWW-Authenticate: Basic realm=\"x\"\r\nSession: a;timeout=60\r\nContent-Length: 3\r\n\r\nabc",
            "RTSP/1.0 401 No\ncseq:7\nwww-authenticate:Basic realm=\"x\"\nSESSION:a\nContent-Length:3\n\nabc",
        ] {
            let head = Head::parse(text.as_bytes()).unwrap();
            assert_eq!(head.kind, Kind::Response { status: 401 });
            assert_eq!(
                (head.cseq.as_deref(), head.session.as_deref(), head.content_length),
                (Some("7"), Some("a"), 3)
            );
            assert_eq!((text.len() - head.len, head.challenges.len()), (3, 1));
        }
        let head = Head::parse(b"PLAY rtsp://h/ RTSP/1.0\r\n\r\n").unwrap();
        assert!(matches!(head.kind, Kind::Request { method, uri } if method == "PLAY" && uri == "rtsp://h/"));
    }

    #[test]
    fn headers_are_removed_with_their_continuations() {
        let head = b"PLAY x RTSP/1.0\r\nCSeq: 1\r\nAuthorization: a\r\n b\r\nRange: npt=0-\r\n\r\n";
        assert_eq!(without(head, &["cseq", "authorization"]), b"Range: npt=0-\r\n");
        assert_eq!(first_line(head), b"PLAY x RTSP/1.0\r\n");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(head) = Head::parse(&bytes) {
                prop_assert!(head.len <= bytes.len());
            }
            without(&bytes, &["cseq"]);
            prop_assert!(first_line(&bytes).len() <= bytes.len());
            packet_len(&bytes);
        }
    }
}

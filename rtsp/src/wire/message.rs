//! RTSP and HTTP messages as cameras write them.
//!
//! `httparse` and `rtsp-types` reject what cameras send every day: lines that end with a line feed alone, spaces before the
//! colon, folded headers, bytes of other encodings, a status line without a reason.

use std::borrow::Cow;

use super::repairs::{Repair, Repairs};

/// Headers of a message beyond this number are ignored.
const MAX_HEADERS: usize = 256;

/// A request or a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) start: Start,
    /// Names in lower case, values without spaces around them, in the order in which they came.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    Request {
        method: String,
    },
    Response {
        status: u16,
        /// HTTP, where a tunnel begins; elsewhere another server.
        http: bool,
    },
}

impl Message {
    /// The first line and the headers, from a head that ends with its empty line. A malformed first line is a response
    /// with status 0.
    pub(crate) fn parse(head: &[u8], repairs: &mut Repairs) -> Self {
        let text = match String::from_utf8_lossy(head) {
            Cow::Owned(text) => {
                repairs.add(Repair::HeaderSyntax);
                text
            }
            Cow::Borrowed(text) => text.to_owned(),
        };
        let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let first = lines.next().unwrap_or_default();
        let mut message = Self {
            start: parse_start(first),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let mut odd = head.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r');
        for line in lines.filter(|line| !line.is_empty()) {
            if line.starts_with([' ', '\t']) {
                // A folded header (RFC 2616 section 2.2).
                odd = true;
                if let Some((_, value)) = message.headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                continue;
            }
            let Some((name, value)) = line.split_once(':') else {
                odd = true;
                continue;
            };
            odd |= name.ends_with([' ', '\t']);
            if message.headers.len() < MAX_HEADERS {
                message
                    .headers
                    .push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        if odd {
            repairs.add(Repair::HeaderSyntax);
        }
        message
    }

    /// The first header with this name (in lower case) that has a value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self
            .headers
            .iter()
            .filter(|(known, value)| known == name && !value.is_empty());
        named.next().map(|(_, value)| value.as_str())
    }

    /// The values of all headers with this name.
    pub(crate) fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Length of the body that follows the head, if it is given.
    pub(crate) fn content_length(&self) -> Option<usize> {
        self.header("content-length").and_then(number)
    }

    /// Whether it is the response of an RTSP server that did what it was asked for.
    pub(crate) fn is_success(&self) -> bool {
        matches!(
            self.start,
            Start::Response {
                status: 200..=299,
                http: false
            }
        )
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }
}

/// The number at the beginning, whatever follows it: `200OK`, `460 bytes`.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn parse_start(line: &str) -> Start {
    let mut words = line.split_ascii_whitespace();
    let (one, two) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if one.starts_with("RTSP/") || one.starts_with("HTTP/") || words.next().is_none() {
        return Start::Response {
            status: number(two).unwrap_or(0),
            http: one.starts_with("HTTP/"),
        };
    }
    Start::Request {
        method: one.to_owned(),
    }
}

/// Length of a head, its empty line included, and where to continue when more bytes have come. Some cameras end lines with a
/// line feed alone.
pub(crate) fn end_of_head(bytes: &[u8], scanned: usize) -> Result<usize, usize> {
    // The last line before `scanned` may have been incomplete.
    let known = bytes.get(..scanned).unwrap_or_default();
    let from = known.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let mut line_is_empty = false;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'\n' if line_is_empty => return Ok(at + 1),
            b'\n' => line_is_empty = true,
            b'\r' => {}
            _ => line_is_empty = false,
        }
    }
    Err(bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> (Message, Repairs) {
        let mut repairs = Repairs::default();
        let end = end_of_head(text.as_bytes(), 0).unwrap();
        (Message::parse(&text.as_bytes()[..end], &mut repairs), repairs)
    }

    #[test]
    fn heads_are_read_however_they_are_written() {
        for (text, odd) in [
            (
                "RTSP/1.0 401 No\r\nCSeq: 7\r\nSession: a;timeout=60\r\nContent-Length: 3\r\n\r\nabc",
                0,
            ),
            (
                "RTSP/1.0 401\ncseq:7\nSESSION:a;timeout=60\nContent-Length:3\n\nabc",
                1,
            ),
            (
                "RTSP/1.0 401 \r\nCSeq : 7\r\nSession: a;\r\n timeout=60\r\nno colon\r\nContent-Length: 3\r\n\r\nabc",
                1,
            ),
        ] {
            let (message, repairs) = parse(text);
            assert_eq!(message.status(), Some(401), "{text}");
            assert_eq!(
                (message.header("cseq"), message.content_length()),
                (Some("7"), Some(3)),
                "{text}"
            );
            assert_eq!(
                message.header("session").unwrap().replace(' ', ""),
                "a;timeout=60"
            );
            assert_eq!(repairs.count(Repair::HeaderSyntax), odd, "{text}");
        }
        let (request, _) = parse("PLAY rtsp://h/ RTSP/1.0\r\n\r\n");
        assert!(matches!(request.start, Start::Request { method } if method == "PLAY"));
    }

    #[test]
    fn numbers_are_read_whatever_follows_them() {
        assert_eq!(parse("RTSP/1.0 200OK\r\n\r\n").0.status(), Some(200));
        for (value, length) in [
            ("460", Some(460)),
            ("460 bytes", Some(460)),
            ("460, 460", Some(460)),
            ("460;", Some(460)),
            ("x", None),
            ("-4", None),
        ] {
            let (message, _) = parse(&format!("RTSP/1.0 200 OK\r\nContent-Length: {value}\r\n\r\n"));
            assert_eq!(message.content_length(), length, "{value}");
        }
    }

    #[test]
    fn an_empty_header_is_as_good_as_none() {
        let (message, _) =
            parse("RTSP/1.0 200 OK\r\nContent-Base:\r\nContent-Base: rtsp://h/\r\nServer: \r\n\r\n");
        assert_eq!(
            (message.header("content-base"), message.header("server")),
            (Some("rtsp://h/"), None)
        );
    }

    proptest! {
        #[test]
        fn the_end_of_a_head_is_the_same_however_the_bytes_arrive(
            words in proptest::collection::vec(prop_oneof![Just("a"), Just("\r"), Just("\n"), Just("\r\n")], 0..20),
            cut in 0_usize..20,
        ) {
            let bytes = words.concat().into_bytes();
            let whole = end_of_head(&bytes, 0);
            let first = &bytes[..cut.min(bytes.len())];
            let parts = match end_of_head(first, 0) {
                Ok(end) => Ok(end),
                Err(scanned) => end_of_head(&bytes, scanned),
            };
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            Message::parse(&bytes, &mut Repairs::default());
        }
    }
}

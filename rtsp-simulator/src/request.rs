//! Splits bytes from a client into requests, with a limit on incomplete ones.

use rtsp_types::{Message, ParseError, Request};

/// Largest request: ten times the longest of real clients.
pub(crate) const MAX_REQUEST_BYTES: usize = 16 * 1024;

/// The next message in a buffer.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A request.
    Request(Request<Vec<u8>>),
    /// Interleaved data (receiver reports), or a response without a request.
    Ignored,
    /// More bytes are needed.
    Incomplete,
    /// Not RTSP, or too large: the connection has to end.
    Malformed,
}

/// Takes the next message from the front of `buffer`.
pub(crate) fn take(buffer: &mut Vec<u8>) -> Incoming {
    // The parser restarts with each byte that arrives, so the size of messages is limited.
    if buffer.is_empty() {
        return Incoming::Incomplete;
    }
    if buffer.first() == Some(&b'$') {
        let Some(&[_, _, high, low]) = buffer.first_chunk::<4>() else {
            return Incoming::Incomplete;
        };
        let end = 4 + usize::from(u16::from_be_bytes([high, low]));
        if buffer.len() < end {
            // Real receiver reports are far smaller than the limit.
            return if end > MAX_REQUEST_BYTES {
                Incoming::Malformed
            } else {
                Incoming::Incomplete
            };
        }
        buffer.drain(..end);
        return Incoming::Ignored;
    }
    match Message::<Vec<u8>>::parse(buffer) {
        Ok((message, used)) => {
            buffer.drain(..used.min(buffer.len()));
            match message {
                Message::Request(request) => Incoming::Request(request),
                Message::Response(_) | Message::Data(_) => Incoming::Ignored,
            }
        }
        Err(ParseError::Incomplete(_)) if buffer.len() < MAX_REQUEST_BYTES => Incoming::Incomplete,
        Err(_) => Incoming::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtsp_types::Method;

    use super::*;

    #[test]
    fn requests_and_reports_are_split() {
        let mut bytes = b"$\x01\0\x03abcOPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\nPLAY rtsp://h/a RTSP".to_vec();
        assert!(matches!(take(&mut bytes), Incoming::Ignored));
        let Incoming::Request(request) = take(&mut bytes) else {
            panic!()
        };
        assert_eq!(
            (request.method(), request.request_uri()),
            (&Method::Options, None)
        );
        assert!(matches!(take(&mut bytes), Incoming::Incomplete));
        assert_eq!(bytes, b"PLAY rtsp://h/a RTSP");
    }

    #[test]
    fn endless_messages_are_rejected() {
        let mut endless = vec![b'A'; MAX_REQUEST_BYTES];
        assert!(matches!(take(&mut endless), Incoming::Malformed));
        let mut body = b"SET_PARAMETER * RTSP/1.0\r\nContent-Length: 18446744073709551615\r\n\r\n".to_vec();
        body.resize(MAX_REQUEST_BYTES, 0);
        assert!(matches!(take(&mut body), Incoming::Malformed));
        assert!(matches!(
            take(&mut b"$\x00\xff\xff".to_vec()),
            Incoming::Malformed
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_accepted_or_rejected_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for _ in 0..400 {
                let before = bytes.len();
                match take(&mut bytes) {
                    Incoming::Incomplete | Incoming::Malformed => break,
                    Incoming::Request(_) | Incoming::Ignored => prop_assert!(bytes.len() < before),
                }
            }
        }

        #[test]
        fn mutilated_requests_do_no_harm(cut in 0..120_usize, at in 0..120_usize, byte: u8) {
            let mut bytes = b"SETUP rtsp://h/media/a.mp4/trackID=0 RTSP/1.0\r\nCSeq: 3\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n".to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut);
            let _ = take(&mut bytes);
        }
    }
}

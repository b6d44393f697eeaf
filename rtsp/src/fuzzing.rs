//! Entry points of the fuzz targets in `rtsp/fuzz`, compiled for them and for tests only.

use lva_media_types::Credentials;

use crate::proxy::Rewriter;

const LOCAL: &str = "rtsp://127.0.0.1:4000/secret";

/// Bytes from a camera to the loopback proxy; the first byte is the size of the pieces.
///
/// # Panics
///
/// When the secret path or the password leaks.
pub fn camera_answers(data: &[u8]) {
    let Some((cut, bytes)) = data.split_first() else {
        return;
    };
    let credentials = Some(Credentials::new("testuser", "correct-horse-battery"));
    let mut rewriter = Rewriter::new(LOCAL.to_owned(), "rtsps://cam/live".to_owned(), credentials);
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let requests = format!(
        "DESCRIBE {LOCAL} RTSP/1.0\r\nCSeq: 1\r\n\r\nSETUP rtsps://cam/live/1 RTSP/1.0\r\nCSeq: 2\r\n\r\n\
         PLAY rtsps://cam/live RTSP/1.0\r\nCSeq: 3\r\n\r\n"
    );
    // The library's own requests are in order.
    let _ = rewriter.on_client_bytes(requests.as_bytes(), &mut to_server);
    for piece in bytes.chunks(usize::from(*cut).max(1)) {
        rewriter.on_server_bytes(piece, &mut to_client, &mut to_server);
    }
    rewriter.teardown(&mut to_server);
    let contains = |text: &[u8], what: &[u8]| text.windows(what.len()).any(|window| window == what);
    assert!(
        !contains(&to_server, b"127.0.0.1:4000/secret"),
        "the secret path went to the camera"
    );
    assert!(
        !contains(&to_server, b"correct-horse-battery"),
        "the password went out in the clear"
    );
    if !contains(bytes, b"correct-horse-battery") {
        assert!(
            !contains(&to_client, b"correct-horse-battery"),
            "the password came back"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_response_is_handled(
            words in proptest::collection::vec(
                prop_oneof![
                    Just(&b"RTSP/1.0 200 OK\r\n"[..]),
                    Just(&b"RTSP/1.0 401 No\r\n"[..]),
                    Just(&b"CSeq: 1\r\n"[..]),
                    Just(&b"CSeq: 2\r\n"[..]),
                    Just(&b"WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n"[..]),
                    Just(&b"Content-Length: 3\r\n"[..]),
                    Just(&b"\r\n"[..]),
                    Just(&b"$\0\0\x02"[..]),
                    Just(&b"ab"[..]),
                ],
                0..30,
            ),
            cut: u8,
        ) {
            let mut data = vec![cut];
            data.extend(words.concat());
            super::camera_answers(&data);
        }
    }
}

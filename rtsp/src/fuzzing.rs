//! Doors for the fuzz targets in `rtsp/fuzz`, compiled for them and for tests only.

use crate::Credentials;
use crate::relay::Rewriter;

const LOCAL: &str = "rtsp://127.0.0.1:4000/secret";

/// What a camera says to the relay; the first byte tells how it is cut into pieces.
///
/// # Panics
///
/// When the secret of loopback or the password gets where it does not belong.
pub fn camera_answers(data: &[u8]) {
    let Some((cut, said)) = data.split_first() else {
        return;
    };
    let credentials = Some(Credentials::new("testuser", "correct-horse-battery"));
    let mut rewriter = Rewriter::new(LOCAL.to_owned(), "rtsps://cam/live".to_owned(), credentials);
    let (mut to_camera, mut to_library) = (Vec::new(), Vec::new());
    let requests = format!(
        "DESCRIBE {LOCAL} RTSP/1.0\r\nCSeq: 1\r\n\r\nSETUP rtsps://cam/live/1 RTSP/1.0\r\nCSeq: 2\r\n\r\n\
         PLAY rtsps://cam/live RTSP/1.0\r\nCSeq: 3\r\n\r\n"
    );
    // The library's own requests are in order.
    let _ = rewriter.library_said(requests.as_bytes(), &mut to_camera);
    for piece in said.chunks(usize::from(*cut).max(1)) {
        rewriter.camera_said(piece, &mut to_library, &mut to_camera);
    }
    rewriter.teardown(&mut to_camera);
    let contains = |text: &[u8], what: &[u8]| text.windows(what.len()).any(|window| window == what);
    assert!(
        !contains(&to_camera, b"127.0.0.1:4000/secret"),
        "the secret went to the camera"
    );
    assert!(
        !contains(&to_camera, b"correct-horse-battery"),
        "the password went out in the clear"
    );
    if !contains(said, b"correct-horse-battery") {
        assert!(
            !contains(&to_library, b"correct-horse-battery"),
            "the password came back"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn answers_of_all_kinds_are_survived(
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

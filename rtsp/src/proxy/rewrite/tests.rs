use proptest::prelude::*;

use super::*;

const LOCAL: &str = "rtsp://127.0.0.1:4000/secret";
const CAMERA: &str = "rtsps://cam.example:322/live?channel=1";

fn rewriter(credentials: bool) -> Rewriter {
    let credentials = credentials.then(|| Credentials::new("testuser", "testpassword"));
    Rewriter::new(LOCAL.into(), CAMERA.into(), credentials)
}

fn up(rewriter: &mut Rewriter, text: &str) -> String {
    let mut out = Vec::new();
    rewriter.on_client_bytes(text.as_bytes(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// What the library gets, and what the camera.
fn down(rewriter: &mut Rewriter, text: &str) -> (String, String) {
    let (mut library, mut camera) = (Vec::new(), Vec::new());
    rewriter.on_server_bytes(text.as_bytes(), &mut library, &mut camera);
    (
        String::from_utf8(library).unwrap(),
        String::from_utf8(camera).unwrap(),
    )
}

fn describe() -> String {
    format!("DESCRIBE {LOCAL} RTSP/1.0\r\nAccept: application/sdp\r\nCSeq: 5\r\n\r\n")
}

#[test]
fn the_camera_sees_its_own_address_and_the_library_its_own_numbers() {
    let mut r = rewriter(false);
    let sent = up(&mut r, &describe());
    assert_eq!(
        sent,
        format!("DESCRIBE {CAMERA} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n")
    );
    let (answer, _) = down(
        &mut r,
        "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Base: rtsps://cam.example/live/\r\nContent-Length: 3\r\n\r\nv=0",
    );
    assert_eq!(
        answer,
        "RTSP/1.0 200 OK\r\nCSeq: 5\r\nContent-Base: rtsps://cam.example/live/\r\nContent-Length: 3\r\n\r\nv=0"
    );
}

#[test]
fn a_description_without_base_gets_the_cameras_address() {
    let mut r = rewriter(false);
    up(&mut r, &describe());
    let (answer, _) = down(&mut r, "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
    assert_eq!(
        answer,
        format!("RTSP/1.0 200 OK\r\nCSeq: 5\r\nContent-Base: {CAMERA}\r\n\r\n")
    );
}

#[test]
fn a_challenge_is_answered_for_the_cameras_address_and_the_library_never_sees_it() {
    let mut r = rewriter(true);
    up(&mut r, &describe());
    let (library, again) = down(
        &mut r,
        "RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5\r\n\r\n",
    );
    assert_eq!(library, "");
    assert!(
        again.contains("CSeq: 2\r\n") && again.contains(&format!("uri=\"{CAMERA}\"")),
        "{again}"
    );
    assert!(!again.contains("testpassword"));
    // RFC 2069: MD5 over user, realm and password, the nonce, method and address; worked out by another program.
    assert!(again.contains("response=\""), "{again}");

    // The right answer once, and every later request has one.
    let (library, _) = down(&mut r, "RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n");
    assert!(library.starts_with("RTSP/1.0 200 OK\r\nCSeq: 5\r\n"), "{library}");
    let setup = up(
        &mut r,
        "SETUP rtsps://cam.example/live/track1 RTSP/1.0\r\nCSeq: 6\r\n\r\n",
    );
    assert!(
        setup.contains("Authorization: Digest") && setup.contains("uri=\"rtsps://cam.example/live/track1\"")
    );
}

#[test]
fn a_second_rejection_of_the_same_challenge_reaches_the_library() {
    let mut r = rewriter(true);
    up(&mut r, &describe());
    let challenge = "WWW-Authenticate: Basic realm=\"r\"\r\n\r\n";
    let (_, again) = down(&mut r, &format!("RTSP/1.0 401 No\r\nCSeq: 1\r\n{challenge}"));
    assert!(again.contains("Authorization: Basic dGVzdHVzZXI6dGVzdHBhc3N3b3Jk\r\n"));
    let (library, again) = down(&mut r, &format!("RTSP/1.0 401 No\r\nCSeq: 2\r\n{challenge}"));
    assert!(library.starts_with("RTSP/1.0 401 No\r\nCSeq: 5\r\n") && again.is_empty());
}

#[test]
fn a_new_nonce_in_mid_session_is_answered_once_more() {
    let mut r = rewriter(true);
    up(&mut r, &describe());
    let refusal = |cseq, nonce| {
        format!(
            "RTSP/1.0 401 No\r\nCSeq: {cseq}\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\"\r\n\r\n"
        )
    };
    assert!(down(&mut r, &refusal(1, "n1")).1.contains("nonce=\"n1\""));
    down(&mut r, "RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n");
    up(&mut r, "GET_PARAMETER rtsp://x RTSP/1.0\r\nCSeq: 9\r\n\r\n");
    let (library, again) = down(&mut r, &refusal(3, "n2"));
    assert!(
        library.is_empty() && again.contains("nonce=\"n2\"") && again.contains("CSeq: 4\r\n"),
        "{again}"
    );
    let (library, again) = down(&mut r, &refusal(4, "n3"));
    assert!(library.starts_with("RTSP/1.0 401") && again.is_empty());
}

#[test]
fn without_credentials_the_library_gets_the_rejection() {
    let mut r = rewriter(false);
    up(&mut r, &describe());
    let refusal = "RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm=\"r\"\r\n\r\n";
    assert!(
        down(&mut r, refusal)
            .0
            .starts_with("RTSP/1.0 401 No\r\nCSeq: 5\r\n")
    );
}

#[test]
fn a_session_is_torn_down_where_it_was_played_and_only_once() {
    let mut r = rewriter(false);
    let mut out = Vec::new();
    assert_eq!(r.teardown(&mut out), None);
    up(&mut r, "SETUP rtsps://cam/live/1 RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    down(
        &mut r,
        "RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: abc;timeout=60\r\n\r\n",
    );
    up(&mut r, "PLAY rtsps://cam/live/ RTSP/1.0\r\nCSeq: 2\r\n\r\n");
    down(&mut r, "RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n");
    assert_eq!(r.teardown(&mut out), Some(3));
    assert_eq!(
        String::from_utf8_lossy(&out),
        "TEARDOWN rtsps://cam/live/ RTSP/1.0\r\nCSeq: 3\r\nSession: abc\r\n\r\n"
    );
    assert!(r.awaits_teardown());
    let (library, _) = down(&mut r, "RTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n");
    assert!(library.is_empty() && !r.awaits_teardown());
    assert_eq!(r.teardown(&mut out), None);
}

#[test]
fn other_protocols_are_forwarded_unchanged() {
    let mut r = rewriter(false);
    let (mut library, mut camera) = (Vec::new(), Vec::new());
    r.on_server_bytes(b"\xff\xfe garbage", &mut library, &mut camera);
    r.on_server_bytes(b"$\0\0\x01x", &mut library, &mut camera);
    assert_eq!(library, b"\xff\xfe garbage$\0\0\x01x");
    assert_eq!(
        down(&mut rewriter(false), "RTSP/1.0 200 OK\r\nCSeq: 77\r\n\r\n").0,
        "RTSP/1.0 200 OK\r\nCSeq: 77\r\n\r\n"
    );
}

proptest! {
    #[test]
    fn media_passes_unchanged_however_it_is_cut(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..10),
        cuts in proptest::collection::vec(1..50_usize, 1..20),
        answer_at in 0..10_usize,
    ) {
        let mut r = rewriter(false);
        up(&mut r, &describe());
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for (n, packet) in packets.iter().enumerate() {
            if n == answer_at {
                stream.extend_from_slice(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\n$\x01");
                expected.extend_from_slice(
                    format!("RTSP/1.0 200 OK\r\nCSeq: 5\r\nContent-Base: {CAMERA}\r\nContent-Length: 2\r\n\r\n$\x01").as_bytes(),
                );
            }
            let mut framed = vec![b'$', n as u8];
            framed.extend_from_slice(&(packet.len() as u16).to_be_bytes());
            framed.extend_from_slice(packet);
            stream.extend_from_slice(&framed);
            expected.extend_from_slice(&framed);
        }
        let (mut library, mut camera) = (Vec::new(), Vec::new());
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            r.on_server_bytes(now, &mut library, &mut camera);
            rest = later;
        }
        prop_assert_eq!(library, expected);
        prop_assert!(camera.is_empty());
    }

    #[test]
    fn any_bytes_from_the_camera_are_handled(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20)) {
        let mut r = rewriter(true);
        up(&mut r, &describe());
        for piece in pieces {
            r.on_server_bytes(&piece, &mut Vec::new(), &mut Vec::new());
        }
    }

    #[test]
    fn any_bytes_from_loopback_are_handled(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20)) {
        let mut r = rewriter(true);
        for piece in pieces {
            if r.on_client_bytes(&piece, &mut Vec::new()).is_err() { break; }
        }
    }
}

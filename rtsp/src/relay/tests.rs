use super::*;
use crate::CameraUrl;

/// A relay to a camera of the test's own, without TLS and tunnel: what is said there is what the relay says.
async fn relayed() -> (Relay, TcpListener, Goodbyes) {
    let camera = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = CameraUrl::parse(&format!("rtsp://{}/live", camera.local_addr().unwrap())).unwrap();
    let goodbyes = Goodbyes::default();
    let relay = Relay::start(&CameraOptions::new(url), &goodbyes).await.unwrap();
    (relay, camera, goodbyes)
}

async fn connect(relay: &Relay) -> std::io::Result<TcpStream> {
    TcpStream::connect(("127.0.0.1", relay.local.port().unwrap())).await
}

#[tokio::test]
async fn strangers_on_loopback_get_nothing_and_the_library_is_alone_afterwards() {
    let (relay, camera, _goodbyes) = relayed().await;
    let (mut camera, _) = camera.accept().await.unwrap();
    let port = relay.local.port().unwrap();
    for said in [
        format!("DESCRIBE rtsp://127.0.0.1:{port}/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        format!(
            "DESCRIBE rtsp://127.0.0.1:{port}/0123456789abcdef0123456789abcdef RTSP/1.0\r\nCSeq: 1\r\n\r\n"
        ),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
    ] {
        let mut stranger = connect(&relay).await.unwrap();
        stranger.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Closed, or reset because not all was read; without a byte either way.
        let _ = stranger.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
    let mut library = connect(&relay).await.unwrap();
    let request = format!("DESCRIBE {} RTSP/1.0\r\nCSeq: 1\r\n\r\n", relay.local);
    library.write_all(request.as_bytes()).await.unwrap();
    let mut seen = vec![0; 4096];
    let len = camera.read(&mut seen).await.unwrap();
    let seen = String::from_utf8_lossy(&seen[..len]);
    assert!(
        seen.starts_with("DESCRIBE rtsp://127.0.0.1:") && seen.contains("/live RTSP/1.0\r\n"),
        "{seen}"
    );
    assert!(
        !seen.contains(relay.local.path()),
        "the secret stays here: {seen}"
    );
    assert_eq!(
        connect(&relay).await.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
}

#[tokio::test]
async fn a_relay_whose_attempt_was_given_up_ends_at_once() {
    let (relay, camera, goodbyes) = relayed().await;
    let (mut camera, _) = camera.accept().await.unwrap();
    let local = relay.local.port().unwrap();
    drop(relay);
    timeout(Duration::from_secs(5), goodbyes.all_said())
        .await
        .unwrap();
    assert_eq!(camera.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(TcpStream::connect(("127.0.0.1", local)).await.is_err());
}

#[tokio::test]
async fn the_camera_is_told_when_the_library_leaves() {
    let (relay, camera, goodbyes) = relayed().await;
    let (camera, _) = camera.accept().await.unwrap();
    let mut camera = tokio::io::BufReader::new(camera);
    let mut library = connect(&relay).await.unwrap();
    let requests = format!(
        "DESCRIBE {0} RTSP/1.0\r\nCSeq: 1\r\n\r\nSETUP rtsp://cam/live/1 RTSP/1.0\r\nCSeq: 2\r\n\r\n",
        relay.local
    );
    library.write_all(requests.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("CSeq: 2\r\n\r\n") {
        assert!(camera.read_buf(&mut seen).await.unwrap() > 0);
    }
    camera
        .write_all(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\nRTSP/1.0 200 OK\r\nCSeq: 2\r\nSession: abc\r\n\r\n")
        .await
        .unwrap();
    // The session is known to the relay once its answer has come through.
    let mut answers = Vec::new();
    while !String::from_utf8_lossy(&answers).contains("Session: abc") {
        assert!(library.read_buf(&mut answers).await.unwrap() > 0);
    }
    drop(library);
    seen.clear();
    while !String::from_utf8_lossy(&seen).contains("Session: abc\r\n\r\n") {
        assert!(camera.read_buf(&mut seen).await.unwrap() > 0);
    }
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.starts_with("TEARDOWN rtsp://127.0.0.1:"), "{seen}");
    camera
        .write_all(b"RTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n")
        .await
        .unwrap();
    timeout(Duration::from_secs(5), goodbyes.all_said())
        .await
        .unwrap();
}

use super::*;
use crate::CameraUrl;

/// A proxy to a listener that plays the camera, without TLS and tunnel.
async fn proxied() -> (LoopbackProxy, TcpListener, TeardownTracker) {
    let camera = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = CameraUrl::parse(&format!("rtsp://{}/live", camera.local_addr().unwrap())).unwrap();
    let teardowns = TeardownTracker::default();
    let proxy = LoopbackProxy::start(&CameraOptions::new(url), &teardowns)
        .await
        .unwrap();
    (proxy, camera, teardowns)
}

async fn connect(proxy: &LoopbackProxy) -> std::io::Result<TcpStream> {
    TcpStream::connect(("127.0.0.1", proxy.local.port().unwrap())).await
}

#[tokio::test]
async fn other_clients_on_loopback_get_nothing_and_the_library_is_the_only_one() {
    let (proxy, camera, _teardowns) = proxied().await;
    let (mut camera, _) = camera.accept().await.unwrap();
    let port = proxy.local.port().unwrap();
    for request in [
        format!("DESCRIBE rtsp://127.0.0.1:{port}/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        format!(
            "DESCRIBE rtsp://127.0.0.1:{port}/0123456789abcdef0123456789abcdef RTSP/1.0\r\nCSeq: 1\r\n\r\n"
        ),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
    ] {
        let mut other = connect(&proxy).await.unwrap();
        other.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Closed, or reset because not everything was read; without a byte either way.
        let _ = other.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
    let mut library = connect(&proxy).await.unwrap();
    let request = format!("DESCRIBE {} RTSP/1.0\r\nCSeq: 1\r\n\r\n", proxy.local);
    library.write_all(request.as_bytes()).await.unwrap();
    let mut seen = vec![0; 4096];
    let len = camera.read(&mut seen).await.unwrap();
    let seen = String::from_utf8_lossy(&seen[..len]);
    assert!(
        seen.starts_with("DESCRIBE rtsp://127.0.0.1:") && seen.contains("/live RTSP/1.0\r\n"),
        "{seen}"
    );
    assert!(
        !seen.contains(proxy.local.path()),
        "the secret stays here: {seen}"
    );
    assert_eq!(
        connect(&proxy).await.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
}

#[tokio::test]
async fn a_proxy_whose_attempt_was_cancelled_ends_at_once() {
    let (proxy, camera, teardowns) = proxied().await;
    let (mut camera, _) = camera.accept().await.unwrap();
    let local = proxy.local.port().unwrap();
    drop(proxy);
    timeout(Duration::from_secs(5), teardowns.wait_all())
        .await
        .unwrap();
    assert_eq!(camera.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(TcpStream::connect(("127.0.0.1", local)).await.is_err());
}

#[tokio::test]
async fn the_camera_gets_a_teardown_when_the_library_disconnects() {
    let (proxy, camera, teardowns) = proxied().await;
    let (camera, _) = camera.accept().await.unwrap();
    let mut camera = tokio::io::BufReader::new(camera);
    let mut library = connect(&proxy).await.unwrap();
    let requests = format!(
        "DESCRIBE {0} RTSP/1.0\r\nCSeq: 1\r\n\r\nSETUP rtsp://cam/live/1 RTSP/1.0\r\nCSeq: 2\r\n\r\n",
        proxy.local
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
    // The proxy knows the session once the response has passed.
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
    timeout(Duration::from_secs(5), teardowns.wait_all())
        .await
        .unwrap();
}

//! Clients that mean harm, or do not know what they do.

use lva_rtsp::{Camera, CameraEvent, CameraOptions, CameraUrl};
use lva_rtsp_simulator::{Simulator, SimulatorError, SimulatorOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, made_clip, simulator, testuser};

/// What the simulator answers to these bytes before it closes.
async fn answers_until_closed(mut stream: TcpStream, bytes: &[u8]) -> String {
    let mut text = Vec::new();
    // A peer that has closed already is an answer too.
    let read = async {
        let _ = stream.read_to_end(&mut text).await;
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| {
        panic!(
            "{:?} is still connected",
            String::from_utf8_lossy(&bytes[..bytes.len().min(20)])
        );
    });
    String::from_utf8_lossy(&text).into_owned()
}

async fn sent(simulator: &Simulator, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(simulator.address()).await.unwrap();
    let _ = stream.write_all(bytes).await;
    stream
}

/// What the simulator answers to requests after which no more come.
async fn answer(simulator: &Simulator, requests: &[u8]) -> String {
    let mut stream = sent(simulator, requests).await;
    stream.shutdown().await.unwrap();
    answers_until_closed(stream, requests).await
}

/// Waits for the next `count` units.
async fn units(camera: &mut Camera, count: usize) {
    let mut seen = 0;
    while seen < count {
        let event = tokio::time::timeout(PATIENCE, camera.next()).await;
        seen += usize::from(matches!(event.unwrap().unwrap(), CameraEvent::Unit(_)));
    }
}

#[tokio::test]
async fn garbage_is_disconnected_and_the_others_continue_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let url = CameraUrl::parse(&simulator.url("clip.mp4")).unwrap();
    let mut camera = Camera::connect(CameraOptions::new(url).with_credentials(Some(testuser())));
    units(&mut camera, 3).await;
    for bytes in [&b"\0\0\0\0"[..], b"$\0\xff\xff", &[b'A'; 100_000]] {
        let stream = sent(&simulator, bytes).await;
        assert_eq!(answers_until_closed(stream, bytes).await, "");
    }
    let many = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".repeat(100);
    let answers = answer(&simulator, many.as_bytes()).await;
    assert_eq!(answers.matches("RTSP/1.0 200 ").count(), 100, "{answers}");
    units(&mut camera, 30).await;
    assert_eq!(camera.counters().lost_sessions, 0);
}

#[tokio::test]
async fn no_path_leads_out_of_the_directory_and_no_file_is_visible_without_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let open = Simulator::start(SimulatorOptions::new(directory.path()))
        .await
        .unwrap();
    let closed = simulator(directory.path()).await;
    for path in [
        "/media/../../etc/passwd",
        "/media/%2e%2e/%2e%2e/etc/passwd",
        "/media/..%2f..%2fetc%2fpasswd",
        "/etc/passwd",
        "/media/",
    ] {
        let request = format!("DESCRIBE rtsp://h{path} RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        assert!(
            answer(&open, request.as_bytes())
                .await
                .starts_with("RTSP/1.0 404"),
            "{path}"
        );
        assert!(
            answer(&closed, request.as_bytes())
                .await
                .starts_with("RTSP/1.0 401"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_broken_file_is_rejected_and_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let mut moov = vec![0, 0, 0, 40];
    moov.extend_from_slice(b"moov");
    moov.resize(40, 0xff);
    std::fs::write(directory.path().join("broken.mp4"), moov).unwrap();
    std::fs::write(directory.path().join("empty.mp4"), b"").unwrap();
    let simulator = Simulator::start(SimulatorOptions::new(directory.path()))
        .await
        .unwrap();
    for file in ["broken.mp4", "empty.mp4"] {
        let request = format!("DESCRIBE {} RTSP/1.0\r\nCSeq: 1\r\n\r\n", simulator.url(file));
        assert!(
            answer(&simulator, request.as_bytes())
                .await
                .starts_with("RTSP/1.0 415"),
            "{file}"
        );
    }
}

#[tokio::test]
async fn one_client_too_many_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let options = SimulatorOptions::new(directory.path()).with_max_clients(1);
    let simulator = Simulator::start(options).await.unwrap();
    let mut first = TcpStream::connect(simulator.address()).await.unwrap();
    first
        .write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        .await
        .unwrap();
    first.readable().await.unwrap();
    let mut second = TcpStream::connect(simulator.address()).await.unwrap();
    let mut nothing = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, second.read_to_end(&mut nothing)).await;
    assert!(closed.is_ok() && nothing.is_empty());
    assert_eq!(simulator.counters().rejected_connections, 1);
}

#[tokio::test]
async fn idle_connections_make_way_for_a_camera_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let url = CameraUrl::parse(&simulator.url("clip.mp4")).unwrap();
    let connect = || Camera::connect(CameraOptions::new(url.clone()).with_credentials(Some(testuser())));
    let mut playing = connect();
    units(&mut playing, 3).await;
    let mut idle = Vec::new();
    for bytes in [&b""[..], b"OPTI", b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"] {
        for _ in 0..100 {
            idle.push(sent(&simulator, bytes).await);
        }
    }
    let mut late = connect();
    units(&mut late, 3).await;
    units(&mut playing, 3).await;
    let counters = simulator.counters();
    assert!(counters.evicted_connections >= 230, "{counters:?}");
    assert_eq!(playing.counters().lost_sessions, 0);
}

#[tokio::test]
async fn a_simulator_that_cannot_start_explains_why() {
    let missing = Simulator::start(SimulatorOptions::new("/nonexistent/media"))
        .await
        .unwrap_err();
    assert!(
        matches!(missing, SimulatorError::Media { .. }) && missing.to_string().contains("/nonexistent/media")
    );
    let directory = tempfile::tempdir().unwrap();
    let first = Simulator::start(SimulatorOptions::new(directory.path()))
        .await
        .unwrap();
    let options = SimulatorOptions::new(directory.path()).with_address(first.address());
    let taken = Simulator::start(options.clone()).await.unwrap_err();
    assert!(matches!(taken, SimulatorError::Listen { .. }));
    first.shutdown().await;
    Simulator::start(options).await.unwrap();
}

//! Cameras that misbehave, and operators who mistype.

use std::time::{Duration, Instant};

use lva_rtsp::{
    Camera, CameraEvent, CameraOptions, CameraStopReason, CameraUrl, Credentials, ErrorKind, Phase,
    QueueLimits,
};
use lva_rtsp_simulator::{AuthScheme, Simulator, SimulatorOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{
    ClosedPort, PATIENCE, closed, endless, established, lost, made_clip, next, quick, simulator,
    simulator_again, testuser, timeouts, units,
};

#[tokio::test]
async fn wrong_missing_and_right_credentials_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    for scheme in [AuthScheme::Digest, AuthScheme::Basic] {
        let options = SimulatorOptions::new(directory.path())
            .with_credentials(Some(testuser()))
            .with_auth_scheme(scheme);
        let simulator = Simulator::start(options).await.unwrap();
        let url = simulator.url("clip.mp4");
        let wrong = Some(Credentials::new("testuser", "geheim"));
        for (credentials, expected) in [(wrong, "does not accept"), (None, "none are configured")] {
            let mut camera = Camera::connect(quick(&url).with_credentials(credentials));
            let error = lost(&mut camera).await;
            assert_eq!(
                (error.kind(), error.status_code()),
                (ErrorKind::Authentication, Some(401))
            );
            let text = format!("{error} {error:?}");
            assert!(text.contains(expected) && !text.contains("geheim"), "{text}");
        }
        let mut camera = Camera::connect(quick(&url));
        established(&mut camera).await;
        assert_eq!(simulator.counters().rejected_credentials, 1);
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_404_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    for path in ["none.mp4", "../clip.mp4"] {
        let mut camera = Camera::connect(quick(&simulator.url(path)));
        let error = lost(&mut camera).await;
        assert_eq!(
            (error.kind(), error.status_code()),
            (ErrorKind::Protocol, Some(404)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_closed_port_is_a_network_error() {
    let port = ClosedPort::new();
    let mut camera = Camera::connect(quick(&port.url()));
    let error = lost(&mut camera).await;
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
    assert!(matches!(next(&mut camera).await, CameraEvent::Waiting { .. }));
    assert_eq!(lost(&mut camera).await.kind(), ErrorKind::Network);
    assert!(camera.counters().failed_attempts >= 2);
}

#[tokio::test]
async fn other_protocols_are_a_protocol_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.writable().await;
            let _ = stream.try_write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            // Open until the client has read.
            let _ = stream.readable().await;
        }
    });
    let mut camera = Camera::connect(quick(&url));
    let error = lost(&mut camera).await;
    assert!(
        matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Network),
        "{error}"
    );
}

#[tokio::test]
async fn a_description_on_which_the_parser_panics_is_an_error_and_the_camera_is_tried_again() {
    // Found by fuzzing: a media section that begins with no `m=`.
    const SDP: &[u8] = b"v=0\n\n=\x90\0\r\n\xff=0G\0\r\r";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/x", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 32];
            socket.read_exact(&mut request).await.unwrap();
            let length = SDP.len();
            let head = format!(
                "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(SDP).await.unwrap();
        }
    });
    let mut camera = Camera::connect(quick(&url));
    for _ in 0..2 {
        let error = lost(&mut camera).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(error.to_string().contains("description"), "{error}");
    }
    served.await.unwrap();
}

#[tokio::test]
async fn a_camera_that_never_answers_times_out_and_stop_takes_effect_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/x", listener.local_addr().unwrap());
    let mut camera = Camera::connect(quick(&url).with_timeouts(timeouts(1000, 200, None)));
    let error = lost(&mut camera).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    drop(camera);

    let mut camera = Camera::connect(quick(&url).with_timeouts(endless()));
    listener.accept().await.unwrap();
    assert_eq!(camera.phase(), Phase::Connecting);
    camera.stop();
    assert!(matches!(
        next(&mut camera).await,
        CameraEvent::Stopped {
            reason: CameraStopReason::Asked
        }
    ));
    assert!(camera.next().await.is_none());
    assert_eq!(camera.phase(), Phase::Stopped);
}

#[tokio::test]
async fn a_camera_stops_after_its_give_up_limit() {
    let port = ClosedPort::new();
    let mut camera = Camera::connect(quick(&port.url()).with_timeouts(timeouts(1000, 1000, Some(300))));
    loop {
        if let CameraEvent::Stopped { reason } = next(&mut camera).await {
            assert_eq!(reason, CameraStopReason::GaveUp);
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_wins_at_once_while_playing_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")).with_timeouts(endless()));
    units(&mut camera, 0, 5).await;
    closed(camera, "while it plays").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_was_off_is_established_again_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let first = simulator(directory.path()).await;
    let address = first.address();
    let mut camera = Camera::connect(quick(&first.url("clip.mp4")));
    let before = units(&mut camera, 0, 20).await.pop().unwrap();
    first.shutdown().await;

    let error = lost(&mut camera).await;
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    // Off: at least one attempt fails.
    let error = lost(&mut camera).await;
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");

    let options = SimulatorOptions::new(directory.path())
        .with_credentials(Some(testuser()))
        .with_address(address);
    let second = simulator_again(&options).await;
    established(&mut camera).await;
    let after = units(&mut camera, 0, 20).await;
    assert!(after[0].keyframe && after[0].discontinuity && !after[1].discontinuity);
    assert!(after[0].timestamp_90k > before.timestamp_90k);
    let counters = camera.counters();
    assert_eq!((counters.sessions, counters.lost_sessions), (2, 1));
    assert!(counters.failed_attempts >= 1);
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_closed_is_replaced_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    units(&mut camera, 0, 3).await;
    simulator.set_refusing(true);
    simulator.close_connections();
    lost(&mut camera).await;
    lost(&mut camera).await;
    assert!(simulator.counters().rejected_connections > 0);
    simulator.set_refusing(false);
    established(&mut camera).await;
    units(&mut camera, 0, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_without_a_close_is_noticed_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let options = quick(&simulator.url("clip.mp4")).with_timeouts(timeouts(400, 60_000, None));
    let mut camera = Camera::connect(options);
    // On a busy machine the first units may be late too.
    units_after_losses(&mut camera, 10).await;
    simulator.set_stalled(true);
    let error = lost(&mut camera).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("no media"), "{error}");
    simulator.set_stalled(false);
    let mut found = units_after_losses(&mut camera, 10).await;
    assert!(found.remove(0).discontinuity);
}

/// Units, whatever is lost on the way: a stalled camera accepts sessions and gives nothing.
async fn units_after_losses(camera: &mut Camera, count: usize) -> Vec<lva_rtsp::AccessUnit> {
    let mut found = Vec::new();
    while found.len() < count {
        if let CameraEvent::Unit(unit) = next(camera).await {
            found.push(unit);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_stall_goes_on_in_the_present_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    units(&mut camera, 0, 10).await;
    simulator.set_stalled(true);
    // What was on its way still comes; the stall itself is a silence of this length.
    let silence = Duration::from_millis(1200);
    let mut last = 0;
    while let Ok(Some(event)) = tokio::time::timeout(silence, camera.next()).await {
        if let CameraEvent::Unit(unit) = event {
            last = unit.timestamp_90k;
        }
    }
    simulator.set_stalled(false);
    let after = units(&mut camera, 0, 1).await.remove(0);
    assert!(after.keyframe);
    assert!(
        after.timestamp_90k > last + 80_000,
        "{} ticks after the stall",
        after.timestamp_90k - last
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_packets_are_counted_and_do_not_end_the_session_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    units(&mut camera, 0, 20).await;
    simulator.drop_packets(7);
    let after = units(&mut camera, 0, 60).await;
    let broken: Vec<_> = after.iter().filter(|unit| unit.lost_before > 0).collect();
    assert!(!broken.is_empty() && broken.iter().all(|unit| unit.discontinuity));
    assert_eq!(broken.iter().map(|unit| unit.lost_before).sum::<u32>(), 7);
    let counters = camera.counters();
    assert_eq!(
        (counters.lost_packets, counters.sessions, counters.lost_sessions),
        (7, 1, 0)
    );
    assert_eq!(simulator.counters().dropped_packets, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_consumer_loses_counted_units_and_continues_at_a_keyframe_or_skips() {
    const QUEUE: usize = 10;
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let queue = QueueLimits::default().with_units(QUEUE);
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")).with_queue(queue));
    established(&mut camera).await;
    let patience = Instant::now();
    while camera.counters().dropped_queue_full < 2 {
        assert!(patience.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    let queued = camera.counters();
    assert_eq!(queued.units, QUEUE as u64);
    let kept = units(&mut camera, 0, QUEUE).await;
    assert!(kept.iter().all(|unit| !unit.discontinuity));
    let next = units(&mut camera, 0, 1).await.remove(0);
    assert!(next.keyframe && next.discontinuity);
    let counters = camera.counters();
    assert!(counters.dropped_queue_full + counters.dropped_no_keyframe >= 2);
    assert_eq!(counters.lost_sessions, 0);
}

#[tokio::test]
async fn credentials_in_the_address_are_used_when_the_operator_passes_them_on_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let text = simulator
        .url("clip.mp4")
        .replace("rtsp://", "  rtsp://testuser:testpassword@")
        + " ";
    let (url, credentials) = CameraUrl::parse_with_credentials(&text).unwrap();
    let mut camera = Camera::connect(CameraOptions::new(url).with_credentials(credentials));
    established(&mut camera).await;
}

//! Cameras and extensions that die and come back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lva_graph_runtime::DropReason;
use lva_inference_schema::EventName;
use lva_inference_schema::body::EventBody;

use crate::support::*;

/// How long a part is away: longer than any buffer lasts.
const OUTAGE: Duration = Duration::from_secs(10);
/// Frames a second that the extension is offered.
const RATE: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_is_dead_for_ten_seconds_is_said_and_its_return_gives_events_and_clips_again() {
    let directory = tempfile::tempdir().unwrap();
    let served = make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let (url, address) = (simulator.url("clip.mp4"), simulator.address());
    let server = Server::start(Script::every(10), 0).await;
    let (module, events) = module(&directory.path().join("recordings"));
    activate(&module, topology(vec![], vec![]), instance(&url, server.port)).await;
    events.wait(EventName::Inference, 0).await;

    simulator.shutdown().await;
    let (lost, event) = events.wait(EventName::NetworkError, 0).await;
    assert_eq!(
        event.subject.to_string(),
        "/graphInstances/Sample-Graph-1/sources/rtspSource"
    );
    // The outage is what is tested, and time is all it consists of.
    tokio::time::sleep(OUTAGE).await;
    let _simulator = camera(directory.path(), Some(address)).await;
    let (again, _) = events.wait(EventName::MediaSessionEstablished, lost).await;
    let before: Vec<u64> = events.all()[..again]
        .iter()
        .filter(|e| e.name == EventName::Inference)
        .map(|e| e.timestamp_90k)
        .collect();
    let (_, event) = events.wait(EventName::Inference, again).await;
    assert!(
        before.iter().all(|time| *time < event.timestamp_90k),
        "media time goes on"
    );
    assert!(
        event.timestamp_90k - before.last().unwrap() >= OUTAGE.as_secs() * 90_000,
        "media time shows the length of the gap"
    );
    let (_, available) = events.wait(EventName::RecordingAvailable, again).await;
    let EventBody::Recording(recording) = &available.body else {
        panic!("{available:?}");
    };

    let stats = deactivate(&module).await;
    assert_eq!(stats.camera_sessions, 2);
    let clip = stats
        .newest_clips
        .iter()
        .find(|clip| clip.path.to_string_lossy().contains(&recording.output_location))
        .unwrap();
    let (own, recorded) = (packet_hashes(&served), packet_hashes(&clip.path));
    assert!(recorded.iter().all(|packet| own.contains(packet)), "{clip:?}");
    let start = own.iter().position(|packet| *packet == recorded[0]).unwrap();
    assert_eq!(start % 30, 0, "the clip begins with a key frame");
    assert_accounts(&stats, "computerVisionExtension");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_that_is_dead_for_ten_seconds_costs_counted_frames_and_no_frame_gets_another_s_result() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let script = Script::every(5);
    let server = Server::start(script.clone(), 0).await;
    let port = server.port;
    let (module, events) = module(&directory.path().join("recordings"));
    activate(
        &module,
        topology(vec![], vec![]),
        instance(&simulator.url("clip.mp4"), port),
    )
    .await;
    events.wait(EventName::Inference, 0).await;

    server.kill().await;
    let (lost, event) = events.wait(EventName::NetworkError, 0).await;
    assert_eq!(
        event.subject.to_string(),
        "/graphInstances/Sample-Graph-1/processors/computerVisionExtension"
    );
    let dropped = until(&module, |stats| {
        stats.dropped_for(DropReason::ExtensionUnavailable) >= OUTAGE.as_secs() * RATE
    })
    .await;
    assert_eq!(dropped.camera_sessions, 1, "the camera is not bothered");
    let server = Server::start(script.clone(), port).await;
    events.wait(EventName::Inference, lost).await;

    let stats = deactivate(&module).await;
    assert_eq!(script.sessions.load(Ordering::SeqCst), 2);
    assert_eq!(stats.extensions["computerVisionExtension"].sessions, 2);
    assert_accounts(&stats, "computerVisionExtension");
    for event in events
        .all()
        .iter()
        .filter(|event| event.name == EventName::Inference)
    {
        let (time, about) = frame_of(event);
        assert_eq!(about, time.to_string());
    }
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_the_published_protocol_error() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let (module, events) = module(directory.path());
    let mut instance = instance(&simulator.url("clip.mp4"), 1);
    instance["properties"]["parameters"][2]["value"] = "sesame".into();
    activate(&module, topology(vec![], vec![]), instance).await;
    let (_, event) = events.wait(EventName::ProtocolError, 0).await;
    let text = event.envelope("/t").to_string();
    assert!(
        text.contains(r#""code":"401""#) && text.contains(r#""protocol":"rtsp""#),
        "{text}"
    );
    assert!(text.contains("the camera answered 401: "), "{text}");
    assert!(!text.contains("sesame") && !text.contains(USER), "{text}");
    module.shutdown().await;
}

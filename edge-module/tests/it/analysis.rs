//! `lva-edge spatial-analysis` and a client of the extension protocol.

use lva_extension_protocol::client::{ClientOptions, SessionEvent, Transfer, connect};
use lva_extension_protocol::{ExtensionUrl, FrameFormat, GraphIdentity, PixelFormat, SharedMemoryOptions};
use serde_json::json;

use crate::ended::run;
use crate::process::Process;
use crate::within;

/// A module twin with two operations.
fn twin() -> String {
    let operation = |zone: &str| {
        let space = json!({"zones": [{"name": zone, "polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}]});
        json!({
            "operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon",
            "version": 1, "enabled": true,
            "parameters": {"SPACEANALYTICS_CONFIG": space.to_string()},
        })
    };
    json!({"graphs": {"door-1": operation("door"), "gate-1": operation("gate")}}).to_string()
}

// The clients' connections go on while the test waits for lines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_answered_by_the_operation_of_their_instance_and_drained_at_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("twin.json"), twin()).unwrap();
    let mut server = Process::start(
        directory.path(),
        &[
            "spatial-analysis",
            "--port",
            "0",
            "--unix",
            "analysis.sock",
            "--config",
            "twin.json",
        ],
    );
    let tcp: ExtensionUrl = format!("tcp://{}", server.after("listening: tcp://"))
        .parse()
        .unwrap();
    server.line("listening: unix:");
    server.line("archon_allGraphsStarted");
    let socket = directory.path().join("analysis.sock");
    let format = FrameFormat::raw(PixelFormat::Bgr24, 160, 90).unwrap();
    let from = |url: ExtensionUrl, instance: &str| {
        ClientOptions::new(url, format)
            .with_transfer(Transfer::SharedMemory(SharedMemoryOptions::default()))
            .with_identity(GraphIdentity::new(instance, "computerVisionExtension"))
    };
    for (url, instance) in [(tcp.clone(), "door-1"), (ExtensionUrl::unix(&socket), "gate-1")] {
        let mut session = within("a stream", connect::<u32>(&from(url, instance)))
            .await
            .unwrap();
        let mut slot = session.frames.slot().unwrap();
        slot.fill(0);
        slot.send(90_000, &[], 17).unwrap();
        match within("an answer", session.answers.next()).await.unwrap() {
            Some(SessionEvent::Answered(answer)) => assert_eq!(answer.context, 17),
            other => panic!("{other:?}"),
        }
    }
    let refused = within("a refusal", connect::<u32>(&from(tcp, "attic-1"))).await;
    let refused = refused.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("door-1, gate-1"), "{refused}");

    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("frames 2, answered 2"), "{log}");
    assert!(log.contains("archon_exit"), "{log}");
    assert!(!socket.exists(), "the socket is removed");
}

#[test]
fn what_cannot_be_served_is_named_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("empty.json"), "{}").unwrap();
    let failed = |args: &[&str], expected: &str| {
        let (code, _, error) = run(
            directory.path(),
            &[&["spatial-analysis", "--port", "0"], args].concat(),
        );
        assert!(code == Some(2) && error.contains(expected), "{error}");
    };
    failed(&["--config", "empty.json"], "give \"zones\" or \"lines\"");
    failed(&["--config", "nowhere.json"], "nowhere.json");
    failed(&["--model", "nowhere.onnx"], "nowhere.onnx");
    failed(&["--family", "fastest-det"], "--model FILE");
    failed(&["--bind", "203.0.113.1"], "an address of this machine");
}

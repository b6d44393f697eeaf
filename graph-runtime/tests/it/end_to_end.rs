//! From a camera to an event and a clip.

use std::sync::atomic::Ordering;

use lva_extension_protocol::FrameEncoding;
use lva_graph_runtime::DropReason;
use lva_inference_schema::body::EventBody;
use lva_inference_schema::{EventName, EventType, parse_event_time};
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_published_at_the_time_of_its_frame_and_recorded_from_the_camera_s_own_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let served = make_clip(directory.path());
    let recordings = directory.path().join("recordings");
    let simulator = camera(directory.path(), None).await;
    let script = Script::every(20);
    let server = Server::start(script.clone(), 0).await;
    let (module, events) = module(&recordings);
    activate(
        &module,
        topology(vec![], vec![]),
        instance(&simulator.url("clip.mp4"), server.port),
    )
    .await;

    let (_, established) = events.wait(EventName::MediaSessionEstablished, 0).await;
    assert_eq!(
        established.subject.to_string(),
        "/graphInstances/Sample-Graph-1/sources/rtspSource"
    );
    let EventBody::MediaSessionEstablished(body) = &established.body else {
        panic!("{established:?}");
    };
    assert!(body.sdp.starts_with("SDP:\nv=0\r\n"), "{:?}", body.sdp);

    let (_, first) = events.wait(EventName::Inference, 0).await;
    assert_eq!(first.output.as_deref(), Some("inferenceOutput"));
    let json: Value = serde_json::from_str(&first.envelope("/topic").to_string()).unwrap();
    let properties = &json["applicationProperties"];
    assert_eq!(
        properties["subject"],
        "/graphInstances/Sample-Graph-1/processors/computerVisionExtension"
    );
    assert_eq!(
        properties["eventType"],
        "Microsoft.Media.Graph.Analytics.Inference"
    );
    let time = json["body"]["timestamp"].as_u64().unwrap();
    assert_eq!(
        parse_event_time(properties["eventTime"].as_str().unwrap()).unwrap(),
        time / 90 * 90
    );
    assert_eq!(
        json["body"]["inferences"][1]["event"]["properties"]["frame"],
        time.to_string()
    );
    assert_eq!(json["body"]["inferences"][1]["relatedInferences"], json!(["p1"]));
    // The frame is 320×120 with the 160×120 picture in its middle: the box comes back in the camera's picture.
    let bounds = &json["body"]["inferences"][0]["entity"]["box"];
    assert_eq!(bounds, &json!({"l": 0.0, "t": 0.0, "w": 0.5, "h": 1.0}));

    let (_, available) = events.wait(EventName::RecordingAvailable, 0).await;
    let EventBody::Recording(recording) = &available.body else {
        panic!("{available:?}");
    };
    assert_eq!(recording.output_type.as_str(), "assetName");
    assert!(
        recording.output_location.starts_with("clip-Sample-Graph-1-2"),
        "{recording:?}"
    );

    let stats = deactivate(&module).await;
    assert_eq!(
        events.count(EventName::RecordingStarted),
        events.count(EventName::RecordingAvailable)
    );
    assert_eq!(
        events.count(EventName::RecordingStopped),
        events.count(EventName::RecordingAvailable)
    );
    for event in events.all() {
        let kind: EventType = event.name.in_family(event.subject.family());
        assert!(kind.known().is_some());
        if event.name == EventName::Inference {
            let (time, about) = frame_of(&event);
            assert_eq!(about, time.to_string(), "an answer of another frame");
            assert_eq!(event.timestamp_90k, time);
        }
    }
    assert_accounts(&stats, "computerVisionExtension");
    assert!(stats.decoded <= stats.received && stats.decoded > 0, "{stats:?}");
    assert_eq!(stats.extensions["computerVisionExtension"].sessions, 1);
    assert!(stats.frame_to_event.count > 0 && stats.frame_to_event.p50 <= stats.frame_to_event.p99);
    let shown = script.format.lock().unwrap().clone().unwrap();
    assert!(shown.shared_memory && shown.identity.graph_node_name == "computerVisionExtension");
    assert_eq!(shown.format.unwrap().frame_bytes(), Some(320 * 120 * 3));

    let clip = stats.newest_clips.first().unwrap();
    assert_eq!(
        clip.path.parent().unwrap(),
        recordings.join(&recording.output_location)
    );
    assert!(clip.first_timestamp_90k <= first.timestamp_90k, "{clip:?}");
    let (own, recorded) = (packet_hashes(&served), packet_hashes(&clip.path));
    assert!(
        recorded.len() >= 55 && recorded.len() as u64 == clip.video_packets,
        "{clip:?}"
    );
    assert!(recorded.iter().all(|packet| own.contains(packet)));
    let start = own.iter().position(|packet| *packet == recorded[0]).unwrap();
    assert_eq!(start % 30, 0, "the clip begins with a key frame");

    must(&module, "GraphInstanceDelete", by_name("Sample-Graph-1")).await;
    must(
        &module,
        "GraphTopologyDelete",
        by_name("InferencingWithCVExtension"),
    )
    .await;
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deactivation_completes_the_clip_that_is_being_written() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let server = Server::start(Script::every(5), 0).await;
    let (module, events) = module(&directory.path().join("recordings"));
    let mut topology = topology(vec![], vec![]);
    let gate = &mut topology["properties"]["processors"][2];
    gate["minimumActivationTime"] = json!("PT30S");
    gate["maximumActivationTime"] = json!("PT30S");
    activate(
        &module,
        topology,
        instance(&simulator.url("clip.mp4"), server.port),
    )
    .await;

    events.wait(EventName::RecordingStarted, 0).await;
    let stats = deactivate(&module).await;
    assert_eq!(events.count(EventName::RecordingStopped), 1);
    assert_eq!(events.count(EventName::RecordingAvailable), 1);
    assert!(stats.newest_clips[0].path.is_file() && stats.newest_clips[0].video_packets > 0);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_extensions_look_at_one_decoded_stream_each_in_its_own_form() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let raw = Script::every(10);
    let server = Server::start(raw.clone(), 0).await;
    let jpeg = Script::every(1_000_000);
    let second = Server::start(jpeg.clone(), 0).await;
    let node = json!({
        "@type": "#Microsoft.Media.MediaGraphGrpcExtension", "name": "second",
        "endpoint": {
            "@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint",
            "url": format!("tcp://127.0.0.1:{}", second.port),
        },
        "dataTransfer": {"mode": "embedded"},
        "image": {
            "scale": {"mode": "preserveAspectRatio", "width": "80"},
            "format": {"@type": "#Microsoft.Media.MediaGraphImageFormatEncoded", "encoding": "jpeg", "quality": "80"},
        },
        "inputs": [{"nodeName": "rtspSource"}],
    });
    let sink = json!({
        "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink", "name": "secondSink",
        "hubOutputName": "other", "inputs": [{"nodeName": "second"}],
    });
    let (module, _) = module(&directory.path().join("recordings"));
    let topology = topology(vec![node], vec![sink]);
    activate(
        &module,
        topology,
        instance(&simulator.url("clip.mp4"), server.port),
    )
    .await;
    until(&module, |stats| {
        ["second", "computerVisionExtension"]
            .iter()
            .all(|node| stats.extensions[*node].answered >= 10)
    })
    .await;
    let stats = deactivate(&module).await;
    assert!(
        stats.decoded <= stats.received,
        "decoded once for both: {stats:?}"
    );
    assert_accounts(&stats, "second");
    assert_accounts(&stats, "computerVisionExtension");
    let format = jpeg.format.lock().unwrap().clone().unwrap().format.unwrap();
    assert_eq!(
        (format.encoding(), format.width(), format.height()),
        (FrameEncoding::Jpg, 80, 60)
    );
    let [filtered, whole] = ["computerVisionExtension", "second"].map(|node| stats.extensions[node]);
    assert!(
        filtered.filtered > 0 && whole.filtered == 0,
        "only one is filtered"
    );
    for (script, node) in [(raw, filtered), (jpeg, whole)] {
        let shown = script.frames.load(Ordering::SeqCst);
        assert!((node.answered..=node.sent).contains(&shown), "{node:?}");
    }
    assert_eq!(stats.dropped_for(DropReason::NotRendered), 0);
    server.kill().await;
    second.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_decoded_when_no_node_looks_at_pictures() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let mut topology = topology(vec![], vec![]);
    topology["properties"]["processors"] = json!([]);
    topology["properties"]["sinks"] = json!([]);
    let (module, _) = module(directory.path());
    activate(&module, topology, instance(&simulator.url("clip.mp4"), 1)).await;
    let stats = until(&module, |stats| stats.received >= 20).await;
    assert_eq!((stats.decoded, stats.camera_sessions), (0, 1));
    module.shutdown().await;
}

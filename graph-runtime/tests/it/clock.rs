//! The machine's clock is set while a graph runs.

use std::time::Duration;

use lva_graph_runtime::{HubMessage, InstanceStats};
use lva_inference_schema::EventName;
use lva_rtsp::WallClock;
use lva_rtsp_simulator::Faults;
use serde_json::{Value, json};

use crate::support::*;

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: u64 = 90_000;

/// The tutorial's, with all that the camera sends in an asset, and a gate that messages open too.
fn with_trigger() -> Value {
    let everything = json!({
        "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "everything",
        "assetNamePattern": "all-${System.GraphInstanceName}", "segmentLength": "PT30S",
        "localMediaCachePath": "/x", "localMediaCacheMaximumSizeMiB": "200",
        "inputs": [{"nodeName": "rtspSource"}],
    });
    let source = json!({
        "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSource", "name": "messages", "hubInputName": "trigger",
    });
    let mut topology = topology(vec![], vec![everything]);
    let properties = &mut topology["properties"];
    properties["sources"].as_array_mut().unwrap().push(source);
    let gate = &mut properties["processors"][2];
    gate["inputs"] = json!([{"nodeName": "messages"}, {"nodeName": "rtspSource"}]);
    topology
}

fn clips(stats: &InstanceStats) -> usize {
    let all = stats.newest_clips.iter();
    all.filter(|clip| clip.sink == "assetSink").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_forward_and_back_costs_neither_pictures_nor_recordings() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let faults = Faults::default().with_no_reports(true);
    let simulator = faulty_camera(directory.path(), None, faults).await;
    let server = Server::start(Script::every(2), 0).await;
    let clock = WallClock::for_tests();
    let (module, events) = module_with(&directory.path().join("recordings"), |options| {
        options.with_wall_clock(clock.clone())
    });
    let instance = instance(&simulator.url("clip.mp4"), server.port);
    activate(&module, with_trigger(), instance).await;
    // More than the two seconds in which a pre-roll finds its first key frame.
    let before = until(&module, |stats| stats.received >= 60).await;
    let newest = |stats: &InstanceStats| stats.last_picture_90k.unwrap();
    // What a message asks for is recorded, wherever the clock is.
    let record = async |wanted: usize| {
        assert_eq!(module.deliver("trigger", &HubMessage::new()), Ok(1));
        until(&module, |stats| clips(stats) >= wanted).await
    };
    record(1).await;
    clock.set_forward(HOUR);
    // At once, while media still have their old time.
    record(2).await;
    let ahead = until(&module, |stats| newest(stats) > newest(&before) + 3500 * SECOND).await;
    record(3).await;
    clock.set_back(2 * HOUR);
    let back = record(4).await;
    assert!(newest(&back) > newest(&ahead), "time does not go back");
    record(5).await;
    let stats = deactivate(&module).await;

    assert_eq!(stats.camera_sessions, 1);
    assert_nothing_dropped(&stats);
    assert_accounts(&stats, "computerVisionExtension");
    let all = stats.newest_clips.iter();
    let of = |sink: &'static str| all.clone().filter(move |clip| clip.sink == sink);
    let recorded: u64 = of("everything").map(|clip| clip.video_packets).sum();
    assert_eq!(recorded, stats.received, "every picture, in pieces: {stats:?}");
    assert_eq!(
        of("everything").count(),
        2,
        "one before the leap and one after it"
    );
    for clip in of("assetSink") {
        assert!((1.9..4.0).contains(&clip.seconds), "{clip:?}");
    }
    let times: Vec<u64> = events
        .all()
        .iter()
        .filter(|event| event.name == EventName::Inference)
        .map(|event| event.timestamp_90k)
        .collect();
    assert!(times.len() > 20 && times.is_sorted(), "{times:?}");
    server.kill().await;
}

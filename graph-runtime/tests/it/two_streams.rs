//! Two streams of one camera: the sub-stream is looked at, the main stream is recorded.

use std::path::Path;
use std::time::Duration;

use lva_graph_model::{Strictness, Topology};
use lva_graph_runtime::{DropReason, InstanceStats, Module};
use lva_inference_schema::EventName;
use lva_rtsp::Timeouts;
use lva_rtsp_simulator::{Faults, Simulator};
use serde_json::{Value, json};

use crate::support::*;

const SECOND: u64 = 90_000;
/// Pictures of the main stream a second, and of a group.
const MAIN_RATE: u64 = 30;
/// Of both files.
const LENGTH: u64 = 12 * SECOND;
/// The extension looks at ten pictures a second: an event each four seconds.
const EVERY: u64 = 40;

/// `main.mp4` in 320×240 with 30 pictures a second, and `sub.mp4` in 160×120 with 15.
fn make_streams(directory: &Path) {
    for (name, form) in [
        ("main.mp4", "size=320x240:rate=30:duration=12"),
        ("sub.mp4", "size=160x120:rate=15:duration=12"),
    ] {
        let made = make_clip_of(directory, form);
        std::fs::rename(made, directory.join(name)).unwrap();
    }
}

/// The tutorial's topology, whose camera is now the main stream, with the extension behind the sub-stream. A clip begins a
/// second before its event, and ends two seconds after it.
fn with_sub_stream(sub: &str) -> Value {
    let mut topology = topology(vec![], vec![]);
    let properties = &mut topology["properties"];
    let mut source = properties["sources"][0].clone();
    source["name"] = "subStream".into();
    source["endpoint"]["url"] = sub.into();
    properties["sources"].as_array_mut().unwrap().push(source);
    properties["processors"][0]["inputs"] = json!([{"nodeName": "subStream"}]);
    properties["processors"][2]["activationSignalOffset"] = "-PT1S".into();
    topology
}

/// The time of each event, in order.
fn event_times(events: &EventLog) -> Vec<u64> {
    let all = events.all();
    let inferences = all.iter().filter(|event| event.name == EventName::Inference);
    let mut times: Vec<u64> = inferences.map(|event| frame_of(event).0).collect();
    times.sort_unstable();
    times
}

/// Runs until the second event has been recorded: before the first one, a stream may have been late.
async fn record_two(module: &Module, topology: Value, main: &Simulator, server: &Server) -> InstanceStats {
    activate(module, topology, instance(&main.url("main.mp4"), server.port)).await;
    until(module, |stats| stats.clips >= 2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_the_sub_stream_records_the_main_stream_at_the_same_time() {
    let directory = tempfile::tempdir().unwrap();
    make_streams(directory.path());
    let simulator = camera(directory.path(), None).await;
    let script = Script::every(EVERY);
    let server = Server::start(script.clone(), 0).await;
    let (module, events) = module(&directory.path().join("recordings"));
    let topology = with_sub_stream(&simulator.url("sub.mp4"));
    let running = record_two(&module, topology, &simulator, &server).await;
    let stats = deactivate(&module).await;

    let shown = script.format.lock().unwrap().clone().unwrap().format.unwrap();
    assert_eq!(
        (shown.width(), shown.height()),
        (320, 120),
        "the sub-stream, padded"
    );
    assert_eq!(stats.camera_sessions, 2);
    assert!(stats.received_bytes["rtspSource"] > stats.received_bytes["subStream"]);
    // The main stream is not decoded at all.
    assert!(stats.decoded * 2 < stats.received, "{stats:?}");
    assert_nothing_dropped(&stats);
    assert_accounts(&stats, "computerVisionExtension");
    let established = events.all().into_iter();
    let established = established.filter(|event| event.name == EventName::MediaSessionEstablished);
    let mut sources: Vec<String> = established.map(|event| event.subject.to_string()).collect();
    sources.sort();
    let of = |source: &str| format!("/graphInstances/Sample-Graph-1/sources/{source}");
    assert_eq!(sources, [of("rtspSource"), of("subStream")]);

    let event = event_times(&events)[1];
    let clip = &stats.newest_clips[1];
    let (begin, end) = (
        clip.first_timestamp_90k,
        clip.first_timestamp_90k + (clip.seconds * SECOND as f64) as u64,
    );
    // From the key frame at or before a second ahead of it, to two seconds after it, give or take a picture.
    assert!(
        (event - 2 * SECOND..=event - SECOND).contains(&begin),
        "{event}: {clip:?}"
    );
    let last = event + 2 * SECOND + SECOND / 30;
    assert!((last - SECOND / 10..=last).contains(&end), "{event}: {clip:?}");
    // Its pictures are those that the main stream had at these times.
    let (own, recorded) = (
        packet_hashes(&directory.path().join("main.mp4")),
        packet_hashes(&clip.path),
    );
    let first = own.iter().position(|packet| *packet == recorded[0]).unwrap();
    assert_eq!(recorded[..60], own[first..first + 60]);
    let since_start = (begin - running.first_picture_90k.unwrap()) % LENGTH;
    let sent = first as u64 * SECOND / MAIN_RATE;
    assert!(
        since_start.abs_diff(sent) < SECOND / 10,
        "{since_start} and {sent}"
    );
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_common_clock_the_pictures_are_those_that_arrived_with_the_event() {
    const AHEAD_MS: i64 = 4000;
    let directory = tempfile::tempdir().unwrap();
    make_streams(directory.path());
    // The main stream's clock is four seconds ahead, and believed; the sub-stream has none.
    let ahead = Faults::default().with_clock_offset_ms(AHEAD_MS);
    let main = faulty_camera(directory.path(), None, ahead).await;
    let silent = Faults::default().with_no_reports(true);
    let sub = faulty_camera(directory.path(), None, silent).await;
    let server = Server::start(Script::every(EVERY), 0).await;
    let (module, events) = module(&directory.path().join("recordings"));
    record_two(&module, with_sub_stream(&sub.url("sub.mp4")), &main, &server).await;
    let stats = deactivate(&module).await;
    assert_eq!(stats.dropped_for(DropReason::SignalLate), 0);
    let event = event_times(&events)[1] + AHEAD_MS as u64 * 90;
    let begin = stats.newest_clips[1].first_timestamp_90k;
    let earliest = event - 2 * SECOND;
    // Within what a busy machine adds to the delay of a stream, and far from the clocks' difference.
    assert!(
        (earliest - SECOND..=event).contains(&begin),
        "{event} and {begin}"
    );
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_ends_when_one_of_its_streams_is_given_up_and_keeps_what_it_recorded() {
    let directory = tempfile::tempdir().unwrap();
    make_streams(directory.path());
    let simulator = camera(directory.path(), None).await;
    let absent = camera(directory.path(), None).await;
    let sub = absent.url("sub.mp4");
    absent.shutdown().await;
    let (module, events) = module_with(&directory.path().join("recordings"), |options| {
        let timeouts = Timeouts::default().with_give_up(Some(Duration::from_secs(4)));
        options.with_camera_timeouts(timeouts)
    });
    let mut topology = with_sub_stream(&sub);
    let asset = &mut topology["properties"]["sinks"][1];
    asset["inputs"] = json!([{"nodeName": "rtspSource"}]);
    asset["segmentLength"] = "PT30S".into();
    topology["properties"]["processors"]
        .as_array_mut()
        .unwrap()
        .truncate(2);
    activate(&module, topology, instance(&simulator.url("main.mp4"), 1)).await;
    events.wait(EventName::GraphInstanceFailed, 0).await;
    let stats = module.stats("Sample-Graph-1").unwrap();
    assert!(stats.received > 0 && stats.clips == 1, "{stats:?}");
    assert_eq!(stats.newest_clips[0].video_packets, stats.received);
}

#[test]
fn two_streams_are_refused_where_the_retired_product_s_rules_hold() {
    let topology = Topology::from_value(with_sub_stream("rtsp://127.0.0.1/sub")).unwrap();
    let errors = |strictness| {
        let findings = topology.validate(strictness);
        findings.iter().filter(|found| found.is_error()).count()
    };
    assert_eq!((errors(Strictness::Open), errors(Strictness::Compatible)), (0, 1));
}

use std::collections::BTreeMap;

use lva_graph_model::Topology;
use lva_graph_runtime::ExtensionStats;
use serde_json::{Value, json};

use super::*;
use crate::topology_run::instance_of;

/// When the made-up runs begin, in seconds since 1970.
const BEGIN: f64 = 1_700_000_000.0;
const GOP: f64 = 2.0;

fn graph(processors: Value, sinks: Value) -> Graph {
    let document = json!({
        "@apiVersion": "2.0", "name": "t",
        "properties": {
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
                "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "rtsp://camera/a"},
            }],
            "processors": processors, "sinks": sinks,
        },
    });
    let topology = Topology::from_value(document).unwrap();
    instance_of(&topology, &BTreeMap::new()).unwrap().1
}

fn node(kind: &str, name: &str, inputs: &[&str], more: Value) -> Value {
    let inputs: Vec<Value> = inputs.iter().map(|input| json!({"nodeName": input})).collect();
    let mut node =
        json!({"@type": format!("#Microsoft.Media.MediaGraph{kind}"), "name": name, "inputs": inputs});
    for (member, value) in more.as_object().unwrap() {
        node[member] = value.clone();
    }
    node
}

fn hub(name: &str, from: &str, output: &str) -> Value {
    node(
        "IoTHubMessageSink",
        name,
        &[from],
        json!({"hubOutputName": output}),
    )
}

fn extension(name: &str, from: &str) -> Value {
    let more = json!({
        "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "http://extension/score"},
        "image": {"format": {"@type": "#Microsoft.Media.MediaGraphImageFormatBmp"}},
    });
    node("HttpExtension", name, &[from], more)
}

fn motion() -> Value {
    node("MotionDetectionProcessor", "motion", &["camera"], json!({}))
}

fn gate(times: Value) -> Value {
    node("SignalGateProcessor", "gate", &["motion", "camera"], times)
}

fn asset(from: &str) -> Value {
    let more =
        json!({"assetNamePattern": "a", "localMediaCachePath": "/x", "localMediaCacheMaximumSizeMiB": "9"});
    node("AssetSink", "asset", &[from], more)
}

fn files(from: &str) -> Value {
    let more = json!({"baseDirectoryPath": "/x", "fileNamePattern": "f", "maximumSizeMiB": "9"});
    node("FileSink", "files", &[from], more)
}

/// A gate of thirty seconds with an asset behind it.
fn gated(times: Value) -> Expected {
    Expected::of(&graph(json!([motion(), gate(times)]), json!([asset("gate")])))
}

fn thirty_seconds() -> Value {
    json!({"minimumActivationTime": "PT30S", "maximumActivationTime": "PT30S"})
}

/// A run of 40 seconds without events and recordings.
fn run() -> Outcome {
    let mut outcome = Outcome::default();
    outcome.stats.received = 1200;
    outcome.stats.camera_sessions = 1;
    outcome.stats.first_picture_90k = Some((BEGIN * SECOND) as u64);
    outcome.stats.last_picture_90k = Some(((BEGIN + 40.0) * SECOND) as u64);
    outcome
}

impl Outcome {
    fn messages(mut self, node: &str, output: &str, count: u64) -> Self {
        let key = (node.to_owned(), Some(output.to_owned()));
        self.heard.inferences.insert(key, count);
        self
    }

    fn frames(mut self, node: &str, sent: u64, answered: u64) -> Self {
        let mut stats = ExtensionStats::default();
        (stats.sent, stats.answered) = (sent, answered);
        self.stats.extensions.insert(node.to_owned(), stats);
        self
    }

    fn started(mut self, sink: &str, count: u64) -> Self {
        self.heard.recordings.insert(sink.to_owned(), count);
        self
    }

    /// A file from one second of the run to another.
    fn file(mut self, sink: &str, from: f64, to: f64, audio_packets: u64) -> Self {
        self.recordings.push(Recorded {
            sink: sink.to_owned(),
            path: format!("{sink}.mp4"),
            begin: BEGIN + from,
            seconds: to - from,
            contents: Contents::Read {
                first_keyframe: true,
                longest_gop: GOP,
                audio_packets,
            },
        });
        self
    }

    fn changed(mut self, contents: Contents) -> Self {
        self.recordings.last_mut().unwrap().contents = contents;
        self
    }
}

#[test]
fn each_message_sink_needs_messages_on_its_own_output() {
    let processors = json!([motion(), extension("people", "camera")]);
    let sinks = json!([hub("moves", "motion", "a"), hub("persons", "people", "b")]);
    let expected = Expected::of(&graph(processors, sinks));
    let one = run().frames("people", 9, 9).messages("motion", "a", 5);
    assert_eq!(
        expected.missing(&one),
        ["'persons' received no messages from 'people'"]
    );
    assert!(!expected.has_started(&one.stats, &one.heard));
    let elsewhere = one.clone().messages("people", "a", 5);
    assert_eq!(
        expected.missing(&elsewhere),
        ["'persons' received no messages from 'people'"]
    );
    let both = one.messages("people", "b", 1);
    assert_eq!(expected.missing(&both), [""; 0]);
    assert!(expected.has_started(&both.stats, &both.heard));
}

#[test]
fn sinks_that_share_an_output_are_told_apart_by_the_node_and_else_by_the_count() {
    let processors = json!([motion(), extension("people", "camera")]);
    let sinks = json!([
        hub("moves", "motion", "a"),
        hub("persons", "people", "a"),
        hub("copy", "people", "a")
    ]);
    let expected = Expected::of(&graph(processors, sinks));
    let one = run().frames("people", 9, 9).messages("motion", "a", 5);
    let persons = "'persons' received no messages from 'people'";
    let copy = "'copy' received no messages from 'people'";
    assert_eq!(expected.missing(&one), [persons, copy]);
    assert_eq!(
        expected.missing(&one.clone().messages("people", "a", 1)),
        [persons, copy]
    );
    assert_eq!(expected.missing(&one.messages("people", "a", 2)), [""; 0]);
}

#[test]
fn every_extension_has_to_answer_those_behind_motion_too() {
    let processors = json!([
        motion(),
        extension("all", "camera"),
        extension("moving", "motion")
    ]);
    let expected = Expected::of(&graph(processors, json!([hub("hub", "all", "a")])));
    let published = run().messages("all", "a", 5).frames("all", 5, 5);
    assert_eq!(expected.missing(&published), ["'moving' received no frames"]);
    let mute = published.clone().frames("moving", 7, 0);
    assert_eq!(expected.missing(&mute), ["'moving' answered none of 7 frames"]);
    assert!(!expected.has_started(&mute.stats, &mute.heard));
    assert_eq!(expected.missing(&published.frames("moving", 7, 1)), [""; 0]);
}

#[test]
fn only_the_end_of_the_run_may_cut_a_recording_short() {
    let expected = gated(thirty_seconds());
    let stub = run().started("asset", 1).file("asset", 5.0, 5.1, 0);
    let missing = expected.missing(&stub);
    assert_eq!(
        missing,
        ["'asset' recorded 0.1 s after an event, expected at least 27.8 s"]
    );
    let at_the_end = run().started("asset", 1).file("asset", 39.9, 40.0, 0);
    assert_eq!(expected.missing(&at_the_end), [""; 0]);
    let whole = run().started("asset", 1).file("asset", 4.0, 34.5, 0);
    assert_eq!(expected.missing(&whole), [""; 0]);
    let nothing = expected.missing(&run());
    assert_eq!(nothing, ["'asset' recorded nothing"]);
}

#[test]
fn a_recording_longer_than_its_gate_by_more_than_a_group_of_pictures_is_reported() {
    let times = json!({"minimumActivationTime": "PT10S", "maximumActivationTime": "PT20S"});
    let expected = gated(times);
    let long = run().started("asset", 1).file("asset", 2.0, 30.0, 0);
    let missing = expected.missing(&long);
    assert_eq!(
        missing,
        ["'asset' recorded 28.0 s in one piece, expected at most 22.2 s"]
    );
    // Nor in segments that are longer than the gate was open.
    let segments = run()
        .started("asset", 1)
        .file("asset", 2.0, 20.0, 0)
        .file("asset", 20.03, 38.0, 0);
    let missing = expected.missing(&segments);
    assert_eq!(missing, ["'asset' made 2 recordings and reported 1"]);
}

#[test]
fn the_segments_of_a_recording_are_joined_and_start_before_the_event() {
    let mut times = thirty_seconds();
    times["activationSignalOffset"] = json!("-PT5S");
    let expected = gated(times);
    // From five seconds before the event at second 9 to thirty after it; then the next, whose beginning was recorded before.
    let segments = run()
        .started("asset", 2)
        .file("asset", 4.0, 35.0, 0)
        .file("asset", 35.03, 39.0, 0)
        .file("asset", 33.0, 40.0, 0);
    assert_eq!(expected.missing(&segments), [""; 0]);
    let without_the_time_before = run().started("asset", 1).file("asset", 7.9, 35.0, 0);
    let missing = expected.missing(&without_the_time_before);
    assert_eq!(
        missing,
        ["'asset' recorded 27.1 s after an event, expected at least 32.8 s"]
    );
    let early = run().started("asset", 1).file("asset", 0.0, 31.0, 0);
    assert_eq!(
        expected.missing(&early),
        [""; 0],
        "the first picture is that of the event"
    );
}

#[test]
fn files_are_never_segments_of_one_recording() {
    let processors = json!([motion(), gate(thirty_seconds())]);
    let expected = Expected::of(&graph(processors, json!([files("gate")])));
    let split = run()
        .started("files", 2)
        .file("files", 4.0, 20.0, 0)
        .file("files", 20.03, 34.0, 0);
    assert_eq!(expected.missing(&split).len(), 2);
}

#[test]
fn audio_is_required_where_the_selectors_pass_it_and_nowhere_else() {
    let every = Expected::of(&graph(json!([]), json!([asset("camera")])));
    let mut video = asset("camera");
    video["inputs"][0]["outputSelectors"] =
        json!([{"property": "mediaType", "operator": "is", "value": "video"}]);
    let video = Expected::of(&graph(json!([]), json!([video]))).with_audio(true);
    let silent = run().started("asset", 1).file("asset", 0.0, 40.0, 0);
    assert_eq!(
        every.missing(&silent),
        [""; 0],
        "this camera may have no microphone"
    );
    let every = every.with_audio(true);
    assert_eq!(every.missing(&silent), ["asset.mp4 has no audio"]);
    assert_eq!(video.missing(&silent), [""; 0]);
    let loud = run().started("asset", 1).file("asset", 0.0, 40.0, 1500);
    assert_eq!(every.missing(&loud), [""; 0]);
    assert_eq!(
        video.missing(&loud),
        ["asset.mp4 contains audio, which the topology excludes"]
    );
}

#[test]
fn a_selector_before_the_gate_excludes_audio_too() {
    let mut before = gate(thirty_seconds());
    before["inputs"][1]["outputSelectors"] =
        json!([{"property": "mediaType", "operator": "isNot", "value": "audio"}]);
    let expected = Expected::of(&graph(json!([motion(), before]), json!([asset("gate")]))).with_audio(true);
    let silent = run().started("asset", 1).file("asset", 4.0, 34.5, 0);
    assert_eq!(expected.missing(&silent), [""; 0]);
}

#[test]
fn a_continuous_recording_has_no_gap() {
    let expected = Expected::of(&graph(json!([]), json!([asset("camera")])));
    let gap = run()
        .started("asset", 1)
        .file("asset", 0.0, 10.0, 0)
        .file("asset", 20.0, 40.0, 0);
    assert_eq!(expected.missing(&gap), ["'asset' recorded 30.0 of 40.0 s"]);
    let whole = run()
        .started("asset", 1)
        .file("asset", 0.0, 30.0, 0)
        .file("asset", 30.03, 40.0, 0);
    assert_eq!(expected.missing(&whole), [""; 0]);
}

#[test]
fn removed_files_were_recorded_and_unreadable_files_are_reported() {
    let expected = Expected::of(&graph(json!([]), json!([asset("camera")])));
    let file = run().started("asset", 1).file("asset", 0.0, 40.0, 0);
    assert_eq!(
        expected.missing(&file.clone().changed(Contents::Removed)),
        [""; 0]
    );
    let unreadable = Contents::Unreadable("cannot read asset.mp4".to_owned());
    assert_eq!(
        expected.missing(&file.clone().changed(unreadable)),
        ["cannot read asset.mp4"]
    );
    let headless = Contents::Read {
        first_keyframe: false,
        longest_gop: GOP,
        audio_packets: 0,
    };
    assert_eq!(
        expected.missing(&file.changed(headless)),
        ["asset.mp4 does not start with a keyframe"]
    );
}

#[test]
fn recordings_of_one_sink_do_not_count_for_another() {
    let processors = json!([motion(), gate(thirty_seconds())]);
    let expected = Expected::of(&graph(processors, json!([asset("gate"), files("gate")])));
    let twice = run().started("asset", 2);
    assert!(!expected.has_started(&twice.stats, &twice.heard));
    let both = run().started("asset", 1).started("files", 1);
    assert!(expected.has_started(&both.stats, &both.heard));
}

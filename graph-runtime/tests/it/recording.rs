//! Sinks behind a camera and behind gates, and what they leave on the disk.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use lva_graph_runtime::{DropReason, GraphEvent, InstanceStats};
use lva_inference_schema::EventName;
use lva_inference_schema::body::EventBody;
use lva_recording::{
    MediaTime, MediaUnit, Recorder, SegmentDirectory, SegmentOptions, Tracks, VideoCodec, VideoTrack,
};
use serde_json::{Value, json};

use crate::support::*;

/// A sink that records all that the camera sends into one asset.
pub(crate) fn everything() -> Value {
    json!({
        "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "everything",
        "assetNamePattern": "all-${System.GraphInstanceName}", "segmentLength": "PT30S",
        "localMediaCachePath": "/var/lib/azuremediaservices/tmp/", "localMediaCacheMaximumSizeMiB": "200",
        "inputs": [{"nodeName": "rtspSource"}],
    })
}

pub(crate) const EVERYTHING: &str = "/graphInstances/Sample-Graph-1/sinks/everything";

/// The events of the sink about its recordings, in order. Drops are reported at any time, and checked by their counts.
pub(crate) fn emitted(events: &EventLog) -> Vec<EventName> {
    let all = events.all().into_iter();
    all.filter(|event| event.subject.to_string() == EVERYTHING && event.name != EventName::DataDropped)
        .map(|event| event.name)
        .collect()
}

/// Nothing was dropped but what the disk rejected, and that was reported.
pub(crate) fn assert_only_the_disk_refused(stats: &InstanceStats, events: &EventLog) {
    let refused = stats.dropped_for(DropReason::NotWritten);
    assert!(refused > 0, "{stats:?}");
    let mut reasons = stats.dropped.keys().map(|(_, reason)| *reason);
    assert!(
        reasons.all(|reason| reason == DropReason::NotWritten || is_of_a_busy_machine(reason)),
        "{:?}",
        stats.dropped
    );
    let not_written = stats.recordings.values().map(|stats| stats.recorder.not_written);
    assert_eq!(not_written.sum::<u64>(), refused);
    let drops = events.all().into_iter().filter_map(|event| match &event.body {
        EventBody::DataDropped(body) => Some(body.count_of("notWritten")),
        _ => None,
    });
    assert_eq!(drops.sum::<u64>(), refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asset_behind_the_camera_is_recorded_from_activation_to_deactivation_and_goes_on_the_next_time() {
    let directory = tempfile::tempdir().unwrap();
    let served = make_clip(directory.path());
    let recordings = directory.path().join("recordings");
    let simulator = camera(directory.path(), None).await;
    let (module, events) = module(&recordings);
    let mut topology = topology(vec![], vec![]);
    topology["properties"]["processors"] = json!([]);
    topology["properties"]["sinks"] = json!([everything()]);
    activate(&module, topology, instance(&simulator.url("clip.mp4"), 1)).await;
    let (first, started) = events.wait(EventName::RecordingStarted, 0).await;
    let EventBody::Recording(recording) = &started.body else {
        panic!("{started:?}");
    };
    assert_eq!(
        (recording.output_type.as_str(), recording.output_location.as_str()),
        ("assetName", "all-Sample-Graph-1")
    );
    until(&module, |stats| stats.received >= 60).await;
    let stats = deactivate(&module).await;
    let names: Vec<EventName> = events.all()[first..].iter().map(|event| event.name).collect();
    let expected = [
        EventName::RecordingStarted,
        EventName::RecordingStopped,
        EventName::RecordingAvailable,
        EventName::GraphInstanceStopped,
    ];
    assert_eq!(names, expected);
    let clip = &stats.newest_clips[0];
    assert_eq!(clip.path.parent().unwrap(), recordings.join("all-Sample-Graph-1"));
    assert_eq!(
        clip.video_packets, stats.received,
        "everything from the first key frame on"
    );
    let own = packet_hashes(&served);
    assert!(
        packet_hashes(&clip.path)
            .iter()
            .all(|packet| own.contains(packet))
    );

    must(&module, "GraphInstanceActivate", by_name("Sample-Graph-1")).await;
    events.wait(EventName::RecordingStarted, first + 1).await;
    until(&module, |stats| stats.received >= 45).await;
    deactivate(&module).await;
    let playlist = fs::read_to_string(recordings.join("all-Sample-Graph-1/index.m3u8")).unwrap();
    assert_eq!(playlist.matches("#EXTINF:").count(), 2, "{playlist}");
    assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert!(playlist.ends_with("#EXT-X-ENDLIST\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_deleted_under_way_costs_a_second_of_that_sink_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let recordings = directory.path().join("recordings");
    let simulator = camera(directory.path(), None).await;
    let server = Server::start(Script::every(1), 0).await;
    let (module, events) = module(&recordings);
    let topology = topology(vec![], vec![everything()]);
    let instance = instance(&simulator.url("clip.mp4"), server.port);
    activate(&module, topology, instance).await;
    let asset = recordings.join("all-Sample-Graph-1");
    until(&module, |stats| stats.received >= 60).await;
    fs::remove_dir_all(&asset).unwrap();
    events.wait(EventName::StorageError, 0).await;
    let inferences = events.count(EventName::Inference);
    let again = || {
        emitted(&events)
            .iter()
            .filter(|name| **name == EventName::RecordingStarted)
            .count()
            == 2
    };
    let before = until(&module, |_| again()).await;
    until(&module, |stats| stats.received >= before.received + 30).await;
    let stats = deactivate(&module).await;
    server.kill().await;
    let expected = [
        EventName::RecordingStarted,
        EventName::StorageError,
        EventName::RecordingStopped,
        EventName::RecordingStarted,
        EventName::RecordingStopped,
        EventName::RecordingAvailable,
    ];
    assert_eq!(emitted(&events), expected);
    let clip = stats
        .newest_clips
        .iter()
        .find(|clip| clip.path.parent() == Some(&asset))
        .unwrap();
    assert!(clip.path.is_file() && clip.seconds > 0.9, "{clip:?}");
    assert!(
        events.count(EventName::Inference) > inferences,
        "analysis went on"
    );
    let recorded = stats.recordings["everything"].recorder;
    assert_eq!((recorded.started, recorded.failed, recorded.files), (2, 1, 1));
    // From the key frame that found it gone to the one a second of media later.
    assert!((1..60).contains(&recorded.not_written), "{recorded:?}");
    assert_only_the_disk_refused(&stats, &events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_others_use_is_said_with_what_to_do_and_nothing_of_theirs_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let recordings = directory.path().join("recordings");
    let asset = recordings.join("all-Sample-Graph-1");
    fs::create_dir_all(&asset).unwrap();
    let theirs = "#EXTM3U\n#EXTINF:2,\nlive0.ts\n";
    fs::write(asset.join("index.m3u8"), theirs).unwrap();
    let other = fs::File::open(&asset).unwrap();
    other.lock().unwrap(); // as another process that records there
    let simulator = camera(directory.path(), None).await;
    let (module, events) = module(&recordings);
    let mut topology = topology(vec![], vec![]);
    topology["properties"]["processors"] = json!([]);
    topology["properties"]["sinks"] = json!([everything()]);
    activate(&module, topology, instance(&simulator.url("clip.mp4"), 1)).await;
    let emitted = |event: &GraphEvent| {
        let EventBody::StorageError(body) = &event.body else {
            panic!("{event:?}");
        };
        (body.error_code.clone().unwrap(), body.message.clone().unwrap())
    };
    let (place, event) = events.wait(EventName::StorageError, 0).await;
    let (code, message) = emitted(&event);
    assert_eq!(code, "storageInUse");
    let remedy = "use a separate directory for each, for example with ${System.InstanceName} in its name";
    assert!(
        message.ends_with(remedy) && message.contains("all-Sample-Graph-1"),
        "{message}"
    );
    until(&module, |stats| {
        stats.recordings["everything"].recorder.not_written > 0
    })
    .await;
    drop(other);
    let (started, _) = events.wait(EventName::RecordingStarted, place).await;
    let before = module.stats("Sample-Graph-1").unwrap();
    until(&module, |stats| stats.received >= before.received + 40).await;
    let stats = deactivate(&module).await;
    let (_, event) = events.wait(EventName::StorageError, started).await;
    let (code, message) = emitted(&event);
    assert_eq!(code, "playlistNotOurs");
    assert!(message.contains("move it away"), "{message}");
    assert_eq!(fs::read_to_string(asset.join("index.m3u8")).unwrap(), theirs);
    let recorded = stats.recordings["everything"].recorder;
    assert_eq!((recorded.started, recorded.files), (1, 1));
    assert!(recorded.failed > 0 && recorded.not_written > 0, "{recorded:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_budget_below_a_key_frame_is_said_and_holds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let (module, events) = module_with(&directory.path().join("recordings"), |options| {
        options.with_memory_budget(500)
    });
    let topology = topology(vec![], vec![everything()]);
    activate(&module, topology, instance(&simulator.url("clip.mp4"), 1)).await;
    let mut silent = vec!["rtspSource", "assetSink", "everything"];
    let mut from = 0;
    while !silent.is_empty() {
        let (place, event) = events.wait(EventName::DataDropped, from).await;
        from = place + 1;
        let EventBody::DataDropped(body) = &event.body else {
            panic!("{event:?}");
        };
        assert!(body.count_of("overBudget") > 0, "{body:?}");
        silent.retain(|node| !event.subject.to_string().ends_with(node));
    }
    let stats = deactivate(&module).await;
    assert_eq!((stats.decoded, stats.clips), (0, 0));
    for node in ["rtspSource", "assetSink", "everything"] {
        let lost = stats.dropped[&(node.to_owned(), DropReason::OverBudget)];
        assert_eq!(lost, stats.received, "{node}");
    }
    assert!(stats.memory.highest_bytes <= 500, "{:?}", stats.memory);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_recorded_with_the_pictures_unless_a_selector_keeps_it_back() {
    let directory = tempfile::tempdir().unwrap();
    let served = make_clip_with_sound(directory.path());
    let recordings = directory.path().join("recordings");
    let simulator = camera(directory.path(), None).await;
    let server = Server::start(Script::every(1), 0).await;
    let (module, _) = module(&recordings);
    let mut silent = everything();
    silent["name"] = "silent".into();
    silent["assetNamePattern"] = "silent-${System.GraphInstanceName}".into();
    silent["inputs"][0]["outputSelectors"] =
        json!([{"property": "mediaType", "operator": "is", "value": "video"}]);
    let topology = topology(vec![], vec![everything(), silent]);
    let instance = instance(&simulator.url("clip.mp4"), server.port);
    activate(&module, topology, instance).await;
    until(&module, |stats| stats.received >= 90).await;
    let stats = deactivate(&module).await;
    server.kill().await;
    assert_nothing_dropped(&stats);
    let clip_of = |sink: &str| {
        let mut own = stats.newest_clips.iter().filter(|clip| clip.sink == sink);
        own.next().unwrap().path.clone()
    };
    let own = hashes(&served, "0:a");
    let recorded = hashes(&clip_of("everything"), "0:a");
    let place = own.iter().position(|frame| *frame == recorded[0]).unwrap();
    assert!(recorded.len() > 100, "three seconds at 47 frames a second");
    let played = own.iter().cycle().skip(place);
    assert!(
        recorded.iter().zip(played).all(|(a, b)| a == b),
        "each frame of audio, in order"
    );
    let silent = lva_recording::Sidecar::read(&clip_of("silent")).unwrap();
    assert!(!silent.audio && silent.audio_packets == 0 && silent.video_packets >= 90);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_sink_goes_on_with_its_video_and_finishes_what_a_killed_process_left() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let recordings = directory.path().join("recordings");
    leave_unfinished(&recordings.join("front-door"));
    let simulator = camera(directory.path(), None).await;
    let (module, events) = module(&recordings);
    let credentials = json!({
        "@type": "#Microsoft.VideoAnalyzer.UsernamePasswordCredentials", "username": USER, "password": "${password}",
    });
    let topology = json!({
        "@apiVersion": "1.1", "name": "CVRToVideoSink",
        "properties": {
            "parameters": [{"name": "password", "type": "SecretString"}],
            "sources": [{
                "@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "rtspSource", "transport": "tcp",
                "endpoint": {
                    "@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": simulator.url("clip.mp4").to_string(),
                    "credentials": credentials,
                },
            }],
            "sinks": [{
                "@type": "#Microsoft.VideoAnalyzer.VideoSink", "name": "videoSink", "videoName": "front-door",
                "videoCreationProperties": {"title": "t", "segmentLength": "PT30S", "retentionPeriod": "P1D"},
                "localMediaCachePath": "/var/lib/videoanalyzer/tmp/", "localMediaCacheMaximumSizeMiB": "2048",
                "inputs": [{"nodeName": "rtspSource"}],
            }],
        },
    });
    must(&module, "pipelineTopologySet", topology).await;
    let pipeline = json!({
        "@apiVersion": "1.1", "name": "Sample-Graph-1", "properties": {
            "topologyName": "CVRToVideoSink", "parameters": [{"name": "password", "value": PASSWORD}],
        },
    });
    must(&module, "livePipelineSet", pipeline).await;
    let name = || json!({"@apiVersion": "1.1", "name": "Sample-Graph-1"});
    must(&module, "livePipelineActivate", name()).await;
    let (_, started) = events.wait(EventName::RecordingStarted, 0).await;
    until(&module, |stats| stats.received >= 40).await;
    must(&module, "livePipelineDeactivate", name()).await;
    let (_, available) = events.wait(EventName::RecordingAvailable, 0).await;
    for event in [started, available] {
        let EventBody::Recording(recording) = &event.body else {
            panic!("{event:?}");
        };
        let place = (recording.output_type.as_str(), recording.output_location.as_str());
        assert_eq!(place, ("videoName", "front-door"));
    }
    let playlist = fs::read_to_string(recordings.join("front-door/index.m3u8")).unwrap();
    assert!(!playlist.contains("EVENT"), "old pieces go from its front");
    assert_eq!(playlist.matches("#EXTINF:").count(), 2, "{playlist}");
    assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    let files = fs::read_dir(recordings.join("front-door")).unwrap();
    assert_eq!(files.count(), 2 * 2 + 1, "no unfinished file");
}

/// Ten seconds of a recording of some minutes ago, whose process did not live to see its end.
fn leave_unfinished(directory: &Path) {
    let avcc: &[u8] = &[
        1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 30, 1, 0, 3, 0x68, 4, 5,
    ];
    let video = VideoTrack {
        codec: VideoCodec::H264,
        extra_data: avcc.into(),
        width: 160,
        height: 120,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let store = SegmentDirectory::new(directory, SegmentOptions::default());
    let mut recorder = Recorder::continuous(Tracks { video, audio: None }, store);
    for number in 0..300u64 {
        let time = (now - 300) * MediaTime::TICKS_PER_SECOND + number * 3000;
        let keyframe = number.is_multiple_of(30);
        let _ = recorder.push(MediaUnit::video(time, keyframe, vec![0; 100].into()));
    }
    drop(recorder);
    let file = fs::read_dir(directory).unwrap().next().unwrap().unwrap();
    assert!(
        file.path()
            .extension()
            .is_some_and(|extension| extension == "part")
    );
}

use lva_recording::MediaUnit;

use super::input::{QUEUE, RESERVED};
use super::*;
use crate::stats::Counters;

#[test]
fn a_disk_that_stands_still_drops_up_to_a_key_frame_and_leaves_room_for_signals() {
    let counters = Counters::default();
    let (mut input, mut receiver) = RecorderInput::new("asset".into(), counters.clone(), QUEUE_BYTES);
    let unit = |time, key| MediaUnit::video(time, key, vec![0].into());
    let dropped = || counters.snapshot().dropped_for(DropReason::RecorderBusy);
    input.unit(unit(0, false));
    assert_eq!(dropped(), 1, "a recording begins with a key frame");
    for time in 1..=(QUEUE - RESERVED) as u64 {
        input.unit(unit(time, time == 1));
    }
    assert_eq!(dropped(), 1);
    input.unit(unit(9000, true));
    assert_eq!(dropped(), 2);
    let signals = input.signals("gate".into());
    for _ in 0..RESERVED + 3 {
        signals.signal(5);
    }
    assert_eq!(counters.snapshot().dropped_for(DropReason::SignalQueueFull), 3);
    for _ in 0..=RESERVED {
        receiver.try_recv().unwrap();
    }
    input.unit(unit(9001, false));
    assert_eq!(dropped(), 3, "there is room, but no key frame");
    input.unit(unit(9002, true));
    assert_eq!(dropped(), 3);
}

#[tokio::test]
async fn a_defect_ends_a_recording_that_is_finished_and_another_begins() {
    let folder = tempfile::tempdir().unwrap();
    let topology = lva_graph_model::Topology::from_value(serde_json::json!({
        "@apiVersion": "2.0", "name": "t", "properties": {
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
                "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "rtsp://cam/a"},
            }],
            "sinks": [{
                "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "sink that falls",
                "assetNamePattern": "a", "localMediaCachePath": "/x", "localMediaCacheMaximumSizeMiB": "9",
                "inputs": [{"nodeName": "camera"}],
            }],
        },
    }));
    let instance = lva_graph_model::Instance::from_value(serde_json::json!({
        "@apiVersion": "2.0", "name": "i", "properties": {"topologyName": "t"},
    }));
    let open = lva_graph_model::Strictness::Open;
    let graph = lva_graph_model::resolve(&topology.unwrap(), &instance.unwrap(), open)
        .unwrap()
        .graph;
    let plan = crate::plan::Plan::new(&graph, "lvaEdge", &Default::default()).unwrap();
    let plan = plan.recordings.into_iter().next().unwrap();
    let names = Names {
        topology: "t".to_owned(),
        instance: "i".to_owned(),
    };
    let counters = Counters::default();
    let speaker = Speaker::new(crate::sink::Outlet::default(), counters.clone());
    let (mut input, signals, worker) = start(
        plan,
        names,
        folder.path().to_owned(),
        speaker,
        Budget::new(64 << 20),
    )
    .unwrap();
    input.begin();
    let avcc: &[u8] = &[
        1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 30, 1, 0, 3, 0x68, 4, 5,
    ];
    let video = lva_recording::VideoTrack {
        codec: lva_recording::VideoCodec::H264,
        extra_data: avcc.into(),
        width: 160,
        height: 120,
    };
    input.tracks(Tracks { video, audio: None });
    let picture = |number: u64| {
        let time = 1_700_000_000 * 90_000 + number * 3000;
        MediaUnit::video(time, number.is_multiple_of(30), vec![0; 100].into())
    };
    (0..100).for_each(|number| input.unit(picture(number)));
    // Until the thread has taken them.
    let taken = async {
        while input.waiting_bytes().load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), taken)
        .await
        .unwrap();
    crate::guard::set_trap("record", "sink that falls", 1);
    (100..250).for_each(|number| input.unit(picture(number)));
    drop((input, signals));
    worker.ended().await;
    let stats = counters.snapshot();
    assert_eq!(stats.dropped_for(DropReason::Defect), 1);
    let told = |name| stats.events.get(&name).copied().unwrap_or_default();
    assert_eq!(told(EventName::RuntimeError), 1);
    assert_eq!(told(EventName::RecordingStarted), 2);
    assert_eq!(told(EventName::RecordingStopped), 2);
    assert_eq!(told(EventName::RecordingAvailable), 2);
    let pictures: Vec<u64> = stats.newest_clips.iter().map(|clip| clip.video_packets).collect();
    // Up to the last whole fragment, as after a kill; and from the next key frame on.
    assert!(pictures[0] >= 60 && pictures[1] >= 120, "{stats:?}");
}

#[test]
fn large_units_are_bounded_in_bytes() {
    let counters = Counters::default();
    let (mut input, _receiver) = RecorderInput::new("asset".into(), counters.clone(), QUEUE_BYTES);
    input.waiting_bytes().store(QUEUE_BYTES - 10, Ordering::Relaxed);
    input.unit(MediaUnit::video(1, true, vec![0; 10].into()));
    input.unit(MediaUnit::video(2, true, vec![0; 1].into()));
    assert_eq!(counters.snapshot().dropped_for(DropReason::RecorderBusy), 1);
}

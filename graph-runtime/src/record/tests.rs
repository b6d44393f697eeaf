use lva_rtsp::{AccessUnit, Codec, MediaKind, StreamInfo};

use super::*;
use crate::convert::recording::MediaSelection;
use crate::flow::{QUEUE, RESERVED};
use crate::stats::Counters;

fn input(counters: &Counters) -> (RecorderInput, mpsc::Receiver<RecorderCommand>) {
    let all = MediaSelection::default();
    RecorderInput::new(counters.node("asset"), QUEUE_BYTES, all)
}

fn video(time: u64, key: bool) -> AccessUnit {
    AccessUnit::new(0, time, key, vec![0].into())
}

#[test]
fn a_stalled_disk_drops_up_to_a_key_frame_and_leaves_space_for_signals() {
    let counters = Counters::default();
    let (mut input, mut receiver) = input(&counters);
    input.set_test_video();
    let dropped = || counters.snapshot().dropped_for(DropReason::RecorderBusy);
    input.unit(&video(0, false));
    let no_key = counters.snapshot().dropped_for(DropReason::NoKeyFrame);
    assert_eq!(no_key, 1, "a recording begins with a key frame");
    // One place is taken by the parameters.
    for time in 1..(QUEUE - RESERVED) as u64 {
        input.unit(&video(time, time == 1));
    }
    assert_eq!(dropped(), 0);
    input.unit(&video(9000, true));
    assert_eq!(dropped(), 1);
    input.metadata().add(1, "{}".to_owned());
    assert_eq!(dropped(), 2, "results take no place of the signals'");
    let signals = input.signals(counters.node("gate"), StreamClock::default());
    for _ in 0..RESERVED + 3 {
        signals.signal(5);
    }
    assert_eq!(counters.snapshot().dropped_for(DropReason::SignalQueueFull), 3);
    for _ in 0..=RESERVED {
        receiver.try_recv().unwrap();
    }
    input.unit(&video(9001, false));
    assert_eq!(dropped(), 3, "there is space, but no key frame");
    input.unit(&video(9002, true));
    assert_eq!(dropped(), 3);
}

#[test]
fn parameters_that_did_not_fit_come_before_the_next_key_frame() {
    let counters = Counters::default();
    let (mut input, mut receiver) = input(&counters);
    input.set_test_video();
    for time in 0..QUEUE as u64 {
        input.unit(&video(time, time == 0));
    }
    let mut other = StreamInfo::new(0, MediaKind::Video, Codec::H265, 90_000);
    other.extra_data = vec![2].into();
    other.size = Some((320, 240));
    input.streams(&[other]);
    input.unit(&video(9000, true));
    while receiver.try_recv().is_ok() {}
    input.unit(&video(9001, true));
    let Ok(RecorderCommand::Tracks(tracks)) = receiver.try_recv() else {
        panic!("the parameters come first");
    };
    assert_eq!(tracks.video.width, 320);
    assert!(matches!(receiver.try_recv(), Ok(RecorderCommand::Unit(unit)) if unit.timestamp_90k == 9001));
}

#[test]
fn what_cannot_be_recorded_is_counted_and_audio_of_another_stream_is_not_mixed_in() {
    let counters = Counters::default();
    let (mut input, mut receiver) = input(&counters);
    let mut without_parameters = StreamInfo::new(0, MediaKind::Video, Codec::H264, 90_000);
    without_parameters.size = Some((64, 48));
    input.streams(&[without_parameters]);
    input.unit(&video(0, true));
    let dropped = |reason| counters.snapshot().dropped_for(reason);
    assert_eq!(dropped(DropReason::NotRecordable), 1);
    input.set_test_video();
    assert!(input.wants(0, MediaKind::Video) && !input.wants(1, MediaKind::Audio));
    let mut audio = video(1, true);
    audio.stream = 1;
    audio.media = MediaKind::Audio;
    input.unit(&audio);
    assert!(receiver.try_recv().is_err());
}

#[tokio::test]
async fn a_panic_ends_a_recording_that_is_finished_and_another_one_starts() {
    let directory = tempfile::tempdir().unwrap();
    let topology = lva_graph_model::Topology::from_value(serde_json::json!({
        "@apiVersion": "2.0", "name": "t", "properties": {
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
                "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "rtsp://cam/a"},
            }],
            "sinks": [{
                "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "sink that panics",
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
    let counters = Counters::default();
    let context = RecorderContext {
        topology: "t".to_owned(),
        instance: "i".to_owned(),
        folders: RecordingFolders::new(directory.path().to_owned(), &[]),
        emitter: EventEmitter::detached(&counters),
        budget: Budget::new(64 << 20),
        recovered: RecoveredClips::default(),
    };
    let (mut input, signals, worker) = start(plan, StreamClock::default(), &context).unwrap();
    drop(context);
    input.begin();
    input.set_test_video();
    let picture = |number: u64| {
        let time = 1_700_000_000 * 90_000 + number * 3000;
        AccessUnit::new(0, time, number.is_multiple_of(30), vec![0; 100].into())
    };
    (0..100).for_each(|number| input.unit(&picture(number)));
    // Until the thread has taken them.
    let taken = async {
        while input.waiting_bytes().load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), taken)
        .await
        .unwrap();
    crate::panics::set_failpoint("record", "sink that panics", 1);
    (100..250).for_each(|number| input.unit(&picture(number)));
    drop((input, signals));
    worker.ended().await;
    let stats = counters.snapshot();
    assert_eq!(stats.dropped_for(DropReason::InternalError), 1);
    let emitted = |name| stats.events.get(&name).copied().unwrap_or_default();
    assert_eq!(emitted(EventName::RuntimeError), 1);
    assert_eq!(emitted(EventName::RecordingStarted), 2);
    assert_eq!(emitted(EventName::RecordingStopped), 2);
    assert_eq!(emitted(EventName::RecordingAvailable), 2);
    let pictures: Vec<u64> = stats.newest_clips.iter().map(|clip| clip.video_packets).collect();
    // Up to the last whole fragment, as after a kill; and from the next key frame on.
    assert!(pictures[0] >= 60 && pictures[1] >= 120, "{stats:?}");
}

#[test]
fn large_units_are_bounded_in_bytes() {
    let counters = Counters::default();
    let (mut input, _receiver) = input(&counters);
    input.set_test_video();
    input.waiting_bytes().store(QUEUE_BYTES - 1, Ordering::Relaxed);
    input.unit(&video(1, true));
    input.unit(&video(2, true));
    assert_eq!(counters.snapshot().dropped_for(DropReason::RecorderBusy), 1);
}

use std::sync::mpsc::sync_channel;

use lva_inference_schema::EventName;

use super::input::QUEUE;
use super::*;
use crate::emitter::EventEmitter;
use crate::stats::Counters;

fn unit(time: u64, keyframe: bool) -> AccessUnit {
    AccessUnit::new(0, time, keyframe, Bytes::from_static(&[0, 0, 0, 1, 0x65]))
}

/// An input whose thread never takes anything.
fn stuck() -> (DecoderInput, Receiver<Command>, Counters) {
    let counters = Counters::default();
    let (input, receiver) = DecoderInput::new(counters.node("camera"));
    (input, receiver, counters)
}

#[test]
fn a_decoder_that_is_behind_drops_up_to_the_next_key_frame_and_counts() {
    let (mut input, receiver, counters) = stuck();
    input.stream(VideoCodec::H264, Bytes::new());
    input.unit(unit(0, false), 1); // before the first key frame
    for time in 1..QUEUE as u64 {
        input.unit(unit(time, time == 1), 1);
    }
    // The stream and 63 units fill the queue.
    input.unit(unit(100, false), 1);
    input.unit(unit(101, false), 1);
    let dropped = || counters.snapshot().dropped_for(DropReason::DecoderBusy);
    assert_eq!(dropped(), 2);
    assert_eq!(counters.snapshot().dropped_for(DropReason::NoKeyFrame), 1);
    receiver.recv().unwrap();
    input.unit(unit(102, false), 1);
    assert_eq!(dropped(), 3, "there is space, but decoding cannot start here");
    input.unit(unit(103, true), 1);
    assert_eq!(dropped(), 3);
    assert_eq!(receiver.try_iter().count(), QUEUE);
}

#[test]
fn a_panic_drops_pictures_up_to_the_next_key_frame_and_is_reported_once() {
    let counters = Counters::default();
    let source = EventEmitter::detached(&counters).test_node("camera that panics");
    let (input, receiver) = sync_channel(QUEUE);
    let mut thread = DecoderThread::new(source, Vec::new(), Vec::new(), DecoderOptions::default());
    let (codec, extra_data) = (VideoCodec::H264, Bytes::new());
    input.send(Command::Stream { codec, extra_data }).unwrap();
    // Both key frames panic; of the other units, only the last one follows a key frame that did not.
    crate::panics::set_failpoint("decode", "camera that panics", 2);
    for key in [true, false, true, false, false, true, false] {
        let unit = unit(1, key);
        input.send(Command::Unit { unit, epoch: 1 }).unwrap();
    }
    drop(input);
    thread.run(&receiver);
    let stats = counters.snapshot();
    let dropped = |reason| stats.dropped_for(reason);
    assert_eq!(
        (
            dropped(DropReason::InternalError),
            dropped(DropReason::NoKeyFrame)
        ),
        (2, 3)
    );
    assert_eq!(stats.events[&EventName::RuntimeError], 1);
    assert!(thread.decoder.is_some() && !thread.waits_for_key);
}

#[test]
fn a_stream_that_found_the_queue_full_comes_with_the_next_key_frame() {
    let (mut input, receiver, _) = stuck();
    for time in 0..QUEUE as u64 {
        input.unit(unit(time, true), 1);
    }
    input.stream(VideoCodec::H265, Bytes::new());
    input.unit(unit(100, true), 1);
    assert_eq!(receiver.try_iter().count(), QUEUE);
    input.unit(unit(101, true), 1);
    let commands: Vec<_> = receiver.try_iter().collect();
    assert!(matches!(
        commands[0],
        Command::Stream {
            codec: VideoCodec::H265,
            ..
        }
    ));
    assert!(matches!(commands[1], Command::Unit { .. }));
}

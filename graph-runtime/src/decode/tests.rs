use std::sync::mpsc::sync_channel;

use lva_inference_schema::{EventName, Subject};

use super::input::QUEUE;
use super::*;
use crate::sink::Outlet;

fn unit(time: u64, random_access: bool) -> AccessUnit {
    AccessUnit::new(0, time, random_access, Bytes::from_static(&[0, 0, 0, 1, 0x65]))
}

/// An input whose thread never takes anything.
fn stuck() -> (DecoderInput, Receiver<Command>, Counters) {
    let counters = Counters::default();
    let (input, receiver) = DecoderInput::new("camera".to_owned(), counters.clone());
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
    assert_eq!(dropped(), 3, "there is room, but decoding cannot start here");
    input.unit(unit(103, true), 1);
    assert_eq!(dropped(), 3);
    assert_eq!(receiver.try_iter().count(), QUEUE);
}

#[test]
fn a_defect_costs_pictures_up_to_the_next_key_frame_and_is_said_once() {
    let speaker = Speaker::new(Outlet::default(), Counters::default());
    let counters = speaker.counters().clone();
    let node = Named {
        name: "camera of a defect".into(),
        subject: Subject::graph_instance("i"),
    };
    let name = node.name.clone();
    let (input, receiver) = sync_channel(QUEUE);
    let mut thread = DecoderThread::new(node, Vec::new(), Vec::new(), DecoderOptions::default(), speaker);
    let (codec, extra_data) = (VideoCodec::H264, Bytes::new());
    input.send(Command::Stream { codec, extra_data }).unwrap();
    // Both key frames fall; of the others, the last one only is behind a key frame that did not.
    crate::guard::set_trap("decode", &name, 2);
    for key in [true, false, true, false, false, true, false] {
        let unit = unit(1, key);
        input.send(Command::Unit { unit, epoch: 1 }).unwrap();
    }
    drop(input);
    thread.run(&receiver);
    let stats = counters.snapshot();
    let dropped = |reason| stats.dropped_for(reason);
    assert_eq!(
        (dropped(DropReason::Defect), dropped(DropReason::NoKeyFrame)),
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

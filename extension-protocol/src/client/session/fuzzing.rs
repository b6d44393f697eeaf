//! Any sequence of calls and of a server's messages, with the session's invariants checked after each step.

use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message;

use super::*;
use crate::client::options::DEFAULT_WINDOW;
use crate::shared_memory::SharedMemoryOptions;

const FRAME: usize = 1000;

/// Runs the steps that these bytes encode.
///
/// # Panics
///
/// An invariant is violated: a frame is returned twice or never, or two frames share memory.
pub(crate) fn run(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else {
        return;
    };
    let shared_memory = first % 2 == 0;
    let store = match shared_memory {
        false => Store::embedded(),
        true => match Region::create(&SharedMemoryOptions::default(), FRAME, DEFAULT_WINDOW) {
            Ok(region) => Store::shared(region),
            Err(error) => panic!("{error}"),
        },
    };
    let window = store.window(DEFAULT_WINDOW, None);
    let limits = Limits {
        window,
        answer_timeout: Duration::from_secs(30),
        first_answer_timeout: Duration::from_secs(60),
    };
    let sent_form = SentForm {
        shared_memory,
        largest_frame: FRAME,
    };
    let (outgoing, mut messages) = mpsc::channel(window + 1);
    let peer = PeerDescription::default();
    let Session {
        frames, mut answers, ..
    } = Session::<u64>::new(store, limits, FRAME, sent_form, peer, outgoing, None);
    let mut clock = Instant::now().into_std();
    let mut held: Vec<(FrameSlot<u64>, u8)> = Vec::new();
    let (mut next, mut sent, mut returned) = (0_u64, BTreeSet::new(), BTreeSet::new());
    while let Some((step, after)) = rest.split_first() {
        rest = after;
        let mut value = || match rest.split_first() {
            Some((value, after)) => {
                rest = after;
                *value
            }
            None => 0,
        };
        match step % 9 {
            0 | 1 => {
                if let Ok(mut slot) = frames.slot_with_size(usize::from(value()) * 4) {
                    let fill = next as u8;
                    slot.fill(fill);
                    held.push((slot, fill));
                    next += 1;
                }
            }
            2 | 3 if !held.is_empty() => {
                let (slot, _) = held.swap_remove(usize::from(value()) % held.len());
                let context = next;
                next += 1;
                if slot.send(context, &[], context).is_ok() {
                    assert!(sent.insert(context));
                }
            }
            4 if !held.is_empty() => {
                let at = usize::from(value()) % held.len();
                match step / 9 % 2 {
                    0 => drop(held.swap_remove(at)),
                    _ => held[at].0.truncate(usize::from(value())),
                }
            }
            5 | 6 => {
                let number = match value() {
                    255 => u64::MAX,
                    number => u64::from(number % 64),
                };
                let message = MediaStreamMessage {
                    ack_sequence_number: number,
                    ..Default::default()
                };
                if let Some(SessionEvent::Answered(answer)) = answers.read(message) {
                    assert_eq!((answer.sequence, answer.timestamp_90k), (number, answer.context));
                    assert!(returned.insert(answer.context), "answered twice");
                }
            }
            7 => {
                let length = usize::from(value()).min(rest.len());
                let (message, after) = rest.split_at(length);
                rest = after;
                if let Ok(message) = MediaStreamMessage::decode(message)
                    && let Some(SessionEvent::Answered(answer)) = answers.read(message)
                {
                    assert!(returned.insert(answer.context), "answered twice");
                }
            }
            8 if value() == 0 => frames.finish(),
            8 => {
                clock += Duration::from_secs(40);
                while let Some(Overdue::Frame { context, .. }) =
                    frames.shared.state().in_flight.take_overdue(clock)
                {
                    assert!(returned.insert(context.context), "skipped after its answer");
                }
            }
            _ => {}
        }
        while messages.try_recv().is_ok() {}
        assert!(
            held.len() + frames.in_flight() <= window,
            "more frames than the window allows"
        );
        for (slot, fill) in &held {
            assert!(slot.iter().all(|byte| byte == fill), "two frames share memory");
        }
    }
    let _ = answers.end(Ok(()));
    for frame in answers.take_unanswered() {
        assert!(returned.insert(frame.context), "returned twice");
    }
    assert_eq!(returned, sent, "every sent frame is returned, and no other");
    assert!(frames.slot().is_err());
}

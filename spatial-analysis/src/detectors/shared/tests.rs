use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::*;

/// Reports the widths of the frames of each call, then waits for permission to continue, for an error, or to panic.
struct Slow {
    info: DetectorInfo,
    begun: Sender<Vec<u32>>,
    permits: Receiver<Permit>,
}

#[derive(Clone, Copy, PartialEq)]
enum Permit {
    Finish,
    Fail,
    Panic,
}

impl Detector for Slow {
    fn info(&self) -> &DetectorInfo {
        &self.info
    }

    fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        let widths = frames.iter().map(|frame| match frame {
            Frame::Host(view) => view.width(),
            _ => 0,
        });
        let widths: Vec<u32> = widths.collect();
        self.begun.send(widths.clone()).unwrap();
        match self.permits.recv().unwrap() {
            Permit::Panic => panic!("the test asks for it"),
            Permit::Fail => Err(DetectError::Run {
                model: "slow".to_owned(),
                cause: "the test asks for it".into(),
            }),
            // As many detections as the frame is wide.
            Permit::Finish => Ok(widths
                .into_iter()
                .map(|width| (0..width).map(detection).collect())
                .collect()),
        }
    }
}

fn detection(number: u32) -> Detection {
    Detection {
        bbox: lva_inference::BoundingBox::from_edges(0.0, 0.0, 1.0, 1.0),
        class: number as u16,
        score: 1.0,
    }
}

fn slow(batch: Option<(usize, Duration)>) -> (SharedDetector, Receiver<Vec<u32>>, Sender<Permit>) {
    let (begun, turns) = channel();
    let (permits, allowed) = channel();
    let info = DetectorInfo::new("slow", 8, 8).with_largest_batch(batch.map_or(1, |(largest, _)| largest));
    let detector = Slow {
        info,
        begun,
        permits: allowed,
    };
    let detector = match batch {
        None => SharedDetector::new(detector),
        Some((largest, wait)) => SharedDetector::of(detector, largest, wait),
    };
    (detector, turns, permits)
}

/// Shows a frame of this width; returns the number of detections.
fn detect(detector: &mut SharedDetector, width: u32) -> Result<usize, DetectError> {
    let pixels = vec![0; width as usize * 3];
    let view = ImageView::packed(&pixels, width, 1, PixelFormat::Bgr24).unwrap();
    let found = detector.detect(&[view.into()])?;
    assert_eq!(found.len(), 1);
    Ok(found[0].len())
}

/// Waits until sessions have asked for this many turns.
fn wait_for_asked(detector: &SharedDetector, turns: u64) {
    while lock(&detector.shared.state).batches.asked() < turns {
        thread::yield_now();
    }
}

const LONG: Duration = Duration::from_secs(600);

#[test]
fn busy_sessions_take_turns_and_idle_ones_cost_nothing() {
    let (shared, turns, permits) = slow(None);
    assert_eq!(shared.info().model, "slow");
    thread::scope(|scope| {
        // Each session shows its next frame as soon as it has an answer; number 3 has only one.
        for (asked, (width, frames)) in [(1, 5), (2, 5), (3, 1)].into_iter().enumerate() {
            let mut detector = shared.clone();
            scope.spawn(move || (0..frames).for_each(|_| assert!(detect(&mut detector, width).is_ok())));
            wait_for_asked(&shared, asked as u64 + 1);
        }
        let mut order = Vec::new();
        for turn in 0..11 {
            order.extend(turns.recv().unwrap());
            // Before it may end, every other session with frames left asks for its next turn.
            let sessions = if turn < 3 { 3 } else { 2 };
            wait_for_asked(&shared, (turn + sessions).min(11));
            permits.send(Permit::Finish).unwrap();
        }
        assert_eq!(order, [1, 2, 3, 1, 2, 1, 2, 1, 2, 1, 2]);
    });
    assert_eq!(
        (shared.batch_stats().batches, shared.batch_stats().frames),
        (11, 11)
    );
}

#[test]
fn a_session_whose_turn_panics_does_not_hold_up_the_others() {
    let (shared, turns, permits) = slow(None);
    let mut failing = shared.clone();
    let failed = thread::spawn(move || detect(&mut failing, 1));
    turns.recv().unwrap();
    let mut staying = shared.clone();
    let waiting = thread::spawn(move || detect(&mut staying, 2));
    wait_for_asked(&shared, 2);
    permits.send(Permit::Panic).unwrap();
    assert!(failed.join().is_err());
    permits.send(Permit::Finish).unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), 2);
}

/// Starts sessions that each show one frame, of the width of their number, in this order.
fn show_in_order(
    shared: &SharedDetector,
    widths: &[u32],
) -> Vec<thread::JoinHandle<Result<usize, DetectError>>> {
    let before = lock(&shared.shared.state).batches.asked();
    let show = |(index, width): (usize, &u32)| {
        let (mut detector, width) = (shared.clone(), *width);
        let shown = thread::spawn(move || detect(&mut detector, width));
        wait_for_asked(shared, before + index as u64 + 1);
        shown
    };
    widths.iter().enumerate().map(show).collect()
}

#[test]
fn frames_that_came_while_the_model_ran_go_together_and_each_session_gets_its_own_answer() {
    let (shared, turns, permits) = slow(Some((8, Duration::ZERO)));
    let mut first = shared.clone();
    let first = thread::spawn(move || detect(&mut first, 9));
    assert_eq!(turns.recv().unwrap(), [9]);
    let waiting = show_in_order(&shared, &[3, 1, 2]);
    permits.send(Permit::Finish).unwrap();
    assert_eq!(turns.recv().unwrap(), [3, 1, 2]);
    permits.send(Permit::Finish).unwrap();
    let found: Vec<usize> = waiting
        .into_iter()
        .map(|shown| shown.join().unwrap().unwrap())
        .collect();
    assert_eq!((first.join().unwrap().unwrap(), found), (9, vec![3, 1, 2]));
    assert_eq!(
        (shared.batch_stats().batches, shared.batch_stats().frames),
        (2, 4)
    );
}

#[test]
fn the_first_frame_waits_for_the_other_sessions_and_no_longer() {
    let (shared, turns, permits) = slow(Some((8, LONG)));
    let [mut one, mut two] = [shared.clone(), shared.clone()];
    // Both become sessions.
    for session in [&mut one, &mut two] {
        lock(&session.shared.state).batches.open_session();
        session.is_session = true;
    }
    let one = thread::spawn(move || detect(&mut one, 1));
    wait_for_asked(&shared, 1);
    let two = thread::spawn(move || detect(&mut two, 2));
    // Without the second one, it would wait on.
    assert_eq!(turns.recv().unwrap(), [1, 2]);
    permits.send(Permit::Finish).unwrap();
    assert_eq!(
        (one.join().unwrap().unwrap(), two.join().unwrap().unwrap()),
        (1, 2)
    );
}

#[test]
fn when_a_batch_fails_its_frames_run_alone_and_only_the_one_at_fault_has_an_error() {
    let (shared, turns, permits) = slow(Some((8, Duration::ZERO)));
    let mut first = shared.clone();
    let first = thread::spawn(move || detect(&mut first, 9));
    turns.recv().unwrap();
    let waiting = show_in_order(&shared, &[1, 2]);
    for permit in [Permit::Finish, Permit::Fail, Permit::Fail, Permit::Finish] {
        permits.send(permit).unwrap();
    }
    let found: Vec<_> = waiting.into_iter().map(|shown| shown.join().unwrap()).collect();
    assert!(
        matches!(&found[..], [Err(DetectError::Run { .. }), Ok(2)]),
        "{found:?}"
    );
    first.join().unwrap().unwrap();
    let ran: Vec<Vec<u32>> = turns.try_iter().collect();
    assert_eq!(ran, [vec![1, 2], vec![1], vec![2]]);
}

#[test]
fn a_panic_in_a_batch_is_an_error_for_the_others_in_it() {
    let (shared, turns, permits) = slow(Some((8, Duration::ZERO)));
    let mut first = shared.clone();
    let first = thread::spawn(move || detect(&mut first, 9));
    turns.recv().unwrap();
    let mut waiting = show_in_order(&shared, &[1, 2]);
    permits.send(Permit::Finish).unwrap();
    permits.send(Permit::Panic).unwrap();
    let other = waiting.pop().unwrap().join().unwrap();
    assert!(matches!(other, Err(DetectError::Panicked { .. })), "{other:?}");
    assert!(waiting.pop().unwrap().join().is_err(), "the session that ran it");
    first.join().unwrap().unwrap();
    // It goes on.
    permits.send(Permit::Finish).unwrap();
    assert_eq!(detect(&mut shared.clone(), 4).unwrap(), 4);
}

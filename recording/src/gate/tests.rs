use super::*;
use proptest::prelude::*;

const S: u64 = MediaTime::TICKS_PER_SECOND;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn gate(window: u64, before: u64, minimum: u64, maximum: u64) -> SignalGate {
    let options = GateOptions::new(seconds(minimum), seconds(maximum))
        .with_evaluation_window(seconds(window))
        .starting_before(seconds(before));
    SignalGate::new(options).unwrap()
}

fn decisions(gate: &mut SignalGate) -> Vec<GateDecision> {
    std::iter::from_fn(|| gate.poll()).collect()
}

fn open(event_90k: u64, start_90k: u64, end_90k: u64) -> GateDecision {
    GateDecision::Open {
        event_90k,
        start_90k,
        end_90k,
        correlation_id: None,
    }
}

#[test]
fn the_published_time_line_is_reproduced() {
    // 2020-05-17 17:53:44.062, offset -5 s, window 1 s, 30 s.
    let event = 1_589_738_024_062 * 90;
    let mut gate = gate(1, 5, 30, 30);
    gate.advance(event - S);
    assert_eq!(gate.signal(Signal::at(event)), SignalOutcome::Accepted);
    gate.advance(event + S - 1);
    assert_eq!(decisions(&mut gate), []);
    gate.advance(event + S);
    assert_eq!(decisions(&mut gate), [open(event, event - 5 * S, event + 30 * S)]);
    gate.advance(event + 30 * S - 1);
    assert_eq!(decisions(&mut gate), []);
    gate.advance(event + 30 * S);
    let close = GateDecision::Close {
        end_90k: event + 30 * S,
        reason: CloseReason::MaximumReached,
    };
    assert_eq!(decisions(&mut gate), [close]);
}

#[test]
fn the_earliest_event_of_the_window_opens() {
    let mut gate = gate(2, 0, 10, 30);
    gate.advance(100 * S);
    assert_eq!(gate.signal(Signal::at(100 * S)), SignalOutcome::Accepted);
    assert_eq!(gate.signal(Signal::at(99 * S)), SignalOutcome::Accepted);
    assert_eq!(
        gate.signal(Signal::at(98 * S - 1)),
        SignalOutcome::Late,
        "older than the window"
    );
    gate.advance(102 * S);
    let follow = GateDecision::Event {
        event_90k: 100 * S,
        end_90k: 110 * S,
        correlation_id: None,
    };
    assert_eq!(decisions(&mut gate), [open(99 * S, 99 * S, 109 * S), follow]);
    assert_eq!(
        gate.signal(Signal::at(98 * S)),
        SignalOutcome::Late,
        "the beginning is decided"
    );
    assert_eq!(gate.stats().late, 2);
}

#[test]
fn events_extend_up_to_the_maximum_and_the_next_one_opens_again() {
    let mut gate = gate(0, 0, 10, 25);
    gate.advance(0);
    for event in [0, 8, 16, 24] {
        gate.advance(event * S);
        assert_eq!(gate.signal(Signal::at(event * S)), SignalOutcome::Accepted);
    }
    gate.advance(25 * S);
    let ends: Vec<u64> = decisions(&mut gate)
        .iter()
        .map(|decision| match decision {
            GateDecision::Open { end_90k, .. }
            | GateDecision::Event { end_90k, .. }
            | GateDecision::Close { end_90k, .. } => end_90k / S,
        })
        .collect();
    assert_eq!(ends, [10, 18, 25, 25], "the fourth moves nothing");
    assert_eq!(gate.signal(Signal::at(25 * S)), SignalOutcome::Late);
    assert_eq!(gate.signal(Signal::at(25 * S + 1)), SignalOutcome::Accepted);
    gate.advance(25 * S + 1);
    assert!(matches!(gate.poll(), Some(GateDecision::Open { .. })));
}

#[test]
fn ids_keep_the_order_of_events() {
    let mut gate = gate(1, 0, 10, 30);
    gate.advance(0);
    for (time, id) in [(5, "b"), (4, "a"), (6, "c")] {
        let signal = Signal {
            timestamp_90k: time * S,
            correlation_id: Some(id.to_owned()),
        };
        assert_eq!(gate.signal(signal), SignalOutcome::Accepted);
    }
    gate.advance(6 * S);
    let ids: Vec<String> = decisions(&mut gate)
        .into_iter()
        .filter_map(|decision| match decision {
            GateDecision::Open { correlation_id, .. } | GateDecision::Event { correlation_id, .. } => {
                correlation_id
            }
            GateDecision::Close { .. } => None,
        })
        .collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

#[test]
fn a_positive_offset_delays_the_start() {
    let options = GateOptions::new(seconds(10), seconds(10)).starting_after(seconds(3));
    let mut gate = SignalGate::new(options).unwrap();
    gate.advance(S);
    let _ = gate.signal(Signal::at(S));
    assert_eq!(decisions(&mut gate), [open(S, 4 * S, 11 * S)]);
}

#[test]
fn clocks_that_run_ahead_cannot_keep_the_gate_open() {
    let mut gate = gate(1, 0, 10, 30);
    assert_eq!(
        gate.signal(Signal::at(u64::MAX)),
        SignalOutcome::Accepted,
        "no media seen yet"
    );
    gate.advance(S);
    assert_eq!(gate.stats().ahead, 1);
    assert_eq!(gate.signal(Signal::at(62 * S)), SignalOutcome::Ahead);
    assert_eq!(gate.signal(Signal::at(S)), SignalOutcome::Accepted);
    gate.advance(2 * S);
    assert_eq!(decisions(&mut gate), [open(S, S, 11 * S)]);
}

#[test]
fn invalid_gate_times_are_rejected() {
    let new = |options: GateOptions| SignalGate::new(options).map(|_| ()).unwrap_err();
    let valid = GateOptions::new(seconds(10), seconds(30));
    assert_eq!(
        new(GateOptions::new(seconds(0), seconds(1))),
        GateOptionsError::MinimumAndMaximum
    );
    assert_eq!(
        new(GateOptions::new(seconds(2), seconds(1))),
        GateOptionsError::MinimumAndMaximum
    );
    assert_eq!(
        new(valid.starting_after(seconds(10))),
        GateOptionsError::NothingToRecord
    );
    for options in [
        valid.with_evaluation_window(seconds(11)),
        valid.starting_before(seconds(61)),
        valid.starting_before(Duration::MAX),
        GateOptions::new(seconds(1), seconds(3601)),
    ] {
        assert!(matches!(new(options), GateOptionsError::TooLong { .. }));
    }
}

#[test]
fn the_end_of_a_stream_decides_waiting_events() {
    let mut gate = gate(10, 0, 10, 30);
    gate.advance(0);
    let _ = gate.signal(Signal::at(S));
    gate.end();
    assert_eq!(decisions(&mut gate).len(), 2, "opened and closed");
}

proptest! {
    /// Any operations: recordings are in order, and every accepted event lies in one that lasts long enough for it.
    #[test]
    fn every_accepted_event_is_recorded(
        operations in proptest::collection::vec((any::<bool>(), 0u64..40, 0u64..60), 1..120),
        window in 0u64..5, before in 0u64..10, minimum in 1u64..10, longer in 0u64..20,
    ) {
        let mut gate = gate(window, before, minimum, minimum + longer);
        let (mut clock, mut accepted, mut seen) = (1000 * S, Vec::new(), Vec::new());
        gate.advance(clock);
        for (advance, step, ago) in operations {
            if advance {
                clock += step * S / 10;
                gate.advance(clock);
            } else {
                let time = clock + 20 * S / 10 - ago * S / 10;
                if gate.signal(Signal::at(time)) == SignalOutcome::Accepted {
                    accepted.push(time);
                }
            }
            seen.extend(decisions(&mut gate));
        }
        gate.end();
        seen.extend(decisions(&mut gate));
        let mut recordings: Vec<(u64, u64, u64)> = Vec::new();
        for decision in seen {
            match decision {
                GateDecision::Open { event_90k, start_90k, end_90k, .. } => {
                    prop_assert_eq!(start_90k, event_90k - before * S);
                    recordings.push((event_90k, start_90k, end_90k));
                }
                GateDecision::Event { end_90k, .. } => {
                    let last = recordings.last_mut().unwrap();
                    prop_assert!(end_90k >= last.2);
                    last.2 = end_90k;
                }
                GateDecision::Close { end_90k, .. } => prop_assert_eq!(end_90k, recordings.last().unwrap().2),
            }
        }
        for (event, _, end) in &recordings {
            prop_assert!(*end >= event + minimum * S && *end <= event + (minimum + longer) * S);
        }
        for pair in recordings.windows(2) {
            prop_assert!(pair[0].2 < pair[1].0, "a new recording begins with an event after the last end");
        }
        for event in accepted {
            let within = recordings.iter().find(|(first, _, end)| (*first..=*end).contains(&event));
            let (first, _, end) = within.expect("an accepted event belongs to a recording");
            prop_assert!(*end >= (event + minimum * S).min(first + (minimum + longer) * S));
        }
    }

    #[test]
    fn hostile_times_do_not_panic(times in proptest::collection::vec((any::<bool>(), any::<u64>()), 0..60)) {
        let mut gate = gate(10, 60, 3600, 3600);
        for (advance, time) in times {
            if advance { gate.advance(time) } else { let _ = gate.signal(Signal::at(time)); }
            decisions(&mut gate);
        }
    }
}

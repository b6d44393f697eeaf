//! A machine whose time a test controls.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::clock::{Boot, Clock, Now};

/// 2027-01-15.
const START_MS: i64 = 1_800_000_000_000;

/// Its clocks.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedMachine(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    started: Instant,
    /// Time in which it was on, which a process sees.
    on: Duration,
    /// True time.
    passed: Duration,
    /// By how much its clock is wrong.
    wrong_by_s: i64,
    boots: u32,
    booted_at: Duration,
}

impl SimulatedMachine {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            started: Instant::now(),
            on: Duration::ZERO,
            passed: Duration::ZERO,
            wrong_by_s: 0,
            boots: 1,
            booted_at: Duration::ZERO,
        })))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    /// It runs for so long.
    pub(crate) fn pass(&self, time: Duration) {
        self.change(|state| {
            state.on += time;
            state.passed += time;
        });
    }

    /// It is off for so long, and starts.
    pub(crate) fn switch_off(&self, time: Duration) {
        self.change(|state| {
            state.passed += time;
            state.boots += 1;
            state.booted_at = state.on;
        });
    }

    /// Its clock is wrong from now on, or right.
    pub(crate) fn set_clock(&self, wrong_by_s: i64) {
        self.change(|state| state.wrong_by_s = wrong_by_s);
    }

    pub(crate) fn set_right(&self) {
        self.set_clock(0);
    }
}

impl Clock for SimulatedMachine {
    fn now(&self) -> Now {
        let state = self.0.lock().unwrap();
        let shown = START_MS + state.passed.as_millis() as i64 + state.wrong_by_s * 1000;
        Now {
            unix_ms: u64::try_from(shown).unwrap(),
            monotonic: state.started + state.on,
        }
    }

    fn boot(&self) -> Option<Boot> {
        let state = self.0.lock().unwrap();
        Some(Boot {
            id: state.boots.to_string(),
            uptime_ms: (state.on - state.booted_at).as_millis() as u64,
        })
    }
}

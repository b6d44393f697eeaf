//! Ages of events beside a clock that is set now and then; the clock is a parameter.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Less is the clock's ordinary drift.
const MIN_STEP: Duration = Duration::from_secs(60);
/// Most steps that are remembered.
const MAX_STEPS: usize = 64;

/// A moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// Milliseconds since 1970 by the clock of the machine, which may be wrong, and may be set at any time.
    pub(super) unix_ms: u64,
    pub(super) monotonic: Instant,
}

impl Now {
    pub(super) fn read() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            monotonic: Instant::now(),
        }
    }
}

/// Steps of the machine's clock since the outbox was opened. **A step makes no event older or younger.**
#[derive(Debug, Default)]
pub(super) struct ClockSteps {
    /// Both clocks at the start, or after the last step.
    baseline: Option<Now>,
    steps: VecDeque<Step>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    /// Events before this number have a time from before the step.
    before: u64,
    by_ms: i128,
}

impl ClockSteps {
    /// Looks for a step. `next` is the number of the next event; those before `first` are gone.
    pub(super) fn observe(&mut self, now: Now, first: u64, next: u64) {
        let baseline = *self.baseline.get_or_insert(now);
        let real = now.monotonic.saturating_duration_since(baseline.monotonic);
        let shown = i128::from(now.unix_ms) - i128::from(baseline.unix_ms);
        let by_ms = shown - real.as_millis() as i128;
        if by_ms.unsigned_abs() < MIN_STEP.as_millis() {
            return;
        }
        tracing::info!(
            seconds = by_ms as f64 / 1000.0,
            "the machine's clock was set; events that wait do not age by it"
        );
        self.baseline = Some(now);
        self.steps.retain(|step| step.before > first);
        if self.steps.len() >= MAX_STEPS
            && let (Some(oldest), Some(second)) = (self.steps.pop_front(), self.steps.front_mut())
        {
            // Events before the older step may seem younger by this, and none seems older.
            second.by_ms += oldest.by_ms.max(0);
        }
        self.steps.push_back(Step { before: next, by_ms });
    }

    /// How long ago an event was made; negative where the clock was wrong before the outbox was opened.
    pub(super) fn age_ms(&self, sequence: u64, created_ms: u64, now: Now) -> i128 {
        let later = self.steps.iter().filter(|step| sequence < step.before);
        let stepped: i128 = later.map(|step| step.by_ms).sum();
        i128::from(now.unix_ms) - i128::from(created_ms) - stepped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_800_000_000_000;
    const DAY: u64 = 86_400_000;

    struct Machine {
        start: Instant,
        elapsed_ms: u64,
        offset_ms: i64,
    }

    impl Machine {
        fn now(&self) -> Now {
            Now {
                unix_ms: T
                    .saturating_add(self.elapsed_ms)
                    .saturating_add_signed(self.offset_ms),
                monotonic: self.start + Duration::from_millis(self.elapsed_ms),
            }
        }
    }

    fn machine() -> Machine {
        Machine {
            start: Instant::now(),
            elapsed_ms: 0,
            offset_ms: 0,
        }
    }

    #[test]
    fn time_passes_as_the_machine_counts_it() {
        let mut machine = machine();
        let mut steps = ClockSteps::default();
        steps.observe(machine.now(), 0, 0);
        machine.elapsed_ms = 30 * DAY;
        // Drift.
        machine.offset_ms = 59_000;
        steps.observe(machine.now(), 0, 1);
        assert_eq!(steps.age_ms(0, T, machine.now()), i128::from(30 * DAY) + 59_000);
    }

    #[test]
    fn a_step_ages_neither_older_nor_newer_events() {
        let mut machine = machine();
        let mut steps = ClockSteps::default();
        steps.observe(machine.now(), 0, 0);
        machine.elapsed_ms = 1000;
        machine.offset_ms = 40 * DAY as i64;
        steps.observe(machine.now(), 0, 1);
        let created = machine.now().unix_ms;
        machine.elapsed_ms = 5000;
        steps.observe(machine.now(), 0, 2);
        assert_eq!(steps.age_ms(0, T, machine.now()), 5000);
        assert_eq!(steps.age_ms(1, created, machine.now()), 4000);
    }

    #[test]
    fn a_glitch_into_another_century_passes() {
        let mut machine = machine();
        let mut steps = ClockSteps::default();
        steps.observe(machine.now(), 0, 0);
        machine.offset_ms = 73 * 365 * DAY as i64;
        steps.observe(machine.now(), 0, 1);
        let in_glitch = machine.now().unix_ms;
        machine.offset_ms = 0;
        machine.elapsed_ms = 2000;
        steps.observe(machine.now(), 0, 2);
        assert_eq!(steps.age_ms(0, T, machine.now()), 2000);
        assert_eq!(steps.age_ms(1, in_glitch, machine.now()), 2000);
        assert_eq!(steps.age_ms(2, machine.now().unix_ms, machine.now()), 0);
    }

    #[test]
    fn steps_are_bounded_and_no_event_seems_older_than_it_is() {
        let mut machine = machine();
        let mut steps = ClockSteps::default();
        steps.observe(machine.now(), 0, 0);
        for sequence in 1..200 {
            machine.elapsed_ms += 1000;
            machine.offset_ms = if sequence % 2 == 0 { 0 } else { -(DAY as i64) };
            steps.observe(machine.now(), 0, sequence);
        }
        assert_eq!(steps.steps.len(), MAX_STEPS);
        assert!(steps.age_ms(0, T, machine.now()) <= 199_000);
        machine.offset_ms += 2 * DAY as i64;
        steps.observe(machine.now(), 300, 301);
        assert_eq!(
            steps.steps.len(),
            1,
            "those before delivered events are of no use"
        );
    }
}

//! Ages of events beside a clock that is set now and then, and a machine that is switched off; the clock is a parameter.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Less is the clock's ordinary drift.
const MIN_STEP: Duration = Duration::from_secs(60);
/// Most steps that are remembered.
const MAX_STEPS: usize = 64;
/// A number that Linux makes at each start of the machine (proc_sys_kernel(5)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Seconds since the start of the machine, whatever its clock shows (proc_uptime(5)).
const UPTIME: &str = "/proc/uptime";

/// The clocks of a machine.
pub(super) trait Clock: Send + 'static {
    fn now(&self) -> Now;

    /// `None` where the system does not report it.
    fn boot(&self) -> Option<Boot>;
}

/// Those of this machine.
#[derive(Debug)]
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now::read()
    }

    fn boot(&self) -> Option<Boot> {
        let id = std::fs::read_to_string(BOOT_ID).ok()?.trim().to_owned();
        let uptime = std::fs::read_to_string(UPTIME).ok()?;
        let seconds = uptime.split_whitespace().next()?.parse::<f64>().ok()?;
        let uptime = Duration::try_from_secs_f64(seconds).ok()?;
        Some(Boot {
            id,
            uptime_ms: u64::try_from(uptime.as_millis()).ok()?,
        })
    }
}

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

/// The present run of the machine, and how long it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Boot {
    pub(super) id: String,
    pub(super) uptime_ms: u64,
}

/// Steps of the machine's clock while events wait. **A step makes no event older or younger, and nor does a time in which the
/// machine is off**: only a clock that may have been wrong before or after shows how long that was.
#[derive(Debug, Default)]
pub(super) struct ClockSteps {
    /// Both clocks at the start, or after the last step.
    baseline: Option<Now>,
    steps: VecDeque<Step>,
    /// There is a step that is not saved.
    is_changed: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Step {
    /// Events before this number have a time from before the step.
    before: u64,
    by_ms: i64,
}

/// What the next process needs.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// By the clock of the machine.
    unix_ms: u64,
    boot: Option<Boot>,
    steps: Vec<Step>,
}

impl ClockSteps {
    /// Continues from what an earlier process [saved](Self::save). Without that, the time until now is that of the clock.
    pub(super) fn resume(
        &mut self,
        saved: Option<&[u8]>,
        now: Now,
        boot: Option<&Boot>,
        first: u64,
        next: u64,
    ) {
        self.baseline = Some(now);
        let Some(saved) = saved.and_then(|json| serde_json::from_slice::<Saved>(json).ok()) else {
            return;
        };
        self.steps = saved.steps.into_iter().take(MAX_STEPS).collect();
        let passed_ms = match (saved.boot, boot) {
            (Some(then), Some(now)) if then.id == now.id => now.uptime_ms.saturating_sub(then.uptime_ms),
            _ => 0,
        };
        let shown = i128::from(now.unix_ms) - i128::from(saved.unix_ms);
        self.step(shown - i128::from(passed_ms), first, next);
    }

    /// For [`resume`](Self::resume): what is known of the clock now.
    pub(super) fn save(&mut self, now: Now, boot: Option<Boot>) -> Vec<u8> {
        self.is_changed = false;
        let saved = Saved {
            unix_ms: now.unix_ms,
            boot,
            steps: self.steps.iter().copied().collect(),
        };
        // Numbers and a string cannot fail to be written.
        serde_json::to_vec(&saved).unwrap_or_default()
    }

    /// Whether there is a step that is not saved.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Looks for a step. `next` is the number of the next event; those before `first` are gone.
    pub(super) fn observe(&mut self, now: Now, first: u64, next: u64) {
        let baseline = *self.baseline.get_or_insert(now);
        let real = now.monotonic.saturating_duration_since(baseline.monotonic);
        let shown = i128::from(now.unix_ms) - i128::from(baseline.unix_ms);
        if self.step(shown - real.as_millis() as i128, first, next) {
            self.baseline = Some(now);
        }
    }

    /// Whether it is one.
    fn step(&mut self, by_ms: i128, first: u64, next: u64) -> bool {
        if by_ms.unsigned_abs() < MIN_STEP.as_millis() {
            return false;
        }
        tracing::info!(
            seconds = by_ms as f64 / 1000.0,
            "the machine's clock was set, or the machine was off; events that wait do not age by it"
        );
        self.steps.retain(|step| step.before > first);
        if self.steps.len() >= MAX_STEPS
            && let (Some(oldest), Some(second)) = (self.steps.pop_front(), self.steps.front_mut())
        {
            // Events before the older step may seem younger by this, and none seems older.
            second.by_ms = second.by_ms.saturating_add(oldest.by_ms.max(0));
        }
        let limit = i128::from(i64::MAX);
        self.steps.push_back(Step {
            before: next,
            by_ms: by_ms.clamp(-limit, limit) as i64,
        });
        self.is_changed = true;
        true
    }

    /// How long ago an event was made, as far as the machine was on; negative where the clock was wrong before this was
    /// known of.
    pub(super) fn age_ms(&self, sequence: u64, created_ms: u64, now: Now) -> i128 {
        let later = self.steps.iter().filter(|step| sequence < step.before);
        let stepped: i128 = later.map(|step| i128::from(step.by_ms)).sum();
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

    fn boot(id: &str, uptime_ms: u64) -> Boot {
        Boot {
            id: id.to_owned(),
            uptime_ms,
        }
    }

    /// The steps of a process that saves at `T` and of the next one, which starts when the clock shows this.
    fn resumed(unix_ms: u64, was: Option<Boot>, is: Option<Boot>) -> (ClockSteps, Now) {
        let now = machine().now();
        let mut before = ClockSteps::default();
        before.observe(now, 0, 1);
        let saved = before.save(now, was);
        let now = Now { unix_ms, ..now };
        let mut steps = ClockSteps::default();
        steps.resume(Some(&saved), now, is.as_ref(), 0, 1);
        (steps, now)
    }

    #[test]
    fn a_clock_that_is_set_between_two_processes_ages_nothing_and_the_time_between_them_does() {
        for wrong_by in [0, 400 * DAY as i64, -400 * DAY as i64] {
            let shown = (T + 3 * DAY).saturating_add_signed(wrong_by);
            let (steps, now) = resumed(shown, Some(boot("a", 1000)), Some(boot("a", 1000 + 3 * DAY)));
            assert_eq!(steps.age_ms(0, T, now), i128::from(3 * DAY), "{wrong_by}");
            assert_eq!(steps.age_ms(1, shown, now), 0);
            assert_eq!(steps.is_changed(), wrong_by != 0);
        }
    }

    #[test]
    fn a_machine_that_was_off_ages_nothing() {
        for (was, is) in [
            (Some(boot("a", 9 * DAY)), Some(boot("b", 2000))),
            (Some(boot("a", 0)), None),
            (None, None),
        ] {
            for shown in [T + 400 * DAY, T - 400 * DAY, 0] {
                let (steps, now) = resumed(shown, was.clone(), is.clone());
                assert_eq!(steps.age_ms(0, T, now), 0);
            }
        }
    }

    #[test]
    fn a_clock_that_is_right_again_after_the_start_ages_nothing() {
        // Wrong by a year until the network is there.
        let (mut steps, started) = resumed(T + 365 * DAY, Some(boot("a", 0)), Some(boot("b", 0)));
        let later = Now {
            unix_ms: T + 60_000,
            monotonic: started.monotonic + Duration::from_secs(60),
        };
        steps.observe(later, 0, 2);
        assert_eq!(steps.age_ms(0, T, later), 60_000);
        assert_eq!(steps.age_ms(1, started.unix_ms, later), 60_000);
    }

    #[test]
    fn what_was_saved_badly_counts_as_nothing_saved() {
        let now = machine().now();
        for saved in [None, Some(&b""[..]), Some(b"{\"unix_ms\":1"), Some(b"\0\0")] {
            let mut steps = ClockSteps::default();
            steps.resume(saved, now, None, 0, 1);
            assert_eq!(steps.age_ms(0, T - DAY, now), i128::from(DAY));
        }
    }

    #[test]
    fn this_machine_tells_how_long_it_runs() {
        let (first, second) = (SystemClock.boot().unwrap(), SystemClock.boot().unwrap());
        assert_eq!(first.id, second.id);
        assert!(first.uptime_ms > 0 && second.uptime_ms >= first.uptime_ms);
    }
}

//! How RTP time of the described rate becomes media time, and how that is corrected.

use super::TICKS;

/// Corrections below 2 ms are not applied: reports jitter.
pub(super) const DEAD_BAND: i64 = 2 * TICKS / 1000;
/// Larger forward corrections are applied in one step.
const STEP: i64 = TICKS;
/// Smaller corrections are limited to 1/20 of the media time that passes.
const SLEW_DIVISOR: i64 = 20;
/// RTP time that goes back by more than this has jumped; less is reordering (B-frames).
pub(super) const MAX_REORDER: i64 = TICKS;
/// RTP time that runs ahead of arrival by more than this between two units has jumped.
const MAX_AHEAD: i64 = 5 * TICKS;
/// Windows over which the fastest unit is sought: the first one, and all others.
const FIRST_WINDOW: i64 = 2 * TICKS;
const WINDOW: i64 = 10 * TICKS;
/// The longest that a step waits for a unit where decoding can start.
pub(super) const MAX_STEP_DELAY: i64 = 30 * TICKS;
/// While a wrong rate is made up for: a quarter, and no step below this.
const CATCH_UP_DIVISOR: i64 = 4;
const MAX_CATCH_UP: i64 = 10 * TICKS;
/// Media time is never further ahead than this.
pub(super) const MAX_LEAD: i64 = 3 * TICKS / 2;

/// `media time = RTP time + offset`, both in ticks of 1/90000 s.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mapping {
    pub(super) offset: i64,
    /// The offset according to arrival times.
    pub(super) arrival_target: i64,
    window_minimum: i64,
    window_ends: i64,
    /// The furthest RTP time so far, and the latest arrival.
    pub(super) last_rtp: i64,
    pub(super) last_arrival: i64,
    /// RTP time since which a step is due but not allowed.
    step_due: Option<i64>,
    /// A wrong rate has led away from the truth.
    catching_up: bool,
    /// How far ahead of the true time this may be.
    pub(super) lead_allowed: i64,
}

impl Mapping {
    pub(super) fn begin(rtp: i64, arrival: i64, by_arrival: i64) -> Self {
        Self {
            offset: by_arrival,
            arrival_target: by_arrival,
            window_minimum: by_arrival,
            window_ends: arrival.saturating_add(FIRST_WINDOW),
            last_rtp: rtp,
            last_arrival: arrival,
            step_due: None,
            catching_up: false,
            lead_allowed: MAX_LEAD,
        }
    }

    /// RTP time goes on from here at another pace.
    pub(super) fn change_pace(&mut self, rtp: i64, arrival: i64) {
        let by_arrival = arrival.saturating_sub(rtp);
        self.offset = self.offset.saturating_add(self.last_rtp).saturating_sub(rtp);
        self.last_rtp = rtp;
        self.arrival_target = by_arrival;
        self.window_minimum = by_arrival;
        self.window_ends = arrival.saturating_add(FIRST_WINDOW);
        self.catching_up = true;
    }

    /// Takes back what RTP time has run ahead of the true time, as far as time does not go backwards. A clock that was set
    /// back is another matter: that is made up for gradually.
    pub(super) fn limit_lead(&mut self, rtp: i64, truth: i64, newest: Option<i64>, passed: i64) {
        let own = rtp.saturating_add(self.offset);
        let lead = own.saturating_sub(truth);
        if lead <= self.lead_allowed {
            self.lead_allowed = lead.max(MAX_LEAD).min(self.lead_allowed);
            return;
        }
        let Some(newest) = newest.filter(|newest| own > *newest) else {
            return;
        };
        let least = newest.saturating_add((passed / SLEW_DIVISOR).clamp(1, TICKS / 1000));
        let limited = truth.saturating_add(self.lead_allowed).max(least).min(own);
        self.offset = limited.saturating_sub(rtp);
    }

    pub(super) fn has_jumped(&self, rtp: i64, arrival: i64) -> bool {
        let media = rtp.saturating_sub(self.last_rtp);
        // The local clock may have been set back meanwhile; that is not a jump of the camera.
        let elapsed = arrival.saturating_sub(self.last_arrival).max(0);
        media < -MAX_REORDER || media > elapsed.saturating_add(MAX_AHEAD)
    }

    pub(super) fn arrived(&mut self, rtp: i64, arrival: i64, by_arrival: i64) {
        self.last_rtp = self.last_rtp.max(rtp);
        // This machine's clock was set back.
        let set_back = self.last_arrival.saturating_sub(arrival);
        if set_back > TICKS {
            self.lead_allowed = self.lead_allowed.saturating_add(set_back);
        }
        self.last_arrival = arrival;
        self.window_minimum = self.window_minimum.min(by_arrival);
        // The second condition: the local clock was set back.
        if arrival >= self.window_ends || self.window_ends.saturating_sub(arrival) > WINDOW {
            self.arrival_target = self.window_minimum;
            self.window_minimum = by_arrival;
            self.window_ends = arrival.saturating_add(WINDOW);
        }
    }

    /// Moves the offset towards `target`; true if it stepped.
    pub(super) fn correct(&mut self, target: i64, passed: i64, may_step: bool) -> bool {
        let difference = target.saturating_sub(self.offset);
        if self.catching_up && difference.saturating_abs() < 5 * DEAD_BAND {
            self.catching_up = false;
        }
        if difference > STEP && !(self.catching_up && difference < MAX_CATCH_UP) {
            let due = *self.step_due.get_or_insert(self.last_rtp);
            if !may_step && self.last_rtp.saturating_sub(due) < MAX_STEP_DELAY {
                return false;
            }
            self.step_due = None;
            self.offset = target;
            return true;
        }
        self.step_due = None;
        if difference.saturating_abs() > DEAD_BAND {
            let most = passed
                / if self.catching_up {
                    CATCH_UP_DIVISOR
                } else {
                    SLEW_DIVISOR
                };
            self.offset = self.offset.saturating_add(difference.clamp(-most, most));
        }
        false
    }
}

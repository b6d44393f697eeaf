//! Which failures of a node are reported: neither one event a second for a dead extension, nor one for every other frame.

use std::collections::BTreeMap;
use std::time::Instant;

use lva_inference_schema::EventName;

use crate::rate_limiter::REPORT_INTERVAL;

/// Kinds of failures that are remembered. Peers may invent codes; failures of further kinds are always reported.
const KINDS: usize = 32;

/// The last report of each kind of failure.
#[derive(Debug, Default)]
pub(super) struct FailureThrottle(BTreeMap<(EventName, String), LastReport>);

#[derive(Debug)]
struct LastReport {
    at: Instant,
    /// The node has worked since.
    worked: bool,
}

impl FailureThrottle {
    /// The node works.
    pub(super) fn on_success(&mut self) {
        for report in self.0.values_mut() {
            report.worked = true;
        }
    }

    /// Whether to report a failure now: the first of its kind, and then one a minute, if the node has worked in between.
    pub(super) fn should_report(&mut self, event: EventName, code: &str, now: Instant) -> bool {
        let kind = (event, code.to_owned());
        let due = self
            .0
            .get(&kind)
            .is_none_or(|last| last.worked && now.saturating_duration_since(last.at) >= REPORT_INTERVAL);
        if due && (self.0.len() < KINDS || self.0.contains_key(&kind)) {
            let report = LastReport {
                at: now,
                worked: false,
            };
            self.0.insert(kind, report);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ERROR: EventName = EventName::NetworkError;

    #[test]
    fn a_dead_extension_is_reported_once_and_again_after_it_has_worked() {
        let mut throttle = FailureThrottle::default();
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let reported: Vec<u64> = (0..300)
            .filter(|second| throttle.should_report(ERROR, "unreachable", at(*second)))
            .collect();
        assert_eq!(reported, [0]);
        throttle.on_success();
        assert!(throttle.should_report(ERROR, "unreachable", at(300)));
        assert!(
            throttle.should_report(ERROR, "timeout", at(301)),
            "another kind of failure"
        );
    }

    #[test]
    fn failures_on_every_other_frame_are_reported_once_a_minute_whatever_their_codes() {
        let mut throttle = FailureThrottle::default();
        let began = Instant::now();
        let mut reported = Vec::new();
        for frame in 0..15 * 150 {
            let now = began + Duration::from_millis(frame * 1000 / 15);
            match frame % 4 {
                0 if throttle.should_report(ERROR, "500", now) => reported.push(frame / 15),
                2 if throttle.should_report(ERROR, "timeout", now) => reported.push(frame / 15),
                1 | 3 => throttle.on_success(),
                _ => {}
            }
        }
        assert_eq!(reported, [0, 0, 60, 60, 120, 120]);
    }

    #[test]
    fn a_peer_that_invents_codes_does_not_fill_the_memory() {
        let mut throttle = FailureThrottle::default();
        for code in 0..1000 {
            throttle.should_report(ERROR, &code.to_string(), Instant::now());
        }
        assert_eq!(throttle.0.len(), KINDS);
    }
}

//! Which failures of a node are news: a dead extension is not an event every second, nor one that fails on every other
//! frame an event for each.

use std::collections::BTreeMap;
use std::time::Instant;

use lva_inference_schema::EventName;

use crate::once_a_minute::QUIET;

/// Kinds of failures that are remembered. Codes may be a peer's own; of more than these, each is news.
const KINDS: usize = 32;

/// What was said of each kind of failure.
#[derive(Debug, Default)]
pub(super) struct Complaints(BTreeMap<(EventName, String), Said>);

#[derive(Debug)]
struct Said {
    at: Instant,
    /// The node has worked since.
    worked: bool,
}

impl Complaints {
    /// The node works.
    pub(super) fn works(&mut self) {
        for said in self.0.values_mut() {
            said.worked = true;
        }
    }

    /// Whether a failure is to be said now: the first of its kind, and one a minute where the node has worked in between.
    pub(super) fn are_news(&mut self, event: EventName, code: &str, now: Instant) -> bool {
        let kind = (event, code.to_owned());
        let news = self
            .0
            .get(&kind)
            .is_none_or(|said| said.worked && now.saturating_duration_since(said.at) >= QUIET);
        if news && (self.0.len() < KINDS || self.0.contains_key(&kind)) {
            self.0.insert(
                kind,
                Said {
                    at: now,
                    worked: false,
                },
            );
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ERROR: EventName = EventName::NetworkError;

    #[test]
    fn a_dead_extension_is_said_once_and_again_when_it_has_worked_in_between() {
        let mut complaints = Complaints::default();
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let said: Vec<u64> = (0..300)
            .filter(|second| complaints.are_news(ERROR, "unreachable", at(*second)))
            .collect();
        assert_eq!(said, [0]);
        complaints.works();
        assert!(complaints.are_news(ERROR, "unreachable", at(300)));
        assert!(
            complaints.are_news(ERROR, "timeout", at(301)),
            "that is something else"
        );
    }

    #[test]
    fn failures_on_every_other_frame_are_said_once_a_minute_whatever_their_codes() {
        let mut complaints = Complaints::default();
        let began = Instant::now();
        let mut said = Vec::new();
        for frame in 0..15 * 150 {
            let now = began + Duration::from_millis(frame * 1000 / 15);
            match frame % 4 {
                0 if complaints.are_news(ERROR, "500", now) => said.push(frame / 15),
                2 if complaints.are_news(ERROR, "timeout", now) => said.push(frame / 15),
                1 | 3 => complaints.works(),
                _ => {}
            }
        }
        assert_eq!(said, [0, 0, 60, 60, 120, 120]);
    }

    #[test]
    fn a_peer_that_makes_up_codes_fills_no_memory() {
        let mut complaints = Complaints::default();
        for code in 0..1000 {
            complaints.are_news(ERROR, &code.to_string(), Instant::now());
        }
        assert_eq!(complaints.0.len(), KINDS);
    }
}

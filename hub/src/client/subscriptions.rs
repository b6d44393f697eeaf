//! Which filters the broker has granted; the clock is a parameter.

use std::time::{Duration, Instant};

use super::in_flight::ACKNOWLEDGE_TIMEOUT;
use crate::mqtt::Qos;
use crate::session::SessionOptions;

/// A filter with the highest quality of service that is wanted.
type Filter = (String, Qos);

/// **What the broker refuses is asked for again**, with pauses that double, as long as the connection lasts.
#[derive(Debug)]
pub(super) struct Subscriptions {
    min_pause: Duration,
    max_pause: Duration,
    asked: Option<(Instant, Vec<Filter>)>,
    refused: Vec<Filter>,
    retry_at: Option<Instant>,
    failures: u32,
}

/// The contents of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// Filters that are refused.
    pub(super) refused: Vec<String>,
    /// Whether it is the first answer over this connection.
    pub(super) is_first: bool,
    /// Whether anything is granted.
    pub(super) has_granted: bool,
}

impl Subscriptions {
    pub(super) fn new(options: &SessionOptions) -> Self {
        Self {
            min_pause: options.min_pause,
            max_pause: options.max_pause,
            asked: None,
            refused: Vec::new(),
            retry_at: None,
            failures: 0,
        }
    }

    /// Over a new connection, these are wanted.
    pub(super) fn on_connected(&mut self, filters: Vec<Filter>, now: Instant) {
        self.asked = None;
        self.refused = filters;
        self.retry_at = Some(now);
        self.failures = 0;
    }

    /// What to ask for now. Nothing while an answer is missing.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Vec<Filter>> {
        self.retry_at.take_if(|at| now >= *at)?;
        let filters = std::mem::take(&mut self.refused);
        self.asked = Some((now, filters.clone()));
        Some(filters)
    }

    /// The broker answered, and refuses the filters at these places.
    pub(super) fn on_answer(&mut self, refused: &[usize], now: Instant) -> Answered {
        let asked = self.asked.take().map(|(_, filters)| filters).unwrap_or_default();
        self.refused = refused
            .iter()
            .filter_map(|index| asked.get(*index).cloned())
            .collect();
        let is_first = self.failures == 0;
        if !self.refused.is_empty() {
            let pause = self.min_pause.saturating_mul(1 << self.failures.min(16));
            self.retry_at = Some(now + pause.min(self.max_pause));
            self.failures = self.failures.saturating_add(1);
        }
        Answered {
            refused: self.refused.iter().map(|(filter, _)| filter.clone()).collect(),
            is_first,
            has_granted: self.refused.len() < asked.len(),
        }
    }

    /// When to ask again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// When the broker is late with its answer.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        self.asked.as_ref().map(|(at, _)| *at + ACKNOWLEDGE_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn filter(name: &str) -> Filter {
        (name.to_owned(), Qos::AtMostOnce)
    }

    fn connected() -> (Subscriptions, Instant) {
        let mut subscriptions = Subscriptions::new(&SessionOptions::default());
        let now = Instant::now();
        subscriptions.on_connected(vec![filter("a"), filter("b")], now);
        assert_eq!(subscriptions.take_due(now).unwrap().len(), 2);
        (subscriptions, now)
    }

    #[test]
    fn a_refused_filter_is_asked_for_again_with_growing_pauses_until_it_is_granted() {
        let (mut subscriptions, mut now) = connected();
        for (index, pause) in [1, 2, 4, 8, 16, 32, 40, 40].into_iter().enumerate() {
            // Of two filters the second, then of one the first.
            let answered = subscriptions.on_answer(&[usize::from(index == 0)], now);
            assert_eq!(answered.refused, ["b"]);
            assert_eq!(
                (answered.is_first, answered.has_granted),
                (index == 0, index == 0)
            );
            assert_eq!(subscriptions.retry_at(), Some(now + pause * SECOND));
            assert_eq!(subscriptions.take_due(now), None);
            now += pause * SECOND;
            assert_eq!(subscriptions.take_due(now), Some(vec![filter("b")]));
        }
        let answered = subscriptions.on_answer(&[], now);
        assert_eq!(answered.refused, [] as [&str; 0]);
        assert!(answered.has_granted);
        assert_eq!(subscriptions.retry_at(), None);
        assert_eq!(subscriptions.overdue_at(), None);
    }

    #[test]
    fn an_answer_that_is_missing_makes_the_broker_late() {
        let (mut subscriptions, now) = connected();
        assert_eq!(subscriptions.overdue_at(), Some(now + 30 * SECOND));
        assert_eq!(subscriptions.take_due(now + 29 * SECOND), None);
        subscriptions.on_answer(&[], now + 29 * SECOND);
        assert_eq!(subscriptions.overdue_at(), None);
    }

    #[test]
    fn a_new_connection_asks_for_everything_at_once() {
        let (mut subscriptions, now) = connected();
        subscriptions.on_answer(&[0, 1], now);
        subscriptions.on_connected(vec![filter("a"), filter("b")], now);
        assert_eq!(subscriptions.take_due(now).unwrap().len(), 2);
        assert!(subscriptions.on_answer(&[0], now).is_first);
    }

    #[test]
    fn places_that_were_not_asked_for_are_ignored() {
        let (mut subscriptions, now) = connected();
        assert_eq!(subscriptions.on_answer(&[7], now).refused, [] as [&str; 0]);
        assert_eq!(subscriptions.retry_at(), None);
    }
}

//! Reports drops by `DataDropped`, at most once a minute for each node, whatever happens.

use std::collections::BTreeMap;
use std::time::Instant;

use lva_graph_model::Graph;
use lva_inference_schema::body::{DataDropped, EventBody};
use lva_inference_schema::{EventName, Subject};

use crate::event::SubjectFactory;
use crate::rate_limiter::REPORT_INTERVAL;
use crate::stats::{DropReason, Drops};

/// Finds the drops to report, from counters that only rise. The caller passes the time.
#[derive(Debug, Default)]
struct DropTracker {
    /// By node.
    reports: BTreeMap<String, LastReport>,
}

#[derive(Debug)]
struct LastReport {
    at: Instant,
    counts: BTreeMap<DropReason, u64>,
}

/// What one node dropped since its last report.
#[derive(Debug, PartialEq)]
struct DropDelta {
    node: String,
    /// Never 0.
    counts: BTreeMap<DropReason, u64>,
}

impl DropTracker {
    /// What to report now: the first drops of a node at once, further ones together a minute later.
    fn update(&mut self, now: Instant, dropped: &Drops) -> Vec<DropDelta> {
        let mut deltas: Vec<DropDelta> = Vec::new();
        for ((node, reason), total) in dropped {
            let last = self.reports.get(node);
            if last.is_some_and(|last| now.saturating_duration_since(last.at) < REPORT_INTERVAL) {
                continue;
            }
            let before = last.and_then(|last| last.counts.get(reason)).copied();
            let more = total.saturating_sub(before.unwrap_or_default());
            if more == 0 {
                continue;
            }
            // The counters are ordered by node.
            match deltas.last_mut().filter(|delta| delta.node == *node) {
                Some(delta) => {
                    delta.counts.insert(*reason, more);
                }
                None => deltas.push(DropDelta {
                    node: node.clone(),
                    counts: BTreeMap::from([(*reason, more)]),
                }),
            }
        }
        for delta in &deltas {
            let counts = BTreeMap::new();
            let last = self.reports.entry(delta.node.clone());
            let last = last.or_insert(LastReport { at: now, counts });
            last.at = now;
            for (reason, more) in &delta.counts {
                *last.counts.entry(*reason).or_default() += more;
            }
        }
        deltas
    }
}

impl DropDelta {
    /// `{"dataType":"media","count":31,"reasons":{"replacedByNewer":31}}`.
    fn body(&self) -> EventBody {
        let kind = if self.counts.keys().all(|reason| reason.is_of_events()) {
            "events"
        } else {
            "media"
        };
        let mut body = DataDropped::new(kind);
        body.count = Some(self.counts.values().sum());
        let reasons = self.counts.iter();
        body.reasons = reasons
            .map(|(reason, count)| (reason.as_str().to_owned(), *count))
            .collect();
        EventBody::DataDropped(body)
    }
}

/// Makes the events about drops of the nodes of a graph.
#[derive(Debug)]
pub(super) struct DropReporter {
    tracker: DropTracker,
    subjects: BTreeMap<String, Subject>,
}

/// The name, subject and body of an event.
pub(super) type DropEvent<'a> = (EventName, &'a Subject, EventBody);

impl DropReporter {
    /// `module` is the module name in subjects of Video Analyzer.
    pub(super) fn new(graph: &Graph, module: &str) -> Self {
        let subjects = SubjectFactory::new(graph, module);
        let nodes = graph.nodes().iter();
        Self {
            tracker: DropTracker::default(),
            subjects: nodes
                .map(|node| (node.name.clone(), subjects.node(node)))
                .collect(),
        }
    }

    /// The events that are due.
    pub(super) fn due(&mut self, now: Instant, dropped: &Drops) -> Vec<DropEvent<'_>> {
        let deltas = self.tracker.update(now, dropped);
        let events = deltas.iter().filter_map(|delta| {
            let subject = self.subjects.get(&delta.node)?;
            Some((EventName::DataDropped, subject, delta.body()))
        });
        events.collect()
    }

    /// Everything that was not yet reported, at the end.
    pub(super) fn last(&mut self, now: Instant, dropped: &Drops) -> Vec<DropEvent<'_>> {
        match now.checked_add(REPORT_INTERVAL) {
            Some(later) => self.due(later, dropped),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lva_inference_schema::JsonStyle;

    use super::*;

    fn drops(all: &[(&str, DropReason, u64)]) -> Drops {
        let all = all.iter();
        all.map(|(node, reason, count)| (((*node).to_owned(), *reason), *count))
            .collect()
    }

    #[test]
    fn the_first_drops_are_reported_at_once_and_all_of_a_minute_together() {
        let began = Instant::now();
        let mut tracker = DropTracker::default();
        assert_eq!(tracker.update(began, &drops(&[])), []);
        let mut reported = 0;
        let mut steps = Vec::new();
        // A drop every 100 ms for ten minutes, with an update as often.
        for step in 1..=6000u64 {
            let now = began + Duration::from_millis(100 * step);
            for delta in tracker.update(now, &drops(&[("ext", DropReason::ReplacedByNewer, step)])) {
                assert_eq!(delta.node, "ext");
                reported += delta.counts[&DropReason::ReplacedByNewer];
                steps.push(step);
            }
        }
        assert_eq!(steps[..3], [1, 601, 1201]);
        assert_eq!((steps.len(), reported), (10, 5401));
        let end = began + Duration::from_secs(700);
        let all = drops(&[("ext", DropReason::ReplacedByNewer, 6000)]);
        let rest = tracker.update(end, &all);
        assert_eq!(rest[0].counts[&DropReason::ReplacedByNewer], 599);
        assert_eq!(tracker.update(end + REPORT_INTERVAL, &all), []);
    }

    #[test]
    fn nodes_are_reported_separately_and_reasons_together() {
        let began = Instant::now();
        let mut tracker = DropTracker::default();
        let first = drops(&[("a", DropReason::SessionLost, 2)]);
        assert_eq!(tracker.update(began, &first).len(), 1);
        let second = drops(&[
            ("a", DropReason::SessionLost, 2),
            ("a", DropReason::Unanswered, 1),
            ("b", DropReason::ExtensionUnavailable, 4),
            ("b", DropReason::Unanswered, 1),
        ]);
        let deltas = tracker.update(began + Duration::from_secs(1), &second);
        assert_eq!(deltas.len(), 1, "a was reported a second ago, b was not");
        let body = deltas[0].body().to_json(JsonStyle::Lva).to_string();
        let expected =
            r#"{"dataType":"media","count":5,"reasons":{"extensionUnavailable":4,"unanswered":1}}"#;
        assert_eq!(body, expected);
        let deltas = tracker.update(began + REPORT_INTERVAL, &second);
        assert_eq!(
            deltas[0].counts,
            BTreeMap::from([(DropReason::Unanswered, 1)]),
            "{deltas:?}"
        );
    }

    #[test]
    fn lost_signals_are_events() {
        let counts = BTreeMap::from([(DropReason::SignalLate, 1)]);
        let delta = DropDelta {
            node: "gate".into(),
            counts,
        };
        let body = delta.body().to_json(JsonStyle::Lva).to_string();
        assert!(body.starts_with(r#"{"dataType":"events","#), "{body}");
    }
}

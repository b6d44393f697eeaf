//! Counted drops, said: `DataDropped`, at most once a minute for each node, whatever happens.

use std::collections::BTreeMap;
use std::time::Instant;

use lva_graph_model::Graph;
use lva_inference_schema::body::{DataDropped, EventBody};
use lva_inference_schema::{EventName, Subject};
use serde_json::{Map, Value};

use crate::GraphEvent;
use crate::event::{Voice, event_now};
use crate::once_a_minute::QUIET;
use crate::stats::DropReason;

/// What was dropped since activation, by node and reason.
pub(crate) type Drops = BTreeMap<(String, DropReason), u64>;

/// Finds out which drops are news. Looks at counters that only rise, and is told the time.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// What was said of each node, and when.
    said: BTreeMap<String, Said>,
}

#[derive(Debug)]
struct Said {
    at: Instant,
    counts: BTreeMap<DropReason, u64>,
}

/// What one node dropped since it last spoke of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Loss {
    pub(crate) node: String,
    /// Never 0.
    pub(crate) counts: BTreeMap<DropReason, u64>,
}

impl Losses {
    /// What is to be said now: the first drops of a node at once, more of them a minute later, together.
    pub(crate) fn look(&mut self, now: Instant, dropped: &Drops) -> Vec<Loss> {
        let mut losses: Vec<Loss> = Vec::new();
        for ((node, reason), total) in dropped {
            let said = self.said.get(node);
            if said.is_some_and(|said| now.saturating_duration_since(said.at) < QUIET) {
                continue;
            }
            let before = said.and_then(|said| said.counts.get(reason)).copied();
            let more = total.saturating_sub(before.unwrap_or_default());
            if more == 0 {
                continue;
            }
            // The counters are ordered by node.
            match losses.last_mut().filter(|loss| loss.node == *node) {
                Some(loss) => {
                    loss.counts.insert(*reason, more);
                }
                None => losses.push(Loss {
                    node: node.clone(),
                    counts: BTreeMap::from([(*reason, more)]),
                }),
            }
        }
        for loss in &losses {
            let counts = BTreeMap::new();
            let said = self
                .said
                .entry(loss.node.clone())
                .or_insert(Said { at: now, counts });
            said.at = now;
            for (reason, more) in &loss.counts {
                *said.counts.entry(*reason).or_default() += more;
            }
        }
        losses
    }
}

impl Loss {
    /// `{"dataType":"media","count":31,"reasons":{"replacedByNewer":31}}`.
    fn body(&self) -> EventBody {
        let signals = |reason: &DropReason| reason.is_of_signals();
        let kind = if self.counts.keys().all(signals) {
            "events"
        } else {
            "media"
        };
        let mut body = DataDropped::new(kind);
        let reasons: Map<String, Value> = self
            .counts
            .iter()
            .map(|(reason, count)| (reason.as_str().to_owned(), Value::from(*count)))
            .collect();
        let count: u64 = self.counts.values().sum();
        body.extra.insert("count".to_owned(), count.into());
        body.extra.insert("reasons".to_owned(), reasons.into());
        EventBody::DataDropped(body)
    }
}

/// Who is meant by the names in the counters.
#[derive(Debug)]
pub(crate) struct LossVoice {
    losses: Losses,
    subjects: BTreeMap<String, Subject>,
}

impl LossVoice {
    /// For the nodes of a graph; `module` is the name that subjects of Video Analyzer hold.
    pub(crate) fn new(graph: &Graph, module: &str) -> Self {
        let voice = Voice::new(graph, module);
        let nodes = graph.nodes().iter();
        Self {
            losses: Losses::default(),
            subjects: nodes.map(|node| (node.name.clone(), voice.node(node))).collect(),
        }
    }

    /// The events that are due.
    pub(crate) fn due(&mut self, now: Instant, dropped: &Drops) -> Vec<GraphEvent> {
        let losses = self.losses.look(now, dropped);
        let events = losses.iter().filter_map(|loss| {
            let subject = self.subjects.get(&loss.node)?;
            Some(event_now(EventName::DataDropped, subject, loss.body()))
        });
        events.collect()
    }

    /// What was not yet said, at the end.
    pub(crate) fn last(&mut self, now: Instant, dropped: &Drops) -> Vec<GraphEvent> {
        now.checked_add(QUIET)
            .map(|later| self.due(later, dropped))
            .unwrap_or_default()
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
    fn the_first_drops_are_said_at_once_and_all_of_a_minute_together() {
        let began = Instant::now();
        let mut losses = Losses::default();
        assert_eq!(losses.look(began, &drops(&[])), []);
        let mut said = 0;
        let mut told = Vec::new();
        // A drop every 100 ms for ten minutes, looked at as often.
        for step in 1..=6000u64 {
            let now = began + Duration::from_millis(100 * step);
            for loss in losses.look(now, &drops(&[("ext", DropReason::ReplacedByNewer, step)])) {
                assert_eq!(loss.node, "ext");
                said += loss.counts[&DropReason::ReplacedByNewer];
                told.push(step);
            }
        }
        assert_eq!(told[..3], [1, 601, 1201]);
        assert_eq!((told.len(), said), (10, 5401));
        let end = began + Duration::from_secs(700);
        let rest = losses.look(end, &drops(&[("ext", DropReason::ReplacedByNewer, 6000)]));
        assert_eq!(rest[0].counts[&DropReason::ReplacedByNewer], 599);
        let nothing_new = losses.look(end + QUIET, &drops(&[("ext", DropReason::ReplacedByNewer, 6000)]));
        assert_eq!(nothing_new, []);
    }

    #[test]
    fn nodes_speak_for_themselves_and_reasons_come_together() {
        let began = Instant::now();
        let mut losses = Losses::default();
        let first = drops(&[("a", DropReason::SessionLost, 2)]);
        assert_eq!(losses.look(began, &first).len(), 1);
        let second = drops(&[
            ("a", DropReason::SessionLost, 2),
            ("a", DropReason::Unanswered, 1),
            ("b", DropReason::ExtensionUnavailable, 4),
            ("b", DropReason::Unanswered, 1),
        ]);
        let said = losses.look(began + Duration::from_secs(1), &second);
        assert_eq!(said.len(), 1, "a is quiet, b is not");
        let body = said[0].body().to_json(JsonStyle::Lva).to_string();
        let expected =
            r#"{"dataType":"media","count":5,"reasons":{"extensionUnavailable":4,"unanswered":1}}"#;
        assert_eq!(body, expected);
        let said = losses.look(began + QUIET, &second);
        assert_eq!(
            said[0].counts,
            BTreeMap::from([(DropReason::Unanswered, 1)]),
            "{said:?}"
        );
    }

    #[test]
    fn lost_signals_are_events() {
        let counts = BTreeMap::from([(DropReason::SignalLate, 1)]);
        let loss = Loss {
            node: "gate".into(),
            counts,
        };
        let body = loss.body().to_json(JsonStyle::Lva).to_string();
        assert!(body.starts_with(r#"{"dataType":"events","#), "{body}");
    }
}

//! The last line of a run.

use std::collections::BTreeMap;

use lva_graph_model::Generation;
use serde_json::{Map, Value, json};

use super::{Contents, Expected, Outcome};

/// The summary of a run, whenever it ends.
#[derive(Debug, Default)]
pub struct Summary {
    /// The topology's name, or its file if it cannot be read.
    pub topology: String,
    /// The topology's generation, if known.
    pub generation: Option<Generation>,
    /// The expected results of the graph's nodes; empty without a graph.
    pub expected: Expected,
    /// The actual results.
    pub outcome: Outcome,
    /// Why it ended early or did not start.
    pub error: Option<String>,
}

impl Summary {
    /// Whether all results are complete and nothing ended the run early.
    pub fn ok(&self) -> bool {
        self.error.is_none() && self.missing().is_empty()
    }

    /// Readable lines about missing results.
    pub fn missing(&self) -> Vec<String> {
        self.expected.missing(&self.outcome)
    }

    /// The summary as one JSON object.
    pub fn line(&self) -> Value {
        let stats = &self.outcome.stats;
        let (sent, answered) = stats.extensions.values().fold((0, 0), |(sent, answered), node| {
            (sent + node.sent, answered + node.answered)
        });
        let frames = json!({
            "received": stats.received, "decoded": stats.decoded, "sent": sent, "answered": answered,
        });
        let mut dropped: BTreeMap<&str, u64> = BTreeMap::new();
        let mut by_node: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for ((node, reason), count) in &stats.dropped {
            *dropped.entry(reason.as_str()).or_default() += count;
            by_node.entry(node).or_default().insert(reason.as_str(), *count);
        }
        let events: Map<String, Value> = stats
            .events
            .iter()
            .map(|(name, count)| (name.as_str().to_owned(), (*count).into()))
            .collect();
        let existing = self.outcome.recordings.iter();
        let existing = existing.filter(|recorded| recorded.contents != Contents::Removed);
        let recordings: Vec<Value> = existing
            .map(|recorded| {
                json!({
                    "sink": recorded.sink, "path": recorded.path, "seconds": recorded.seconds,
                    "first_keyframe": recorded.first_keyframe(),
                })
            })
            .collect();
        let mut line = json!({
            "topology": self.topology, "generation": self.generation.map(|generation| generation.to_string()),
            "ok": self.ok(), "frames": frames, "dropped": dropped, "events": events, "recordings": recordings,
        });
        if !by_node.is_empty() {
            line["dropped_by_node"] = json!(by_node);
        }
        let missing = self.missing();
        if !missing.is_empty() {
            line["missing"] = missing.into();
        }
        if let Some(error) = &self.error {
            line["error"] = error.as_str().into();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use lva_graph_runtime::DropReason;

    use super::*;

    #[test]
    fn drops_are_counted_by_reason_and_by_node() {
        let mut summary = Summary::default();
        let dropped = &mut summary.outcome.stats.dropped;
        dropped.insert(("fast".to_owned(), DropReason::Stopped), 1);
        dropped.insert(("slow".to_owned(), DropReason::ReplacedByNewer), 480);
        dropped.insert(("slow".to_owned(), DropReason::Stopped), 2);
        let line = summary.line();
        assert_eq!(line["dropped"], json!({"replacedByNewer": 480, "stopped": 3}));
        assert_eq!(
            line["dropped_by_node"],
            json!({"fast": {"stopped": 1}, "slow": {"replacedByNewer": 480, "stopped": 2}})
        );
    }

    #[test]
    fn a_run_that_did_not_start_is_not_ok_and_has_every_member() {
        let summary = Summary {
            error: Some("refused".to_owned()),
            ..Summary::default()
        };
        let line = summary.line();
        assert_eq!((&line["ok"], &line["error"]), (&json!(false), &json!("refused")));
        for member in ["topology", "frames", "dropped", "events", "recordings"] {
            assert!(!line[member].is_null(), "{member}");
        }
    }
}

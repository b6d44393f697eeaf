//! How statistics are serialized where their types have no form in JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lva_inference_schema::EventName;
use serde::Serializer;

use super::DropReason;

pub(super) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// A path need not be Unicode.
pub(super) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

pub(super) fn events<S: Serializer>(
    events: &BTreeMap<EventName, u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(events.iter().map(|(name, count)| (name.as_str(), count)))
}

/// By node, then by the label of the reason.
pub(super) fn drops<S: Serializer>(
    drops: &BTreeMap<(String, DropReason), u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut nodes: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for ((node, reason), count) in drops {
        nodes.entry(node).or_default().insert(reason.as_str(), *count);
    }
    serializer.collect_map(nodes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{ClipInfo, ExtensionStats, InstanceStats, LatencySummary, NodeLatency};
    use super::*;

    #[test]
    fn statistics_are_an_object_of_numbers_by_node_and_reason() {
        let mut stats = InstanceStats {
            received: 7,
            first_picture_90k: Some(90_000),
            frame_to_answer: LatencySummary {
                p50: Duration::from_millis(20),
                ..LatencySummary::default()
            },
            newest_clips: vec![ClipInfo {
                sink: "asset".to_owned(),
                path: "/clips/a.mp4".into(),
                first_timestamp_90k: 1,
                seconds: 2.5,
                video_packets: 75,
            }],
            ..InstanceStats::default()
        };
        stats
            .extensions
            .insert("ext".to_owned(), ExtensionStats::default());
        stats.latencies.insert(
            "ext".to_owned(),
            NodeLatency {
                frames: 1,
                average: Duration::from_millis(500),
                max: Duration::from_secs(1),
            },
        );
        stats.events.insert(EventName::Inference, 3);
        for (reason, count) in [(DropReason::Stopped, 1), (DropReason::InternalError, 2)] {
            stats.dropped.insert(("ext".to_owned(), reason), count);
        }
        let json = serde_json::to_value(&stats).unwrap();
        for (pointer, expected) in [
            ("/received", json!(7)),
            ("/firstPicture90k", json!(90_000)),
            ("/lastPicture90k", json!(null)),
            ("/frameToAnswer/p50Seconds", json!(0.02)),
            (
                "/latencies/ext",
                json!({"frames": 1, "averageSeconds": 0.5, "maxSeconds": 1.0}),
            ),
            ("/newestClips/0/path", json!("/clips/a.mp4")),
            ("/newestClips/0/firstTimestamp90k", json!(1)),
            ("/extensions/ext/answered", json!(0)),
            ("/events", json!({"Inference": 3})),
            ("/dropped", json!({"ext": {"stopped": 1, "defect": 2}})),
            ("/memory/budgetBytes", json!(0)),
        ] {
            assert_eq!(json.pointer(pointer), Some(&expected), "{pointer}: {json}");
        }
    }
}

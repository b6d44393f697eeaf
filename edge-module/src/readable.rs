//! Events as lines for people.

use lva_graph_runtime::GraphEvent;
use lva_inference_schema::body::EventBody;
use lva_inference_schema::{InferenceValue, JsonStyle, event_time};
use lva_media_types::clean_text;

/// An event at a zone or line, as an extension reported it.
#[derive(Debug, Clone, PartialEq)]
pub struct SpatialReport {
    /// Media time.
    pub timestamp_90k: u64,
    /// Such as `personZoneEvent`.
    pub name: String,
    /// Name of the zone or line.
    pub place: String,
    /// `Enter`, `Exit`, `CrossLeft` or `CrossRight`; empty for other events.
    pub status: String,
}

impl SpatialReport {
    /// The zone and line events of an inference message; none for other events.
    pub fn all_of(event: &GraphEvent) -> Vec<Self> {
        let EventBody::Analytics(body) = &event.body else {
            return Vec::new();
        };
        let events = body
            .inferences
            .iter()
            .filter_map(|inference| match &inference.value {
                InferenceValue::Event(found) => Some(found),
                _ => None,
            });
        events
            .map(|found| {
                let property = |name: &str| found.properties.get(name).cloned().unwrap_or_default();
                let place = ["zone", "line"]
                    .into_iter()
                    .map(property)
                    .find(|place| !place.is_empty());
                Self {
                    timestamp_90k: event.timestamp_90k,
                    name: found.name.clone(),
                    place: place.unwrap_or_default(),
                    status: property("status"),
                }
            })
            .collect()
    }
}

/// Longest line.
const MAX_LINE_CHARS: usize = 2000;

/// An event as one line: time, kind, node, and what happened.
pub fn readable(event: &GraphEvent) -> String {
    let time = event_time(event.timestamp_90k);
    let node = event.subject.node_name().map_or("", |(_, name)| name);
    let what = match &event.body {
        EventBody::Analytics(_) => {
            let reports = SpatialReport::all_of(event)
                .into_iter()
                .map(|report| format!("{} {} ({})", report.status, report.place, report.name));
            reports.collect::<Vec<_>>().join(", ")
        }
        EventBody::Recording(recording) => recording.output_location.clone(),
        EventBody::MediaSessionEstablished(_) => String::new(),
        EventBody::StateChange(change) => match &change.message {
            Some(message) => format!("{}: {message}", change.state),
            None => change.state.clone(),
        },
        other => other.to_json(JsonStyle::Lva).to_string(),
    };
    line(&time, event.name.as_str(), node, &what)
}

fn line(time: &str, name: &str, node: &str, what: &str) -> String {
    let line = format!("{time}  {name:<24} {node:<24} {what}");
    clean_text(line.trim_end(), MAX_LINE_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_forges_no_line_and_none_is_long() {
        let what = format!(
            "x\r\nERROR forged\u{1b}[31m\u{9b}\u{202e}: {}",
            "y".repeat(20 << 20)
        );
        let line = line("12:00:00", "ProtocolError", "camera", &what);
        assert!(line.contains("x  ERROR forged [31m  : y"), "{line}");
        assert_eq!(line.chars().count(), MAX_LINE_CHARS);
    }
}

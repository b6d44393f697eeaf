//! What an event about a failure says, in one line.

use lva_graph_runtime::{DropReason, GraphEvent};
use lva_inference_schema::JsonStyle;
use lva_inference_schema::body::{EventBody, StateReason};
use serde_json::Value;

/// `None` for events that are about no failure.
pub(super) fn of(event: &GraphEvent) -> Option<String> {
    let name = event.name.as_str();
    match &event.body {
        EventBody::StateChange(change) => match change.reason {
            Some(StateReason::ActivationFailed | StateReason::Failed) => {
                Some(change.message.clone().unwrap_or_else(|| "it failed".to_owned()))
            }
            _ => None,
        },
        EventBody::DataDropped(dropped) => {
            let reasons = dropped.reasons.iter();
            let wrong: Vec<String> = reasons
                .filter(|(reason, _)| reason != DropReason::ReplacedByNewer.as_str())
                .map(|(reason, count)| format!("{count} {reason}"))
                .collect();
            // An extension that takes the newest picture only passes over others by design: the graphs show how many.
            let is_wanted = wrong.is_empty() && !dropped.reasons.is_empty();
            (!is_wanted).then(|| format!("dropped {}", wrong.join(", ")))
        }
        EventBody::ProtocolError(_)
        | EventBody::CodedError(_)
        | EventBody::MediaFormatError(_)
        | EventBody::StorageError(_)
        | EventBody::RuntimeError(_) => Some(in_words(name, &event.body.to_json(JsonStyle::VideoAnalyzer))),
        // Results and recordings, and whatever is added.
        _ => None,
    }
}

/// The members that people understand, without secrets: targets are without users and passwords.
fn in_words(name: &str, body: &Value) -> String {
    let member = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let code = member("code").or_else(|| member("errorCode"));
    let parts = [Some(name), code, member("target"), member("message")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

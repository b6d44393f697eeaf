//! The events of instances.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::inference::Extra;
use crate::style::to_value;

/// An instance changed its state.
///
/// An addition: the published documents name the events and show no body.
///
/// ```
/// use lva_inference_schema::body::{EventBody, StateChange, StateReason};
/// use lva_inference_schema::JsonStyle;
///
/// let failed = StateChange::new("Activating", "Inactive").because(StateReason::ActivationFailed);
/// let json = EventBody::StateChange(failed).to_json(JsonStyle::Lva);
/// assert_eq!(json.to_string(), r#"{"previousState":"Activating","state":"Inactive","reason":"activationFailed"}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StateChange {
    /// The state before, in the words of its family: `Activating` or `activating`.
    pub previous_state: String,
    /// The state now.
    pub state: String,
    /// Why, if no method asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<StateReason>,
    /// The node at fault, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What went wrong, for people; without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Why an instance changed its state though no method asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StateReason {
    /// It ran when the module's state was saved, and runs again.
    Restored,
    /// The module shuts down; the instance may be restored with it.
    Shutdown,
    /// It failed to start.
    ActivationFailed,
    /// It failed while it ran.
    Failed,
    /// Another reason.
    #[serde(untagged)]
    Other(String),
}

impl StateChange {
    /// From one state to another, as a method asked.
    pub fn new(previous_state: impl Into<String>, state: impl Into<String>) -> Self {
        Self {
            previous_state: previous_state.into(),
            state: state.into(),
            reason: None,
            node: None,
            message: None,
            extra: Extra::new(),
        }
    }

    /// With a reason.
    #[must_use]
    pub fn because(mut self, reason: StateReason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// `None` for any other form: what the retired modules sent was never published.
    pub(super) fn from_json(body: &Value) -> Option<Self> {
        let change = Self::deserialize(body).ok()?;
        (to_value(&change) == *body).then_some(change)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::body::EventBody;
    use crate::event_type::EventName;
    use crate::style::JsonStyle;

    const NAMES: [EventName; 4] = [
        EventName::GraphInstanceStarted,
        EventName::GraphInstanceStopped,
        EventName::GraphInstanceFailed,
        EventName::PipelineStateChanged,
    ];

    #[test]
    fn every_reason_comes_back_as_it_was_written() {
        let reasons = [
            None,
            Some(StateReason::Restored),
            Some(StateReason::Shutdown),
            Some(StateReason::ActivationFailed),
            Some(StateReason::Failed),
            Some(StateReason::Other("bored".to_owned())),
        ];
        for (name, reason) in NAMES
            .iter()
            .flat_map(|name| reasons.iter().map(move |r| (name, r)))
        {
            let change = StateChange {
                reason: reason.clone(),
                node: Some("rtspSource".to_owned()),
                message: Some("the url is wrong".to_owned()),
                extra: [("n".to_owned(), json!([1]))].into_iter().collect(),
                ..StateChange::new("activating", "inactive")
            };
            let body = EventBody::StateChange(change);
            let json = body.to_json(JsonStyle::VideoAnalyzer);
            assert_eq!(EventBody::from_json(Some(*name), json).unwrap(), body);
        }
    }

    #[test]
    fn a_body_of_another_form_is_kept_as_it_is() {
        for json in [
            json!({}),
            json!(null),
            json!("Active"),
            json!({"state": "Active"}),
            json!({"previousState": "Inactive", "state": 1}),
            json!({"previousState": "Inactive", "state": "Active", "reason": null}),
            json!({"previousState": "Inactive", "state": "Active", "node": 7}),
        ] {
            for name in NAMES {
                let body = EventBody::from_json(Some(name), json.clone()).unwrap();
                assert!(matches!(body, EventBody::Other(_)), "{json}: {body:?}");
                assert_eq!(body.to_json(JsonStyle::Lva), json);
            }
        }
    }
}

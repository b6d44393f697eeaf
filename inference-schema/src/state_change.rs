//! Body of the events of instances.

use serde_json::Value;

use crate::body::{object, optional, text};
use crate::inference::Extra;
use crate::read::{Members, Place, ReadError};

/// An instance is in another state.
///
/// Ours, for the published texts name the events and show no body:
///
/// ```
/// use lva_inference_schema::*;
///
/// let failed = StateChange::new("Activating", "Inactive").because(StateReason::ActivationFailed);
/// let json = EventBody::StateChange(failed).to_json(JsonStyle::Lva);
/// assert_eq!(json.to_string(), r#"{"previousState":"Activating","state":"Inactive","reason":"activationFailed"}"#);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StateChange {
    /// The state that it left, in the words of its family: `Activating` or `activating`.
    pub previous_state: String,
    /// The state that it is in now.
    pub state: String,
    /// Why, where no method asked for it.
    pub reason: Option<StateReason>,
    /// The node at fault, where one is.
    pub node: Option<String>,
    /// What went wrong, for people, without secrets.
    pub message: Option<String>,
    /// Unknown members.
    pub extra: Extra,
}

/// Why an instance changed its state though no method asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StateReason {
    /// It ran when the module's state was saved, and runs again.
    Restored,
    /// The module ends; the instance may be restored with it.
    Shutdown,
    /// It could not be started.
    ActivationFailed,
    /// It ran, and ended by itself.
    Failed,
    /// Another word.
    Other(String),
}

impl StateReason {
    /// The word in JSON.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Restored => "restored",
            Self::Shutdown => "shutdown",
            Self::ActivationFailed => "activationFailed",
            Self::Failed => "failed",
            Self::Other(word) => word,
        }
    }

    fn from_word(word: String) -> Self {
        match word.as_str() {
            "restored" => Self::Restored,
            "shutdown" => Self::Shutdown,
            "activationFailed" => Self::ActivationFailed,
            "failed" => Self::Failed,
            _ => Self::Other(word),
        }
    }
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

    /// For a reason of its own.
    #[must_use]
    pub fn because(mut self, reason: StateReason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// `None` for any other form: what the retired modules sent was never published.
    pub(crate) fn from_json(body: &Value) -> Option<Self> {
        let change = Self::read(body.clone()).ok()?;
        (change.to_json() == *body).then_some(change)
    }

    fn read(body: Value) -> Result<Self, ReadError> {
        let mut m = Members::of(body, Place::Root)?;
        Ok(Self {
            previous_state: m.required_text("previousState")?,
            state: m.required_text("state")?,
            reason: m.optional_text("reason")?.map(StateReason::from_word),
            node: m.optional_text("node")?,
            message: m.optional_text("message")?,
            extra: m.rest(),
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        let reason = self.reason.as_ref();
        object(
            [
                ("previousState", text(&self.previous_state)),
                ("state", text(&self.state)),
                ("reason", reason.and_then(|reason| text(reason.as_str()))),
                ("node", optional(&self.node)),
                ("message", optional(&self.message)),
            ],
            &self.extra,
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{EventBody, EventName, JsonStyle};

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

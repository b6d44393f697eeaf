//! What instances say about themselves: that they run, that they have ended, that they could not be started.

use lva_graph_model::{Family, Graph, InstanceState};
use lva_inference_schema::body::{EventBody, StateChange, StateReason};
use lva_inference_schema::{EventName, ProductFamily, Subject};

use crate::GraphEvent;
use crate::event::{Voice, event_now};
use crate::sink::Outlet;
use crate::speaker::Speaker;
use crate::stats::Counters;

/// Why an instance changes its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A method asked for it.
    Asked,
    /// It ran when the module's state was saved.
    Restored,
    /// The module ends.
    Shutdown,
    /// It could not be started.
    NotStarted {
        /// The node at fault, where one is.
        node: Option<String>,
        /// Why, with a remedy; without secrets.
        message: String,
    },
    /// It ended by itself.
    Ended {
        /// Why; without secrets.
        message: String,
    },
}

/// One life of an instance, from an activation on.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    instance: Subject,
    speaker: Speaker,
}

impl Life {
    /// `module` is the name that subjects of Video Analyzer hold.
    pub(crate) fn new(graph: &Graph, module: &str, outlet: Outlet) -> Self {
        Self {
            instance: Voice::new(graph, module).instance().clone(),
            speaker: Speaker::new(outlet, Counters::default()),
        }
    }

    pub(crate) fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// Says and counts a change, if it is one.
    pub(crate) fn changed(&self, before: InstanceState, after: InstanceState, cause: &Cause) {
        if before != after {
            self.speaker
                .say(state_event(&self.instance, before, after, cause));
        }
    }
}

/// An instance has changed its state. Live Video Analytics has a name for each change, Video Analyzer one for all; both say
/// the same, in the words of their family.
fn state_event(instance: &Subject, before: InstanceState, after: InstanceState, cause: &Cause) -> GraphEvent {
    let failed = matches!(cause, Cause::NotStarted { .. } | Cause::Ended { .. });
    let (family, name) = match (instance.family(), after) {
        (ProductFamily::VideoAnalyzer, _) => (Family::VideoAnalyzer, EventName::PipelineStateChanged),
        (ProductFamily::Lva, InstanceState::Active) => (Family::Lva, EventName::GraphInstanceStarted),
        (ProductFamily::Lva, _) if failed => (Family::Lva, EventName::GraphInstanceFailed),
        (ProductFamily::Lva, _) => (Family::Lva, EventName::GraphInstanceStopped),
    };
    let mut change = StateChange::new(before.word(family), after.word(family));
    let (reason, node, message) = match cause {
        Cause::Asked => (None, None, None),
        Cause::Restored => (Some(StateReason::Restored), None, None),
        Cause::Shutdown => (Some(StateReason::Shutdown), None, None),
        Cause::NotStarted { node, message } => {
            (Some(StateReason::ActivationFailed), node.clone(), Some(message))
        }
        Cause::Ended { message } => (Some(StateReason::Failed), None, Some(message)),
    };
    change.reason = reason;
    change.node = node;
    change.message = message.cloned();
    event_now(name, instance, EventBody::StateChange(change))
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::EventClass;

    use super::*;

    fn said(instance: &Subject, before: InstanceState, after: InstanceState, cause: &Cause) -> String {
        let event = state_event(instance, before, after, cause);
        assert_eq!(event.class(), EventClass::Operational);
        assert!(event.name.is_in(instance.family()), "{}", event.name);
        let json: serde_json::Value = serde_json::from_str(&event.envelope("/t").to_string()).unwrap();
        format!("{} {}", event.name, json["body"])
    }

    #[test]
    fn each_family_has_its_names_and_its_spelling() {
        use InstanceState::{Activating, Active, Deactivating, Inactive};
        let graph = Subject::graph_instance("g");
        let pipeline = Subject::live_pipeline("m", "p");
        let not_started = Cause::NotStarted {
            node: Some("camera".to_owned()),
            message: "no".to_owned(),
        };
        let ended = Cause::Ended {
            message: "gone".to_owned(),
        };
        for (before, after, cause, lva, analyzer) in [
            (
                Activating,
                Active,
                &Cause::Asked,
                r#"GraphInstanceStarted {"previousState":"Activating","state":"Active"}"#,
                r#"{"previousState":"activating","state":"active"}"#,
            ),
            (
                Activating,
                Active,
                &Cause::Restored,
                r#"GraphInstanceStarted {"previousState":"Activating","state":"Active","reason":"restored"}"#,
                r#"{"previousState":"activating","state":"active","reason":"restored"}"#,
            ),
            (
                Deactivating,
                Inactive,
                &Cause::Asked,
                r#"GraphInstanceStopped {"previousState":"Deactivating","state":"Inactive"}"#,
                r#"{"previousState":"deactivating","state":"inactive"}"#,
            ),
            (
                Active,
                Inactive,
                &Cause::Shutdown,
                r#"GraphInstanceStopped {"previousState":"Active","state":"Inactive","reason":"shutdown"}"#,
                r#"{"previousState":"active","state":"inactive","reason":"shutdown"}"#,
            ),
            (
                Activating,
                Inactive,
                &not_started,
                r#"GraphInstanceFailed {"previousState":"Activating","state":"Inactive","reason":"activationFailed","node":"camera","message":"no"}"#,
                r#"{"previousState":"activating","state":"inactive","reason":"activationFailed","node":"camera","message":"no"}"#,
            ),
            (
                Active,
                Inactive,
                &ended,
                r#"GraphInstanceFailed {"previousState":"Active","state":"Inactive","reason":"failed","message":"gone"}"#,
                r#"{"previousState":"active","state":"inactive","reason":"failed","message":"gone"}"#,
            ),
        ] {
            assert_eq!(said(&graph, before, after, cause), lva);
            let expected = format!("PipelineStateChanged {analyzer}");
            assert_eq!(said(&pipeline, before, after, cause), expected);
        }
    }
}

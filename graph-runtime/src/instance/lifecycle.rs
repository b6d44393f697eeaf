//! Events about an instance itself: it runs, it has ended, it could not be started.

use lva_graph_model::methods::{Completion, InstanceState};
use lva_graph_model::{Family, Generation, Graph};
use lva_inference_schema::body::{EventBody, StateChange, StateReason};
use lva_inference_schema::{EventName, ProductFamily, Subject};
use tokio::sync::watch;

use crate::emitter::EventEmitter;
use crate::event::SubjectFactory;
use crate::options::RuntimeOptions;
use crate::sink::EventBus;
use crate::stats::Counters;

/// Why an instance changes its state, unless it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateChangeCause {
    /// By a method.
    Method,
    /// It was active when the module's state was saved.
    Restored,
    /// The module shuts down.
    Shutdown,
}

/// One run of an instance, from an activation on.
#[derive(Debug, Clone)]
pub(crate) struct InstanceLifecycle {
    generation: Generation,
    instance: Subject,
    emitter: EventEmitter,
    end: watch::Sender<Option<RunEnd>>,
}

/// How a run ended: on request, or by itself with this message, which has a remedy and no secrets.
pub(crate) type RunEnd = Result<(), String>;

impl InstanceLifecycle {
    pub(crate) fn new(graph: &Graph, options: &RuntimeOptions, event_bus: EventBus) -> Self {
        Self {
            generation: graph.generation(),
            instance: SubjectFactory::new(graph, &options.module).instance().clone(),
            emitter: EventEmitter::new(event_bus, Counters::default(), options.wall.clone()),
            end: watch::Sender::new(None),
        }
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn emitter(&self) -> &EventEmitter {
        &self.emitter
    }

    /// Set once the instance is inactive after this run.
    pub(crate) fn end(&self) -> watch::Receiver<Option<RunEnd>> {
        self.end.subscribe()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Whether both are the same run.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.end.same_channel(&other.end)
    }

    /// Emits and counts a change, if it is one.
    pub(crate) fn changed(
        &self,
        (before, after): (InstanceState, InstanceState),
        report: Completion,
        cause: StateChangeCause,
    ) {
        if before == after {
            return;
        }
        let (name, body) = state_event(&self.instance, (before, after), &report, cause);
        self.emitter.emit_now(name, &self.instance, body);
        if after == InstanceState::Inactive {
            self.emitter.request_flush();
            self.emitter.observers().end();
            self.end.send_replace(Some(match report {
                Completion::Failed { message, .. } => Err(message),
                Completion::Activated | Completion::Deactivated | Completion::Suspended => Ok(()),
            }));
        }
    }
}

/// The event about a state change. Live Video Analytics has an event name for each change, Video Analyzer one for all.
fn state_event(
    instance: &Subject,
    (before, after): (InstanceState, InstanceState),
    report: &Completion,
    cause: StateChangeCause,
) -> (EventName, EventBody) {
    let failed = matches!(report, Completion::Failed { .. });
    let (family, name) = match (instance.family(), after) {
        (ProductFamily::VideoAnalyzer, _) => (Family::VideoAnalyzer, EventName::PipelineStateChanged),
        (ProductFamily::Lva, InstanceState::Active) => (Family::Lva, EventName::GraphInstanceStarted),
        (ProductFamily::Lva, _) if failed => (Family::Lva, EventName::GraphInstanceFailed),
        (ProductFamily::Lva, _) => (Family::Lva, EventName::GraphInstanceStopped),
    };
    let mut change = StateChange::new(before.word(family), after.word(family));
    change.reason = match cause {
        _ if failed && before == InstanceState::Activating => Some(StateReason::ActivationFailed),
        _ if failed => Some(StateReason::Failed),
        StateChangeCause::Method => None,
        StateChangeCause::Restored => Some(StateReason::Restored),
        StateChangeCause::Shutdown => Some(StateReason::Shutdown),
    };
    if let Completion::Failed { node, message } = report {
        change.node = node.clone();
        change.message = Some(message.clone());
    }
    (name, EventBody::StateChange(change))
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::{EventClass, JsonStyle};

    use super::*;

    fn emitted(
        instance: &Subject,
        change: (InstanceState, InstanceState),
        report: &Completion,
        cause: StateChangeCause,
    ) -> String {
        let (name, body) = state_event(instance, change, report, cause);
        assert_eq!(name.class(), EventClass::Operational);
        assert!(name.is_in(instance.family()), "{name}");
        format!("{name} {}", body.to_json(JsonStyle::VideoAnalyzer))
    }

    #[test]
    fn each_family_has_its_names_and_its_spelling() {
        use InstanceState::{Activating, Active, Deactivating, Inactive};
        let graph = Subject::graph_instance("g");
        let pipeline = Subject::live_pipeline("m", "p");
        let not_started = Completion::Failed {
            node: Some("camera".to_owned()),
            message: "no".to_owned(),
        };
        let ended = Completion::Failed {
            node: None,
            message: "gone".to_owned(),
        };
        for (change, report, cause, lva, analyzer) in [
            (
                (Activating, Active),
                &Completion::Activated,
                StateChangeCause::Method,
                r#"GraphInstanceStarted {"previousState":"Activating","state":"Active"}"#,
                r#"{"previousState":"activating","state":"active"}"#,
            ),
            (
                (Activating, Active),
                &Completion::Activated,
                StateChangeCause::Restored,
                r#"GraphInstanceStarted {"previousState":"Activating","state":"Active","reason":"restored"}"#,
                r#"{"previousState":"activating","state":"active","reason":"restored"}"#,
            ),
            (
                (Deactivating, Inactive),
                &Completion::Deactivated,
                StateChangeCause::Method,
                r#"GraphInstanceStopped {"previousState":"Deactivating","state":"Inactive"}"#,
                r#"{"previousState":"deactivating","state":"inactive"}"#,
            ),
            (
                (Active, Inactive),
                &Completion::Deactivated,
                StateChangeCause::Shutdown,
                r#"GraphInstanceStopped {"previousState":"Active","state":"Inactive","reason":"shutdown"}"#,
                r#"{"previousState":"active","state":"inactive","reason":"shutdown"}"#,
            ),
            (
                (Activating, Inactive),
                &not_started,
                StateChangeCause::Method,
                r#"GraphInstanceFailed {"previousState":"Activating","state":"Inactive","reason":"activationFailed","node":"camera","message":"no"}"#,
                r#"{"previousState":"activating","state":"inactive","reason":"activationFailed","node":"camera","message":"no"}"#,
            ),
            (
                (Deactivating, Inactive),
                &ended,
                StateChangeCause::Method,
                r#"GraphInstanceFailed {"previousState":"Deactivating","state":"Inactive","reason":"failed","message":"gone"}"#,
                r#"{"previousState":"deactivating","state":"inactive","reason":"failed","message":"gone"}"#,
            ),
            (
                (Active, Inactive),
                &ended,
                StateChangeCause::Method,
                r#"GraphInstanceFailed {"previousState":"Active","state":"Inactive","reason":"failed","message":"gone"}"#,
                r#"{"previousState":"active","state":"inactive","reason":"failed","message":"gone"}"#,
            ),
        ] {
            assert_eq!(emitted(&graph, change, report, cause), lva);
            let expected = format!("PipelineStateChanged {analyzer}");
            assert_eq!(emitted(&pipeline, change, report, cause), expected);
        }
    }
}

//! The state machine of instances.

use super::{Action, Completion, Registry, Start};
use crate::diagnostic::Strictness;
use crate::generation::Family;
use crate::method::{Fault, InstanceState, Method, MethodError, Response};

impl Registry {
    /// Records a runtime's report about an instance. Returns the answer to the activation after [`Action::Start`] or the
    /// deactivation after [`Action::Stop`], and to all calls that got [`Action::Wait`] since.
    ///
    /// # Errors
    ///
    /// [`MethodError`] when the instance did not reach the requested state, and when the report contradicts the state.
    pub fn complete(&mut self, instance: &str, completion: Completion) -> Result<Response, MethodError> {
        use InstanceState as S;
        let stored = self
            .stored_instance(instance)
            .map_err(|fault| MethodError::new("report", Some(instance), fault))?;
        let (state, family) = (stored.state, stored.family);
        let fail = |fault| {
            let name = Method::InstanceActivate.name(family);
            Err(MethodError::new(name, Some(instance), fault))
        };
        match (state, &completion) {
            (S::Activating | S::Active, Completion::Activated) => {
                self.move_to(instance, S::Active);
                Ok(Response::empty(200))
            }
            (S::Activating | S::Active, Completion::Failed { node, message }) => {
                self.move_to(instance, S::Inactive);
                fail(Fault::ActivationFailed {
                    node: node.clone(),
                    message: message.clone(),
                })
            }
            (S::Active, Completion::Suspended) => {
                self.suspend(instance);
                Ok(Response::empty(200))
            }
            (S::Activating, Completion::Deactivated | Completion::Suspended) => {
                match completion {
                    Completion::Suspended => self.suspend(instance),
                    _ => self.move_to(instance, S::Inactive),
                }
                fail(Fault::ActivationFailed {
                    node: None,
                    message: "the instance was stopped before it was active: activate it again".to_owned(),
                })
            }
            // It was stopped while it started, so the activation failed.
            (S::Deactivating, Completion::Activated) => fail(Fault::StateConflict {
                state,
                needed: "Inactive or Active",
                remedy: "wait until it is Inactive",
            }),
            (S::Active | S::Deactivating | S::Inactive, Completion::Deactivated)
            | (S::Deactivating | S::Inactive, Completion::Failed { .. })
            | (S::Deactivating, Completion::Suspended) => {
                self.move_to(instance, S::Inactive);
                Ok(Response::empty(200))
            }
            (S::Inactive, Completion::Suspended) => Ok(Response::empty(200)),
            (S::Inactive, Completion::Activated) => fail(Fault::UnexpectedReport { state }),
        }
    }

    pub(super) fn activate(&mut self, name: &str, family: Family) -> Result<Action, Fault> {
        let stored = self.stored_instance(name)?;
        let instance = name.to_owned();
        match (stored.state, family) {
            (InstanceState::Active, _) | (InstanceState::Activating, Family::VideoAnalyzer) => {
                Ok(Action::Done(Response::empty(200)))
            }
            (InstanceState::Activating, Family::Lva) => Ok(Action::Wait { instance }),
            (InstanceState::Deactivating, _) => Err(Fault::StateConflict {
                state: InstanceState::Deactivating,
                needed: "Inactive or Active",
                remedy: "wait until it is Inactive",
            }),
            (InstanceState::Inactive, _) => {
                let (graph, findings) = self.graph_of(&stored.instance)?;
                self.move_to(name, InstanceState::Activating);
                Ok(Action::Start(Box::new(Start {
                    instance,
                    graph,
                    findings,
                    answer: (family == Family::VideoAnalyzer).then(|| Response::empty(200)),
                })))
            }
        }
    }

    pub(super) fn deactivate(&mut self, name: &str) -> Result<Action, Fault> {
        let stored = self.stored_instance(name)?;
        let instance = name.to_owned();
        match (stored.state, self.options.strictness) {
            (InstanceState::Inactive, _) => {
                // A suspended one is not to run at the next start either.
                self.move_to(name, InstanceState::Inactive);
                Ok(Action::Done(Response::empty(200)))
            }
            (InstanceState::Deactivating, _) => Ok(Action::Wait { instance }),
            (InstanceState::Activating, Strictness::Compatible) => Err(Fault::StateConflict {
                state: InstanceState::Activating,
                needed: "Active or Inactive",
                remedy: "wait until it is Active",
            }),
            // Operators must be able to cancel an activation that takes too long.
            (InstanceState::Activating, Strictness::Open) | (InstanceState::Active, _) => {
                self.move_to(name, InstanceState::Deactivating);
                Ok(Action::Stop { instance })
            }
        }
    }

    pub(super) fn move_to(&mut self, instance: &str, state: InstanceState) {
        if let Some(stored) = self.instances.get_mut(instance) {
            stored.state = state;
            stored.is_suspended = false;
        }
    }

    fn suspend(&mut self, instance: &str) {
        if let Some(stored) = self.instances.get_mut(instance) {
            stored.state = InstanceState::Inactive;
            stored.is_suspended = true;
        }
    }
}

//! What a registry asks a runtime to do, and what the runtime reports.

use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::graph::{Endpoint, Graph};
use crate::method::Response;

/// What a runtime has to do for a method.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Nothing: send the answer.
    Done(Response),
    /// Start an instance, then [`complete`](super::Registry::complete) it with the result.
    Start(Box<Start>),
    /// Stop an instance, wait until its recordings are complete, then [`complete`](super::Registry::complete) it as deactivated.
    Stop {
        /// The instance.
        instance: String,
    },
    /// Look for cameras in the network (multicast WS-Discovery, UDP 3702) and answer with
    /// [`Response::of_discovered_devices`], with [`MethodError::device`], or with [`MethodError::not_served`].
    ///
    /// [`MethodError::device`]: crate::methods::MethodError::device
    /// [`MethodError::not_served`]: crate::methods::MethodError::not_served
    Discover {
        /// How long to wait for answers.
        duration: Duration,
    },
    /// Query a camera (ONVIF) and answer with [`Response::of_device`], with [`MethodError::device`], or with
    /// [`MethodError::not_served`].
    ///
    /// [`MethodError::device`]: crate::methods::MethodError::device
    /// [`MethodError::not_served`]: crate::methods::MethodError::not_served
    Describe {
        /// The camera's device service.
        endpoint: Box<Endpoint>,
    },
    /// The same is in progress: send the answer of the instance's next [`complete`](super::Registry::complete).
    Wait {
        /// The instance.
        instance: String,
    },
}

/// An instance to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Its name.
    pub instance: String,
    /// The graph to run.
    pub graph: Graph,
    /// Warnings and hints about the documents, for the log.
    pub findings: Vec<Diagnostic>,
    /// The answer to send at once, as Video Analyzer does. `None` with Live Video Analytics: send the answer of `complete`.
    pub answer: Option<Response>,
}

/// A runtime's report about an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// The instance runs.
    Activated,
    /// The instance could not start, or ended by itself.
    Failed {
        /// The node at fault, if there is one.
        node: Option<String>,
        /// Why, with a remedy; without secrets.
        message: String,
    },
    /// The instance has stopped as requested, and all its recordings are complete.
    Deactivated,
    /// The instance has stopped because the runtime ends: it is inactive, and saved as active until a method decides otherwise.
    Suspended,
}

//! What a registry asks of a runtime, and what the runtime reports back.

use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::graph::{Endpoint, Graph};
use crate::method::Response;

/// What is to be done about a method.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Nothing more: send the answer.
    Done(Response),
    /// Start an instance, then [`complete`](super::Registry::complete) it with the result.
    Start(Box<Start>),
    /// Stop an instance, let it finish what it has, then [`complete`](super::Registry::complete) it as deactivated.
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
    /// Ask a camera what it has (ONVIF) and answer with [`Response::of_device`], with [`MethodError::device`], or with
    /// [`MethodError::not_served`].
    ///
    /// [`MethodError::device`]: crate::methods::MethodError::device
    /// [`MethodError::not_served`]: crate::methods::MethodError::not_served
    Describe {
        /// Its service.
        endpoint: Box<Endpoint>,
    },
    /// The same was asked for before and is on its way: send the answer of the next
    /// [`complete`](super::Registry::complete) about the instance.
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
    /// What to run.
    pub graph: Graph,
    /// Warnings and hints about its documents, for the log.
    pub findings: Vec<Diagnostic>,
    /// The answer to send at once, as Video Analyzer does; `None` where the answer is that of the report, as
    /// with Live Video Analytics.
    pub answer: Option<Response>,
}

/// What a runtime reports about an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// It runs.
    Activated,
    /// It could not be started, or ended by itself.
    Failed {
        /// The node at fault, where one is.
        node: Option<String>,
        /// Why, with a remedy; without secrets.
        message: String,
    },
    /// It has stopped as requested, and all recordings are complete.
    Deactivated,
}

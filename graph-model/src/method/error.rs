//! What methods refuse, and how that looks on the wire.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{InstanceState, Response};
use crate::diagnostic::{Diagnostic, summary};
use crate::document::DocumentError;
use crate::generation::Family;
use crate::onvif::DeviceFault;

/// A method that was refused: `GraphInstanceActivate 'X': parameter 'rtspUrl' has no value …`.
///
/// With a status of 400 to 499 the caller is at fault. A retry of the same call helps with 409 only, once the
/// instance has got to another state.
#[derive(Debug, Clone)]
pub struct MethodError {
    /// The method's name on the wire.
    pub method: String,
    /// The topology or instance that it was about.
    pub subject: Option<String>,
    /// Why.
    pub fault: Fault,
}

impl fmt::Display for MethodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{} '{subject}': {}", self.method, self.fault),
            None => write!(f, "{}: {}", self.method, self.fault),
        }
    }
}

impl std::error::Error for MethodError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.fault)
    }
}

/// Why a method was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// No such method in the contract.
    #[error("unknown method")]
    UnknownMethod,
    /// A method of the contract that the runtime does not carry out.
    #[error(
        "this module does not support the method: find cameras with another tool, and enter their addresses"
    )]
    NotServed,
    /// The payload is null.
    #[error("the payload is missing: send a JSON object with '@apiVersion'")]
    PayloadMissing,
    /// The payload is not an object.
    #[error("the payload must be a JSON object, but is {found}")]
    PayloadShape {
        /// What it is, in words.
        found: &'static str,
    },
    /// `@apiVersion` is not there.
    #[error("'@apiVersion' is missing: send one of {}", family.supported_versions())]
    ApiVersionMissing {
        /// The method's family.
        family: Family,
    },
    /// `@apiVersion` is of no generation of the method's family.
    #[error(
        "The API version '{version}' is not supported. Supported version(s): {}.",
        family.supported_versions()
    )]
    ApiVersionNotSupported {
        /// What was sent.
        version: String,
        /// The method's family.
        family: Family,
    },
    /// `@query` is not the one that there is.
    #[error("the query '{query}' is not supported: the only one is '$orderby=name asc'")]
    QueryNotSupported {
        /// What was sent.
        query: String,
    },
    /// `@continuationToken` is none that this module gave.
    #[error("the continuation token is not from this module: restart the list without it")]
    TokenInvalid,
    /// The payload is not a topology, an instance or an object with a name.
    #[error(transparent)]
    Document(Arc<DocumentError>),
    /// The topology has errors.
    #[error("{}", summary(findings))]
    InvalidTopology {
        /// All findings, errors first.
        findings: Vec<Diagnostic>,
    },
    /// The instance, or its topology with its values, has errors.
    #[error("{}", summary(findings))]
    InvalidInstance {
        /// All findings, errors first.
        findings: Vec<Diagnostic>,
    },
    /// The device adapter has errors.
    #[error("{}", summary(findings))]
    InvalidAdapter {
        /// All findings, errors first.
        findings: Vec<Diagnostic>,
    },
    /// A payload without a document has errors.
    #[error("{}", summary(findings))]
    InvalidPayload {
        /// All findings, errors first.
        findings: Vec<Diagnostic>,
    },
    /// The instance names a topology that is not there.
    #[error(
        "{}",
        match topology.as_str() {
            "" => "'properties.topologyName' is missing: name the topology".to_owned(),
            name => format!("there is no topology '{name}': set it first"),
        }
    )]
    UnknownTopology {
        /// Its name.
        topology: String,
    },
    /// Nothing has this name.
    #[error("there is no {what} of this name")]
    NotFound {
        /// `topology`, `instance` or `device adapter`.
        what: &'static str,
    },
    /// The topology cannot go, or change, while instances of it are there.
    #[error(
        "the topology is used by {}: {remedy}",
        instances.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
    )]
    TopologyInUse {
        /// The instances in the way.
        instances: Vec<String>,
        /// What to do about it.
        remedy: &'static str,
        /// The method's family.
        family: Family,
    },
    /// The change would leave instances without what they need.
    #[error(
        "the new topology does not fit its instance '{instance}': {}",
        summary(findings)
    )]
    TopologyChange {
        /// An instance that it does not fit.
        instance: String,
        /// What would be wrong with it.
        findings: Vec<Diagnostic>,
        /// The method's family.
        family: Family,
    },
    /// The instance is in a state in which this cannot be done.
    #[error("the instance is {state}, and this needs it to be {needed}: {remedy}")]
    StateConflict {
        /// Its state.
        state: InstanceState,
        /// The states in which it can be done, in words.
        needed: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The runtime could not start the instance, or it ended.
    #[error("{}{message}", node.as_ref().map(|node| format!("node '{node}': ")).unwrap_or_default())]
    ActivationFailed {
        /// The node at fault, where one is.
        node: Option<String>,
        /// Why, with a remedy.
        message: String,
    },
    /// There are as many as there may be.
    #[error("there are {limit} {what} already: delete one first")]
    TooMany {
        /// `topologies`, `instances` or `device adapters`.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// A runtime has looked for cameras, or asked one, and has no answer.
    #[error("{message}")]
    Device {
        /// Of what kind that is.
        fault: DeviceFault,
        /// What happened, with a remedy.
        message: String,
    },
    /// The runtime reported something that cannot be: a bug there.
    #[error(
        "the runtime reported that the instance is active, but it is {state} and no activation is pending"
    )]
    UnexpectedReport {
        /// Its state.
        state: InstanceState,
    },
}

/// One entry of `error.details`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorDetail {
    /// Its code.
    pub code: String,
    /// The place, as in `$.Properties.Sources[0]`.
    pub target: Option<String>,
    /// What is wrong, with a remedy.
    pub message: String,
}

impl Fault {
    pub(crate) fn document(error: DocumentError) -> Self {
        Self::Document(Arc::new(error))
    }

    /// Status in the manner of HTTP.
    pub fn status(&self) -> u16 {
        match self {
            Self::UnknownMethod | Self::NotServed => 501,
            Self::PayloadMissing
            | Self::PayloadShape { .. }
            | Self::ApiVersionMissing { .. }
            | Self::ApiVersionNotSupported { .. }
            | Self::QueryNotSupported { .. }
            | Self::TokenInvalid
            | Self::Document(_)
            | Self::InvalidTopology { .. }
            | Self::InvalidInstance { .. }
            | Self::InvalidAdapter { .. }
            | Self::InvalidPayload { .. }
            | Self::UnknownTopology { .. } => 400,
            Self::NotFound { .. } => 404,
            Self::TopologyInUse { .. }
            | Self::TopologyChange { .. }
            | Self::StateConflict { .. }
            | Self::ActivationFailed { .. }
            | Self::TooMany { .. } => 409,
            Self::UnexpectedReport { .. } => 500,
            Self::Device { fault, .. } => fault.status(),
        }
    }

    /// The top-level `code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownMethod | Self::NotServed => "NotImplemented",
            Self::PayloadMissing
            | Self::PayloadShape { .. }
            | Self::ApiVersionNotSupported { .. }
            | Self::QueryNotSupported { .. }
            | Self::TokenInvalid
            | Self::InvalidPayload { .. }
            | Self::Document(_) => "BadRequest",
            Self::ApiVersionMissing { .. } => "InvalidVersion",
            Self::InvalidTopology { .. }
            | Self::InvalidInstance { .. }
            | Self::InvalidAdapter { .. }
            | Self::UnknownTopology { .. } => "InvalidResource",
            Self::NotFound { .. } => "NotFound",
            Self::TopologyInUse { .. }
            | Self::TopologyChange { .. }
            | Self::StateConflict { .. }
            | Self::ActivationFailed { .. }
            | Self::TooMany { .. } => "Conflict",
            Self::UnexpectedReport { .. } => "InternalServerError",
            Self::Device { fault, .. } => fault.code(),
        }
    }

    /// The `details`, where there are any.
    pub fn details(&self) -> Vec<ErrorDetail> {
        let one = |code: &str, target: Option<String>| {
            vec![ErrorDetail {
                code: code.to_owned(),
                target,
                message: self.to_string(),
            }]
        };
        match self {
            Self::InvalidTopology { findings }
            | Self::InvalidInstance { findings }
            | Self::InvalidAdapter { findings }
            | Self::InvalidPayload { findings } => of_findings(findings),
            Self::TopologyChange { findings, .. } => of_findings(findings),
            Self::ApiVersionNotSupported { .. } => one("ApiVersionNotSupported", None),
            Self::UnknownTopology { .. } => {
                one("TopologyNotFound", Some("$.Properties.TopologyName".to_owned()))
            }
            Self::TopologyInUse { family, .. } => match family {
                Family::Lva => one("GraphTopologyInUse", None),
                Family::VideoAnalyzer => one("PipelineTopologyInUse", None),
            },
            Self::StateConflict { .. } => one("OperationNotAllowedInState", None),
            Self::ActivationFailed { node, .. } => one("ResourceValidationError", node.clone()),
            Self::TooMany { .. } => one("QuotaExceeded", None),
            Self::Device {
                fault: DeviceFault::InvalidEndpoint,
                ..
            } => one("EndpointInvalid", Some("$.Endpoint".to_owned())),
            _ => Vec::new(),
        }
    }
}

/// Errors alone: the contract has no warnings.
fn of_findings(findings: &[Diagnostic]) -> Vec<ErrorDetail> {
    let errors = findings.iter().filter(|finding| finding.is_error());
    errors
        .map(|finding| ErrorDetail {
            code: finding.code.as_str().to_owned(),
            target: Some(finding.target()),
            message: finding.message.clone(),
        })
        .collect()
}

impl MethodError {
    pub(crate) fn new(method: &str, subject: Option<&str>, fault: Fault) -> Self {
        Self {
            method: method.to_owned(),
            subject: subject.map(str::to_owned),
            fault,
        }
    }

    /// The answer of a runtime that does not support an [`Action`](crate::methods::Action): status 501.
    pub fn not_served(method: &str) -> Self {
        Self::new(method, None, Fault::NotServed)
    }

    /// The answer of a runtime that has looked for cameras, or asked one, in vain. The message names the remedy, and no
    /// secret.
    pub fn device(method: &str, fault: DeviceFault, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(method, None, Fault::Device { fault, message })
    }

    /// Status in the manner of HTTP.
    pub fn status(&self) -> u16 {
        self.fault.status()
    }

    /// The answer to send: status and error body.
    pub fn to_response(&self) -> Response {
        let mut error = json!({"code": self.fault.code(), "message": self.to_string()});
        let details: Vec<Value> = self
            .fault
            .details()
            .into_iter()
            .map(|detail| match detail.target {
                Some(target) => json!({"code": detail.code, "target": target, "message": detail.message}),
                None => json!({"code": detail.code, "message": detail.message}),
            })
            .collect();
        if !details.is_empty()
            && let Value::Object(error) = &mut error
        {
            error.insert("details".to_owned(), Value::Array(details));
        }
        Response::with(self.status(), json!({"error": error}))
    }
}

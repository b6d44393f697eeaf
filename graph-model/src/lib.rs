//! Media graph documents of Live Video Analytics and Video Analyzer: parse, validate, resolve, and answer
//! their direct methods.
//!
//! A [`Topology`] describes nodes and parameters, an [`Instance`] gives the parameters values, and an
//! [`OperationsFile`](operations::OperationsFile) lists methods to call. This crate reads them in the dialects of
//! Live Video Analytics 1.0 and 2.0 and of Video Analyzer edge 1.0 and 1.1, as tolerantly as the original modules
//! did: names and values without case, numbers and booleans as strings, `${parameter}` anywhere. [`resolve`] makes a
//! typed [`Graph`] of a topology and an instance, and a [`Registry`](methods::Registry) answers the direct methods.
//! [`DeploymentTemplate::generate`](deployment::DeploymentTemplate::generate) makes a deployment manifest,
//! [`Diagram`] draws, and [`schema`] has JSON Schemas for editors.
//!
//! **Every [`Graph`] has passed all checks; a document with errors is rejected with a [`Diagnostic`] for each:
//! severity, stable code, place, remedy.** In a graph, values are in range, edges connect existing nodes without
//! cycles, and no JSON is left to look up.
//!
//! # What it is not
//!
//! It runs nothing, opens nothing and reads no clock. What a method *asks for* is returned as a value
//! ([`Action`](methods::Action)); a runtime does it and [completes](methods::Registry::complete) it. `lva-graph-runtime`
//! refuses no graph for what is written in the documents, except for certificates and addresses that its libraries
//! cannot read.
//!
//! # Example
//!
//! ```
//! use lva_graph_model::{Instance, Node, Strictness, Topology, resolve};
//!
//! let topology = Topology::from_json(r##"{
//!     "@apiVersion": "1.0", "name": "Watch",
//!     "properties": {
//!         "parameters": [{"name": "rtspUrl", "type": "String"}],
//!         "sources": [{
//!             "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
//!             "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "${rtspUrl}"}
//!         }],
//!         "processors": [{
//!             "@type": "#Microsoft.Media.MediaGraphMotionDetectionProcessor", "name": "motion",
//!             "sensitivity": "HIGH", "inputs": [{"nodeName": "camera"}]
//!         }],
//!         "sinks": [{
//!             "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink", "name": "hub",
//!             "hubOutputName": "motion", "inputs": [{"nodeName": "motion"}]
//!         }]
//!     }
//! }"##)?;
//!
//! let instance = Instance::new("Watch-1", "Watch", [("rtspUrl", " rtsp://cam:554/1")]);
//! let graph = resolve(&topology, &instance, Strictness::Open)?.graph;
//! let Node::RtspSource(camera) = &graph.nodes()[0].kind else { unreachable!() };
//! assert_eq!(camera.endpoint.url.as_str(), "rtsp://cam:554/1");
//!
//! let nothing_set = Instance::new("Watch-2", "Watch", []);
//! let error = resolve(&topology, &nothing_set, Strictness::Open).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "instance 'Watch-2': parameter 'rtspUrl' has no value and no default: set it in the instance"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A module that takes methods:
//!
//! ```
//! use lva_graph_model::methods::{Action, Completion, Registry, RegistryOptions};
//! # use serde_json::json;
//! # let now = std::time::UNIX_EPOCH;
//!
//! let mut registry = Registry::new(RegistryOptions::default());
//! let response = match registry.call("GraphInstanceActivate", &json!({"@apiVersion": "1.0", "name": "X"}), now) {
//!     Ok(Action::Done(response)) => response,
//!     Ok(Action::Start(start)) => {
//!         // … run `start.graph`, and then:
//!         let completed = registry.complete(&start.instance, Completion::Activated);
//!         completed.unwrap_or_else(|error| error.to_response())
//!     }
//!     Ok(_) => unreachable!("not the answer to an activation"),
//!     Err(error) => error.to_response(),
//! };
//! assert_eq!(response.status, 404);
//! assert_eq!(
//!     response.payload["error"]["message"],
//!     "GraphInstanceActivate 'X': there is no instance of this name"
//! );
//! ```
//!
//! # Items by purpose
//!
//! | for | items |
//! |---|---|
//! | documents | [`Topology`], [`Instance`], [`DeviceAdapter`], [`ParameterDeclaration`], [`ParameterType`], [`ParameterValue`], [`NodeCounts`], [`DocumentError`], [`Generation`], [`Family`] |
//! | a resolved graph | [`resolve`], [`Resolved`], [`ResolveError`], [`Graph`], [`GraphNode`], [`Node`], [`NodeId`], [`Edge`], [`Flow`], [`OutputSelector`], [`VIDEO_MEDIA_TYPES`], [`NodeKind`], [`Role`] |
//! | findings | [`Diagnostic`], [`DiagnosticCode`], [`Severity`], [`Strictness`], [`ValidationReport`], [`DocumentKind`] |
//! | values in graphs | [`Pattern`], [`PatternPiece`], [`SystemVariable`], [`SensitiveString`], [`SecretString`], [`Credentials`], [`PixelFormat`], [`ScaleMode`] |
//! | custom nodes | [`CustomNodeTypes`], [`CustomNodeTypeError`] |
//! | drawing | [`Diagram`] |
//! | modules | [`nodes`] (the settings of each kind), [`methods`], [`operations`], [`deployment`], [`onvif`], [`report`], [`schema`], [`json`] (for readers of other documents) |
//! | limits | [`MAX_DOCUMENT_BYTES`], [`MAX_STEPS`], [`MAX_FINDINGS`] |
//!
//! # Custom nodes
//!
//! A program registers custom types of nodes as [`CustomNodeTypes`], with a topology
//! ([`Topology::with_custom_types`]) or a registry
//! ([`RegistryOptions::with_custom_types`](methods::RegistryOptions::with_custom_types)). Nodes of these types become
//! [`Node::Custom`]; without them, they have an unknown type.
//!
//! # Secrets
//!
//! Values of `SecretString` parameters, passwords, header values and keys never appear in `Debug`, in findings,
//! in errors or in the answers of methods; addresses are shown without user and password. They are part of
//! [`Topology::to_value`], [`Instance::to_value`], [`DeviceAdapter::to_value`],
//! [`Manifest::to_value`](deployment::Manifest::to_value), [`MethodCall::to_payload`](methods::MethodCall::to_payload)
//! and [`Registry::save`](methods::Registry::save), as their documentation repeats.
//!
//! A secret in any other place (a password inside an address, or in a parameter of type `String`, as in the
//! published samples) cannot be recognised, and Get returns it as it was set.
//!
//! # Limits
//!
//! Documents up to [`MAX_DOCUMENT_BYTES`]; 1,000 nodes and 10,000 inputs in a topology, validated in at most
//! [`MAX_STEPS`] steps; up to 16 MiB of values of parameters, or of a template's variables; JSON nested up to 128 deep;
//! [`MAX_FINDINGS`] errors and as many other findings, the rest counted. If a member occurs twice in the same spelling,
//! the last one counts, as in JSON parsers.
#![forbid(unsafe_code)]
mod adapter;
mod check;
mod custom;
pub mod deployment;
mod diagnostic;
mod diagram;
mod document;
mod form;
mod generation;
mod graph;
mod instance;
pub mod json;
mod kind;
mod method;
pub mod onvif;
pub mod operations;
mod parameter;
mod read;
mod redact;
mod registry;
pub mod report;
pub mod schema;
mod sensitive;
mod string_enum;
mod template;
mod topology;

pub use adapter::DeviceAdapter;
pub use check::{MAX_STEPS, ResolveError, Resolved, ValidationReport, resolve};
pub use custom::{CustomNodeTypeError, CustomNodeTypes};
pub use diagnostic::{Diagnostic, DiagnosticCode, DocumentKind, MAX_FINDINGS, Severity, Strictness};
pub use diagram::Diagram;
pub use document::{DocumentError, MAX_DOCUMENT_BYTES};
pub use generation::{Family, Generation};
pub use graph::{Edge, Flow, Graph, GraphNode, Node, NodeId, OutputSelector, VIDEO_MEDIA_TYPES};
pub use instance::Instance;
pub use kind::{NodeKind, Role};
pub use lva_media_types::{Credentials, PixelFormat, ScaleMode, SecretString};
pub use parameter::{ParameterDeclaration, ParameterType, ParameterValue};
pub use sensitive::SensitiveString;
pub use template::{Pattern, PatternPiece, SystemVariable};
pub use topology::{NodeCounts, Topology};

/// The settings of each kind of node, as a [`Graph`] has them.
pub mod nodes {
    pub use crate::graph::custom::*;
    pub use crate::graph::endpoint::*;
    pub use crate::graph::image::*;
    pub use crate::graph::processor::*;
    pub use crate::graph::sink::*;
    pub use crate::graph::source::*;
}

/// Direct methods: what they ask, the state machine that answers them, and the answers.
pub mod methods {
    pub use crate::method::{
        DeviceGetOptions, DiscoverOptions, ErrorDetail, Fault, InstanceState, ListOptions, Method,
        MethodCall, MethodError, Request, Response,
    };
    pub use crate::onvif::DeviceFault;
    pub use crate::registry::{
        Action, Completion, InstanceInfo, Registry, RegistryOptions, RestoreError, Restored, Start,
    };
}

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

//! Media graph documents of Live Video Analytics and Video Analyzer: parse, check, resolve, and their
//! methods.
//!
//! A media graph is described on paper before it runs. A [`Topology`] names nodes and parameters, an
//! [`Instance`] gives the parameters values, an [`OperationsFile`] says which methods to call in which order.
//! This crate reads them in the dialects of Live Video Analytics 1.0 and 2.0 and of Video Analyzer edge 1.0
//! and 1.1, as tolerantly as the original modules did: members and words without case, numbers and booleans
//! as texts, `${parameter}` anywhere. [`resolve`] makes one typed [`Graph`] of a topology and an instance,
//! and a [`Registry`] answers the direct methods. [`Topology::convert`] writes a topology in a later generation,
//! [`DeploymentTemplate::generate`] makes a deployment manifest, [`Diagram`] draws, and [`TOPOLOGY_SCHEMA`] and its
//! siblings are for editors.
//!
//! **Whatever leaves this crate as a [`Graph`] has passed every check; whatever has not is refused with a
//! [`Diagnostic`] for each mistake: severity, stable code, place, remedy.** Values cannot be out of range
//! there, edges cannot lead nowhere or in a circle, and nothing is left to be looked up in JSON.
//!
//! # What it is not
//!
//! It runs nothing, opens nothing and looks at no clock. What a method *means* is returned as a value
//! ([`Action`]); a runtime does it and [reports back](Registry::report). Whether a runtime can carry out
//! each node of a graph is that runtime's business.
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
//! let Node::RtspSource(camera) = &graph.nodes()[0].node else { unreachable!() };
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
//!         let report = registry.complete(&start.instance, Completion::Activated);
//!         report.unwrap_or_else(|error| error.to_response())
//!     }
//!     Ok(_) => unreachable!("not asked for here"),
//!     Err(error) => error.to_response(),
//! };
//! assert_eq!(response.status, 404);
//! assert_eq!(
//!     response.payload["error"]["message"],
//!     "GraphInstanceActivate 'X': there is no instance of this name"
//! );
//! ```
//!
//! # Nodes of one's own
//!
//! A program that brings its own nodes says so with [`CustomNodeTypes`]: to a topology
//! ([`Topology::with_custom_types`]) or to a registry ([`RegistryOptions::with_custom_types`]). Nodes of these types are understood
//! as [`Node::Custom`]; without them, they are of an unknown type as ever.
//!
//! # Secrets
//!
//! Values of `SecretString` parameters, passwords, header values and keys never show in `Debug`, in findings,
//! in errors or in what methods return; addresses are shown without user and password. They are in
//! [`Topology::to_value`], [`Instance::to_value`], [`DeviceAdapter::to_value`], [`Manifest::to_value`],
//! [`Request::to_payload`] and [`Registry::save`], which say so.
//!
//! What somebody put elsewhere (a password inside an address, or in a parameter of type `String`, as the
//! published samples do) comes back from Get as it was set: nothing says that it is one.
//!
//! # Limits
//!
//! Documents up to [`MAX_DOCUMENT_BYTES`]; 1,000 nodes and 10,000 inputs in a topology, at which one examination
//! looks [`MAX_STEPS`] times at most; values of parameters, or of a template's variables, that make up to 16 MiB;
//! JSON nested up to 128 deep; [`MAX_FINDINGS`] errors and as many other findings, the rest counted. Of members that
//! occur twice in the same spelling the last one counts, as JSON parsers have it.
#![forbid(unsafe_code)]
mod adapter;
mod check;
mod custom;
pub mod deployment;
mod diagnostic;
mod diagram;
mod document;
mod generation;
mod graph;
mod instance;
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
pub use graph::{Edge, Flow, Graph, GraphNode, Node, NodeId, OutputSelector};
pub use instance::Instance;
pub use kind::{NodeKind, Role};
pub use lva_media_types::{Credentials, PixelFormat, ScaleMode, SecretString};
pub use parameter::{ParameterDeclaration, ParameterType, ParameterValue};
pub use sensitive::SensitiveString;
pub use template::{Pattern, PatternPiece, SystemVariable};
pub use topology::{NodeCounts, Topology};

/// The settings of each kind of node, as a [`Graph`] has them.
pub mod nodes {
    pub use crate::graph::{
        Accuracy, AssetSink, CustomProcessor, DEFAULT_JPEG_QUALITY, DataTransfer, Endpoint,
        EndpointCredentials, EndpointTls, EndpointUrl, ExtensionProcessor, ExtensionProtocol, FileSink,
        FrameRateFilter, HubMessageSink, Image, ImageFormat, ImageScale, LineCrossing, LocalCache,
        MessageSource, MotionDetection, NamedLine, ObjectTracking, Rate, RtspSource, RtspTransport, Sampling,
        Sensitivity, SignalGateProcessor, VideoSink,
    };
}

/// Direct methods: what they ask, the state machine that answers them, and the answers.
pub mod methods {
    pub use crate::method::{
        ErrorDetail, Fault, InstanceState, ListOptions, Method, MethodCall, MethodError, Request, Response,
    };
    pub use crate::onvif::DeviceFault;
    pub use crate::registry::{Action, Completion, Registry, RegistryOptions, RestoreError, Restored, Start};
}

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

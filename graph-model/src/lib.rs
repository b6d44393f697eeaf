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
//! ([`Outcome`]); a runtime does it and [reports back](Registry::report). Whether a runtime can carry out
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
//! use lva_graph_model::{Outcome, Registry, RegistryOptions, Report};
//! # use serde_json::json;
//! # let now = std::time::UNIX_EPOCH;
//!
//! let mut registry = Registry::new(RegistryOptions::default());
//! let response = match registry.call("GraphInstanceActivate", &json!({"@apiVersion": "1.0", "name": "X"}), now) {
//!     Ok(Outcome::Done(response)) => response,
//!     Ok(Outcome::Start(start)) => {
//!         // … run `start.graph`, and then:
//!         let report = registry.report(&start.instance, Report::Activated);
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
//! looks [`MAX_VISITS`] times at most; values of parameters, or of a template's variables, that make up to 16 MiB;
//! JSON nested up to 128 deep; [`MAX_FINDINGS`] errors and as many other findings, the rest counted. Of members that
//! occur twice in the same spelling the last one counts, as JSON parsers have it.
#![forbid(unsafe_code)]
mod adapter;
mod check;
mod convert;
mod custom;
mod deployment;
mod diagnostic;
mod diagram;
mod document;
mod generation;
mod graph;
mod instance;
mod kind;
mod method;
mod onvif;
mod operations;
mod parameter;
mod read;
mod redact;
mod registry;
mod report;
mod schema;
mod secret;
mod template;
mod topology;
mod words;

pub use adapter::DeviceAdapter;
pub use check::{Examination, MAX_VISITS, NodeCounts, ResolveError, Resolved, resolve};
pub use convert::{ConversionNote, ConvertError, Converted, NoteKind};
pub use custom::{CustomNodeTypeError, CustomNodeTypes};
pub use deployment::{
    AppSettings, CREATE_OPTIONS_PART, DeploymentTemplate, EnvironmentFile, Generated, Manifest,
    ManifestModule, ManifestOptions, ModuleFile, ModuleSource, manifest_file_name,
};
pub use diagnostic::{Code, Diagnostic, DocumentKind, MAX_FINDINGS, Severity, Strictness};
pub use diagram::Diagram;
pub use document::{DocumentError, MAX_DOCUMENT_BYTES};
pub use generation::{Family, Generation};
pub use graph::{
    Accuracy, AssetSink, Credentials, CustomProcessor, DEFAULT_JPEG_QUALITY, DataTransfer, Edge, Endpoint,
    EndpointUrl, Extension, ExtensionProtocol, FileSink, Flow, FrameRateFilter, Graph, GraphNode, Image,
    ImageFormat, ImageScale, LineCrossing, LocalCache, MessageSink, MessageSource, MotionDetection,
    NamedLine, Node, NodeId, ObjectTracking, OutputSelector, PixelFormat, Rate, RtspSource, RtspTransport,
    Sampling, ScaleMode, Sensitivity, SignalGate, TlsOptions, VideoSink,
};
pub use instance::Instance;
pub use kind::{NodeKind, Role};
pub use method::{ErrorDetail, Fault, InstanceState, Method, MethodError, Request, RequestBody, Response};
pub use onvif::{
    CodecConfiguration, DeviceFault, DiscoveredDevice, MAX_DISCOVERED_DEVICES, MediaProfile, MediaUri,
    OnvifDateTime, OnvifDevice, OnvifDns, OnvifHostName, RateControl, VideoEncoderConfiguration,
    VideoResolution,
};
pub use operations::{OperationsError, OperationsFile, Step, instance_request, topology_request};
pub use parameter::{MAX_PARAMETER_NAME, ParameterDeclaration, ParameterType, ParameterValue};
pub use registry::{Outcome, Registry, RegistryOptions, Report, RestoreError, Restored, Start};
pub use report::{FileReport, Found};
pub use schema::{INSTANCE_SCHEMA, OPERATIONS_SCHEMA, TOPOLOGY_SCHEMA};
pub use secret::{SecretString, Text};
pub use template::{Pattern, PatternPiece, SystemVariable};
pub use topology::{MAX_NAME, Topology};

/// Compiles the example of the crate's front page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

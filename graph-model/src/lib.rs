//! x
#![forbid(unsafe_code)]
mod check;
mod diagnostic;
mod document;
mod generation;
mod graph;
mod instance;
mod kind;
mod method;
mod operations;
mod parameter;
mod read;
mod redact;
mod registry;
mod secret;
mod template;
mod topology;
mod words;

pub use check::{NodeCounts, ResolveError, Resolved, resolve};
pub use diagnostic::{Code, Diagnostic, DocumentKind, MAX_FINDINGS, Severity, Strictness};
pub use document::{DocumentError, MAX_DOCUMENT_BYTES};
pub use generation::{Family, Generation};
pub use graph::{
    Accuracy, AssetSink, CountEvent, Credentials, DEFAULT_JPEG_QUALITY, DataTransfer, DistanceEvent, Edge,
    Endpoint, EndpointUrl, EventTrigger, Extension, ExtensionProtocol, FileSink, Flow, Focus,
    FrameRateFilter, Graph, GraphNode, Image, ImageFormat, ImageScale, LineCrossing, LineCrossingEvent,
    LocalCache, MessageSink, MessageSource, MotionDetection, NamedLine, NamedPolygon, Node, NodeId,
    ObjectTracking, Operation, OperationSettings, OutputSelector, PixelFormat, Point, Rate, RtspSource,
    RtspTransport, Sampling, ScaleMode, Sensitivity, SignalGate, TlsOptions, VideoSink, Watched,
    ZoneCrossingEvent, ZoneEventType,
};
pub use instance::Instance;
pub use kind::{NodeKind, Role};
pub use method::{ErrorDetail, Fault, InstanceState, Method, MethodError, Request, RequestBody, Response};
pub use operations::{OperationsError, OperationsFile, Step, instance_request, topology_request};
pub use parameter::{MAX_PARAMETER_NAME, ParameterDeclaration, ParameterType, ParameterValue};
pub use registry::{Outcome, Registry, RegistryOptions, Report, RestoreError, Restored, Start};
pub use secret::{SecretString, Text};
pub use template::{Pattern, PatternPiece, SystemVariable};
pub use topology::{MAX_NAME, Topology};

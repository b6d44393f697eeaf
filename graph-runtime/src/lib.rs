//! Runs media graphs: receives a camera, sends its pictures to extensions, emits events and records clips.
//!
//! A [`Module`] takes topologies and instances, typed ([`Module::start`]) or by the direct methods of Live Video Analytics and
//! Video Analyzer ([`Module::invoke`]), validates and resolves them with `lva-graph-model`, and runs the graphs:
//! `lva-rtsp` receives the camera, `lva-framing` decodes and renders its pictures, `lva-extension-protocol` sends them to
//! extensions, and `lva-recording` records around events. Events of a graph are [`GraphEvent`]s for your [`MessageSink`]s.
//!
//! **A stream is received once and decoded at most once for each instance, and nothing is dropped without being counted
//! for its node and a [`DropReason`].** Analysis prefers the newest picture, recording prefers completeness; neither waits for
//! the other, nor for a sink.
//!
//! This crate is neither a hub client nor a web server: the program around it delivers methods and sends events on.
//!
//! # Example
//!
//! ```no_run
//! use lva_graph_model::{Instance, Topology};
//! use lva_graph_runtime::{GraphEvent, MessageSink, Module, RuntimeOptions, SinkError};
//!
//! struct Lines;
//!
//! #[async_trait::async_trait]
//! impl MessageSink for Lines {
//!     async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
//!         println!("{}", event.envelope("/my/account"));
//!         Ok(())
//!     }
//! }
//!
//! # async fn run(topology: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let module = Module::new(RuntimeOptions::new("recordings"), vec![Box::new(Lines)]);
//! let topology = Topology::from_json(topology)?;
//! let instance = Instance::new("door-1", topology.name(), [("rtspUrl", "rtsp://camera/1")]);
//! let door = module.start(topology, instance).await?;
//! door.wait().await?; // until a method stops it, or its camera is given up
//! println!("{} pictures", door.stats().received);
//! # Ok(())
//! # }
//! ```
//!
//! # Supported nodes
//!
//! Every node of the four generations: RTSP and hub message sources; motion detection; frame rate filter; gRPC and HTTP
//! extensions and the three spellings of the vision extension, in parallel and in series; object tracking and line crossing;
//! message sink; signal gate; asset, file and video sinks; and custom nodes ([`NodeFactory`]), which topologies name by their
//! own `@type`. An unsupported combination fails at activation with an error that names the node, its type and a remedy.
//! [`Module::deliver`] delivers messages of a hub. ONVIF methods discover and query cameras ([`OnvifOptions`]).
//!
//! # Limits
//!
//! 256 MiB of encoded media in memory for each instance ([`RuntimeOptions::with_memory_budget`]). Within that: a queue of 64
//! units to the decoder, one waiting picture for each extension, 2048 units or 64 MiB to each recorder, and 96 MiB of pre-roll for
//! each recorder. 1024 events for each sink. One thread for the decoder of each stream, for the renderer of each extension, for each
//! custom node, and for each recording sink. Linux; FFmpeg from the system, through `lva-framing` and `lva-recording`.
#![forbid(unsafe_code)]

// Direct methods and handles, and the instances that they start and stop.
mod handle;
mod instance;
mod module;
mod observe;
mod options;

// The nodes of an instance.
mod analysis;
mod decode;
mod motion;
mod record;
mod tracking;

// Between the nodes.
mod budget;
mod flow;
mod render;

// A graph, resolved.
mod check;
mod convert;
mod filter;
mod node;
mod plan;

// Events and counters.
mod emitter;
mod event;
mod failure;
mod message;
mod rate_limiter;
mod sink;
mod stats;

// Threads and panics.
mod panics;
mod thread;

pub use lva_onvif::OnvifOptions;

pub use check::check_graph;
pub use event::GraphEvent;
pub use failure::FailureKind;
pub use handle::{InstanceFailed, InstanceHandle};
pub use message::{DeliverError, HubMessage};
pub use module::Module;
pub use node::{CustomNode, NodeContext, NodeError, NodeFactory, NodeFrame};
pub use observe::{Observer, RunObservation};
pub use options::RuntimeOptions;
pub use sink::{MessageSink, SinkError, SinkStats};
pub use stats::{
    ClipInfo, DropReason, ExtensionStats, InstanceStats, LatencySummary, MemoryStats, MotionStats,
    NodeLatency, PreviewStats, RecordingStats,
};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

//! Running media graphs: a camera in, extensions asked, events and clips out.
//!
//! A [`Module`] takes the direct methods of Live Video Analytics and Video Analyzer (`GraphTopologySet`,
//! `GraphInstanceActivate`, …), checks and resolves their documents with `lva-graph-model`, and runs what they describe:
//! the camera is received by `lva-rtsp`, its pictures are decoded and rendered by `lva-framing`, shown to an extension by
//! `lva-extension-protocol`, and recorded around events by `lva-recording`. What a graph says comes out as
//! [`GraphEvent`]s, to [`MessageSink`]s that you bring.
//!
//! **A stream is received once and decoded at most once for each instance, and nothing is dropped without being counted
//! under its node and a [`DropReason`].** On the way of analysis the newest picture wins; on the way of recording
//! completeness does; neither waits for the other, nor for a sink.
//!
//! What this crate is not: a hub client or a web server. How a method arrives, and where events go, is up to the program
//! around it.
//!
//! # Example
//!
//! ```no_run
//! use lva_graph_runtime::{GraphEvent, MessageSink, Module, RuntimeOptions, SinkError};
//! use serde_json::json;
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
//! # async fn run(topology: serde_json::Value, instance: serde_json::Value) {
//! let module = Module::new(RuntimeOptions::new("recordings"), vec![Box::new(Lines)]);
//! for (method, payload) in [
//!     ("GraphTopologySet", topology),
//!     ("GraphInstanceSet", instance),
//!     ("GraphInstanceActivate", json!({"@apiVersion": "1.0", "name": "Sample-Graph-1"})),
//! ] {
//!     let (status, answer) = module.invoke(method, &payload).await;
//!     println!("{method}: {status} {answer}");
//! }
//! # }
//! ```
//!
//! # What runs
//!
//! Every node of the four generations: RTSP and hub message sources; motion detection; frame rate filter; gRPC and HTTP
//! extensions and the three spellings of the vision extension, beside each other and in line; object tracking and line
//! crossing; message sink; signal gate; asset, file and video sinks; and nodes of your own ([`NodeFactory`]), which topologies
//! name by their own `@type`. A combination that is not carried out is refused at
//! activation by a [`PlanError`] that names the node, its type and a remedy. Hub messages come in by [`Module::deliver`].
//! Cameras are looked for and asked by ONVIF, as [`OnvifOptions`] say.
//!
//! # Limits
//!
//! 256 MiB of encoded media in memory for each instance ([`RuntimeOptions::with_memory_budget`]). Within that: a queue of 64
//! units to the decoder, one waiting picture for each extension, 2048 units or 64 MiB to each recorder, 96 MiB
//! of pre-roll for each recorder, 1024 events to each sink. One thread decodes an instance, one renders for each extension,
//! one looks for each node of your own, one writes for each recording sink. Linux; FFmpeg from the system, through `lva-framing` and `lva-recording`.
#![forbid(unsafe_code)]

// Methods, and the instances that they start and end.
mod instance;
mod module;
mod node;
mod options;
mod plan;

// Pictures: from encoded units to whoever looks at them.
mod budget;
mod decode;
mod extension;
mod frame;
mod motion;
mod tracking;

// Recordings.
mod preview;
mod record;

// What is said, and counted.
mod data_dropped;
mod event;
mod failure;
mod latency;
mod message;
mod once_a_minute;
mod sink;
mod speaker;
mod state_event;
mod stats;

// Where words of other crates meet, and what all of the above stand on.
mod guard;
mod seam;
mod thread;

pub use lva_onvif::OnvifOptions;

pub use event::GraphEvent;
pub use failure::FailureKind;
pub use latency::NodeLatency;
pub use message::{DeliverError, HubMessage};
pub use module::Module;
pub use node::{CustomNode, NodeContext, NodeError, NodeFactory, NodeFrame};
pub use options::RuntimeOptions;
pub use plan::PlanError;
pub use sink::{MessageSink, SinkError, SinkStats};
pub use stats::{
    ClipInfo, DropReason, ExtensionStats, InstanceStats, LatencySummary, MemoryStats, MotionStats,
    PreviewStats, RecordingStats,
};

/// Compiles the example of the crate's front page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

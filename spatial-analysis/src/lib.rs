//! The spatial-analysis extension: detections to people, zones, lines and their events.
//!
//! It composes three crates: `lva-inference` detects people in a frame, `lva-zones` tracks them and finds the events at lines
//! and zones, `lva-extension-protocol` carries frames and answers. An [`Operation`] is what to watch, read from any of the
//! contract's configurations; a [`SpatialAnalysis`] is the state of one camera; [`SpatialExtension`] hosts one for each
//! stream.
//!
//! **Sessions share no state: one camera's pictures never change another camera's answers.** A detector may be shared
//! ([`Detectors::shared`]), because it keeps no state; sessions then only wait for each other.
//!
//! The crate runs no model itself, computes no geometry and does not implement the protocol. It contains nothing of
//! Microsoft's container; it answers in the same form.
//!
//! # Example
//!
//! ```no_run
//! use lva_extension_protocol::server::{ExtensionServer, ListenAddress};
//! use lva_inference::RtenDetector;
//! use lva_spatial_analysis::{Detectors, Operation, SpatialExtension};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let operation = Operation::from_json(
//!     r#"{"zones": [{"name": "door", "polygon": [[0.4, 0.5], [0.6, 0.5], [0.6, 0.9], [0.4, 0.9]]}]}"#,
//! )?;
//! let extension = SpatialExtension::new(operation, Detectors::each(RtenDetector::plaza_person));
//! let server = ExtensionServer::new(extension).listen(ListenAddress::loopback(50051)).await?;
//! server.serve(std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Without a server, [`SpatialAnalysis::process`] turns a frame and its time into inferences.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `image-codecs` | yes | streams of JPEG, PNG and BMP pictures; without it only raw pixels |
//!
//! # Limits
//!
//! All operations of the container, and any mix. At most [`MAX_ELEMENTS`](lva_zones::MAX_ELEMENTS) lines and zones, [`MAX_DETECTIONS`](lva_zones::MAX_DETECTIONS) people a
//! frame, frames of [`MAX_PICTURE_SIDE`](lva_media_types::limits::MAX_PICTURE_SIDE) pixels a side, configurations of
//! [`MAX_CONFIGURATION_BYTES`].
#![forbid(unsafe_code)]

mod detectors;
mod extension;
mod frames;
mod operation;
mod options;
mod padding;
mod preview;
mod session;
mod source;
mod stats;

pub use detectors::{BatchStats, Detectors, SharedDetector};
pub use extension::{DEFAULT_IDENTIFIER, SpatialExtension};
pub use frames::FrameError;
pub use lva_zones::{Outline, SceneOptions, TrackerOptions};
pub use operation::{
    Finding, MAX_CONFIGURATION_BYTES, NamedReading, Operation, OperationError, OperationKind,
    UnknownOperation,
};
pub use options::{AnalysisOptions, Entities};
pub use session::{BeginError, ProcessError, SpatialAnalysis};
pub use source::{NoOperation, OperationSource, StreamOperation};
pub use stats::{AnalysisStats, AnalysisStatsReader};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

//! The spatial-analysis extension: detections to people, zones, lines and their events.
//!
//! Three crates each know one part: `lva-inference` finds people in a frame, `lva-zones` follows them and notices what
//! they do, `lva-extension-protocol` carries frames in and answers out. This crate composes them into the extension that
//! the tutorial of Live Video Analytics with spatial analysis talks to: an [`OperationConfig`] says what is watched, a
//! [`SpatialAnalysis`] is one camera's state, and [`SpatialExtension`] hosts one of these for each stream.
//!
//! **Sessions share no state: what one camera shows never changes what another's answers are.** A detector may be
//! shared ([`Detectors::shared`]), because it remembers nothing; then sessions wait for each other, and that is all.
//!
//! What it is not: it runs no model itself and computes no geometry; it does not know the wire. It is not
//! Microsoft's container and contains nothing of it; it answers in the same form.
//!
//! # Example
//!
//! ```no_run
//! use lva_extension_protocol::server::{ExtensionServer, ListenAddress};
//! use lva_inference::{ModelSpec, PLAZA_PERSON_ONNX, RtenDetector, RtenOptions};
//! use lva_spatial_analysis::{Detectors, OperationConfig, SpatialExtension};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = OperationConfig::from_json(
//!     r#"{"zones": [{"name": "door", "polygon": [[0.4, 0.5], [0.6, 0.5], [0.6, 0.9], [0.4, 0.9]]}]}"#,
//! )?;
//! let detectors = Detectors::each(|| {
//!     RtenDetector::from_bytes(PLAZA_PERSON_ONNX, ModelSpec::plaza_person(), RtenOptions::default())
//! });
//! let extension = SpatialExtension::new(config, detectors);
//! let server = ExtensionServer::new(extension).listen(ListenAddress::loopback(50051)).await?;
//! server.serve(std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Without a server, [`SpatialAnalysis::process`] takes a frame and its time and gives inferences.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `image-codecs` | yes | streams of JPEG, PNG and BMP pictures; without it only bare pixels are taken |
//!
//! # Limits
//!
//! All operations of the container, and their mix. At most [`MAX_ELEMENTS`](lva_zones::MAX_ELEMENTS) lines and zones, [`MAX_DETECTIONS`](lva_zones::MAX_DETECTIONS) people a
//! frame, frames of [`MAX_SIDE`](lva_inference::MAX_SIDE) pixels a side, configurations of
//! [`MAX_CONFIGURATION_BYTES`].
#![forbid(unsafe_code)]

mod configuration;
mod detectors;
mod extension;
mod frames;
mod options;
mod padding;
mod session;
mod stats;

pub use configuration::{ConfigurationError, MAX_CONFIGURATION_BYTES, OperationConfig};
pub use detectors::{Detectors, SharedDetector};
pub use extension::{DEFAULT_IDENTIFIER, SpatialExtension};
pub use frames::FrameError;
pub use lva_zones::Outline;
pub use options::{AnalysisOptions, Entities};
pub use session::{BeginError, ProcessError, SpatialAnalysis};
pub use stats::{AnalysisStats, AnalysisStatsReader};

/// Compiles the example of the crate's front page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

//! An RTSP server that plays MP4 and Matroska files as a camera would, with faults on demand: for tests and
//! demonstrations of RTSP clients.
//!
//! A [`Simulator`] serves each file of a directory at `rtsp://HOST:PORT/media/FILE`, to each client from its beginning,
//! in real time and in an endless loop.
//!
//! **The same [`Faults`], file and order of sessions hit the same packets.**
//!
//! This crate is not a media server for production: it reads whole files into memory and knows no live sources.
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use lva_rtsp_simulator::{Faults, Simulator, SimulatorOptions};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let faults = Faults::default().with_loss(0.01).with_close_after(Some(Duration::from_secs(15)));
//! let simulator = Simulator::start(SimulatorOptions::new("media").with_faults(faults)).await?;
//! println!("{}", simulator.url("plaza.mp4"));
//! simulator.set_stalled(true); // like a camera whose encoder hangs
//! println!("{:?}", simulator.counters());
//! simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `serde` (not default): `Serialize` for [`SimulatorCounters`].
//!
//! # Limits
//!
//! RTSP/1.0 with RTP interleaved in TCP, over UDP, or in an HTTP tunnel; all but UDP also in TLS. H.264, H.265 and AAC.
//! Files of up to 1 GiB.
#![forbid(unsafe_code)]

mod auth;
mod client;
mod connection;
mod describe;
mod faults;
mod files;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod media;
mod options;
mod packetize;
mod playback;
mod ports;
mod request;
mod session;
mod simulator;
mod state;
mod tls;
mod tunnel;
mod tunnel_registry;

pub use auth::AuthScheme;
pub use faults::Faults;
pub use lva_media_types::Credentials;
pub use media::{MediaError, video_samples};
pub use options::SimulatorOptions;
pub use simulator::{Simulator, SimulatorError};
pub use state::SimulatorCounters;
pub use tls::{SimulatorTls, SimulatorTlsError};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

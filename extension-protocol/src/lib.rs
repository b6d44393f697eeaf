//! The extension contracts of Live Video Analytics and Video Analyzer: gRPC with shared memory, and HTTP; client and server.
//!
//! A media graph shows frames to a program beside it, the *extension*, and gets inferences back. This crate is both ends
//! of that conversation. On the graph's side, [`connect`] gives a [`Session`]: take a [`FrameSlot`], render into it, send
//! it, await the [`Answers`]. On the extension's side, implement [`Extension`] (or [`BlockingExtension`]) and host it with
//! [`ExtensionServer`]; descriptors, shared memory, bounds, acknowledgements, limits and half-close come with it.
//!
//! **A result belongs to the frame whose number it acknowledges, and to no other: neither time nor order counts.**
//! Acknowledgements that name no waiting frame deliver nothing and are counted ([`SessionStats`]); a place in shared
//! memory returns by its acknowledgement or with the end of the session, never by time.
//!
//! What it is not: it does not know what a detector is, what a graph is, or what inferences mean. It decodes no video, pads
//! no picture and maps no box back. It retries nothing by itself: [`Backoff`] says when, the caller connects.
//!
//! # Example
//!
//! ```
//! use lva_extension_protocol::client::*;
//! use lva_extension_protocol::server::*;
//! use lva_extension_protocol::{BoxError, FrameFormat, PixelFormat};
//! use lva_inference_schema::{Event, Inference};
//!
//! struct Brightness;
//! struct Frames;
//!
//! #[async_trait::async_trait]
//! impl Extension for Brightness {
//!     async fn open(&self, _: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
//!         Ok(Box::new(Frames))
//!     }
//! }
//!
//! #[async_trait::async_trait]
//! impl ExtensionSession for Frames {
//!     async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
//!         let brightest = sample.data().iter().max().copied().unwrap_or(0);
//!         Ok(vec![Inference::new(Event::new("brightest").with_property("value", brightest.to_string()))])
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ExtensionServer::new(Brightness).listen(ListenAddress::loopback(0)).await?;
//! let url = server.url();
//! tokio::spawn(server.serve(std::future::pending()));
//!
//! let format = FrameFormat::raw(PixelFormat::Bgr24, 1408, 786)?;
//! let options = ClientOptions::new(url, format).with_transfer(Transfer::SharedMemory(Default::default()));
//! let Session { frames, mut answers, .. } = connect::<&str>(&options).await?;
//!
//! let mut slot = frames.slot()?; // 3,320,064 bytes of shared memory; the frame is rendered where the extension reads it
//! slot.fill(77);
//! slot.send(143_810_610_210_090, &[], "whatever the caller wants to have back")?;
//! if let Some(SessionEvent::Answered(answer)) = answers.next().await? {
//!     assert_eq!(answer.timestamp_90k, 143_810_610_210_090);
//!     println!("{:?} after {:?}", answer.inferences, answer.round_trip);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Copies
//!
//! | transfer | client, after rendering | server |
//! |---|---|---|
//! | shared memory, [`Trust::Untrusted`] (default) | 0 | 1, into private memory |
//! | shared memory, [`Trust::Peer`] | 0 | 0 |
//! | embedded | 1, into the message | those of the transport |
//!
//! Both sides count theirs, and tests assert the numbers.
//!
//! # Hostile peers
//!
//! A server takes every name, size, offset, length and number for hostile. Each violation ends the stream that made it, with
//! the gRPC status and a sentence that helps, and nothing else; the README has the table. A client that cuts its shared
//! memory short ends its own stream, because frames of untrusted peers are read by a system call and never mapped.
//! A client must be able to trust those who may *write* its shared memory (mode 0600 by default: its own user), since a
//! file cut short under a mapping kills the process that writes to it.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `http` | yes | the module `http`: HTTP extensions, client and server |
//!
//! # Limits
//!
//! Linux. The README lists what is missing. Sides of frames up to [`MAX_SIDE`],
//! windows from [`MIN_WINDOW`] to [`MAX_WINDOW`] frames. Runs on tokio.
#![deny(unsafe_code)] // not `forbid`: the one module that maps memory allows it

mod address;
mod backoff;
pub mod client;
mod convert;
mod credentials;
mod format;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(all(test, not(fuzzing)))]
mod fuzzing;
#[cfg(feature = "http")]
pub mod http;
mod identity;
pub mod server;
mod shared_memory;
mod slots;
mod tls;
pub mod wire;

pub use address::{ExtensionUrl, ExtensionUrlError};
pub use backoff::{Backoff, BackoffPolicy};
pub use format::{FormatError, FrameEncoding, FrameFormat};
pub use identity::GraphIdentity;
pub use lva_media_types::{Credentials, PixelFormat};
pub use shared_memory::{
    SharedMemoryError, SharedMemoryOptions, Trust, remove_stale_regions, required_shared_memory_bytes,
};
pub use tls::{ClientTls, ServerTls, TlsError};
/// The status codes of gRPC, as extensions end streams with them.
pub use tonic::Code as GrpcCode;

/// Any error, as extensions and transports report theirs.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

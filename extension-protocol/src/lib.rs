//! The extension contracts of Live Video Analytics and Video Analyzer: gRPC with shared memory, and HTTP; client and server.
//!
//! A media graph sends frames to another program, the *extension*, and receives inferences. This crate implements both
//! sides. The [`client`] is the graph's side: [`connect`](client::connect) returns a [`Session`](client::Session); take a
//! [`FrameSlot`](client::FrameSlot), render into it, send it, and await the [`Answers`](client::Answers). The [`server`] is
//! the extension's side: implement [`Extension`](server::Extension) or [`BlockingExtension`](server::BlockingExtension) and
//! host it with [`ExtensionServer`](server::ExtensionServer), which handles descriptors, shared memory, bounds,
//! acknowledgements, limits and half-close.
//!
//! **A result belongs to the frame whose number it acknowledges; neither time nor order matters.** Acknowledgements
//! without a frame in flight are counted ([`SessionStats`](client::SessionStats)) and deliver nothing. A slot in shared
//! memory is released by its acknowledgement or by the end of the session, never by a time-out.
//!
//! The crate does not know detectors, graphs or the meaning of inferences. It does not decode video, pad pictures or map
//! boxes. It does not reconnect: [`Backoff`] computes the delay, the caller connects.
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
//! let mut slot = frames.slot()?; // 3,320,064 bytes of shared memory, which the extension reads in place
//! slot.fill(77);
//! slot.send(143_810_610_210_090, &[], "the caller's value")?;
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
//! Both sides count their copies, and tests assert the numbers.
//!
//! # Hostile peers
//!
//! A server trusts no name, size, offset, length or number. A violation ends only its own stream, with a gRPC status and a
//! message that names the fault; the README has a table. A client that truncates its shared memory ends only its own
//! stream, because frames of untrusted peers are read by a system call and never mapped. A client must trust every process
//! that may *write* its shared memory (mode 0600 by default: its own user), since truncating the mapped file kills the
//! client.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `http` | yes | the module `http`: HTTP extensions, client and server |
//!
//! # Limits
//!
//! Linux and tokio. The README lists what is missing. Frames up to
//! [`MAX_ANNOUNCED_SIDE`](lva_media_types::limits::MAX_ANNOUNCED_SIDE) pixels per side, windows of
//! [`MIN_WINDOW`](client::MIN_WINDOW) to [`MAX_WINDOW`](client::MAX_WINDOW) frames.
#![deny(unsafe_code)] // not `forbid`: the one module that maps memory allows it

mod address;
mod backoff;
mod bounds;
mod causes;
pub mod client;
mod convert;
mod counters;
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
mod preview;
pub mod server;
mod setters;
mod shared_memory;
mod slots;
mod tls;
pub mod wire;

pub use address::{ExtensionUrl, ExtensionUrlError};
pub use backoff::{Backoff, BackoffPolicy};
pub use format::{FormatError, FrameEncoding, FrameFormat};
pub use identity::GraphIdentity;
pub use lva_client_transport::TrustedRoots;
pub use lva_media_types::{Credentials, PixelFormat};
pub use shared_memory::{SharedMemoryError, SharedMemoryOptions, Trust};
pub use tls::{ServerTls, ServerTlsError};
/// The status codes with which extensions end streams.
pub use tonic::Code as GrpcCode;

/// Any error of an extension or a transport.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

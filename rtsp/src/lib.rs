//! RTSP camera sessions with reconnection and an absolute clock.
//!
//! A camera is an unreliable peer: it reboots, stalls without closing, loses packets, drops sessions and sets its clock
//! back. A [`Camera`] turns such a peer into a steady sequence of [`CameraEvent`]s: sessions that begin and end, and
//! [`AccessUnit`]s, which are encoded pictures and audio frames with a time since 1970 and the source of that time.
//!
//! **The media time of a stream never goes backwards, and every jump is marked.** [`MediaClock`] guarantees it for
//! arbitrary input; property tests check that.
//!
//! The session layer forgives: what a camera does against the RFCs is repaired where that is possible, and counted
//! ([`Repair`]). A good session passes byte for byte.
//!
//! This crate neither decodes nor records, and does not depend on FFmpeg. [`retina`] depacketizes JPEG and G.711.
//! `lva-rtsp-simulator` plays files as cameras for tests.
//!
//! # Example
//!
//! ```no_run
//! use lva_rtsp::{Camera, CameraEvent, CameraOptions, CameraUrl, Credentials};
//!
//! # async fn watch() -> Result<(), Box<dyn std::error::Error>> {
//! let url = CameraUrl::parse("rtsp://192.168.1.20:554/stream1")?;
//! let options = CameraOptions::new(url).with_credentials(Some(Credentials::new("viewer", "secret")));
//! let mut camera = Camera::connect(options);
//! while let Some(event) = camera.next().await {
//!     match event {
//!         CameraEvent::Established { streams, .. } => println!("{} streams", streams.len()),
//!         CameraEvent::Unit(unit) => println!("{} ({} bytes)", unit.timestamp_90k, unit.data.len()),
//!         CameraEvent::Lost { error } => eprintln!("{error}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Parts
//!
//! | part | what it does | without I/O |
//! |---|---|---|
//! | [`Camera`], [`CameraMonitor`] | the task of a camera, its queue and counters | |
//! | [`ReconnectPolicy`], [`Timeouts`] | when to connect, to wait and to give up | yes |
//! | [`MediaClock`] | RTP time to time since 1970 | yes |
//! | [`CameraUrl`], [`Credentials`] | addresses without secrets, secrets that do not print | yes |
//! | [`ClientTls`], [`Transport`] | TLS and the transports of RTP | |
//! | [`probe()`] | reports what a camera offers within some seconds | |
//! | [`CameraError`] | errors with their cause and remedy | yes |
//! | [`Repairs`] | what the session layer repaired, with counts | yes |
//!
//! # Features
//!
//! `serde` (not default): `Serialize` for [`CameraCounters`] and [`ClockCounters`].
//!
//! # Limits
//!
//! RTSP/1.0 over TCP, TLS, or in an HTTP tunnel; RTP interleaved, or over UDP, unicast or multicast, without TLS. One video
//! stream per session, the first usable one, one audio stream, AAC or Opus before G.711, and ONVIF metadata where they are
//! wanted. H.264, H.265, JPEG, AAC, G.711 and Opus; other streams are listed ([`StreamInfo::playing`] is false) and not
//! received. A picture has at most 16 MiB, one of JPEG 2 MB, a message 1 MiB, a description 64 tracks. By default the queue of
//! a camera holds 512 units or 64 MiB ([`QueueLimits`]). Video begins at a key frame, also after a full queue. B-frames come
//! in decoding order with their times of presentation ([`ClockCounters::reordered`] counts them).
#![forbid(unsafe_code)]

mod camera;
mod clock;
mod connection;
mod diagnosis;
mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod media;
mod options;
mod panics;
mod probe;
mod secrets;
mod session;
mod stream;
mod supervisor;
mod url;
mod wall;
mod wire;

pub use self::url::{CameraUrl, CameraUrlError};
pub use camera::{Camera, CameraCounters, CameraEvent, CameraMonitor, CameraStopReason};
pub use clock::{ClockCounters, ClockOptions, ClockSource, MediaClock, MediaTimestamp};
pub use error::{CameraError, ErrorKind};
pub use lva_bitstream as nal;
pub use lva_client_transport::{ClientTls, ClientTlsError};
pub use lva_media_types::{BasicAuthentication, Credentials, VideoCodec};
pub use options::{CameraOptions, QueueLimits, Transport, TransportError};
pub use probe::{ProbeReport, Quirk, StreamReport, probe};
pub use stream::{AccessUnit, Codec, MediaKind, NoPictures, StreamInfo, VideoParameters};
pub use supervisor::{Phase, ReconnectPolicy, TimeoutKind, Timeouts};
pub use wall::WallClock;
pub use wire::authentication::LoginFailure;
pub use wire::repairs::{Repair, Repairs};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

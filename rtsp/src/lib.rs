//! RTSP camera sessions with reconnection and an absolute clock.
//!
//! A camera is an unreliable peer: it reboots, stalls without closing, loses packets, forgets sessions and sets its
//! clock back. A [`Camera`] turns one such peer into a steady sequence of [`CameraEvent`]s: sessions as they come and
//! go, and [`AccessUnit`]s, encoded pictures and audio frames with a time since 1970 and a word on where that time
//! came from.
//!
//! **The media time of a stream never goes backwards; a jump is said, not hidden.** There is no error for its
//! violation, because [`MediaClock`] cannot give one out; property tests feed it nonsense and look.
//!
//! What this crate is not: it decodes nothing and does not know FFmpeg; it records nothing; it is no media server for
//! production. The protocol itself is spoken by [`retina`].
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
//! | [`Supervisor`], [`ReconnectPolicy`] | when to connect, to wait, to give up | yes |
//! | [`MediaClock`] | RTP time to time since 1970 | yes |
//! | [`CameraUrl`], [`Credentials`] | addresses without secrets, secrets that do not print | yes |
//! | [`TlsOptions`], [`Transport`] | the ways to a camera | |
//! | [`probe()`] | what a camera offers, in some seconds | |
//! | [`CameraError`] | what went wrong, and what to do about it | yes |
//!
//! # Limits
//!
//! RTSP/1.0 over TCP, TLS, or in an HTTP tunnel; RTP interleaved, or over UDP where nothing protects the session. One
//! video stream a session, the first that can be used. H.264, H.265, JPEG, AAC and G.711; what else a camera offers is
//! shown ([`StreamInfo::playing`] is false) and left alone. The queue of a camera holds 512 units or 64 MiB unless told
//! otherwise ([`QueueLimits`]). Video begins at an IDR picture, after a full queue too. B-frames come in decoding order
//! with their times of presentation ([`ClockCounters::reordered`] counts them).
#![forbid(unsafe_code)]

mod camera;
mod clock;
mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod options;
mod probe;
mod random;
mod relay;
mod session;
mod stream;
mod supervisor;
mod tls;
mod url;
mod wall;

pub use self::url::{CameraUrl, UrlError};
pub use camera::{Camera, CameraCounters, CameraEvent, CameraMonitor, StopReason};
pub use clock::{ClockCounters, ClockOptions, ClockSource, MediaClock, Stamp};
pub use error::{CameraError, ErrorKind, SharedError};
pub use lva_media_types::Credentials;
pub use options::{CameraOptions, QueueLimits, Timeouts, Transport, TransportError};
pub use probe::{ProbeReport, Quirk, StreamReport, probe};
pub use stream::{AccessUnit, Codec, MediaKind, StreamInfo};
pub use supervisor::{Phase, ReconnectPolicy, Supervisor, TimeoutKind, Verdict};
pub use tls::{TlsError, TlsOptions};
pub use wall::WallClock;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

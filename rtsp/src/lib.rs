//! RTSP camera sessions with reconnection and an absolute clock, and a simulator that serves files.
#![forbid(unsafe_code)]

mod camera;
mod clock;
mod error;
mod options;
mod random;
mod session;
#[cfg(feature = "simulator")]
mod simulator;
mod stream;
mod supervisor;
mod url;

pub use self::url::{CameraUrl, UrlError};
pub use camera::{Camera, CameraCounters, CameraEvent, CameraMonitor, StopReason};
pub use clock::{ClockCounters, ClockOptions, ClockSource, MediaClock, Stamp};
pub use error::{CameraError, ErrorKind, SharedError};
pub use options::{CameraOptions, Credentials, QueueLimits, Timeouts, Transport, TransportError};
#[cfg(feature = "simulator")]
pub use simulator::{
    AuthScheme, MediaError, Simulator, SimulatorCounters, SimulatorError, SimulatorOptions, video_samples,
};
pub use stream::{AccessUnit, Codec, MediaKind, StreamInfo};
pub use supervisor::{Phase, ReconnectPolicy, Supervisor, TimeoutKind, Verdict};

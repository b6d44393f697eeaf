//! Processors.

use std::time::Duration;

use super::endpoint::Endpoint;
use super::image::Image;
use crate::sensitive::SensitiveString;
use crate::string_enum::string_enum;

/// Frames a second, finite and above 0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// `None` unless it is finite and above 0.
    pub fn new(per_second: f64) -> Option<Self> {
        (per_second.is_finite() && per_second > 0.0).then_some(Self(per_second))
    }

    /// Frames a second.
    pub fn per_second(self) -> f64 {
        self.0
    }
}

/// Passes frames with motion, and reports the regions that move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MotionDetection {
    /// Default: medium.
    pub sensitivity: Sensitivity,
    /// Whether inferences have a box. Default: true.
    pub output_motion_region: bool,
    /// Motion within this time is joined into one event; 0 for one event per frame. Default: 1 s.
    pub event_aggregation_window: Duration,
}

string_enum! {
    /// How small a motion is detected.
    pub enum Sensitivity {
        /// Only large motion.
        Low = "low",
        /// The usual.
        Medium = "medium",
        /// Small motion too.
        High = "high",
    }
}

/// Limits the frame rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameRateFilter {
    /// The highest rate that passes; `None` for no limit.
    pub maximum_fps: Option<Rate>,
}

/// Sends frames to an extension and receives inferences. Passes on all frames.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtensionProcessor {
    /// The extension's address: `tcp://host:port` for gRPC and computer vision, `http://` or `https://` for HTTP.
    pub endpoint: Endpoint,
    /// The picture format that the extension gets.
    pub image: Image,
    /// Which frames are sent.
    pub sampling: Sampling,
    /// The protocol of the extension.
    pub protocol: ExtensionProtocol,
}

/// The protocol of an extension.
#[derive(Debug, Clone, PartialEq)]
pub enum ExtensionProtocol {
    /// HTTP, with one POST for each frame.
    Http,
    /// The gRPC extension protocol.
    Grpc {
        /// How frames are transferred.
        transfer: DataTransfer,
        /// A string for the extension, in the stream's descriptor.
        configuration: Option<SensitiveString>,
    },
    /// The spatial-analysis container: gRPC and shared memory.
    ComputerVision {
        /// The operation as JSON, spelled as in the schema, with parameters and defaults filled in; a custom operation as
        /// written. `None` in Live Video Analytics, where the container is configured separately.
        operation: Option<SensitiveString>,
    },
}

/// How frames are transferred with gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataTransfer {
    /// Inside the messages.
    Embedded,
    /// In shared memory.
    SharedMemory {
        /// Its size, above 0.
        bytes: u64,
    },
}

/// Which frames an extension gets.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sampling {
    /// Only frames with results from upstream.
    pub skip_samples_without_annotation: bool,
    /// The highest rate; `None` for no limit.
    pub maximum_rate: Option<Rate>,
}

/// Passes media around events. Invariant: `minimum_activation_time <= maximum_activation_time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalGateProcessor {
    /// How long the gate waits for earlier events after the first one, in media time. Default: 1 s.
    pub evaluation_window: Duration,
    /// Start of the media relative to the event in milliseconds, negative for before it. Default: 0.
    pub signal_offset_ms: i64,
    /// How long the gate stays open for each event. Default: 30 s, or the maximum if that is shorter.
    pub minimum_activation_time: Duration,
    /// The time after which it closes even if events continue. Default: 30 s, or the minimum if that is longer.
    pub maximum_activation_time: Duration,
}

/// Tracks the objects that an extension detects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectTracking {
    /// Default: medium.
    pub accuracy: Accuracy,
}

string_enum! {
    /// The trade-off between accuracy and work.
    pub enum Accuracy {
        /// The least work.
        Low = "low",
        /// The usual.
        Medium = "medium",
        /// The most work.
        High = "high",
    }
}

/// Reports when a tracked object crosses a line.
#[derive(Debug, Clone, PartialEq)]
pub struct LineCrossing {
    /// The lines, at least one.
    pub lines: Vec<NamedLine>,
}

/// A line with a name. Its points are `[x, y]` in fractions of the frame, 0 to 1, from the top left.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedLine {
    /// Its name, which is also the name of its events.
    pub name: String,
    /// Its start.
    pub start: [f64; 2],
    /// Its end.
    pub end: [f64; 2],
}

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

/// Passes frames with motion, and reports where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MotionDetection {
    /// How easily it sees motion; medium by default.
    pub sensitivity: Sensitivity,
    /// Whether inferences have a box; true by default.
    pub output_motion_region: bool,
    /// Motion within this time makes one event; 0 for an event with every frame. One second where the
    /// default.
    pub event_aggregation_window: Duration,
}

string_enum! {
    /// How easily motion is seen.
    pub enum Sensitivity {
        /// Large motion only.
        Low = "low",
        /// The usual.
        Medium = "medium",
        /// Small motion too.
        High = "high",
    }
}

/// Passes at most so many frames a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameRateFilter {
    /// `None` passes all.
    pub maximum_fps: Option<Rate>,
}

/// Shows frames to an extension and takes inferences from it. Passes on all frames, whichever it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtensionProcessor {
    /// Where the extension is: `tcp://host:port` for gRPC and computer vision, `http://` or `https://` for
    /// HTTP.
    pub endpoint: Endpoint,
    /// How frames look when the extension gets them.
    pub image: Image,
    /// Which frames are shown.
    pub sampling: Sampling,
    /// How they travel.
    pub protocol: ExtensionProtocol,
}

/// How frames travel to an extension.
#[derive(Debug, Clone, PartialEq)]
pub enum ExtensionProtocol {
    /// One POST for each frame.
    Http,
    /// The gRPC extension protocol.
    Grpc {
        /// How the frames themselves travel.
        transfer: DataTransfer,
        /// For the extension, in the stream's descriptor.
        configuration: Option<SensitiveString>,
    },
    /// The spatial-analysis container, by gRPC and shared memory.
    ComputerVision {
        /// What it watches: the operation as JSON, in the schema's spelling, with parameters and defaults filled in; a
        /// custom operation is its own text. `None` with Live Video Analytics, where the container has its own
        /// configuration.
        operation: Option<SensitiveString>,
    },
}

/// How frames travel beside gRPC messages.
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

/// Which frames an extension is shown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sampling {
    /// Only those in which something upstream has found something.
    pub skip_samples_without_annotation: bool,
    /// At most so many; `None` for all.
    pub maximum_rate: Option<Rate>,
}

/// Passes media around an event. `minimum_activation_time <= maximum_activation_time` always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalGateProcessor {
    /// How long the gate waits, in media time, for earlier events after the first; one second by
    /// default.
    pub evaluation_window: Duration,
    /// Begin of the media relative to the event in milliseconds, negative for before it; 0 by default.
    pub signal_offset_ms: i64,
    /// How long the gate stays open for each event; 30 seconds by default, or the maximum if that is
    /// shorter.
    pub minimum_activation_time: Duration,
    /// The time after which it closes even if events continue; 30 seconds by default, or the minimum if that is
    /// longer.
    pub maximum_activation_time: Duration,
}

/// Follows what an extension has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectTracking {
    /// How much work it may be; medium by default.
    pub accuracy: Accuracy,
}

string_enum! {
    /// How exactly objects are followed.
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
    /// Its name, which its events carry.
    pub name: String,
    /// Where it begins.
    pub start: [f64; 2],
    /// Where it ends.
    pub end: [f64; 2],
}

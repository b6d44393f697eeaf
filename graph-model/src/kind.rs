//! Kinds of nodes, by the names that documents have for them.

use crate::generation::{Family, Generation};

/// In which list of a topology a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `sources`
    Source,
    /// `processors`
    Processor,
    /// `sinks`
    Sink,
}

impl Role {
    /// The list's name; also a part of events' subjects.
    pub fn list(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Processor => "processors",
            Self::Sink => "sinks",
        }
    }

    /// One of them, in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Processor => "processor",
            Self::Sink => "sink",
        }
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// `RtspSource`
    RtspSource,
    /// `IoTHubMessageSource`, `IotHubMessageSource`
    MessageSource,
    /// `MotionDetectionProcessor`
    MotionDetection,
    /// `FrameRateFilterProcessor`
    FrameRateFilter,
    /// `HttpExtension`
    HttpExtension,
    /// `GrpcExtension`
    GrpcExtension,
    /// `CognitiveServicesVisionExtension`, `RealTimeComputerVisionExtension`,
    /// `CognitiveServicesVisionProcessor`
    ComputerVision,
    /// `SignalGateProcessor`
    SignalGate,
    /// `ObjectTrackingProcessor`
    ObjectTracking,
    /// `LineCrossingProcessor`
    LineCrossing,
    /// A type that a program brings along: see [`CustomNodeTypes`](crate::CustomNodeTypes).
    Custom,
    /// `IoTHubMessageSink`, `IotHubMessageSink`
    MessageSink,
    /// `AssetSink`
    AssetSink,
    /// `FileSink`
    FileSink,
    /// `VideoSink`
    VideoSink,
}

impl NodeKind {
    /// Every kind of the contract, so all but [`Own`](Self::Custom).
    pub const ALL: [Self; 14] = [
        Self::RtspSource,
        Self::MessageSource,
        Self::MotionDetection,
        Self::FrameRateFilter,
        Self::HttpExtension,
        Self::GrpcExtension,
        Self::ComputerVision,
        Self::SignalGate,
        Self::ObjectTracking,
        Self::LineCrossing,
        Self::MessageSink,
        Self::AssetSink,
        Self::FileSink,
        Self::VideoSink,
    ];

    /// Where it stands.
    pub fn role(self) -> Role {
        match self {
            Self::RtspSource | Self::MessageSource => Role::Source,
            Self::MotionDetection
            | Self::FrameRateFilter
            | Self::HttpExtension
            | Self::GrpcExtension
            | Self::ComputerVision
            | Self::SignalGate
            | Self::ObjectTracking
            | Self::LineCrossing
            | Self::Custom => Role::Processor,
            Self::MessageSink | Self::AssetSink | Self::FileSink | Self::VideoSink => Role::Sink,
        }
    }

    /// The local names of `@type`, the usual one first; empty for custom types, which have full names.
    pub fn local_names(self) -> &'static [&'static str] {
        match self {
            Self::RtspSource => &["RtspSource"],
            Self::MessageSource => &["IoTHubMessageSource"],
            Self::MotionDetection => &["MotionDetectionProcessor"],
            Self::FrameRateFilter => &["FrameRateFilterProcessor"],
            Self::HttpExtension => &["HttpExtension"],
            Self::GrpcExtension => &["GrpcExtension"],
            Self::ComputerVision => &[
                "CognitiveServicesVisionExtension",
                "RealTimeComputerVisionExtension",
                "CognitiveServicesVisionProcessor",
            ],
            Self::SignalGate => &["SignalGateProcessor"],
            Self::ObjectTracking => &["ObjectTrackingProcessor"],
            Self::LineCrossing => &["LineCrossingProcessor"],
            Self::Custom => &[],
            Self::MessageSink => &["IoTHubMessageSink"],
            Self::AssetSink => &["AssetSink"],
            Self::FileSink => &["FileSink"],
            Self::VideoSink => &["VideoSink"],
        }
    }

    /// The kind that a local name of `@type` means, in any family, compared without case.
    pub(crate) fn from_local_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.local_names().iter().any(|n| n.eq_ignore_ascii_case(name)))
    }

    /// Whether a generation had it; a program's own kinds are at home in each.
    pub fn exists_in(self, generation: Generation) -> bool {
        match self {
            Self::FrameRateFilter => generation == Generation::Lva1,
            Self::AssetSink => generation.family() == Family::Lva,
            Self::ObjectTracking | Self::LineCrossing | Self::VideoSink => {
                generation.family() == Family::VideoAnalyzer
            }
            Self::RtspSource
            | Self::MessageSource
            | Self::MotionDetection
            | Self::HttpExtension
            | Self::GrpcExtension
            | Self::ComputerVision
            | Self::SignalGate
            | Self::Custom
            | Self::MessageSink
            | Self::FileSink => true,
        }
    }

    /// Whether it shows frames to an extension.
    pub fn is_extension(self) -> bool {
        matches!(
            self,
            Self::HttpExtension | Self::GrpcExtension | Self::ComputerVision
        )
    }

    /// Whether it looks at frames and passes all of them on with what was found in them: extensions, and a program's own
    /// nodes.
    pub fn inspects_frames(self) -> bool {
        self.is_extension() || self == Self::Custom
    }

    /// Whether it records media.
    pub fn is_media_sink(self) -> bool {
        matches!(self, Self::AssetSink | Self::FileSink | Self::VideoSink)
    }

    /// Whether inferences come out of it.
    pub fn emits_inferences(self) -> bool {
        self.inspects_frames()
            || matches!(
                self,
                Self::MotionDetection | Self::ObjectTracking | Self::LineCrossing
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_kind() {
        for kind in NodeKind::ALL {
            for name in kind.local_names() {
                assert_eq!(NodeKind::from_local_name(&name.to_uppercase()), Some(kind));
            }
        }
        assert_eq!(NodeKind::from_local_name("CoffeeSink"), None);
    }
}

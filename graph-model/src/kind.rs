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

/// Which generations have a kind.
enum Availability {
    Always,
    /// Live Video Analytics 1.0.
    Lva1,
    /// Both of Live Video Analytics.
    Lva,
    /// Both of Video Analyzer.
    VideoAnalyzer,
}

impl Availability {
    fn contains(self, generation: Generation) -> bool {
        match self {
            Self::Always => true,
            Self::Lva1 => generation == Generation::Lva1,
            Self::Lva => generation.family() == Family::Lva,
            Self::VideoAnalyzer => generation.family() == Family::VideoAnalyzer,
        }
    }
}

/// Defines [`NodeKind`] from one row for each kind: its role, the generations that have it, and its local names.
macro_rules! node_kinds {
    ($($(#[$doc:meta])* $kind:ident => ($role:ident, $availability:ident, $names:expr),)+) => {
        /// What a node is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum NodeKind {
            $($(#[$doc])* $kind,)+
            /// A type that a program brings along: see [`CustomNodeTypes`](crate::CustomNodeTypes).
            Custom,
        }

        impl NodeKind {
            /// Every kind of the contract, so all but [`Custom`](Self::Custom).
            pub const ALL: [Self; [$(stringify!($kind)),+].len()] = [$(Self::$kind),+];

            fn row(self) -> (Role, Availability, &'static [&'static str]) {
                match self {
                    $(Self::$kind => (Role::$role, Availability::$availability, &$names),)+
                    Self::Custom => (Role::Processor, Availability::Always, &[]),
                }
            }
        }
    };
}

node_kinds! {
    /// `RtspSource`
    RtspSource => (Source, Always, ["RtspSource"]),
    /// `IoTHubMessageSource`, `IotHubMessageSource`
    MessageSource => (Source, Always, ["IoTHubMessageSource"]),
    /// `MotionDetectionProcessor`
    MotionDetection => (Processor, Always, ["MotionDetectionProcessor"]),
    /// `FrameRateFilterProcessor`
    FrameRateFilter => (Processor, Lva1, ["FrameRateFilterProcessor"]),
    /// `HttpExtension`
    HttpExtension => (Processor, Always, ["HttpExtension"]),
    /// `GrpcExtension`
    GrpcExtension => (Processor, Always, ["GrpcExtension"]),
    /// `CognitiveServicesVisionExtension`, `RealTimeComputerVisionExtension`,
    /// `CognitiveServicesVisionProcessor`
    ComputerVision => (Processor, Always, [
        "CognitiveServicesVisionExtension",
        "RealTimeComputerVisionExtension",
        "CognitiveServicesVisionProcessor",
    ]),
    /// `SignalGateProcessor`
    SignalGate => (Processor, Always, ["SignalGateProcessor"]),
    /// `ObjectTrackingProcessor`
    ObjectTracking => (Processor, VideoAnalyzer, ["ObjectTrackingProcessor"]),
    /// `LineCrossingProcessor`
    LineCrossing => (Processor, VideoAnalyzer, ["LineCrossingProcessor"]),
    /// `IoTHubMessageSink`, `IotHubMessageSink`
    MessageSink => (Sink, Always, ["IoTHubMessageSink"]),
    /// `AssetSink`
    AssetSink => (Sink, Lva, ["AssetSink"]),
    /// `FileSink`
    FileSink => (Sink, Always, ["FileSink"]),
    /// `VideoSink`
    VideoSink => (Sink, VideoAnalyzer, ["VideoSink"]),
}

impl NodeKind {
    /// Where it stands.
    pub fn role(self) -> Role {
        self.row().0
    }

    /// The local names of `@type`, the usual one first; empty for custom types, which have full names.
    pub fn local_names(self) -> &'static [&'static str] {
        self.row().2
    }

    /// The kind that a local name of `@type` means, in any family, compared without case.
    pub(crate) fn from_local_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.local_names().iter().any(|n| n.eq_ignore_ascii_case(name)))
    }

    /// Whether a generation had it; a program's own kinds are at home in each.
    pub fn exists_in(self, generation: Generation) -> bool {
        self.row().1.contains(generation)
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

//! Names of events, in both generations.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Which family of names, subjects and topics an event uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Generation {
    /// Live Video Analytics 1.0 and 2.0: `Microsoft.Media.Graph.…`, `/graphInstances/…`.
    Lva,
    /// Video Analyzer edge 1.0 and 1.1: `Microsoft.VideoAnalyzer.…`, `/edgeModules/…/livePipelines/…`.
    VideoAnalyzer,
}

impl Generation {
    /// Both generations.
    pub const ALL: [Self; 2] = [Self::Lva, Self::VideoAnalyzer];

    /// What comes before class and name in an `eventType`.
    pub fn event_prefix(self) -> &'static str {
        match self {
            Self::Lva => "Microsoft.Media.Graph",
            Self::VideoAnalyzer => "Microsoft.VideoAnalyzer",
        }
    }
}

/// Class of an event; it decides by which output the event leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventClass {
    /// Results of nodes; leave by hub sinks only.
    Analytics,
    /// Trouble and its end; may be several a minute.
    Diagnostics,
    /// Recordings and states; few.
    Operational,
}

impl EventClass {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::Analytics, Self::Diagnostics, Self::Operational];

    /// The word in an `eventType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Analytics => "Analytics",
            Self::Diagnostics => "Diagnostics",
            Self::Operational => "Operational",
        }
    }
}

impl fmt::Display for EventClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The published events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventName {
    /// Results of one frame.
    Inference,
    /// A camera answered and described its streams.
    MediaSessionEstablished,
    /// The camera refused: 401 for wrong credentials, 404 for a missing stream.
    ProtocolError,
    /// Credentials were refused.
    AuthenticationError,
    /// Credentials do not suffice.
    AuthorizationError,
    /// A peer cannot be reached or was lost.
    NetworkError,
    /// The camera sends a codec that is not supported.
    MediaFormatError,
    /// Video Analyzer only, met in a user's report about a video sink.
    VideoFormatError,
    /// Media was dropped.
    DataDropped,
    /// Storage refused or failed.
    StorageError,
    /// The module itself failed.
    RuntimeError,
    /// A recording has begun.
    RecordingStarted,
    /// The first playable part of a recording is there.
    RecordingAvailable,
    /// A recording has ended; may come before `RecordingAvailable`.
    RecordingStopped,
    /// Live Video Analytics: an instance runs. Named in the documents; its body, shown nowhere, is ours.
    GraphInstanceStarted,
    /// Live Video Analytics: an instance has ended as it was told to. A name of ours, after the one that is published.
    GraphInstanceStopped,
    /// Live Video Analytics: an instance could not be started, or ended by itself. A name of ours.
    GraphInstanceFailed,
    /// Video Analyzer: all of these. Named in the documents; its body, shown nowhere, is ours.
    PipelineStateChanged,
}

impl EventName {
    /// All names.
    pub const ALL: [Self; 18] = [
        Self::Inference,
        Self::MediaSessionEstablished,
        Self::ProtocolError,
        Self::AuthenticationError,
        Self::AuthorizationError,
        Self::NetworkError,
        Self::MediaFormatError,
        Self::VideoFormatError,
        Self::DataDropped,
        Self::StorageError,
        Self::RuntimeError,
        Self::RecordingStarted,
        Self::RecordingAvailable,
        Self::RecordingStopped,
        Self::GraphInstanceStarted,
        Self::GraphInstanceStopped,
        Self::GraphInstanceFailed,
        Self::PipelineStateChanged,
    ];

    /// The last word of an `eventType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inference => "Inference",
            Self::MediaSessionEstablished => "MediaSessionEstablished",
            Self::ProtocolError => "ProtocolError",
            Self::AuthenticationError => "AuthenticationError",
            Self::AuthorizationError => "AuthorizationError",
            Self::NetworkError => "NetworkError",
            Self::MediaFormatError => "MediaFormatError",
            Self::VideoFormatError => "VideoFormatError",
            Self::DataDropped => "DataDropped",
            Self::StorageError => "StorageError",
            Self::RuntimeError => "RuntimeError",
            Self::RecordingStarted => "RecordingStarted",
            Self::RecordingAvailable => "RecordingAvailable",
            Self::RecordingStopped => "RecordingStopped",
            Self::GraphInstanceStarted => "GraphInstanceStarted",
            Self::GraphInstanceStopped => "GraphInstanceStopped",
            Self::GraphInstanceFailed => "GraphInstanceFailed",
            Self::PipelineStateChanged => "PipelineStateChanged",
        }
    }

    /// The class it belongs to.
    pub fn class(self) -> EventClass {
        match self {
            Self::Inference => EventClass::Analytics,
            Self::MediaSessionEstablished
            | Self::ProtocolError
            | Self::AuthenticationError
            | Self::AuthorizationError
            | Self::NetworkError
            | Self::MediaFormatError
            | Self::VideoFormatError
            | Self::DataDropped
            | Self::StorageError
            | Self::RuntimeError => EventClass::Diagnostics,
            Self::RecordingStarted
            | Self::RecordingAvailable
            | Self::RecordingStopped
            | Self::GraphInstanceStarted
            | Self::GraphInstanceStopped
            | Self::GraphInstanceFailed
            | Self::PipelineStateChanged => EventClass::Operational,
        }
    }

    /// Whether a generation has this event.
    pub fn is_in(self, generation: Generation) -> bool {
        match self {
            Self::GraphInstanceStarted | Self::GraphInstanceStopped | Self::GraphInstanceFailed => {
                generation == Generation::Lva
            }
            Self::VideoFormatError | Self::PipelineStateChanged => generation == Generation::VideoAnalyzer,
            _ => true,
        }
    }

    /// This event's full type in a generation.
    pub fn in_generation(self, generation: Generation) -> EventType {
        EventType {
            generation,
            class: self.class(),
            name: TypeName::Known(self),
        }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The last word of an event type: one of the catalogue, or another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TypeName {
    /// In the catalogue.
    Known(EventName),
    /// Not in the catalogue.
    Other(String),
}

/// An `eventType` taken apart.
///
/// ```
/// use lva_inference_schema::{EventName, EventType, Generation};
///
/// let event = EventName::RecordingStarted.in_generation(Generation::Lva);
/// assert_eq!(event.to_string(), "Microsoft.Media.Graph.Operational.RecordingStarted");
///
/// let early: EventType = "Microsoft.Media.MediaGraph.Diagnostics.MediaSessionEstablished".parse()?;
/// assert_eq!(early.known(), Some(EventName::MediaSessionEstablished));
/// # Ok::<(), lva_inference_schema::EventTypeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventType {
    /// Whose names.
    pub generation: Generation,
    /// The class.
    pub class: EventClass,
    /// The name.
    pub name: TypeName,
}

impl EventType {
    /// The name when it is in the catalogue.
    pub fn known(&self) -> Option<EventName> {
        match self.name {
            TypeName::Known(name) => Some(name),
            TypeName::Other(_) => None,
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.name {
            TypeName::Known(name) => name.as_str(),
            TypeName::Other(name) => name,
        };
        write!(f, "{}.{}.{name}", self.generation.event_prefix(), self.class)
    }
}

/// A text that is no event type of these products.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "no event type {text:?}: expected Microsoft.Media.Graph or Microsoft.VideoAnalyzer, a class (Analytics, Diagnostics, Operational) and a name"
)]
pub struct EventTypeError {
    /// The text, cut to 128 characters.
    pub text: String,
}

/// Prefixes that were met in the wild, in lower case.
const PREFIXES: [(&str, Generation); 5] = [
    ("microsoft.media.graph", Generation::Lva),
    // First previews.
    ("microsoft.media.mediagraph", Generation::Lva),
    // Module level.
    ("microsoft.media.edge", Generation::Lva),
    ("microsoft.videoanalyzer", Generation::VideoAnalyzer),
    // One page of Video Analyzer's documents.
    ("microsoft.videoanalyzers.pipeline", Generation::VideoAnalyzer),
];

impl FromStr for EventType {
    type Err = EventTypeError;

    /// Reads the published forms and their variants, upper and lower case alike.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || EventTypeError {
            text: text.chars().take(128).collect(),
        };
        let (rest, name) = text.trim().rsplit_once('.').ok_or_else(error)?;
        let (prefix, class) = rest.rsplit_once('.').ok_or_else(error)?;
        let class = EventClass::ALL
            .into_iter()
            .find(|c| c.as_str().eq_ignore_ascii_case(class))
            .ok_or_else(error)?;
        let (_, generation) = PREFIXES
            .into_iter()
            .find(|(known, _)| prefix.eq_ignore_ascii_case(known))
            .ok_or_else(error)?;
        if name.is_empty() {
            return Err(error());
        }
        let known = EventName::ALL
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(name) && known.class() == class);
        let name = known.map_or_else(|| TypeName::Other(name.to_owned()), TypeName::Known);
        Ok(Self {
            generation,
            class,
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_both_generations_survives_its_text() {
        for generation in Generation::ALL {
            for name in EventName::ALL {
                let event = name.in_generation(generation);
                assert_eq!(event.to_string().parse(), Ok(event.clone()));
                assert_eq!(event.to_string().to_uppercase().parse::<EventType>(), Ok(event));
            }
        }
    }

    #[test]
    fn the_list_of_names_is_complete_and_without_doubles() {
        let names: std::collections::BTreeSet<_> =
            EventName::ALL.into_iter().map(EventName::as_str).collect();
        assert_eq!(names.len(), EventName::ALL.len());
        assert!(
            EventName::ALL
                .iter()
                .all(|n| Generation::ALL.iter().any(|g| n.is_in(*g)))
        );
    }

    #[test]
    fn variants_that_readers_met() {
        for (text, generation, name) in [
            (
                "Microsoft.Media.MediaGraph.Diagnostics.MediaSessionEstablished",
                Generation::Lva,
                "MediaSessionEstablished",
            ),
            (
                "Microsoft.VideoAnalyzers.Pipeline.Operational.RecordingStarted",
                Generation::VideoAnalyzer,
                "RecordingStarted",
            ),
            (
                "Microsoft.Media.Edge.Diagnostics.RuntimeError",
                Generation::Lva,
                "RuntimeError",
            ),
        ] {
            let event: EventType = text.parse().unwrap();
            assert_eq!(
                (event.generation, event.known().unwrap().as_str()),
                (generation, name)
            );
        }
        let unknown: EventType = "Microsoft.Media.Graph.Operational.GraphInstanceSet"
            .parse()
            .unwrap();
        assert_eq!(unknown.known(), None);
        assert_eq!(
            unknown.to_string(),
            "Microsoft.Media.Graph.Operational.GraphInstanceSet"
        );
    }

    #[test]
    fn a_name_in_a_foreign_class_is_not_the_known_one() {
        let event: EventType = "Microsoft.Media.Graph.Operational.Inference".parse().unwrap();
        assert_eq!(event.known(), None);
    }

    #[test]
    fn what_is_no_event_type_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "Inference",
            "Microsoft.Media.Graph.Inference",
            "Contoso.Analytics.Inference",
            "Microsoft.Media.Graph.Analytics.",
        ] {
            assert!(text.parse::<EventType>().is_err(), "{text}");
        }
    }
}

//! Names of events, in both product families.

use std::fmt;
use std::str::FromStr;

use strum::VariantArray as _;
use thiserror::Error;

/// Which family of names, subjects and topics an event uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProductFamily {
    /// Live Video Analytics 1.0 and 2.0: `Microsoft.Media.Graph.…`, `/graphInstances/…`.
    Lva,
    /// Video Analyzer edge 1.0 and 1.1: `Microsoft.VideoAnalyzer.…`, `/edgeModules/…/livePipelines/…`.
    VideoAnalyzer,
}

impl ProductFamily {
    /// Both families.
    pub const ALL: [Self; 2] = [Self::Lva, Self::VideoAnalyzer];

    /// The prefix of an `eventType`, in front of class and name.
    pub fn event_prefix(self) -> &'static str {
        match self {
            Self::Lva => "Microsoft.Media.Graph",
            Self::VideoAnalyzer => "Microsoft.VideoAnalyzer",
        }
    }
}

/// Class of an event; it selects the output that the event leaves by. Parses in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[derive(strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(ascii_case_insensitive)]
pub enum EventClass {
    /// Results of nodes; they leave by hub sinks only.
    Analytics,
    /// Failures and recoveries; may be several a minute.
    Diagnostics,
    /// Recordings and state changes; rare.
    Operational,
}

impl EventClass {
    /// All classes.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in an `eventType`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The published events. Parses in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[derive(strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(ascii_case_insensitive)]
pub enum EventName {
    /// Results of one frame.
    Inference,
    /// A camera described its streams.
    MediaSessionEstablished,
    /// The camera refused a request: 401 for wrong credentials, 404 for a missing stream.
    ProtocolError,
    /// Credentials were refused.
    AuthenticationError,
    /// Credentials do not suffice.
    AuthorizationError,
    /// A peer is unreachable, or the connection was lost.
    NetworkError,
    /// The camera sends an unsupported codec.
    MediaFormatError,
    /// Video Analyzer only, known from a user's report about a video sink.
    VideoFormatError,
    /// Media was dropped.
    DataDropped,
    /// Storage refused or failed.
    StorageError,
    /// The module itself failed.
    RuntimeError,
    /// A recording has begun.
    RecordingStarted,
    /// The first playable part of a recording exists.
    RecordingAvailable,
    /// A recording has ended; may come before `RecordingAvailable`.
    RecordingStopped,
    /// Live Video Analytics: an instance runs. The published documents name it and show no body.
    GraphInstanceStarted,
    /// Live Video Analytics: an instance has stopped as a method asked. An addition, named after the published one.
    GraphInstanceStopped,
    /// Live Video Analytics: an instance failed to start, or failed while it ran. An addition.
    GraphInstanceFailed,
    /// Video Analyzer: all of these. The published documents name it and show no body.
    PipelineStateChanged,
}

impl EventName {
    /// All names.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The last part of an `eventType`.
    pub fn as_str(self) -> &'static str {
        self.into()
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

    /// Whether a family has this event.
    pub fn is_in(self, family: ProductFamily) -> bool {
        match self {
            Self::GraphInstanceStarted | Self::GraphInstanceStopped | Self::GraphInstanceFailed => {
                family == ProductFamily::Lva
            }
            Self::VideoFormatError | Self::PipelineStateChanged => family == ProductFamily::VideoAnalyzer,
            _ => true,
        }
    }

    /// This event's full type in a family.
    pub fn in_family(self, family: ProductFamily) -> EventType {
        EventType {
            family,
            class: self.class(),
            name: TypeName::Known(self),
        }
    }
}

/// The last part of an event type: one of the catalogue, or another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TypeName {
    /// In the catalogue.
    Known(EventName),
    /// Not in the catalogue.
    Other(String),
}

/// The parts of an `eventType`.
///
/// ```
/// use lva_inference_schema::{EventName, EventType, ProductFamily};
///
/// let event = EventName::RecordingStarted.in_family(ProductFamily::Lva);
/// assert_eq!(event.to_string(), "Microsoft.Media.Graph.Operational.RecordingStarted");
///
/// let early: EventType = "Microsoft.Media.MediaGraph.Diagnostics.MediaSessionEstablished".parse()?;
/// assert_eq!(early.known(), Some(EventName::MediaSessionEstablished));
/// # Ok::<(), lva_inference_schema::EventTypeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventType {
    /// The product family.
    pub family: ProductFamily,
    /// The class.
    pub class: EventClass,
    /// The name.
    pub name: TypeName,
}

impl EventType {
    /// The name, if it is in the catalogue.
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
        write!(f, "{}.{}.{name}", self.family.event_prefix(), self.class)
    }
}

/// A string that is not an event type of these products.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not an event type; expected Microsoft.Media.Graph or Microsoft.VideoAnalyzer, a class (Analytics, Diagnostics, Operational) and a name"
)]
pub struct EventTypeError {
    /// The string, cut to 128 characters.
    pub text: String,
}

/// Prefixes known from messages and documents.
const PREFIXES: [(&str, ProductFamily); 5] = [
    ("microsoft.media.graph", ProductFamily::Lva),
    // First previews.
    ("microsoft.media.mediagraph", ProductFamily::Lva),
    // Module level.
    ("microsoft.media.edge", ProductFamily::Lva),
    ("microsoft.videoanalyzer", ProductFamily::VideoAnalyzer),
    // One page of Video Analyzer's documents.
    ("microsoft.videoanalyzers.pipeline", ProductFamily::VideoAnalyzer),
];

impl FromStr for EventType {
    type Err = EventTypeError;

    /// Accepts the published forms and their known variants, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || EventTypeError {
            text: text.chars().take(128).collect(),
        };
        let (rest, name) = text.trim().rsplit_once('.').ok_or_else(error)?;
        let (prefix, class) = rest.rsplit_once('.').ok_or_else(error)?;
        let class: EventClass = class.parse().map_err(|_| error())?;
        let (_, family) = PREFIXES
            .into_iter()
            .find(|(known, _)| prefix.eq_ignore_ascii_case(known))
            .ok_or_else(error)?;
        if name.is_empty() {
            return Err(error());
        }
        let name = match name.parse::<EventName>() {
            Ok(known) if known.class() == class => TypeName::Known(known),
            _ => TypeName::Other(name.to_owned()),
        };
        Ok(Self { family, class, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_both_familys_survives_its_text() {
        for family in ProductFamily::ALL {
            for name in EventName::ALL {
                let event = name.in_family(family);
                assert_eq!(event.to_string().parse(), Ok(event.clone()));
                assert_eq!(event.to_string().to_uppercase().parse::<EventType>(), Ok(event));
            }
        }
    }

    #[test]
    fn names_are_unique_and_each_is_of_a_family() {
        let names: std::collections::BTreeSet<_> = EventName::ALL.iter().map(|name| name.as_str()).collect();
        assert_eq!(names.len(), EventName::ALL.len());
        assert!(
            EventName::ALL
                .iter()
                .all(|n| ProductFamily::ALL.iter().any(|g| n.is_in(*g)))
        );
    }

    #[test]
    fn known_variants_are_accepted() {
        for (text, family, name) in [
            (
                "Microsoft.Media.MediaGraph.Diagnostics.MediaSessionEstablished",
                ProductFamily::Lva,
                "MediaSessionEstablished",
            ),
            (
                "Microsoft.VideoAnalyzers.Pipeline.Operational.RecordingStarted",
                ProductFamily::VideoAnalyzer,
                "RecordingStarted",
            ),
            (
                "Microsoft.Media.Edge.Diagnostics.RuntimeError",
                ProductFamily::Lva,
                "RuntimeError",
            ),
        ] {
            let event: EventType = text.parse().unwrap();
            assert_eq!((event.family, event.known().unwrap().as_str()), (family, name));
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
    fn other_strings_are_rejected() {
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

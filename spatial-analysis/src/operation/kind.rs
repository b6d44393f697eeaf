//! Which of the container's operations it is.

use std::str::FromStr;

use super::events::EventType;

/// Kind of an operation, by the names of the container's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// `personcrossingpolygon`: zones entered and left.
    PersonCrossingPolygon,
    /// `personcrossingline`: lines crossed.
    PersonCrossingLine,
    /// `personcount`: the number of people in zones.
    PersonCount,
    /// `persondistance`: people in zones who are too close to each other, or too far apart.
    PersonDistance,
    /// `spatialanalysis` without suffix: any mix.
    Any,
}

/// A name that is not an operation of the container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no operation {0:?}; known are spatialanalysis-personcount, -personcrossingline, -personcrossingpolygon, -persondistance, and spatialanalysis alone for any mix"
)]
pub struct UnknownOperation(String);

impl UnknownOperation {
    fn new(name: &str) -> Self {
        Self(name.chars().take(128).collect())
    }
}

impl FromStr for OperationKind {
    type Err = UnknownOperation;

    /// Reads a container's operation id, `cognitiveservices.vision.spatialanalysis-personcrossingpolygon`, with or without
    /// its prefix and the suffixes `.debug`, `.livevideoanalytics` and `.azurevideoanalyzer`.
    fn from_str(id: &str) -> Result<Self, Self::Err> {
        // Translated pages have spaces in it.
        let lower: String = id.split_whitespace().collect::<String>().to_ascii_lowercase();
        let mut word = lower.strip_prefix("cognitiveservices.vision.").unwrap_or(&lower);
        while let Some((front, suffix)) = word.rsplit_once('.') {
            if !["debug", "livevideoanalytics", "azurevideoanalyzer"].contains(&suffix) {
                break;
            }
            word = front;
        }
        let word = word
            .strip_prefix("spatialanalysis")
            .map_or(word, |w| w.trim_start_matches('-'));
        match word {
            "" => Ok(Self::Any),
            "personcrossingpolygon" => Ok(Self::PersonCrossingPolygon),
            "personcrossingline" => Ok(Self::PersonCrossingLine),
            "personcount" => Ok(Self::PersonCount),
            "persondistance" => Ok(Self::PersonDistance),
            _ => Err(UnknownOperation::new(id)),
        }
    }
}

impl OperationKind {
    /// Reads the `@type` of Video Analyzer's typed operations.
    pub(super) fn from_type(name: &str) -> Result<Self, UnknownOperation> {
        match name.rsplit('.').next().unwrap_or(name) {
            "SpatialAnalysisPersonZoneCrossingOperation" => Ok(Self::PersonCrossingPolygon),
            "SpatialAnalysisPersonLineCrossingOperation" => Ok(Self::PersonCrossingLine),
            "SpatialAnalysisPersonCountOperation" => Ok(Self::PersonCount),
            "SpatialAnalysisPersonDistanceOperation" => Ok(Self::PersonDistance),
            _ => Err(UnknownOperation::new(name)),
        }
    }

    /// Whether it watches zones.
    pub(super) fn has_zones(self) -> bool {
        self != Self::PersonCrossingLine
    }

    /// Whether it watches lines.
    pub(super) fn has_lines(self) -> bool {
        matches!(self, Self::PersonCrossingLine | Self::Any)
    }

    /// Whether it reports events of a type.
    pub(super) fn reports(self, event: EventType) -> bool {
        match self {
            Self::Any => true,
            Self::PersonCrossingPolygon => matches!(event, EventType::Crossing | EventType::Dwell),
            Self::PersonCrossingLine => event == EventType::Crossing,
            Self::PersonCount => event == EventType::Count,
            Self::PersonDistance => event == EventType::Distance,
        }
    }

    /// What it reports where a zone or line names no events.
    pub(super) fn default_event(self) -> EventType {
        match self {
            Self::Any | Self::PersonCrossingPolygon | Self::PersonCrossingLine => EventType::Crossing,
            Self::PersonCount => EventType::Count,
            Self::PersonDistance => EventType::Distance,
        }
    }
}

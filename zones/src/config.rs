//! `SPACEANALYTICS_CONFIG`, in all its generations, as a scene.

mod reader;

use crate::scene::{CrossingLine, Scene, SceneError, SceneOptions, SceneWarning, Zone};
use reader::Reader;
use serde_json::Value;
use std::fmt;
use thiserror::Error;

/// Width of the processed frame to which thresholds in pixels refer unless told otherwise: the published samples have
/// 512 to 640.
pub const PROCESSED_WIDTH: f64 = 640.0;

/// What a configuration is used for; the names are those of the container's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `personcrossingpolygon`: zones entered and left.
    PersonCrossingPolygon,
    /// `personcrossingline`: lines crossed.
    PersonCrossingLine,
    /// `personcount`: how many people are in zones.
    PersonCount,
    /// `persondistance`: people in zones who are too close to each other, or too far.
    PersonDistance,
    /// The operation without suffix: any mix.
    Any,
}

impl Operation {
    /// Reads a container's operation id, `cognitiveservices.vision.spatialanalysis-personcrossingpolygon`, with or
    /// without its prefix and the suffixes `.debug`, `.livevideoanalytics` and `.azurevideoanalyzer`.
    ///
    /// # Errors
    ///
    /// [`OperationError`]: no operation of the original.
    pub fn from_id(id: &str) -> Result<Self, OperationError> {
        let lower = id.trim().to_ascii_lowercase();
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
            _ => Err(OperationError::Unknown {
                id: id.chars().take(128).collect(),
            }),
        }
    }
}

/// An operation that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OperationError {
    /// No operation of the original.
    #[error(
        "no operation {id:?}; known are spatialanalysis-personcount, -personcrossingline, -personcrossingpolygon, -persondistance, and spatialanalysis alone for any mix"
    )]
    Unknown {
        /// The id, cut to 128 characters.
        id: String,
    },
}

/// How a configuration is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfigOptions {
    /// What for.
    pub operation: Operation,
    /// Width in pixels that thresholds from 1 up refer to. Default [`PROCESSED_WIDTH`].
    pub processed_width: f64,
    /// What is common to all lines and zones; the configuration has no words for it.
    pub scene: SceneOptions,
}

impl Default for ConfigOptions {
    fn default() -> Self {
        Self {
            operation: Operation::Any,
            processed_width: PROCESSED_WIDTH,
            scene: SceneOptions::default(),
        }
    }
}

/// A scene read from a configuration.
#[derive(Debug, Clone)]
pub struct Configured {
    /// The scene.
    pub scene: Scene,
    /// What was read over or looks odd; worth a line in a log each.
    pub warnings: Vec<ConfigFinding>,
}

/// Something in a configuration, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFinding {
    /// The zone, line or member that it is about, as `zone "door": threshold`.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for ConfigFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.place, self.message)
        }
    }
}

/// Why a configuration is no scene: everything that is wrong, at once.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{}", list(.findings))]
pub struct ConfigError {
    /// At least one.
    pub findings: Vec<ConfigFinding>,
}

fn list(findings: &[ConfigFinding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Reads a `SPACEANALYTICS_CONFIG`: the text, or the object that it stands for.
///
/// All three generations of the container and the typed operations of Video Analyzer: rings open or closed, numbers as
/// texts, polygons and lines as JSON texts, `zone_crossing` for `zonecrossing`, the threshold beside the polygon or in
/// the event. A threshold from 1 up is in pixels of the processed width, below 1 a share of the width; beside the
/// polygon (first generation) a number above 1 was a confidence in percent and is read over with a warning. A zone's
/// threshold is how deep inside one must be to have entered; to have left, a narrow band suffices.
///
/// # Errors
///
/// [`ConfigError`] names zone, member and remedy of everything that is wrong. Events of another operation than
/// [`ConfigOptions::operation`] are read over with a warning. An `interval` is in seconds; where a trigger is `interval` and
/// there is none, it is one second. A `persondistance` without any threshold is one of 6 feet at least.
///
/// ```
/// use lva_zones::{ConfigOptions, read_config};
///
/// let config = r#"{"zones": [{"name": "polygon0", "polygon": [[0.2,0.3],[0.8,0.3],[0.8,0.9],[0.2,0.9],[0.2,0.3]],
///     "events": [{"type": "zonecrossing", "config": {"trigger": "event", "threshold": 16.0, "focus": "footprint"}}]}]}"#;
/// let configured = read_config(config.into(), ConfigOptions::default())?;
/// assert_eq!(configured.scene.zone_names().collect::<Vec<_>>(), ["polygon0"]);
/// # Ok::<(), lva_zones::ConfigError>(())
/// ```
pub fn read_config(config: Value, options: ConfigOptions) -> Result<Configured, ConfigError> {
    let mut reader = Reader::new(options);
    let (zones, lines) = reader.scene(config);
    let Reader {
        mut errors,
        mut warnings,
        ..
    } = reader;
    if !errors.is_empty() {
        // What the scene has to say about the rest belongs to the same report, but for names and numbers that are
        // missing because their element was not read.
        if let Err(more) = Scene::new(zones, lines, options.scene) {
            errors.extend(more.iter().map(from_scene));
        }
        return Err(ConfigError { findings: errors });
    }
    match Scene::new(zones, lines, options.scene) {
        Ok(scene) => {
            warnings.extend(scene.warnings().iter().map(from_warning));
            Ok(Configured { scene, warnings })
        }
        Err(more) => Err(ConfigError {
            findings: more.iter().map(from_scene).collect(),
        }),
    }
}

fn from_scene(error: &SceneError) -> ConfigFinding {
    ConfigFinding {
        place: String::new(),
        message: error.to_string(),
    }
}

fn from_warning(warning: &SceneWarning) -> ConfigFinding {
    ConfigFinding {
        place: String::new(),
        message: warning.to_string(),
    }
}

pub(crate) type Elements = (Vec<Zone>, Vec<CrossingLine>);

//! What a session watches: one reader for every form in which an operation is written.

mod elements;
mod error;
mod events;
mod json;
mod kind;
mod nodes;
mod twin;

use std::fs;
use std::path::Path;

use lva_zones::{CrossingLine, Outline, Point, Scene, SceneOptions, TrackerOptions, Zone};
use serde_json::{Map, Value};

use elements::Elements;
pub use error::{Finding, OperationError};
use json::{Object, find, is, parse, take};
pub use kind::{OperationKind, UnknownOperation};
use nodes::NodeSettings;

/// Longest configuration, in bytes. The truth file of an hour is smaller.
pub const MAX_CONFIGURATION_BYTES: u64 = 64 << 20;

/// Most operations of a twin.
const MAX_OPERATIONS: usize = 256;

/// Width in pixels of the frame to which thresholds in pixels refer: the published samples have 512 to 640.
const PROCESSED_WIDTH: f64 = 640.0;

/// The member with the zones and lines.
const SPACE: &str = "SPACEANALYTICS_CONFIG";

/// Members of the container's configuration without an effect here, and why.
const WITHOUT_EFFECT: [(&str, &str); 17] = [
    ("EULA", "not needed, nothing is licensed here"),
    ("BILLING", "not needed, nothing is billed here"),
    ("APIKEY", "not needed, nothing is billed here"),
    ("VISION_ENDPOINT_URL", "not needed, nothing is called here"),
    ("VISION_SUBSCRIPTION_KEY", "not needed, nothing is called here"),
    ("VIDEO_URL", "not opened, frames come from the client"),
    ("VIDEO_SOURCE_ID", "not used, the client knows its camera"),
    ("VIDEO_IS_LIVE", "not needed, frames come from the client"),
    ("VIDEO_DECODE_GPU_INDEX", "not needed, frames come decoded"),
    ("INPUT_VIDEO_WIDTH", "not applied, frames come scaled"),
    (
        "DETECTOR_NODE_CONFIG",
        "not applied, the server chooses its detector",
    ),
    (
        "ENABLE_FACE_MASK_CLASSIFIER",
        "not applied, face masks are not detected",
    ),
    (
        "enableFaceMaskClassifier",
        "not applied, face masks are not detected",
    ),
    (
        "detectorNodeConfiguration",
        "not applied, the server chooses its detector",
    ),
    ("VISUALIZER_NODE_CONFIG", "not applied, nothing is drawn here"),
    ("SINK_CONFIG", "not applied, answers go to the client"),
    ("sharedNodes", "not needed, sessions do not share nodes"),
];

/// Members that are expected and need no finding.
const EXPECTED: [&str; 10] = [
    "version",
    "enabled",
    "debug",
    "name",
    "platformloglevel",
    "nodesloglevel",
    "@type",
    "operationId",
    "parameters",
    SPACE,
];

/// An operation with its name under `graphs`, or why it cannot be read.
pub type NamedReading = (String, Result<Operation, OperationError>);

/// Members of a truth file of the sample world besides its zones and lines.
const TRUTH: [&str; 6] = ["seed", "fps", "frameCount", "camera", "events", "frames"];

/// An operation of spatial analysis: the zones and lines that a session watches, checked, for frames of any shape. Equal
/// operations give equal answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    kind: OperationKind,
    zones: Vec<Zone>,
    lines: Vec<CrossingLine>,
    nodes: NodeSettings,
    findings: Vec<Finding>,
}

impl Operation {
    /// One zone that covers the whole frame, named `frame`: people enter when they appear and leave when they vanish.
    pub fn whole_frame() -> Self {
        let corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(|(x, y)| Point::new(x, y));
        Self {
            kind: OperationKind::PersonCrossingPolygon,
            zones: vec![Zone::new("frame", corners)],
            lines: Vec::new(),
            nodes: NodeSettings::default(),
            findings: Vec::new(),
        }
    }

    /// Reads an operation in any of these forms:
    ///
    /// * **scene**: `{"zones": [{"name", "polygon": [[x, y], …]}], "lines": [{"name", "start": [x, y], "end": [x, y]}]}`,
    ///   coordinates in fractions of the frame from the top left. A truth file of the sample world is one; its other
    ///   members are ignored;
    /// * a bare **`SPACEANALYTICS_CONFIG`** of any generation;
    /// * an **operation of the container**: `{"operationId":
    ///   "cognitiveservices.vision.spatialanalysis-personcrossingline", "parameters": {"SPACEANALYTICS_CONFIG": "…", …}}`, or
    ///   the same members without `parameters` around them, as in a container's environment. The operation id decides
    ///   whether zones or lines are watched;
    /// * the **desired properties of a module twin** with one enabled operation under `graphs`; for several see
    ///   [`all_from_twin`](Self::all_from_twin);
    /// * a **typed operation of Video Analyzer**: `{"@type": "#Microsoft.VideoAnalyzer.SpatialAnalysis…Operation", …}`,
    ///   or its custom operation, whose `extensionConfiguration` holds one of the other forms.
    ///
    /// Numbers may be strings, and polygons, lines and `SPACEANALYTICS_CONFIG` may be JSON inside a string. A threshold of 1
    /// or more is in pixels of a frame 640 wide, below 1 a share of the width. It is the depth inside a zone at which people
    /// have entered; to leave, a narrow band suffices. Next to a polygon (first generation) a threshold is a confidence in
    /// percent, and ignored. `interval` is in seconds, one by default. A `persondistance` without thresholds has a minimum
    /// of 6 feet. Events of another operation are ignored.
    ///
    /// `TRACKER_NODE_CONFIG` and `STATIONARY_TARGET_REMOVER_CONFIG` decide whether objects that never move are removed;
    /// `CAMERA_CONFIG` is the ground for distances and speeds; `do_calibration` of `CAMERACALIBRATOR_NODE_CONFIG` lets a
    /// session find the ground from the people it sees. Members without an effect (`EULA`, `BILLING`, `VIDEO_URL`, …) become
    /// [`findings`](Self::findings) with their names, never with their values.
    ///
    /// # Errors
    ///
    /// [`OperationError`]. Errors in zones and lines come all at once.
    ///
    /// ```
    /// use lva_spatial_analysis::Operation;
    ///
    /// let operation = Operation::from_json(r#"{
    ///     "operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon.livevideoanalytics",
    ///     "version": 1, "enabled": true,
    ///     "parameters": {"EULA": "accept", "SPACEANALYTICS_CONFIG":
    ///         "{\"zones\":[{\"name\":\"polygon0\",\"polygon\":[[0.2,0.3],[0.8,0.3],[0.8,0.9],[0.2,0.9]]}]}"}
    /// }"#)?;
    /// assert_eq!(operation.zone_names(), ["polygon0"]);
    /// assert_eq!(operation.findings()[0].to_string(), "EULA: not needed, nothing is licensed here");
    /// # Ok::<(), lva_spatial_analysis::OperationError>(())
    /// ```
    pub fn from_json(text: &str) -> Result<Self, OperationError> {
        Self::from_members(members(text)?, true)
    }

    /// Reads every enabled operation of a module twin's desired properties, with its name under `graphs`. An operation with
    /// `instances` is one for each enabled instance, named `graph/instance`. An object without `graphs` is one operation
    /// with an empty name.
    ///
    /// # Errors
    ///
    /// As for [`from_json`](Self::from_json), of the first operation that cannot be read.
    pub fn all_from_twin(text: &str) -> Result<Vec<(String, Self)>, OperationError> {
        let each = Self::each_from_twin(text)?.into_iter();
        each.map(|(name, read)| Ok((name, read?))).collect()
    }

    /// Reads the same, each by itself: an operation that cannot be read does not keep the others from being used.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where the whole text cannot be read.
    pub fn each_from_twin(text: &str) -> Result<Vec<NamedReading>, OperationError> {
        let members = members(text)?;
        let Some((_, operations)) = twin::operations(&members) else {
            return Ok(vec![(String::new(), Self::from_members(members, true))]);
        };
        let read = |(name, members): (String, Result<Object, OperationError>)| {
            (
                name,
                members.and_then(|members| Self::from_members(members, true)),
            )
        };
        Ok(operations.into_iter().map(read).collect())
    }

    /// Reads a file that holds what [`from_json`](Self::from_json) reads. Blocks.
    ///
    /// # Errors
    ///
    /// [`OperationError`]; only [`OperationError::Read`] names the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, OperationError> {
        let path = path.as_ref();
        let failed = |cause| OperationError::Read {
            path: path.display().to_string(),
            cause,
        };
        let bytes = fs::metadata(path).map_err(failed)?.len();
        if bytes > MAX_CONFIGURATION_BYTES {
            return Err(OperationError::TooLong { bytes });
        }
        Self::from_json(&fs::read_to_string(path).map_err(failed)?)
    }

    /// Reads the configuration of a stream descriptor; `None` when it is empty or the `{}` that clients send by default.
    ///
    /// # Errors
    ///
    /// As for [`from_json`](Self::from_json).
    pub fn from_descriptor(text: &str) -> Result<Option<Self>, OperationError> {
        let bare = text.trim_start_matches('\u{feff}').trim();
        let is_empty_object = bare
            .strip_prefix('{')
            .is_some_and(|rest| rest.trim_start() == "}");
        if bare.is_empty() || bare == "null" || is_empty_object {
            return Ok(None);
        }
        Self::from_json(bare).map(Some)
    }

    /// `may_wrap`: whether a twin or a custom operation may be around it.
    fn from_members(mut members: Object, may_wrap: bool) -> Result<Self, OperationError> {
        if let Some((member, mut operations)) = twin::operations(&members) {
            return match (operations.pop(), operations.is_empty()) {
                (None, _) => Err(OperationError::NothingToWatch),
                (Some((_, operation)), true) if may_wrap => Self::from_members(operation?, false),
                (Some(last), _) => {
                    let names = operations.into_iter().chain([last]).map(|(name, _)| name);
                    Err(OperationError::SeveralOperations {
                        member: member.to_owned(),
                        names: names.collect(),
                    })
                }
            };
        }
        if let Some(Value::Object(parameters)) = take(&mut members, "parameters") {
            members.extend(parameters);
        }
        // Video Analyzer's custom operation holds the container's form in a string.
        if may_wrap && let Some(inner) = take(&mut members, "extensionConfiguration") {
            let inner = match inner {
                Value::String(text) => parse(&text).map_err(|cause| OperationError::NotJson { cause })?,
                inner => inner,
            };
            let Value::Object(inner) = inner else {
                return Err(OperationError::NotAnObject);
            };
            return Self::from_members(inner, false);
        }
        let kind = kind(&members)?;
        let config = take(&mut members, SPACE)
            .or_else(|| bare_elements(&mut members))
            .ok_or(OperationError::NothingToWatch)?;
        let mut findings = Vec::new();
        let nodes = NodeSettings::take(&mut members, &mut findings);
        findings.extend(members.keys().filter_map(|name| finding(name)));
        let elements = Elements::read(config, kind)?;
        findings.extend(elements.warnings);
        Ok(Self {
            kind,
            zones: elements.zones,
            lines: elements.lines,
            nodes,
            findings,
        })
    }

    /// Which of the container's operations it is.
    pub fn kind(&self) -> OperationKind {
        self.kind
    }

    /// The scene for frames of one shape.
    ///
    /// # Errors
    ///
    /// [`OperationError::Invalid`]: zones and lines are valid, so an option is not.
    pub fn scene(&self, options: SceneOptions) -> Result<Scene, OperationError> {
        let scene = Scene::new(self.zones.clone(), self.lines.clone(), options)?;
        Ok(match self.nodes.ground(options.aspect) {
            Some(ground) => scene.with_ground(ground),
            None => scene,
        })
    }

    /// Options of a tracker, with the settings of the operation.
    pub(crate) fn tracker(&self, options: TrackerOptions) -> TrackerOptions {
        TrackerOptions {
            stationary: self.nodes.stationary.or(options.stationary),
            ..options
        }
    }

    /// Whether a session may find the ground from the people it sees.
    pub(crate) fn calibrates(&self) -> bool {
        self.nodes.calibrates
    }

    /// What was ignored or looks unusual, for a log.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Names of the zones, in the order of the configuration.
    pub fn zone_names(&self) -> Vec<&str> {
        self.zones.iter().map(|zone| zone.name.as_str()).collect()
    }

    /// Names of the lines, in the order of the configuration.
    pub fn line_names(&self) -> Vec<&str> {
        self.lines.iter().map(|line| line.name.as_str()).collect()
    }

    /// Zones and lines with their points, for drawing.
    pub fn outlines(&self) -> Vec<Outline> {
        self.scene(SceneOptions::default())
            .map(|scene| scene.outlines().to_vec())
            .unwrap_or_default()
    }
}

fn members(text: &str) -> Result<Object, OperationError> {
    let bytes = text.len() as u64;
    if bytes > MAX_CONFIGURATION_BYTES {
        return Err(OperationError::TooLong { bytes });
    }
    match parse(text).map_err(|cause| OperationError::NotJson { cause })? {
        Value::Object(members) => Ok(members),
        _ => Err(OperationError::NotAnObject),
    }
}

fn kind(members: &Object) -> Result<OperationKind, UnknownOperation> {
    if let Some(Value::String(id)) = find(members, "operationId") {
        return id.parse();
    }
    match find(members, "@type") {
        Some(Value::String(name)) => OperationKind::from_type(name),
        _ => Ok(OperationKind::Any),
    }
}

/// Zones and lines that stand directly in the operation.
fn bare_elements(members: &mut Object) -> Option<Value> {
    let mut elements = Map::new();
    for name in ["zones", "lines"] {
        elements.extend(take(members, name).map(|list| (name.to_owned(), list)));
    }
    if elements.is_empty() {
        return None;
    }
    if find(members, "seed").is_some() && find(members, "frames").is_some() {
        members.retain(|name, _| !TRUTH.contains(&name.as_str()));
    }
    Some(Value::Object(elements))
}

/// The finding for a member without an effect: its name only, because its value may be secret.
fn finding(name: &str) -> Option<Finding> {
    if EXPECTED.iter().any(|expected| is(name, expected)) {
        return None;
    }
    let known = WITHOUT_EFFECT.iter().find(|(member, _)| is(name, member));
    let message = known.map_or("unknown member, ignored", |(_, why)| why);
    Some(Finding::new(name.chars().take(128).collect::<String>(), message))
}

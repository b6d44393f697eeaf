//! What a session watches: one reader for every form in which an operation is written.

mod elements;
mod error;
mod events;
mod followed;
mod json;
mod kind;
mod members;
mod nodes;
mod settings;
mod twin;

use std::fs;
use std::path::Path;

use lva_zones::{CrossingLine, Outline, Point, Scene, SceneOptions, TrackerOptions, Zone};
use serde_json::{Map, Value};

use elements::Elements;
use error::shown;
pub use error::{Finding, OperationError};
use followed::Followed;
pub(crate) use followed::PERSON;
use json::{Object, find, is, parse, string, take};
pub use kind::{OperationKind, UnknownOperation};
use members::ELEMENTS;
use nodes::NodeSettings;
use settings::Settings;
use twin::Twin;

/// Longest configuration, in bytes. The truth file of an hour is smaller.
pub const MAX_CONFIGURATION_BYTES: u64 = 64 << 20;

/// Most operations of a twin.
const MAX_OPERATIONS: usize = 256;

/// Width in pixels of the frame to which thresholds in pixels refer: the published samples have 512 to 640.
const PROCESSED_WIDTH: f64 = 640.0;

/// The member with the name of the camera.
const SOURCE_ID: &str = "VIDEO_SOURCE_ID";

/// The member with the zones and lines.
const SPACE: &str = "SPACEANALYTICS_CONFIG";

/// Members of the container's configuration without an effect here, and why.
const WITHOUT_EFFECT: [(&str, &str); 21] = [
    ("EULA", "not needed, nothing is licensed here"),
    ("BILLING", "not needed, nothing is billed here"),
    ("APIKEY", "not needed, nothing is billed here"),
    ("VISION_ENDPOINT_URL", "not needed, nothing is called here"),
    ("VISION_SUBSCRIPTION_KEY", "not needed, nothing is called here"),
    ("VIDEO_URL", "not opened, frames come from the client"),
    (
        "BINDING_ADDRESS",
        "not applied, the server's own options set where it listens",
    ),
    ("VICA_NODE_CONFIG", "not applied, the server chooses its detector"),
    (
        "ENABLE_PERSONATTRIBUTESCLASSIFICATION",
        "not applied, attributes are not detected",
    ),
    ("VISION_MODEL_ID", "not needed, nothing is called here"),
    (
        "direction",
        "not read: both directions are reported, CrossRight from left to right of who stands at start and looks to end",
    ),
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
const EXPECTED: [&str; 11] = [
    "version",
    "enabled",
    "debug",
    "name",
    "platformloglevel",
    "nodesloglevel",
    "@type",
    "operationId",
    "parameters",
    "sharedNodeMap",
    SPACE,
];

/// An operation with its name under `graphs`, or why it cannot be read.
pub type NamedReading = (String, Result<Operation, OperationError>);

/// Settings of all zones and lines that may stand around them.
const SETTINGS: [&str; 4] = ["tracker", "classes", "hold_ms", "lost_grace_ms"];

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
    settings: Settings,
    followed: Followed,
    source_id: Option<String>,
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
            settings: Settings::default(),
            followed: Followed::default(),
            source_id: None,
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
    /// * the **desired properties of a module twin** with one enabled operation under `graphs`, alone, in a whole twin, or in a
    ///   deployment manifest; for several operations see [`all_from_twin`](Self::all_from_twin);
    /// * a bare **list** of zones, of lines or of both, or of one operation;
    /// * a **typed operation of Video Analyzer**: `{"@type": "#Microsoft.VideoAnalyzer.SpatialAnalysis…Operation", …}`,
    ///   or its custom operation, whose `extensionConfiguration` holds one of the other forms.
    ///
    /// Numbers may be strings, and polygons, lines and `SPACEANALYTICS_CONFIG` may be JSON inside a string. A threshold of 1
    /// or more is in pixels of a frame 640 wide, below 1 a share of the width. It is the depth inside a zone at which people
    /// have entered; to leave, a narrow band suffices. Next to a polygon (first generation) a threshold is a confidence in
    /// percent, and ignored. `interval` is in seconds, one by default. A `persondistance` without thresholds has a minimum
    /// of 6 feet. Events of another operation are ignored.
    ///
    /// These members are this project's own. Of a zone: `dwell_limits_ms`, times in milliseconds at which a visit that goes on is
    /// reported. Of a zone or line: `focus`, for events that have none. Beside zones and lines, or around them:
    ///
    /// * `tracker`, with `high_score`, `low_score`, `new_track_score`, `confirm_ms`, `duplicate_confirm_ms`, `tentative_ms` and
    ///   `lost_ms` as in [`TrackerOptions`];
    /// * `hold_ms`, and `lost_grace_ms`, after which an unseen person has left, as in [`SceneOptions`];
    /// * `classes`, the names of the model's classes that are followed: `["person"]` by default. A zone, a line or the `config` of
    ///   an event may have its own, which are followed too.
    ///
    /// `TRACKER_NODE_CONFIG` and `STATIONARY_TARGET_REMOVER_CONFIG` decide whether objects that never move are removed;
    /// `CAMERA_CONFIG` is the ground for distances and speeds; `do_calibration` of `CAMERACALIBRATOR_NODE_CONFIG` lets a
    /// session find the ground from the people it sees. Members without an effect (`EULA`, `BILLING`, `VIDEO_URL`, …), unknown
    /// members at every level, and members that one object has twice become [`findings`](Self::findings) with their names, never
    /// with their values.
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
        let mut findings = Vec::new();
        let members = twin::unwrapped(members(text, &mut findings)?, &mut findings)?;
        Self::from_members(members, true, findings)
    }

    /// Reads every enabled operation of a module twin, with its name under `graphs`: of its desired properties, of a whole twin,
    /// or of the module with operations of a deployment manifest. An operation with `instances` is one for each enabled
    /// instance, named `graph/instance`. Operations in a list, under `graphs` or alone, have the name that each has as `name`, or
    /// its number. An object without `graphs` is one operation with an empty name.
    ///
    /// # Errors
    ///
    /// As for [`from_json`](Self::from_json), of the first operation that cannot be read;
    /// [`OperationError::AllDisabled`] when none is enabled.
    pub fn all_from_twin(text: &str) -> Result<Vec<(String, Self)>, OperationError> {
        let (each, nothing) = Self::read_twin(text)?;
        let all: Vec<_> = each
            .into_iter()
            .map(|(name, read)| Ok((name, read?)))
            .collect::<Result<_, OperationError>>()?;
        match nothing {
            Some(nothing) if all.is_empty() => Err(nothing),
            _ => Ok(all),
        }
    }

    /// Reads the same, each by itself: an operation that cannot be read does not keep the others from being used. It is not an
    /// error that none is enabled.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where the whole text cannot be read.
    pub fn each_from_twin(text: &str) -> Result<Vec<NamedReading>, OperationError> {
        Ok(Self::read_twin(text)?.0)
    }

    /// Each operation, or why there is none.
    fn read_twin(text: &str) -> Result<(Vec<NamedReading>, Option<OperationError>), OperationError> {
        let mut findings = Vec::new();
        let members = twin::unwrapped(members(text, &mut findings)?, &mut findings)?;
        let Some(mut twin) = Twin::of(&members) else {
            let only = Self::from_members(members, true, findings);
            return Ok((vec![(String::new(), only)], None));
        };
        let enabled = std::mem::take(&mut twin.enabled);
        let each = enabled.into_iter().map(|(name, members)| {
            // What is reported of the document belongs to its first operation.
            let findings = std::mem::take(&mut findings);
            let read = members.and_then(|members| Self::from_members(members, true, findings));
            (name, read)
        });
        Ok((each.collect(), Some(twin.nothing())))
    }

    /// Reads a file that holds what [`from_json`](Self::from_json) reads. Blocks.
    ///
    /// # Errors
    ///
    /// [`OperationError`]; only [`OperationError::Read`] names the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, OperationError> {
        Self::from_json(&text_of(path.as_ref())?)
    }

    /// Reads a file that holds what [`all_from_twin`](Self::all_from_twin) reads. Blocks.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Self::from_file).
    pub fn all_from_file(path: impl AsRef<Path>) -> Result<Vec<(String, Self)>, OperationError> {
        Self::all_from_twin(&text_of(path.as_ref())?)
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
    fn from_members(
        mut members: Object,
        may_wrap: bool,
        mut findings: Vec<Finding>,
    ) -> Result<Self, OperationError> {
        if let Some(mut twin) = Twin::of(&members) {
            return match (twin.enabled.pop(), twin.enabled.is_empty()) {
                (None, _) => Err(twin.nothing()),
                (Some((_, operation)), true) if may_wrap => Self::from_members(operation?, false, findings),
                (Some(last), _) => {
                    let names = twin.enabled.into_iter().chain([last]).map(|(name, _)| name);
                    Err(OperationError::SeveralOperations {
                        member: twin.member.to_owned(),
                        names: names.collect(),
                    })
                }
            };
        }
        let parameters = match take(&mut members, "parameters") {
            Some(Value::String(text)) => {
                Some(parse(&text, &mut findings).map_err(|cause| OperationError::NotJson { cause })?)
            }
            parameters => parameters,
        };
        match parameters {
            Some(Value::Object(parameters)) => members.extend(parameters),
            None | Some(Value::Null) => {}
            Some(_) => findings.push(Finding::new("parameters", "not an object, ignored")),
        }
        // Video Analyzer's custom operation holds the container's form in a string.
        if may_wrap && let Some(inner) = take(&mut members, "extensionConfiguration") {
            let inner = match inner {
                Value::String(text) => {
                    parse(&text, &mut findings).map_err(|cause| OperationError::NotJson { cause })?
                }
                inner => inner,
            };
            let Value::Object(inner) = inner else {
                return Err(OperationError::NotAnObject);
            };
            return Self::from_members(inner, false, findings);
        }
        let kind = kind(&members)?;
        let config = take(&mut members, SPACE).or_else(|| bare_elements(&mut members));
        let config = config.ok_or_else(|| OperationError::NothingToWatch {
            found: twin::names(&members),
        })?;
        let mut around = Object::new();
        for name in SETTINGS {
            around.extend(take(&mut members, name).map(|value| (name.to_owned(), value)));
        }
        let source_id = string(&members, SOURCE_ID).filter(|id| !id.is_empty());
        take(&mut members, SOURCE_ID);
        let nodes = NodeSettings::take(&mut members, &mut findings);
        findings.extend(members.keys().filter_map(|name| finding(name)));
        let elements = Elements::read(config, &around, kind)?;
        findings.extend(elements.warnings);
        let base = elements.settings.classes.as_deref();
        Ok(Self {
            kind,
            followed: Followed::new(base, elements.named, &elements.zones, &elements.lines),
            zones: elements.zones,
            lines: elements.lines,
            nodes,
            settings: elements.settings,
            source_id,
            findings,
        })
    }

    /// The camera that it is for, its `VIDEO_SOURCE_ID`.
    pub fn source_id(&self) -> Option<&str> {
        self.source_id.as_deref()
    }

    /// The classes of the model that are followed, by name or number: those of the operation, then those of its zones, lines and
    /// events. `None`: it names none, and `person` alone is followed.
    pub fn classes(&self) -> Option<&[String]> {
        self.followed.all()
    }

    /// Which of the container's operations it is.
    pub fn kind(&self) -> OperationKind {
        self.kind
    }

    /// Sets the classes that are followed where the configuration names none: its zones, lines and events without any are for
    /// these.
    pub fn set_default_classes(&mut self, classes: &[String]) {
        if self.settings.classes.is_none() && !classes.is_empty() {
            self.followed = self.followed.with_base(classes, &self.zones, &self.lines);
            self.settings.classes = Some(classes.to_vec());
        }
    }

    /// The scene for frames of one shape, for every class alike: which class has which index is the model's.
    ///
    /// # Errors
    ///
    /// [`OperationError::Invalid`]: zones and lines are valid, so an option is not.
    pub fn scene(&self, options: SceneOptions) -> Result<Scene, OperationError> {
        self.scene_for(options, None)
    }

    /// The scene for people whose class is their place in [`classes`](Self::classes).
    ///
    /// # Errors
    ///
    /// As [`scene`](Self::scene).
    pub fn scene_by_class(&self, options: SceneOptions) -> Result<Scene, OperationError> {
        let places = self.classes().map(|classes| {
            let places = 0..u16::try_from(classes.len()).unwrap_or(u16::MAX);
            places.collect::<Vec<_>>()
        });
        self.scene_for(options, places.as_deref())
    }

    /// The scene for a model whose classes are in the order of [`classes`](Self::classes).
    pub(crate) fn scene_for(
        &self,
        options: SceneOptions,
        model: Option<&[u16]>,
    ) -> Result<Scene, OperationError> {
        let zones = self
            .zones
            .iter()
            .cloned()
            .map(|zone| self.followed.zone(zone, model));
        let lines = self
            .lines
            .iter()
            .cloned()
            .map(|line| self.followed.line(line, model));
        let scene = Scene::new(zones.collect(), lines.collect(), self.settings.scene(options))?;
        Ok(match self.nodes.ground(options.aspect) {
            Some(ground) => scene.with_ground(ground),
            None => scene,
        })
    }

    /// Options of a scene, with the settings of the operation.
    pub(crate) fn scene_options(&self, options: SceneOptions) -> SceneOptions {
        self.settings.scene(options)
    }

    /// Options of a tracker, with the settings of the operation.
    pub(crate) fn tracker(&self, options: TrackerOptions) -> TrackerOptions {
        TrackerOptions {
            stationary: self.nodes.stationary.or(options.stationary),
            ..self.settings.tracker(options)
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

/// The camera of a configuration that names one and has nothing else.
pub(crate) fn camera_alone(configuration: &str) -> Option<String> {
    let text = configuration.trim_start_matches('\u{feff}').trim();
    // Nothing that is longer is alone.
    if text.len() > 4096 {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let members = value.as_object()?;
    let (name, id) = members.iter().next()?;
    let alone = members.len() == 1 && is(name, SOURCE_ID);
    id.as_str()
        .map(str::trim)
        .filter(|id| alone && !id.is_empty())
        .map(str::to_owned)
}

/// The text of a file. Blocks.
fn text_of(path: &Path) -> Result<String, OperationError> {
    let failed = |cause| OperationError::Read {
        path: path.display().to_string(),
        cause,
    };
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_CONFIGURATION_BYTES {
        return Err(OperationError::TooLong { bytes });
    }
    let bytes = fs::read(path).map_err(failed)?;
    let text = lva_graph_model::json::text(&bytes).map_err(|cause| OperationError::NotJson { cause })?;
    Ok(text.to_owned())
}

fn members(text: &str, findings: &mut Vec<Finding>) -> Result<Object, OperationError> {
    let bytes = text.len() as u64;
    if bytes > MAX_CONFIGURATION_BYTES {
        return Err(OperationError::TooLong { bytes });
    }
    match parse(text, findings).map_err(|cause| OperationError::NotJson { cause })? {
        Value::Object(members) => Ok(members),
        Value::Array(list) => twin::listed(list, findings),
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
    let message = match known {
        Some((_, why)) => (*why).to_owned(),
        None => ELEMENTS.about(name, EXPECTED.into_iter().chain(NodeSettings::MEMBERS)),
    };
    Some(Finding::new(shown(name), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_of_a_camera_alone_names_an_operation() {
        assert_eq!(
            camera_alone(r#"{"video_source_id": "camera 2"}"#).as_deref(),
            Some("camera 2")
        );
        for other in [
            "",
            "{}",
            "null",
            r#"{"VIDEO_SOURCE_ID": "a", "zones": []}"#,
            r#"{"VIDEO_SOURCE_ID": 1}"#,
            r#"{"VIDEO_SOURCE_ID": ""}"#,
        ] {
            assert_eq!(camera_alone(other), None, "{other}");
        }
    }
}

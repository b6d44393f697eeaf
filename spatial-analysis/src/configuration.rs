//! What is to be watched, from the texts in which it is written down.

mod nodes;

use std::path::Path;
use std::{fs, io};

use lva_zones::{
    ConfigError, ConfigFinding, ConfigOptions, Operation, OperationError, Outline, OutlineKind, Scene,
    SceneOptions, TrackerOptions,
};
use nodes::Nodes;
use serde_json::{Map, Value, json};

/// Longest configuration that is read, in bytes. The truth file of an hour is smaller.
pub const MAX_CONFIGURATION_BYTES: u64 = 64 << 20;

/// The member that says what to watch.
const SPACE: &str = "SPACEANALYTICS_CONFIG";

/// Most operations of a twin that are looked at.
const MAX_GRAPHS: usize = 256;

/// Members of the original's configuration that mean nothing here, and why.
const WITHOUT_MEANING: [(&str, &str); 17] = [
    ("EULA", "not needed, nothing is licensed here"),
    ("BILLING", "not needed, nothing is billed here"),
    ("APIKEY", "not needed, nothing is billed here"),
    ("VISION_ENDPOINT_URL", "not needed, nothing is called here"),
    ("VISION_SUBSCRIPTION_KEY", "not needed, nothing is called here"),
    ("VIDEO_URL", "not opened, frames come from the client"),
    ("VIDEO_SOURCE_ID", "not told, the client knows its camera"),
    ("VIDEO_IS_LIVE", "not needed, frames come from the client"),
    ("VIDEO_DECODE_GPU_INDEX", "not needed, frames come decoded"),
    ("INPUT_VIDEO_WIDTH", "not applied, frames come scaled"),
    (
        "DETECTOR_NODE_CONFIG",
        "not applied, the server chooses its detector",
    ),
    (
        "ENABLE_FACE_MASK_CLASSIFIER",
        "not applied, faces are not looked at",
    ),
    ("enableFaceMaskClassifier", "not applied, faces are not looked at"),
    (
        "detectorNodeConfiguration",
        "not applied, the server chooses its detector",
    ),
    ("VISUALIZER_NODE_CONFIG", "not applied, nothing is drawn here"),
    ("SINK_CONFIG", "not applied, answers go to the client"),
    ("sharedNodes", "not needed, each session has its own nodes"),
];

/// Members that say nothing that has to be told of.
const WITHOUT_REPORT: [&str; 10] = [
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

/// Members of a truth file of the sample world beside its zones and lines.
const TRUTH: [&str; 6] = ["seed", "fps", "frameCount", "camera", "events", "frames"];

/// A configuration that says nothing that can be watched. Whoever wrote it is at fault; a retry does not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error("cannot read the file {path}")]
    Read {
        /// Which.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// More than [`MAX_CONFIGURATION_BYTES`].
    #[error("{bytes} bytes are more than the {MAX_CONFIGURATION_BYTES} that a configuration may have")]
    TooLong {
        /// How many.
        bytes: u64,
    },
    /// The text is no JSON.
    #[error("it is not JSON")]
    NotJson {
        /// Where and why.
        source: serde_json::Error,
    },
    /// The JSON is no object.
    #[error("it is not an object: give {{\"zones\": […]}}, {{\"lines\": […]}}, or an object with {SPACE}")]
    NotAnObject,
    /// Nothing in it says what to watch.
    #[error("nothing in it says what to watch: give \"zones\" or \"lines\", or an object with {SPACE}")]
    NothingToWatch,
    /// Several operations in one document, as in a module twin.
    #[error(
        "\"{member}\" holds {} operations, and a session carries out one: disable the others or give the object of one of {}", names.len(), names.join(", ")
    )]
    SeveralOperations {
        /// The member that holds them.
        member: String,
        /// Their names.
        names: Vec<String>,
    },
    /// An operation that is not carried out here.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// Zones and lines that make no scene: everything that is wrong with them, with names and remedies.
    #[error(transparent)]
    Scene(#[from] ConfigError),
}

/// What a session watches: read, checked, ready for frames of any shape.
#[derive(Debug, Clone)]
pub struct OperationConfig {
    operation: Operation,
    watched: Value,
    nodes: Nodes,
    findings: Vec<ConfigFinding>,
}

impl OperationConfig {
    /// One zone over the whole frame, named `frame`: everybody who comes enters, everybody who goes leaves.
    pub fn whole_frame() -> Self {
        let polygon = json!([[0, 0], [1, 0], [1, 1], [0, 1]]);
        Self {
            operation: Operation::PersonCrossingPolygon,
            watched: json!({"zones": [{"name": "frame", "polygon": polygon}]}),
            nodes: Nodes::default(),
            findings: Vec::new(),
        }
    }

    /// Reads a configuration, in any of these forms:
    ///
    /// * **scene**: `{"zones": [{"name", "polygon": [[x, y], …]}], "lines": [{"name", "start": [x, y], "end": [x, y]}]}`,
    ///   coordinates in fractions of the frame from the top left. A truth file of the sample world is one: its other
    ///   members are passed over;
    /// * a bare **`SPACEANALYTICS_CONFIG`** of any generation, see [`lva_zones::read_config`];
    /// * an **operation**: `{"operationId": "cognitiveservices.vision.spatialanalysis-personcrossingline", "parameters":
    ///   {"SPACEANALYTICS_CONFIG": "…", …}}`, and the same members without `parameters` around them, as in a
    ///   container's environment. The operation id decides whether zones or lines are watched;
    /// * the **desired properties of a module twin** with one enabled operation under `graphs`; of several see
    ///   [`all_from_twin`](Self::all_from_twin);
    /// * a **typed operation of Video Analyzer**: `{"@type": "#Microsoft.VideoAnalyzer.SpatialAnalysis…Operation", …}`,
    ///   the custom one with its `extensionConfiguration` too.
    ///
    /// `TRACKER_NODE_CONFIG` and `STATIONARY_TARGET_REMOVER_CONFIG` decide whether things that never move are left out;
    /// `CAMERA_CONFIG` is the ground for distances and speeds; `do_calibration` of `CAMERACALIBRATOR_NODE_CONFIG` lets a
    /// session find it by the people that it sees. What means nothing here (`EULA`, `BILLING`, `VIDEO_URL`, …) is [reported](Self::findings) by name, never with
    /// its value, and does no harm.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`].
    ///
    /// ```
    /// use lva_spatial_analysis::OperationConfig;
    ///
    /// let config = OperationConfig::from_json(r#"{
    ///     "operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon.livevideoanalytics",
    ///     "version": 1, "enabled": true,
    ///     "parameters": {"EULA": "accept", "SPACEANALYTICS_CONFIG":
    ///         "{\"zones\":[{\"name\":\"polygon0\",\"polygon\":[[0.2,0.3],[0.8,0.3],[0.8,0.9],[0.2,0.9]]}]}"}
    /// }"#)?;
    /// assert_eq!(config.findings()[0].to_string(), "EULA: not needed, nothing is licensed here");
    /// # Ok::<(), lva_spatial_analysis::ConfigurationError>(())
    /// ```
    pub fn from_json(text: &str) -> Result<Self, ConfigurationError> {
        let bytes = text.len() as u64;
        if bytes > MAX_CONFIGURATION_BYTES {
            return Err(ConfigurationError::TooLong { bytes });
        }
        let text = text.trim_start_matches('\u{feff}');
        let value = serde_json::from_str(text).map_err(|source| ConfigurationError::NotJson { source })?;
        Self::from_value(value, true)
    }

    /// Every enabled operation of a module twin's desired properties, by its name under `graphs`; an operation with
    /// `instances` is one for each enabled instance, named `graph/instance`. An object without `graphs` is one operation
    /// without name.
    ///
    /// # Errors
    ///
    /// As for [`from_json`](Self::from_json); of the first operation that cannot be read.
    pub fn all_from_twin(text: &str) -> Result<Vec<(String, Self)>, ConfigurationError> {
        let text = text.trim_start_matches('\u{feff}');
        let value = serde_json::from_str(text).map_err(|source| ConfigurationError::NotJson { source })?;
        let Value::Object(members) = value else {
            return Err(ConfigurationError::NotAnObject);
        };
        match graphs(&members) {
            None => Ok(vec![(
                String::new(),
                Self::from_value(Value::Object(members), true)?,
            )]),
            Some((_, graphs)) => graphs
                .into_iter()
                .map(|(name, graph)| Ok((name, Self::from_value(graph, true)?)))
                .collect(),
        }
    }

    /// Reads a file that holds what [`from_json`](Self::from_json) reads. Blocks.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`]; without the file's name but for [`ConfigurationError::Read`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigurationError> {
        let path = path.as_ref();
        let failed = |source| ConfigurationError::Read {
            path: path.display().to_string(),
            source,
        };
        let bytes = fs::metadata(path).map_err(failed)?.len();
        if bytes > MAX_CONFIGURATION_BYTES {
            return Err(ConfigurationError::TooLong { bytes });
        }
        Self::from_json(&fs::read_to_string(path).map_err(failed)?)
    }

    /// What a client's configuration text asks for; `None` when it asks for nothing: there is none, or it is the `{}`
    /// that clients send by default.
    ///
    /// # Errors
    ///
    /// As for [`from_json`](Self::from_json).
    pub fn from_descriptor(text: &str) -> Result<Option<Self>, ConfigurationError> {
        match text.trim_start_matches('\u{feff}').trim() {
            "" | "null" => Ok(None),
            text if text
                .strip_prefix('{')
                .is_some_and(|rest| rest.trim_start() == "}") =>
            {
                Ok(None)
            }
            text => Self::from_json(text).map(Some),
        }
    }

    fn from_value(value: Value, may_wrap: bool) -> Result<Self, ConfigurationError> {
        let Value::Object(mut members) = value else {
            return Err(ConfigurationError::NotAnObject);
        };
        if let Some((member, mut graphs)) = graphs(&members) {
            return match (graphs.pop(), graphs.is_empty()) {
                (None, _) => Err(ConfigurationError::NothingToWatch),
                (Some((_, graph)), true) if may_wrap => Self::from_value(graph, false),
                (Some(last), _) => {
                    let names = graphs.into_iter().chain([last]).map(|(name, _)| name);
                    Err(ConfigurationError::SeveralOperations {
                        member: member.to_owned(),
                        names: names.collect(),
                    })
                }
            };
        }
        if let Some(Value::Object(parameters)) = take(&mut members, "parameters") {
            members.extend(parameters);
        }
        // Video Analyzer's custom operation carries the container's form as a text.
        if may_wrap && let Some(inner) = take(&mut members, "extensionConfiguration") {
            let inner = match inner {
                Value::String(text) => {
                    serde_json::from_str(&text).map_err(|source| ConfigurationError::NotJson { source })?
                }
                inner => inner,
            };
            return Self::from_value(inner, false);
        }
        let operation = operation(&members)?;
        let mut findings = Vec::new();
        let watched = match take(&mut members, SPACE) {
            Some(watched) => watched,
            None => {
                let mut elements = Map::new();
                for name in ["zones", "lines"] {
                    elements.extend(take(&mut members, name).map(|list| (name.to_owned(), list)));
                }
                if elements.is_empty() {
                    return Err(ConfigurationError::NothingToWatch);
                }
                if find(&members, "seed").is_some() && find(&members, "frames").is_some() {
                    members.retain(|name, _| !TRUTH.contains(&name.as_str()));
                }
                Value::Object(elements)
            }
        };
        let nodes = Nodes::take(&mut members, &mut findings);
        findings.extend(members.keys().filter_map(|name| finding(name)));
        let mut config = Self {
            operation,
            watched,
            nodes,
            findings,
        };
        let configured =
            lva_zones::read_config(config.watched.clone(), config.options(SceneOptions::default()))?;
        config.findings.extend(configured.warnings);
        Ok(config)
    }

    fn options(&self, scene: SceneOptions) -> ConfigOptions {
        ConfigOptions {
            operation: self.operation,
            scene,
            ..ConfigOptions::default()
        }
    }

    /// The scene for frames of one shape.
    pub(crate) fn scene(&self, options: SceneOptions) -> Result<Scene, ConfigurationError> {
        // Checked when the configuration was read; what can still be wrong is in the options.
        let configured = lva_zones::read_config(self.watched.clone(), self.options(options))?;
        Ok(match self.nodes.ground(options.aspect) {
            Some(ground) => configured.scene.with_ground(ground),
            None => configured.scene,
        })
    }

    /// The settings of the tracker with what the configuration says about them.
    pub(crate) fn tracker(&self, options: TrackerOptions) -> TrackerOptions {
        TrackerOptions {
            stationary: self.nodes.stationary.or(options.stationary),
            ..options
        }
    }

    /// Whether the ground is to be found by the people that are seen.
    pub(crate) fn calibrates(&self) -> bool {
        self.nodes.calibrates
    }

    /// What was read over or looks odd, for a log: it names members and what to do, and holds no values of members
    /// that may be secret.
    pub fn findings(&self) -> &[ConfigFinding] {
        &self.findings
    }

    /// Names of the zones that are watched, in the order of the configuration.
    pub fn zone_names(&self) -> Vec<String> {
        self.names(OutlineKind::Zone)
    }

    /// Names of the lines that are watched, in the order of the configuration.
    pub fn line_names(&self) -> Vec<String> {
        self.names(OutlineKind::Line)
    }

    /// Zones and lines with their corners, for whoever draws them.
    pub fn outlines(&self) -> Vec<Outline> {
        self.scene(SceneOptions::default())
            .map(|scene| scene.outlines())
            .unwrap_or_default()
    }

    fn names(&self, kind: OutlineKind) -> Vec<String> {
        let same = self.outlines().into_iter().filter(|outline| outline.kind == kind);
        same.map(|outline| outline.name).collect()
    }
}

/// The enabled operations of a twin, with the member that holds them.
fn graphs(members: &Map<String, Value>) -> Option<(&'static str, Vec<(String, Value)>)> {
    let (member, Value::Object(graphs)) = ["graphs", "operations"]
        .into_iter()
        .find_map(|member| Some((member, find(members, member)?)))?
    else {
        return None;
    };
    let enabled = |object: &Map<String, Value>| match find(object, "enabled") {
        Some(Value::Bool(enabled)) => *enabled,
        Some(Value::String(text)) => !text.eq_ignore_ascii_case("false"),
        _ => true,
    };
    let mut all = Vec::new();
    for (name, graph) in graphs {
        let Value::Object(graph) = graph else { continue };
        if !enabled(graph) {
            continue;
        }
        let Some(Value::Object(instances)) = find(graph, "instances") else {
            all.push((name.clone(), Value::Object(graph.clone())));
            continue;
        };
        for (instance_name, instance) in instances {
            let Value::Object(instance) = instance else {
                continue;
            };
            if !enabled(instance) {
                continue;
            }
            // An instance's parameters come before those of its graph.
            let mut graph = graph.clone();
            take(&mut graph, "instances");
            let mut parameters = match take(&mut graph, "parameters") {
                Some(Value::Object(parameters)) => parameters,
                _ => Map::new(),
            };
            if let Some(Value::Object(own)) = find(instance, "parameters") {
                for (name, value) in own {
                    take(&mut parameters, name);
                    parameters.insert(name.clone(), value.clone());
                }
            }
            graph.insert("parameters".to_owned(), Value::Object(parameters));
            all.push((format!("{name}/{instance_name}"), Value::Object(graph)));
        }
    }
    // By name: the order of a JSON object means nothing.
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all.truncate(MAX_GRAPHS);
    Some((member, all))
}

/// Which operation the members name.
fn operation(members: &Map<String, Value>) -> Result<Operation, OperationError> {
    if let Some(Value::String(id)) = find(members, "operationId") {
        return Operation::from_id(id);
    }
    let Some(Value::String(kind)) = find(members, "@type") else {
        return Ok(Operation::Any);
    };
    let id = || kind.chars().take(128).collect();
    match kind.rsplit('.').next().unwrap_or(kind) {
        "SpatialAnalysisPersonZoneCrossingOperation" => Ok(Operation::PersonCrossingPolygon),
        "SpatialAnalysisPersonLineCrossingOperation" => Ok(Operation::PersonCrossingLine),
        "SpatialAnalysisPersonCountOperation" => Ok(Operation::PersonCount),
        "SpatialAnalysisPersonDistanceOperation" => Ok(Operation::PersonDistance),
        _ => Err(OperationError::Unknown { id: id() }),
    }
}

/// What is to be said of a member that was not used; names only, because values may be secret.
fn finding(name: &str) -> Option<ConfigFinding> {
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    if WITHOUT_REPORT.iter().any(|word| is(word)) {
        return None;
    }
    let known = WITHOUT_MEANING.iter().find(|(word, _)| is(word));
    Some(ConfigFinding {
        place: name.chars().take(128).collect(),
        message: known
            .map_or("not known here, read over", |(_, why)| why)
            .to_owned(),
    })
}

/// A member, upper and lower case alike.
fn find<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut same = members.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    same.next().map(|(_, value)| value)
}

/// The same, taken out; every member of that name goes.
fn take(members: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let mut taken = None;
    while let Some(key) = members.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned() {
        let value = members.remove(&key);
        taken = taken.or(value);
    }
    taken
}

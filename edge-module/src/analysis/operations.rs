//! What a server watches: one operation, or several of which each stream finds its own.

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use lva_extension_protocol::GraphIdentity;
use lva_extension_protocol::server::{Extension, ExtensionOpenError, ExtensionSession, SessionInfo};
use lva_spatial_analysis::{
    AnalysisOptions, AnalysisStats, AnalysisStatsReader, DEFAULT_IDENTIFIER, Detectors, Operation,
    OperationError, SpatialExtension,
};
use serde_json::Value;

/// Operations with their names under `graphs`; a single one may have no name.
#[derive(Debug, Clone)]
pub struct OperationSet(Vec<(String, Operation)>);

/// Why operations cannot be used; for the operator to fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationSetError {
    /// One of them, or the whole file.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// A twin or manifest that has no enabled operation.
    #[error("no operation is enabled: set \"enabled\" of one under \"graphs\" to true")]
    NoneEnabled,
    /// A manifest without a module that has operations.
    #[error("no module of the deployment manifest has \"graphs\" in its desired properties")]
    NoModule,
}

impl OperationSet {
    /// One zone over the whole frame.
    pub fn whole_frame() -> Self {
        Self(vec![(String::new(), Operation::whole_frame())])
    }

    /// Reads a file with what [`Operation::from_json`] reads, with several operations in a module twin (its desired
    /// properties, or the whole twin), or a deployment manifest with such a module. Blocks.
    ///
    /// # Errors
    ///
    /// [`OperationSetError`].
    pub fn from_file(path: &Path) -> Result<Self, OperationSetError> {
        let text = std::fs::read_to_string(path).map_err(|cause| OperationError::Read {
            path: path.display().to_string(),
            cause,
        })?;
        Self::from_json(&text)
    }

    /// Reads the same from a string.
    ///
    /// # Errors
    ///
    /// [`OperationSetError`].
    pub fn from_json(text: &str) -> Result<Self, OperationSetError> {
        let inner = match serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
            Ok(value) => desired_properties(&value)?.map(Value::to_string),
            // The reader of operations reports where the mistake is.
            Err(_) => None,
        };
        let all = Operation::all_from_twin(inner.as_deref().unwrap_or(text))?;
        match all.is_empty() {
            true => Err(OperationSetError::NoneEnabled),
            false => Ok(Self(all)),
        }
    }

    /// The operations with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Operation)> {
        self.0.iter().map(|(name, operation)| (name.as_str(), operation))
    }
}

/// The desired properties in a whole twin, or of the module of a deployment manifest that has `graphs`.
fn desired_properties(value: &Value) -> Result<Option<&Value>, OperationSetError> {
    if let Some(desired) = value.pointer("/properties/desired") {
        return Ok(Some(desired));
    }
    let content = value
        .get("modulesContent")
        .or_else(|| value.pointer("/content/modulesContent"));
    let Some(modules) = content.and_then(Value::as_object) else {
        return Ok(None);
    };
    let mut desired = modules
        .values()
        .filter_map(|module| module.get("properties.desired"));
    match desired.find(|desired| desired.get("graphs").is_some()) {
        Some(desired) => Ok(Some(desired)),
        None => Err(OperationSetError::NoModule),
    }
}

/// The extension of a server with several operations.
///
/// A stream that sends a configuration is analysed by it. Another one gets the only operation, else the one that is named as its
/// graph instance or its node; an operation of a twin's `instances` has both `GRAPH/INSTANCE` and `INSTANCE` as names.
pub(super) struct NamedOperations {
    all: Vec<(String, SpatialExtension)>,
}

impl NamedOperations {
    pub(super) fn new(operations: &OperationSet, detectors: &Detectors, options: AnalysisOptions) -> Self {
        let all = operations.iter().map(|(name, operation)| {
            let extension = SpatialExtension::with_options(operation.clone(), detectors.clone(), options);
            (name.to_owned(), extension)
        });
        Self { all: all.collect() }
    }

    pub(super) fn stats(&self) -> Vec<AnalysisStatsReader> {
        self.all.iter().map(|(_, extension)| extension.stats()).collect()
    }

    fn of(&self, session: &SessionInfo) -> Result<&SpatialExtension, ExtensionOpenError> {
        let brings_its_own = !matches!(Operation::from_descriptor(&session.configuration), Ok(None));
        let names = || self.all.iter().map(|(name, _)| name.as_str());
        let index = match self.all.len() {
            1 => Some(0),
            _ if brings_its_own => Some(0),
            _ => position(names(), &session.identity),
        };
        match index.and_then(|index| self.all.get(index)) {
            Some((_, extension)) => Ok(extension),
            None => Err(ExtensionOpenError::Configuration(format!(
                "no operation is named as the graph instance '{}' or its node '{}': there are {}; name one so, or give the \
                 node a configuration of its own",
                session.identity.graph_instance_name,
                session.identity.graph_node_name,
                names().collect::<Vec<_>>().join(", ")
            ))),
        }
    }
}

fn position<'a>(names: impl Iterator<Item = &'a str> + Clone, stream: &GraphIdentity) -> Option<usize> {
    let is = |name: &str, wanted: &str| !wanted.is_empty() && name.eq_ignore_ascii_case(wanted);
    [&stream.graph_instance_name, &stream.graph_node_name]
        .into_iter()
        .find_map(|wanted| {
            let last = |name: &'a str| name.rsplit('/').next().unwrap_or(name);
            let mut both = names.clone();
            both.position(|name| is(name, wanted) || is(last(name), wanted))
        })
}

impl fmt::Debug for NamedOperations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.all.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

#[async_trait]
impl Extension for NamedOperations {
    fn identifier(&self) -> &str {
        DEFAULT_IDENTIFIER
    }

    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        self.of(session)?.open(session).await
    }
}

/// The counts of all operations together.
pub(super) fn total(readers: &[AnalysisStatsReader]) -> AnalysisStats {
    let mut total = AnalysisStats::default();
    for reader in readers {
        total += reader.read();
    }
    total
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn graphs() -> Value {
        let zone = |name: &str| {
            let space = json!({"zones": [{"name": name, "polygon": [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}]});
            json!({
                "operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon",
                "version": 1, "enabled": true,
                "parameters": {"SPACEANALYTICS_CONFIG": space.to_string()},
            })
        };
        let mut off = zone("off");
        off["enabled"] = json!(false);
        json!({"door": zone("a"), "gate": zone("b"), "off": off})
    }

    fn names(text: &str) -> Vec<String> {
        let set = OperationSet::from_json(text).unwrap();
        set.iter().map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn twins_and_manifests_hold_all_enabled_operations() {
        let desired = json!({"globalSettings": {}, "graphs": graphs()});
        let twin = json!({"properties": {"desired": desired.clone(), "reported": {}}});
        let manifest = json!({"modulesContent": {
            "$edgeAgent": {"properties.desired": {"modules": {}}},
            "spatialAnalysis": {"properties.desired": desired.clone()},
        }});
        for document in [desired, twin, manifest] {
            assert_eq!(names(&format!("\u{feff}{document}")), ["door", "gate"]);
        }
        assert_eq!(
            names(r#"{"zones": [{"name": "z", "polygon": [[0,0],[1,0],[1,1]]}]}"#),
            [""]
        );
    }

    #[test]
    fn documents_without_operations_say_what_is_missing() {
        let error = |text: &str| OperationSet::from_json(text).unwrap_err().to_string();
        assert!(error(r#"{"modulesContent": {"$edgeHub": {}}}"#).contains("graphs"));
        let mut all = graphs();
        for graph in all.as_object_mut().unwrap().values_mut() {
            graph["enabled"] = json!(false);
        }
        assert!(error(&json!({"graphs": all}).to_string()).contains("enabled"));
        assert!(error("{").contains("not JSON"));
    }

    #[test]
    fn a_stream_finds_its_operation_by_instance_before_node() {
        let names = ["door", "gate", "shop/till"];
        let of = |instance: &str, node: &str| {
            position(names.into_iter(), &GraphIdentity::new(instance, node)).map(|index| names[index])
        };
        assert_eq!(of("Gate", "door"), Some("gate"));
        assert_eq!(of("Sample-Graph-1", "door"), Some("door"));
        assert_eq!(of("till", ""), Some("shop/till"));
        assert_eq!(of("shop/till", ""), Some("shop/till"));
        assert_eq!(of("", ""), None);
        assert_eq!(of("shop", "x"), None);
    }
}

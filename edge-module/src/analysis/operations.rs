//! The operations of a file.

use std::path::Path;

use lva_spatial_analysis::{Operation, OperationError};
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

    /// None; a twin may bring some.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn into_vec(self) -> Vec<(String, Operation)> {
        self.0
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
}

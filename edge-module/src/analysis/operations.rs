//! The operations of a file.

use std::path::Path;

use lva_spatial_analysis::{Operation, OperationError};

/// Operations with their names under `graphs`; a single one may have no name.
#[derive(Debug, Clone)]
pub struct OperationSet(Vec<(String, Operation)>);

impl OperationSet {
    /// One zone over the whole frame.
    pub fn whole_frame() -> Self {
        Self(vec![(String::new(), Operation::whole_frame())])
    }

    /// Reads a file, as [`Operation::all_from_file`] does. Blocks.
    ///
    /// # Errors
    ///
    /// [`OperationError`].
    pub fn from_file(path: &Path) -> Result<Self, OperationError> {
        Operation::all_from_file(path).map(Self)
    }

    /// Reads the same from a string.
    ///
    /// # Errors
    ///
    /// [`OperationError`].
    pub fn from_json(text: &str) -> Result<Self, OperationError> {
        Operation::all_from_twin(text).map(Self)
    }

    /// With these classes for operations that name none; of an empty list, `person` alone.
    pub(super) fn with_default_classes(mut self, classes: &[String]) -> Self {
        if !classes.is_empty() {
            for (_, operation) in &mut self.0 {
                operation.set_default_classes(classes);
            }
        }
        self
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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

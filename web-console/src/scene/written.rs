//! The text that configures zones and lines: what it shows, and how it is written again without loss.

use lva_spatial_analysis::Operation;
use lva_zones::OutlineKind;
use serde_json::{Value, json};

use super::is_empty;

/// The parameter of the container's operations that has their zones or lines.
const CONFIG: &str = "/parameters/SPACEANALYTICS_CONFIG";

/// A configuration as an extension reads it.
pub(crate) struct Written {
    text: String,
    /// Zones and lines in the scene's own form; `null` where nothing can be drawn.
    scene: Value,
    form: Form,
}

enum Form {
    /// The scene itself, or nothing yet.
    Scene,
    /// An operation of the container, with the scene in [`CONFIG`].
    Operation(Value),
    /// Another one, whose settings a scene cannot hold: it is shown only.
    Other,
}

impl Written {
    pub(crate) fn new(text: String) -> Self {
        let (scene, form) = read(&text);
        Self { text, scene, form }
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn scene(&self) -> &Value {
        &self.scene
    }

    /// Whether another scene can be written in its place, with all other settings as they are.
    pub(crate) fn is_writable(&self) -> bool {
        !matches!(self.form, Form::Other)
    }

    /// The text with another scene. A scene with nothing in it leaves the choice to the extension, as the object does that clients
    /// send by default.
    pub(crate) fn with(&self, scene: &Value) -> String {
        match &self.form {
            Form::Operation(operation) => {
                let mut operation = operation.clone();
                if let Some(config) = operation.pointer_mut(CONFIG) {
                    *config = match config {
                        Value::String(_) => scene.to_string().into(),
                        _ => scene.clone(),
                    };
                }
                operation.to_string()
            }
            _ if is_empty(scene) => "{}".to_owned(),
            _ => scene.to_string(),
        }
    }
}

fn read(text: &str) -> (Value, Form) {
    if text.trim().is_empty() {
        return (Value::Null, Form::Scene);
    }
    let parsed: Value = serde_json::from_str(text).unwrap_or_default();
    if has_shapes(&parsed) {
        return (parsed, Form::Scene);
    }
    if parsed.as_object().is_some_and(serde_json::Map::is_empty) {
        return (Value::Null, Form::Scene);
    }
    let inner = parsed.pointer(CONFIG).and_then(|config| match config {
        Value::String(text) => serde_json::from_str(text).ok(),
        object => Some(object.clone()),
    });
    match inner.filter(has_shapes) {
        Some(scene) => (scene, Form::Operation(parsed)),
        None => (outlines(text), Form::Other),
    }
}

fn has_shapes(scene: &Value) -> bool {
    scene["zones"].is_array() || scene["lines"].is_array()
}

/// The shapes of any form that an extension reads.
fn outlines(text: &str) -> Value {
    let Ok(Some(operation)) = Operation::from_descriptor(text) else {
        return Value::Null;
    };
    let (mut zones, mut lines) = (Vec::new(), Vec::new());
    for outline in operation.outlines() {
        let points: Vec<[f64; 2]> = outline.points.iter().map(|point| [point.x, point.y]).collect();
        match outline.kind {
            OutlineKind::Zone => zones.push(json!({"name": outline.name, "polygon": points})),
            OutlineKind::Line => lines.push(json!({
                "name": outline.name,
                "start": points.first(),
                "end": points.last(),
            })),
        }
    }
    json!({"zones": zones, "lines": lines})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(name: &str) -> Value {
        json!({"zones": [{"name": name, "polygon": [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75]]}]})
    }

    #[test]
    fn a_scene_is_replaced_and_nothing_becomes_one() {
        for text in [zones("old").to_string(), String::new(), " {} ".to_owned()] {
            let written = Written::new(text);
            assert!(written.is_writable());
            assert_eq!(written.with(&zones("new")), zones("new").to_string());
            assert_eq!(written.with(&json!({"zones": []})), "{}");
        }
    }

    #[test]
    fn an_operation_of_the_container_keeps_its_other_settings() {
        for config in [json!(zones("a").to_string()), zones("a")] {
            let mut operation = json!({
                "operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon",
                "parameters": {"SPACEANALYTICS_CONFIG": config, "DETECTOR_NODE_CONFIG": "{\"gpu_index\": 0}"},
            });
            let written = Written::new(operation.to_string());
            assert_eq!(written.scene(), &zones("a"));
            let new = zones("b");
            operation["parameters"]["SPACEANALYTICS_CONFIG"] = match config {
                Value::String(_) => json!(new.to_string()),
                _ => new.clone(),
            };
            let again: Value = serde_json::from_str(&written.with(&new)).unwrap();
            assert_eq!(again, operation);
        }
    }

    #[test]
    fn other_forms_are_drawn_and_not_written() {
        let typed = json!({
            "@type": "#Microsoft.VideoAnalyzer.SpatialAnalysisPersonZoneCrossingOperation",
            "zones": [{
                "zone": {
                    "@type": "#Microsoft.VideoAnalyzer.NamedPolygonString",
                    "name": "a",
                    "polygon": "[[0.25, 0.25], [0.75, 0.25], [0.75, 0.75]]",
                },
                "events": [{"trigger": "event"}],
            }],
        });
        let scene = json!({"zones": [typed["zones"][0].clone()]});
        assert!(Written::new(scene.to_string()).is_writable());
        let wrapped = Written::new(json!({"operation": typed}).to_string());
        let unread = Written::new("not JSON".to_owned());
        for written in [&wrapped, &unread] {
            assert!(!written.is_writable());
        }
        assert_eq!(unread.scene(), &Value::Null);
    }
}

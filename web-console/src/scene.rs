//! The zones and lines of a camera: where they are configured, whether they are right, and how to write them down.

mod replay;
mod written;

pub(crate) use self::replay::replay;
pub(crate) use self::written::Written;

use lva_graph_runtime::Module;
use lva_spatial_analysis::{AnalysisOptions, Operation, OperationError};
use serde_json::{Value, json};

use crate::documents::{self, find, text};

/// Which parameter or member of the documents has a camera's zones and lines.
pub(crate) struct ConfiguredScene {
    /// What the extension reads.
    pub(crate) written: Written,
    /// The parameter of the instance that the console may write it to; `None`: it is in no parameter, or in a form that would lose
    /// something.
    pub(crate) parameter: Option<String>,
    /// The node that is configured so.
    node: Option<String>,
}

/// Reads the configuration of a camera from the documents of its instance.
pub(crate) async fn configured(module: &Module, camera: &str) -> Option<ConfiguredScene> {
    let instance = documents::named(module, "GraphInstanceList", camera).await?;
    let topology_name = text(find(&instance, &["properties"])?, "topologyName");
    let topology = documents::named(module, "GraphTopologyList", &topology_name).await?;
    let processors = find(&topology, &["properties", "processors"]).and_then(Value::as_array);
    let configuration = |node: &Value| {
        let own = find(node, &["extensionConfiguration"]);
        let custom = || find(node, &["operation", "extensionConfiguration"]);
        let member = own.or_else(custom).or_else(|| find(node, &["operation"]))?;
        Some((text(node, "name"), member.clone()))
    };
    let Some((node, member)) = processors.into_iter().flatten().find_map(configuration) else {
        return Some(ConfiguredScene::nothing());
    };
    let (written, parameter) = match &member {
        Value::String(template) => match parameter_name(template) {
            Some(name) => (value_of(&topology, &instance, name), Some(name.to_owned())),
            None => (template.clone(), None),
        },
        typed => (typed.to_string(), None),
    };
    let written = Written::new(written);
    Some(ConfiguredScene {
        parameter: parameter.filter(|_| written.is_writable()),
        written,
        node: Some(node),
    })
}

impl ConfiguredScene {
    fn nothing() -> Self {
        Self {
            written: Written::new(String::new()),
            parameter: None,
            node: None,
        }
    }

    /// As the page has it.
    pub(crate) fn to_json(&self) -> Value {
        let empty = json!({"zones": [], "lines": []});
        let (scene, text) = (self.written.scene(), self.written.text());
        let scene = if scene.is_null() { &empty } else { scene };
        json!({
            "scene": scene,
            "writes": self.parameter.as_ref().map(|_| "parameter"),
            "parameter": self.parameter,
            "node": self.node,
            "forms": forms(scene, self.parameter.as_deref()),
            "findings": match text.is_empty() {
                true => Vec::new(),
                false => findings(scene, text),
            },
        })
    }

    /// The present rules; `None` where the documents have none.
    pub(crate) fn operation(&self) -> Option<Operation> {
        Operation::from_descriptor(self.written.text()).ok().flatten()
    }
}

/// `NAME` of `${NAME}`.
fn parameter_name(template: &str) -> Option<&str> {
    let name = template.trim().strip_prefix("${")?.strip_suffix('}')?;
    (!name.is_empty() && !name.contains(['$', '{', '}'])).then_some(name)
}

/// The value of a parameter, or its default.
fn value_of(topology: &Value, instance: &Value, name: &str) -> String {
    let listed = |document| find(document, &["properties", "parameters"]).and_then(Value::as_array);
    let of = |document, member: &str| {
        let entry = listed(document)
            .into_iter()
            .flatten()
            .find(|entry| text(entry, "name") == name)?;
        let value = find(entry, &[member])?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    of(instance, "value")
        .or_else(|| of(topology, "default"))
        .unwrap_or_default()
}

fn is_empty(scene: &Value) -> bool {
    let has = |name: &str| scene[name].as_array().is_some_and(|all| !all.is_empty());
    !has("zones") && !has("lines")
}

/// Reads a scene as the extension does.
pub(crate) fn read(scene: &Value) -> Result<Operation, OperationError> {
    let operation = Operation::from_json(&scene.to_string())?;
    operation.scene(AnalysisOptions::default().scene())?;
    Ok(operation)
}

/// What is wrong with a scene or looks unusual, each with the shape that it is about.
pub(crate) fn check(scene: &Value) -> Vec<Value> {
    match is_empty(scene) {
        true => Vec::new(),
        false => findings(scene, &scene.to_string()),
    }
}

fn findings(scene: &Value, text: &str) -> Vec<Value> {
    let found = |severity: &str, place: &str, message: &str| {
        // Some findings are about a shape that their message names.
        let shape = shape_at(scene, if place.is_empty() { message } else { place });
        json!({
            "severity": severity,
            "message": if place.is_empty() { message.to_owned() } else { format!("{place}: {message}") },
            "pointer": shape.as_ref().map(|(pointer, _)| pointer),
            "shape": shape.as_ref().map(|(_, name)| name),
        })
    };
    let options = AnalysisOptions::default().scene();
    let read = Operation::from_descriptor(text).and_then(|operation| {
        if let Some(operation) = &operation {
            operation.scene(options)?;
        }
        Ok(operation)
    });
    match read {
        Ok(operation) => operation
            .iter()
            .flat_map(Operation::findings)
            .map(|finding| found("warning", &finding.place, &finding.message))
            .collect(),
        Err(OperationError::Invalid { findings }) => findings
            .iter()
            .map(|finding| found("error", &finding.place, &finding.message))
            .collect(),
        Err(error) => vec![found("error", "", &error.to_string())],
    }
}

/// Pointer and name of the shape that a finding names: `zone "door": threshold`.
fn shape_at(scene: &Value, place: &str) -> Option<(String, String)> {
    let named = |kind: &str| {
        let shapes = scene[kind].as_array()?;
        shapes.iter().enumerate().find_map(|(index, shape)| {
            let name = shape["name"].as_str()?;
            let is_it = place.contains(&format!("\"{name}\""));
            is_it.then(|| (format!("/{kind}/{index}"), name.to_owned()))
        })
    };
    match place.starts_with("line") {
        true => named("lines"),
        false => named("zones").or_else(|| named("lines")),
    }
}

/// The scene in the three forms in which it is configured, as text to copy.
pub(crate) fn forms(scene: &Value, parameter: Option<&str>) -> Value {
    let text = scene.to_string();
    let pretty = |value: &Value| format!("{value:#}");
    json!({
        "operation": pretty(scene),
        "extensionConfiguration": pretty(&json!({"extensionConfiguration": text})),
        "instanceParameter": pretty(&json!({"name": parameter.unwrap_or("scene"), "value": text})),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(name: &str) -> Value {
        json!({"name": name, "polygon": [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]})
    }

    #[test]
    fn findings_name_the_shape_that_they_are_about() {
        let good =
            json!({"zones": [square("a")], "lines": [{"name": "gate", "start": [0.5, 1], "end": [0.5, 0]}]});
        assert_eq!(check(&good), [json!(null); 0]);
        assert!(read(&good).is_ok());
        let mut bad = good.clone();
        bad["zones"][0]["polygon"] = json!([[0.25, 0.25], [0.75, 0.25]]);
        let found = check(&bad);
        assert_eq!(
            (&found[0]["severity"], &found[0]["pointer"], &found[0]["shape"]),
            (&json!("error"), &json!("/zones/0"), &json!("a")),
            "{found:?}"
        );
        bad = good;
        bad["lines"][0]["end"] = json!([0.5, 1]);
        let found = check(&bad);
        assert_eq!(found[0]["pointer"], "/lines/0", "{found:?}");
        assert!(check(&json!({"zones": []})).is_empty());
    }

    #[test]
    fn a_value_that_is_a_parameter_alone_can_be_written() {
        assert_eq!(parameter_name(" ${scene} "), Some("scene"));
        for text in ["", "{}", "${a}${b}", "x${a}", "${}"] {
            assert_eq!(parameter_name(text), None, "{text}");
        }
    }

    #[test]
    fn all_forms_are_read_back() {
        let scene = json!({"zones": [square("a \"quoted\" </script>")]});
        let forms = forms(&scene, Some("where"));
        let parsed = |form: &str| -> Value { serde_json::from_str(forms[form].as_str().unwrap()).unwrap() };
        assert_eq!(parsed("operation"), scene);
        let inner = parsed("extensionConfiguration")["extensionConfiguration"].clone();
        assert_eq!(
            serde_json::from_str::<Value>(inner.as_str().unwrap()).unwrap(),
            scene
        );
        assert_eq!(parsed("instanceParameter")["name"], "where");
    }
}

//! The manifest: which modules run, with which options and routes.

use std::fmt;

use serde_json::{Map, Value};

use super::form;
use crate::diagnostic::{Diagnostic, DiagnosticCode, DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, json_from_slice, step};

/// The most characters in one part of `createOptions`: twins of IoT Edge limit the length of strings. The rest goes to
/// `createOptions01`, `createOptions02` and so on.
pub const CREATE_OPTIONS_PART: usize = 512;

/// The most parts that IoT Edge joins again: `createOptions` to `createOptions99`.
const MAX_PARTS: usize = 100;

/// A deployment manifest as written. **Holds secrets.**
#[derive(Clone, PartialEq)]
pub struct Manifest {
    value: Value,
}

/// A module of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestModule {
    /// Its name.
    pub name: String,
    /// Whether it is one of `systemModules`: `edgeAgent`, `edgeHub`.
    pub is_system: bool,
    /// Its image.
    pub image: Option<String>,
    /// All parts of `createOptions`, joined; empty without any.
    pub create_options: String,
    /// JSON pointer to it.
    pub pointer: String,
}

impl Manifest {
    /// Reads a file's content.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] when it is not a JSON object, or plainly another document. [`validate`](Self::validate) reports everything else.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value = json_from_slice(bytes)?;
        let (value, _) = form::read(value, DocumentKind::Manifest, "a deployment manifest")?;
        Ok(Self { value })
    }

    pub(super) fn of(value: Value) -> Self {
        Self { value }
    }

    /// The JSON. Holds secrets.
    pub fn to_value(&self) -> &Value {
        &self.value
    }

    /// Pretty JSON, for a file. Holds secrets.
    pub fn to_json(&self) -> String {
        format!("{:#}", self.value)
    }

    /// All modules, system modules first, in the order of the document.
    pub fn modules(&self) -> Vec<ManifestModule> {
        let agent = "/modulesContent/$edgeAgent/properties.desired";
        let mut modules = Vec::new();
        for (list, is_system) in [("systemModules", true), ("modules", false)] {
            let at = format!("{agent}/{list}");
            let Some(Value::Object(map)) = self.value.pointer(&at) else {
                continue;
            };
            for (name, module) in map {
                let settings = module.get("settings").and_then(Value::as_object);
                modules.push(ManifestModule {
                    name: name.clone(),
                    is_system,
                    image: settings.and_then(|s| s.get("image")?.as_str()).map(str::to_owned),
                    create_options: settings.map(joined).unwrap_or_default(),
                    pointer: step(&at, name),
                });
            }
        }
        modules
    }

    /// The routes of `$edgeHub`: name and rule.
    pub fn routes(&self) -> Vec<(&str, &str)> {
        let at = "/modulesContent/$edgeHub/properties.desired/routes";
        let routes = self.value.pointer(at).and_then(Value::as_object);
        let routes = routes.into_iter().flatten();
        routes
            .filter_map(|(name, route)| {
                // Newer hubs accept an object with the string in `route`.
                let text = route.as_str().or_else(|| route.get("route")?.as_str())?;
                Some((name.as_str(), text))
            })
            .collect()
    }

    /// All findings, errors first.
    pub fn validate(&self) -> Vec<Diagnostic> {
        let mut findings = Findings::new(DocumentKind::Manifest, Strictness::Open);
        for (module, what) in [
            ("$edgeAgent", "which modules run"),
            ("$edgeHub", "what goes where"),
        ] {
            let at = format!("/modulesContent/{module}/properties.desired");
            if self.value.pointer(&at).and_then(Value::as_object).is_none() {
                let message = format!(
                    "'modulesContent' has no '{module}' with 'properties.desired', which defines {what}"
                );
                findings.error(DiagnosticCode::MemberMissing, "", message);
            }
        }
        let modules = self.modules();
        for module in &modules {
            check_module(module, &mut findings);
        }
        for (name, route) in self.routes() {
            check_route(name, route, &modules, &mut findings);
        }
        leftovers(&self.value, "", &mut findings);
        findings.into_vec()
    }
}

/// The parts of `createOptions` in their order.
fn joined(settings: &Map<String, Value>) -> String {
    // The reader takes names in any case, in their order.
    let mut parts: Vec<(String, &Value)> = settings
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| {
            let number = name.strip_prefix("createoptions");
            number.is_some_and(|n| n.is_empty() || n.len() == 2 && n.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect();
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    let mut text = String::new();
    for (_, part) in parts {
        match part {
            Value::String(part) => text.push_str(part),
            Value::Null => {}
            // Only templates have an object here.
            other => text.push_str(&other.to_string()),
        }
    }
    text
}

/// Splits a string into members of `settings` that a twin accepts.
pub(super) fn split_create_options(text: &str) -> Vec<(String, Value)> {
    let characters: Vec<char> = text.chars().collect();
    let mut parts: Vec<(String, Value)> = characters
        .chunks(CREATE_OPTIONS_PART)
        .enumerate()
        .map(|(i, part)| {
            let name = if i == 0 {
                "createOptions".to_owned()
            } else {
                format!("createOptions{i:02}")
            };
            (name, part.iter().collect::<String>().into())
        })
        .collect();
    if parts.is_empty() {
        parts.push(("createOptions".to_owned(), "".into()));
    }
    parts
}

fn check_module(module: &ManifestModule, findings: &mut Findings) {
    let at = step(&module.pointer, "settings");
    let name = &module.name;
    if module
        .image
        .as_deref()
        .is_none_or(|image| image.trim().is_empty())
    {
        let message = format!("module '{name}' has no image: add 'settings.image'");
        findings.error(DiagnosticCode::MemberMissing, &at, message);
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.chars().all(fits) || name.is_empty() {
        let message =
            format!("the name '{name}' must consist of letters, digits, dashes and underscores: rename it");
        findings.error(DiagnosticCode::InvalidName, &module.pointer, message);
    }
    let options = module.create_options.trim();
    let at = step(&at, "createOptions");
    if !options.is_empty()
        && options != "null"
        && !serde_json::from_str::<Value>(options).is_ok_and(|value| value.is_object())
    {
        let message =
            format!("'createOptions' of module '{name}' is not a string with a JSON object: fix it");
        findings.error(DiagnosticCode::CreateOptionsInvalid, &at, message);
    }
    let most = MAX_PARTS * CREATE_OPTIONS_PART;
    if module.create_options.chars().count() > most {
        let message = format!(
            "'createOptions' of module '{name}' is longer than the {most} characters that IoT Edge takes"
        );
        findings.warning(DiagnosticCode::LimitExceeded, &at, message);
    }
}

/// IoT Edge silently ignores a route between modules that do not exist.
fn check_route(name: &str, route: &str, modules: &[ManifestModule], findings: &mut Findings) {
    let mut rest = route;
    while let Some((_, after)) = rest.split_once("/modules/") {
        let end = after.find(['/', '"', ' ', ')']).unwrap_or(after.len());
        let (module, tail) = after.split_at(end);
        rest = tail;
        if !module.is_empty() && !module.contains('*') && !modules.iter().any(|m| m.name == module) {
            let message = format!("route '{name}' names module '{module}', which the manifest does not have");
            let at = step("/modulesContent/$edgeHub/properties.desired/routes", name);
            findings.warning(DiagnosticCode::ModuleUnknown, &at, message);
        }
    }
}

/// Variables without a value; in capital letters only, as in all published templates.
fn leftovers(value: &Value, at: &str, findings: &mut Findings) {
    match value {
        Value::String(text) => {
            let mut parts = text.split('$').skip(1);
            let is_variable = |part: &str| {
                let name = part.strip_prefix('{').unwrap_or(part);
                let name: &str = name
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .next()
                    .unwrap_or_default();
                name.contains('_') && name.starts_with(|c: char| c.is_ascii_uppercase())
            };
            if parts.any(is_variable) {
                let message = "a variable stands here that nothing has interpolated in: generate the manifest with its value";
                findings.warning(DiagnosticCode::VariableUnset, at, message);
            }
        }
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                leftovers(value, &step(at, &i.to_string()), findings);
            }
        }
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| leftovers(value, &step(at, key), findings)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl fmt::Debug for Manifest {
    /// Without the JSON: it holds keys and passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.modules().into_iter().map(|module| module.name).collect();
        f.debug_struct("Manifest")
            .field("modules", &names)
            .finish_non_exhaustive()
    }
}

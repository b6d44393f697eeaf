//! `deployment.template.json`: a manifest with variables in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use super::environment::EnvironmentFile;
use super::expand::{Expander, sources};
use super::manifest::{Manifest, split_create_options};
use super::module_file::{ModuleFile, ModuleSource};
use crate::diagnostic::{Diagnostic, DiagnosticCode, DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, json_from_slice, json_type, step};

/// A template of a deployment manifest.
#[derive(Clone, PartialEq)]
pub struct DeploymentTemplate {
    value: Value,
}

/// What a template is interpolated with.
#[derive(Debug, Clone, Default)]
pub struct ManifestOptions {
    platform: String,
    environment: EnvironmentFile,
    modules: BTreeMap<ModuleSource, ModuleFile>,
}

/// A manifest and what is worth knowing about it.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedManifest {
    /// The manifest. **Holds secrets.**
    pub manifest: Manifest,
    /// What was missing on the way, and what is odd about the result; errors first.
    pub findings: Vec<Diagnostic>,
}

impl ManifestOptions {
    /// For a platform, such as `amd64` (the published tool's default) or `arm64v8`.
    pub fn new(platform: impl Into<String>) -> Self {
        Self {
            platform: platform.into(),
            ..Self::default()
        }
    }

    /// Sets the variables. None by default.
    pub fn with_environment(mut self, environment: EnvironmentFile) -> Self {
        self.environment = environment;
        self
    }

    /// Adds the module file of a module that the template [names](DeploymentTemplate::modules).
    pub fn with_module(mut self, source: ModuleSource, module: ModuleFile) -> Self {
        self.modules.insert(source, module);
        self
    }
}

impl DeploymentTemplate {
    /// Reads a file's content. A manifest is a template without variables.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] when it is not a JSON object. A variable outside of quotes is not JSON either:
    /// write it as a string, or write its value.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value = json_from_slice(bytes)?;
        if !value.is_object() {
            return Err(DocumentError::WrongShape {
                expected: "a deployment template",
                found: json_type(&value),
                hint: Some("with 'modulesContent'"),
            });
        }
        Ok(Self { value })
    }

    /// The modules whose image it wants. Read the files that they name ([`ModuleSource::path`]), and give those that
    /// there are to [`ManifestOptions::with_module`].
    pub fn modules(&self) -> BTreeSet<ModuleSource> {
        fn visit(value: &Value, found: &mut BTreeSet<ModuleSource>) {
            match value {
                Value::String(text) => found.extend(sources(text)),
                Value::Array(list) => list.iter().for_each(|value| visit(value, found)),
                Value::Object(map) => map.iter().for_each(|(key, value)| {
                    found.extend(sources(key));
                    visit(value, found);
                }),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        let mut found = BTreeSet::new();
        visit(&self.value, &mut found);
        found
    }

    /// Makes the manifest: the template's marker goes, images and variables are put in, `createOptions` become texts.
    ///
    /// A value is put in as it is and not read again, so no value can break the JSON or name another variable. A
    /// variable without a value, or with an empty one, stays as it is written and is reported, as is a module without
    /// a file.
    pub fn generate(&self, options: &ManifestOptions) -> GeneratedManifest {
        let mut findings = Findings::new(DocumentKind::DeploymentTemplate, Strictness::Open);
        let mut expander = Expander::new(&options.platform, &options.environment, &options.modules);
        let mut value = self.value.clone();
        if let Value::Object(map) = &mut value {
            map.shift_remove("$schema-template");
        }
        fill(&mut value, "", "", &mut expander, &mut findings);
        expander.report(&mut findings);
        let manifest = Manifest::of(value);
        for found in manifest.validate() {
            // Variables that stayed were reported with their reason.
            if found.code != DiagnosticCode::VariableUnset {
                findings.push(found);
            }
        }
        GeneratedManifest {
            manifest,
            findings: findings.into_vec(),
        }
    }
}

/// `parent` is the member in which the value stands.
fn fill(value: &mut Value, at: &str, parent: &str, expander: &mut Expander<'_>, findings: &mut Findings) {
    match value {
        Value::String(text) => *text = expander.text(text, at),
        Value::Array(list) => {
            for (i, value) in list.iter_mut().enumerate() {
                fill(value, &step(at, &i.to_string()), "", expander, findings);
            }
        }
        Value::Object(map) => {
            let mut interpolated = Map::new();
            for (key, mut value) in std::mem::take(map) {
                let here = step(at, &key);
                if parent == "settings" && key == "createOptions" {
                    for (name, part) in create_options(value, &here, expander, findings) {
                        interpolated.insert(name, part);
                    }
                    continue;
                }
                fill(&mut value, &here, &key, expander, findings);
                let name = expander.text(&key, &here);
                if interpolated.insert(name.clone(), value).is_some() {
                    let message =
                        format!("'{key}' becomes '{name}', which exists already: the last one wins");
                    findings.warning(DiagnosticCode::MemberDuplicate, &here, message);
                }
            }
            *map = interpolated;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// As a string of compact JSON, split into parts that a twin takes.
fn create_options(
    value: Value,
    at: &str,
    expander: &mut Expander<'_>,
    findings: &mut Findings,
) -> Vec<(String, Value)> {
    let text = match value {
        Value::String(text) => expander.text(&text, at),
        mut other => {
            if !matches!(other, Value::Object(_) | Value::Null) {
                let message = format!(
                    "'createOptions' must be an object or a string, but is {}",
                    json_type(&other)
                );
                findings.error(DiagnosticCode::WrongType, at, message);
            }
            expander.value(&mut other, at, 0);
            if other.is_null() {
                String::new()
            } else {
                other.to_string()
            }
        }
    };
    split_create_options(&text)
}

/// The name of the file that the manifest of a template goes to: `deployment.NAME.PLATFORM.json` for
/// `deployment.NAME.template.json`. `None` when the template's name does not hold `deployment`, by which the published
/// tool knew its templates.
pub fn manifest_file_name(template: &str, platform: &str) -> Option<String> {
    let stem = template.strip_suffix(".json").unwrap_or(template);
    let stem = stem.strip_suffix(".template").unwrap_or(stem);
    stem.contains("deployment")
        .then(|| format!("{stem}.{platform}.json"))
}

impl fmt::Debug for DeploymentTemplate {
    /// Without the JSON: people write keys into it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeploymentTemplate")
            .field("modules", &self.modules())
            .finish_non_exhaustive()
    }
}

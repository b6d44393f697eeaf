//! `deployment.template.json`: a manifest with variables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use super::environment::EnvironmentFile;
use super::expand::{Expander, sources};
use super::form;
use super::manifest::{Manifest, split_create_options};
use super::module_file::{ModuleFile, ModuleSource};
use crate::diagnostic::{Diagnostic, DiagnosticCode, DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, json_from_slice, json_type, step};

/// A template of a deployment manifest.
#[derive(Clone, PartialEq)]
pub struct DeploymentTemplate {
    value: Value,
    /// Which other form it had.
    notes: Vec<Diagnostic>,
}

/// The values for a template: platform, variables, module files.
#[derive(Debug, Clone, Default)]
pub struct ManifestOptions {
    platform: String,
    environment: EnvironmentFile,
    modules: BTreeMap<ModuleSource, ModuleFile>,
}

/// A manifest with the findings about it.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedManifest {
    /// The manifest. **Holds secrets.**
    pub manifest: Manifest,
    /// Missing values, and findings about the manifest; errors first.
    pub findings: Vec<Diagnostic>,
}

impl ManifestOptions {
    /// Options for a platform, such as `amd64` (the published tool's default) or `arm64v8`.
    pub fn new(platform: impl Into<String>) -> Self {
        Self {
            platform: platform.into(),
            ..Self::default()
        }
    }

    /// The variables. Default: none.
    #[must_use]
    pub fn with_environment(mut self, environment: EnvironmentFile) -> Self {
        self.environment = environment;
        self
    }

    /// Adds the module file of a module that the template [names](DeploymentTemplate::modules).
    #[must_use]
    pub fn with_module(mut self, source: ModuleSource, module: ModuleFile) -> Self {
        self.modules.insert(source, module);
        self
    }
}

impl DeploymentTemplate {
    /// Reads a file's content. A manifest without variables is a template too, and so is a deployment as a hub returns it, with
    /// the manifest in `content`.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] when it is not a JSON object, or plainly another document. A variable outside of quotes is not JSON either:
    /// write it as a string, or write its value.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value = json_from_slice(bytes)?;
        let (value, notes) = form::read(value, DocumentKind::DeploymentTemplate, "a deployment template")?;
        Ok(Self { value, notes })
    }

    /// The modules whose images it references. Read their files ([`ModuleSource::path`]), and pass those that exist to
    /// [`ManifestOptions::with_module`].
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

    /// Generates the manifest: removes the template's marker, inserts images and variables, and writes `createOptions` as
    /// strings.
    ///
    /// A value is inserted as it is and not expanded again, so no value can break the JSON or name another variable. Variables
    /// without a value, or with an empty one, stay as written and are reported. So are modules without a file.
    pub fn generate(&self, options: ManifestOptions) -> GeneratedManifest {
        let mut findings = Findings::new(DocumentKind::DeploymentTemplate, Strictness::Open);
        for note in &self.notes {
            findings.push(note.clone());
        }
        let mut expander = Expander::new(&options.platform, &options.environment, &options.modules);
        let mut value = self.value.clone();
        if let Value::Object(map) = &mut value {
            map.shift_remove("$schema-template");
        }
        fill(&mut value, "", "", &mut expander, &mut findings);
        expander.report(&mut findings);
        let manifest = Manifest::of(value);
        for found in manifest.validate() {
            // Variables without a value are reported already, with their reason.
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

/// `parent` is the member that contains the value.
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

/// Writes compact JSON, split into parts that a twin accepts.
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

/// The file name of a template's manifest: `deployment.NAME.PLATFORM.json` for `deployment.NAME.template.json`. `None` unless
/// the template's name contains `deployment`, as the published tool requires.
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

//! Topologies as written.

use std::fmt;

use serde_json::{Map, Value};

use crate::custom::CustomNodeTypes;
use crate::diagnostic::{DiagnosticCode, DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, envelope, json_from_slice, member, scalar_string, spelled};
use crate::form::{self, Form, Wanted};
use crate::generation::{Family, Generation};
use crate::parameter::{ParameterDeclaration, ParameterType};
use crate::read::members::Members;
use lva_media_types::SecretString;

/// A topology as written: the JSON stays as it came, unknown members included, beside what is read from it.
///
/// Reading is tolerant as the original was: members and words without case, numbers and booleans as strings,
/// `${}` anywhere, a byte-order mark. Where the meaning is plain, other forms are read too, and held in the contract's:
/// a topology in a method call, in its answer, in a wrapper or a resource template, and members as the Python packages
/// write them. Findings report how, and point into the document as it was written. A topology that was read may still be
/// wrong: [`validate`](Self::validate) reports everything.
#[derive(Clone)]
pub struct Topology {
    value: Value,
    name: String,
    generation: Generation,
    custom_types: CustomNodeTypes,
    form: Form,
}

/// How it was written does not count.
impl PartialEq for Topology {
    fn eq(&self, other: &Self) -> bool {
        let same_text = self.value == other.value && self.name == other.name;
        same_text && self.generation == other.generation && self.custom_types == other.custom_types
    }
}

/// How many nodes a topology has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeCounts {
    /// In `sources`.
    pub sources: usize,
    /// In `processors`.
    pub processors: usize,
    /// In `sinks`.
    pub sinks: usize,
}

impl Topology {
    /// Reads a file's content.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] when it is not JSON, not a topology, or a topology of the cloud service; it names other documents
    /// that it recognises.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DocumentError> {
        Self::from_value(json_from_slice(bytes)?)
    }

    /// Reads a string.
    ///
    /// # Errors
    ///
    /// As [`from_slice`](Self::from_slice).
    pub fn from_json(text: &str) -> Result<Self, DocumentError> {
        Self::from_slice(text.as_bytes())
    }

    /// Takes JSON that was parsed already, for example the payload of a method.
    ///
    /// # Errors
    ///
    /// As [`from_slice`](Self::from_slice), except for syntax errors.
    pub fn from_value(value: Value) -> Result<Self, DocumentError> {
        let (value, form) = form::read(value, Wanted::Topology)?;
        let (map, name) = envelope(&value, "a topology")?;
        if let Some(mark) = cloud_mark(map) {
            return Err(DocumentError::CloudTopology { name, mark });
        }
        let generation = generation_of(map);
        Ok(Self {
            value,
            name,
            generation,
            custom_types: CustomNodeTypes::default(),
            form,
        })
    }

    /// The same topology, as written in another form.
    pub(crate) fn with_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    pub(crate) fn form(&self) -> &Form {
        &self.form
    }

    /// The same topology, in which nodes of these types are understood beside those of the contract, wherever it is looked at:
    /// validation, resolution, conversion, diagrams. By default there are none, and such nodes are of an unknown type.
    #[must_use]
    pub fn with_custom_types(mut self, custom_types: CustomNodeTypes) -> Self {
        self.custom_types = custom_types;
        self
    }

    /// Types that are understood beside those of the contract.
    pub fn custom_types(&self) -> &CustomNodeTypes {
        &self.custom_types
    }

    /// The name by which instances refer to it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The generation, from the prefix of its types and from `@apiVersion`; where that is missing, from types
    /// and members that only one generation has.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// `@apiVersion` as written.
    pub fn api_version(&self) -> Option<String> {
        member(self.map()?, "@apiVersion").and_then(|(_, value)| scalar_string(value))
    }

    /// Its author's description.
    pub fn description(&self) -> Option<&str> {
        member(self.properties()?, "description").and_then(|(_, value)| value.as_str())
    }

    /// Its parameters, except for invalid ones.
    pub fn parameters(&self) -> Vec<ParameterDeclaration> {
        self.declarations(&mut Findings::new(DocumentKind::Topology, Strictness::Open))
    }

    /// How many sources, processors and sinks are written down.
    pub fn node_counts(&self) -> NodeCounts {
        let count = |list| {
            let list = self.properties().and_then(|p| member(p, list));
            list.and_then(|(_, value)| value.as_array()).map_or(0, Vec::len)
        };
        NodeCounts {
            sources: count("sources"),
            processors: count("processors"),
            sinks: count("sinks"),
        }
    }

    /// The JSON as it was read, in the contract's form. Holds whatever secrets its author wrote into it.
    pub fn to_value(&self) -> &Value {
        &self.value
    }

    /// Pretty JSON, for a file. Holds whatever secrets its author wrote into it.
    pub fn to_json(&self) -> String {
        format!("{:#}", self.value)
    }

    pub(crate) fn map(&self) -> Option<&Map<String, Value>> {
        self.value.as_object()
    }

    fn properties(&self) -> Option<&Map<String, Value>> {
        member(self.map()?, "properties").and_then(|(_, value)| value.as_object())
    }

    /// The declarations, with findings about those that cannot be read.
    pub(crate) fn declarations(&self, findings: &mut Findings) -> Vec<ParameterDeclaration> {
        let Some(map) = self.map() else { return Vec::new() };
        let mut topology = Members::new(map, String::new(), "a topology".to_owned());
        // Types of `properties` and its lists are checked by the pass that reads the nodes.
        let mut silent = Findings::new(DocumentKind::Topology, Strictness::Open);
        let Some(mut properties) = topology.object("properties", &mut silent) else {
            return Vec::new();
        };
        let list = properties.list("parameters", findings);
        let mut declarations = Vec::with_capacity(list.len());
        for item in list {
            let Some(mut entry) = properties.item(item, "a parameter's declaration".to_owned(), findings)
            else {
                continue;
            };
            declarations.extend(declaration(&mut entry, findings));
            entry.finish(findings);
        }
        declarations
    }
}

fn declaration(entry: &mut Members<'_>, findings: &mut Findings) -> Option<ParameterDeclaration> {
    let description = entry
        .get("description")
        .and_then(|(value, _)| scalar_string(value));
    let default = entry.string("default", "a default", findings);
    let name = entry.required_name(findings)?;
    entry.what = format!("parameter '{name}'");
    let parameter_type = match entry.get("type") {
        None => {
            entry.missing("type", findings);
            // As with a type that is not known: perhaps it is secret.
            ParameterType::SecretString
        }
        Some((value, at)) => scalar_string(value)
            .and_then(|text| ParameterType::from_name(&text))
            .unwrap_or_else(|| {
                let message = format!(
                    "the type of parameter '{name}' is unknown: write String, SecretString, Int, Double or Bool"
                );
                findings.error(DiagnosticCode::ParameterTypeUnknown, &at, message);
                // Its purpose is unknown, so it is treated as secret.
                ParameterType::SecretString
            }),
    };
    Some(ParameterDeclaration {
        name,
        parameter_type,
        description,
        default: default.map(SecretString::new),
        pointer: entry.at.clone(),
    })
}

/// By what a topology of the cloud service is recognised.
fn cloud_mark(map: &Map<String, Value>) -> Option<&'static str> {
    if member(map, "kind").is_some() {
        return Some("'kind'");
    }
    if member(map, "sku").is_some() {
        return Some("'sku'");
    }
    let resource = member(map, "type")
        .and_then(|(_, value)| value.as_str())
        .unwrap_or_default();
    if resource
        .to_ascii_lowercase()
        .ends_with("videoanalyzers/pipelinetopologies")
    {
        return Some("the 'type' of one of its resources");
    }
    node_types(map).find_map(|text| match Family::split_type(text) {
        Some((_, local)) if local.eq_ignore_ascii_case("VideoSource") => Some("a VideoSource"),
        Some((_, local)) if local.eq_ignore_ascii_case("EncoderProcessor") => Some("an EncoderProcessor"),
        _ => None,
    })
}

fn nodes(map: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let properties = member(map, "properties").and_then(|(_, value)| value.as_object());
    ["sources", "processors", "sinks"]
        .into_iter()
        .filter_map(move |list| member(properties?, list)?.1.as_array())
        .flatten()
        .filter_map(Value::as_object)
}

fn node_types(map: &Map<String, Value>) -> impl Iterator<Item = &str> {
    nodes(map).filter_map(|node| member(node, "@type")?.1.as_str())
}

fn generation_of(map: &Map<String, Value>) -> Generation {
    let family = node_types(map).find_map(|text| Some(Family::split_type(text)?.0));
    let version = member(map, "@apiVersion").and_then(|(_, value)| scalar_string(value));
    let version = version.as_deref().map(str::trim);
    if let Some(generation) = version.and_then(|v| Generation::of(family.unwrap_or(Family::Lva), v)) {
        return generation;
    }
    match (family, version) {
        (None, Some("1.1")) => Generation::VideoAnalyzer1_1,
        (Some(Family::VideoAnalyzer), _) => Generation::VideoAnalyzer1_1,
        _ if has_marks_of_lva_1(map) => Generation::Lva1,
        _ => Generation::Lva2,
    }
}

/// Types and members that went with LVA 1.0.
fn has_marks_of_lva_1(map: &Map<String, Value>) -> bool {
    nodes(map).any(|node| {
        let local = member(node, "@type").and_then(|(_, value)| Family::split_type(value.as_str()?));
        let format = member(node, "image")
            .and_then(|(_, image)| member(image.as_object()?, "format"))
            .and_then(|(_, format)| member(format.as_object()?, "@type"))
            .and_then(|(_, text)| Family::split_type(text.as_str()?));
        local.is_some_and(|(_, local)| {
            local.eq_ignore_ascii_case("FrameRateFilterProcessor")
                || local.eq_ignore_ascii_case("RealTimeComputerVisionExtension")
        }) || format.is_some_and(|(_, format)| format.eq_ignore_ascii_case("ImageFormatEncoded"))
            || member(node, "filePathPattern").is_some()
    })
}

impl fmt::Debug for Topology {
    /// Without the JSON: people write passwords into it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topology")
            .field("name", &self.name)
            .field("generation", &self.generation)
            .field("nodes", &self.node_counts())
            .finish_non_exhaustive()
    }
}

/// Longest name of a topology or instance that the retired product took, in characters.
pub(crate) const MAX_NAME: usize = 32;

/// Checks the name of a topology or instance.
pub(crate) fn check_name(name: &str, what: &str, document: &Value, findings: &mut Findings) {
    let at = spelled(document, &["name"]);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() {
        findings.error(
            DiagnosticCode::InvalidName,
            &at,
            format!("the name of the {what} is empty: give it one"),
        );
    } else if !name.chars().all(fits) || name.starts_with('-') || name.ends_with('-') {
        let message = format!(
            "the name '{name}' of the {what} must consist of letters, digits and dashes, without a dash first or \
             last: rename it"
        );
        findings.error(DiagnosticCode::InvalidName, &at, message);
    }
    if name.chars().count() > MAX_NAME {
        let message = format!("the name of the {what} has more than {MAX_NAME} characters: shorten it");
        findings.rule(DiagnosticCode::LimitExceeded, &at, message);
    }
}

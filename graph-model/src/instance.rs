//! Instances as written.

use std::fmt;

use serde_json::{Map, Value};

use crate::diagnostic::{DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, envelope, json_from_slice, member};
use crate::form::{self, Form, Wanted};
use crate::parameter::ParameterValue;
use crate::read::members::Members;
use lva_media_types::SecretString;

/// An instance as written (graph instance, live pipeline): the name of a topology, and values for its
/// parameters.
///
/// Other forms are read as [`Topology`](crate::Topology) reads them.
#[derive(Clone)]
pub struct Instance {
    value: Value,
    name: String,
    topology_name: String,
    form: Form,
}

/// How it was written does not count.
impl PartialEq for Instance {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.name == other.name && self.topology_name == other.topology_name
    }
}

impl Instance {
    /// Reads a file's content.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] when it is not JSON or not an instance.
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

    /// Takes JSON that was parsed already.
    ///
    /// # Errors
    ///
    /// As [`from_slice`](Self::from_slice), except for syntax errors.
    pub fn from_value(value: Value) -> Result<Self, DocumentError> {
        let (value, form) = form::read(value, Wanted::Instance)?;
        let (map, name) = envelope(&value, "an instance")?;
        let properties = member(map, "properties").and_then(|(_, value)| value.as_object());
        let topology_name = properties
            .and_then(|p| member(p, "topologyName")?.1.as_str())
            .unwrap_or_default()
            .to_owned();
        Ok(Self {
            value,
            name,
            topology_name,
            form,
        })
    }

    pub(crate) fn form(&self) -> &Form {
        &self.form
    }

    /// The same instance, as written in another form.
    pub(crate) fn with_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Makes one from its parts.
    pub fn new<'p>(
        name: &str,
        topology_name: &str,
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Self {
        let parameters = parameters.into_iter();
        let parameters: Vec<_> = parameters
            .map(|(name, value)| serde_json::json!({"name": name, "value": value}))
            .collect();
        Self {
            value: serde_json::json!({
                "name": name,
                "properties": {"topologyName": topology_name, "parameters": parameters},
            }),
            name: name.to_owned(),
            topology_name: topology_name.to_owned(),
            form: Form::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its topology; empty where it names none.
    pub fn topology_name(&self) -> &str {
        &self.topology_name
    }

    /// Its author's description.
    pub fn description(&self) -> Option<&str> {
        let properties = member(self.map()?, "properties")?.1.as_object()?;
        member(properties, "description").and_then(|(_, value)| value.as_str())
    }

    /// The parameters that it sets, except for invalid ones.
    pub fn parameters(&self) -> Vec<ParameterValue> {
        self.values(&mut Findings::new(DocumentKind::Instance, Strictness::Open))
    }

    /// The JSON as it was read, in the contract's form. Holds secrets.
    pub fn to_value(&self) -> &Value {
        &self.value
    }

    /// Pretty JSON, for a file. Holds secrets.
    pub fn to_json(&self) -> String {
        format!("{:#}", self.value)
    }

    pub(crate) fn map(&self) -> Option<&Map<String, Value>> {
        self.value.as_object()
    }

    /// Reads the envelope and the parameters, with everything that is wrong about them.
    pub(crate) fn values(&self, findings: &mut Findings) -> Vec<ParameterValue> {
        let Some(map) = self.map() else { return Vec::new() };
        let mut instance = Members::new(map, String::new(), "an instance".to_owned());
        for name in ["@apiVersion", "name", "systemData"] {
            instance.allow(name);
        }
        let mut values = Vec::new();
        match instance.object("properties", findings) {
            None => instance.missing("properties", findings),
            Some(mut properties) => {
                for name in ["description", "state"] {
                    properties.allow(name);
                }
                if properties.get("topologyName").is_none() || self.topology_name.is_empty() {
                    properties.missing("topologyName", findings);
                }
                for item in properties.list("parameters", findings) {
                    let what = "a parameter of an instance".to_owned();
                    let Some(mut entry) = properties.item(item, what, findings) else {
                        continue;
                    };
                    values.extend(value(&mut entry, findings));
                    entry.finish(findings);
                }
                properties.finish(findings);
            }
        }
        instance.finish(findings);
        values
    }
}

fn value(entry: &mut Members<'_>, findings: &mut Findings) -> Option<ParameterValue> {
    let value = entry.string("value", "the value of a parameter", findings);
    Some(ParameterValue {
        name: entry.required_name(findings)?,
        value: value.map(SecretString::new),
        pointer: entry.at.clone(),
    })
}

impl fmt::Debug for Instance {
    /// Without the JSON: parameters hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.name)
            .field("topology_name", &self.topology_name)
            .finish_non_exhaustive()
    }
}

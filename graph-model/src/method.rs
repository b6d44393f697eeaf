//! Direct methods: names, requests, answers.

mod error;

pub use error::{ErrorDetail, Fault, MethodError};

use std::fmt;

use serde_json::{Map, Value, json};

use crate::diagnostic::Diagnostic;
use crate::document::{DocumentError, kind_of, member, scalar_text};
use crate::generation::{Family, Generation};
use crate::instance::Instance;
use crate::topology::Topology;

/// A direct method of either family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GraphTopologySet`, `pipelineTopologySet`: creates or replaces a topology.
    TopologySet,
    /// `GraphTopologyGet`, `pipelineTopologyGet`
    TopologyGet,
    /// `GraphTopologyList`, `pipelineTopologyList`
    TopologyList,
    /// `GraphTopologyDelete`, `pipelineTopologyDelete`
    TopologyDelete,
    /// `GraphInstanceSet`, `livePipelineSet`: creates or replaces an instance.
    InstanceSet,
    /// `GraphInstanceGet`, `livePipelineGet`
    InstanceGet,
    /// `GraphInstanceList`, `livePipelineList`
    InstanceList,
    /// `GraphInstanceActivate`, `livePipelineActivate`
    InstanceActivate,
    /// `GraphInstanceDeactivate`, `livePipelineDeactivate`
    InstanceDeactivate,
    /// `GraphInstanceDelete`, `livePipelineDelete`
    InstanceDelete,
}

impl Method {
    /// Every method, in the order in which a life usually goes.
    pub const ALL: [Self; 10] = [
        Self::TopologySet,
        Self::TopologyGet,
        Self::TopologyList,
        Self::InstanceSet,
        Self::InstanceGet,
        Self::InstanceList,
        Self::InstanceActivate,
        Self::InstanceDeactivate,
        Self::InstanceDelete,
        Self::TopologyDelete,
    ];

    /// Its name on the wire.
    pub fn name(self, family: Family) -> &'static str {
        match (self, family) {
            (Self::TopologySet, Family::Lva) => "GraphTopologySet",
            (Self::TopologySet, Family::VideoAnalyzer) => "pipelineTopologySet",
            (Self::TopologyGet, Family::Lva) => "GraphTopologyGet",
            (Self::TopologyGet, Family::VideoAnalyzer) => "pipelineTopologyGet",
            (Self::TopologyList, Family::Lva) => "GraphTopologyList",
            (Self::TopologyList, Family::VideoAnalyzer) => "pipelineTopologyList",
            (Self::TopologyDelete, Family::Lva) => "GraphTopologyDelete",
            (Self::TopologyDelete, Family::VideoAnalyzer) => "pipelineTopologyDelete",
            (Self::InstanceSet, Family::Lva) => "GraphInstanceSet",
            (Self::InstanceSet, Family::VideoAnalyzer) => "livePipelineSet",
            (Self::InstanceGet, Family::Lva) => "GraphInstanceGet",
            (Self::InstanceGet, Family::VideoAnalyzer) => "livePipelineGet",
            (Self::InstanceList, Family::Lva) => "GraphInstanceList",
            (Self::InstanceList, Family::VideoAnalyzer) => "livePipelineList",
            (Self::InstanceActivate, Family::Lva) => "GraphInstanceActivate",
            (Self::InstanceActivate, Family::VideoAnalyzer) => "livePipelineActivate",
            (Self::InstanceDeactivate, Family::Lva) => "GraphInstanceDeactivate",
            (Self::InstanceDeactivate, Family::VideoAnalyzer) => "livePipelineDeactivate",
            (Self::InstanceDelete, Family::Lva) => "GraphInstanceDelete",
            (Self::InstanceDelete, Family::VideoAnalyzer) => "livePipelineDelete",
        }
    }

    /// The method of a name, compared without case: people mix up the two families' habits.
    pub fn from_name(name: &str) -> Option<(Family, Self)> {
        let families = [Family::Lva, Family::VideoAnalyzer];
        families.into_iter().find_map(|family| {
            Self::ALL
                .into_iter()
                .find(|method| method.name(family).eq_ignore_ascii_case(name.trim()))
                .map(|method| (family, method))
        })
    }
}

/// Methods of the contract that this crate knows by name and does not serve.
const NOT_SERVED: [&str; 6] = [
    "remoteDeviceAdapterSet",
    "remoteDeviceAdapterGet",
    "remoteDeviceAdapterList",
    "remoteDeviceAdapterDelete",
    "onvifDeviceDiscover",
    "onvifDeviceGet",
];

/// A method with its payload, read and typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The family in whose words it was called.
    pub family: Family,
    /// The method.
    pub method: Method,
    /// The generation that `@apiVersion` and the family give.
    pub generation: Generation,
    /// What it is about.
    pub body: RequestBody,
}

/// The payload of a method beside `@apiVersion`.
#[derive(Debug, Clone, PartialEq)]
pub enum RequestBody {
    /// `…TopologySet`
    Topology(Topology),
    /// `…InstanceSet`, `livePipelineSet`
    Instance(Instance),
    /// `…Get`, `…Delete`, `…Activate`, `…Deactivate`: a name.
    Name(String),
    /// `…List`
    List {
        /// `@continuationToken` of the answer before.
        continuation_token: Option<String>,
    },
}

impl Request {
    /// Reads a call as it comes from the hub.
    ///
    /// # Errors
    ///
    /// [`MethodError`] with status 501 for methods that are not known or not served, and 400 for payloads
    /// that are none.
    pub fn parse(name: &str, payload: &Value) -> Result<Self, MethodError> {
        let Some((family, method)) = Method::from_name(name) else {
            let served = !NOT_SERVED
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name.trim()));
            let fault = if served {
                Fault::UnknownMethod
            } else {
                Fault::NotServed
            };
            return Err(MethodError::new(name, None, fault));
        };
        let name = method.name(family);
        let fail = |fault| MethodError::new(name, None, fault);
        let map = match payload {
            Value::Null => return Err(fail(Fault::PayloadMissing)),
            Value::Object(map) => map,
            other => {
                return Err(fail(Fault::PayloadShape {
                    found: kind_of(other),
                }));
            }
        };
        let generation = match member(map, "@apiVersion").and_then(|(_, value)| scalar_text(value)) {
            None => return Err(fail(Fault::ApiVersionMissing { family })),
            Some(version) => Generation::of(family, version.trim())
                .ok_or_else(|| fail(Fault::ApiVersionNotSupported { version, family }))?,
        };
        let body = match method {
            Method::TopologySet => {
                let topology = Topology::from_value(payload.clone());
                RequestBody::Topology(topology.map_err(|error| fail(Fault::document(error)))?)
            }
            Method::InstanceSet => {
                let instance = Instance::from_value(payload.clone());
                RequestBody::Instance(instance.map_err(|error| fail(Fault::document(error)))?)
            }
            Method::TopologyList | Method::InstanceList => list(map).map_err(fail)?,
            Method::TopologyGet
            | Method::TopologyDelete
            | Method::InstanceGet
            | Method::InstanceActivate
            | Method::InstanceDeactivate
            | Method::InstanceDelete => match member(map, "name").map(|(_, value)| value) {
                Some(Value::String(name)) => RequestBody::Name(name.clone()),
                _ => {
                    return Err(fail(Fault::document(DocumentError::NameMissing {
                        what: "the payload",
                    })));
                }
            },
        };
        Ok(Self {
            family,
            method,
            generation,
            body,
        })
    }

    /// The payload that a client sends for this request.
    pub fn to_payload(&self) -> Value {
        let mut payload = match &self.body {
            RequestBody::Topology(topology) => topology.to_value().clone(),
            RequestBody::Instance(instance) => instance.to_value().clone(),
            RequestBody::Name(name) => json!({"name": name}),
            RequestBody::List {
                continuation_token: None,
            } => json!({}),
            RequestBody::List {
                continuation_token: Some(token),
            } => json!({"@continuationToken": token}),
        };
        if let Value::Object(map) = &mut payload
            && member(map, "@apiVersion").is_none()
        {
            map.insert("@apiVersion".to_owned(), self.generation.api_version().into());
        }
        payload
    }
}

fn list(map: &Map<String, Value>) -> Result<RequestBody, Fault> {
    if let Some((_, query)) = member(map, "@query") {
        let query = scalar_text(query).unwrap_or_default();
        let words: Vec<&str> = query
            .trim()
            .split(['=', ' '])
            .filter(|word| !word.is_empty())
            .collect();
        let known = [vec!["$orderby", "name", "asc"], vec!["$orderby", "name"], vec![]];
        let matches = |other: &Vec<&str>| {
            other.len() == words.len() && other.iter().zip(&words).all(|(a, b)| a.eq_ignore_ascii_case(b))
        };
        if !known.iter().any(matches) {
            return Err(Fault::QueryNotSupported { query });
        }
    }
    let continuation_token = member(map, "@continuationToken").and_then(|(_, token)| scalar_text(token));
    Ok(RequestBody::List { continuation_token })
}

/// What a method answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// Status in the manner of HTTP.
    pub status: u16,
    /// Payload; null where there is none.
    pub payload: Value,
    /// Warnings and hints about the document that was set. They are not part of the wire; log them.
    pub findings: Vec<Diagnostic>,
}

impl Response {
    pub(crate) fn empty(status: u16) -> Self {
        Self::with(status, Value::Null)
    }

    pub(crate) fn with(status: u16, payload: Value) -> Self {
        Self {
            status,
            payload,
            findings: Vec::new(),
        }
    }
}

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstanceState {
    /// Does nothing; can be changed and deleted.
    Inactive,
    /// Starts.
    Activating,
    /// Runs.
    Active,
    /// Finishes what it has.
    Deactivating,
}

impl InstanceState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Inactive, Self::Activating, Self::Active, Self::Deactivating];

    /// The word that a family has for it.
    pub fn word(self, family: Family) -> &'static str {
        match (self, family) {
            (Self::Inactive, Family::Lva) => "Inactive",
            (Self::Inactive, Family::VideoAnalyzer) => "inactive",
            (Self::Activating, Family::Lva) => "Activating",
            (Self::Activating, Family::VideoAnalyzer) => "activating",
            (Self::Active, Family::Lva) => "Active",
            (Self::Active, Family::VideoAnalyzer) => "active",
            (Self::Deactivating, Family::Lva) => "Deactivating",
            (Self::Deactivating, Family::VideoAnalyzer) => "deactivating",
        }
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word(Family::Lva))
    }
}

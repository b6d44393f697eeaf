//! Direct methods: names, requests, answers.

mod error;

pub use error::{ErrorDetail, Fault, MethodError};

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::adapter::DeviceAdapter;
use crate::custom::CustomNodeTypes;
use crate::diagnostic::{Code, Diagnostic, DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, kind_of, member, scalar_text};
use crate::generation::{Family, Generation};
use crate::graph::Endpoint;
use crate::instance::Instance;
use crate::parameter::Bindings;
use crate::read::Reader;
use crate::read::endpoint::Peer;
use crate::read::members::Members;
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
    /// `remoteDeviceAdapterSet`: creates or replaces a device adapter.
    AdapterSet,
    /// `remoteDeviceAdapterGet`
    AdapterGet,
    /// `remoteDeviceAdapterList`
    AdapterList,
    /// `remoteDeviceAdapterDelete`
    AdapterDelete,
    /// `onvifDeviceDiscover`: looks for cameras in the network.
    DeviceDiscover,
    /// `onvifDeviceGet`: asks a camera what it has.
    DeviceGet,
}

impl Method {
    /// Every method, in the order in which a life usually goes.
    pub const ALL: [Self; 16] = [
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
        Self::AdapterSet,
        Self::AdapterGet,
        Self::AdapterList,
        Self::AdapterDelete,
        Self::DeviceDiscover,
        Self::DeviceGet,
    ];

    /// Whether a family has it: methods of device adapters and ONVIF are Video Analyzer's alone.
    pub fn is_in(self, family: Family) -> bool {
        match self {
            Self::AdapterSet
            | Self::AdapterGet
            | Self::AdapterList
            | Self::AdapterDelete
            | Self::DeviceDiscover
            | Self::DeviceGet => family == Family::VideoAnalyzer,
            _ => true,
        }
    }

    /// Its name on the wire; the one that there is where only Video Analyzer [has it](Self::is_in).
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
            (Self::AdapterSet, _) => "remoteDeviceAdapterSet",
            (Self::AdapterGet, _) => "remoteDeviceAdapterGet",
            (Self::AdapterList, _) => "remoteDeviceAdapterList",
            (Self::AdapterDelete, _) => "remoteDeviceAdapterDelete",
            (Self::DeviceDiscover, _) => "onvifDeviceDiscover",
            (Self::DeviceGet, _) => "onvifDeviceGet",
        }
    }

    /// The method of a name, compared without case: people mix up the two families' habits.
    pub fn from_name(name: &str) -> Option<(Family, Self)> {
        let families = [Family::Lva, Family::VideoAnalyzer];
        families.into_iter().find_map(|family| {
            Self::ALL
                .into_iter()
                .filter(|method| method.is_in(family))
                .find(|method| method.name(family).eq_ignore_ascii_case(name.trim()))
                .map(|method| (family, method))
        })
    }
}

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
    /// `remoteDeviceAdapterSet`
    Adapter(DeviceAdapter),
    /// `onvifDeviceDiscover`
    Discover {
        /// `discoveryDuration`: how long answers are waited for. 8 s where the payload says nothing; at most a minute.
        duration: Duration,
    },
    /// `onvifDeviceGet`
    Device {
        /// `endpoint` as written; holds a password.
        written: Value,
        /// The device's service, read.
        endpoint: Box<Endpoint>,
    },
    /// `…Get`, `…Delete`, `…Activate`, `…Deactivate`: a name.
    Name(String),
    /// `…List`
    List {
        /// `@continuationToken` of the answer before.
        continuation_token: Option<String>,
    },
}

impl RequestBody {
    /// The name of the one thing that it is about, for the answer where that fails.
    pub(crate) fn subject(&self) -> Option<&str> {
        match self {
            Self::Topology(topology) => Some(topology.name()),
            Self::Instance(instance) => Some(instance.name()),
            Self::Adapter(adapter) => Some(adapter.name()),
            Self::Name(name) => Some(name),
            Self::Discover { .. } | Self::Device { .. } | Self::List { .. } => None,
        }
    }
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
            return Err(MethodError::new(name, None, Fault::UnknownMethod));
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
            Method::AdapterSet => {
                let adapter = DeviceAdapter::from_value(payload.clone());
                RequestBody::Adapter(adapter.map_err(|error| fail(Fault::document(error)))?)
            }
            Method::DeviceDiscover => discover(map).map_err(fail)?,
            Method::DeviceGet => device(map).map_err(fail)?,
            Method::TopologyList | Method::InstanceList | Method::AdapterList => list(map).map_err(fail)?,
            Method::TopologyGet
            | Method::TopologyDelete
            | Method::InstanceGet
            | Method::InstanceActivate
            | Method::InstanceDeactivate
            | Method::AdapterGet
            | Method::AdapterDelete
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
            RequestBody::Adapter(adapter) => adapter.to_value().clone(),
            RequestBody::Discover { duration } => {
                let seconds = duration.as_millis() as f64 / 1000.0;
                json!({"discoveryDuration": format!("PT{seconds}S")})
            }
            RequestBody::Device { written, .. } => json!({"endpoint": written}),
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

/// How long a discovery takes where nobody says, and at most.
const USUAL_DISCOVERY: Duration = Duration::from_secs(8);
const LONGEST_DISCOVERY: Duration = Duration::from_secs(60);

fn discover(map: &Map<String, Value>) -> Result<RequestBody, Fault> {
    with_reader(map, |reader, members| {
        let duration = reader
            .duration(members, "discoveryDuration")
            .unwrap_or(USUAL_DISCOVERY);
        if duration.is_zero() || duration > LONGEST_DISCOVERY {
            let message = "'discoveryDuration' has to be above 0 and at most PT1M";
            reader
                .findings
                .error(Code::OutOfRange, "/discoveryDuration", message);
        }
        Some(RequestBody::Discover { duration })
    })
}

fn device(map: &Map<String, Value>) -> Result<RequestBody, Fault> {
    with_reader(map, |reader, members| {
        let endpoint = Box::new(reader.endpoint(members, Peer::Http)?);
        let (written, _) = members.get("endpoint")?;
        Some(RequestBody::Device {
            written: written.clone(),
            endpoint,
        })
    })
}

/// Reads a payload that is no document, with everything that is wrong about it.
fn with_reader(
    map: &Map<String, Value>,
    read: impl FnOnce(&mut Reader<'_>, &mut Members<'_>) -> Option<RequestBody>,
) -> Result<RequestBody, Fault> {
    let mut findings = Findings::new(DocumentKind::Payload, Strictness::Open);
    let bindings = Bindings::of_defaults(&[], &mut findings);
    let mut members = Members::new(map, String::new(), "the payload".to_owned());
    members.allow("@apiVersion");
    let custom_types = CustomNodeTypes::default();
    let mut reader = Reader {
        bindings: &bindings,
        findings: &mut findings,
        generation: Generation::VideoAnalyzer1_1,
        custom_types: &custom_types,
        topology_name: "",
        instance_name: None,
    };
    let body = read(&mut reader, &mut members);
    members.finish(&mut findings);
    match body {
        Some(body) if !findings.has_errors() => Ok(body),
        _ => Err(Fault::InvalidPayload {
            findings: findings.into_vec(),
        }),
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

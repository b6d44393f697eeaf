//! Direct methods: names, requests, answers.

mod error;

pub use error::{ErrorDetail, Fault, MethodError};

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::adapter::DeviceAdapter;
use crate::diagnostic::{Diagnostic, DiagnosticCode, DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, json_type, member, scalar_string};
use crate::generation::{Family, Generation};
use crate::graph::Endpoint;
use crate::instance::Instance;
use crate::onvif::{DiscoveredDevice, MAX_DISCOVERED_DEVICES, OnvifDevice};
use crate::read::endpoint::Peer;
use crate::read::members::Members;
use crate::read::{Reader, without_parameters};
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

    /// Its name on the wire; that of Video Analyzer where only this family [has it](Self::is_in).
    pub fn name(self, family: Family) -> &'static str {
        let (lva, video_analyzer) = match self {
            Self::TopologySet => ("GraphTopologySet", "pipelineTopologySet"),
            Self::TopologyGet => ("GraphTopologyGet", "pipelineTopologyGet"),
            Self::TopologyList => ("GraphTopologyList", "pipelineTopologyList"),
            Self::TopologyDelete => ("GraphTopologyDelete", "pipelineTopologyDelete"),
            Self::InstanceSet => ("GraphInstanceSet", "livePipelineSet"),
            Self::InstanceGet => ("GraphInstanceGet", "livePipelineGet"),
            Self::InstanceList => ("GraphInstanceList", "livePipelineList"),
            Self::InstanceActivate => ("GraphInstanceActivate", "livePipelineActivate"),
            Self::InstanceDeactivate => ("GraphInstanceDeactivate", "livePipelineDeactivate"),
            Self::InstanceDelete => ("GraphInstanceDelete", "livePipelineDelete"),
            Self::AdapterSet => return "remoteDeviceAdapterSet",
            Self::AdapterGet => return "remoteDeviceAdapterGet",
            Self::AdapterList => return "remoteDeviceAdapterList",
            Self::AdapterDelete => return "remoteDeviceAdapterDelete",
            Self::DeviceDiscover => return "onvifDeviceDiscover",
            Self::DeviceGet => return "onvifDeviceGet",
        };
        match family {
            Family::Lva => lva,
            Family::VideoAnalyzer => video_analyzer,
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

/// A call of a direct method, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodCall {
    /// The family whose method name was used.
    pub family: Family,
    /// The generation that `@apiVersion` and the family give.
    pub generation: Generation,
    /// The method and what it is about.
    pub request: Request,
}

/// A direct method with the payload that it takes, without `@apiVersion`.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Creates or replaces a topology.
    TopologySet(Topology),
    /// Returns the topology of this name.
    TopologyGet(String),
    /// Returns all topologies.
    TopologyList(ListOptions),
    /// Deletes the topology of this name.
    TopologyDelete(String),
    /// Creates or replaces an instance.
    InstanceSet(Instance),
    /// Returns the instance of this name.
    InstanceGet(String),
    /// Returns all instances.
    InstanceList(ListOptions),
    /// Starts the instance of this name.
    InstanceActivate(String),
    /// Stops the instance of this name.
    InstanceDeactivate(String),
    /// Deletes the instance of this name.
    InstanceDelete(String),
    /// Creates or replaces a device adapter.
    AdapterSet(DeviceAdapter),
    /// Returns the device adapter of this name.
    AdapterGet(String),
    /// Returns all device adapters.
    AdapterList(ListOptions),
    /// Deletes the device adapter of this name.
    AdapterDelete(String),
    /// Looks for cameras in the network.
    DeviceDiscover {
        /// `discoveryDuration`: how long to wait for answers. Default 8 s, at most one minute.
        duration: Duration,
    },
    /// Asks a camera for its settings.
    DeviceGet {
        /// `endpoint` as written; holds a password.
        written: Value,
        /// The device's service.
        endpoint: Box<Endpoint>,
    },
}

/// The options of `…List`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOptions {
    /// `@continuationToken` of the previous page.
    pub continuation_token: Option<String>,
}

impl Request {
    /// The method.
    pub fn method(&self) -> Method {
        match self {
            Self::TopologySet(_) => Method::TopologySet,
            Self::TopologyGet(_) => Method::TopologyGet,
            Self::TopologyList(_) => Method::TopologyList,
            Self::TopologyDelete(_) => Method::TopologyDelete,
            Self::InstanceSet(_) => Method::InstanceSet,
            Self::InstanceGet(_) => Method::InstanceGet,
            Self::InstanceList(_) => Method::InstanceList,
            Self::InstanceActivate(_) => Method::InstanceActivate,
            Self::InstanceDeactivate(_) => Method::InstanceDeactivate,
            Self::InstanceDelete(_) => Method::InstanceDelete,
            Self::AdapterSet(_) => Method::AdapterSet,
            Self::AdapterGet(_) => Method::AdapterGet,
            Self::AdapterList(_) => Method::AdapterList,
            Self::AdapterDelete(_) => Method::AdapterDelete,
            Self::DeviceDiscover { .. } => Method::DeviceDiscover,
            Self::DeviceGet { .. } => Method::DeviceGet,
        }
    }

    /// The name of the one object that it is about, for error answers.
    pub(crate) fn subject(&self) -> Option<&str> {
        match self {
            Self::TopologySet(topology) => Some(topology.name()),
            Self::InstanceSet(instance) => Some(instance.name()),
            Self::AdapterSet(adapter) => Some(adapter.name()),
            Self::TopologyGet(name)
            | Self::TopologyDelete(name)
            | Self::InstanceGet(name)
            | Self::InstanceActivate(name)
            | Self::InstanceDeactivate(name)
            | Self::InstanceDelete(name)
            | Self::AdapterGet(name)
            | Self::AdapterDelete(name) => Some(name),
            Self::TopologyList(_)
            | Self::InstanceList(_)
            | Self::AdapterList(_)
            | Self::DeviceDiscover { .. }
            | Self::DeviceGet { .. } => None,
        }
    }

    fn parse(method: Method, payload: &Value, map: &Map<String, Value>) -> Result<Self, Fault> {
        let document = payload.clone();
        Ok(match method {
            Method::TopologySet => {
                Self::TopologySet(Topology::from_value(document).map_err(Fault::document)?)
            }
            Method::InstanceSet => {
                Self::InstanceSet(Instance::from_value(document).map_err(Fault::document)?)
            }
            Method::AdapterSet => {
                Self::AdapterSet(DeviceAdapter::from_value(document).map_err(Fault::document)?)
            }
            Method::TopologyGet => Self::TopologyGet(name(map)?),
            Method::TopologyDelete => Self::TopologyDelete(name(map)?),
            Method::InstanceGet => Self::InstanceGet(name(map)?),
            Method::InstanceActivate => Self::InstanceActivate(name(map)?),
            Method::InstanceDeactivate => Self::InstanceDeactivate(name(map)?),
            Method::InstanceDelete => Self::InstanceDelete(name(map)?),
            Method::AdapterGet => Self::AdapterGet(name(map)?),
            Method::AdapterDelete => Self::AdapterDelete(name(map)?),
            Method::TopologyList => Self::TopologyList(list(map)?),
            Method::InstanceList => Self::InstanceList(list(map)?),
            Method::AdapterList => Self::AdapterList(list(map)?),
            Method::DeviceDiscover => discover(map)?,
            Method::DeviceGet => device(map)?,
        })
    }
}

impl MethodCall {
    /// Parses a call as the hub delivers it.
    ///
    /// # Errors
    ///
    /// [`MethodError`] with status 501 for an unknown method, and 400 for a payload that the method does not take.
    pub fn parse(name: &str, payload: &Value) -> Result<Self, MethodError> {
        let Some((family, method)) = Method::from_name(name) else {
            return Err(MethodError::new(name, None, Fault::UnknownMethod));
        };
        let fail = |fault| MethodError::new(method.name(family), None, fault);
        let map = match payload {
            Value::Null => return Err(fail(Fault::PayloadMissing)),
            Value::Object(map) => map,
            other => {
                return Err(fail(Fault::PayloadShape {
                    found: json_type(other),
                }));
            }
        };
        let generation = match member(map, "@apiVersion").and_then(|(_, value)| scalar_string(value)) {
            None => return Err(fail(Fault::ApiVersionMissing { family })),
            Some(version) => Generation::of(family, version.trim())
                .ok_or_else(|| fail(Fault::ApiVersionNotSupported { version, family }))?,
        };
        Ok(Self {
            family,
            generation,
            request: Request::parse(method, payload, map).map_err(fail)?,
        })
    }

    /// The call that sets a topology, in the version that the document names.
    pub fn set_topology(family: Family, topology: Topology) -> Self {
        Self {
            family,
            generation: topology.generation(),
            request: Request::TopologySet(topology),
        }
    }

    /// The call that sets an instance.
    pub fn set_instance(generation: Generation, instance: Instance) -> Self {
        Self {
            family: generation.family(),
            generation,
            request: Request::InstanceSet(instance),
        }
    }

    /// The name of the method as the caller spells it.
    pub fn name(&self) -> &'static str {
        self.request.method().name(self.family)
    }

    /// The payload that a client sends for this call. **Holds secrets.**
    pub fn to_payload(&self) -> Value {
        let mut payload = match &self.request {
            Request::TopologySet(topology) => topology.to_value().clone(),
            Request::InstanceSet(instance) => instance.to_value().clone(),
            Request::AdapterSet(adapter) => adapter.to_value().clone(),
            Request::DeviceDiscover { duration } => {
                let seconds = duration.as_millis() as f64 / 1000.0;
                json!({"discoveryDuration": format!("PT{seconds}S")})
            }
            Request::DeviceGet { written, .. } => json!({"endpoint": written}),
            Request::TopologyList(options)
            | Request::InstanceList(options)
            | Request::AdapterList(options) => match &options.continuation_token {
                Some(token) => json!({"@continuationToken": token}),
                None => json!({}),
            },
            other => json!({"name": other.subject()}),
        };
        if let Value::Object(map) = &mut payload
            && member(map, "@apiVersion").is_none()
        {
            map.insert("@apiVersion".to_owned(), self.generation.api_version().into());
        }
        payload
    }
}

fn name(map: &Map<String, Value>) -> Result<String, Fault> {
    match member(map, "name") {
        Some((_, Value::String(name))) => Ok(name.clone()),
        _ => Err(Fault::document(DocumentError::NameMissing {
            what: "the payload",
        })),
    }
}

/// The default and the maximum duration of a discovery.
const USUAL_DISCOVERY: Duration = Duration::from_secs(8);
const LONGEST_DISCOVERY: Duration = Duration::from_secs(60);

fn discover(map: &Map<String, Value>) -> Result<Request, Fault> {
    with_reader(map, |reader, members| {
        let duration = reader
            .duration(members, "discoveryDuration")
            .unwrap_or(USUAL_DISCOVERY);
        if duration.is_zero() || duration > LONGEST_DISCOVERY {
            let message = "'discoveryDuration' must be above 0 and at most PT1M";
            reader
                .findings
                .error(DiagnosticCode::OutOfRange, "/discoveryDuration", message);
        }
        Some(Request::DeviceDiscover { duration })
    })
}

fn device(map: &Map<String, Value>) -> Result<Request, Fault> {
    with_reader(map, |reader, members| {
        let endpoint = Box::new(reader.endpoint(members, Peer::Http)?);
        let (written, _) = members.get("endpoint")?;
        Some(Request::DeviceGet {
            written: written.clone(),
            endpoint,
        })
    })
}

/// Reads a payload without a document, and collects all findings.
fn with_reader(
    map: &Map<String, Value>,
    read: impl FnOnce(&mut Reader<'_>, &mut Members<'_>) -> Option<Request>,
) -> Result<Request, Fault> {
    let mut findings = Findings::new(DocumentKind::Payload, Strictness::Open);
    let mut members = Members::new(map, String::new(), "the payload".to_owned());
    members.allow("@apiVersion");
    let body = without_parameters(&mut findings, |reader| read(reader, &mut members));
    members.finish(&mut findings);
    match body {
        Some(body) if !findings.has_errors() => Ok(body),
        _ => Err(Fault::InvalidPayload {
            findings: findings.into_vec(),
        }),
    }
}

fn list(map: &Map<String, Value>) -> Result<ListOptions, Fault> {
    if let Some((_, query)) = member(map, "@query") {
        let query = scalar_string(query).unwrap_or_default();
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
    let continuation_token = member(map, "@continuationToken").and_then(|(_, token)| scalar_string(token));
    Ok(ListOptions { continuation_token })
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

    /// The answer to `onvifDeviceDiscover`; of more than [`MAX_DISCOVERED_DEVICES`] the first ones.
    pub fn of_discovered_devices(devices: &[DiscoveredDevice]) -> Self {
        let most = devices.get(..MAX_DISCOVERED_DEVICES).unwrap_or(devices);
        let list: Vec<_> = most
            .iter()
            .filter_map(|device| serde_json::to_value(device).ok())
            .collect();
        Self::with(200, json!({"value": list}))
    }

    /// The answer to `onvifDeviceGet`.
    pub fn of_device(device: &OnvifDevice) -> Self {
        Self::with(200, serde_json::to_value(device).unwrap_or_default())
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

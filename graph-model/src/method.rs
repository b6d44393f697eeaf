//! Direct methods: names, requests, answers.

mod error;
mod payload;
mod response;

pub use error::{ErrorDetail, Fault, MethodError};
pub use payload::{DeviceGetOptions, DiscoverOptions, ListOptions};
pub use response::{InstanceState, Response};

use serde_json::{Map, Value};

use self::payload::Payload;
use crate::adapter::DeviceAdapter;
use crate::document::{json_type, member, scalar_string};
use crate::form::{Wanted, unwrapped};
use crate::generation::{Family, Generation};
use crate::instance::Instance;
use crate::topology::Topology;

/// Defines [`Method`] and [`Request`] from one row for each method: what its payload is, its name in Live Video Analytics
/// (if it has one) and in Video Analyzer, and whether it changes what a module saves.
macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident($payload:ty) => ($lva:expr, $video_analyzer:literal, $changes:literal),)+) => {
        /// A direct method of either family.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[$doc])* $method,)+
        }

        /// A direct method with the payload that it takes, without `@apiVersion`.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request {
            $($(#[$doc])* $method($payload),)+
        }

        impl Method {
            /// Every method, in the order in which a life usually goes.
            pub const ALL: [Self; [$(stringify!($method)),+].len()] = [$(Self::$method),+];

            /// Both names, and whether the method changes what a module saves.
            fn row(self) -> (Option<&'static str>, &'static str, bool) {
                match self {
                    $(Self::$method => ($lva, $video_analyzer, $changes),)+
                }
            }
        }

        impl Request {
            /// The method.
            pub fn method(&self) -> Method {
                match self {
                    $(Self::$method(_) => Method::$method,)+
                }
            }

            fn payload(&self) -> &dyn Payload {
                match self {
                    $(Self::$method(payload) => payload,)+
                }
            }

            fn parse(method: Method, payload: &Value, map: &Map<String, Value>) -> Result<Self, Fault> {
                Ok(match method {
                    $(Method::$method => Self::$method(<$payload>::parse(payload, map)?),)+
                })
            }
        }
    };
}

methods! {
    /// `GraphTopologySet`, `pipelineTopologySet`: creates or replaces a topology.
    TopologySet(Topology) => (Some("GraphTopologySet"), "pipelineTopologySet", true),
    /// `GraphTopologyGet`, `pipelineTopologyGet`: returns the topology of this name.
    TopologyGet(String) => (Some("GraphTopologyGet"), "pipelineTopologyGet", false),
    /// `GraphTopologyList`, `pipelineTopologyList`: returns all topologies.
    TopologyList(ListOptions) => (Some("GraphTopologyList"), "pipelineTopologyList", false),
    /// `GraphInstanceSet`, `livePipelineSet`: creates or replaces an instance.
    InstanceSet(Instance) => (Some("GraphInstanceSet"), "livePipelineSet", true),
    /// `GraphInstanceGet`, `livePipelineGet`: returns the instance of this name.
    InstanceGet(String) => (Some("GraphInstanceGet"), "livePipelineGet", false),
    /// `GraphInstanceList`, `livePipelineList`: returns all instances.
    InstanceList(ListOptions) => (Some("GraphInstanceList"), "livePipelineList", false),
    /// `GraphInstanceActivate`, `livePipelineActivate`: starts the instance of this name.
    InstanceActivate(String) => (Some("GraphInstanceActivate"), "livePipelineActivate", true),
    /// `GraphInstanceDeactivate`, `livePipelineDeactivate`: stops the instance of this name.
    InstanceDeactivate(String) => (Some("GraphInstanceDeactivate"), "livePipelineDeactivate", true),
    /// `GraphInstanceDelete`, `livePipelineDelete`: deletes the instance of this name.
    InstanceDelete(String) => (Some("GraphInstanceDelete"), "livePipelineDelete", true),
    /// `GraphTopologyDelete`, `pipelineTopologyDelete`: deletes the topology of this name.
    TopologyDelete(String) => (Some("GraphTopologyDelete"), "pipelineTopologyDelete", true),
    /// `remoteDeviceAdapterSet`: creates or replaces a device adapter.
    AdapterSet(DeviceAdapter) => (None, "remoteDeviceAdapterSet", true),
    /// `remoteDeviceAdapterGet`: returns the device adapter of this name.
    AdapterGet(String) => (None, "remoteDeviceAdapterGet", false),
    /// `remoteDeviceAdapterList`: returns all device adapters.
    AdapterList(ListOptions) => (None, "remoteDeviceAdapterList", false),
    /// `remoteDeviceAdapterDelete`: deletes the device adapter of this name.
    AdapterDelete(String) => (None, "remoteDeviceAdapterDelete", true),
    /// `onvifDeviceDiscover`: looks for cameras in the network.
    DeviceDiscover(DiscoverOptions) => (None, "onvifDeviceDiscover", false),
    /// `onvifDeviceGet`: asks a camera for its settings.
    DeviceGet(DeviceGetOptions) => (None, "onvifDeviceGet", false),
}

impl Method {
    /// Whether a family has it: methods of device adapters and ONVIF are Video Analyzer's alone.
    pub fn is_in(self, family: Family) -> bool {
        match family {
            Family::Lva => self.row().0.is_some(),
            Family::VideoAnalyzer => true,
        }
    }

    /// Its name on the wire; that of Video Analyzer where only this family [has it](Self::is_in).
    pub fn name(self, family: Family) -> &'static str {
        let (lva, video_analyzer, _) = self.row();
        match family {
            Family::Lva => lva.unwrap_or(video_analyzer),
            Family::VideoAnalyzer => video_analyzer,
        }
    }

    /// Whether it changes what [`Registry::save`](crate::methods::Registry::save) returns: save the state after such a
    /// method has succeeded.
    pub fn changes_state(self) -> bool {
        self.row().2
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

impl Request {
    /// The name of the one object that it is about, for error answers.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.payload().subject()
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
        // A whole call, pasted as the payload of a call.
        let wanted = match method {
            Method::TopologySet => Some(Wanted::Topology),
            Method::InstanceSet => Some(Wanted::Instance),
            _ => None,
        };
        let pasted = wanted.and_then(|wanted| unwrapped(payload, wanted));
        let document = pasted.as_ref().and_then(Value::as_object).unwrap_or(map);
        let generation = match member(document, "@apiVersion").and_then(|(_, value)| scalar_string(value)) {
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
        let mut payload = self.request.payload().to_value();
        if let Value::Object(map) = &mut payload
            && member(map, "@apiVersion").is_none()
        {
            map.insert("@apiVersion".to_owned(), self.generation.api_version().into());
        }
        payload
    }
}

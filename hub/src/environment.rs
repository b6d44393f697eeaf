use std::env;

use crate::identity::{Identity, IdentityError};

/// The environment variables that the runtime of IoT Edge sets for a module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EdgeEnvironment {
    /// Who the module is (`IOTEDGE_IOTHUBHOSTNAME`, `IOTEDGE_DEVICEID`, `IOTEDGE_MODULEID`).
    pub identity: Identity,
    /// The host to connect to (`IOTEDGE_GATEWAYHOSTNAME`).
    pub gateway: String,
    /// Which creation of the module this is (`IOTEDGE_MODULEGENERATIONID`).
    pub generation_id: String,
    /// Where the workload API listens (`IOTEDGE_WORKLOADURI`).
    pub workload_uri: String,
    /// Version of the workload API (`IOTEDGE_APIVERSION`).
    pub api_version: String,
}

/// The seven variables, in the order in which a message lists those that are missing.
const NAMES: [&str; 7] = [
    "IOTEDGE_IOTHUBHOSTNAME",
    "IOTEDGE_GATEWAYHOSTNAME",
    "IOTEDGE_DEVICEID",
    "IOTEDGE_MODULEID",
    "IOTEDGE_MODULEGENERATIONID",
    "IOTEDGE_WORKLOADURI",
    "IOTEDGE_APIVERSION",
];
const AUTH_SCHEME: &str = "IOTEDGE_AUTHSCHEME";

impl EdgeEnvironment {
    /// From the variables of this process.
    ///
    /// # Errors
    ///
    /// As [`from_lookup`](Self::from_lookup).
    pub fn from_process() -> Result<Self, EnvironmentError> {
        Self::from_lookup(|name| env::var(name).ok())
    }

    /// From a function that gives a variable's value.
    ///
    /// # Errors
    ///
    /// [`EnvironmentError`]; all variables that are missing or empty are named at once.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let value = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let missing: Vec<&str> = NAMES.into_iter().filter(|name| value(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(EnvironmentError::Missing {
                names: missing.join(", "),
                is_complete: missing.len() == NAMES.len(),
            });
        }
        if let Some(scheme) = value(AUTH_SCHEME)
            && !scheme.eq_ignore_ascii_case("sasToken")
        {
            return Err(EnvironmentError::Scheme { scheme });
        }
        let [
            hub,
            gateway,
            device,
            module,
            generation_id,
            workload_uri,
            api_version,
        ] = NAMES.map(|name| value(name).unwrap_or_default());
        Ok(Self {
            identity: Identity::module(hub, device, module)?,
            gateway,
            generation_id,
            workload_uri,
            api_version,
        })
    }
}

/// Why the environment does not describe a module of IoT Edge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// Variables without a value.
    #[error(
        "{}: {names}",
        if *is_complete { "this process was not started by IoT Edge; these variables have no value" }
        else { "the environment of the IoT Edge module is incomplete; these variables have no value" }
    )]
    Missing {
        /// Their names, with commas between.
        names: String,
        /// Whether all are missing, as outside of IoT Edge.
        is_complete: bool,
    },
    /// Another way to authenticate.
    #[error("IOTEDGE_AUTHSCHEME is '{scheme}', and only sasToken is supported")]
    Scheme {
        /// Its name.
        scheme: String,
    },
    /// A name that the hub would not accept.
    #[error("in the environment of the IoT Edge module, {0}")]
    Identity(IdentityError),
}

impl From<IdentityError> for EnvironmentError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(name: &str) -> Option<String> {
        let value = match name {
            "IOTEDGE_IOTHUBHOSTNAME" => "contoso.azure-devices.net",
            "IOTEDGE_GATEWAYHOSTNAME" => "edge",
            "IOTEDGE_DEVICEID" => "dev1",
            "IOTEDGE_MODULEID" => "lvaEdge",
            "IOTEDGE_MODULEGENERATIONID" => "1",
            "IOTEDGE_WORKLOADURI" => "unix:///var/run/iotedge/workload.sock",
            "IOTEDGE_APIVERSION" => "2022-08-03",
            "IOTEDGE_AUTHSCHEME" => "sasToken",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn the_seven_variables_describe_a_module() {
        let environment = EdgeEnvironment::from_lookup(full).unwrap();
        assert_eq!(environment.identity.client_id(), "dev1/lvaEdge");
        assert_eq!(environment.gateway, "edge");
        assert_eq!(environment.generation_id, "1");
    }

    #[test]
    fn all_missing_variables_are_named_at_once() {
        let partly = |name: &str| full(name).filter(|_| !name.contains("GATEWAY") && !name.contains("URI"));
        let error = EdgeEnvironment::from_lookup(partly).unwrap_err().to_string();
        assert!(
            error.ends_with("IOTEDGE_GATEWAYHOSTNAME, IOTEDGE_WORKLOADURI"),
            "{error}"
        );
        let error = EdgeEnvironment::from_lookup(|_| None).unwrap_err().to_string();
        assert!(error.contains("not started by IoT Edge"), "{error}");
        let empty = EdgeEnvironment::from_lookup(|_| Some(String::new()));
        assert!(matches!(
            empty,
            Err(EnvironmentError::Missing {
                is_complete: true,
                ..
            })
        ));
    }

    #[test]
    fn other_ways_to_authenticate_are_refused() {
        let x509 = |name: &str| match name {
            "IOTEDGE_AUTHSCHEME" => Some("x509".to_owned()),
            _ => full(name),
        };
        let error = EdgeEnvironment::from_lookup(x509).unwrap_err();
        assert!(matches!(error, EnvironmentError::Scheme { .. }));
    }
}

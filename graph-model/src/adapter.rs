//! Remote device adapters of Video Analyzer 1.1: a device in the local network and its identity at the hub.

use std::fmt;

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, envelope};
use crate::read::members::Members;
use crate::read::{Presence, without_parameters};
use crate::topology::check_name;

/// A remote device adapter as written. Adapters are stored and given back; nothing here connects anything.
#[derive(Clone, PartialEq)]
pub struct DeviceAdapter {
    value: Value,
    name: String,
}

impl DeviceAdapter {
    /// Takes JSON that was parsed already, for example the payload of `remoteDeviceAdapterSet`.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] when it is not an object or has no name. [`validate`](Self::validate) reports everything else.
    pub fn from_value(value: Value) -> Result<Self, DocumentError> {
        let (_, name) = envelope(&value, "a device adapter")?;
        Ok(Self { value, name })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that is wrong with it, errors first.
    pub fn validate(&self, strictness: Strictness) -> Vec<Diagnostic> {
        let mut findings = Findings::new(DocumentKind::DeviceAdapter, strictness);
        check_name(&self.name, "device adapter", &self.value, &mut findings);
        self.check(&mut findings);
        findings.into_vec()
    }

    /// The JSON as it was read. Holds a key.
    pub fn to_value(&self) -> &Value {
        &self.value
    }

    fn check(&self, findings: &mut Findings) {
        let empty = Map::new();
        let map = self.value.as_object().unwrap_or(&empty);
        let mut envelope = Members::new(map, String::new(), format!("device adapter '{}'", self.name));
        for name in ["@apiVersion", "name", "systemData"] {
            envelope.allow(name);
        }
        match envelope.object("properties", findings) {
            None => envelope.missing("properties", findings),
            Some(mut properties) => without_parameters(findings, |reader| {
                properties.allow("description");
                match properties.object("target", reader.findings) {
                    None => properties.missing("target", reader.findings),
                    Some(mut target) => {
                        reader.display_string(&mut target, "host", Presence::Required);
                        target.finish(reader.findings);
                    }
                }
                match properties.object("iotHubDeviceConnection", reader.findings) {
                    None => properties.missing("iotHubDeviceConnection", reader.findings),
                    Some(mut connection) => {
                        reader.display_string(&mut connection, "deviceId", Presence::Required);
                        reader.credentials(&mut connection);
                        connection.finish(reader.findings);
                    }
                }
                properties.finish(reader.findings);
            }),
        }
        envelope.finish(findings);
    }
}

impl fmt::Debug for DeviceAdapter {
    /// Without the JSON: it holds a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAdapter")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

//! `appsettings.json`: the hub, device and module that the contract's console program calls.

use serde_json::{Map, Value};

use crate::document::{DocumentError, json_from_slice, json_type, member};
use lva_media_types::SecretString;

const WHAT: &str = "a settings file";

/// The settings of the contract's console program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSettings {
    /// `IoThubConnectionString` (spelled like this): address of the hub, with a key. **Secret.**
    pub connection_string: SecretString,
    /// `deviceId`: the edge device.
    pub device_id: String,
    /// `moduleId`: the module on the device that answers the methods.
    pub module_id: String,
}

impl AppSettings {
    /// Reads a file's content. The case of member names does not count.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] when it is not JSON, or lacks one of the three.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value = json_from_slice(bytes)?;
        let map = value.as_object().ok_or_else(|| DocumentError::WrongShape {
            expected: WHAT,
            found: json_type(&value),
            hint: Some("with 'IoThubConnectionString', 'deviceId' and 'moduleId'"),
        })?;
        Ok(Self {
            connection_string: SecretString::new(text(map, "IoThubConnectionString")?),
            device_id: text(map, "deviceId")?,
            module_id: text(map, "moduleId")?,
        })
    }

    /// One part of the connection string, by its name without case: `HostName`, `SharedAccessKeyName` or `SharedAccessKey`, the
    /// key.
    pub fn connection_part(&self, name: &str) -> Option<&str> {
        let parts = self.connection_string.expose().split(';');
        let mut parts = parts.filter_map(|part| part.split_once('='));
        parts
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

fn text(map: &Map<String, Value>, name: &'static str) -> Result<String, DocumentError> {
    match member(map, name) {
        None => Err(DocumentError::MemberMissing {
            what: WHAT,
            member: name,
        }),
        Some((_, Value::String(text))) => Ok(text.clone()),
        Some((_, other)) => Err(DocumentError::MemberType {
            what: WHAT,
            member: name,
            found: json_type(other),
            expected: "a string",
        }),
    }
}

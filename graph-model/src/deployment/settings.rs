//! `appsettings.json`: the hub, device and module that the contract's console program calls.

use crate::document::{DocumentError, json_from_slice, members_of, required};
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
        let hint = "with 'IoThubConnectionString', 'deviceId' and 'moduleId'";
        let map = members_of(&value, WHAT, hint)?;
        let text = |name| {
            required(map, name, WHAT, "a string", |value| {
                value.as_str().map(str::to_owned)
            })
        };
        Ok(Self {
            connection_string: SecretString::new(text("IoThubConnectionString")?),
            device_id: text("deviceId")?,
            module_id: text("moduleId")?,
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

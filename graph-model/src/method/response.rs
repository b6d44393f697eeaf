//! What a method answers, and the states that it answers about.

use std::fmt;

use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::generation::Family;
use crate::onvif::{DiscoveredDevice, MAX_DISCOVERED_DEVICES, OnvifDevice};

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

//! The twin as callers see it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lva_hub::twin::Desired;
use ring::digest;
use serde_json::{Map, Value, json};

use super::ModuleTwin;
use crate::settings::is_secret;

/// Bytes of a hash that make an entity tag.
const TAG_BYTES: usize = 8;

/// Desired and reported properties, without secrets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TwinView {
    pub(crate) desired: Desired,
    pub(crate) reported: Map<String, Value>,
    pub(crate) reported_version: u64,
    /// Of the desired properties, without quotes.
    pub(crate) tag: String,
    /// Whether the hub or broker reaches the module, where there is one.
    pub(crate) is_connected: bool,
}

impl ModuleTwin {
    /// `None` until a hub has sent its twin once.
    pub(crate) fn view(&self) -> Option<TwinView> {
        let known = self.shared.known.lock();
        let desired = known.desired.as_ref()?;
        Some(TwinView {
            desired: Desired::new(without_secrets(&desired.properties), desired.version),
            reported: known.reported.clone(),
            reported_version: known.reported_version,
            tag: tag(desired),
            is_connected: self.shared.is_connected(),
        })
    }
}

impl TwinView {
    /// `{"desired", "reported"}`, each with its `$version`.
    pub(crate) fn properties(&self) -> Value {
        let reported = Desired::new(self.reported.clone(), self.reported_version);
        json!({"desired": self.desired.to_document(), "reported": reported.to_document()})
    }
}

/// Differs wherever version or properties differ, also where a broker's clients use a version twice.
pub(super) fn tag(desired: &Desired) -> String {
    let hash = digest::digest(&digest::SHA256, desired.to_document().to_string().as_bytes());
    STANDARD.encode(hash.as_ref().get(..TAG_BYTES).unwrap_or_default())
}

fn without_secrets(properties: &Map<String, Value>) -> Map<String, Value> {
    let shown = properties.iter().filter(|(name, _)| !is_secret(name));
    shown
        .map(|(name, value)| match value {
            Value::Object(inner) => (name.clone(), Value::Object(without_secrets(inner))),
            other => (name.clone(), other.clone()),
        })
        .collect()
}

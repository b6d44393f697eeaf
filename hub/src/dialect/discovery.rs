use serde_json::{Map, Value, json};

use super::level::encode_level;
use crate::mqtt::{Publish, Qos};

/// Announcing a module to Home Assistant, which then shows its states without being configured.
#[derive(Debug, Clone)]
pub struct Discovery {
    prefix: String,
    device_id: String,
    name: String,
}

impl Discovery {
    /// With the id of the device to Home Assistant, and the name that people see. Characters beyond letters, digits, `-`
    /// and `_` become `_` in the id.
    pub fn new(device_id: &str, name: impl Into<String>) -> Self {
        Self {
            prefix: "homeassistant".to_owned(),
            device_id: id(device_id),
            name: name.into(),
        }
    }

    /// Where Home Assistant looks. Default `homeassistant`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Where Home Assistant reports that it has started, and needs the announcement again.
    pub(super) fn status_topic(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// All components in one message; those without description are withdrawn.
    pub(super) fn announcement(
        &self,
        root: &str,
        components: &mut dyn Iterator<Item = (&str, Option<&Component>)>,
    ) -> Publish {
        let mut described = Map::new();
        for (object_id, component) in components {
            let Some(component) = component else {
                // A platform alone removes a component.
                described.insert(object_id.to_owned(), json!({ "p": "sensor" }));
                continue;
            };
            let mut members = json!({
                "p": component.kind.platform(),
                "unique_id": format!("{}_{object_id}", self.device_id),
                "name": component.name,
                "state_topic": format!("{root}/{}", component.path),
            });
            let optional = [
                ("unit_of_measurement", &component.unit),
                ("device_class", &component.device_class),
            ];
            for (name, value) in optional {
                if let Some(value) = value {
                    members[name] = value.as_str().into();
                }
            }
            described.insert(object_id.to_owned(), members);
        }
        let body = json!({
            "dev": { "ids": [self.device_id], "name": self.name },
            "o": { "name": "lva-hub", "sw": env!("CARGO_PKG_VERSION") },
            "availability_topic": format!("{root}/status"),
            "cmps": Value::Object(described),
        });
        let topic = format!("{}/device/{}/config", self.prefix, self.device_id);
        Publish::new(topic, Qos::AtLeastOnce, body.to_string()).retained()
    }
}

/// What Home Assistant makes of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComponentKind {
    /// A number or text.
    Sensor,
    /// `ON` or `OFF`.
    BinarySensor,
}

impl ComponentKind {
    fn platform(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::BinarySensor => "binary_sensor",
        }
    }
}

/// A state that is announced, by the path that [`Client::set_state`](crate::Client::set_state) takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    pub(crate) path: String,
    kind: ComponentKind,
    name: String,
    unit: Option<String>,
    device_class: Option<String>,
}

impl Component {
    /// With the name that people see.
    pub fn new(kind: ComponentKind, path: &[&str], name: impl Into<String>) -> Self {
        Self {
            path: state_path(path),
            kind,
            name: name.into(),
            unit: None,
            device_class: None,
        }
    }

    /// The unit of its number.
    #[must_use]
    pub fn with_unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// The class that decides how it is shown.
    #[must_use]
    pub fn with_device_class(mut self, class: impl Into<String>) -> Self {
        self.device_class = Some(class.into());
        self
    }

    /// Its id within the device.
    pub(crate) fn object_id(&self) -> String {
        id(&self.path)
    }
}

/// The levels of a state's topic.
pub(crate) fn state_path(levels: &[&str]) -> String {
    let levels: Vec<String> = levels.iter().map(|level| encode_level(level)).collect();
    levels.join("/")
}

fn id(text: &str) -> String {
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    text.chars().map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_states_and_withdraws_the_others() {
        let discovery = Discovery::new("lva 1", "Cameras");
        let component = Component::new(
            ComponentKind::Sensor,
            &["instances", "a", "zones", "q", "count"],
            "Queue",
        )
        .with_unit("people");
        let object_id = component.object_id();
        let mut components = [(object_id.as_str(), Some(&component)), ("old", None)].into_iter();
        let publish = discovery.announcement("lva/m", &mut components);
        assert_eq!(publish.topic, "homeassistant/device/lva_1/config");
        let body: Value = serde_json::from_slice(&publish.payload).unwrap();
        let made = &body["cmps"]["instances_a_zones_q_count"];
        assert_eq!(made["state_topic"], "lva/m/instances/a/zones/q/count");
        assert_eq!(made["unique_id"], "lva_1_instances_a_zones_q_count");
        assert_eq!(made["unit_of_measurement"], "people");
        assert_eq!(body["cmps"]["old"], json!({"p":"sensor"}));
        assert_eq!(body["availability_topic"], "lva/m/status");
    }
}

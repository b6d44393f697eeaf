use std::fmt;

/// Longest device or module id that IoT Hub accepts, in characters.
const MAX_ID_LENGTH: usize = 128;

/// Who connects: a device of a hub, or a module on a device. Its names are sent as they are, never percent-encoded.
///
/// ```
/// let module = lva_hub::Identity::module("contoso.azure-devices.net", "dev1", "lvaEdge")?;
/// assert_eq!(module.client_id(), "dev1/lvaEdge");
/// assert_eq!(module.username(), "contoso.azure-devices.net/dev1/lvaEdge/?api-version=2021-04-12");
/// # Ok::<(), lva_hub::IdentityError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    hub: String,
    device: String,
    module: Option<String>,
}

/// Version of the service's interface that the user name asks for; edgeHub accepts any.
const API_VERSION: &str = "2021-04-12";

impl Identity {
    /// A device: `hub` is the host name of the hub, also where the connection goes through a gateway.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] for a name that is empty, too long, or has characters that IoT Hub does not allow.
    pub fn device(hub: impl Into<String>, device: impl Into<String>) -> Result<Self, IdentityError> {
        let (hub, device) = (hub.into(), device.into());
        check("hub host name", &hub, |c| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':')
        })?;
        check("device id", &device, is_id_character)?;
        Ok(Self {
            hub,
            device,
            module: None,
        })
    }

    /// A module on a device.
    ///
    /// # Errors
    ///
    /// As [`device`](Self::device).
    pub fn module(
        hub: impl Into<String>,
        device: impl Into<String>,
        module: impl Into<String>,
    ) -> Result<Self, IdentityError> {
        let module = module.into();
        check("module id", &module, is_id_character)?;
        Ok(Self {
            module: Some(module),
            ..Self::device(hub, device)?
        })
    }

    /// Host name of the hub.
    pub fn hub(&self) -> &str {
        &self.hub
    }

    /// The device's id.
    pub fn device_id(&self) -> &str {
        &self.device
    }

    /// The module's id; `None` for a device.
    pub fn module_id(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// The MQTT client id.
    pub fn client_id(&self) -> String {
        match &self.module {
            Some(module) => format!("{}/{module}", self.device),
            None => self.device.clone(),
        }
    }

    /// The MQTT user name.
    pub fn username(&self) -> String {
        format!("{}/{}/?api-version={API_VERSION}", self.hub, self.client_id())
    }

    /// What an access token is for: the `sr` of a token, before it is encoded.
    pub fn resource(&self) -> String {
        format!("{}/{}", self.hub, self.path())
    }

    /// `devices/{d}` or `devices/{d}/modules/{m}`: the beginning of every topic that carries messages.
    pub fn path(&self) -> String {
        match &self.module {
            Some(module) => format!("devices/{}/modules/{module}", self.device),
            None => format!("devices/{}", self.device),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.client_id())
    }
}

/// The characters of IoT Hub's ids that a topic can hold as well: `+`, `#` and `/` cannot stand in one.
fn is_id_character(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '-' | '.' | '%' | '_' | '*' | '?' | '!' | '(' | ')' | ',' | ':' | '=' | '@' | '$' | '\''
        )
}

fn check(what: &'static str, value: &str, is_allowed: fn(char) -> bool) -> Result<(), IdentityError> {
    if value.is_empty() {
        return Err(IdentityError::Empty { what });
    }
    let limit = if what == "hub host name" {
        255
    } else {
        MAX_ID_LENGTH
    };
    if value.len() > limit {
        return Err(IdentityError::TooLong { what, limit });
    }
    match value.chars().find(|c| !is_allowed(*c)) {
        Some(character) => Err(IdentityError::Character { what, character }),
        None => Ok(()),
    }
}

/// A name that IoT Hub would not accept. The configuration is wrong; a retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A name without characters.
    #[error("the {what} is empty")]
    Empty {
        /// Which name.
        what: &'static str,
    },
    /// A name beyond the limit.
    #[error("the {what} is longer than {limit} characters")]
    TooLong {
        /// Which name.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A character that ids and topics do not have.
    #[error("the {what} contains {character:?}, which IoT Hub does not allow there")]
    Character {
        /// Which name.
        what: &'static str,
        /// The first such character.
        character: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_hub_and_not_the_gateway() {
        let device = Identity::device("contoso.azure-devices.net", "dev1").unwrap();
        assert_eq!(device.client_id(), "dev1");
        assert_eq!(
            device.username(),
            "contoso.azure-devices.net/dev1/?api-version=2021-04-12"
        );
        assert_eq!(device.resource(), "contoso.azure-devices.net/devices/dev1");
        let module = Identity::module("contoso.azure-devices.net", "dev1", "lvaEdge").unwrap();
        assert_eq!(
            module.resource(),
            "contoso.azure-devices.net/devices/dev1/modules/lvaEdge"
        );
        assert_eq!(module.to_string(), "dev1/lvaEdge");
    }

    #[test]
    fn names_that_would_break_a_topic_are_refused() {
        for (device, module) in [
            ("", "m"),
            ("a/b", "m"),
            ("a+", "m"),
            ("a#", "m"),
            ("d", ""),
            ("d", "m m"),
        ] {
            assert!(
                Identity::module("h", device, module).is_err(),
                "{device:?} {module:?}"
            );
        }
        assert!(Identity::device("h", "d".repeat(129)).is_err());
    }
}

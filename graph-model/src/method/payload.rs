//! Payloads of direct methods.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Fault;
use crate::adapter::DeviceAdapter;
use crate::diagnostic::{DiagnosticCode, DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, member, scalar_string};
use crate::graph::Endpoint;
use crate::instance::Instance;
use crate::read::endpoint::Peer;
use crate::read::members::Members;
use crate::read::{Reader, without_parameters};
use crate::topology::Topology;

/// What a method takes, without `@apiVersion`.
pub(super) trait Payload {
    /// Reads it, as the value that was sent and as its members.
    fn parse(payload: &Value, members: &Map<String, Value>) -> Result<Self, Fault>
    where
        Self: Sized;

    /// The JSON that a client sends. Holds secrets.
    fn to_value(&self) -> Value;

    /// The name of the one object that it is about, if there is one.
    fn subject(&self) -> Option<&str> {
        None
    }
}

/// A document, as a `…Set` takes it.
macro_rules! document_payload {
    ($($document:ty),+) => {$(
        impl Payload for $document {
            fn parse(payload: &Value, _: &Map<String, Value>) -> Result<Self, Fault> {
                Self::from_value(payload.clone()).map_err(Fault::document)
            }

            fn to_value(&self) -> Value {
                self.to_value().clone()
            }

            fn subject(&self) -> Option<&str> {
                Some(self.name())
            }
        }
    )+};
}

document_payload!(Topology, Instance, DeviceAdapter);

/// The name of an object.
impl Payload for String {
    fn parse(_: &Value, members: &Map<String, Value>) -> Result<Self, Fault> {
        match member(members, "name") {
            Some((_, Value::String(name))) => Ok(name.clone()),
            _ => Err(Fault::document(DocumentError::NameMissing {
                what: "the payload",
            })),
        }
    }

    fn to_value(&self) -> Value {
        json!({"name": self})
    }

    fn subject(&self) -> Option<&str> {
        Some(self)
    }
}

/// The options of `…List`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOptions {
    /// `@continuationToken` of the previous page.
    pub continuation_token: Option<String>,
}

impl Payload for ListOptions {
    fn parse(_: &Value, map: &Map<String, Value>) -> Result<Self, Fault> {
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
        let token = member(map, "@continuationToken").and_then(|(_, token)| scalar_string(token));
        Ok(Self {
            continuation_token: token,
        })
    }

    fn to_value(&self) -> Value {
        match &self.continuation_token {
            Some(token) => json!({"@continuationToken": token}),
            None => json!({}),
        }
    }
}

/// The default and the maximum duration of a discovery.
const USUAL_DISCOVERY: Duration = Duration::from_secs(8);
const LONGEST_DISCOVERY: Duration = Duration::from_secs(60);

/// The options of `onvifDeviceDiscover`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiscoverOptions {
    /// `discoveryDuration`: how long to wait for answers. Default 8 s, at most one minute.
    pub duration: Duration,
}

impl Payload for DiscoverOptions {
    fn parse(_: &Value, map: &Map<String, Value>) -> Result<Self, Fault> {
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
            Some(Self { duration })
        })
    }

    fn to_value(&self) -> Value {
        let seconds = self.duration.as_millis() as f64 / 1000.0;
        json!({"discoveryDuration": format!("PT{seconds}S")})
    }
}

/// The device that `onvifDeviceGet` asks. **Holds a password**, which `Debug` does not print.
#[derive(Clone, PartialEq)]
pub struct DeviceGetOptions {
    /// `endpoint` as written.
    pub written: Value,
    /// The device's service.
    pub endpoint: Box<Endpoint>,
}

impl fmt::Debug for DeviceGetOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceGetOptions")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Payload for DeviceGetOptions {
    fn parse(_: &Value, map: &Map<String, Value>) -> Result<Self, Fault> {
        with_reader(map, |reader, members| {
            let endpoint = Box::new(reader.endpoint(members, Peer::Http)?);
            let (written, _) = members.get("endpoint")?;
            Some(Self {
                written: written.clone(),
                endpoint,
            })
        })
    }

    fn to_value(&self) -> Value {
        json!({"endpoint": self.written})
    }
}

/// Reads a payload without a document, and collects all findings.
fn with_reader<T>(
    map: &Map<String, Value>,
    read: impl FnOnce(&mut Reader<'_>, &mut Members<'_>) -> Option<T>,
) -> Result<T, Fault> {
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

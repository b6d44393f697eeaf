//! Operations files: which methods to call, in which order.

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, DiagnosticCode, DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, json_from_slice, json_type, member, members_of, scalar_string, step};
use crate::generation::Family;
use crate::method::{Method, MethodCall};
use crate::read::shortened;

/// An operations file as the contract's console program reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationsFile {
    /// `apiVersion` of the file, which goes into every payload but those of topologies.
    pub api_version: String,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// Warnings about it, and how other forms were read; no errors.
    pub findings: Vec<Diagnostic>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Waits until the user presses Enter.
    WaitForInput {
        /// What to print.
        message: String,
    },
    /// Sets a topology in a file.
    SetTopologyFile {
        /// The family in whose words it is asked for.
        family: Family,
        /// The path as written. The program decides what it is relative to: the original took its working
        /// directory. Read it and give it to [`MethodCall::set_topology`].
        path: String,
    },
    /// Sets a topology at an address. Nothing is fetched here: fetch it and give it to
    /// [`MethodCall::set_topology`], or refuse with a remedy.
    SetTopologyUrl {
        /// The family in whose words it is asked for.
        family: Family,
        /// The address as written.
        url: String,
    },
    /// Calls a method.
    Call(Box<MethodCall>),
}

/// Why an operations file cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationsError {
    /// It cannot be read at all.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Operations in it are wrong.
    #[error("{}", crate::diagnostic::summary(findings))]
    Invalid {
        /// Everything that is wrong, errors first.
        findings: Vec<Diagnostic>,
    },
}

impl OperationsFile {
    /// Reads a file's content.
    ///
    /// # Errors
    ///
    /// [`OperationsError`] when it is not JSON, or when any operation in it is invalid: nothing is
    /// done before all is known to make sense.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, OperationsError> {
        let value = json_from_slice(bytes)?;
        let map = members_of(&value, "an operations file", "with 'apiVersion' and 'operations'")?;
        let mut findings = Findings::new(DocumentKind::OperationsFile, Strictness::Open);
        let is_call = member(map, "operations").is_none() && name_of(map).is_some();
        let api_version = match member(map, "apiVersion").or_else(|| member(map, "@apiVersion")) {
            Some((_, version)) => scalar_string(version).unwrap_or_default(),
            None => version_of_payloads(map).unwrap_or_else(|| {
                let message = "'apiVersion' is missing: write the version of the methods, such as \"1.0\"";
                findings.error(DiagnosticCode::MemberMissing, "", message);
                String::new()
            }),
        };
        let steps = match member(map, "operations") {
            None if is_call => {
                let message =
                    "a single call of a method is read as an operations file with this one operation";
                findings.info(DiagnosticCode::OtherForm, "", message);
                read_step(&value, "", &api_version, &mut findings)
                    .into_iter()
                    .collect()
            }
            Some((key, Value::Array(list))) => {
                let steps = list.iter().enumerate();
                steps
                    .filter_map(|(i, value)| {
                        let at = step(&step("", key), &i.to_string());
                        read_step(value, &at, &api_version, &mut findings)
                    })
                    .collect()
            }
            Some((key, other)) => {
                let message = format!("'operations' must be an array, but is {}", json_type(other));
                findings.error(DiagnosticCode::WrongType, &step("", key), message);
                Vec::new()
            }
            None => {
                findings.error(
                    DiagnosticCode::MemberMissing,
                    "",
                    "'operations' is missing: add an array",
                );
                Vec::new()
            }
        };
        if findings.has_errors() {
            return Err(OperationsError::Invalid {
                findings: findings.into_vec(),
            });
        }
        Ok(Self {
            api_version,
            steps,
            findings: findings.into_vec(),
        })
    }

    /// Reads a string.
    ///
    /// # Errors
    ///
    /// As [`from_slice`](Self::from_slice).
    pub fn from_json(text: &str) -> Result<Self, OperationsError> {
        Self::from_slice(text.as_bytes())
    }
}

/// The name of an operation, or of a method call as the hub's tools save it.
fn name_of(map: &Map<String, Value>) -> Option<&str> {
    let name = member(map, "opName").or_else(|| member(map, "methodName"));
    name.and_then(|(_, value)| value.as_str())
}

fn params_of(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    member(map, "opParams").or_else(|| member(map, "payload"))
}

/// The version that calls name themselves, where the file names none.
fn version_of_payloads(map: &Map<String, Value>) -> Option<String> {
    let list = member(map, "operations").and_then(|(_, list)| list.as_array());
    let calls = list.into_iter().flatten().filter_map(Value::as_object);
    let mut payloads = calls
        .chain([map])
        .filter_map(|call| params_of(call)?.1.as_object());
    payloads.find_map(|payload| scalar_string(member(payload, "@apiVersion")?.1))
}

fn read_step(value: &Value, at: &str, api_version: &str, findings: &mut Findings) -> Option<Step> {
    let Some(map) = value.as_object() else {
        let message = format!("an operation must be an object, but is {}", json_type(value));
        findings.error(DiagnosticCode::WrongType, at, message);
        return None;
    };
    let Some(name) = name_of(map) else {
        findings.error(
            DiagnosticCode::MemberMissing,
            at,
            "an operation needs 'opName': write the name of a method",
        );
        return None;
    };
    let empty = Map::new();
    if member(map, "opName").is_none() {
        let message = format!("'methodName' and 'payload' of {name} are read as 'opName' and 'opParams'");
        findings.info(DiagnosticCode::OtherForm, at, message);
    }
    let written_out;
    let (at, params) = match params_of(map) {
        None => (at.to_owned(), &empty),
        Some((key, Value::Object(params))) => (step(at, key), params),
        Some((key, Value::String(text))) if serde_json::from_str::<Map<String, Value>>(text).is_ok() => {
            written_out = serde_json::from_str(text).unwrap_or_default();
            (step(at, key), &written_out)
        }
        Some((key, other)) => {
            let message = format!(
                "'opParams' of {name} must be an object, but is {}",
                json_type(other)
            );
            findings.error(DiagnosticCode::WrongType, &step(at, key), message);
            return None;
        }
    };
    if name.trim().eq_ignore_ascii_case("WaitForInput") {
        let message = member(params, "message").and_then(|(_, value)| scalar_string(value));
        return Some(Step::WaitForInput {
            message: message.unwrap_or_default(),
        });
    }
    match Method::from_name(name) {
        Some((family, Method::TopologySet)) => set_topology(family, params, &at, api_version, findings),
        Some((family, method)) => {
            let mut payload = params.clone();
            payload.retain(|key, _| !key.eq_ignore_ascii_case("@apiVersion"));
            payload.insert("@apiVersion".to_owned(), api_version.into());
            parse_call(method.name(family), Value::Object(payload), &at, findings)
        }
        None => {
            let known: Vec<_> = Method::ALL.iter().map(|m| m.name(Family::Lva)).collect();
            let message = format!(
                "'{}' is not an operation: write WaitForInput or one of {}",
                shortened(name),
                known.join(", ")
            );
            findings.error(DiagnosticCode::InvalidValue, &at, message);
            None
        }
    }
}

fn parse_call(name: &str, payload: Value, at: &str, findings: &mut Findings) -> Option<Step> {
    match MethodCall::parse(name, &payload) {
        Ok(request) => Some(Step::Call(Box::new(request))),
        Err(error) => {
            findings.error(DiagnosticCode::InvalidValue, at, error.to_string());
            None
        }
    }
}

/// `topologyUrl` comes first, as in the original.
fn set_topology(
    family: Family,
    params: &Map<String, Value>,
    at: &str,
    api_version: &str,
    findings: &mut Findings,
) -> Option<Step> {
    let name = Method::TopologySet.name(family);
    let [url, file] = match family {
        Family::Lva => ["topologyUrl", "topologyFile"],
        Family::VideoAnalyzer => ["pipelineTopologyUrl", "pipelineTopologyFile"],
    };
    if let Some((key, value)) = member(params, url) {
        let at = step(at, key);
        let address = value.as_str().map(str::trim).unwrap_or_default();
        if address.is_empty() {
            findings.error(
                DiagnosticCode::WrongType,
                &at,
                format!("'{url}' of {name} must be a URL"),
            );
            return None;
        }
        // Early documents gave the address of the page around the file.
        let lower = address.to_ascii_lowercase();
        if lower.contains("://github.com/") && (lower.contains("/tree/") || lower.contains("/blob/")) {
            let message = format!(
                "'{url}' of {name} is the URL of an HTML page: use the raw file on \
                 raw.githubusercontent.com"
            );
            findings.warning(DiagnosticCode::InvalidValue, &at, message);
        }
        if member(params, file).is_some() {
            let message = format!("'{file}' of {name} has no effect next to '{url}': remove one of them");
            findings.warning(DiagnosticCode::MemberIgnored, &at, message);
        }
        return Some(Step::SetTopologyUrl {
            family,
            url: address.to_owned(),
        });
    }
    match member(params, file) {
        Some((_, Value::String(path))) if !path.trim().is_empty() => Some(Step::SetTopologyFile {
            family,
            path: path.clone(),
        }),
        Some((key, _)) => {
            let message = format!("'{file}' of {name} must be the path of a file");
            findings.error(DiagnosticCode::WrongType, &step(at, key), message);
            None
        }
        // A topology written down in place: not a form of the original, but what else could it mean?
        None if member(params, "properties").is_some() => {
            let mut payload = params.clone();
            if member(params, "@apiVersion").is_none() {
                payload.insert("@apiVersion".to_owned(), api_version.into());
            }
            parse_call(name, Value::Object(payload), at, findings)
        }
        None => {
            let message = format!("{name} needs '{file}' with the path of a topology");
            findings.error(DiagnosticCode::MemberMissing, at, message);
            None
        }
    }
}

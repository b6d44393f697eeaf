//! Errors and findings.

use std::{fmt, io};

use lva_graph_model::DocumentError;
use lva_media_types::clean_text;
use lva_zones::{SceneError, SceneFinding, SceneWarning};

use super::kind::UnknownOperation;
use super::{MAX_CONFIGURATION_BYTES, MAX_OPERATIONS, SPACE};

/// Findings that one message lists.
const MAX_LISTED: usize = 64;
/// Characters of a finding: documents may have names and values of any length.
const MAX_PLACE: usize = 512;
const MAX_MESSAGE: usize = 1024;

/// An operation that cannot be used. Correct the configuration; a retry does not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The file cannot be read.
    #[error("cannot read the file {path}: {cause}")]
    Read {
        /// Its path.
        path: String,
        /// The system's error.
        cause: io::Error,
    },
    /// Larger than [`MAX_CONFIGURATION_BYTES`].
    #[error("{bytes} bytes exceed the limit of {MAX_CONFIGURATION_BYTES} for a configuration")]
    TooLong {
        /// Its size.
        bytes: u64,
    },
    /// It is not JSON, or not UTF-8.
    #[error("the configuration: {cause}")]
    NotJson {
        /// What it is, where and why.
        cause: DocumentError,
    },
    /// The JSON is not an object, nor a list of operations, zones or lines.
    #[error(
        "the configuration is not an object: give {{\"zones\": […]}}, {{\"lines\": […]}}, or an object with {SPACE}"
    )]
    NotAnObject,
    /// It has neither zones nor lines.
    #[error(
        "the configuration has nothing to watch: give \"zones\" or \"lines\", an object with {SPACE}, or a module twin with \"graphs\"{}", has(.found)
    )]
    NothingToWatch {
        /// The names of its members.
        found: Vec<String>,
    },
    /// A twin or manifest whose operations are all switched off.
    #[error(
        "nothing is enabled: all {} operations under \"{member}\" are disabled ({}); set \"enabled\" of one to true", names.len(), names.join(", ")
    )]
    AllDisabled {
        /// The member that holds them.
        member: String,
        /// Their names.
        names: Vec<String>,
    },
    /// A twin or manifest without an operation.
    #[error(
        "\"{member}\" holds no operation: give one as \"{member}\": {{\"name\": {{\"operationId\": …, \"parameters\": …}}}}"
    )]
    NoOperation {
        /// The member that should hold one.
        member: String,
    },
    /// A deployment manifest of modules without operations.
    #[error(
        "no module of the deployment manifest has \"graphs\" in its properties.desired: give the manifest of a spatial-analysis module (its modules: {})", modules.join(", ")
    )]
    NoModule {
        /// The modules that it has.
        modules: Vec<String>,
    },
    /// Several operations in one document, as in a module twin.
    #[error(
        "\"{member}\" holds {} operations, and a session carries out one: disable the others or give the object of one of {}", names.len(), names.join(", ")
    )]
    SeveralOperations {
        /// The member that holds them.
        member: String,
        /// Their names.
        names: Vec<String>,
    },
    /// One operation too many in a module twin.
    #[error("a twin holds at most {MAX_OPERATIONS} operations: leave this one out, or disable it")]
    TooMany,
    /// An operation that does not exist.
    #[error(transparent)]
    Unknown(#[from] UnknownOperation),
    /// Invalid zones or lines: all errors at once, with names and remedies.
    #[error("{}", list(.findings))]
    Invalid {
        /// At least one.
        findings: Vec<Finding>,
    },
}

impl From<SceneError> for OperationError {
    fn from(error: SceneError) -> Self {
        Self::Invalid {
            findings: error.findings().iter().map(Finding::from).collect(),
        }
    }
}

fn has(found: &[String]) -> String {
    match found.is_empty() {
        true => String::new(),
        false => format!(" (it has {})", found.join(", ")),
    }
}

/// A name of the configuration as it may be shown, cut where it is too long for a message.
pub(super) fn shown(name: &str) -> String {
    clean_text(name, 128)
}

fn list(findings: &[Finding]) -> String {
    let mut all: Vec<String> = findings
        .iter()
        .take(MAX_LISTED)
        .map(ToString::to_string)
        .collect();
    if findings.len() > MAX_LISTED {
        all.push(format!("and {} more", findings.len() - MAX_LISTED));
    }
    all.join("; ")
}

/// Something in a configuration that is wrong, ignored or unusual. It names members and remedies, and never shows values
/// that may be secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The zone, line or member, such as `zone "door": threshold`; empty where the message names it.
    pub place: String,
    /// What is the matter, and what to do.
    pub message: String,
}

impl Finding {
    pub(super) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: clean_text(&place.into(), MAX_PLACE),
            message: clean_text(&message.into(), MAX_MESSAGE),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.place, self.message)
        }
    }
}

impl From<&SceneFinding> for Finding {
    fn from(finding: &SceneFinding) -> Self {
        Self::new("", finding.to_string())
    }
}

impl From<&SceneWarning> for Finding {
    fn from(warning: &SceneWarning) -> Self {
        Self::new("", warning.to_string())
    }
}

//! Findings of validation: severity, code, place, remedy.

use std::collections::BTreeSet;
use std::fmt;

use lva_media_types::clean_text;
use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing: the retired product refused this, or a member is not needed.
    Hint,
    /// How something was read that is written in another form than the contract's.
    Info,
    /// Probably not intended; the message names the effect.
    Warning,
    /// Cannot be carried out.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hint => "hint",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What the quotas and placement rules of the retired product are to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strictness {
    /// Errors: only what the original module accepted is accepted.
    Compatible,
    /// Hints: whatever makes sense is accepted.
    #[default]
    Open,
}

/// Which document a pointer points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DocumentKind {
    /// A topology.
    Topology,
    /// An instance.
    Instance,
    /// An operations file.
    OperationsFile,
    /// A template of a deployment manifest.
    DeploymentTemplate,
    /// A deployment manifest.
    Manifest,
    /// A device adapter.
    DeviceAdapter,
    /// The payload of a method that carries no document.
    Payload,
    /// A file of variables; its pointers are `/NAME`, or `/5` for the fifth line.
    Environment,
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Topology => "topology",
            Self::Instance => "instance",
            Self::OperationsFile => "operations file",
            Self::DeploymentTemplate => "deployment template",
            Self::Manifest => "deployment manifest",
            Self::DeviceAdapter => "device adapter",
            Self::Payload => "payload",
            Self::Environment => "variables",
        })
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:expr])+ $name:ident,)+) => {
        /// What was found. The names are stable, and go into error details of methods as they are.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[non_exhaustive]
        pub enum DiagnosticCode { $($(#[doc = $doc])+ $name,)+ }

        impl DiagnosticCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name as it stands in error details and in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

codes! {
    /// `@apiVersion` is not there; the generation was taken from types and members.
    ApiVersionMissing,
    /// `@apiVersion` is none of the versions served.
    ApiVersionNotSupported,
    /// Two members differ only in the case of their letters.
    MemberDuplicate,
    /// A required member is missing.
    MemberMissing,
    /// A member that this generation demands is not there; its default is taken.
    MemberMissingInGeneration,
    /// A member has no effect next to the others.
    MemberIgnored,
    /// Another form than the contract's, whose meaning is plain; the message describes how it was read.
    OtherForm,
    /// An expression of a template of Azure Resource Manager whose value does not stand in the template.
    ExpressionWithoutValue,
    /// A member that no type of the contract has; it is kept and has no effect.
    UnknownMember,
    /// A member has another JSON type than its meaning needs.
    WrongType,
    /// The name of a topology, instance or node is empty or has characters that names cannot have.
    InvalidName,
    /// The value is not one of those allowed, or a string has the wrong form.
    InvalidValue,
    /// A number or duration outside of what can be carried out.
    OutOfRange,
    /// A number, duration or length outside of what the retired product took.
    LimitExceeded,
    /// A document is larger than this crate is willing to look at.
    TooLarge,
    /// A name or pattern holds characters that it must not hold.
    PropertyValueInvalidPattern,
    /// An RTSP source's URL does not begin with `rtsp://` or `rtsps://`.
    RtspEndpointUrlInvalidScheme,
    /// Another endpoint's URL has a scheme that its node cannot use, or is not a URL.
    EndpointUrlInvalid,
    /// `@type` of a node is not known.
    UnknownNodeType,
    /// `@type` of an endpoint, credentials, image format, line, zone or operation is not known.
    UnknownType,
    /// A node stands in a list that its type does not belong to.
    WrongRole,
    /// The generation of the document does not have this type or member.
    NotInGeneration,
    /// Types of both families in one document.
    MixedFamilies,
    /// A parameter is declared twice, or set twice.
    ParameterDuplicate,
    /// A parameter's declared type is none of the five.
    ParameterTypeUnknown,
    /// A parameter's default does not fit its type: an error only where an instance uses it.
    ParameterDefaultInvalid,
    /// A parameter is declared but nothing refers to it.
    ParameterUnused,
    /// A reference to a parameter that is not declared.
    ParameterUndeclared,
    /// A parameter has neither a value nor a default.
    ParameterMissing,
    /// The instance sets a parameter that the topology does not declare.
    ParameterSuperfluous,
    /// A parameter's value does not fit its type.
    ParameterValueInvalid,
    /// A value holds a reference to a parameter, which is not replaced.
    ReferenceInValue,
    /// `${` without `}`; the string is taken literally.
    ReferenceUnclosed,
    /// The value of a secret parameter stands in a member that is shown.
    SecretExposed,
    /// A `System.` variable that does not exist.
    SystemVariableUnknown,
    /// A system variable in a member that is needed before it has a value.
    SystemVariableNotAllowed,
    /// A pattern without a system variable: every recording would have the same name.
    SystemVariableMissing,
    /// The instance names another topology.
    TopologyMismatch,
    /// Two nodes with the same name.
    NodeNameDuplicate,
    /// An input names a node that does not exist.
    NodeNotFound,
    /// A processor or sink without inputs.
    InputsMissing,
    /// The same node twice among a node's inputs.
    InputDuplicate,
    /// An input names a sink.
    InputFromSink,
    /// A source with inputs.
    SourceHasInputs,
    /// Nodes feed each other in a circle.
    Cycle,
    /// No RTSP source.
    RtspSourceMissing,
    /// No sink.
    SinkMissing,
    /// A node that works on media gets none.
    MediaMissing,
    /// A media sink that is fed by neither an RTSP source nor a gate.
    MediaSinkPlacement,
    /// A gate without media from an RTSP source.
    GateWithoutMedia,
    /// A gate without anything to open it.
    GateWithoutSignal,
    /// A processor behind a gate.
    ProcessorBehindGate,
    /// A tracker or line without an extension before it that would find something.
    DetectionsMissing,
    /// A message sink fed by a node without output messages.
    NothingFlows,
    /// The selectors before a node that looks at pictures, or records them, exclude all video.
    VideoExcluded,
    /// A connection of nodes that no instance can run.
    NotSupported,
    /// No node uses the output of a node.
    OutputUnused,
    /// A placement that the retired product refused.
    PlacementRule,
    /// More nodes of a type than the retired product took.
    CountRule,
    /// A typographic quote instead of a straight one.
    TypographicQuote,
    /// A variable of a template without a value; it stays as it is written.
    VariableUnset,
    /// A variable that has two spellings was found under the other one, or under both with different values.
    VariableAlias,
    /// A variable is set twice.
    VariableDuplicate,
    /// A template or a route names a module that is not there.
    ModuleUnknown,
    /// `createOptions` is not a string with a JSON object.
    CreateOptionsInvalid,
}

impl fmt::Display for DiagnosticCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One finding: what, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// What was found.
    pub code: DiagnosticCode,
    /// The document that [`pointer`](Self::pointer) points into.
    pub document: DocumentKind,
    /// JSON pointer (RFC 6901) to the place, with members spelled as in the document; empty for the whole.
    pub pointer: String,
    /// One sentence with cause and remedy. Never holds a secret.
    pub message: String,
}

impl Diagnostic {
    /// The place in the form of the contract's error details: `$.Properties.Sources[0].Name`.
    pub fn target(&self) -> String {
        let mut target = String::from("$");
        for token in self.pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            if !token.is_empty() && token.bytes().all(|b| b.is_ascii_digit()) {
                target.push_str(&format!("[{token}]"));
            } else {
                let mut chars = token.chars();
                target.push('.');
                target.extend(chars.next().map(|c| c.to_ascii_uppercase()));
                target.push_str(chars.as_str());
            }
        }
        target
    }

    /// Whether it keeps the document from being carried out.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "/"
        } else {
            &self.pointer
        };
        write!(
            f,
            "{} {} at {} {}: {}",
            self.severity,
            self.code,
            self.document,
            clean_text(place, MAX_POINTER_CHARS),
            self.message
        )
    }
}

/// What is added to an error that an instance can avoid.
const BY_A_DEFAULT: &str =
    " (this comes from the default of a parameter: an instance has to set the parameter)";

/// Longest message.
const MAX_MESSAGE_CHARS: usize = 2000;
/// As much of a pointer is shown.
const MAX_POINTER_CHARS: usize = 500;

/// Most errors, and most warnings and hints, that are kept of one look at a document; the rest is counted in
/// the last finding.
pub const MAX_FINDINGS: usize = 200;

/// Collects findings, up to [`MAX_FINDINGS`].
#[derive(Debug)]
pub(crate) struct Findings {
    list: Vec<Diagnostic>,
    errors: usize,
    others: usize,
    more: usize,
    /// How often a node or an input was looked at.
    steps: usize,
    document: DocumentKind,
    strictness: Strictness,
}

impl Findings {
    pub(crate) fn new(document: DocumentKind, strictness: Strictness) -> Self {
        Self {
            list: Vec::new(),
            errors: 0,
            others: 0,
            more: 0,
            steps: 0,
            document,
            strictness,
        }
    }

    pub(crate) fn add(&mut self, severity: Severity, code: DiagnosticCode, pointer: &str, message: String) {
        self.push(Diagnostic {
            severity,
            code,
            document: self.document,
            pointer: pointer.to_owned(),
            message,
        });
    }

    pub(crate) fn push(&mut self, mut diagnostic: Diagnostic) {
        // Names in it are the document's.
        diagnostic.message = clean_text(&diagnostic.message, MAX_MESSAGE_CHARS);
        // Errors are counted apart, so that hints cannot crowd them out.
        let kept = if diagnostic.is_error() {
            self.errors += 1;
            self.errors <= MAX_FINDINGS
        } else {
            self.others += 1;
            self.others <= MAX_FINDINGS
        };
        if kept {
            self.list.push(diagnostic);
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn error(&mut self, code: DiagnosticCode, pointer: &str, message: impl Into<String>) {
        self.add(Severity::Error, code, pointer, message.into());
    }

    pub(crate) fn warning(&mut self, code: DiagnosticCode, pointer: &str, message: impl Into<String>) {
        self.add(Severity::Warning, code, pointer, message.into());
    }

    pub(crate) fn info(&mut self, code: DiagnosticCode, pointer: &str, message: impl Into<String>) {
        self.add(Severity::Info, code, pointer, message.into());
    }

    pub(crate) fn hint(&mut self, code: DiagnosticCode, pointer: &str, message: impl Into<String>) {
        self.add(Severity::Hint, code, pointer, message.into());
    }

    /// A rule of the retired product: an error where we are compatible, a hint where we are open.
    pub(crate) fn rule(&mut self, code: DiagnosticCode, pointer: &str, message: impl Into<String>) {
        let severity = match self.strictness {
            Strictness::Compatible => Severity::Error,
            Strictness::Open => Severity::Hint,
        };
        self.add(severity, code, pointer, message.into());
    }

    pub(crate) fn in_document(&mut self, document: DocumentKind) {
        self.document = document;
    }

    pub(crate) fn count_steps(&mut self, steps: usize) {
        self.steps += steps;
    }

    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Makes warnings of the errors that are not among those of `definite`: they come from defaults of parameters, and an
    /// instance can set those.
    pub(crate) fn weaken_unless_in(&mut self, definite: &Self) {
        // Beyond the limit it is not known what the others were.
        if definite.errors > MAX_FINDINGS {
            return;
        }
        let errors = definite.list.iter().filter(|found| found.is_error());
        let places: BTreeSet<_> = errors.map(|found| (found.code, &found.pointer)).collect();
        for found in &mut self.list {
            if found.is_error() && !places.contains(&(found.code, &found.pointer)) {
                found.severity = Severity::Warning;
                found.message.push_str(BY_A_DEFAULT);
                self.errors -= 1;
                self.others += 1;
            }
        }
    }

    /// Errors first, otherwise in the order of finding.
    pub(crate) fn into_vec(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|d| std::cmp::Reverse(d.severity));
        if self.more > 0 {
            let severity = if self.errors > 0 {
                Severity::Error
            } else {
                Severity::Warning
            };
            self.list.push(Diagnostic {
                severity,
                code: DiagnosticCode::TooLarge,
                document: self.document,
                pointer: String::new(),
                message: format!(
                    "{} more findings are not listed: fix the ones above first",
                    self.more
                ),
            });
        }
        self.list
    }
}

/// Several findings in one line: the first error, and how many others there are.
pub(crate) fn summary(findings: &[Diagnostic]) -> String {
    let errors = findings.iter().filter(|d| d.is_error()).count();
    match findings.iter().find(|d| d.is_error()) {
        Some(first) if errors > 1 => format!("{} (and {} more)", first.message, errors - 1),
        Some(first) => first.message.clone(),
        None => "no errors".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_the_pointer_in_the_contracts_words() {
        let mut findings = Findings::new(DocumentKind::Topology, Strictness::Open);
        findings.error(
            DiagnosticCode::WrongType,
            "/properties/sinks/0/assetNamePattern",
            "x",
        );
        findings.rule(DiagnosticCode::LimitExceeded, "", "y");
        let list = findings.into_vec();
        assert_eq!(list[0].target(), "$.Properties.Sinks[0].AssetNamePattern");
        assert_eq!(list[1].target(), "$");
        assert_eq!(list[1].severity, Severity::Hint);
        assert_eq!(
            list[0].to_string(),
            "error WrongType at topology /properties/sinks/0/assetNamePattern: x"
        );
    }

    #[test]
    fn findings_are_capped_and_the_rest_is_counted() {
        let mut findings = Findings::new(DocumentKind::Topology, Strictness::Compatible);
        for _ in 0..MAX_FINDINGS + 7 {
            findings.rule(DiagnosticCode::CountRule, "", "many");
        }
        assert!(findings.has_errors());
        let list = findings.into_vec();
        assert_eq!(list.len(), MAX_FINDINGS + 1);
        assert!(list.last().unwrap().message.starts_with("7 more"));
    }

    #[test]
    fn every_code_has_its_own_name() {
        let names: BTreeSet<_> = DiagnosticCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(names.len(), DiagnosticCode::ALL.len());
    }
}

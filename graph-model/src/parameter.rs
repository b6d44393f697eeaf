//! Parameters: declared by a topology, set by an instance.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::diagnostic::{DiagnosticCode, DocumentKind, Findings, Severity};
use crate::template::{Segment, is_system_name, segments};
use lva_media_types::SecretString;

/// Longest name of a parameter that the retired product took, in characters.
pub(crate) const MAX_PARAMETER_NAME: usize = 64;

/// The five types of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterType {
    /// Any text.
    String,
    /// A string that is never shown and never returned.
    SecretString,
    /// A signed 32-bit integer.
    Int,
    /// A finite number.
    Double,
    /// `true` or `false`.
    Bool,
}

impl ParameterType {
    /// All types.
    pub const ALL: [Self; 5] = [
        Self::String,
        Self::SecretString,
        Self::Int,
        Self::Double,
        Self::Bool,
    ];

    /// The name as Live Video Analytics writes it; Video Analyzer begins it with a small letter.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::SecretString => "SecretString",
            Self::Int => "Int",
            Self::Double => "Double",
            Self::Bool => "Bool",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL
            .into_iter()
            .find(|t| t.name().eq_ignore_ascii_case(name))
    }

    /// What a value has to look like, if this one does not.
    pub(crate) fn refuse(self, value: &str) -> Option<&'static str> {
        let value = value.trim();
        match self {
            Self::String | Self::SecretString => None,
            Self::Int => value
                .parse::<i32>()
                .is_err()
                .then_some("an integer between -2147483648 and 2147483647"),
            Self::Double => (!value.parse::<f64>().is_ok_and(f64::is_finite)).then_some("a number"),
            Self::Bool => (!value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false"))
                .then_some("true or false"),
        }
    }
}

/// A parameter as a topology declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterDeclaration {
    /// Its name.
    pub name: String,
    /// Its type.
    pub parameter_type: ParameterType,
    /// What it is for.
    pub description: Option<String>,
    /// The value if the instance sets none. Hidden for every type, since the samples declare passwords as
    /// `String`.
    pub default: Option<SecretString>,
    /// Where it stands in the topology.
    pub pointer: String,
}

/// A parameter as an instance sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterValue {
    /// Its name.
    pub name: String,
    /// Its value; absent in documents that came back from the module, which leaves secrets out.
    pub value: Option<SecretString>,
    /// Where it stands in the instance.
    pub pointer: String,
}

/// What a reference stands for.
#[derive(Debug)]
pub(crate) enum Bound<'a> {
    Value {
        text: &'a str,
        secret: bool,
    },
    /// Declared, but without a value yet.
    Open {
        secret: bool,
    },
    Undeclared {
        similar: Option<&'a str>,
    },
}

/// The values of a topology's parameters.
#[derive(Debug)]
pub(crate) struct Bindings<'a> {
    values: BTreeMap<&'a str, Entry<'a>>,
    /// Bytes that substitution may still make: references can multiply a large value.
    pub(crate) budget: Cell<usize>,
    /// Names that may still be guessed at: a guess looks at all of them.
    guesses: Cell<usize>,
}

/// Most guesses at what a name that is not there was meant to be. More findings than this are hardly kept.
const MAX_GUESSES: usize = 100;

#[derive(Debug)]
struct Entry<'a> {
    declaration: &'a ParameterDeclaration,
    value: Option<&'a str>,
    /// The value is the default, which no instance has replaced.
    is_default: bool,
    used: Cell<bool>,
}

/// Most bytes that substitution makes of one topology: 16 MiB.
const SUBSTITUTION_BUDGET: usize = 16 << 20;

impl<'a> Bindings<'a> {
    /// Defaults alone, as far as there are any.
    pub(crate) fn of_defaults(declarations: &'a [ParameterDeclaration], findings: &mut Findings) -> Self {
        let mut values = BTreeMap::new();
        for declaration in declarations {
            let pointer = &declaration.pointer;
            if declaration.name.chars().count() > MAX_PARAMETER_NAME {
                findings.rule(
                    DiagnosticCode::LimitExceeded,
                    pointer,
                    format!("the name of a parameter has up to {MAX_PARAMETER_NAME} characters: shorten it"),
                );
            }
            let default = declaration.default.as_ref().map(SecretString::expose);
            if default.is_some_and(refers_to_a_parameter) {
                let what = format!("the default of parameter '{}'", declaration.name);
                findings.warning(
                    DiagnosticCode::ReferenceInValue,
                    &format!("{pointer}/default"),
                    taken_literally(&what),
                );
            }
            let entry = Entry {
                declaration,
                value: default,
                is_default: default.is_some(),
                used: Cell::new(false),
            };
            if values.insert(declaration.name.as_str(), entry).is_some() {
                findings.error(
                    DiagnosticCode::ParameterDuplicate,
                    pointer,
                    format!("parameter '{}' is declared twice: remove one", declaration.name),
                );
            }
        }
        Self {
            values,
            budget: Cell::new(SUBSTITUTION_BUDGET),
            guesses: Cell::new(MAX_GUESSES),
        }
    }

    /// The same parameters without any values, as a topology has them that waits for an instance.
    pub(crate) fn without_defaults(
        declarations: &'a [ParameterDeclaration],
        findings: &mut Findings,
    ) -> Self {
        let mut bindings = Self::of_defaults(declarations, findings);
        for entry in bindings.values.values_mut() {
            entry.value = None;
        }
        bindings
    }

    /// Finds defaults that do not fit their types. They hurt the instances alone that use them.
    pub(crate) fn check_defaults(&self, severity: Severity, findings: &mut Findings) {
        for (name, entry) in &self.values {
            let kind = entry.declaration.parameter_type;
            let value = entry.value.filter(|_| entry.is_default);
            if let Some(form) = value.and_then(|value| kind.refuse(value)) {
                let remedy = match severity {
                    Severity::Error => "or set the parameter in the instance",
                    _ => "or set the parameter in every instance",
                };
                findings.add(
                    severity,
                    DiagnosticCode::ParameterDefaultInvalid,
                    &format!("{}/default", entry.declaration.pointer),
                    format!(
                        "the default of parameter '{name}' is not of type {}: write {form}, {remedy}",
                        kind.name()
                    ),
                );
            }
        }
    }

    /// Sets what an instance sets, and finds what it should not set and what is left without a value.
    /// `at_list` is where its parameters stand.
    pub(crate) fn set(&mut self, values: &'a [ParameterValue], at_list: &str, findings: &mut Findings) {
        findings.in_document(DocumentKind::Instance);
        let mut seen = std::collections::BTreeSet::new();
        for ParameterValue { name, value, pointer } in values {
            if !seen.insert(name.as_str()) {
                findings.error(
                    DiagnosticCode::ParameterDuplicate,
                    pointer,
                    format!("parameter '{name}' is set twice: remove one"),
                );
            }
            let Some(entry) = self.values.get_mut(name.as_str()) else {
                let similar = self.similar(name).map_or_else(
                    || "remove it, or declare it in the topology".to_owned(),
                    |other| format!("did you mean '{other}'?"),
                );
                findings.error(
                    DiagnosticCode::ParameterSuperfluous,
                    pointer,
                    format!("the topology declares no parameter '{name}': {similar}"),
                );
                continue;
            };
            let Some(value) = value.as_ref().map(SecretString::expose) else {
                continue;
            };
            let at = format!("{pointer}/value");
            let kind = entry.declaration.parameter_type;
            if let Some(form) = kind.refuse(value) {
                findings.error(
                    DiagnosticCode::ParameterValueInvalid,
                    &at,
                    format!(
                        "the value of parameter '{name}' is not of type {}: write {form}",
                        kind.name()
                    ),
                );
            }
            if refers_to_a_parameter(value) {
                let what = format!("the value of parameter '{name}'");
                findings.warning(DiagnosticCode::ReferenceInValue, &at, taken_literally(&what));
            }
            entry.value = Some(value);
            entry.is_default = false;
        }
        for (name, entry) in &self.values {
            if entry.value.is_none() {
                findings.error(
                    DiagnosticCode::ParameterMissing,
                    at_list,
                    format!("parameter '{name}' has no value and no default: set it in the instance"),
                );
            }
        }
        findings.in_document(DocumentKind::Topology);
        self.check_defaults(Severity::Error, findings);
    }

    /// Follows a reference.
    pub(crate) fn get(&self, name: &str) -> Bound<'_> {
        match self.values.get(name) {
            Some(entry) => {
                entry.used.set(true);
                let secret = entry.declaration.parameter_type == ParameterType::SecretString;
                match entry.value {
                    Some(text) => Bound::Value { text, secret },
                    None => Bound::Open { secret },
                }
            }
            None => Bound::Undeclared {
                similar: self.similar(name),
            },
        }
    }

    /// Names that nothing has referred to.
    pub(crate) fn unused(&self, findings: &mut Findings) {
        for (name, entry) in &self.values {
            if !entry.used.get() {
                findings.hint(
                    DiagnosticCode::ParameterUnused,
                    &entry.declaration.pointer,
                    format!(
                        "nothing refers to parameter '{name}': remove it, or write '${{{name}}}' somewhere"
                    ),
                );
            }
        }
    }

    fn similar(&self, name: &str) -> Option<&'a str> {
        let left = self.guesses.get().checked_sub(1)?;
        self.guesses.set(left);
        let name = name.trim();
        let mut names = self.values.keys();
        names.find(|other| other.eq_ignore_ascii_case(name)).copied()
    }
}

/// Whether a value has a reference that is not replaced: system variables are.
fn refers_to_a_parameter(value: &str) -> bool {
    segments(value).any(|segment| match segment {
        Segment::Literal(_) => false,
        Segment::Reference(name) => !is_system_name(name),
        Segment::Unclosed(_) => true,
    })
}

fn taken_literally(what: &str) -> String {
    format!("{what} contains '${{', which is taken literally: only system variables are replaced in values")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fit_their_types() {
        for (kind, good, bad) in [
            (ParameterType::Int, "-7", "7.5"),
            (ParameterType::Int, " 2147483647 ", "2147483648"),
            (ParameterType::Double, "0.2", "NaN"),
            (ParameterType::Double, "1e3", "one"),
            (ParameterType::Bool, "False", "no"),
        ] {
            assert_eq!(kind.refuse(good), None, "{kind:?} {good}");
            assert!(kind.refuse(bad).is_some(), "{kind:?} {bad}");
        }
        assert_eq!(ParameterType::String.refuse(""), None);
        assert_eq!(
            ParameterType::from_name("secretString"),
            Some(ParameterType::SecretString)
        );
    }
}

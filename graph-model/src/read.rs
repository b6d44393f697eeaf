//! From members of JSON to typed values: parameters interpolated in, words and numbers understood, everything wrong
//! reported.
//!
//! Each reader reads all of its members before it gives up on one, so that all findings appear at once.

pub(crate) mod custom;
pub(crate) mod endpoint;
pub(crate) mod image;
pub(crate) mod members;
pub(crate) mod operation;
pub(crate) mod processor;
pub(crate) mod sink;
pub(crate) mod source;

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use self::members::Members;
use crate::custom::CustomNodeTypes;
use crate::diagnostic::{DiagnosticCode, Findings};
use crate::document::{json_type, scalar_string};
use crate::generation::{Family, Generation};
use crate::parameter::{Bindings, Bound};
use crate::sensitive::SensitiveString;
use crate::string_enum::StringEnum;
use crate::template::{Pattern, PatternPiece, Segment, SystemVariable, is_system_name, segments};

/// Whether a member is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Optional,
    Required,
    /// Demanded by the schema of the generation, though there is a default: a rule of the retired product.
    InGeneration(bool),
}

/// Why a string is not a valid value of a member.
#[derive(Debug)]
pub(crate) struct ValueError {
    code: DiagnosticCode,
    expected: String,
}

impl ValueError {
    pub(crate) fn value(expected: impl Into<String>) -> Self {
        Self {
            code: DiagnosticCode::InvalidValue,
            expected: expected.into(),
        }
    }

    pub(crate) fn range(expected: impl Into<String>) -> Self {
        Self {
            code: DiagnosticCode::OutOfRange,
            expected: expected.into(),
        }
    }

    pub(crate) fn with(code: DiagnosticCode, expected: impl Into<String>) -> Self {
        Self {
            code,
            expected: expected.into(),
        }
    }
}

/// A string with its parameters interpolated.
#[derive(Debug, Default)]
pub(crate) struct Interpolated {
    pattern: Pattern,
    pub(crate) secret: bool,
    /// A value is not known yet (or is missing, which was reported): the string cannot be checked.
    pub(crate) open: bool,
    /// The first parameter that went into it, for messages.
    parameter: Option<String>,
}

/// What reading needs to know, and where its findings go.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) bindings: &'a Bindings<'a>,
    pub(crate) findings: &'a mut Findings,
    pub(crate) generation: Generation,
    pub(crate) custom_types: &'a CustomNodeTypes,
    pub(crate) topology_name: &'a str,
    /// `None` while there is a topology alone.
    pub(crate) instance_name: Option<&'a str>,
}

/// Reads members outside of topologies, where there are no parameters, in the generation that has them.
pub(crate) fn without_parameters<T>(findings: &mut Findings, read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
    let bindings = Bindings::of_defaults(&[], findings);
    read(&mut Reader {
        bindings: &bindings,
        findings,
        generation: Generation::VideoAnalyzer1_1,
        custom_types: &CustomNodeTypes::default(),
        topology_name: "",
        instance_name: None,
    })
}

impl Reader<'_> {
    /// Fills parameters in; system variables stay.
    pub(crate) fn interpolate(&mut self, text: &str, at: &str) -> Interpolated {
        let mut interpolated = Interpolated::default();
        for segment in segments(text) {
            match segment {
                Segment::Literal(text) => interpolated.pattern.push_text(text),
                Segment::Unclosed(text) => {
                    interpolated.pattern.push_text(text);
                    let message = "'${' has no '}' and is taken literally: close it if you mean a parameter";
                    self.findings
                        .warning(DiagnosticCode::ReferenceUnclosed, at, message);
                }
                Segment::Reference(name) if is_system_name(name) => {
                    self.expand_system(name, at, &mut interpolated, None);
                }
                Segment::Reference(name) => self.expand(name, at, &mut interpolated),
            }
        }
        if interpolated.secret {
            interpolated.pattern.set_secret();
        }
        interpolated
    }

    /// `within` is the parameter whose value has the variable, for messages.
    fn expand_system(&mut self, name: &str, at: &str, interpolated: &mut Interpolated, within: Option<&str>) {
        if let Some(variable) = SystemVariable::from_name(name) {
            interpolated.pattern.push_variable(variable);
            return;
        }
        let family = self.generation.family();
        let known = SystemVariable::ALL
            .map(|variable| variable.name_in(family))
            .join(", ");
        let place = within.map_or_else(String::new, |parameter| format!(" (in '${{{parameter}}}')"));
        let message = format!(
            "'{}'{place} is not a system variable of {family}: use one of {known}",
            shortened(name)
        );
        self.findings
            .error(DiagnosticCode::SystemVariableUnknown, at, message);
        interpolated.open = true;
    }

    fn expand(&mut self, name: &str, at: &str, interpolated: &mut Interpolated) {
        let bindings = self.bindings;
        match bindings.get(name) {
            Bound::Open { secret } => {
                interpolated.open = true;
                interpolated.secret |= secret;
            }
            Bound::Undeclared { similar } => {
                let remedy = similar.map_or_else(
                    || "declare it in 'properties.parameters'".to_owned(),
                    |other| format!("did you mean '{other}'?"),
                );
                let message = format!("'${{{name}}}' refers to a parameter that is not declared: {remedy}");
                self.findings
                    .error(DiagnosticCode::ParameterUndeclared, at, message);
                interpolated.open = true;
            }
            Bound::Value { text, secret } => {
                let Some(left) = self.bindings.budget.get().checked_sub(text.len()) else {
                    let message = "the topology with its parameter values is too large: shorten them";
                    self.findings.error(DiagnosticCode::TooLarge, at, message);
                    interpolated.open = true;
                    return;
                };
                self.bindings.budget.set(left);
                interpolated.secret |= secret;
                interpolated.parameter.get_or_insert_with(|| name.to_owned());
                // System variables are the same wherever they stand. Parameters in values are not followed.
                for segment in segments(text) {
                    match segment {
                        Segment::Literal(text) | Segment::Unclosed(text) => {
                            interpolated.pattern.push_text(text)
                        }
                        Segment::Reference(inner) if is_system_name(inner) => {
                            // A secret value is not shown.
                            let inner = if secret && SystemVariable::from_name(inner).is_none() {
                                "***"
                            } else {
                                inner
                            };
                            self.expand_system(inner, at, interpolated, Some(name));
                        }
                        Segment::Reference(inner) => {
                            interpolated.pattern.push_text("${");
                            interpolated.pattern.push_text(inner);
                            interpolated.pattern.push_text("}");
                        }
                    }
                }
            }
        }
    }

    /// A string that is the same in every run: names are interpolated, dates rejected.
    pub(crate) fn literal(&mut self, interpolated: &Interpolated, at: &str) -> Option<String> {
        if interpolated.open {
            return None;
        }
        let mut text = String::new();
        for piece in interpolated.pattern.pieces() {
            match piece {
                PatternPiece::Text(piece) => text.push_str(piece),
                PatternPiece::Variable(SystemVariable::TopologyName) => text.push_str(self.topology_name),
                PatternPiece::Variable(SystemVariable::InstanceName) => text.push_str(self.instance_name?),
                PatternPiece::Variable(date) => {
                    let message = format!(
                        "'${{{}}}' has a value only in names of recordings: remove it from this member",
                        date.name_in(self.generation.family())
                    );
                    self.findings
                        .error(DiagnosticCode::SystemVariableNotAllowed, at, message);
                    return None;
                }
            }
        }
        Some(text)
    }

    /// A member's text, interpolated in, and its pointer.
    pub(crate) fn interpolated(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        presence: Presence,
    ) -> Option<(Interpolated, String)> {
        let Some((value, at)) = members.get(name) else {
            match presence {
                Presence::Required => members.missing(name, self.findings),
                Presence::InGeneration(true) => {
                    let message = format!(
                        "{} needs '{name}' in {}: add it (the default is used)",
                        members.what, self.generation
                    );
                    self.findings
                        .rule(DiagnosticCode::MemberMissingInGeneration, &members.at, message);
                }
                Presence::Optional | Presence::InGeneration(false) => {}
            }
            return None;
        };
        let Some(text) = scalar_string(value) else {
            let message = format!(
                "'{name}' of {} must be a string, but is {}",
                members.what,
                json_type(value)
            );
            self.findings.error(DiagnosticCode::WrongType, &at, message);
            return None;
        };
        Some((self.interpolate(&text, &at), at))
    }

    /// A member that is understood by a function.
    pub(crate) fn scalar<T>(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        presence: Presence,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        self.secret_scalar(members, name, presence, parse)
            .map(|(value, _)| value)
    }

    /// The same, and whether a secret is part of it.
    pub(crate) fn secret_scalar<T>(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        presence: Presence,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Option<(T, bool)> {
        let (interpolated, at) = self.interpolated(members, name, presence)?;
        let text = self.literal(&interpolated, &at)?;
        match parse(&text) {
            Ok(value) => Some((value, interpolated.secret)),
            Err(error) => {
                self.refuse(members, name, &at, &interpolated, &text, error);
                None
            }
        }
    }

    pub(crate) fn refuse(
        &mut self,
        members: &Members<'_>,
        name: &str,
        at: &str,
        interpolated: &Interpolated,
        text: &str,
        error: ValueError,
    ) {
        let shown = if interpolated.secret {
            "***".to_owned()
        } else {
            shortened(text)
        };
        let origin = match &interpolated.parameter {
            Some(parameter) => format!(" (from '${{{parameter}}}')"),
            None => String::new(),
        };
        let message = format!(
            "'{name}' of {} is '{shown}'{origin}, but must be {}",
            members.what, error.expected
        );
        self.findings.error(error.code, at, message);
    }

    /// A string that may be secret.
    pub(crate) fn string(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        presence: Presence,
    ) -> Option<SensitiveString> {
        self.secret_scalar(members, name, presence, |text| Ok(text.to_owned()))
            .map(|(text, secret)| SensitiveString::with_secret(text, secret))
    }

    /// A string that is shown in names and logs: secrets in it get a warning.
    pub(crate) fn display_string(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        presence: Presence,
    ) -> Option<String> {
        let (interpolated, at) = self.interpolated(members, name, presence)?;
        self.warn_secret_exposure(&interpolated, name, &at);
        self.literal(&interpolated, &at)
    }

    /// A name with system variables.
    pub(crate) fn pattern(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        presence: Presence,
        parse: impl FnOnce(&Pattern) -> Result<(), ValueError>,
    ) -> Option<Pattern> {
        let (interpolated, at) = self.interpolated(members, name, presence)?;
        self.warn_secret_exposure(&interpolated, name, &at);
        if interpolated.open {
            return None;
        }
        let outcome = if interpolated.pattern.is_empty() {
            Err(ValueError::value("a non-empty string"))
        } else {
            parse(&interpolated.pattern)
        };
        if let Err(error) = outcome {
            let text = interpolated.pattern.to_string();
            self.refuse(members, name, &at, &interpolated, &text, error);
            return None;
        }
        Some(interpolated.pattern)
    }

    fn warn_secret_exposure(&mut self, interpolated: &Interpolated, name: &str, at: &str) {
        if interpolated.secret {
            let message = format!(
                "'{name}' appears in names and events, but contains the value of a SecretString parameter: use a String parameter"
            );
            self.findings.warning(DiagnosticCode::SecretExposed, at, message);
        }
    }

    pub(crate) fn boolean(&mut self, members: &mut Members<'_>, name: &'static str) -> Option<bool> {
        self.scalar(members, name, Presence::Optional, |text| match text.trim() {
            t if t.eq_ignore_ascii_case("true") => Ok(true),
            t if t.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(ValueError::value("true or false")),
        })
    }

    /// A finite number of at least `least`.
    pub(crate) fn number(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        least: f64,
    ) -> Option<f64> {
        self.scalar(members, name, Presence::Optional, |text| {
            match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() && number >= least => Ok(number),
                Ok(_) => Err(ValueError::range(format!("a number of at least {least}"))),
                Err(_) => Err(ValueError::value("a number")),
            }
        })
    }

    /// An integer in a range; a fraction of 0 is accepted (`"416.0"`).
    pub(crate) fn integer(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        presence: Presence,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        self.scalar(members, name, presence, |text| {
            let text = text.trim();
            let digits = text.split_once('.').filter(|(_, f)| f.bytes().all(|b| b == b'0'));
            let digits = digits.map_or(text, |(whole, _)| whole);
            let expected = format!("an integer from {} to {}", range.start(), range.end());
            match digits.parse::<i128>() {
                Ok(number) => u32::try_from(number)
                    .ok()
                    .filter(|number| range.contains(number))
                    .ok_or_else(|| ValueError::range(expected)),
                Err(_) => Err(ValueError::value(expected)),
            }
        })
    }

    /// A number of MiB above 0, as bytes.
    pub(crate) fn mebibytes(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        presence: Presence,
    ) -> Option<u64> {
        let mebibytes = self.integer(members, name, presence, 1..=u32::MAX)?;
        Some(u64::from(mebibytes) << 20)
    }

    /// A duration in milliseconds, with sign.
    pub(crate) fn milliseconds(&mut self, members: &mut Members<'_>, name: &'static str) -> Option<i64> {
        self.scalar(members, name, Presence::Optional, milliseconds)
    }

    /// A duration that is not negative.
    pub(crate) fn duration(&mut self, members: &mut Members<'_>, name: &'static str) -> Option<Duration> {
        self.scalar(members, name, Presence::Optional, |text| {
            let ms = u64::try_from(milliseconds(text)?);
            ms.map(Duration::from_millis)
                .map_err(|_| ValueError::range("a duration that is not negative"))
        })
    }

    /// A rule of the retired product about a member that is there.
    pub(crate) fn limit(&mut self, members: &mut Members<'_>, name: &'static str, keeps: bool, rule: &str) {
        if !keeps && let Some((_, at)) = members.get(name) {
            let message = format!(
                "'{name}' of {} must be {rule} in {}",
                members.what, self.generation
            );
            self.findings.rule(DiagnosticCode::LimitExceeded, &at, message);
        }
    }

    /// A bound of what can be carried out, on a member that is there.
    pub(crate) fn bound(&mut self, members: &mut Members<'_>, name: &'static str, keeps: bool, rule: &str) {
        if !keeps && let Some((_, at)) = members.get(name) {
            let message = format!("'{name}' of {} must be {rule}", members.what);
            self.findings.error(DiagnosticCode::OutOfRange, &at, message);
        }
    }

    /// The local name of an object's `@type`.
    pub(crate) fn local_type(&mut self, members: &mut Members<'_>) -> Option<(String, String)> {
        let Some((value, at)) = members.get("@type") else {
            members.missing("@type", self.findings);
            return None;
        };
        let text = value.as_str().unwrap_or_default();
        match Family::split_type(text) {
            Some((family, local)) => {
                if family != self.generation.family() {
                    let message = format!(
                        "a type of {family} in a document of {}: it is accepted",
                        self.generation
                    );
                    self.findings.warning(DiagnosticCode::MixedFamilies, &at, message);
                }
                Some((local.to_owned(), at))
            }
            None => {
                self.unknown_type(members, text, &at, self.generation.family().type_prefix());
                None
            }
        }
    }

    pub(crate) fn unknown_type(&mut self, members: &Members<'_>, found: &str, at: &str, expected: &str) {
        let message = format!(
            "the type '{}' of {} is unknown: use {expected}",
            shortened(found),
            members.what
        );
        self.findings.error(DiagnosticCode::UnknownType, at, message);
    }

    /// A value of one of the contract's enumerations.
    pub(crate) fn string_enum<T: StringEnum>(
        &mut self,
        members: &mut Members<'_>,
        name: &'static str,
        presence: Presence,
    ) -> Option<T> {
        self.scalar(members, name, presence, |text| {
            T::from_string(text).ok_or_else(|| ValueError::value(format!("one of {}", T::allowed_values())))
        })
    }

    /// A member that a later generation brought.
    pub(crate) fn since(&mut self, members: &mut Members<'_>, name: &'static str, exists: bool) {
        if !exists && let Some((_, at)) = members.get(name) {
            let message = format!("{} has no member '{name}' in {}", members.what, self.generation);
            self.findings.rule(DiagnosticCode::NotInGeneration, &at, message);
        }
    }
}

/// An ISO 8601 duration in milliseconds; a day has 24 hours, months and years have no length.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let text = text.trim();
    if !text.trim_start_matches(['-', '+']).starts_with(['P', 'p']) {
        return None;
    }
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(duration.as_millis()).ok()
}

fn milliseconds(text: &str) -> Result<i64, ValueError> {
    let expected = "an ISO 8601 duration without months and years, such as PT30S";
    parse_duration(text).ok_or_else(|| ValueError::value(expected))
}

/// The start of a string, for messages.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let head: String = text.chars().take(MOST).collect();
    format!("{head}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_all_their_forms() {
        for (text, ms) in [
            ("PT30S", 30_000),
            ("PT1.0S", 1_000),
            ("PT0.5S", 500),
            ("-PT5S", -5_000),
            ("PT5M", 300_000),
            ("P1DT2H", 93_600_000),
            (" PT0S ", 0),
        ] {
            assert_eq!(parse_duration(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "30",
            "30s",
            "PT",
            "P1M",
            "P1Y",
            "PT30",
            "1 hour",
            "PT99999999999999999999S",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}

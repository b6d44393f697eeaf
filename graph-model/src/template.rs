//! Texts with references: `${name}` and `${System.…}`.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;

use crate::generation::Family;

/// A value that is known only when a graph runs. It is not declared, and is written `${System.…}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemVariable {
    /// `System.DateTime`, in Video Analyzer `System.Runtime.DateTime`: UTC as `20200517T175346Z`.
    DateTime,
    /// `System.PreciseDateTime`, `System.Runtime.PreciseDateTime`: UTC as `20200517T175346.123Z`.
    PreciseDateTime,
    /// `System.GraphTopologyName`, `System.TopologyName`.
    TopologyName,
    /// `System.GraphInstanceName`, `System.PipelineName`.
    InstanceName,
}

impl SystemVariable {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::DateTime,
        Self::PreciseDateTime,
        Self::TopologyName,
        Self::InstanceName,
    ];

    /// The names in both families; either is understood in every document.
    pub fn names(self) -> [&'static str; 2] {
        match self {
            Self::DateTime => ["System.DateTime", "System.Runtime.DateTime"],
            Self::PreciseDateTime => ["System.PreciseDateTime", "System.Runtime.PreciseDateTime"],
            Self::TopologyName => ["System.GraphTopologyName", "System.TopologyName"],
            Self::InstanceName => ["System.GraphInstanceName", "System.PipelineName"],
        }
    }

    /// The name in one family.
    pub fn name_in(self, family: Family) -> &'static str {
        let [lva, video_analyzer] = self.names();
        match family {
            Family::Lva => lva,
            Family::VideoAnalyzer => video_analyzer,
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|v| v.names().iter().any(|n| n.eq_ignore_ascii_case(name)))
    }

    /// Whether it changes with time.
    pub fn is_date(self) -> bool {
        matches!(self, Self::DateTime | Self::PreciseDateTime)
    }
}

/// Whether a name belongs to the system variables, known or not.
pub(crate) fn is_system_name(name: &str) -> bool {
    name.get(..7)
        .is_some_and(|head| head.eq_ignore_ascii_case("System."))
}

/// A piece of a string as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    Literal(&'a str),
    Reference(&'a str),
    /// `${` without an end: taken as text.
    Unclosed(&'a str),
}

/// Splits a string into pieces. References have neither escape nor nesting: a reference ends at the first `}`.
pub(crate) fn segments(text: &str) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(start) = rest.find("${") else {
            return Some(Segment::Literal(std::mem::take(&mut rest)));
        };
        if start > 0 {
            let (literal, tail) = rest.split_at(start);
            rest = tail;
            return Some(Segment::Literal(literal));
        }
        match rest.split_once('}') {
            Some((reference, tail)) => {
                rest = tail;
                Some(Segment::Reference(reference.get(2..).unwrap_or_default()))
            }
            None => Some(Segment::Unclosed(std::mem::take(&mut rest))),
        }
    })
}

/// A piece of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternPiece {
    /// Text as it stands.
    Text(String),
    /// A value that a run gives.
    Variable(SystemVariable),
}

/// A name with system variables in it: parameters are interpolated in, the rest waits for the recording.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Pattern {
    pieces: Vec<PatternPiece>,
    secret: bool,
}

impl Pattern {
    /// The pieces in order; two texts never follow each other.
    pub fn pieces(&self) -> &[PatternPiece] {
        &self.pieces
    }

    /// Whether a variable that changes with time is part of it: then each recording has a name of its own.
    pub fn has_date(&self) -> bool {
        self.variables().any(SystemVariable::is_date)
    }

    /// The variables in order.
    pub fn variables(&self) -> impl Iterator<Item = SystemVariable> {
        self.pieces.iter().filter_map(|piece| match piece {
            PatternPiece::Text(_) => None,
            PatternPiece::Variable(variable) => Some(*variable),
        })
    }

    /// The name for a recording that begins at a time. Times outside of the years 0 to 9999 count as 1970.
    pub fn render(&self, topology: &str, instance: &str, at: SystemTime) -> String {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                PatternPiece::Text(text) => name.push_str(text),
                PatternPiece::Variable(SystemVariable::TopologyName) => name.push_str(topology),
                PatternPiece::Variable(SystemVariable::InstanceName) => name.push_str(instance),
                PatternPiece::Variable(SystemVariable::DateTime) => {
                    name.push_str(&utc(at).strftime("%Y%m%dT%H%M%SZ").to_string());
                }
                PatternPiece::Variable(SystemVariable::PreciseDateTime) => {
                    let at = utc(at);
                    let ms = at.millisecond();
                    name.push_str(&format!("{}.{ms:03}Z", at.strftime("%Y%m%dT%H%M%S")));
                }
            }
        }
        name
    }

    pub(crate) fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(PatternPiece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(PatternPiece::Text(text.to_owned())),
        }
    }

    pub(crate) fn push_variable(&mut self, variable: SystemVariable) {
        self.pieces.push(PatternPiece::Variable(variable));
    }

    pub(crate) fn set_secret(&mut self) {
        self.secret = true;
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.secret
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// As it would be written, or `***` where a secret went into it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret {
            return f.write_str("***");
        }
        self.pieces.iter().try_for_each(|piece| match piece {
            PatternPiece::Text(text) => f.write_str(text),
            PatternPiece::Variable(variable) => write!(f, "${{{}}}", variable.names()[0]),
        })
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

fn utc(at: SystemTime) -> jiff::Zoned {
    let at = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(jiff::tz::TimeZone::UTC)
}

/// `2020-05-17T17:53:46.123Z`.
pub(crate) fn iso_utc(at: SystemTime) -> String {
    let at = utc(at);
    let ms = at.millisecond();
    format!("{}.{ms:03}Z", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_taken_apart() {
        let parts: Vec<_> = segments("a-${b}${System.DateTime}c${d").collect();
        assert_eq!(
            parts,
            [
                Segment::Literal("a-"),
                Segment::Reference("b"),
                Segment::Reference("System.DateTime"),
                Segment::Literal("c"),
                Segment::Unclosed("${d"),
            ]
        );
        assert_eq!(segments("").count(), 0);
        assert_eq!(segments("${}").collect::<Vec<_>>(), [Segment::Reference("")]);
        // No nesting: the first closing brace ends it.
        assert_eq!(segments("${a${b}}").next(), Some(Segment::Reference("a${b")));
    }

    #[test]
    fn a_pattern_renders_both_dates_and_both_names() {
        let mut pattern = Pattern::default();
        pattern.push_text("x");
        pattern.push_text("-");
        for variable in SystemVariable::ALL {
            pattern.push_variable(variable);
            pattern.push_text("|");
        }
        let at = UNIX_EPOCH + Duration::from_millis(1_589_738_026_062);
        assert_eq!(
            pattern.render("top", "inst", at),
            "x-20200517T175346Z|20200517T175346.062Z|top|inst|"
        );
        assert!(pattern.has_date());
        assert_eq!(iso_utc(at), "2020-05-17T17:53:46.062Z");
    }

    #[test]
    fn names_of_both_families_are_known_without_case() {
        assert_eq!(
            SystemVariable::from_name("system.runtime.datetime"),
            Some(SystemVariable::DateTime)
        );
        assert_eq!(SystemVariable::from_name("System.Wrong"), None);
        assert!(is_system_name("System.Wrong") && !is_system_name("Systemic"));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_by_taking_apart(text in "[a${}. \u{e4}]{0,40}") {
            let mut again = String::new();
            for segment in segments(&text) {
                match segment {
                    Segment::Literal(text) | Segment::Unclosed(text) => again.push_str(text),
                    Segment::Reference(name) => { again.push_str("${"); again.push_str(name); again.push('}'); }
                }
            }
            prop_assert_eq!(again, text);
        }
    }
}

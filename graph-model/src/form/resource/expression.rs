//! Expressions of templates, `[concat(parameters('a'), '-1')]`, as far as their values stand in the template.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::document::member;
use crate::read::shortened;

/// Stands in a text for a part without a value.
pub(super) const UNKNOWN: char = '\u{fffc}';

/// Most functions that the expressions of a document may call, those of parameters and variables that they use included.
const MOST_CALLS: usize = 10_000;

/// Most expressions inside of each other.
const MOST_LEVELS: usize = 32;

/// Longest text that an expression may have, in bytes.
const LONGEST: usize = 64 << 10;

/// Parameters and variables of a template.
#[derive(Debug)]
pub(super) struct Scope {
    /// What a deployment gives to a template inside of it; its expressions are the outer template's.
    given: Map<String, Value>,
    defaults: Map<String, Value>,
    variables: Map<String, Value>,
}

impl Scope {
    pub(super) fn of(template: &Map<String, Value>, deployment: Option<&Map<String, Value>>) -> Self {
        let object = |map: &Map<String, Value>, name: &str| {
            member(map, name)
                .and_then(|(_, value)| value.as_object().cloned())
                .unwrap_or_default()
        };
        Self {
            given: deployment
                .map(|properties| object(properties, "parameters"))
                .unwrap_or_default(),
            defaults: object(template, "parameters"),
            variables: object(template, "variables"),
        }
    }
}

/// What a string of a template is.
pub(super) enum Evaluation {
    /// Itself.
    Literal,
    Value(Value),
    Unknown {
        reason: String,
        /// The text with [`UNKNOWN`] in place of what has no value.
        text: Option<String>,
    },
}

/// A value, or why there is none and the text as far as it is known.
type Part = Result<Value, (String, Option<String>)>;

pub(super) struct Evaluator<'s> {
    scopes: &'s [Rc<Scope>],
    calls: usize,
}

impl<'s> Evaluator<'s> {
    pub(super) fn new(scopes: &'s [Rc<Scope>]) -> Self {
        Self { scopes, calls: 0 }
    }

    /// The value of a string: that of its expression, where it is one.
    pub(super) fn text(&mut self, text: &str) -> Evaluation {
        self.string(text, self.scopes.len(), 0)
    }

    /// `scopes`: how many of the templates, from the outermost, are seen.
    fn string(&mut self, text: &str, scopes: usize, level: usize) -> Evaluation {
        let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
            return Evaluation::Literal;
        };
        // Points of a polygon in a string are no expression, though they should have another bracket.
        if serde_json::from_str::<Value>(text).is_ok() {
            return Evaluation::Literal;
        }
        if inner.starts_with('[') {
            return Evaluation::Value(text.get(1..).unwrap_or_default().into());
        }
        let mut reader = Reader {
            rest: inner,
            evaluator: self,
            scopes,
        };
        let part = reader.argument(level);
        let is_over = reader.rest.trim_start().is_empty();
        match part {
            Ok(value) if is_over => Evaluation::Value(value),
            Ok(_) => Evaluation::Unknown {
                reason: "it goes on behind its end".to_owned(),
                text: None,
            },
            Err((reason, text)) => Evaluation::Unknown { reason, text },
        }
    }

    /// A value of the template, in which there may be an expression.
    fn value(&mut self, value: &Value, scopes: usize, level: usize) -> Part {
        let Value::String(text) = value else {
            return Ok(value.clone());
        };
        match self.string(text, scopes, level + 1) {
            Evaluation::Literal => Ok(value.clone()),
            Evaluation::Value(value) => Ok(value),
            Evaluation::Unknown { reason, text } => Err((reason, text)),
        }
    }

    fn parameter(&mut self, name: &str, scopes: usize, level: usize) -> Part {
        let all = self.scopes;
        for (index, scope) in all.iter().enumerate().take(scopes).rev() {
            let inside = |map: &Map<String, Value>, member_name: &str| {
                let (_, entry) = member(map, name)?;
                Some(member(entry.as_object()?, member_name)?.1.clone())
            };
            if let Some(value) = inside(&scope.given, "value") {
                return self.value(&value, index, level);
            }
            if let Some(value) = inside(&scope.defaults, "defaultValue") {
                return self.value(&value, index + 1, level);
            }
            if member(&scope.defaults, name).is_some() {
                return unknown(format!("parameter '{}' has no 'defaultValue'", shortened(name)));
            }
        }
        unknown(format!("the template has no parameter '{}'", shortened(name)))
    }

    fn variable(&mut self, name: &str, scopes: usize, level: usize) -> Part {
        let all = self.scopes;
        for (index, scope) in all.iter().enumerate().take(scopes).rev() {
            if let Some((_, value)) = member(&scope.variables, name) {
                return self.value(value, index + 1, level);
            }
        }
        unknown(format!("the template has no variable '{}'", shortened(name)))
    }

    fn call(&mut self, name: &str, arguments: Vec<Part>, scopes: usize, level: usize) -> Part {
        self.calls += 1;
        if self.calls > MOST_CALLS {
            return unknown("the expressions of the template are too many".to_owned());
        }
        let lower = name.to_ascii_lowercase();
        match (lower.as_str(), &arguments[..]) {
            ("parameters", [Ok(Value::String(name))]) => self.parameter(name, scopes, level),
            ("variables", [Ok(Value::String(name))]) => self.variable(name, scopes, level),
            ("concat", parts) => joined(parts.iter().map(Piece::Part)),
            ("format", [Ok(Value::String(pattern)), parts @ ..]) => formatted(pattern, parts),
            ("string", [part]) => joined([Piece::Part(part)].into_iter()),
            ("tolower", [Ok(Value::String(text))]) => Ok(text.to_lowercase().into()),
            ("toupper", [Ok(Value::String(text))]) => Ok(text.to_uppercase().into()),
            ("true", []) => Ok(true.into()),
            ("false", []) => Ok(false.into()),
            _ => unknown(format!(
                "the function '{}' is evaluated in the cloud",
                shortened(name)
            )),
        }
    }
}

fn unknown(reason: String) -> Part {
    Err((reason, Some(UNKNOWN.to_string())))
}

enum Piece<'p> {
    Text(&'p str),
    Part(&'p Part),
}

/// One text of several, known as far as they are.
fn joined<'p>(pieces: impl Iterator<Item = Piece<'p>>) -> Part {
    let (mut all, mut why) = (String::new(), None);
    for piece in pieces {
        match piece {
            Piece::Text(text) => all.push_str(text),
            Piece::Part(Ok(Value::String(text))) => all.push_str(text),
            Piece::Part(Ok(value @ (Value::Number(_) | Value::Bool(_)))) => all.push_str(&value.to_string()),
            Piece::Part(Ok(_)) => {
                why.get_or_insert_with(|| "a list or an object is joined".to_owned());
                all.push(UNKNOWN);
            }
            Piece::Part(Err((reason, text))) => {
                why.get_or_insert_with(|| reason.clone());
                all.push_str(text.as_deref().unwrap_or(""));
                all.push(UNKNOWN);
            }
        }
        if all.len() > LONGEST {
            return Err(("its text is too long".to_owned(), None));
        }
    }
    match why {
        None => Ok(all.into()),
        Some(reason) => Err((reason, Some(all))),
    }
}

/// `{0}` and its like replaced.
fn formatted(pattern: &str, parts: &[Part]) -> Part {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        pieces.push(Piece::Text(before));
        let slot = after.split_once('}');
        let part = slot.and_then(|(number, _)| parts.get(number.trim().parse::<usize>().ok()?));
        let (Some(part), Some((_, after))) = (part, slot) else {
            return unknown("a format has a place without a value".to_owned());
        };
        pieces.push(Piece::Part(part));
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    joined(pieces.into_iter())
}

/// Reads an expression from left to right.
struct Reader<'r, 'e, 's> {
    rest: &'r str,
    evaluator: &'e mut Evaluator<'s>,
    scopes: usize,
}

impl Reader<'_, '_, '_> {
    fn argument(&mut self, level: usize) -> Part {
        if level > MOST_LEVELS {
            return Err(("its parts refer to each other without end".to_owned(), None));
        }
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix('\'') {
            return self.quoted(rest);
        }
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        let Some(rest) = self.rest.strip_prefix('(') else {
            return word.parse::<i64>().map(Value::from).map_err(|_| not_understood());
        };
        self.rest = rest;
        let mut arguments = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                break;
            }
            match self.argument(level + 1) {
                // Where it ends is not known.
                Err((reason, None)) => return Err((reason, None)),
                part => arguments.push(part),
            }
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
            } else if !self.rest.starts_with(')') {
                return Err(not_understood());
            }
        }
        let mut value = self.evaluator.call(word, arguments, self.scopes, level);
        // Members and items of what a function gives.
        while let Some(rest) = self.rest.strip_prefix(['.', '[']) {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
            let rest = rest.get(end.unwrap_or(rest.len())..).unwrap_or_default();
            self.rest = rest.strip_prefix(']').unwrap_or(rest);
            value = unknown("a member of what a function gives is asked for".to_owned());
        }
        value
    }

    /// A text up to its quote; two quotes are one.
    fn quoted(&mut self, mut rest: &str) -> Part {
        let mut text = String::new();
        loop {
            let Some((before, after)) = rest.split_once('\'') else {
                return Err(not_understood());
            };
            text.push_str(before);
            match after.strip_prefix('\'') {
                Some(after) => {
                    text.push('\'');
                    rest = after;
                }
                None => {
                    let left = after.len();
                    self.rest = self.rest.get(self.rest.len() - left..).unwrap_or_default();
                    return Ok(text.into());
                }
            }
        }
    }
}

fn not_understood() -> (String, Option<String>) {
    ("it is not understood".to_owned(), None)
}

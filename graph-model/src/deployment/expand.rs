//! Expands placeholders in a string: images of modules first, then variables. Values are not expanded again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::environment::{EnvironmentFile, is_name_byte};
use super::module_file::{ModuleFile, ModuleSource};
use crate::diagnostic::{DiagnosticCode, Findings};

/// Names that belong to IoT Edge and are not variables.
const RESERVED: [&str; 4] = ["edgeAgent", "edgeHub", "upstream", "schema"];

/// Maximum depth of JSON nested in strings.
const MAX_DEPTH: usize = 4;

/// A piece of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    /// With its platform, in full (`amd64`) or in part (`debug`).
    Image {
        written: &'a str,
        source: ModuleSource,
        platform: &'a str,
    },
    Variable {
        written: &'a str,
        name: &'a str,
    },
}

/// Splits a string into pieces.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(offset) = text.get(at..).and_then(|rest| rest.find('$')) {
        let dollar = at + offset;
        let rest = text.get(dollar..).unwrap_or_default();
        match image(rest).or_else(|| variable(rest)) {
            Some((piece, length)) => {
                if let Some(before) = text.get(start..dollar).filter(|before| !before.is_empty()) {
                    pieces.push(Piece::Text(before));
                }
                pieces.push(piece);
                at = dollar + length;
                start = at;
            }
            None => at = dollar + 1,
        }
    }
    if let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

/// `${MODULES.name}`, `${MODULES.name.platform}`, `${MODULEDIR<path>}`, `${MODULEDIR<path>.platform}`
fn image(text: &str) -> Option<(Piece<'_>, usize)> {
    let end = text.find('}')?;
    let inner = text.get(2..end).filter(|_| text.starts_with("${"))?;
    let (source, platform) = if let Some(rest) = inner.strip_prefix("MODULES.") {
        let (name, platform) = rest.split_once('.').unwrap_or((rest, ""));
        (ModuleSource::Name(name.to_owned()), platform)
    } else {
        let (directory, rest) = inner.strip_prefix("MODULEDIR<")?.split_once('>')?;
        let platform = rest.strip_prefix('.').unwrap_or(rest);
        (ModuleSource::Directory(directory.to_owned()), platform)
    };
    let written = text.get(..=end)?;
    Some((
        Piece::Image {
            written,
            source,
            platform,
        },
        written.len(),
    ))
}

/// `$NAME` or `${NAME}`
fn variable(text: &str) -> Option<(Piece<'_>, usize)> {
    let rest = text.strip_prefix('$')?;
    let (inner, braces) = rest.strip_prefix('{').map_or((rest, 0), |inner| (inner, 1));
    let length = inner.bytes().take_while(|byte| is_name_byte(*byte)).count();
    let name = inner.get(..length).filter(|name| !name.is_empty())?;
    if braces == 1 && !inner.get(length..)?.starts_with('}') {
        return None;
    }
    let written = text.get(..1 + 2 * braces + length)?;
    Some((Piece::Variable { written, name }, written.len()))
}

/// The modules that a string names.
pub(super) fn sources(text: &str) -> impl Iterator<Item = ModuleSource> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Image { source, .. } => Some(source),
        Piece::Text(_) | Piece::Variable { .. } => None,
    })
}

/// Inserts values into strings, and records what is missing.
pub(super) struct Expander<'a> {
    pub(super) platform: &'a str,
    pub(super) environment: &'a EnvironmentFile,
    pub(super) modules: &'a BTreeMap<ModuleSource, ModuleFile>,
    /// Variables without a value: the place of the first one, and their number.
    unset: BTreeMap<String, (String, usize)>,
    /// Variables whose value has the other spelling of their name.
    aliased: BTreeMap<String, (String, String)>,
    unknown: BTreeMap<String, (String, String)>,
    /// Bytes of values that may still be inserted: many variables can repeat a long value.
    left: usize,
    /// The place where they ran out.
    too_large: Option<String>,
}

/// The most bytes of values in one manifest: 16 MiB.
const BUDGET: usize = 16 << 20;

impl<'a> Expander<'a> {
    pub(super) fn new(
        platform: &'a str,
        environment: &'a EnvironmentFile,
        modules: &'a BTreeMap<ModuleSource, ModuleFile>,
    ) -> Self {
        Self {
            platform,
            environment,
            modules,
            unset: BTreeMap::new(),
            aliased: BTreeMap::new(),
            unknown: BTreeMap::new(),
            left: BUDGET,
            too_large: None,
        }
    }

    /// Inserts all known values into a string. If it contains JSON, values go into the strings of that JSON.
    pub(super) fn text(&mut self, text: &str, at: &str) -> String {
        self.nested(text, at, 0)
    }

    fn nested(&mut self, text: &str, at: &str, depth: usize) -> String {
        if !text.contains('$') {
            return text.to_owned();
        }
        if depth < MAX_DEPTH
            && text.trim_start().starts_with(['{', '['])
            && let Ok(mut inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(text)
        {
            let before = inner.clone();
            self.value(&mut inner, at, depth + 1);
            // Unchanged JSON keeps its author's formatting.
            return if inner == before {
                text.to_owned()
            } else {
                inner.to_string()
            };
        }
        let mut expanded = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => expanded.push_str(text),
                Piece::Variable { written, name } => expanded.push_str(&self.variable(written, name, at)),
                Piece::Image {
                    written,
                    source,
                    platform,
                } => {
                    let image = self.image(written, &source, platform, at);
                    // A module's own variables, whose values are not expanded again.
                    for piece in pieces(&image) {
                        match piece {
                            Piece::Variable { written, name } => {
                                expanded.push_str(&self.variable(written, name, at));
                            }
                            Piece::Text(text) | Piece::Image { written: text, .. } => expanded.push_str(text),
                        }
                    }
                }
            }
        }
        expanded
    }

    /// Expands every string and member name inside a value; findings point to the value itself.
    pub(super) fn value(&mut self, value: &mut Value, at: &str, depth: usize) {
        match value {
            Value::String(text) => *text = self.nested(text, at, depth),
            Value::Array(list) => list.iter_mut().for_each(|value| self.value(value, at, depth)),
            Value::Object(map) => {
                let old = std::mem::take(map);
                for (key, mut value) in old {
                    self.value(&mut value, at, depth);
                    map.insert(self.nested(&key, at, MAX_DEPTH), value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn variable(&mut self, written: &str, name: &str, at: &str) -> String {
        match self.environment.lookup(name) {
            Some((found, value)) => {
                if found != name {
                    let entry = (found.to_owned(), at.to_owned());
                    self.aliased.entry(name.to_owned()).or_insert(entry);
                }
                match self.left.checked_sub(value.len()) {
                    Some(left) => {
                        self.left = left;
                        value.to_owned()
                    }
                    None => {
                        self.too_large.get_or_insert_with(|| at.to_owned());
                        written.to_owned()
                    }
                }
            }
            None => {
                if !RESERVED.contains(&name) {
                    self.unset
                        .entry(name.to_owned())
                        .or_insert_with(|| (at.to_owned(), 0))
                        .1 += 1;
                }
                written.to_owned()
            }
        }
    }

    fn image(&mut self, written: &str, source: &ModuleSource, platform: &str, at: &str) -> String {
        let wanted = match platform {
            "" => self.platform.to_owned(),
            "debug" => format!("{}.debug", self.platform),
            platform => platform.to_owned(),
        };
        let reason = match self.modules.get(source) {
            Some(module) => match module.image(&wanted) {
                Some(image) => return image,
                None => {
                    let known: Vec<&str> = module.platforms.iter().map(String::as_str).collect();
                    format!(
                        "its module file has no platform '{wanted}', but {}",
                        known.join(", ")
                    )
                }
            },
            None => format!("there is no {}", source.path()),
        };
        self.unknown
            .entry(written.to_owned())
            .or_insert_with(|| (at.to_owned(), reason));
        written.to_owned()
    }

    /// Reports what is missing.
    pub(super) fn report(self, findings: &mut Findings) {
        if let Some(at) = self.too_large {
            let message = format!("the manifest with its values exceeds {BUDGET} bytes: shorten them");
            findings.error(DiagnosticCode::TooLarge, &at, message);
        }
        for (name, (at, count)) in self.unset {
            let state = if self.environment.value(&name).is_some() {
                "is empty"
            } else {
                "is not set"
            };
            let places = if count > 1 {
                format!(" ({count} places)")
            } else {
                String::new()
            };
            let message = format!("'${name}' {state} and stays unresolved{places}: give it a value");
            findings.warning(DiagnosticCode::VariableUnset, &at, message);
        }
        for (name, (found, at)) in self.aliased {
            let message = format!("'${name}' is not set: '{found}', another spelling of it, was taken");
            findings.hint(DiagnosticCode::VariableAlias, &at, message);
        }
        for (written, (at, reason)) in self.unknown {
            let message = format!("'{written}' stays unresolved, because {reason}: add it, or name an image");
            findings.warning(DiagnosticCode::ModuleUnknown, &at, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart_as_the_published_tool_did() {
        let names = |text| -> Vec<String> {
            let pieces = pieces(text).into_iter();
            pieces
                .map(|piece| match piece {
                    Piece::Text(text) => text.to_owned(),
                    Piece::Variable { name, .. } => format!("<{name}>"),
                    Piece::Image { source, platform, .. } => format!("<{source}|{platform}>"),
                })
                .collect()
        };
        assert_eq!(names("$A_1:/x"), ["<A_1>", ":/x"]);
        assert_eq!(names("${A}$B$$C$"), ["<A>", "<B>", "$", "<C>", "$"]);
        assert_eq!(names("${System.DateTime}"), ["${System.DateTime}"]);
        assert_eq!(names("${}"), ["${}"]);
        assert_eq!(names("${A"), ["${A"]);
        assert_eq!(names("${MODULES.a}"), ["<MODULES.a|>"]);
        assert_eq!(
            names("x${MODULES.a.amd64.debug}"),
            ["x", "<MODULES.a|amd64.debug>"]
        );
        assert_eq!(names("${MODULEDIR<../m>.debug}"), ["<MODULEDIR<../m>|debug>"]);
        assert_eq!(names("ä$Aö"), ["ä", "<A>", "ö"]);
    }
}

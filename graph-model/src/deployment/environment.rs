//! `.env` files: the values of a template's variables.

use std::collections::BTreeMap;
use std::fmt;

use crate::diagnostic::{Diagnostic, DiagnosticCode, DocumentKind, Findings, Strictness};
use crate::document::{DocumentError, step, str_from_slice};
use crate::read::shortened;
use lva_media_types::SecretString;

/// Pairs of names for the same variable: documents use one, templates the other.
pub(super) const ALIASES: [(&str, &str); 2] = [
    ("VIDEO_INPUT_FOLDER_ON_DEVICE", "INPUT_VIDEO_FOLDER_ON_DEVICE"),
    ("VIDEO_OUTPUT_FOLDER_ON_DEVICE", "OUTPUT_VIDEO_FOLDER_ON_DEVICE"),
];

/// A `.env` file: lines of `NAME="value"`. Values are secret: they hold keys and passwords.
///
/// Ignored are spaces around names and values, empty lines, lines that begin with `#`, `export` before a name, and everything
/// after a closing quote. In double quotes `\n` is a line feed. If a name occurs twice, the last one counts. Pointers of
/// [`findings`](Self::findings) are `/NAME`, or `/5` for the fifth line.
#[derive(Clone, PartialEq, Default)]
pub struct EnvironmentFile {
    values: BTreeMap<String, SecretString>,
    findings: Vec<Diagnostic>,
}

impl EnvironmentFile {
    /// Reads a file's content. Lines that cannot be read are in the [findings](Self::findings).
    ///
    /// # Errors
    ///
    /// [`DocumentError`] when it is not UTF-8, or larger than [`MAX_DOCUMENT_BYTES`](crate::MAX_DOCUMENT_BYTES).
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DocumentError> {
        let text = str_from_slice(bytes)?;
        let mut findings = Findings::new(DocumentKind::Environment, Strictness::Open);
        let mut values = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = step("", &(i + 1).to_string());
            let Some((name, value)) = line.split_once('=') else {
                let message = format!("line {} has no '=': write NAME=\"value\"", i + 1);
                findings.error(DiagnosticCode::InvalidValue, &at, message);
                continue;
            };
            let name = name.trim();
            let name = name.strip_prefix("export ").unwrap_or(name).trim();
            if name.is_empty() || !name.bytes().all(is_name_byte) {
                let message = format!(
                    "'{}' in line {} is not a valid variable name: use letters, digits and underscores",
                    shortened(name),
                    i + 1
                );
                findings.error(DiagnosticCode::InvalidName, &at, message);
                continue;
            }
            let value = read_value(name, value.trim(), &mut findings);
            if values.insert(name.to_owned(), SecretString::new(value)).is_some() {
                let message = format!("'{name}' is set twice: the last one wins");
                findings.warning(DiagnosticCode::VariableDuplicate, &step("", name), message);
            }
        }
        check_aliases(&values, &mut findings);
        Ok(Self {
            values,
            findings: findings.into_vec(),
        })
    }

    /// Builds an environment from names and values.
    pub fn new<'v>(values: impl IntoIterator<Item = (&'v str, &'v str)>) -> Self {
        let values = values.into_iter();
        Self {
            values: values
                .map(|(name, value)| (name.to_owned(), SecretString::new(value)))
                .collect(),
            findings: Vec::new(),
        }
    }

    /// The value of a variable; the case of the name counts.
    pub fn value(&self, name: &str) -> Option<&SecretString> {
        self.values.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// All findings about the file, errors first.
    pub fn findings(&self) -> &[Diagnostic] {
        &self.findings
    }

    /// A value that is not empty, by its name or its other spelling, with the name that has it.
    pub(super) fn lookup(&self, name: &str) -> Option<(&str, &str)> {
        let interpolated = |name: &str| {
            let (name, value) = self.values.get_key_value(name)?;
            (!value.is_empty()).then(|| (name.as_str(), value.expose()))
        };
        interpolated(name).or_else(|| {
            let other = ALIASES.into_iter().find_map(|(a, b)| match name {
                name if name == a => Some(b),
                name if name == b => Some(a),
                _ => None,
            });
            interpolated(other?)
        })
    }
}

pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn read_value(name: &str, value: &str, findings: &mut Findings) -> String {
    let typographic = |c: char| "“”„‟‘’‚‛«»".contains(c);
    if value.starts_with(typographic) || value.ends_with(typographic) {
        let message = format!(
            "the value of '{name}' is in typographic quotes, which would become \
             part of it: write straight ones (\")"
        );
        findings.error(DiagnosticCode::TypographicQuote, &step("", name), message);
        return value.to_owned();
    }
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return value.to_owned();
    };
    let inner = value.get(1..).unwrap_or_default();
    let Some((quoted, rest)) = inner.split_once(quote) else {
        let message = format!("the value of '{name}' has no closing {quote}: it is taken literally");
        findings.warning(DiagnosticCode::InvalidValue, &step("", name), message);
        return value.to_owned();
    };
    // The closing quote is the last one: `"a "quoted" word"` is one value.
    let (quoted, rest) = match inner.rsplit_once(quote) {
        Some((all, last)) if !rest.trim_start().starts_with('#') => (all, last),
        _ => (quoted, rest),
    };
    let rest = rest.trim();
    if !rest.is_empty() && !rest.starts_with('#') {
        let message = format!("what follows the closing {quote} of '{name}' is ignored");
        findings.warning(DiagnosticCode::MemberIgnored, &step("", name), message);
    }
    if quote == '"' {
        quoted.replace("\\n", "\n")
    } else {
        quoted.to_owned()
    }
}

fn check_aliases(values: &BTreeMap<String, SecretString>, findings: &mut Findings) {
    for (a, b) in ALIASES {
        if let (Some(first), Some(second)) = (values.get(a), values.get(b))
            && first != second
        {
            let message = format!(
                "'{a}' and '{b}' are two spellings of one variable and have different values: make them equal, or remove one"
            );
            findings.warning(DiagnosticCode::VariableAlias, &step("", b), message);
        }
    }
}

impl fmt::Debug for EnvironmentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names().collect();
        f.debug_struct("EnvironmentFile")
            .field("names", &names)
            .finish_non_exhaustive()
    }
}

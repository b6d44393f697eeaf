//! From bytes to JSON, and what cannot be read at all.

pub(crate) mod foreign;

use serde_json::{Map, Value};

/// Largest document that is read, in bytes: 4 MiB. Published ones have up to 7 KiB.
pub const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// Why a document could not be read at all. The author's fault; a retry does not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not JSON.
    #[error("not JSON: {cause}: fix the syntax there")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's error.
        cause: serde_json::Error,
    },
    /// Not JSON, but another format, by how it begins.
    #[error("not JSON: this is {found}: {remedy}")]
    OtherFormat {
        /// What it is, with its article.
        found: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Not JSON, because of something that JSON does not have.
    #[error("not JSON: {found} at line {line}, column {column}: {remedy}")]
    NotInJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1, in characters.
        column: usize,
        /// What it is, with its article.
        found: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Not JSON, because of a quote that a word processor made.
    #[error(
        "not JSON: typographic quote ({found}) at line {line}, column {column}: write a straight quote (\")"
    )]
    TypographicQuote {
        /// Line, from 1.
        line: usize,
        /// Column, from 1, in characters.
        column: usize,
        /// The quote.
        found: char,
    },
    /// Not UTF-8.
    #[error("invalid UTF-8 at byte {at}: save the file as UTF-8")]
    NotUtf8 {
        /// Bytes that are right before it.
        at: usize,
        /// The standard library's error.
        source: std::str::Utf8Error,
    },
    /// Larger than [`MAX_DOCUMENT_BYTES`].
    #[error("the document has {bytes} bytes, more than the limit of {MAX_DOCUMENT_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// JSON, but not of the kind asked for.
    #[error("{expected} must be a JSON object{}, but this is {found}", hint.map(|h| format!(" ({h})")).unwrap_or_default())]
    WrongShape {
        /// What was asked for, with its article.
        expected: &'static str,
        /// What was found, in words.
        found: &'static str,
        /// How such an object is recognised.
        hint: Option<&'static str>,
    },
    /// A topology of the cloud service, which no edge module takes.
    #[error(
        "'{name}' is a topology of the Video Analyzer cloud service (it has {mark}), not of the edge module: \
         take an edge topology, whose envelope has '@apiVersion', 'name' and 'properties'"
    )]
    CloudTopology {
        /// Its name.
        name: String,
        /// By which it was recognised.
        mark: &'static str,
    },
    /// A document of another kind, by its members.
    #[error("this is {found}, not {wanted}: {remedy}")]
    OtherDocument {
        /// What was asked for, with its article.
        wanted: &'static str,
        /// What it is, with its article.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The object has no name.
    #[error("{what} has no 'name': give it one of letters, digits and dashes")]
    NameMissing {
        /// What was read, with its article.
        what: &'static str,
    },
    /// The document lacks a member that it cannot do without.
    #[error("{what} has no '{member}': add it")]
    MemberMissing {
        /// What was read, with its article.
        what: &'static str,
        /// The member.
        member: &'static str,
    },
    /// A member has another type than the kind of document needs.
    #[error("'{member}' of {what} is {found}, but must be {expected}")]
    MemberType {
        /// What was read, with its article.
        what: &'static str,
        /// The member.
        member: &'static str,
        /// What it is, in words.
        found: &'static str,
        /// The required type, in words.
        expected: &'static str,
    },
}

impl DocumentError {
    /// The name of the mistake, for machines: that of the variant, and `NotJson` for every other format and all that JSON does not
    /// have.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } | Self::OtherFormat { .. } | Self::NotInJson { .. } => "NotJson",
            Self::TypographicQuote { .. } => "TypographicQuote",
            Self::NotUtf8 { .. } => "NotUtf8",
            Self::TooLarge { .. } => "TooLarge",
            Self::WrongShape { .. } => "WrongShape",
            Self::CloudTopology { .. } => "CloudTopology",
            Self::OtherDocument { .. } => "OtherDocument",
            Self::NameMissing { .. } => "NameMissing",
            Self::MemberMissing { .. } => "MemberMissing",
            Self::MemberType { .. } => "MemberType",
        }
    }

    /// Line and column, from 1, of a syntax error.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        match self {
            Self::NotJson { line, column, .. }
            | Self::NotInJson { line, column, .. }
            | Self::TypographicQuote { line, column, .. } => Some((*line, *column)),
            Self::OtherFormat { .. } => Some((1, 1)),
            _ => None,
        }
    }
}

/// Decodes a document in UTF-8, without a byte-order mark.
pub(crate) fn str_from_slice(bytes: &[u8]) -> Result<&str, DocumentError> {
    match bytes.len() > MAX_DOCUMENT_BYTES {
        true => Err(DocumentError::TooLarge { bytes: bytes.len() }),
        false => decoded(bytes),
    }
}

/// The same for a text of any size.
pub(crate) fn decoded(bytes: &[u8]) -> Result<&str, DocumentError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(error) = foreign::encoding(bytes) {
        return Err(error);
    }
    std::str::from_utf8(bytes).map_err(|source| DocumentError::NotUtf8 {
        at: source.valid_up_to(),
        source,
    })
}

/// Reads JSON from bytes: a byte-order mark, any line ends and tabs are fine.
pub(crate) fn json_from_slice(bytes: &[u8]) -> Result<Value, DocumentError> {
    let text = str_from_slice(bytes)?;
    serde_json::from_str(text).map_err(|cause| not_json(text, cause))
}

/// Why a text is not JSON.
pub(crate) fn not_json(text: &str, cause: serde_json::Error) -> DocumentError {
    let known = match cause.is_data() {
        true => None,
        false => foreign::format(text).or_else(|| foreign::character(text, cause.line())),
    };
    known.unwrap_or(DocumentError::NotJson {
        line: cause.line(),
        column: cause.column(),
        cause,
    })
}

/// A JSON value's type in words.
pub(crate) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A member of an object by its name without case; null counts as absent.
pub(crate) fn member<'v>(map: &'v Map<String, Value>, name: &str) -> Option<(&'v str, &'v Value)> {
    let exact = map.get_key_value(name);
    exact
        .or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)))
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.as_str(), value))
}

/// The members of a document; `hint` describes how to recognise such a document.
pub(crate) fn members_of<'v>(
    value: &'v Value,
    expected: &'static str,
    hint: &'static str,
) -> Result<&'v Map<String, Value>, DocumentError> {
    value.as_object().ok_or_else(|| DocumentError::WrongShape {
        expected,
        found: json_type(value),
        hint: Some(hint),
    })
}

/// The members and the name of a topology, an instance or a device adapter.
pub(crate) fn envelope<'v>(
    value: &'v Value,
    what: &'static str,
) -> Result<(&'v Map<String, Value>, String), DocumentError> {
    let map = members_of(value, what, "with '@apiVersion', 'name' and 'properties'")?;
    if member(map, "name").is_none() {
        return Err(DocumentError::NameMissing { what });
    }
    let name = required(map, "name", what, "a string", |value| {
        value.as_str().map(str::to_owned)
    })?;
    Ok((map, name))
}

/// A required member, as `read` takes it.
pub(crate) fn required<'m, T>(
    map: &'m Map<String, Value>,
    name: &'static str,
    what: &'static str,
    expected: &'static str,
    read: impl FnOnce(&'m Value) -> Option<T>,
) -> Result<T, DocumentError> {
    let (_, value) = member(map, name).ok_or(DocumentError::MemberMissing { what, member: name })?;
    read(value).ok_or_else(|| DocumentError::MemberType {
        what,
        member: name,
        found: json_type(value),
        expected,
    })
}

/// The name of a member as it is written, by its name without case.
pub(crate) fn find(map: &Map<String, Value>, name: &str) -> Option<String> {
    map.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
}

/// Sets a member of an object, whatever case it was written in before.
pub(crate) fn set(map: &mut Map<String, Value>, name: &str, value: Value) {
    while let Some(key) = find(map, name) {
        map.shift_remove(&key);
    }
    map.insert(name.to_owned(), value);
}

/// A member that is an object, to be changed.
pub(crate) fn object<'m>(map: &'m mut Map<String, Value>, name: &str) -> Option<&'m mut Map<String, Value>> {
    let key = find(map, name)?;
    map.get_mut(&key)?.as_object_mut()
}

/// A member that is a list, to be changed.
pub(crate) fn list<'m>(map: &'m mut Map<String, Value>, name: &str) -> Option<&'m mut Vec<Value>> {
    let key = find(map, name)?;
    map.get_mut(&key)?.as_array_mut()
}

/// A scalar as a string: numbers and booleans as JSON writes them.
pub(crate) fn scalar_string(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The pointer to a member of a document, spelled as it is there; to what would hold it where it is missing.
pub(crate) fn spelled(document: &Value, path: &[&str]) -> String {
    let (mut at, mut value) = (String::new(), document);
    for name in path {
        let Some((key, inner)) = value.as_object().and_then(|map| member(map, name)) else {
            break;
        };
        at = step(&at, key);
        value = inner;
    }
    at
}

/// A JSON pointer one step deeper.
pub(crate) fn step(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_line_ends_are_fine_and_mistakes_are_located() {
        assert_eq!(
            json_from_slice(b"\xef\xbb\xbf{\r\n\t\"a\": 1\r\n}").unwrap(),
            serde_json::json!({"a": 1})
        );
        let error = json_from_slice(b"{\n \"a\": 1,\n}").unwrap_err();
        assert!(
            matches!(
                error,
                DocumentError::NotJson {
                    line: 3,
                    column: 1,
                    ..
                }
            ),
            "{error}"
        );
        assert!(matches!(
            json_from_slice(b"{\"a\":\"\xff\"}").unwrap_err(),
            DocumentError::NotUtf8 { at: 6, .. }
        ));
        let deep = "[".repeat(100_000);
        assert!(matches!(
            json_from_slice(deep.as_bytes()),
            Err(DocumentError::NotJson { .. })
        ));
        let large = vec![b' '; MAX_DOCUMENT_BYTES + 1];
        assert!(matches!(
            json_from_slice(&large),
            Err(DocumentError::TooLarge { .. })
        ));
    }

    #[test]
    fn members_are_found_without_case_and_the_exact_one_first() {
        let value = serde_json::json!({"Name": 1, "name": 2, "x": null});
        let map = value.as_object().unwrap();
        assert_eq!(member(map, "name"), Some(("name", &serde_json::json!(2))));
        assert_eq!(member(map, "NAME").unwrap().0.to_lowercase(), "name");
        assert_eq!(member(map, "x"), None);
        assert_eq!(step("/a", "b/c~"), "/a/b~1c~0");
    }
}

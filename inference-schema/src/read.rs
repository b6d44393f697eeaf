//! Lenient reading of JSON, with a pointer to what is wrong. Unknown members are kept.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};
use thiserror::Error;

/// Most characters of a problem's description, which may quote the JSON.
const LONGEST_PROBLEM: usize = 256;

/// JSON that is not what the contract asks for. The sender has to correct it; a retry does not help.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Not JSON at all, or nested deeper than 128 levels.
    #[error("invalid JSON: {0}")]
    Json(serde_json::Error),
    /// A member that the contract requires is missing, or a member has another type.
    #[error("{pointer}: {problem}")]
    Invalid {
        /// JSON pointer of the member, or of the object that lacks it.
        pointer: String,
        /// What is wrong, cut to 256 characters.
        problem: String,
    },
    /// An inference whose `type` is not one of the contract's, and which has no member of a known kind either.
    #[error(
        "{pointer}: unknown inference type {found:?}; use classification, motion, entity, text, event or other"
    )]
    UnknownKind {
        /// JSON pointer of the inference.
        pointer: String,
        /// Its `type`, cut to 64 characters.
        found: String,
    },
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

/// Removes a member and leaves the others in their order, with and without `preserve_order`.
pub(crate) fn take(members: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let value = members.get_mut(name).map(Value::take)?;
    members.retain(|member, _| member != name);
    Some(value)
}

impl ReadError {
    pub(crate) fn missing(member: &str) -> Self {
        Self::Invalid {
            pointer: String::new(),
            problem: format!("missing field `{member}`"),
        }
    }

    /// The same error about JSON that is itself a part of something larger.
    pub(crate) fn below(mut self, parent: fmt::Arguments<'_>) -> Self {
        if let Self::Invalid { pointer, .. } | Self::UnknownKind { pointer, .. } = &mut self {
            *pointer = format!("{parent}{pointer}");
        }
        self
    }
}

/// Reads a value of a type that derives how.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, ReadError> {
    serde_path_to_error::deserialize(value).map_err(|error| ReadError::Invalid {
        pointer: pointer(error.path()),
        problem: error.inner().to_string().chars().take(LONGEST_PROBLEM).collect(),
    })
}

fn pointer(path: &Path) -> String {
    path.iter().fold(String::new(), |parent, segment| match segment {
        Segment::Seq { index } => format!("{parent}/{index}"),
        Segment::Map { key } => format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => parent,
    })
}

/// An error for a value of another type, which does not quote it.
pub(crate) fn wrong_type<E: serde::de::Error>(expected: &str, found: &Value) -> E {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "another number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    E::custom(format_args!("expected {expected}, found {found}"))
}

/// A string, or a number or boolean as its JSON; empty for null.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self(String::new())),
            Value::String(text) => Ok(Self(text)),
            scalar @ (Value::Number(_) | Value::Bool(_)) => Ok(Self(scalar.to_string())),
            other => Err(wrong_type("a string", &other)),
        }
    }
}

/// A string that may be left out.
pub(crate) fn optional_string<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Text>::deserialize(from)?.map(|text| text.0))
}

/// A string that is empty where it is left out.
pub(crate) fn string_or_empty<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Text::deserialize(from)?.0)
}

/// A string that is required.
pub(crate) fn string<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    optional_string(from)?.ok_or_else(|| wrong_type("a string", &Value::Null))
}

/// Strings by name.
pub(crate) fn strings<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let texts: BTreeMap<String, Text> = or_default(from)?;
    Ok(texts.into_iter().map(|(name, text)| (name, text.0)).collect())
}

/// The default for null.
pub(crate) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// An integer from 0, also in a string or with a fraction of 0.
pub(crate) fn optional_integer<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(from)?;
    let read = match &value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_u64().or_else(|| {
            // Above 2^53 a float is no longer exact; such a time has to come as an integer.
            let float = number
                .as_f64()
                .filter(|f| (0.0..9.007_199_254_740_992e15).contains(f))?;
            (float.fract() == 0.0).then_some(float as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    read.map(Some)
        .ok_or_else(|| wrong_type("an integer from 0", &value))
}

/// Hand-written senders often leave out the padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes in base64.
pub(crate) fn base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    LENIENT
        .decode(string_or_empty(from)?)
        .map_err(|error| D::Error::custom(format_args!("not base64: {error}")))
}

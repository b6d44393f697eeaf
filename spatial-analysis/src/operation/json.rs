//! Members of JSON objects, read as tolerantly as the contract asks.

use std::fmt;

use lva_graph_model::{DocumentError, json::not_json};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::error::{Finding, shown};

pub(super) type Object = Map<String, Value>;

/// Most doubled members that are reported.
const MAX_DOUBLED: usize = 16;

/// Parses a string, which may begin with a byte order mark. Members that one object has twice are reported: the last one
/// counts, as in the original.
pub(super) fn parse(text: &str, findings: &mut Vec<Finding>) -> Result<Value, DocumentError> {
    let mut doubled = Vec::new();
    let text = text.trim_start_matches('\u{feff}').trim_end();
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Written(&mut doubled).deserialize(&mut reader);
    let value = read
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|cause| not_json(text, cause))?;
    findings.extend(doubled.into_iter().map(|name| {
        let message = "written twice in one object, the last one counts";
        Finding::new(shown(&name), message)
    }));
    Ok(value)
}

/// A value, with the names of members that were doubled.
struct Written<'a>(&'a mut Vec<String>);

impl<'de> DeserializeSeed<'de> for Written<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Written<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Written(self.0))? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Written(self.0))?;
            let before = object.insert(name.clone(), value);
            if before.is_some() && self.0.len() < MAX_DOUBLED {
                self.0.push(name);
            }
        }
        Ok(object.into())
    }
}

pub(super) fn is(name: &str, word: &str) -> bool {
    name.eq_ignore_ascii_case(word)
}

/// A member, ignoring case; an exact match comes first.
pub(super) fn find<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        let mut members = object.iter();
        members.find(|(key, _)| is(key, name)).map(|(_, value)| value)
    })
}

/// Removes every member of a name, ignoring case, and returns the first one.
pub(super) fn take(object: &mut Object, name: &str) -> Option<Value> {
    let mut taken = None;
    while let Some(key) = object.keys().find(|key| is(key, name)).cloned() {
        let value = object.remove(&key);
        taken = taken.or(value);
    }
    taken
}

/// A string, or a number as a string.
pub(super) fn string(object: &Object, name: &str) -> Option<String> {
    match find(object, name)? {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A finite number, also inside a string.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// A boolean, also inside a string.
pub(super) fn boolean(object: &Object, name: &str) -> Option<bool> {
    match find(object, name)? {
        Value::Bool(value) => Some(*value),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

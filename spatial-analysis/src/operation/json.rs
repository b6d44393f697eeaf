//! Members of JSON objects, read as tolerantly as the contract asks.

use serde_json::{Map, Value};

pub(super) type Object = Map<String, Value>;

/// Parses a string, which may begin with a byte order mark.
pub(super) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text.trim_start_matches('\u{feff}').trim())
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

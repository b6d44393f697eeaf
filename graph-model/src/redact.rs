//! What leaves the module: documents without their secrets.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::document::{find, list, object};
use crate::generation::Generation;
use crate::parameter::{ParameterDeclaration, ParameterType};
use crate::template::{Segment, segments};

/// Members of credentials whose literal text is never returned.
const SECRET_MEMBERS: [&str; 3] = ["password", "headerValue", "key"];

/// A topology as it is returned: without defaults of secret parameters, and without passwords, header values
/// and keys that were written down where a parameter should stand.
pub(crate) fn topology(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(list) = parameters(&mut value) {
        for entry in list.iter_mut().filter_map(Value::as_object_mut) {
            let kind = find(entry, "type").and_then(|key| entry.get(&key)?.as_str());
            let secret = kind.and_then(ParameterType::from_name) == Some(ParameterType::SecretString);
            if secret && let Some(key) = find(entry, "default") {
                entry.shift_remove(&key);
            }
        }
    }
    strip_credentials(&mut value);
    strip_users(&mut value);
    value
}

/// An instance as it is returned: parameters that the topology declares as secret, or whose values are secret since they were
/// set, have no value. Without a topology every parameter may be secret, so none has.
pub(crate) fn instance(
    value: &Value,
    declarations: Option<&[ParameterDeclaration]>,
    secrets: &BTreeSet<String>,
) -> Value {
    let mut value = value.clone();
    let open: Option<BTreeSet<&str>> = declarations.map(|list| {
        let open = list
            .iter()
            .filter(|d| d.parameter_type != ParameterType::SecretString);
        open.map(|d| d.name.as_str()).collect()
    });
    if let Some(list) = parameters(&mut value) {
        for entry in list.iter_mut().filter_map(Value::as_object_mut) {
            let name = find(entry, "name").and_then(|key| entry.get(&key)?.as_str());
            let shown = name
                .zip(open.as_ref())
                .is_some_and(|(name, open)| open.contains(name) && !secrets.contains(name));
            if !shown && let Some(key) = find(entry, "value") {
                entry.shift_remove(&key);
            }
        }
    }
    strip_users(&mut value);
    value
}

/// A device adapter as it is returned: without its key.
pub(crate) fn adapter(value: &Value) -> Value {
    let mut value = value.clone();
    strip_credentials(&mut value);
    value
}

/// A device adapter that is set again: without a key it keeps the one that it had.
pub(crate) fn keep_key(new: &Value, old: &Value) -> Value {
    let mut new = new.clone();
    let mut old = old.clone();
    if let (Some(new), Some(old)) = (hub_credentials(&mut new), hub_credentials(&mut old))
        && find(new, "key").is_none()
        && let Some(key) = find(old, "key").and_then(|key| old.get(&key).cloned())
    {
        new.insert("key".to_owned(), key);
    }
    new
}

fn hub_credentials(value: &mut Value) -> Option<&mut Map<String, Value>> {
    let mut map = value.as_object_mut()?;
    for name in ["properties", "iotHubDeviceConnection", "credentials"] {
        map = object(map, name)?;
    }
    Some(map)
}

/// An instance that is set again: parameters that it names without a value keep the one that they had, since
/// that is how secrets come back from a Get, except for those in `never`. So do addresses that come back without their user,
/// unless the instance was moved to another topology.
pub(crate) fn keep_values(new: &Value, old: &Value, never: &BTreeSet<String>, moved: bool) -> Value {
    let (mut new, mut old) = (new.clone(), old.clone());
    let (Some(new_list), Some(old_list)) = (parameters(&mut new), parameters(&mut old)) else {
        return new;
    };
    for entry in new_list.iter_mut().filter_map(Value::as_object_mut) {
        let name = find(entry, "name").and_then(|key| entry.get(&key).cloned());
        if name
            .as_ref()
            .and_then(Value::as_str)
            .is_some_and(|name| never.contains(name))
        {
            continue;
        }
        let before = old_list.iter().filter_map(Value::as_object).find(|old| {
            let old_name = find(old, "name").and_then(|key| old.get(&key).cloned());
            old_name.is_some() && old_name == name
        });
        let value = before.and_then(|old| old.get(&find(old, "value")?).cloned());
        let Some(value) = value else { continue };
        let given = value_of(entry);
        let is_without_user =
            |given: &Value| !moved && without_user(&value).is_some_and(|shown| *given == shown);
        if given.is_none_or(is_without_user) {
            let key = find(entry, "value").unwrap_or_else(|| "value".to_owned());
            entry.insert(key, value);
        }
    }
    new
}

/// The parameters of an instance that have a value.
pub(crate) fn names_with_values(value: &Value) -> BTreeSet<String> {
    let mut value = value.clone();
    let list = parameters(&mut value).into_iter().flatten();
    let entries = list.filter_map(|entry| entry.as_object());
    let named = entries.filter(|entry| value_of(entry).is_some());
    named
        .filter_map(|entry| Some(entry.get(&find(entry, "name")?)?.as_str()?.to_owned()))
        .collect()
}

fn value_of(entry: &Map<String, Value>) -> Option<&Value> {
    entry.get(&find(entry, "value")?).filter(|value| !value.is_null())
}

/// An instance without the values of these parameters.
pub(crate) fn without_values(value: &Value, names: &BTreeSet<String>) -> Value {
    let mut value = value.clone();
    let list = parameters(&mut value).into_iter().flatten();
    for entry in list.filter_map(Value::as_object_mut) {
        let name = find(entry, "name").and_then(|key| entry.get(&key)?.as_str());
        if name.is_some_and(|name| names.contains(name))
            && let Some(key) = find(entry, "value")
        {
            entry.shift_remove(&key);
        }
    }
    value
}

/// A topology that is set again: an address that comes back without its user keeps it.
pub(crate) fn keep_users(new: &mut Value, old: &Value) {
    match (new, old) {
        (Value::Array(new), Value::Array(old)) => {
            new.iter_mut()
                .zip(old)
                .for_each(|(new, old)| keep_users(new, old));
        }
        (Value::Object(new), Value::Object(old)) => {
            for (name, new) in new.iter_mut() {
                if let Some(old) = old.get(name) {
                    keep_users(new, old);
                }
            }
        }
        (new, old) => {
            if without_user(old).is_some_and(|shown| *new == shown) {
                *new = old.clone();
            }
        }
    }
}

/// Takes user and password out of every address.
fn strip_users(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(strip_users),
        Value::Object(map) => map.values_mut().for_each(strip_users),
        other => {
            if let Some(shown) = without_user(other) {
                *other = shown;
            }
        }
    }
}

/// An address without user and password; `None` for anything without them.
fn without_user(value: &Value) -> Option<Value> {
    let (scheme, rest) = value.as_str()?.split_once("://")?;
    let is_scheme = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
    if !scheme.trim_start().chars().all(is_scheme) {
        return None;
    }
    // References show nothing.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, _) = authority.rsplit_once('@')?;
    if is_reference(&Value::from(user.replace(':', ""))) {
        return None;
    }
    let host = rest.get(user.len() + 1..)?;
    Some(Value::from(format!("{scheme}://{host}")))
}

/// A document as it is stored: as its author wrote it, and with the version of the method that brought it where
/// it has none of its own.
pub(crate) fn as_stored(value: &Value, generation: Generation) -> Value {
    let mut value = as_written(value);
    if let Value::Object(map) = &mut value
        && find(map, "@apiVersion").is_none()
    {
        map.insert("@apiVersion".to_owned(), generation.api_version().into());
    }
    value
}

/// A document without what only the module writes: `systemData` and `state`.
pub(crate) fn as_written(value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Object(map) = &mut value {
        map.retain(|key, _| !key.eq_ignore_ascii_case("systemData"));
        if let Some(properties) = object(map, "properties") {
            properties.retain(|key, _| !key.eq_ignore_ascii_case("state"));
        }
    }
    value
}

fn parameters(value: &mut Value) -> Option<&mut Vec<Value>> {
    list(object(value.as_object_mut()?, "properties")?, "parameters")
}

fn strip_credentials(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(strip_credentials),
        Value::Object(map) => {
            if let Some(key) = find(map, "credentials")
                && let Some(Value::Object(credentials)) = map.get_mut(&key)
            {
                let is_secret = |key: &str| SECRET_MEMBERS.iter().any(|name| name.eq_ignore_ascii_case(key));
                credentials.retain(|key, value| !is_secret(key) || is_reference(value));
            }
            map.values_mut().for_each(strip_credentials);
        }
        _ => {}
    }
}

/// Whether a string consists of references only, so that it reveals nothing.
fn is_reference(value: &Value) -> bool {
    let Value::String(text) = value else { return false };
    segments(text).all(|segment| matches!(segment, Segment::Reference(_)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn users_in_addresses_do_not_come_back_and_stay_when_what_came_back_is_set() {
        let written = json!({"properties": {
            "parameters": [{"name": "a", "type": "String", "default": "rtsp://u:s1@cam/1"}],
            "sources": [{"endpoint": {"url": "rtsp://u:s2@cam/2"}}, {"endpoint": {"url": "rtsp://${u}:${p}@cam/3"}}],
            "description": "mail me@home, see http://h/x@y",
        }});
        let mut shown = topology(&written);
        let text = shown.to_string();
        assert!(!text.contains("s1") && !text.contains("s2"), "{text}");
        assert!(text.contains("rtsp://cam/2") && text.contains("${p}@cam") && text.contains("me@home"));
        keep_users(&mut shown, &written);
        assert_eq!(shown, written);
    }

    #[test]
    fn literal_credentials_do_not_come_back_and_references_do() {
        let written = json!({"properties": {
            "Parameters": [{"name": "a", "type": "secretString", "Default": "s1"}, {"name": "b", "type": "String", "default": "x"}],
            "sources": [
                {"endpoint": {"credentials": {"username": "u", "Password": "s2"}}},
                {"endpoint": {"credentials": {"username": "u", "password": "${a}"}}},
            ],
        }});
        let shown = topology(&written).to_string();
        assert!(!shown.contains("s1") && !shown.contains("s2"), "{shown}");
        assert!(shown.contains("${a}") && shown.contains("\"x\""));
    }
}

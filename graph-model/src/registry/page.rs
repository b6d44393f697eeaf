//! Pages of lists.

use serde_json::{Map, Value, json};

use super::options::PageLimits;
use crate::method::{Fault, ListOptions, Response};

/// The prefix of a continuation token, before the name of the last entry of the page.
const TOKEN: &str = "after:";

/// One page of a list that is sorted by name. An entry beyond the bytes is [`fitting`], and a page by itself.
pub(super) fn page<'a>(
    all: impl Iterator<Item = (&'a str, Value)>,
    options: &ListOptions,
    limits: PageLimits,
) -> Result<Response, Fault> {
    let after = match options.continuation_token.as_deref() {
        // Of a client that always sends the member.
        None | Some("") => None,
        Some(token) => Some(token.strip_prefix(TOKEN).ok_or(Fault::TokenInvalid)?),
    };
    let rest = all.skip_while(|(name, _)| after.is_some_and(|after| *name <= after));
    let mut last = "";
    let mut entries = Vec::new();
    let mut bytes = 0;
    let mut is_complete = true;
    for (name, value) in rest {
        let value = fitting(value, limits);
        if limits.bytes.is_some() {
            bytes += value.to_string().len() + 1;
        }
        let is_full = limits.entries.is_some_and(|most| entries.len() >= most)
            || limits
                .bytes
                .is_some_and(|most| bytes > most && !entries.is_empty());
        if is_full {
            is_complete = false;
            break;
        }
        last = name;
        entries.push(value);
    }
    let mut payload = json!({"value": entries});
    if !is_complete && let Value::Object(map) = &mut payload {
        map.insert("@continuationToken".to_owned(), format!("{TOKEN}{last}").into());
    }
    Ok(Response::with(200, payload))
}

/// An object as an answer carries it: one beyond the bytes is cut down to what identifies it, and has a note.
pub(super) fn fitting(value: Value, limits: PageLimits) -> Value {
    let (Some(most), Value::Object(whole)) = (limits.bytes, &value) else {
        return value;
    };
    let size = value.to_string().len();
    if size <= most {
        return value;
    }
    let mut short = members(whole, &["name", "systemData"]);
    if let Some(Value::Object(properties)) = whole.get("properties") {
        let properties = members(properties, &["topologyName", "state"]);
        short.insert("properties".to_owned(), properties.into());
    }
    let note = format!("This object is shortened: it has {size} bytes, and an answer carries {most}.");
    short.insert("@note".to_owned(), note.into());
    short.into()
}

fn members(map: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let all = map.iter();
    all.filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

//! Pages of lists.

use serde_json::{Value, json};

use super::options::PageLimits;
use crate::method::{Fault, ListOptions, Response};

/// The prefix of a continuation token, before the name of the last entry of the page.
const TOKEN: &str = "after:";

/// One page of a list that is sorted by name. A first entry beyond the bytes is a page by itself.
pub(super) fn page<'a>(
    all: impl Iterator<Item = (&'a str, Value)>,
    options: &ListOptions,
    limits: PageLimits,
) -> Result<Response, Fault> {
    let after = match &options.continuation_token {
        None => None,
        Some(token) => Some(token.strip_prefix(TOKEN).ok_or(Fault::TokenInvalid)?),
    };
    let rest = all.skip_while(|(name, _)| after.is_some_and(|after| *name <= after));
    let mut last = "";
    let mut entries = Vec::new();
    let mut bytes = 0;
    let mut is_complete = true;
    for (name, value) in rest {
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

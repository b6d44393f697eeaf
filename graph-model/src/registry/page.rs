//! Pages of lists.

use serde_json::{Value, json};

use crate::method::{Fault, ListOptions, Response};

/// The prefix of a continuation token, before the name of the last entry of the page.
const TOKEN: &str = "after:";

/// One page of a list that is sorted by name.
pub(super) fn page<'a>(
    all: impl Iterator<Item = (&'a str, Value)>,
    options: &ListOptions,
    size: Option<usize>,
) -> Result<Response, Fault> {
    let after = match &options.continuation_token {
        None => None,
        Some(token) => Some(token.strip_prefix(TOKEN).ok_or(Fault::TokenInvalid)?),
    };
    let mut rest = all.skip_while(|(name, _)| after.is_some_and(|after| *name <= after));
    let mut last = "";
    let mut entries = Vec::new();
    for (name, value) in rest.by_ref().take(size.unwrap_or(usize::MAX)) {
        last = name;
        entries.push(value);
    }
    let mut payload = json!({"value": entries});
    if rest.next().is_some()
        && let Value::Object(map) = &mut payload
    {
        map.insert("@continuationToken".to_owned(), format!("{TOKEN}{last}").into());
    }
    Ok(Response::with(200, payload))
}

//! Documents of the module, as people wrote them: members in any case, without secrets.

use lva_graph_runtime::Module;
use serde_json::{Value, json};

/// Pages of a list that are read; a module has at most some hundred topologies.
const MAX_PAGES: usize = 100;

/// All entries of a list.
pub(crate) async fn all(module: &Module, method: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut payload = json!({"@apiVersion": "2.0"});
    for _ in 0..MAX_PAGES {
        let (status, mut answer) = module.invoke(method, &payload).await;
        if status >= 300 {
            tracing::warn!(method, status, "a list for the console failed");
            break;
        }
        if let Some(Value::Array(entries)) = answer.get_mut("value") {
            all.append(entries);
        }
        match answer.get("@continuationToken") {
            Some(token) => payload["@continuationToken"] = token.clone(),
            None => break,
        }
    }
    all
}

/// The entry of a list with this name.
pub(crate) async fn named(module: &Module, method: &str, name: &str) -> Option<Value> {
    all(module, method)
        .await
        .into_iter()
        .find(|document| is_named(document, name))
}

/// A member by its path.
pub(crate) fn find<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| {
        let members = value.as_object()?;
        members
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

/// The text of a member; empty without.
pub(crate) fn text(value: &Value, name: &str) -> String {
    find(value, &[name])
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Whether a document has this name.
pub(crate) fn is_named(document: &Value, name: &str) -> bool {
    find(document, &["name"]).and_then(Value::as_str) == Some(name)
}

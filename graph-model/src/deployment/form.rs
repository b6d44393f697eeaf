//! Deployments in other forms than the manifest's, whose meaning is plain.

use serde_json::{Map, Value, json};

use crate::diagnostic::{Diagnostic, DiagnosticCode, DocumentKind, Severity};
use crate::document::{DocumentError, member, members_of, step};

/// Reads a document as a manifest, or as its template, and reports another form.
pub(super) fn read(
    mut value: Value,
    document: DocumentKind,
    what: &'static str,
) -> Result<(Value, Vec<Diagnostic>), DocumentError> {
    let mut notes = Vec::new();
    let mut note = |pointer: &str, message: &str| {
        notes.push(Diagnostic {
            severity: Severity::Info,
            code: DiagnosticCode::OtherForm,
            document,
            pointer: pointer.to_owned(),
            message: message.to_owned(),
        });
    };
    let only = value
        .as_array_mut()
        .and_then(|list| <&mut [Value; 1]>::try_from(&mut list[..]).ok());
    if let Some([only]) = only {
        value = only.take();
    }
    let map = members_of(&value, what, "with 'modulesContent'")?;
    if !map.contains_key("modulesContent") {
        // What the hub and its tools have around the modules: a deployment, a call.
        let mut around = map.iter();
        let holds = |inner: &Value| inner.get("modulesContent").is_some();
        if let Some(name) = around
            .find(|(_, inner)| holds(inner))
            .map(|(name, _)| name.clone())
        {
            let message = format!("the deployment in '{name}' is read: the members beside it are left out");
            note(&step("", &name), &message);
            let content = value.get_mut(&name).map(Value::take).unwrap_or_default();
            let mut plain = json!({"modulesContent": content.get("modulesContent")});
            // The marker of a template counts wherever it stands.
            if let (Some(plain), Some(marker)) = (plain.as_object_mut(), value.get("$schema-template")) {
                plain.insert("$schema-template".to_owned(), marker.clone());
            }
            value = plain;
        } else if map.contains_key("$edgeAgent") {
            note(
                "",
                "'$edgeAgent' stands outside of 'modulesContent': it is read as if it were inside",
            );
            value = json!({"modulesContent": value});
        } else {
            refuse_others(map, what)?;
        }
    }
    if let Some(modules) = value.get_mut("modulesContent")
        && let Some(inner) = modules.as_str().and_then(|text| serde_json::from_str(text).ok())
    {
        note(
            "/modulesContent",
            "'modulesContent' is a string, and the JSON in it is read",
        );
        *modules = inner;
    }
    let modules = value.get_mut("modulesContent").and_then(Value::as_object_mut);
    for (name, module) in modules.into_iter().flatten() {
        let Some(module) = module.as_object_mut() else {
            continue;
        };
        if module.contains_key("properties.desired") {
            continue;
        }
        let desired = module
            .get_mut("properties")
            .and_then(|properties| properties.get_mut("desired"))
            .map(Value::take);
        if let Some(desired) = desired {
            let message = format!("'properties' with 'desired' of '{name}' is read as 'properties.desired'");
            note("/modulesContent", &message);
            module.shift_remove("properties");
            module.insert("properties.desired".to_owned(), desired);
        }
    }
    Ok((value, notes))
}

/// Names another document that was given.
fn refuse_others(map: &Map<String, Value>, what: &'static str) -> Result<(), DocumentError> {
    let has = |name: &str| member(map, name).is_some();
    let inner = member(map, "properties").and_then(|(_, value)| value.as_object());
    let has_inner = |name: &str| inner.is_some_and(|inner| member(inner, name).is_some());
    let found = if has_inner("sources") || has_inner("sinks") {
        "a topology"
    } else if has_inner("topologyName") {
        "an instance"
    } else if has_inner("desired") || has("properties.desired") {
        "a module twin"
    } else if has("operations") {
        "an operations file"
    } else {
        return Ok(());
    };
    Err(DocumentError::OtherDocument {
        wanted: what,
        found: found.to_owned(),
        remedy: "give the file that has 'modulesContent'",
    })
}

//! Templates of Azure Resource Manager: where a document stands in one, and what its expressions mean.

mod expression;

use std::rc::Rc;

use serde_json::{Map, Value};

use self::expression::{Evaluation, Evaluator, Scope};
use super::{Form, Wanted, other_document};
use crate::document::{DocumentError, member, step};

/// Most levels of resources inside of resources and of deployments.
const MOST_LEVELS: usize = 5;

/// A resource of the wanted type: where it stands, and the templates around it, the innermost last.
struct Found {
    pointer: String,
    scopes: Vec<Rc<Scope>>,
}

/// The one resource of a template that is such a document, with the values of its expressions. Templates compiled from Bicep have
/// their resources by name.
pub(super) fn take(
    map: &mut Map<String, Value>,
    wanted: Wanted,
    form: &mut Form,
) -> Result<Option<Value>, DocumentError> {
    let Some((key, Value::Array(_) | Value::Object(_))) = member(map, "resources") else {
        return Ok(None);
    };
    let list = step("", key);
    let mut found = Vec::new();
    let scopes = [Rc::new(Scope::of(map, None))];
    search(map, "", &scopes, wanted, MOST_LEVELS, &mut found);
    let several = found.len();
    let Some(Found { pointer, scopes }) = found.pop() else {
        return Err(other_document(
            wanted,
            format!(
                "a template of Azure Resource Manager without {} in 'resources'",
                wanted.resources().join(" or ")
            ),
            "give the file with the document itself",
        ));
    };
    if several > 1 {
        return Err(other_document(
            wanted,
            format!("a template of Azure Resource Manager with {several} of them in 'resources'"),
            "save one of them in a file of its own",
        ));
    }
    let base = form.base.clone();
    form.note(
        format!("{base}{list}"),
        "the document in 'resources' is read: around it is a template of Azure Resource Manager",
    );
    let mut template = Value::Object(std::mem::take(map));
    let Some(mut resource) = template.pointer_mut(&pointer).map(Value::take) else {
        return Ok(None);
    };
    form.base.push_str(&pointer);
    let mut evaluator = Evaluator::new(&scopes);
    let mut values = 0;
    fill(
        &mut resource,
        &form.base.clone(),
        true,
        &mut evaluator,
        &mut values,
        form,
    );
    if values > 0 {
        let message =
            format!("{values} expressions of the template are read as the values that they have there");
        form.note(form.base.clone(), message);
    }
    Ok(Some(resource))
}

/// Collects resources of the wanted type, also inside of other resources and of nested deployments.
fn search(
    map: &Map<String, Value>,
    at: &str,
    scopes: &[Rc<Scope>],
    wanted: Wanted,
    levels: usize,
    found: &mut Vec<Found>,
) {
    let (Some((key, resources)), Some(levels)) = (member(map, "resources"), levels.checked_sub(1)) else {
        return;
    };
    let at = step(at, key);
    let each: Vec<(String, &Value)> = match resources {
        Value::Array(list) => {
            let numbered = list.iter().enumerate();
            numbered.map(|(i, resource)| (i.to_string(), resource)).collect()
        }
        Value::Object(by_name) => by_name
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        _ => return,
    };
    for (token, resource) in each {
        let Some(resource) = resource.as_object() else {
            continue;
        };
        let at = step(&at, &token);
        // Bicep refers to a resource that is there already.
        let is_reference = member(resource, "existing").is_some_and(|(_, value)| value == &Value::Bool(true));
        if wanted.is_resource(resource) && !is_reference {
            found.push(Found {
                pointer: at.clone(),
                scopes: scopes.to_vec(),
            });
        }
        search(resource, &at, scopes, wanted, levels, found);
        let nested = member(resource, "properties").and_then(|(name, properties)| {
            let properties = properties.as_object()?;
            let (template_name, template) = member(properties, "template")?;
            let at = step(&step(&at, name), template_name);
            Some((at, properties, template.as_object()?))
        });
        if let Some((at, properties, template)) = nested {
            let mut scopes = scopes.to_vec();
            scopes.push(Rc::new(Scope::of(template, Some(properties))));
            search(template, &at, &scopes, wanted, levels, found);
        }
    }
}

impl Wanted {
    /// Whether the type of a resource is that of such documents.
    fn is_resource(self, resource: &Map<String, Value>) -> bool {
        let kind = member(resource, "type").and_then(|(_, kind)| kind.as_str());
        let last = kind.and_then(|kind| kind.rsplit('/').next()).unwrap_or_default();
        self.resources()
            .iter()
            .any(|word| word.eq_ignore_ascii_case(last))
    }
}

/// Replaces expressions by their values, and reports those that have none.
fn fill(
    value: &mut Value,
    at: &str,
    is_root: bool,
    evaluator: &mut Evaluator<'_>,
    values: &mut usize,
    form: &mut Form,
) {
    match value {
        Value::String(text) => match evaluator.text(text) {
            Evaluation::Literal => {}
            Evaluation::Value(known) => {
                *values += 1;
                *value = known;
            }
            Evaluation::Unknown { reason, .. } => form.error(at.to_owned(), no_value(&reason)),
        },
        Value::Array(list) => {
            for (i, item) in list.iter_mut().enumerate() {
                fill(item, &step(at, &i.to_string()), false, evaluator, values, form);
            }
        }
        Value::Object(map) => {
            // What only the resource manager looks at.
            const MANAGED: [&str; 8] = [
                "apiVersion",
                "condition",
                "copy",
                "dependsOn",
                "location",
                "resources",
                "tags",
                "scope",
            ];
            if is_root {
                map.retain(|name, value| {
                    // The type of a topology of the cloud is by what it is known.
                    let is_plain_type = name.eq_ignore_ascii_case("type") && !is_of_cloud(value);
                    !is_plain_type && !MANAGED.iter().any(|managed| managed.eq_ignore_ascii_case(name))
                });
            }
            for (name, item) in map.iter_mut() {
                let at = step(at, name);
                if is_root
                    && name.eq_ignore_ascii_case("name")
                    && let Some(own) = item.as_str().and_then(|text| own_name(text, evaluator))
                {
                    form.note(
                        at,
                        format!("'name' is the path of a resource: its last part '{own}' is taken"),
                    );
                    *item = own.into();
                    continue;
                }
                fill(item, &at, false, evaluator, values, form);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The last part of the path that names a resource, `account/name`, where it is a path.
fn own_name(text: &str, evaluator: &mut Evaluator<'_>) -> Option<String> {
    let path = match evaluator.text(text) {
        Evaluation::Literal => text.to_owned(),
        Evaluation::Value(Value::String(path)) => path,
        Evaluation::Unknown { text, .. } => text?,
        Evaluation::Value(_) => return None,
    };
    let (_, own) = path.rsplit_once('/')?;
    (!own.is_empty() && !own.contains(expression::UNKNOWN)).then(|| own.to_owned())
}

fn is_of_cloud(kind: &Value) -> bool {
    let kind = kind.as_str().unwrap_or_default().to_ascii_lowercase();
    kind.ends_with("videoanalyzers/pipelinetopologies")
}

fn no_value(reason: &str) -> String {
    format!("an expression of the template has no value here: {reason}; write the value in its place")
}

//! The operations of a module twin.

use serde_json::Value;

use super::MAX_OPERATIONS;
use super::error::OperationError;
use super::json::{Object, find, take};

/// An operation's members with its name, or why it is none.
type Named = (String, Result<Object, OperationError>);

/// The enabled operations by name, with the member that holds them; `None`: not a twin.
pub(super) fn operations(members: &Object) -> Option<(&'static str, Vec<Named>)> {
    let (member, Value::Object(graphs)) = ["graphs", "operations"]
        .into_iter()
        .find_map(|member| Some((member, find(members, member)?)))?
    else {
        return None;
    };
    let mut all = Vec::new();
    for (name, graph) in graphs {
        let graph = match graph {
            Value::Object(graph) if is_enabled(graph) => graph,
            // Null is how a twin's member is deleted.
            Value::Object(_) | Value::Null => continue,
            _ => {
                all.push((name.clone(), Err(OperationError::NotAnObject)));
                continue;
            }
        };
        let Some(Value::Object(instances)) = find(graph, "instances") else {
            all.push((name.clone(), Ok(graph.clone())));
            continue;
        };
        for (instance_name, instance) in instances {
            if let Value::Object(instance) = instance
                && is_enabled(instance)
            {
                all.push((
                    format!("{name}/{instance_name}"),
                    Ok(with_instance(graph, instance)),
                ));
            }
        }
    }
    // By name: the order of a JSON object has no meaning.
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (_, operation) in all.iter_mut().skip(MAX_OPERATIONS) {
        *operation = Err(OperationError::TooMany);
    }
    Some((member, all))
}

fn is_enabled(object: &Object) -> bool {
    match find(object, "enabled") {
        Some(Value::Bool(enabled)) => *enabled,
        Some(Value::String(text)) => !text.eq_ignore_ascii_case("false"),
        _ => true,
    }
}

/// A graph with the parameters of an instance, which override its own.
fn with_instance(graph: &Object, instance: &Object) -> Object {
    let mut graph = graph.clone();
    take(&mut graph, "instances");
    let mut parameters = match take(&mut graph, "parameters") {
        Some(Value::Object(parameters)) => parameters,
        _ => Object::new(),
    };
    if let Some(Value::Object(overrides)) = find(instance, "parameters") {
        for (name, value) in overrides {
            take(&mut parameters, name);
            parameters.insert(name.clone(), value.clone());
        }
    }
    graph.insert("parameters".to_owned(), Value::Object(parameters));
    graph
}

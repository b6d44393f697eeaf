//! The operations of a module twin.

use serde_json::Value;

use super::json::{Object, find, take};

/// Most operations of a twin; the rest is ignored.
const MAX_OPERATIONS: usize = 256;

/// The enabled operations, with the member that holds them; `None`: not a twin.
pub(super) fn operations(members: &Object) -> Option<(&'static str, Vec<(String, Object)>)> {
    let (member, Value::Object(graphs)) = ["graphs", "operations"]
        .into_iter()
        .find_map(|member| Some((member, find(members, member)?)))?
    else {
        return None;
    };
    let mut all = Vec::new();
    for (name, graph) in graphs {
        let Value::Object(graph) = graph else { continue };
        if !is_enabled(graph) {
            continue;
        }
        let Some(Value::Object(instances)) = find(graph, "instances") else {
            all.push((name.clone(), graph.clone()));
            continue;
        };
        for (instance_name, instance) in instances {
            if let Value::Object(instance) = instance
                && is_enabled(instance)
            {
                all.push((format!("{name}/{instance_name}"), with_instance(graph, instance)));
            }
        }
    }
    // By name: the order of a JSON object has no meaning.
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all.truncate(MAX_OPERATIONS);
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

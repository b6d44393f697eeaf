//! The smallest mistake for each code.
//!
//! | file | about |
//! |---|---|
//! | `members` | the form of documents: members, types, values and their bounds |
//! | `parameters` | parameters, instances, references and system variables |
//! | `connections` | which nodes there are, and how they are connected |

mod connections;
mod members;
mod parameters;

use lva_graph_model::{DiagnosticCode, Instance, Severity};
use serde_json::{Value, json};

use crate::support::{plaza, plaza_instance, with};

/// A mistake: what finds it, in open strictness, where, and how bad it is in open and compatible strictness.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) code: DiagnosticCode,
    pub(super) topology: Value,
    pub(super) instance: Instance,
    pub(super) at: &'static str,
    pub(super) open: Severity,
    pub(super) compatible: Severity,
}

fn case(
    code: DiagnosticCode,
    topology: Value,
    at: &'static str,
    open: Severity,
    compatible: Severity,
) -> Case {
    let street = topology["name"] == "Street";
    let instance = if street {
        Instance::new("s", "Street", [])
    } else {
        plaza_instance()
    };
    Case {
        code,
        topology,
        instance,
        at,
        open,
        compatible,
    }
}

/// The plaza with one place changed.
fn at(pointer: &str, value: Value) -> Value {
    with(plaza(), pointer, value)
}

fn source(name: &str) -> Value {
    with(plaza()["properties"]["sources"][0].clone(), "/name", json!(name))
}

fn message_source() -> Value {
    json!({"@type": "#Microsoft.Media.MediaGraphIoTHubMessageSource", "name": "trigger", "hubInputName": "in"})
}

pub(super) fn cases() -> Vec<Case> {
    [members::cases(), parameters::cases(), connections::cases()].concat()
}

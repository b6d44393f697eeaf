//! Parameters, instances, references and system variables.

use lva_graph_model::Severity::{Error, Hint, Warning};
use lva_graph_model::{DiagnosticCode, Instance, Severity};
use serde_json::{Value, json};

use super::{Case, at, case};
use crate::support::{plaza, plaza_instance, with};

fn of_instance(code: DiagnosticCode, instance: Value, at: &'static str, severity: Severity) -> Case {
    Case {
        instance: Instance::from_value(instance).unwrap(),
        ..case(code, plaza(), at, severity, severity)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let file = json!({
        "@type": "#Microsoft.Media.MediaGraphFileSink", "name": "file", "filePathPattern": "/var/media/always",
        "inputs": [{"nodeName": "gate"}],
    });
    let set = |value: Value| {
        with(
            plaza_instance().to_value().clone(),
            "/properties/parameters",
            value,
        )
    };
    let url = json!({"name": "url", "value": "rtsp://cam"});
    vec![
        case(
            DiagnosticCode::ParameterDuplicate,
            at(
                "/properties/parameters/4",
                json!({"name": "url", "type": "String"}),
            ),
            "/properties/parameters/4",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::ParameterTypeUnknown,
            at("/properties/parameters/1/type", json!("Text")),
            "/properties/parameters/1/type",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::ParameterDefaultInvalid,
            at("/properties/parameters/3/default", json!("fast")),
            "/properties/parameters/3/default",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::ParameterUnused,
            at(
                "/properties/parameters/4",
                json!({"name": "idle", "type": "String", "default": ""}),
            ),
            "/properties/parameters/4",
            Hint,
            Hint,
        ),
        case(
            DiagnosticCode::ParameterUndeclared,
            at("/properties/sinks/1/hubOutputName", json!("${URL}")),
            "/properties/sinks/1/hubOutputName",
            Error,
            Error,
        ),
        of_instance(
            DiagnosticCode::ParameterMissing,
            set(json!([])),
            "/properties/parameters",
            Error,
        ),
        of_instance(
            DiagnosticCode::ParameterSuperfluous,
            set(json!([url, {"name": "Pass", "value": ""}])),
            "/properties/parameters/1",
            Error,
        ),
        of_instance(
            DiagnosticCode::ParameterDuplicate,
            set(json!([url, url])),
            "/properties/parameters/1",
            Error,
        ),
        of_instance(
            DiagnosticCode::ParameterValueInvalid,
            set(json!([url, {"name": "rate", "value": "fast"}])),
            "/properties/parameters/1/value",
            Error,
        ),
        of_instance(
            DiagnosticCode::ReferenceInValue,
            set(json!([url, {"name": "user", "value": "${pass}"}])),
            "/properties/parameters/1/value",
            Warning,
        ),
        of_instance(
            DiagnosticCode::TopologyMismatch,
            with(
                plaza_instance().to_value().clone(),
                "/properties/topologyName",
                json!("Other"),
            ),
            "/properties/topologyName",
            Error,
        ),
        of_instance(
            DiagnosticCode::InvalidName,
            with(plaza_instance().to_value().clone(), "/name", json!("")),
            "/name",
            Error,
        ),
        case(
            DiagnosticCode::ReferenceUnclosed,
            at("/properties/sinks/1/hubOutputName", json!("a${url")),
            "/properties/sinks/1/hubOutputName",
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::SecretExposed,
            at("/properties/sinks/1/hubOutputName", json!("${pass}")),
            "/properties/sinks/1/hubOutputName",
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::SystemVariableUnknown,
            at("/properties/sinks/0/assetNamePattern", json!("${System.Moon}")),
            "/properties/sinks/0/assetNamePattern",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::SystemVariableNotAllowed,
            at("/properties/sinks/1/hubOutputName", json!("${System.DateTime}")),
            "/properties/sinks/1/hubOutputName",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::SystemVariableMissing,
            at("/properties/sinks/2", file),
            "/properties/sinks/2/filePathPattern",
            Warning,
            Warning,
        ),
    ]
}

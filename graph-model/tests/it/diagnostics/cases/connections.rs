//! Which nodes there are, and how they are connected.

use lva_graph_model::DiagnosticCode;
use lva_graph_model::Severity::{Error, Hint, Warning};
use serde_json::{Value, json};

use super::{Case, at, case, message_source, source};
use crate::support::{plaza, street, with, without};

fn node(name: &str, local: &str, from: &[&str]) -> Value {
    let inputs: Vec<Value> = from.iter().map(|from| json!({"nodeName": from})).collect();
    json!({"@type": format!("#Microsoft.Media.MediaGraph{local}"), "name": name, "inputs": inputs})
}

pub(super) fn cases() -> Vec<Case> {
    let sink = "/properties/sinks/0/inputs/0/nodeName";
    let hub = "/properties/sinks/1/inputs/0/nodeName";
    let gate = "/properties/processors/2";
    let mut no_source = at("/properties/sources", json!([message_source()]));
    no_source = with(no_source, "/properties/processors", json!([]));
    no_source = with(no_source, "/properties/sinks", json!([]));
    let lines_of = |from: &str| {
        with(
            street(),
            "/properties/processors/2/inputs/0/nodeName",
            json!(from),
        )
    };
    vec![
        case(
            DiagnosticCode::NodeNameDuplicate,
            at("/properties/sinks/1/name", json!("asset")),
            "/properties/sinks/1",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::NodeNotFound,
            at(hub, json!("Vision")),
            hub,
            Error,
            Error,
        ),
        case(
            DiagnosticCode::InputsMissing,
            at("/properties/sinks/1/inputs", json!([])),
            "/properties/sinks/1",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::InputDuplicate,
            at("/properties/sinks/1/inputs/1", json!({"nodeName": "vision"})),
            "/properties/sinks/1/inputs/1/nodeName",
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::InputFromSink,
            at(hub, json!("asset")),
            hub,
            Error,
            Error,
        ),
        case(
            DiagnosticCode::SourceHasInputs,
            at("/properties/sources/0/inputs", json!([{"nodeName": "gate"}])),
            "/properties/sources/0/inputs",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::Cycle,
            at("/properties/processors/0/inputs/0/nodeName", json!("vision")),
            "/properties/processors/1",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::RtspSourceMissing,
            no_source.clone(),
            "/properties",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::SinkMissing,
            no_source,
            "/properties",
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::MediaMissing,
            with(
                at("/properties/sources/1", message_source()),
                "/properties/processors/0/inputs/0/nodeName",
                json!("trigger"),
            ),
            "/properties/processors/0/inputs/0/nodeName",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MediaMissing,
            without(street(), "/properties/sinks/0/inputs/0"),
            "/properties/sinks/0",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MediaSinkPlacement,
            at(sink, json!("vision")),
            sink,
            Error,
            Error,
        ),
        case(
            DiagnosticCode::GateWithoutMedia,
            without(plaza(), "/properties/processors/2/inputs/1"),
            gate,
            Error,
            Error,
        ),
        case(
            DiagnosticCode::GateWithoutSignal,
            without(plaza(), "/properties/processors/2/inputs/0"),
            gate,
            Error,
            Error,
        ),
        case(
            DiagnosticCode::ProcessorBehindGate,
            at(
                "/properties/processors/3",
                node("late", "MotionDetectionProcessor", &["gate"]),
            ),
            "/properties/processors/3/inputs/0/nodeName",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::DetectionsMissing,
            lines_of("camera"),
            "/properties/processors/2/inputs/0/nodeName",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::NothingFlows,
            at(hub, json!("slower")),
            hub,
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::OutputUnused,
            at(
                "/properties/processors/3",
                node("idle", "MotionDetectionProcessor", &["camera"]),
            ),
            "/properties/processors/3",
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::PlacementRule,
            at(
                "/properties/processors/3",
                node("late", "MotionDetectionProcessor", &["slower"]),
            ),
            "/properties/processors/3/inputs/0/nodeName",
            Hint,
            Error,
        ),
        case(
            DiagnosticCode::CountRule,
            at("/properties/sources/1", source("second")),
            "/properties",
            Hint,
            Error,
        ),
        case(
            DiagnosticCode::CountRule,
            with(
                at("/properties/sources/1", source("second")),
                "/properties/sources/2",
                source("third"),
            ),
            "/properties",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::NotSupported,
            with(
                at("/properties/sources/1", source("second")),
                "/properties/processors/2/inputs/2",
                json!({"nodeName": "second"}),
            ),
            "/properties/processors/2/inputs/2/nodeName",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::NotSupported,
            at(
                "/properties/processors/3",
                node("late", "MotionDetectionProcessor", &["vision"]),
            ),
            "/properties/processors/3/inputs/0/nodeName",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::VideoExcluded,
            at(
                "/properties/processors/0/inputs/0/outputSelectors",
                json!([{"property": "mediaType", "operator": "is", "value": "audio"}]),
            ),
            "/properties/processors/0/inputs/0/outputSelectors",
            Error,
            Error,
        ),
    ]
}

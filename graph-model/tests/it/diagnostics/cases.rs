//! The smallest mistake for each code.

use lva_graph_model::{DiagnosticCode, Instance, Severity};
use serde_json::{Value, json};

use crate::support::{plaza, plaza_instance, street, with, without};

use Severity::{Error, Hint, Info, Warning};

/// A mistake: what finds it, in open strictness, where, and how bad it is in open and compatible strictness.
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

fn of_instance(code: DiagnosticCode, instance: Value, at: &'static str, severity: Severity) -> Case {
    Case {
        instance: Instance::from_value(instance).unwrap(),
        ..case(code, plaza(), at, severity, severity)
    }
}

/// The plaza with one place changed.
fn at(pointer: &str, value: Value) -> Value {
    with(plaza(), pointer, value)
}

fn node(name: &str, local: &str, from: &[&str]) -> Value {
    let inputs: Vec<Value> = from.iter().map(|from| json!({"nodeName": from})).collect();
    json!({"@type": format!("#Microsoft.Media.MediaGraph{local}"), "name": name, "inputs": inputs})
}

fn source(name: &str) -> Value {
    with(plaza()["properties"]["sources"][0].clone(), "/name", json!(name))
}

fn message_source() -> Value {
    json!({"@type": "#Microsoft.Media.MediaGraphIoTHubMessageSource", "name": "trigger", "hubInputName": "in"})
}

pub(super) fn cases() -> Vec<Case> {
    let sink = "/properties/sinks/0/inputs/0/nodeName";
    let hub = "/properties/sinks/1/inputs/0/nodeName";
    let gate = "/properties/processors/2";
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
            DiagnosticCode::ApiVersionMissing,
            without(plaza(), "/@apiVersion"),
            "",
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::ApiVersionNotSupported,
            at("/@apiVersion", json!("3.0")),
            "/@apiVersion",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MemberDuplicate,
            at("/properties/sinks/1/Name", json!("x")),
            "/properties/sinks/1/name",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MemberMissing,
            without(plaza(), "/properties/sources/0/endpoint/url"),
            "/properties/sources/0/endpoint",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MemberMissing,
            without(plaza(), "/properties/processors/1/image/scale/height"),
            "/properties/processors/1/image/scale",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MemberMissing,
            without(plaza(), "/properties"),
            "",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MemberMissingInGeneration,
            without(street(), "/properties/sinks/1/hubOutputName"),
            "/properties/sinks/1",
            Hint,
            Error,
        ),
        case(
            DiagnosticCode::MemberIgnored,
            at(
                "/properties/processors/1/image/format",
                json!({"@type": "#Microsoft.Media.MediaGraphImageFormatEncoded", "encoding": "png", "quality": "3"}),
            ),
            "/properties/processors/1/image/format/quality",
            Hint,
            Hint,
        ),
        case(
            DiagnosticCode::UnknownMember,
            at("/properties/colour", json!(1)),
            "/properties/colour",
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::WrongType,
            at("/properties/sinks/1/hubOutputName", json!([])),
            "/properties/sinks/1/hubOutputName",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::WrongType,
            at("/properties/sinks", json!("none")),
            "/properties/sinks",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::InvalidName,
            at("/properties/sinks/1/name", json!("a/b")),
            "/properties/sinks/1/name",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::InvalidName,
            at("/name", json!("-x")),
            "/name",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::InvalidValue,
            at("/properties/sources/0/transport", json!("udp")),
            "/properties/sources/0/transport",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::InvalidValue,
            at("/properties/processors/2/minimumActivationTime", json!("30")),
            "/properties/processors/2/minimumActivationTime",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::OutOfRange,
            at("/properties/processors/0/maximumFps", json!(0)),
            "/properties/processors/0/maximumFps",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::OutOfRange,
            at("/properties/processors/2/minimumActivationTime", json!("PT1H")),
            gate,
            Error,
            Error,
        ),
        case(
            DiagnosticCode::OutOfRange,
            with(
                street(),
                "/properties/processors/2/lines/0/line",
                json!("[[0,0],[1,2]]"),
            ),
            "/properties/processors/2/lines/0/line",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::LimitExceeded,
            at("/properties/sinks/0/segmentLength", json!("PT31S")),
            "/properties/sinks/0/segmentLength",
            Hint,
            Error,
        ),
        case(
            DiagnosticCode::LimitExceeded,
            at("/properties/processors/2/minimumActivationTime", json!("PT0.5S")),
            "/properties/processors/2/minimumActivationTime",
            Hint,
            Error,
        ),
        case(
            DiagnosticCode::OutOfRange,
            at("/properties/processors/2/activationSignalOffset", json!("-PT2M")),
            "/properties/processors/2/activationSignalOffset",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::TooLarge,
            at("/properties/sources", json!(vec![message_source(); 1_001])),
            "/properties",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::PropertyValueInvalidPattern,
            at(
                "/properties/sinks/0/assetNamePattern",
                json!("a:${System.DateTime}"),
            ),
            "/properties/sinks/0/assetNamePattern",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::RtspEndpointUrlInvalidScheme,
            at("/properties/sources/0/endpoint/url", json!("cam:554")),
            "/properties/sources/0/endpoint/url",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::EndpointUrlInvalid,
            at(
                "/properties/processors/1/endpoint/url",
                json!("http://127.0.0.1:50051"),
            ),
            "/properties/processors/1/endpoint/url",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::UnknownNodeType,
            at(
                "/properties/sinks/1/@type",
                json!("#Microsoft.Media.MediaGraphCoffeeSink"),
            ),
            "/properties/sinks/1/@type",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::UnknownType,
            at(
                "/properties/sources/0/endpoint/@type",
                json!("#Microsoft.Media.MediaGraphTunnel"),
            ),
            "/properties/sources/0/endpoint/@type",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::WrongRole,
            at("/properties/sinks/2", source("other")),
            "/properties/sinks/2/@type",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::NotInGeneration,
            at("/@apiVersion", json!("2.0")),
            "/properties/processors/0/@type",
            Hint,
            Error,
        ),
        case(
            DiagnosticCode::MixedFamilies,
            at(
                "/properties/sinks/1/@type",
                json!("#Microsoft.VideoAnalyzer.IotHubMessageSink"),
            ),
            "/properties/sinks/1/@type",
            Warning,
            Warning,
        ),
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
        case(
            DiagnosticCode::OtherForm,
            json!({"methodName": "GraphTopologySet", "payload": plaza()}),
            "/payload",
            Info,
            Info,
        ),
    ]
}

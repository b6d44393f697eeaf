//! Every code, by the smallest mistake that gives it.

use std::collections::BTreeSet;

use lva_graph_model::{Code, Instance, Severity, Strictness, Topology, resolve};
use serde_json::{Value, json};

use crate::support::{plaza, plaza_instance, street, with, without};

use Severity::{Error, Hint, Warning};

/// A mistake: what finds it, in open strictness, where, and how bad it is in open and compatible strictness.
struct Case {
    code: Code,
    topology: Value,
    instance: Instance,
    at: &'static str,
    open: Severity,
    compatible: Severity,
}

fn case(code: Code, topology: Value, at: &'static str, open: Severity, compatible: Severity) -> Case {
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

fn of_instance(code: Code, instance: Value, at: &'static str, severity: Severity) -> Case {
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

fn cases() -> Vec<Case> {
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
            Code::ApiVersionMissing,
            without(plaza(), "/@apiVersion"),
            "",
            Warning,
            Warning,
        ),
        case(
            Code::ApiVersionNotSupported,
            at("/@apiVersion", json!("3.0")),
            "/@apiVersion",
            Error,
            Error,
        ),
        case(
            Code::MemberDuplicate,
            at("/properties/sinks/1/Name", json!("x")),
            "/properties/sinks/1/name",
            Error,
            Error,
        ),
        case(
            Code::MemberMissing,
            without(plaza(), "/properties/sources/0/endpoint/url"),
            "/properties/sources/0/endpoint",
            Error,
            Error,
        ),
        case(
            Code::MemberMissing,
            without(plaza(), "/properties/processors/1/image/scale/height"),
            "/properties/processors/1/image/scale",
            Error,
            Error,
        ),
        case(
            Code::MemberMissing,
            without(plaza(), "/properties"),
            "",
            Error,
            Error,
        ),
        case(
            Code::MemberMissingInGeneration,
            without(street(), "/properties/sinks/1/hubOutputName"),
            "/properties/sinks/1",
            Hint,
            Error,
        ),
        case(
            Code::MemberIgnored,
            at(
                "/properties/processors/1/image/format",
                json!({"@type": "#Microsoft.Media.MediaGraphImageFormatEncoded", "encoding": "png", "quality": "3"}),
            ),
            "/properties/processors/1/image/format/quality",
            Hint,
            Hint,
        ),
        case(
            Code::UnknownMember,
            at("/properties/colour", json!(1)),
            "/properties/colour",
            Warning,
            Warning,
        ),
        case(
            Code::WrongType,
            at("/properties/sinks/1/hubOutputName", json!([])),
            "/properties/sinks/1/hubOutputName",
            Error,
            Error,
        ),
        case(
            Code::WrongType,
            at("/properties/sinks", json!("none")),
            "/properties/sinks",
            Error,
            Error,
        ),
        case(
            Code::InvalidName,
            at("/properties/sinks/1/name", json!("a/b")),
            "/properties/sinks/1/name",
            Error,
            Error,
        ),
        case(Code::InvalidName, at("/name", json!("-x")), "/name", Error, Error),
        case(
            Code::InvalidValue,
            at("/properties/sources/0/transport", json!("udp")),
            "/properties/sources/0/transport",
            Error,
            Error,
        ),
        case(
            Code::InvalidValue,
            at("/properties/processors/2/minimumActivationTime", json!("30")),
            "/properties/processors/2/minimumActivationTime",
            Error,
            Error,
        ),
        case(
            Code::OutOfRange,
            at("/properties/processors/0/maximumFps", json!(0)),
            "/properties/processors/0/maximumFps",
            Error,
            Error,
        ),
        case(
            Code::OutOfRange,
            at("/properties/processors/2/minimumActivationTime", json!("PT1H")),
            gate,
            Error,
            Error,
        ),
        case(
            Code::OutOfRange,
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
            Code::LimitExceeded,
            at("/properties/sinks/0/segmentLength", json!("PT31S")),
            "/properties/sinks/0/segmentLength",
            Hint,
            Error,
        ),
        case(
            Code::LimitExceeded,
            at("/properties/processors/2/activationSignalOffset", json!("-PT2M")),
            "/properties/processors/2/activationSignalOffset",
            Hint,
            Error,
        ),
        case(
            Code::TooLarge,
            at("/properties/sources", json!(vec![message_source(); 1_001])),
            "/properties",
            Error,
            Error,
        ),
        case(
            Code::PropertyValueInvalidPattern,
            at(
                "/properties/sinks/0/assetNamePattern",
                json!("a:${System.DateTime}"),
            ),
            "/properties/sinks/0/assetNamePattern",
            Error,
            Error,
        ),
        case(
            Code::RtspEndpointUrlInvalidScheme,
            at("/properties/sources/0/endpoint/url", json!("cam:554")),
            "/properties/sources/0/endpoint/url",
            Error,
            Error,
        ),
        case(
            Code::EndpointUrlInvalid,
            at(
                "/properties/processors/1/endpoint/url",
                json!("http://127.0.0.1:50051"),
            ),
            "/properties/processors/1/endpoint/url",
            Error,
            Error,
        ),
        case(
            Code::UnknownNodeType,
            at(
                "/properties/sinks/1/@type",
                json!("#Microsoft.Media.MediaGraphCoffeeSink"),
            ),
            "/properties/sinks/1/@type",
            Error,
            Error,
        ),
        case(
            Code::UnknownType,
            at(
                "/properties/sources/0/endpoint/@type",
                json!("#Microsoft.Media.MediaGraphTunnel"),
            ),
            "/properties/sources/0/endpoint/@type",
            Error,
            Error,
        ),
        case(
            Code::WrongRole,
            at("/properties/sinks/2", source("other")),
            "/properties/sinks/2/@type",
            Error,
            Error,
        ),
        case(
            Code::NotInGeneration,
            at("/@apiVersion", json!("2.0")),
            "/properties/processors/0/@type",
            Hint,
            Error,
        ),
        case(
            Code::MixedFamilies,
            at(
                "/properties/sinks/1/@type",
                json!("#Microsoft.VideoAnalyzer.IotHubMessageSink"),
            ),
            "/properties/sinks/1/@type",
            Warning,
            Warning,
        ),
        case(
            Code::ParameterDuplicate,
            at(
                "/properties/parameters/4",
                json!({"name": "url", "type": "String"}),
            ),
            "/properties/parameters/4",
            Error,
            Error,
        ),
        case(
            Code::ParameterTypeUnknown,
            at("/properties/parameters/1/type", json!("Text")),
            "/properties/parameters/1/type",
            Error,
            Error,
        ),
        case(
            Code::ParameterDefaultInvalid,
            at("/properties/parameters/3/default", json!("fast")),
            "/properties/parameters/3/default",
            Error,
            Error,
        ),
        case(
            Code::ParameterUnused,
            at(
                "/properties/parameters/4",
                json!({"name": "idle", "type": "String", "default": ""}),
            ),
            "/properties/parameters/4",
            Hint,
            Hint,
        ),
        case(
            Code::ParameterUndeclared,
            at("/properties/sinks/1/hubOutputName", json!("${URL}")),
            "/properties/sinks/1/hubOutputName",
            Error,
            Error,
        ),
        of_instance(
            Code::ParameterMissing,
            set(json!([])),
            "/properties/parameters",
            Error,
        ),
        of_instance(
            Code::ParameterSuperfluous,
            set(json!([url, {"name": "Pass", "value": ""}])),
            "/properties/parameters/1",
            Error,
        ),
        of_instance(
            Code::ParameterDuplicate,
            set(json!([url, url])),
            "/properties/parameters/1",
            Error,
        ),
        of_instance(
            Code::ParameterValueInvalid,
            set(json!([url, {"name": "rate", "value": "fast"}])),
            "/properties/parameters/1/value",
            Error,
        ),
        of_instance(
            Code::ReferenceInValue,
            set(json!([url, {"name": "user", "value": "${pass}"}])),
            "/properties/parameters/1/value",
            Warning,
        ),
        of_instance(
            Code::TopologyMismatch,
            with(
                plaza_instance().to_value().clone(),
                "/properties/topologyName",
                json!("Other"),
            ),
            "/properties/topologyName",
            Error,
        ),
        of_instance(
            Code::InvalidName,
            with(plaza_instance().to_value().clone(), "/name", json!("")),
            "/name",
            Error,
        ),
        case(
            Code::ReferenceUnclosed,
            at("/properties/sinks/1/hubOutputName", json!("a${url")),
            "/properties/sinks/1/hubOutputName",
            Warning,
            Warning,
        ),
        case(
            Code::SecretExposed,
            at("/properties/sinks/1/hubOutputName", json!("${pass}")),
            "/properties/sinks/1/hubOutputName",
            Warning,
            Warning,
        ),
        case(
            Code::SystemVariableUnknown,
            at("/properties/sinks/0/assetNamePattern", json!("${System.Moon}")),
            "/properties/sinks/0/assetNamePattern",
            Error,
            Error,
        ),
        case(
            Code::SystemVariableNotAllowed,
            at("/properties/sinks/1/hubOutputName", json!("${System.DateTime}")),
            "/properties/sinks/1/hubOutputName",
            Error,
            Error,
        ),
        case(
            Code::SystemVariableMissing,
            at("/properties/sinks/2", file),
            "/properties/sinks/2/filePathPattern",
            Warning,
            Warning,
        ),
        case(
            Code::NodeNameDuplicate,
            at("/properties/sinks/1/name", json!("asset")),
            "/properties/sinks/1",
            Error,
            Error,
        ),
        case(Code::NodeNotFound, at(hub, json!("Vision")), hub, Error, Error),
        case(
            Code::InputsMissing,
            at("/properties/sinks/1/inputs", json!([])),
            "/properties/sinks/1",
            Error,
            Error,
        ),
        case(
            Code::InputDuplicate,
            at("/properties/sinks/1/inputs/1", json!({"nodeName": "vision"})),
            "/properties/sinks/1/inputs/1/nodeName",
            Warning,
            Warning,
        ),
        case(Code::InputFromSink, at(hub, json!("asset")), hub, Error, Error),
        case(
            Code::SourceHasInputs,
            at("/properties/sources/0/inputs", json!([{"nodeName": "gate"}])),
            "/properties/sources/0/inputs",
            Error,
            Error,
        ),
        case(
            Code::Cycle,
            at("/properties/processors/0/inputs/0/nodeName", json!("vision")),
            "/properties/processors/1",
            Error,
            Error,
        ),
        case(
            Code::RtspSourceMissing,
            no_source.clone(),
            "/properties",
            Error,
            Error,
        ),
        case(Code::SinkMissing, no_source, "/properties", Warning, Warning),
        case(
            Code::MediaMissing,
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
            Code::MediaMissing,
            without(street(), "/properties/sinks/0/inputs/0"),
            "/properties/sinks/0",
            Error,
            Error,
        ),
        case(
            Code::MediaSinkPlacement,
            at(sink, json!("vision")),
            sink,
            Error,
            Error,
        ),
        case(
            Code::GateWithoutMedia,
            without(plaza(), "/properties/processors/2/inputs/1"),
            gate,
            Error,
            Error,
        ),
        case(
            Code::GateWithoutSignal,
            without(plaza(), "/properties/processors/2/inputs/0"),
            gate,
            Error,
            Error,
        ),
        case(
            Code::ProcessorBehindGate,
            at(
                "/properties/processors/3",
                node("late", "MotionDetectionProcessor", &["gate"]),
            ),
            "/properties/processors/3/inputs/0/nodeName",
            Error,
            Error,
        ),
        case(
            Code::DetectionsMissing,
            lines_of("camera"),
            "/properties/processors/2/inputs/0/nodeName",
            Error,
            Error,
        ),
        case(
            Code::NothingFlows,
            at(hub, json!("slower")),
            hub,
            Warning,
            Warning,
        ),
        case(
            Code::OutputUnused,
            at(
                "/properties/processors/3",
                node("idle", "MotionDetectionProcessor", &["camera"]),
            ),
            "/properties/processors/3",
            Warning,
            Warning,
        ),
        case(
            Code::PlacementRule,
            at(
                "/properties/processors/3",
                node("late", "MotionDetectionProcessor", &["slower"]),
            ),
            "/properties/processors/3/inputs/0/nodeName",
            Hint,
            Error,
        ),
        case(
            Code::CountRule,
            at("/properties/sources/1", source("second")),
            "/properties",
            Hint,
            Error,
        ),
    ]
}

/// Codes that topologies and instances cannot give; `deployment.rs` has their cases.
pub(crate) const OF_DEPLOYMENTS: [Code; 6] = [
    Code::TypographicQuote,
    Code::VariableUnset,
    Code::VariableAlias,
    Code::VariableDuplicate,
    Code::ModuleUnknown,
    Code::CreateOptionsInvalid,
];

#[test]
fn every_code_is_found_where_its_mistake_is() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        seen.insert(case.code);
        let topology = Topology::from_value(case.topology.clone()).unwrap();
        for (strictness, severity) in [
            (Strictness::Open, case.open),
            (Strictness::Compatible, case.compatible),
        ] {
            let findings = match resolve(&topology, &case.instance, strictness) {
                Ok(resolved) => resolved.findings,
                Err(error) => error.findings,
            };
            let found = findings
                .iter()
                .find(|f| f.code == case.code && f.pointer == case.at);
            let Some(found) = found else {
                panic!("no {} at '{}' among {findings:#?}", case.code, case.at)
            };
            assert_eq!(found.severity, severity, "{strictness:?}: {found}");
            assert!(
                found.message.len() > 20 && !found.message.ends_with('.')
                    || found.code == Code::ApiVersionNotSupported,
                "{found}"
            );
            assert!(!found.message.contains("hunter2"), "{found}");
        }
    }
    seen.extend(OF_DEPLOYMENTS);
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    let unseen: Vec<_> = all.difference(&seen).collect();
    assert!(unseen.is_empty(), "no case for {unseen:?}");
}

#[test]
fn one_mistake_gives_one_error() {
    for case in cases() {
        if case.open != Error || case.code == Code::TooLarge || case.at.is_empty() {
            continue;
        }
        let topology = Topology::from_value(case.topology.clone()).unwrap();
        let error = resolve(&topology, &case.instance, Strictness::Open).unwrap_err();
        let errors: Vec<String> = error
            .findings
            .iter()
            .filter(|f| f.is_error())
            .map(ToString::to_string)
            .collect();
        // A duplicate is two mistakes at the place where both are, and an unknown type hides a member.
        assert!(errors.len() <= 2, "{}: {errors:#?}", case.code);
    }
}

#[test]
fn all_findings_come_at_once_and_errors_first() {
    let document = with(plaza(), "/properties/sources/0/transport", json!("udp"));
    let document = with(
        document,
        "/properties/processors/1/image/scale/width",
        json!("wide"),
    );
    let document = with(document, "/properties/sinks/1/inputs/0/nodeName", json!("nobody"));
    let document = with(document, "/properties/sinks/0/segmentLength", json!("PT31S"));
    let topology = Topology::from_value(document).unwrap();
    let findings = topology.validate(Strictness::Open);
    let severities: Vec<Severity> = findings.iter().map(|f| f.severity).collect();
    assert_eq!(severities, [Error, Error, Error, Hint], "{findings:#?}");
    let error = resolve(&topology, &plaza_instance(), Strictness::Open).unwrap_err();
    assert!(error.to_string().ends_with("(and 2 more)"), "{error}");
    let json = serde_json::to_value(&findings[3]).unwrap();
    assert_eq!(json["severity"], "hint");
    assert_eq!(json["code"], "LimitExceeded");
    assert_eq!(json["pointer"], "/properties/sinks/0/segmentLength");
    assert_eq!(json["document"], "topology");
}

#[test]
fn a_node_named_by_a_secret_is_an_error_that_does_not_show_it() {
    let text = include_str!("../../../examples/documents/topology.json");
    let text = text.replace("\"signalGateProcessor\"", "\"${rtspPassword}\"");
    let topology = Topology::from_json(&text).unwrap();
    let values = [("rtspUrl", "rtsp://cam/1"), ("rtspPassword", "hunter2")];
    let instance = Instance::new("I-1", topology.name(), values);
    let error = resolve(&topology, &instance, Strictness::Open).unwrap_err();
    let exposed: Vec<_> = error
        .findings
        .iter()
        .filter(|found| found.code == Code::SecretExposed)
        .collect();
    assert_eq!(exposed.len(), 1, "{error:?}");
    assert!(exposed[0].is_error() && exposed[0].pointer.ends_with("/name"));
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    // The inputs still meet it.
    assert!(
        error
            .findings
            .iter()
            .all(|found| found.code != Code::NodeNotFound),
        "{error:?}"
    );
}

//! Nodes of types that a program brings along.

use std::time::UNIX_EPOCH;

use lva_graph_model::methods::{Action, Registry, RegistryOptions};
use lva_graph_model::nodes::{CustomProcessor, Rate};
use lva_graph_model::report::FileReport;
use lva_graph_model::{
    CustomNodeTypes, Diagnostic, DiagnosticCode, Diagram, Flow, Instance, Node, NodeKind, Strictness,
    Topology, resolve,
};
use serde_json::{Value, json};

use crate::exercise::CUSTOM_TYPE;
use crate::support::{codes, plaza, topology, with};

fn custom_types() -> CustomNodeTypes {
    CustomNodeTypes::new([CUSTOM_TYPE]).unwrap()
}

/// A node of the type, with members of its own that hold parameters everywhere.
fn queue() -> Value {
    json!({
        "@type": "#contoso.queueLengthProcessor",
        "name": "queue",
        "inputs": [{"nodeName": "slower"}],
        "samplingOptions": {"maximumSamplesPerSecond": "${rate}", "skipSamplesWithoutAnnotation": "false"},
        "Length": "${rate}",
        "most": 7,
        "nothing": null,
        "account": {"user": "${user}", "credentials": {"password": "${pass}"}, "a/b": ["x", "Bearer ${pass}"]},
        "report": "${System.GraphInstanceName}.txt",
    })
}

/// The plaza with it in the place of the extension, as documents have it: the gate and the hub are fed by it.
pub(crate) fn document() -> Value {
    let document = with(plaza(), "/properties/processors/1", queue());
    let document = with(
        document,
        "/properties/processors/2/inputs/0/nodeName",
        json!("queue"),
    );
    with(document, "/properties/sinks/1/inputs/0/nodeName", json!("queue"))
}

fn own(value: Value) -> Topology {
    topology(value).with_custom_types(custom_types())
}

fn instance() -> Instance {
    Instance::new(
        "Plaza-1",
        "Plaza",
        [("url", "rtsp://cam/a"), ("pass", "hunter2"), ("rate", "2.5")],
    )
}

fn processor(topology: &Topology) -> CustomProcessor {
    let graph = resolve(topology, &instance(), Strictness::Open).unwrap().graph;
    match &graph.node_named("queue").unwrap().kind {
        Node::Custom(own) => own.clone(),
        other => panic!("{other:?}"),
    }
}

/// The findings of a topology alone, hints left out.
fn findings(value: Value) -> Vec<Diagnostic> {
    let mut findings = own(value).validate(Strictness::Open);
    findings.retain(|finding| finding.severity > lva_graph_model::Severity::Hint);
    findings
}

#[test]
fn without_the_list_the_type_is_unknown_and_with_it_nothing_is_wrong() {
    let found = topology(document()).validate(Strictness::Open);
    let at = "/properties/processors/1/@type";
    assert!(
        codes(&found).contains(&(DiagnosticCode::UnknownNodeType, at)),
        "{found:?}"
    );
    for strictness in [Strictness::Open, Strictness::Compatible] {
        let found = own(document()).validate(strictness);
        assert_eq!(codes(&found), [], "no member of it is a finding");
    }
}

#[test]
fn its_settings_are_its_own_members_with_parameters_filled_in() {
    let own = processor(&own(document()));
    assert_eq!(own.type_name(), CUSTOM_TYPE, "as the program spells it");
    assert_eq!(own.sampling().maximum_rate, Rate::new(2.5));
    assert!(!own.sampling().skip_samples_without_annotation);
    let settings = json!({
        "Length": "2.5", "most": 7, "nothing": null, "report": "Plaza-1.txt",
        "account": {"user": "absent", "credentials": {"password": "hunter2"}, "a/b": ["x", "Bearer hunter2"]},
    });
    assert_eq!(own.settings(), &settings);
    assert_eq!(own.text("length").as_deref(), Some("2.5"));
    assert_eq!(own.text("most").as_deref(), Some("7"));
    assert_eq!((own.setting("nothing"), own.setting("other")), (None, None));
}

#[test]
fn it_stands_where_an_extension_stands_and_feeds_what_an_extension_feeds() {
    let graph = resolve(&own(document()), &instance(), Strictness::Compatible)
        .unwrap()
        .graph;
    let node = graph.node_named("queue").unwrap();
    assert_eq!(node.kind.node_kind(), NodeKind::Custom);
    let before: Vec<Flow> = graph.inputs(node.id).map(|edge| edge.flow).collect();
    let behind: Vec<Flow> = graph.outputs(node.id).map(|edge| edge.flow).collect();
    assert_eq!(before, [Flow::Frames]);
    assert_eq!(behind, [Flow::Signals, Flow::Messages]);
}

#[test]
fn trackers_and_extensions_may_stand_behind_it() {
    let value = crate::support::street();
    let own_node = json!({"@type": CUSTOM_TYPE, "name": "queue", "inputs": [{"nodeName": "yolo"}]});
    let value = with(value, "/properties/processors/-", own_node);
    let value = with(
        value,
        "/properties/processors/1/inputs/0/nodeName",
        json!("queue"),
    );
    let found = own(value.clone()).validate(Strictness::Compatible);
    assert_eq!(codes(&found), []);
    // In the other order too, the extension then stands behind it.
    let value = with(
        value,
        "/properties/processors/0/inputs/0",
        json!({"nodeName": "queue"}),
    );
    let value = with(
        value,
        "/properties/processors/3/inputs/0/nodeName",
        json!("camera"),
    );
    let value = with(value, "/properties/processors/1/inputs/0/nodeName", json!("yolo"));
    assert_eq!(codes(&own(value).validate(Strictness::Compatible)), []);
}

#[test]
fn the_rules_of_placement_are_those_of_an_extension() {
    let gate = with(
        document(),
        "/properties/processors/1/inputs/0/nodeName",
        json!("gate"),
    );
    let gate = with(
        gate,
        "/properties/processors/2/inputs",
        json!([{"nodeName": "slower"}, {"nodeName": "camera"}]),
    );
    let found = findings(gate);
    assert!(
        codes(&found).contains(&(
            DiagnosticCode::ProcessorBehindGate,
            "/properties/processors/1/inputs/0/nodeName"
        )),
        "{found:?}"
    );
    let media = with(
        document(),
        "/properties/sinks/0/inputs/0/nodeName",
        json!("queue"),
    );
    let found = findings(media);
    assert!(
        codes(&found).contains(&(
            DiagnosticCode::MediaSinkPlacement,
            "/properties/sinks/0/inputs/0/nodeName"
        )),
        "{found:?}"
    );
    let nowhere = with(document(), "/properties/processors/1/inputs", json!([]));
    let found = findings(nowhere);
    assert!(
        codes(&found).contains(&(DiagnosticCode::InputsMissing, "/properties/processors/1")),
        "{found:?}"
    );
    let as_sink = with(document(), "/properties/sinks/1/@type", json!(CUSTOM_TYPE));
    let found = findings(as_sink);
    assert!(
        codes(&found).contains(&(DiagnosticCode::WrongRole, "/properties/sinks/1/@type")),
        "{found:?}"
    );
}

#[test]
fn what_is_wrong_inside_it_is_found_where_it_stands() {
    let document = with(
        document(),
        "/properties/processors/1/account/a~1b/0",
        json!("${absent}"),
    );
    let document = with(
        document,
        "/properties/processors/1/report",
        json!("${System.DateTime}"),
    );
    let document = with(document, "/properties/processors/1/MOST", json!(8));
    let document = with(
        document,
        "/properties/processors/1/samplingOptions/maximumSamplesPerSecond",
        json!("-1"),
    );
    let found = findings(document);
    let at = |code, place: &str| {
        let place = format!("/properties/processors/1/{place}");
        assert!(
            codes(&found).contains(&(code, place.as_str())),
            "{place}: {found:?}"
        );
    };
    at(DiagnosticCode::ParameterUndeclared, "account/a~1b/0");
    at(DiagnosticCode::SystemVariableNotAllowed, "report");
    at(DiagnosticCode::MemberDuplicate, "most");
    at(
        DiagnosticCode::OutOfRange,
        "samplingOptions/maximumSamplesPerSecond",
    );
}

#[test]
fn other_unknown_types_are_told_of_the_own_ones() {
    let found = findings(with(
        document(),
        "/properties/processors/1/@type",
        json!("#Contoso.Queue"),
    ));
    let unknown = found
        .iter()
        .find(|finding| finding.code == DiagnosticCode::UnknownNodeType)
        .unwrap();
    for part in [&format!("; or one of {CUSTOM_TYPE}"), "with_node_factory"] {
        assert!(unknown.message.contains(part), "{part}: {unknown}");
    }
}

#[test]
fn secrets_in_it_do_not_show() {
    let topology = own(document());
    let shown = format!("{:?}", processor(&topology));
    assert!(!shown.contains("hunter2"), "{shown}");
    for open in ["absent", "\"***\"", "Plaza-1.txt"] {
        assert!(shown.contains(open), "{open}: {shown}");
    }
    let resolved = resolve(&topology, &instance(), Strictness::Open).unwrap();
    assert!(!format!("{resolved:?}").contains("hunter2"));
    let broken = with(
        document(),
        "/properties/processors/1/account/a~1b/1",
        json!("${pass} ${absent}"),
    );
    let error = resolve(&own(broken), &instance(), Strictness::Open).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn a_registry_that_is_given_the_types_takes_keeps_and_shows_such_topologies() {
    let call =
        |registry: &mut Registry, method: &str, payload: &Value| registry.call(method, payload, UNIX_EPOCH);
    let mut plain = Registry::new(RegistryOptions::default());
    assert!(call(&mut plain, "GraphTopologySet", &document()).is_err());
    let options = RegistryOptions::default().with_custom_types(custom_types());
    let mut registry = Registry::new(options.clone());
    for status in [201, 200] {
        match call(&mut registry, "GraphTopologySet", &document()).unwrap() {
            Action::Done(response) => assert_eq!(response.status, status),
            other => panic!("{other:?}"),
        }
    }
    let set = with(instance().to_value().clone(), "/@apiVersion", json!("1.0"));
    call(&mut registry, "GraphInstanceSet", &set).unwrap();
    let name = json!({"@apiVersion": "1.0", "name": "Plaza"});
    let Action::Done(got) = call(&mut registry, "GraphTopologyGet", &name).unwrap() else {
        panic!()
    };
    let got = got.payload.to_string();
    assert!(got.contains("Bearer ${pass}"), "as it was set: {got}");
    assert!(!got.contains("hunter2") && !got.contains("fallback"), "{got}");
    let name = json!({"@apiVersion": "1.0", "name": "Plaza-1"});
    let outcome = call(&mut registry, "GraphInstanceActivate", &name).unwrap();
    let Action::Start(start) = outcome else { panic!() };
    assert_eq!(
        start.graph.node_named("queue").unwrap().kind.node_kind(),
        NodeKind::Custom
    );
    let saved = registry.save();
    let restored = Registry::restore(&saved, options).unwrap();
    assert_eq!((restored.starts.len(), restored.failures.len()), (1, 0));
    let without = Registry::restore(&saved, RegistryOptions::default()).unwrap();
    assert_eq!((without.starts.len(), without.failures.len()), (0, 1));
}

#[test]
fn pictures_and_reports_know_it() {
    let mermaid = Diagram::of(&own(document())).to_mermaid();
    assert!(mermaid.contains("queue<br/>QueueLengthProcessor"), "{mermaid}");
    assert!(
        mermaid.contains("|signals|") && !mermaid.contains("|?|"),
        "{mermaid}"
    );
    let bytes = document().to_string().into_bytes();
    let report = |own| FileReport::with_custom_types("a.json", &bytes, None, Strictness::Open, own);
    assert!(report(custom_types()).is_ok());
    assert!(!report(CustomNodeTypes::default()).is_ok());
}

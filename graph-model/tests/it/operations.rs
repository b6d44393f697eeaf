//! Operations files.

use lva_graph_model::methods::{Method, MethodCall, Request};
use lva_graph_model::operations::{OperationsError, OperationsFile, Step};
use lva_graph_model::{DiagnosticCode, Family, Generation, Instance, Topology};
use serde_json::json;

use crate::support::plaza;

#[test]
fn a_walk_through_is_read_step_by_step() {
    let file = OperationsFile::from_json(
        r#"{"apiVersion": "1.0", "operations": [
            {"opName": "GraphTopologyList", "opParams": {}},
            {"opName": "WaitForInput", "opParams": {"message": "Press Enter"}},
            {"opName": "GraphTopologySet", "opParams": {"topologyFile": "plaza.json"}},
            {"opName": "graphinstanceset", "opParams": {"name": "P-1", "properties": {"topologyName": "Plaza"}}},
            {"opName": "GraphInstanceActivate", "opParams": {"name": "P-1"}},
            {"opName": "GraphInstanceList"}
        ]}"#,
    )
    .unwrap();
    assert_eq!(file.api_version, "1.0");
    assert_eq!(file.steps.len(), 6);
    assert_eq!(
        file.steps[1],
        Step::WaitForInput {
            message: "Press Enter".into()
        }
    );
    assert_eq!(
        file.steps[2],
        Step::SetTopologyFile {
            family: Family::Lva,
            path: "plaza.json".into()
        }
    );
    let Step::Call(set) = &file.steps[3] else { panic!() };
    assert_eq!(
        (set.request.method(), set.generation),
        (Method::InstanceSet, Generation::Lva1)
    );
    assert!(matches!(&set.request, Request::InstanceSet(instance) if instance.topology_name() == "Plaza"));
    assert_eq!(set.to_payload()["@apiVersion"], "1.0");
    let Step::Call(activate) = &file.steps[4] else {
        panic!()
    };
    assert_eq!(
        activate.to_payload(),
        json!({"@apiVersion": "1.0", "name": "P-1"})
    );
    let request = MethodCall::set_topology(Family::Lva, Topology::from_value(plaza()).unwrap());
    assert_eq!(request.to_payload(), plaza());
}

#[test]
fn an_instance_can_be_asked_for_without_a_file() {
    let request = MethodCall::set_instance(Generation::Lva2, Instance::new("a", "b", [("c", "d")]));
    assert_eq!(
        request.to_payload(),
        json!({"@apiVersion": "2.0", "name": "a", "properties": {
            "topologyName": "b", "parameters": [{"name": "c", "value": "d"}]}})
    );
}

#[test]
fn everything_wrong_is_said_at_once_with_its_remedy() {
    let text = r#"{"apiVersion": "1.0", "operations": [
        {"opName": "GraphTopologySet", "opParams": {"topologyUrl": 7, "topologyFile": "y.json"}},
        {"opName": "GraphTopologySet", "opParams": {}},
        {"opName": "GraphTopologySet", "opParams": {"topologyFile": 7}},
        {"opName": "MakeCoffee", "opParams": {}},
        {"opName": "GraphInstanceActivate", "opParams": {}},
        {"opName": "GraphInstanceList", "opParams": []},
        {"opParams": {}},
        "stop"
    ]}"#;
    let Err(OperationsError::Invalid { findings }) = OperationsFile::from_json(text) else {
        panic!()
    };
    let found: Vec<(DiagnosticCode, &str)> = findings.iter().map(|f| (f.code, f.pointer.as_str())).collect();
    assert_eq!(
        found,
        [
            (DiagnosticCode::WrongType, "/operations/0/opParams/topologyUrl"),
            (DiagnosticCode::MemberMissing, "/operations/1/opParams"),
            (DiagnosticCode::WrongType, "/operations/2/opParams/topologyFile"),
            (DiagnosticCode::InvalidValue, "/operations/3/opParams"),
            (DiagnosticCode::InvalidValue, "/operations/4/opParams"),
            (DiagnosticCode::WrongType, "/operations/5/opParams"),
            (DiagnosticCode::MemberMissing, "/operations/6"),
            (DiagnosticCode::WrongType, "/operations/7"),
        ]
    );
    assert!(findings[4].message.contains("has no 'name'"), "{}", findings[4]);
}

#[test]
fn files_without_their_frame_are_refused() {
    for (text, part) in [
        ("{}", "'apiVersion' is missing"),
        (r#"{"apiVersion": "1.0"}"#, "'operations' is missing"),
        (r#"{"apiVersion": "1.0", "operations": {}}"#, "must be an array"),
        ("7", "an operations file must be a JSON object"),
        (
            r#"{"apiVersion": "3.0", "operations": [{"opName": "GraphTopologyList"}]}"#,
            "The API version '3.0' is not supported. Supported version(s): 1.0, 2.0.",
        ),
    ] {
        let error = OperationsFile::from_json(text).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_topology_by_address_comes_first_and_the_address_of_a_page_is_warned_of() {
    let file = OperationsFile::from_json(
        r#"{"apiVersion": "1.1", "operations": [
            {"opName": "pipelineTopologySet", "opParams": {
                "pipelineTopologyUrl": "https://raw.githubusercontent.com/a/b/main/topology.json", "pipelineTopologyFile": "y.json"}},
            {"opName": "GraphTopologySet", "opParams": {"topologyUrl": "https://github.com/a/b/tree/master/topology.json"}}
        ]}"#,
    )
    .unwrap();
    let url = "https://raw.githubusercontent.com/a/b/main/topology.json".to_owned();
    let family = Family::VideoAnalyzer;
    assert_eq!(file.steps[0], Step::SetTopologyUrl { family, url });
    let found: Vec<(DiagnosticCode, &str)> = file
        .findings
        .iter()
        .map(|f| (f.code, f.pointer.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (
                DiagnosticCode::MemberIgnored,
                "/operations/0/opParams/pipelineTopologyUrl"
            ),
            (DiagnosticCode::InvalidValue, "/operations/1/opParams/topologyUrl"),
        ]
    );
}

#[test]
fn calls_of_methods_are_operations_too() {
    let set = json!({"methodName": "GraphTopologySet", "payload": plaza()});
    let one = OperationsFile::from_json(&set.to_string()).unwrap();
    assert_eq!(one.api_version, "1.0");
    let Step::Call(call) = &one.steps[0] else {
        panic!("{one:?}")
    };
    assert!(matches!(&call.request, Request::TopologySet(topology) if topology.name() == "Plaza"));
    let several = json!({"operations": [
        set,
        {"methodName": "GraphInstanceActivate", "payload": "{\"@apiVersion\": \"1.0\", \"name\": \"P-1\"}"},
    ]});
    let several = OperationsFile::from_json(&several.to_string()).unwrap();
    let methods: Vec<Method> = several
        .steps
        .iter()
        .map(|step| match step {
            Step::Call(call) => call.request.method(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(methods, [Method::TopologySet, Method::InstanceActivate]);
    for file in [&one, &several] {
        let forms = file
            .findings
            .iter()
            .filter(|found| found.code == DiagnosticCode::OtherForm);
        assert!(forms.count() > 0, "{file:?}");
    }
}

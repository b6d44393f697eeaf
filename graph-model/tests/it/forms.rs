//! Documents in other forms than the contract's, as people have them.

use lva_graph_model::methods::{MethodCall, Registry, RegistryOptions};
use lva_graph_model::{
    Diagnostic, DiagnosticCode, DocumentError, Instance, Node, Severity, Strictness, Topology, resolve,
};
use serde_json::{Value, json};

use crate::support::{plaza, plaza_instance, street, with, without};

/// The places of the forms that were understood; nothing else may be found that matters.
fn forms(topology: &Topology) -> Vec<(String, String)> {
    let found = topology.validate(Strictness::Open);
    let unexpected = |found: &&Diagnostic| {
        found.severity > Severity::Info && found.code != DiagnosticCode::ApiVersionMissing
    };
    assert_eq!(found.iter().find(unexpected), None);
    found
        .into_iter()
        .filter(|found| found.code == DiagnosticCode::OtherForm)
        .map(|found| (found.pointer, found.message))
        .collect()
}

fn read(document: Value) -> Topology {
    Topology::from_value(document).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_topology_is_found_inside_of_what_people_keep_around_it() {
    let text = plaza().to_string();
    let resource =
        json!({"type": "Microsoft.Media/mediaservices/mediaGraphs", "apiVersion": "2020-02-01-preview"});
    let mut resource = resource.as_object().unwrap().clone();
    resource.extend(plaza().as_object().unwrap().clone());
    for (document, place) in [
        (
            json!({"methodName": "GraphTopologySet", "payload": plaza()}),
            "/payload",
        ),
        (
            json!({"methodName": "graphTopologySet", "responseTimeoutInSeconds": 30, "payload": text}),
            "/payload",
        ),
        (
            json!({"opName": "GraphTopologySet", "opParams": plaza()}),
            "/opParams",
        ),
        (json!({"status": 200, "payload": plaza()}), "/payload"),
        (
            json!({"status": 200, "payload": {"value": [plaza()]}}),
            "/payload",
        ),
        (json!({"value": [plaza()]}), "/value"),
        (
            json!({"config": {}, "instance": {"name": ""}, "topology": plaza()}),
            "/topology",
        ),
        (json!({"Topology": plaza()}), "/Topology"),
        (json!({"status": 200, "body": plaza()}), "/body"),
        (json!({"method": "x", "requestPayload": text}), "/requestPayload"),
        (
            json!({"name": "pipelineTopologySet", "parameters": plaza()}),
            "/parameters",
        ),
        (
            json!({"$schema": "x", "resources": [{"type": "Microsoft.Storage/x"}, resource.clone()]}),
            "/resources",
        ),
        (
            json!({"languageVersion": "2.0", "resources": {"graph": resource}}),
            "/resources",
        ),
    ] {
        let topology = read(document.clone());
        assert_eq!(topology.name(), "Plaza", "{document}");
        let found: Vec<Diagnostic> = topology.validate(Strictness::Open);
        assert!(found.iter().all(|found| !found.is_error()), "{found:?}");
        let form = found.iter().find(|found| found.code == DiagnosticCode::OtherForm);
        let form = form.unwrap_or_else(|| panic!("nothing is reported of {document}"));
        assert_eq!((form.severity, form.pointer.as_str()), (Severity::Info, place));
        assert!(resolve(&topology, &plaza_instance(), Strictness::Open).is_ok());
    }
    assert_eq!(read(json!([plaza()])), read(plaza()), "a list of one");
    let pair = json!([plaza(), plaza_instance().to_value()]);
    assert_eq!(read(pair.clone()).name(), "Plaza");
    assert_eq!(Instance::from_value(pair).unwrap().topology_name(), "Plaza");
}

/// A resource of a template.
fn resource(mut document: Value, kind: &str) -> Value {
    document["type"] = json!(format!("Microsoft.Media/mediaservices/{kind}"));
    document["apiVersion"] = json!("2020-02-01-preview");
    document["dependsOn"] = json!(["[resourceId('x', parameters('account'))]"]);
    document
}

fn template(resources: Value) -> Value {
    json!({
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "account": {"type": "string"},
            "graph": {"type": "string", "defaultValue": "Plaza"},
            "pass": {"type": "secureString", "defaultValue": "hunter2"},
            "rate": {"type": "int", "defaultValue": 15},
            "cycle": {"type": "string", "defaultValue": "[variables('cycle')]"},
        },
        "variables": {
            "name": "[concat(parameters('graph'), '')]",
            "path": "[format('{0}/{1}', parameters('account'), variables('name'))]",
            "camera": "[concat('rtsp://it''s.', toLower('EXAMPLE'), ':', string(554))]",
            "cycle": "[parameters('cycle')]",
        },
        "resources": resources,
    })
}

#[test]
fn expressions_of_a_template_are_read_as_the_values_that_stand_in_it() {
    for name in [
        "[parameters('graph')]",
        "[variables('name')]",
        "[ concat( parameters('account') , '/' , Parameters('GRAPH') ) ]",
        "[variables('path')]",
        "account/Plaza",
    ] {
        let mut written = resource(plaza(), "mediaGraphs");
        written["name"] = json!(name);
        written["properties"]["parameters"][2]["default"] = json!("[parameters('pass')]");
        written["properties"]["parameters"][3]["default"] = json!("[parameters('rate')]");
        written["properties"]["description"] = json!("[[people]");
        let other = json!({"type": "Microsoft.Storage/x", "name": "[newGuid()]"});
        let inside = json!({"type": "Microsoft.Media/mediaservices", "resources": [written]});
        let nested = json!({"type": "Microsoft.Resources/deployments", "properties": {
            "parameters": {"graph": {"value": "[parameters('graph')]"}, "account": {"value": "a"}},
            "template": template(json!([written])),
        }});
        let existing = json!({"type": "x/mediaGraphs", "existing": true});
        for (resources, place) in [
            (json!([other, written]), "/resources/1"),
            (json!({"there": existing, "graph": written}), "/resources/graph"),
            (json!([other, inside]), "/resources/1/resources/0"),
            (json!([nested]), "/resources/0/properties/template/resources/0"),
        ] {
            let topology = read(template(resources));
            assert_eq!(topology.name(), "Plaza", "{name} at {place}");
            let said = forms(&topology);
            let expressions = said.iter().find(|(_, message)| message.contains("expressions"));
            assert_eq!(expressions.map(|(at, _)| at.as_str()), Some(place));
            let is_path = said.iter().any(|(at, _)| *at == format!("{place}/name"));
            assert_eq!(
                is_path,
                !name.ends_with("('graph')]") && !name.ends_with("('name')]"),
                "{name}"
            );
            assert!(!format!("{said:?}").contains("hunter2"));
            assert_eq!(topology.description(), Some("[people]"));
            let parameters = topology.to_value()["properties"]["parameters"].clone();
            assert_eq!(
                (&parameters[2]["default"], &parameters[3]["default"]),
                (&json!("hunter2"), &json!(15))
            );
            assert!(resolve(&topology, &plaza_instance(), Strictness::Open).is_ok());
        }
    }
    let mut instance = resource(plaza_instance().to_value().clone(), "graphInstances");
    instance["name"] = json!("[concat(parameters('account'), '/Plaza-1')]");
    instance["properties"]["parameters"][0]["value"] = json!("[variables('camera')]");
    let both = template(json!([resource(plaza(), "mediaGraphs"), instance]));
    let (topology, instance) = (read(both.clone()), Instance::from_value(both).unwrap());
    assert_eq!((topology.name(), instance.name()), ("Plaza", "Plaza-1"));
    let value = &instance.to_value()["properties"]["parameters"][0]["value"];
    assert_eq!(value, &json!("rtsp://it's.example:554"));
}

#[test]
fn expressions_without_a_value_are_errors_that_say_why() {
    for (expression, why) in [
        (
            "[parameters('account')]",
            "parameter 'account' has no 'defaultValue'",
        ),
        ("[parameters('none')]", "the template has no parameter 'none'"),
        ("[variables('none')]", "the template has no variable 'none'"),
        (
            "[concat('a', uniqueString('hunter2'))]",
            "the function 'uniqueString' is evaluated in the cloud",
        ),
        ("[variables('cycle')]", "refer to each other without end"),
        ("[parameters('graph').x]", "a member of what a function gives"),
        ("[concat('a']", "it is not understood"),
        ("[parameters('graph') x]", "it goes on behind its end"),
        ("[format('{1}', 'a')]", "a place without a value"),
    ] {
        let mut written = resource(plaza(), "mediaGraphs");
        written["properties"]["description"] = json!(expression);
        let topology = read(template(json!([written])));
        let found = topology.validate(Strictness::Open);
        let error = &found[0];
        assert_eq!(
            (error.code, error.pointer.as_str(), error.severity),
            (
                DiagnosticCode::ExpressionWithoutValue,
                "/resources/0/properties/description",
                Severity::Error
            ),
            "{found:?}"
        );
        assert!(error.message.contains(why), "{expression}: {error}");
        assert!(!format!("{found:?}").contains("hunter2"));
        assert!(resolve(&topology, &plaza_instance(), Strictness::Open).is_err());
    }
    // Growth without end is cut off.
    let mut large = template(json!([resource(plaza(), "mediaGraphs")]));
    for n in 0..30 {
        large["variables"][format!("v{n}")] =
            json!(format!("[concat(variables('v{0}'), variables('v{0}'))]", n + 1));
    }
    large["variables"]["v30"] = json!("x".repeat(100));
    large["resources"][0]["properties"]["description"] = json!("[variables('v0')]");
    let found = read(large).validate(Strictness::Open);
    assert_eq!(found[0].code, DiagnosticCode::ExpressionWithoutValue);
    // Points in a string are no expression, whatever a template would make of them.
    let mut points = resource(plaza(), "mediaGraphs");
    points["properties"]["description"] = json!("[[0.1, 0.2], [0.3, 0.4]]");
    assert_eq!(
        read(template(json!([points]))).description(),
        Some("[[0.1, 0.2], [0.3, 0.4]]")
    );
    let parameters =
        json!({"$schema": "https://x/deploymentParameters.json#", "parameters": {"a": {"value": 1}}});
    let error = Topology::from_value(parameters).unwrap_err().to_string();
    assert!(
        error.contains("a parameter file of Azure Resource Manager"),
        "{error}"
    );
}

#[test]
fn findings_point_into_what_was_written() {
    let wrong = with(plaza(), "/properties/sources/0/transport", json!("udp"));
    for (document, place) in [
        (
            json!({"payload": wrong}),
            "/payload/properties/sources/0/transport",
        ),
        (
            json!({"value": [wrong]}),
            "/value/0/properties/sources/0/transport",
        ),
    ] {
        let found = read(document.clone()).validate(Strictness::Open);
        assert_eq!(found[0].pointer, place, "{found:?}");
        assert_eq!(document.pointer(place), Some(&json!("udp")));
    }
    let mut snake = as_dict(&street());
    snake["properties"]["sinks"][0]["local_media_cache_maximum_size_mi_b"] = json!("much");
    snake["properties"]["processors"][0]["inputs"][0]["node_name"] = json!("nobody");
    let found = read(snake).validate(Strictness::Open);
    let places: Vec<&str> = found
        .iter()
        .filter(|found| found.is_error())
        .map(|found| found.pointer.as_str())
        .collect();
    assert_eq!(
        places,
        [
            "/properties/sinks/0/local_media_cache_maximum_size_mi_b",
            "/properties/processors/0/inputs/0/node_name"
        ],
        "{found:?}"
    );
}

/// As the Python packages give a topology: `as_dict()` in place of `serialize()`.
fn as_dict(value: &Value) -> Value {
    fn snake(name: &str) -> String {
        let mut written = String::new();
        for c in name.trim_start_matches('@').chars() {
            if c.is_ascii_uppercase() {
                written.push('_');
            }
            written.push(c.to_ascii_lowercase());
        }
        written
    }
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (snake(key), as_dict(value)))
            .collect(),
        Value::Array(list) => list.iter().map(as_dict).collect(),
        other => other.clone(),
    }
}

#[test]
fn snake_case_of_the_python_packages_reads_as_the_contract_s_names() {
    for (document, instance) in [
        (plaza(), plaza_instance()),
        (street(), Instance::new("s", "Street", [])),
    ] {
        let plain = resolve(&read(document.clone()), &instance, Strictness::Open)
            .unwrap()
            .graph;
        let topology = read(as_dict(&document));
        let forms = forms(&topology);
        assert!(
            forms.iter().any(|(_, message)| message.contains("serialize()")),
            "{forms:?}"
        );
        assert!(
            forms.iter().any(|(_, message)| message.contains("'type'")),
            "{forms:?}"
        );
        let graph = resolve(&topology, &instance, Strictness::Open).unwrap().graph;
        let kinds = |graph: &lva_graph_model::Graph| -> Vec<Node> {
            graph.nodes().iter().map(|node| node.kind.clone()).collect()
        };
        assert_eq!(kinds(&graph), kinds(&plain));
        assert_eq!(graph.edges(), plain.edges());
    }
    let instance = as_dict(plaza_instance().to_value());
    assert_eq!(Instance::from_value(instance).unwrap().topology_name(), "Plaza");
}

#[test]
fn names_of_previews_and_resources_are_understood() {
    let text = plaza().to_string();
    for (from, to, reported) in [
        ("\"nodeName\"", "\"moduleName\"", "moduleName"),
        ("\"@type\"", "\"@odata.type\"", "@odata.type"),
        ("UnsecuredEndpoint", "ClearEndpoint", "ClearEndpoint"),
        (
            "{\"nodeName\":\"slower\"}",
            "\"slower\"",
            "{\"nodeName\": \"slower\"}",
        ),
        ("\"assetNamePattern\"", "\"assetName\"", "assetNamePattern"),
        ("\"@apiVersion\"", "\"apiVersion\"", "@apiVersion"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        let topology = Topology::from_json(&changed).unwrap();
        let forms = forms(&topology);
        assert_eq!(
            forms.len(),
            1 + usize::from(to.contains("ClearEndpoint")),
            "{forms:?}"
        );
        assert!(forms[0].1.contains(reported), "{forms:?}");
        assert!(
            resolve(&topology, &plaza_instance(), Strictness::Open).is_ok(),
            "{to}"
        );
    }
}

#[test]
fn spaces_of_translated_pages_are_left_out() {
    let text = plaza().to_string();
    for (from, to, said) in [
        ("#Microsoft.Media.", "# Microsoft. Media. ", "types have spaces"),
        ("${url}", "$ {url}", "'$ {url}'"),
        ("${url}", "${ url }", "'${ url }'"),
        (
            "${System.DateTime}",
            "$ {System. DateTime}",
            "'$ {System. DateTime}'",
        ),
        ("\"nodeName\"", "\"node Name\"", "'node Name'"),
        ("\"@type\"", "\"@ type\"", "'@ type'"),
        ("\"@type\"", "\"$type\"", "'$type'"),
        ("\"@apiVersion\"", "\"@ apiVersion\"", "'@ apiVersion'"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        let topology = Topology::from_json(&changed).unwrap();
        let forms = forms(&topology);
        assert_eq!(forms.len(), 1, "{to}: {forms:?}");
        assert!(forms[0].1.contains(said), "{forms:?}");
        let graph = resolve(&topology, &plaza_instance(), Strictness::Open)
            .unwrap()
            .graph;
        let plain = resolve(&read(plaza()), &plaza_instance(), Strictness::Open)
            .unwrap()
            .graph;
        assert_eq!(graph.nodes(), plain.nodes(), "{to}");
    }
    // Text that only looks so stays as it is.
    for kept in ["$ {other}", "$ ", "a $ {url", "$$ {x}", "${ x }"] {
        let document = with(plaza(), "/properties/description", json!(kept));
        assert_eq!(read(document).to_value()["properties"]["description"], kept);
    }
}

#[test]
fn parameters_of_an_instance_may_be_an_object() {
    let plain = plaza_instance().to_value().clone();
    let list = plain["properties"]["parameters"].as_array().unwrap();
    let object = |of: fn(&Value) -> Value| -> Value {
        let pairs = list.iter().map(|parameter| {
            (
                parameter["name"].as_str().unwrap().to_owned(),
                of(&parameter["value"]),
            )
        });
        with(plain.clone(), "/properties/parameters", pairs.collect())
    };
    for document in [object(Value::clone), object(|value| json!({"value": value}))] {
        let instance = Instance::from_value(document).unwrap();
        assert_eq!(instance.to_value(), &plain);
        let resolved = resolve(&read(plaza()), &instance, Strictness::Open).unwrap();
        let form = &resolved
            .findings
            .iter()
            .find(|found| found.code == DiagnosticCode::OtherForm);
        assert_eq!(form.unwrap().pointer, "/properties/parameters");
    }
    let wrong = with(object(Value::clone), "/properties/parameters/rate", json!("fast"));
    let refused = resolve(
        &read(plaza()),
        &Instance::from_value(wrong).unwrap(),
        Strictness::Open,
    )
    .unwrap_err();
    assert!(
        refused
            .findings
            .iter()
            .any(|found| found.pointer == "/properties/parameters/rate"),
        "{refused:?}"
    );
}

#[test]
fn members_of_a_program_s_own_nodes_keep_their_names() {
    let own = json!({"@type": "#Contoso.X", "name": "x", "inputs": [{"node_name": "camera"}], "node_name": "mine", "video_name": 1});
    let document = with(plaza(), "/properties/processors/3", own);
    let topology = read(document);
    let kept = &topology.to_value()["properties"]["processors"][3];
    assert_eq!(
        (&kept["node_name"], &kept["video_name"]),
        (&json!("mine"), &json!(1))
    );
    assert_eq!(kept["inputs"][0]["nodeName"], "camera");
}

#[test]
fn another_document_is_named_with_what_to_do() {
    let instance = plaza_instance().to_value().clone();
    let refused = |document: Value| match Topology::from_value(document) {
        Err(error @ DocumentError::OtherDocument { .. }) => {
            assert_eq!(error.code(), "OtherDocument");
            error.to_string()
        }
        other => panic!("{other:?}"),
    };
    for (document, words) in [
        (
            instance.clone(),
            "an instance (a live pipeline or graph instance) of topology 'Plaza'",
        ),
        (as_dict(&instance), "an instance"),
        (
            json!({"methodName": "GraphInstanceSet", "payload": instance}),
            "an instance (a live pipeline or graph instance) of topology 'Plaza'",
        ),
        (
            json!({"methodName": "livePipelineActivate", "payload": {"name": "x"}}),
            "a call of livePipelineActivate",
        ),
        (
            json!({"modulesContent": {"$edgeAgent": {}}}),
            "a deployment manifest",
        ),
        (
            json!({"id": "x", "content": {"modulesContent": {}}}),
            "a deployment",
        ),
        (
            json!({"moduleId": "lvaEdge", "properties": {"desired": {}, "reported": {}}}),
            "a module twin",
        ),
        (
            json!({"apiVersion": "1.0", "operations": []}),
            "an operations file",
        ),
        (json!({"zones": []}), "spatial-analysis container"),
        (
            json!({"opName": "GraphTopologySet", "opParams": {"topologyUrl": "https://x/t.json"}}),
            "an operation that names a file ('topologyUrl')",
        ),
        (json!({"value": [plaza(), street()]}), "a list of 2 objects"),
        (json!([plaza(), street()]), "a list of 2 objects"),
        (
            json!({"resources": []}),
            "without mediaGraphs or graphTopologies or pipelineTopologies",
        ),
    ] {
        let message = refused(document);
        assert!(
            message.contains(words) && message.contains("not a topology: "),
            "{message}"
        );
    }
    for document in [plaza(), json!({"payload": plaza()})] {
        let error = Instance::from_value(document).unwrap_err().to_string();
        assert!(
            error.starts_with("this is a topology, not an instance: "),
            "{error}"
        );
    }
    let cloud = json!({"resources": [{
        "type": "Microsoft.Media/videoAnalyzers/pipelineTopologies", "name": "account/p", "properties": {"sources": []},
    }]});
    let error = Topology::from_value(cloud).unwrap_err();
    assert!(
        matches!(&error, DocumentError::CloudTopology { name, .. } if name == "p"),
        "{error}"
    );
}

#[test]
fn a_module_takes_a_call_that_was_pasted_as_a_payload() {
    let mut registry = Registry::new(RegistryOptions::default());
    let now = std::time::UNIX_EPOCH;
    let pasted = json!({"methodName": "GraphTopologySet", "payload": plaza()});
    let call = MethodCall::parse("GraphTopologySet", &pasted).unwrap();
    let answer = registry.dispatch(&call, now).unwrap();
    let lva_graph_model::methods::Action::Done(answer) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((answer.status, &answer.payload["name"]), (201, &json!("Plaza")));
    assert!(
        answer
            .findings
            .iter()
            .any(|found| found.code == DiagnosticCode::OtherForm),
        "{answer:?}"
    );
    // Secrets stay where they are, whatever they were called.
    let document = with(
        as_dict(&plaza()),
        "/properties/sources/0/endpoint/credentials",
        json!({"type": "#Microsoft.Media.MediaGraphHttpHeaderCredentials", "header_name": "x", "header_value": "hunter2"}),
    );
    let topology = read(with(without(document, "/name"), "/name", json!("Other")));
    let shown = format!("{:?}", topology.validate(Strictness::Open));
    assert!(!shown.contains("hunter2"), "{shown}");
    let without_version = json!({"payload": without(plaza(), "/@apiVersion")});
    assert!(MethodCall::parse("GraphTopologySet", &without_version).is_err());
}

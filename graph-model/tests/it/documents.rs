//! What is read from documents, and how tolerantly.

use std::time::{Duration, UNIX_EPOCH};

use lva_graph_model::nodes::{
    EndpointCredentials, ExtensionProcessor, ExtensionProtocol, Image, ImageFormat, ImageScale,
};
use lva_graph_model::{
    Diagram, DocumentError, Flow, Generation, Instance, Node, PixelFormat, Strictness, Topology, resolve,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{codes, graph, plaza, plaza_instance, resolved, street, topology, with, without};

#[test]
fn a_topology_and_an_instance_make_a_typed_graph() {
    let resolved = resolved(plaza(), &plaza_instance());
    assert_eq!(codes(&resolved.findings), []);
    let graph = resolved.graph;
    assert_eq!(
        (graph.instance_name(), graph.topology_name()),
        ("Plaza-1", "Plaza")
    );
    assert_eq!(graph.generation(), Generation::Lva1);
    let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["camera", "slower", "vision", "gate", "asset", "hub"]);

    let Node::RtspSource(camera) = &graph.node_named("camera").unwrap().kind else {
        panic!()
    };
    assert_eq!(camera.endpoint.url.as_str(), "rtsp://cam:554/media/a.mkv");
    let Some(EndpointCredentials::UsernamePassword(credentials)) = &camera.endpoint.credentials else {
        panic!()
    };
    assert_eq!(
        (credentials.username(), credentials.password()),
        ("absent", "hunter2")
    );

    let Node::FrameRateFilter(slower) = graph.node_named("slower").unwrap().kind else {
        panic!()
    };
    assert_eq!(slower.maximum_fps.unwrap().per_second(), 15.0);

    let Node::Extension(vision) = &graph.node_named("vision").unwrap().kind else {
        panic!()
    };
    let ExtensionProcessor { image, protocol, .. } = vision;
    let expected = Image {
        scale: Some(ImageScale::Pad {
            width: 1408,
            height: 786,
        }),
        format: ImageFormat::Raw(PixelFormat::Bgr24),
    };
    assert_eq!(*image, expected);
    assert_eq!(*protocol, ExtensionProtocol::ComputerVision { operation: None });

    let Node::SignalGate(gate) = graph.node_named("gate").unwrap().kind else {
        panic!()
    };
    assert_eq!((gate.evaluation_window.as_secs(), gate.signal_offset_ms), (1, 0));
    assert_eq!(gate.maximum_activation_time, Duration::from_secs(30));

    let Node::AssetSink(asset) = &graph.node_named("asset").unwrap().kind else {
        panic!()
    };
    let at = UNIX_EPOCH + Duration::from_secs(1_589_738_026);
    assert_eq!(
        asset.asset_name.render("Plaza", "Plaza-1", at),
        "plaza-20200517T175346Z"
    );
    assert_eq!(asset.cache.maximum_bytes, Some(200 << 20));
}

#[test]
fn edges_say_what_flows() {
    let graph = graph(plaza(), &plaza_instance());
    let name = |id| graph.node(id).unwrap().name.clone();
    let edges: Vec<(String, String, Flow)> = graph
        .edges()
        .iter()
        .map(|edge| (name(edge.from), name(edge.to), edge.flow))
        .collect();
    let edge = |from: &str, to: &str, flow| (from.to_owned(), to.to_owned(), flow);
    assert_eq!(
        edges,
        [
            edge("camera", "slower", Flow::Frames),
            edge("slower", "vision", Flow::Frames),
            edge("vision", "gate", Flow::Signals),
            edge("camera", "gate", Flow::Media),
            edge("gate", "asset", Flow::Media),
            edge("vision", "hub", Flow::Messages),
        ]
    );
    let order: Vec<String> = graph.in_order().into_iter().map(name).collect();
    assert_eq!(order, ["camera", "slower", "vision", "gate", "hub", "asset"]);
}

#[test]
fn video_analyzer_has_lines_selectors_and_metadata() {
    let instance = Instance::new("Street-1", "Street", []);
    let resolved = resolved(street(), &instance);
    assert_eq!(codes(&resolved.findings), []);
    let graph = resolved.graph;
    assert_eq!(graph.generation(), Generation::VideoAnalyzer1_1);
    let tracker = graph.node_named("tracker").unwrap().id;
    let flows: Vec<Flow> = graph.outputs(tracker).map(|edge| edge.flow).collect();
    assert_eq!(flows, [Flow::Frames, Flow::Messages]);
    let yolo = graph.node_named("yolo").unwrap();
    assert!(
        graph
            .inputs(yolo.id)
            .all(|edge| edge.selects("video/H264") && !edge.selects("audio"))
    );
    let Node::VideoSink(video) = &graph.node_named("video").unwrap().kind else {
        panic!()
    };
    assert_eq!(video.retention, Some(Duration::from_secs(7 * 86_400)));
    let Node::Extension(yolo) = &yolo.kind else {
        panic!()
    };
    assert_eq!(yolo.image.scale, Some(ImageScale::Width(640)));
    assert!(!yolo.sampling.skip_samples_without_annotation);
    assert_eq!(yolo.sampling.maximum_rate.unwrap().per_second(), 0.2);
}

#[test]
fn spelling_does_not_matter() {
    let text = plaza()
        .to_string()
        .replace("\"maximumFps\":\"${rate}\"", "\"MaximumFPS\":15")
        .replace("localMediaCacheMaximumSizeMiB", "LocalMediaCacheMaximumSizeMiB")
        .replace("\"tcp\"", "\"TCP\"")
        .replace("\"1408\"", "1408.0")
        .replace("\"bgr24\"", "\"Bgr24\"")
        .replace("\"nodeName\"", "\"NodeName\"")
        .replace("\"sinks\"", "\"Sinks\"")
        .replace("MediaGraphIoTHubMessageSink", "MediaGraphIotHubMessageSink");
    let written = format!("\u{feff}{}", text.replace(',', ",\r\n\t"));
    let topology = Topology::from_json(&written).unwrap();
    let found = resolve(&topology, &plaza_instance(), Strictness::Open).unwrap();
    assert_eq!(
        codes(&found.findings),
        [(
            lva_graph_model::DiagnosticCode::ParameterUnused,
            "/properties/parameters/3"
        )]
    );
    let plain = graph(plaza(), &plaza_instance());
    assert_eq!(found.graph.edges(), plain.edges());
    let without_pointer = |graph: &lva_graph_model::Graph| -> Vec<Node> {
        graph.nodes().iter().map(|node| node.kind.clone()).collect()
    };
    assert_eq!(without_pointer(&found.graph), without_pointer(&plain));
}

#[test]
fn parameters_stand_for_words_numbers_names_and_whole_texts() {
    let document = with(
        street(),
        "/properties/parameters",
        json!([
            {"name": "mode", "type": "string"},
            {"name": "size", "type": "int", "default": "416"},
            {"name": "node", "type": "string", "default": "camera"},
            {"name": "line", "type": "string", "default": "[[0,0],[1,1]]"},
            {"name": "seconds", "type": "int", "default": "60"},
        ]),
    );
    let document = with(
        document,
        "/properties/processors/0/image/scale",
        json!(
            {"mode": "${mode}", "width": "${size}", "height": "${size}"}
        ),
    );
    let document = with(
        document,
        "/properties/processors/0/inputs/0/nodeName",
        json!("${node}"),
    );
    let document = with(
        document,
        "/properties/sinks/0/inputs/0/nodeName",
        json!("cam${suffix}"),
    );
    let document = with(
        document,
        "/properties/processors/2/lines/0/line",
        json!("${line}"),
    );
    let document = with(
        document,
        "/properties/sinks/0/videoCreationProperties/segmentLength",
        json!("PT${seconds}S"),
    );
    let document = with(
        document,
        "/properties/parameters/5",
        json!({"name": "suffix", "type": "String", "default": "era"}),
    );
    let open = topology(document.clone()).validate(Strictness::Open);
    assert_eq!(codes(&open), [], "a value that is not known yet is not an error");
    let graph = graph(
        document.clone(),
        &Instance::new("s", "Street", [("mode", "STRETCH")]),
    );
    let Node::Extension(yolo) = &graph.node_named("yolo").unwrap().kind else {
        panic!()
    };
    assert_eq!(
        yolo.image.scale,
        Some(ImageScale::Stretch {
            width: 416,
            height: 416
        })
    );

    let wrong = Instance::new("s", "Street", [("mode", "squeeze"), ("size", "-3")]);
    let error = resolve(&topology(document), &wrong, Strictness::Open).unwrap_err();
    let text: Vec<String> = error.findings.iter().map(ToString::to_string).collect();
    assert!(
        text.iter().any(|line| line.contains("'mode' of 'scale' of 'image' of processor 'yolo' is 'squeeze' (from '${mode}'), but must be one of pad, stretch, preserveAspectRatio")),
        "{text:#?}"
    );
    assert!(
        text.iter()
            .any(|line| line.contains("is '-3' (from '${size}'), but must be an integer")),
        "{text:#?}"
    );
}

#[test]
fn unknown_members_are_kept_and_said() {
    let document = with(plaza(), "/properties/sinks/1/colour", json!({"deep": [1, 2]}));
    let document = with(document, "/x-vendor", json!("kept"));
    let read = topology(document.clone());
    assert_eq!(read.to_value(), &document);
    let again = Topology::from_json(&read.to_json()).unwrap();
    assert_eq!(again.to_value(), &document);
    let found = read.validate(Strictness::Compatible);
    let unknown = lva_graph_model::DiagnosticCode::UnknownMember;
    let expected = [(unknown, "/properties/sinks/1/colour"), (unknown, "/x-vendor")];
    assert!(expected.iter().all(|e| codes(&found).contains(e)), "{found:#?}");
}

#[test]
fn the_generation_is_found_with_and_without_a_version() {
    for (document, generation) in [
        (plaza(), Generation::Lva1),
        (without(plaza(), "/@apiVersion"), Generation::Lva1),
        (with(plaza(), "/@apiVersion", json!("2.0")), Generation::Lva2),
        (street(), Generation::VideoAnalyzer1_1),
        (without(street(), "/@apiVersion"), Generation::VideoAnalyzer1_1),
        (
            with(street(), "/@apiVersion", json!("1.0")),
            Generation::VideoAnalyzer1,
        ),
        (
            with(street(), "/@apiVersion", json!("7")),
            Generation::VideoAnalyzer1_1,
        ),
    ] {
        assert_eq!(topology(document).generation(), generation);
    }
}

#[test]
fn what_is_no_topology_is_refused_in_words() {
    let refused = |text: &str| Topology::from_json(text).unwrap_err();
    assert!(matches!(refused("[]"), DocumentError::WrongShape { .. }));
    assert_eq!(
        refused("[]").to_string(),
        "a topology must be a JSON object (with '@apiVersion', 'name' and 'properties'), but this is an array"
    );
    assert!(matches!(refused("{}"), DocumentError::NameMissing { .. }));
    assert!(matches!(
        refused("{\"name\": 7}"),
        DocumentError::MemberType { member: "name", .. }
    ));
    assert!(matches!(
        refused("{\"name\": \"x\", }"),
        DocumentError::NotJson { line: 1, .. }
    ));
    for cloud in [
        json!({"Name": "c", "Kind": "live"}),
        json!({"name": "c", "sku": {"name": "Live_S1"}}),
        json!({"name": "c", "properties": {"sources": [{"@type": "#Microsoft.VideoAnalyzer.VideoSource"}]}}),
        json!({"name": "c", "properties": {"processors": [{"@type": "#Microsoft.VideoAnalyzer.EncoderProcessor"}]}}),
    ] {
        let error = Topology::from_value(cloud).unwrap_err();
        assert!(
            matches!(&error, DocumentError::CloudTopology { name, .. } if name == "c"),
            "{error}"
        );
    }
}

#[test]
fn secrets_show_nowhere() {
    let resolved = resolved(plaza(), &plaza_instance());
    let shown = format!("{:?} {:?} {:?}", topology(plaza()), plaza_instance(), resolved);
    assert!(
        !shown.contains("hunter2") && !shown.contains("fallback"),
        "{shown}"
    );
    // In a member that takes no secret, and wrong there: the message hides it.
    let document = with(plaza(), "/properties/processors/0/maximumFps", json!("${pass}"));
    let document = with(
        document,
        "/properties/sources/0/endpoint/url",
        json!("http://u:${pass}@cam/"),
    );
    let error = resolve(&topology(document), &plaza_instance(), Strictness::Open).unwrap_err();
    assert_eq!(error.findings.iter().filter(|f| f.is_error()).count(), 2);
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
}

#[test]
fn an_address_with_a_secret_shows_its_scheme_only() {
    let document = with(
        plaza(),
        "/properties/sources/0/endpoint/url",
        json!("rtsp://u:${pass}@cam/${pass}"),
    );
    let graph = graph(
        document,
        &Instance::new("p", "Plaza", [("url", "unused"), ("pass", "hunter2")]),
    );
    assert!(!format!("{graph:?}").contains("hunter2"));
    let Node::RtspSource(camera) = &graph.nodes()[0].kind else {
        panic!()
    };
    assert_eq!(camera.endpoint.url.to_string(), "rtsp://***");
}

#[test]
fn file_sinks_of_both_generations_say_folder_and_name() {
    let sink = |members: Value| {
        let mut sink = json!({"@type": "#Microsoft.Media.MediaGraphFileSink", "name": "file", "inputs": [{"nodeName": "gate"}]});
        sink.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        let graph = graph(with(plaza(), "/properties/sinks/0", sink), &plaza_instance());
        match &graph.node_named("file").unwrap().kind {
            Node::FileSink(file) => (
                file.directory.to_string(),
                file.file_name.to_string(),
                file.maximum_bytes,
            ),
            other => panic!("{other:?}"),
        }
    };
    let old = sink(json!({"filePathPattern": "/var/media/a-${System.DateTime}"}));
    assert_eq!(old, ("/var/media".into(), "a-${System.DateTime}".into(), None));
    let new = sink(
        json!({"baseDirectoryPath": "/var/media", "fileNamePattern": "a-${System.DateTime}", "maximumSizeMiB": "512"}),
    );
    assert_eq!(
        new,
        (
            "/var/media".into(),
            "a-${System.DateTime}".into(),
            Some(512 << 20)
        )
    );
}

#[test]
fn diagrams_come_from_the_topology() {
    let diagram = Diagram::of(&topology(plaza()));
    let mermaid = diagram.to_mermaid();
    assert!(
        mermaid.starts_with("flowchart LR\n  subgraph sources\n    n0[\"camera<br/>RtspSource\"]\n  end\n")
    );
    assert!(
        mermaid.contains("  n0 -->|media| n3\n") && mermaid.contains("  n2 -->|signals| n3\n"),
        "{mermaid}"
    );
    let dot = diagram.to_dot();
    assert!(
        dot.contains("    n5 [label=\"hub\\nIoTHubMessageSink\"];") && dot.ends_with("}\n"),
        "{dot}"
    );
    let hostile = with(plaza(), "/properties/sinks/1/name", json!("a\"]; evil[\"\\\n"));
    let diagram = Diagram::of(&topology(hostile));
    assert!(
        diagram
            .to_mermaid()
            .contains("n5[\"a#34;#93;#59; evil#91;#34;#92;#10;<br/>")
    );
    assert!(
        diagram
            .to_dot()
            .contains("[label=\"a\\\"]; evil[\\\"\\\\\\nIoTHubMessageSink\"]")
    );
}

proptest! {
    #[test]
    fn substitution_puts_values_in_and_never_reads_them_again(
        before in "[a-z-]{0,8}", value in "[ -~]{0,20}", after in "[a-z-]{0,8}",
    ) {
        let document = with(plaza(), "/properties/sinks/1/hubOutputName", json!(format!("{before}${{user}}{after}")));
        let instance = Instance::new("Plaza-1", "Plaza", [("url", "rtsp://cam"), ("user", value.as_str())]);
        let graph = graph(document, &instance);
        let Node::MessageSink(hub) = &graph.node_named("hub").unwrap().kind else { panic!() };
        prop_assert_eq!(hub.hub_output_name.clone().unwrap(), format!("{before}{value}{after}"));
    }

    #[test]
    fn any_case_of_any_member_reads_the_same(flips in prop::collection::vec(any::<bool>(), 64)) {
        fn shout(value: &Value, flips: &mut impl Iterator<Item = bool>) -> Value {
            match value {
                Value::Object(map) => Value::Object(map.iter().map(|(key, value)| {
                    let shouted = flips.next() == Some(true);
                    let key = if shouted { key.to_uppercase() } else { key.clone() };
                    (key, shout(value, flips))
                }).collect()),
                Value::Array(list) => Value::Array(list.iter().map(|value| shout(value, flips)).collect()),
                other => other.clone(),
            }
        }
        let shouted = shout(&plaza(), &mut flips.into_iter().cycle());
        let found = resolved(shouted, &plaza_instance());
        prop_assert_eq!(codes(&found.findings), []);
        let plain = graph(plaza(), &plaza_instance());
        prop_assert_eq!(found.graph.edges(), plain.edges());
    }
}

#[test]
fn the_picture_on_the_front_page_is_the_one_that_is_drawn() {
    let page = include_str!("../../README.md");
    assert!(page.contains(&Diagram::of(&topology(plaza())).to_mermaid()));
}

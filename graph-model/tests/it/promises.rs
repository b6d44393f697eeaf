//! What validation promises: defaults hurt those who use them, variables are the same everywhere, and graphs that no instance can
//! run are refused with their place.

use lva_graph_model::{Diagnostic, DiagnosticCode, Instance, Node, Severity, Strictness, Topology, resolve};
use serde_json::{Value, json};

use crate::support::{codes, graph, plaza, plaza_instance, street, topology, with, without};

fn of(topology: &Topology, values: &[(&str, &str)]) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let all = [("url", "rtsp://cam/1"), ("pass", "hunter2")]
        .into_iter()
        .chain(values.iter().copied());
    let instance = Instance::new("Plaza-1", "Plaza", all);
    match resolve(topology, &instance, Strictness::Open) {
        Ok(resolved) => Ok(resolved.findings),
        Err(error) => Err(error.findings),
    }
}

/// The plaza with one more parameter, which stands at a place.
fn with_parameter(at: &str, written: &str, default: &str) -> Topology {
    let declared = json!({"name": "later", "type": "String", "default": default});
    let document = with(plaza(), "/properties/parameters/4", declared);
    topology(with(document, at, json!(written)))
}

#[test]
fn a_default_that_does_not_fit_hurts_the_instances_alone_that_use_it() {
    let gate = "/properties/processors/2";
    for (at, written, default, fitting) in [
        (format!("{gate}/minimumActivationTime"), "${later}", "60", "PT10S"),
        // Only together with another member.
        (
            format!("{gate}/minimumActivationTime"),
            "${later}",
            "PT50M",
            "PT10S",
        ),
        (format!("{gate}/activationSignalOffset"), "PT${later}S", "90", "1"),
        (
            "/properties/processors/1/image/scale/mode".to_owned(),
            "${later}",
            "fit",
            "pad",
        ),
        (
            "/properties/processors/1/endpoint/url".to_owned(),
            "${later}",
            "",
            "tcp://host:1",
        ),
        (
            "/properties/sinks/1/inputs/0/nodeName".to_owned(),
            "${later}",
            "nobody",
            "vision",
        ),
        (
            "/properties/sinks/0/assetNamePattern".to_owned(),
            "${later}",
            "a.b",
            "a",
        ),
        (
            "/properties/sinks/1/hubOutputName".to_owned(),
            "${later}",
            "${System.Moon}",
            "out",
        ),
    ] {
        let topology = with_parameter(&at, written, default);
        let found = topology.validate(Strictness::Open);
        let warning = found
            .iter()
            .find(|found| found.pointer.starts_with("/properties/") && found.message.contains("has to set"));
        let warning = warning.unwrap_or_else(|| panic!("{at} {default}: {found:?}"));
        assert_eq!(warning.severity, Severity::Warning, "{warning}");
        assert!(found.iter().all(|found| !found.is_error()), "{found:?}");
        let refused = of(&topology, &[]).unwrap_err();
        assert!(
            refused
                .iter()
                .any(|found| found.is_error() && found.code == warning.code),
            "{refused:?}"
        );
        assert_eq!(
            of(&topology, &[("later", fitting)]).map(|_| ()),
            Ok(()),
            "{at} {default}"
        );
    }
}

#[test]
fn a_default_of_another_type_is_a_warning_and_an_error_where_it_is_used() {
    let declared = json!({"name": "rate", "type": "Double", "default": "fast"});
    let topology = topology(with(plaza(), "/properties/parameters/3", declared));
    let place = (
        DiagnosticCode::ParameterDefaultInvalid,
        "/properties/parameters/3/default",
    );
    let found = topology.validate(Strictness::Open);
    assert!(
        codes(&found).contains(&place) && found.iter().all(|found| !found.is_error()),
        "{found:?}"
    );
    let used = of(&topology, &[]).unwrap_err();
    assert!(codes(&used).contains(&place), "{used:?}");
    assert_eq!(of(&topology, &[("rate", "15")]).map(|_| ()), Ok(()));
}

#[test]
fn a_mistake_that_no_instance_can_mend_stays_an_error_beside_defaults() {
    let document = with(plaza(), "/properties/sources/0/transport", json!("udp"));
    let topology = topology(with(document, "/properties/parameters/3/default", json!("0")));
    let found = topology.validate(Strictness::Open);
    let errors: Vec<_> = found.iter().filter(|found| found.is_error()).collect();
    assert_eq!(errors.len(), 1, "{found:?}");
    assert_eq!(errors[0].pointer, "/properties/sources/0/transport");
}

#[test]
fn a_gate_whose_time_an_instance_gives_is_not_judged_by_the_default() {
    let gate = "/properties/processors/2";
    let offset = with(plaza(), &format!("{gate}/activationSignalOffset"), json!("PT45S"));
    let longest = with(offset, &format!("{gate}/maximumActivationTime"), json!("PT2M"));
    let at = format!("{gate}/minimumActivationTime");
    let is_refused = |document: Value| {
        let found = topology(document).validate(Strictness::Open);
        found.iter().any(Diagnostic::is_error)
    };
    let declared = |parameter: Value| {
        let document = with(longest.clone(), "/properties/parameters/4", parameter);
        with(document, &at, json!("${later}"))
    };
    let open = declared(json!({"name": "later", "type": "String"}));
    assert!(!is_refused(open.clone()));
    assert!(!is_refused(declared(
        json!({"name": "later", "type": "String", "default": "60"})
    )));
    assert!(
        is_refused(without(longest.clone(), &at)),
        "30 s where none is given"
    );
    let open = topology(open);
    assert!(of(&open, &[("later", "PT1M")]).is_ok());
    let short = of(&open, &[("later", "PT40S")]).unwrap_err();
    assert!(
        short
            .iter()
            .any(|found| found.message.contains("'minimumActivationTime' (40 s)")),
        "{short:?}"
    );
}

#[test]
fn nodes_that_an_instance_names_are_not_missed() {
    let declared = json!({"name": "trigger", "type": "String"});
    let document = with(street(), "/properties/parameters", json!([declared]));
    let document = with(
        document,
        "/properties/sinks/1/inputs/0/nodeName",
        json!("${trigger}"),
    );
    let open = topology(document);
    let found = open.validate(Strictness::Open);
    assert_eq!(codes(&found), [], "{found:?}");
    let named = |name: &str| {
        let instance = Instance::new("s", "Street", [("trigger", name)]);
        resolve(&open, &instance, Strictness::Open)
    };
    assert!(named("lines").is_ok());
    let error = named("nobody").unwrap_err();
    assert_eq!(error.findings[0].code, DiagnosticCode::NodeNotFound);
}

#[test]
fn system_variables_are_the_same_in_the_topology_in_defaults_and_in_values() {
    let name = "${System.GraphInstanceName}-${System.PreciseDateTime}";
    let written = topology(with(plaza(), "/properties/sinks/0/assetNamePattern", json!(name)));
    let by_default = with_parameter("/properties/sinks/0/assetNamePattern", "${later}", name);
    let by_value = with_parameter("/properties/sinks/0/assetNamePattern", "${later}", "x");
    let pattern = |topology: &Topology, values: &[(&str, &str)]| {
        assert!(
            topology
                .validate(Strictness::Open)
                .iter()
                .all(|found| found.severity < Severity::Warning)
        );
        let all = [("url", "rtsp://cam/1"), ("pass", "hunter2")]
            .into_iter()
            .chain(values.iter().copied());
        let graph = graph(
            topology.to_value().clone(),
            &Instance::new("Plaza-1", "Plaza", all),
        );
        match &graph.node_named("asset").unwrap().kind {
            Node::AssetSink(asset) => asset.asset_name.clone(),
            other => panic!("{other:?}"),
        }
    };
    let expected = pattern(&written, &[]);
    assert_eq!(expected.variables().count(), 2);
    assert_eq!(pattern(&by_default, &[]), expected);
    assert_eq!(pattern(&by_value, &[("later", name)]), expected);
    // Where a date has no value yet, it has none in a default either.
    let hub = with_parameter(
        "/properties/sinks/1/hubOutputName",
        "${later}",
        "${System.DateTime}",
    );
    let refused = of(&hub, &[]).unwrap_err();
    let place = (
        DiagnosticCode::SystemVariableNotAllowed,
        "/properties/sinks/1/hubOutputName",
    );
    assert!(codes(&refused).contains(&place), "{refused:?}");
    // A parameter in a value is not followed, and that is reported.
    let nested = with_parameter("/properties/sinks/1/hubOutputName", "${later}", "${user}");
    let found = nested.validate(Strictness::Open);
    let place = (
        DiagnosticCode::ReferenceInValue,
        "/properties/parameters/4/default",
    );
    assert!(codes(&found).contains(&place), "{found:?}");
}

#[test]
fn an_unknown_variable_is_answered_by_those_of_its_generation() {
    for (document, at, known, other) in [
        (
            plaza(),
            "/properties/sinks/0/assetNamePattern",
            "System.GraphInstanceName",
            "System.PipelineName",
        ),
        (
            street(),
            "/properties/sinks/0/videoName",
            "System.Runtime.DateTime",
            "System.GraphInstanceName",
        ),
    ] {
        let found = topology(with(document, at, json!("x-${System.Nothing}"))).validate(Strictness::Open);
        assert_eq!(found[0].code, DiagnosticCode::SystemVariableUnknown);
        assert!(
            found[0].message.contains(known) && !found[0].message.contains(other),
            "{}",
            found[0]
        );
    }
}

fn node(local: &str, name: &str, inputs: &[&str]) -> Value {
    let inputs: Vec<Value> = inputs.iter().map(|name| json!({"nodeName": name})).collect();
    let endpoint = json!({"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "http://h:1/"});
    let line =
        json!({"@type": "#Microsoft.VideoAnalyzer.NamedLineString", "name": "l", "line": "[[0,0],[1,1]]"});
    let mut node =
        json!({"@type": format!("#Microsoft.VideoAnalyzer.{local}"), "name": name, "inputs": inputs});
    match local {
        "HttpExtension" => node["endpoint"] = endpoint,
        "LineCrossingProcessor" => node["lines"] = json!([line]),
        _ => {}
    }
    node
}

/// The street with one more processor, and what is wrong about it.
fn street_with(processor: Value) -> Vec<(DiagnosticCode, String)> {
    let topology = topology(with(street(), "/properties/processors/3", processor));
    let found = topology.validate(Strictness::Open);
    let errors = found.into_iter().filter(|found| found.is_error());
    errors.map(|found| (found.code, found.pointer)).collect()
}

#[test]
fn graphs_that_no_instance_can_run_are_refused_at_the_input_that_is_wrong() {
    let first = "/properties/processors/3/inputs/0/nodeName";
    let second = "/properties/processors/3/inputs/1/nodeName";
    let (motion, extension) = ("MotionDetectionProcessor", "HttpExtension");
    let (tracker, lines) = ("ObjectTrackingProcessor", "LineCrossingProcessor");
    for (local, inputs, at) in [
        (motion, &["yolo"][..], first),
        (motion, &["tracker"], first),
        (motion, &["camera", "yolo"], second),
        (extension, &["tracker"], first),
        (extension, &["lines"], first),
        (extension, &["camera", "yolo"], second),
        (tracker, &["tracker"], first),
        (tracker, &["lines"], first),
        (tracker, &["yolo", "camera"], second),
        (lines, &["lines"], first),
        (lines, &["tracker", "yolo"], second),
    ] {
        let found = street_with(node(local, "late", inputs));
        assert!(
            found.contains(&(DiagnosticCode::NotSupported, at.to_owned())),
            "{local} behind {inputs:?}: {found:?}"
        );
    }
    for (local, inputs) in [
        (motion, "camera"),
        (extension, "yolo"),
        (extension, "camera"),
        (tracker, "yolo"),
        (lines, "yolo"),
        (lines, "tracker"),
    ] {
        assert_eq!(
            street_with(node(local, "late", &[inputs])),
            [],
            "{local} behind {inputs}"
        );
    }
}

#[test]
fn frames_without_results_are_not_waited_for() {
    let mut late = node("HttpExtension", "late", &["camera"]);
    late["samplingOptions"] = json!({"skipSamplesWithoutAnnotation": "true"});
    let found = street_with(late.clone());
    assert_eq!(
        found,
        [(
            DiagnosticCode::NotSupported,
            "/properties/processors/3".to_owned()
        )]
    );
    late["inputs"][0]["nodeName"] = json!("yolo");
    assert_eq!(street_with(late), []);
}

#[test]
fn selectors_that_leave_no_video_are_refused_wherever_pictures_are_needed() {
    let select = |value: &str, is: bool| {
        let operator = if is { "is" } else { "isNot" };
        json!([{"property": "mediaType", "operator": operator, "value": value}])
    };
    for at in [
        "/properties/processors/0/inputs/0",
        "/properties/processors/1/inputs/0",
        "/properties/sinks/0/inputs/0",
    ] {
        let place = format!("{at}/outputSelectors");
        for (selectors, passes) in [
            (select("audio", true), false),
            (select("video", false), false),
            (select("application", true), false),
            (select("video/VP8", true), false),
            (select("video", true), true),
            (select("audio", false), true),
            (select("video/H265", true), true),
        ] {
            let document = with(street(), &place, selectors.clone());
            let found = topology(document).validate(Strictness::Open);
            let errors: Vec<&Diagnostic> = found.iter().filter(|found| found.is_error()).collect();
            match passes {
                true => assert_eq!(errors.len(), 0, "{selectors} at {at}: {errors:?}"),
                false => {
                    assert_eq!(errors.len(), 1, "{selectors} at {at}: {errors:?}");
                    assert_eq!(
                        (errors[0].code, &errors[0].pointer),
                        (DiagnosticCode::VideoExcluded, &place)
                    );
                }
            }
        }
    }
    // Each alone lets some pass, both together none.
    let document = with(
        street(),
        "/properties/processors/0/inputs/0/outputSelectors",
        select("video/H264", true),
    );
    let document = with(
        document,
        "/properties/processors/1/inputs/0/outputSelectors",
        select("video/H265", true),
    );
    let found = topology(document).validate(Strictness::Open);
    assert_eq!(found[0].code, DiagnosticCode::VideoExcluded, "{found:?}");
}

#[test]
fn shared_memory_that_two_frames_do_not_fit_into_is_refused_with_what_is_needed() {
    let grpc = |size: &str, scale: Value, format: &str| {
        let mut node = node("GrpcExtension", "late", &["camera"]);
        node["endpoint"] = json!({"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "tcp://h:1"});
        node["dataTransfer"] = json!({"mode": "sharedMemory", "sharedMemorySizeMiB": size});
        node["image"] = json!({"format": {"@type": format!("#Microsoft.VideoAnalyzer.ImageFormat{format}")}, "scale": scale});
        if format == "Raw" {
            node["image"]["format"]["pixelFormat"] = json!("bgr24");
        }
        street_with(node)
    };
    let full = |mode: &str| json!({"mode": mode, "width": "1920", "height": "1080"});
    let place = "/properties/processors/3/dataTransfer/sharedMemorySizeMiB".to_owned();
    let too_small = [(DiagnosticCode::OutOfRange, place)];
    assert_eq!(grpc("11", full("stretch"), "Raw"), too_small);
    assert_eq!(grpc("5", full("pad"), "Bmp"), too_small);
    assert_eq!(grpc("12", full("pad"), "Raw"), []);
    // How large a frame is, only the camera decides.
    assert_eq!(grpc("5", full("preserveAspectRatio"), "Raw"), []);
}

#[test]
fn what_cannot_go_to_a_peer_is_refused_where_it_is_written() {
    let url = |at: &str, url: &str| {
        let found = topology(with(plaza(), at, json!(url))).validate(Strictness::Open);
        codes(&found).iter().any(|(_, pointer)| *pointer == at)
    };
    let (camera, vision) = (
        "/properties/sources/0/endpoint/url",
        "/properties/processors/1/endpoint/url",
    );
    for (at, text) in [
        (camera, "rtsp://cam:99999/x"),
        (camera, "rtsp://[::1/x"),
        (vision, "tcp://host:0"),
        (vision, "tcp://host:5001/path"),
        (vision, "tcp://u:p@host:5001"),
    ] {
        assert!(url(at, text), "{text}");
    }
    for (at, text) in [
        (camera, "rtsp://cam/x"),
        (camera, "rtsp://cam:/x"),
        (camera, "rtsps://[::1]:322/x"),
        (camera, "rtsp://admin:a/b#c@cam:554/x"),
        (vision, "tcp://host:5001/"),
        (vision, "tcp://[::1]:5001"),
    ] {
        assert!(!url(at, text), "{text}");
    }
    let header = json!({"@type": "#Microsoft.Media.MediaGraphHttpHeaderCredentials", "headerName": "x", "headerValue": "hunter2"});
    for node in ["/properties/sources/0", "/properties/processors/1"] {
        let at = format!("{node}/endpoint/credentials");
        let topology = topology(with(plaza(), &at, header.clone()));
        let refused = resolve(&topology, &plaza_instance(), Strictness::Open).unwrap_err();
        assert!(
            codes(&refused.findings).contains(&(DiagnosticCode::InvalidValue, &at)),
            "{refused:?}"
        );
        assert!(!format!("{refused:?}").contains("hunter2"));
    }
}

use lva_graph_model::{Instance, Strictness, Topology, resolve};
use serde_json::{Value, json};

use super::*;

fn endpoint(url: &str) -> Value {
    json!({"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": url})
}

/// A camera, and these processors and sinks.
fn graph(processors: Value, sinks: Value) -> Graph {
    let topology = Topology::from_value(json!({
        "@apiVersion": "2.0", "name": "t",
        "properties": {
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
                "endpoint": endpoint(" rtsp://user:geheim@cam/a"),
            }],
            "processors": processors, "sinks": sinks,
        },
    }));
    let instance = Instance::from_value(json!({
        "@apiVersion": "2.0", "name": "i", "properties": {"topologyName": "t"},
    }));
    resolve(&topology.unwrap(), &instance.unwrap(), Strictness::Open)
        .unwrap()
        .graph
}

fn grpc(name: &str, input: &str) -> Value {
    json!({
        "@type": "#Microsoft.Media.MediaGraphGrpcExtension", "name": name,
        "endpoint": endpoint("tcp://ext:5001"), "dataTransfer": {"mode": "sharedMemory", "sharedMemorySizeMiB": "20"},
        "samplingOptions": {"maximumSamplesPerSecond": "0.5"}, "extensionConfiguration": "{\"a\":1}",
        "image": {"format": {"@type": "#Microsoft.Media.MediaGraphImageFormatBmp"}},
        "inputs": [{"nodeName": input}],
    })
}

fn hub(name: &str, input: &str) -> Value {
    json!({
        "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink", "name": name, "hubOutputName": "out",
        "inputs": [{"nodeName": input}],
    })
}

fn refused(processors: Value, sinks: Value) -> PlanError {
    Plan::new(&graph(processors, sinks), "lvaEdge").unwrap_err()
}

#[test]
fn an_extension_is_planned_with_its_rate_memory_and_outputs() {
    let graph = graph(json!([grpc("ext", "camera")]), json!([hub("hub", "ext")]));
    let plan = Plan::new(&graph, "lvaEdge").unwrap();
    assert_eq!(
        plan.source.subject.to_string(),
        "/graphInstances/i/sources/camera"
    );
    let [analysis] = &plan.analyses[..] else {
        panic!("{plan:?}");
    };
    assert_eq!(analysis.rates, ["0.5".parse().unwrap()]);
    assert_eq!(analysis.outputs, [Some("out".to_owned())]);
    let memory = SharedMemoryOptions::default().with_bytes(20 << 20);
    assert_eq!(analysis.client.transfer, Transfer::SharedMemory(memory));
    assert_eq!(analysis.client.configuration.as_deref(), Some("{\"a\":1}"));
    assert!(!format!("{plan:?}").contains("geheim"));
}

#[test]
fn a_gate_s_sink_is_planned_with_the_extensions_that_open_it() {
    let gate = json!({
        "@type": "#Microsoft.Media.MediaGraphSignalGateProcessor", "name": "gate",
        "inputs": [{"nodeName": "ext"}, {"nodeName": "camera", "outputSelectors": [
            {"property": "mediaType", "operator": "is", "value": "video"}]}],
        "activationSignalOffset": "-PT5S", "minimumActivationTime": "PT10S", "maximumActivationTime": "PT30S",
    });
    let file = json!({
        "@type": "#Microsoft.Media.MediaGraphFileSink", "name": "file", "inputs": [{"nodeName": "gate"}],
        "baseDirectoryPath": "/var/media", "fileNamePattern": "a-${System.DateTime}", "maximumSizeMiB": "512",
    });
    let graph = graph(json!([grpc("ext", "camera"), gate]), json!([file]));
    let plan = Plan::new(&graph, "lvaEdge").unwrap();
    assert_eq!(plan.analyses[0].gates, [0]);
    assert!(!plan.recordings[0].audio, "the selector lets video pass only");
    assert_eq!(
        plan.recordings[0].sink.subject.to_string(),
        "/graphInstances/i/sinks/file"
    );
}

fn motion(name: &str, input: &str) -> Value {
    json!({
        "@type": "#Microsoft.Media.MediaGraphMotionDetectionProcessor", "name": name, "sensitivity": "High",
        "outputMotionRegion": false, "eventAggregationWindow": "PT2S", "inputs": [{"nodeName": input}],
    })
}

#[test]
fn behind_a_motion_node_an_extension_is_shown_annotated_frames_at_its_own_rate() {
    let mut annotated = grpc("ext", "md");
    annotated["samplingOptions"]["skipSamplesWithoutAnnotation"] = "true".into();
    let graph = graph(
        json!([annotated, motion("md", "camera")]),
        json!([hub("hub", "ext"), hub("motionHub", "md")]),
    );
    let plan = Plan::new(&graph, "lvaEdge").unwrap();
    let [motion] = &plan.motions[..] else {
        panic!("{plan:?}");
    };
    assert_eq!(motion.outputs, [Some("out".to_owned())]);
    assert!(motion.rates.is_empty() && !motion.settings.output_motion_region);
    assert_eq!(motion.settings.event_aggregation_window.as_secs(), 2);
    assert_eq!(plan.analyses[0].motion, Some(0));
    assert_eq!(plan.analyses[0].rates, ["0.5".parse().unwrap()]);
}

#[test]
fn a_sink_behind_the_camera_records_everything() {
    let asset = json!({"@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "asset", "segmentLength": "PT60S",
        "assetNamePattern": "a-${System.DateTime}", "localMediaCachePath": "/x", "localMediaCacheMaximumSizeMiB": "9",
        "inputs": [{"nodeName": "camera"}]});
    let plan = Plan::new(&graph(json!([]), json!([asset])), "lvaEdge").unwrap();
    let [recording] = &plan.recordings[..] else {
        panic!("{plan:?}");
    };
    assert!(recording.gate.is_none() && recording.audio);
    assert_eq!(recording.switch(), "asset");
    assert!(matches!(&recording.place, Place::Asset(sink) if sink.segment_length.as_secs() == 60));
}

#[test]
fn what_is_not_carried_out_names_node_type_and_remedy() {
    let mut http = grpc("ext", "camera");
    http["@type"] = "#Microsoft.Media.MediaGraphHttpExtension".into();
    http["endpoint"]["url"] = "http://h/score".into();
    let mut annotated = grpc("ext", "camera");
    annotated["samplingOptions"]["skipSamplesWithoutAnnotation"] = "true".into();
    let mut tls = grpc("ext", "camera");
    tls["endpoint"]["@type"] = "#Microsoft.Media.MediaGraphTlsEndpoint".into();
    for (processors, sinks, node, kind, remedy) in [
        (
            json!([http]),
            json!([hub("hub", "ext")]),
            "ext",
            "HttpExtension",
            "GrpcExtension",
        ),
        (
            json!([annotated]),
            json!([hub("hub", "ext")]),
            "ext",
            "GrpcExtension",
            "MotionDetectionProcessor",
        ),
        (
            json!([tls]),
            json!([hub("hub", "ext")]),
            "ext",
            "GrpcExtension",
            "UnsecuredEndpoint",
        ),
        (
            json!([grpc("ext", "camera"), grpc("next", "ext")]),
            json!([hub("hub", "next")]),
            "next",
            "GrpcExtension",
            "connect it to the camera",
        ),
    ] {
        let error = refused(processors, sinks);
        assert_eq!(
            (error.node.as_str(), error.kind.as_str()),
            (node, kind),
            "{error}"
        );
        assert!(error.remedy.contains(remedy), "{error}");
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}

use lva_extension_protocol::SharedMemoryOptions;
use lva_extension_protocol::client::Transfer;
use lva_framing::VideoCodec;
use lva_graph_model::{Graph, Instance, Strictness, Topology, resolve};
use serde_json::{Value, json};

use super::*;
use crate::convert::extension::GrpcPlan;
use crate::node::Factories;

fn plan(graph: &Graph) -> Result<Plan, PlanError> {
    Plan::new(graph, "lvaEdge", &Factories::default())
}

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

fn client(analysis: &AnalysisPlan) -> &GrpcPlan {
    let Analyzer::Extension {
        client: ClientPlan::Grpc(client),
        ..
    } = &analysis.analyzer
    else {
        panic!("{analysis:?}");
    };
    client
}

#[test]
fn an_extension_is_planned_with_its_rate_memory_and_outputs() {
    let graph = graph(json!([grpc("ext", "camera")]), json!([hub("hub", "ext")]));
    let plan = plan(&graph).unwrap();
    assert_eq!(
        plan.sources[0].node.subject.to_string(),
        "/graphInstances/i/sources/camera"
    );
    let [analysis] = &plan.analyses[..] else {
        panic!("{plan:?}");
    };
    assert_eq!(analysis.filters.intervals_90k(), []);
    assert_eq!(analysis.frames, FrameSource::Camera);
    assert_eq!(analysis.own_limit, Some("0.5".parse().unwrap()));
    assert_eq!(analysis.downstream.outputs, [Some("out".to_owned())]);
    let memory = SharedMemoryOptions::default().with_bytes(20 << 20);
    assert_eq!(client(analysis).transfer, Transfer::SharedMemory(memory));
    assert_eq!(
        client(analysis).configuration.as_ref().unwrap().as_str(),
        "{\"a\":1}"
    );
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
    let plan = plan(&graph).unwrap();
    assert_eq!(plan.analyses[0].downstream.gates, [RecordingId(0)]);
    assert_eq!(plan.recordings[0].gate.as_ref().unwrap().name, "gate");
    assert!(
        !plan.recordings[0].media.passes_audio(),
        "the selector lets video pass only"
    );
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
fn behind_a_motion_node_an_extension_gets_annotated_frames_at_its_own_rate() {
    let mut annotated = grpc("ext", "md");
    annotated["samplingOptions"]["skipSamplesWithoutAnnotation"] = "true".into();
    let graph = graph(
        json!([annotated, motion("md", "camera")]),
        json!([hub("hub", "ext"), hub("motionHub", "md")]),
    );
    let plan = plan(&graph).unwrap();
    let [motion] = &plan.sources[0].motions[..] else {
        panic!("{plan:?}");
    };
    assert_eq!(motion.downstream.outputs, [Some("out".to_owned())]);
    assert_eq!(motion.filters.intervals_90k(), []);
    assert!(!motion.settings.output_motion_region);
    assert_eq!(motion.settings.event_aggregation_window.as_secs(), 2);
    assert_eq!(plan.analyses[0].frames, FrameSource::Motion(MotionId(0)));
    assert_eq!(plan.analyses[0].own_limit, Some("0.5".parse().unwrap()));
}

#[test]
fn nodes_and_sinks_belong_to_the_stream_that_they_are_fed_from() {
    let source = |name: &str| json!({"@type": "#Microsoft.Media.MediaGraphRtspSource", "name": name, "endpoint": endpoint("rtsp://cam/a")});
    let gate = json!({
        "@type": "#Microsoft.Media.MediaGraphSignalGateProcessor", "name": "gate",
        "inputs": [{"nodeName": "ext"}, {"nodeName": "subMotion"}, {"nodeName": "main"}],
        "minimumActivationTime": "PT10S", "maximumActivationTime": "PT30S",
    });
    let file = json!({
        "@type": "#Microsoft.Media.MediaGraphFileSink", "name": "file", "inputs": [{"nodeName": "gate"}],
        "baseDirectoryPath": "/var/media", "fileNamePattern": "a-${System.DateTime}", "maximumSizeMiB": "512",
    });
    let mut value = json!({
        "@apiVersion": "2.0", "name": "t",
        "properties": {
            "sources": [source("main"), source("sub")],
            "processors": [
                motion("mainMotion", "main"), motion("subMotion", "slow"), rate_filter("slow", "sub", "5"),
                grpc("ext", "subMotion"), grpc("second", "ext"), gate,
            ],
            "sinks": [hub("hub", "second"), hub("motionHub", "mainMotion"), file],
        },
    });
    let resolved = |value: &Value, strictness| {
        let topology = Topology::from_value(value.clone()).unwrap();
        resolve(&topology, &Instance::new("i", "t", []), strictness)
    };
    assert!(resolved(&value, Strictness::Compatible).is_err());
    let graph = resolved(&value, Strictness::Open).unwrap().graph;
    let planned = plan(&graph).unwrap();
    let motions = planned.sources.iter().map(|source| {
        let names = source.motions.iter().map(|motion| motion.node.name.as_str());
        (source.node.name.as_str(), names.collect::<Vec<_>>())
    });
    let motions: Vec<_> = motions.collect();
    assert_eq!(
        motions,
        [("main", vec!["mainMotion"]), ("sub", vec!["subMotion"])]
    );
    let analyses = planned.analyses.iter().map(|plan| (plan.source, plan.frames));
    let analyses: Vec<_> = analyses.collect();
    let (first, second) = (
        FrameSource::Motion(MotionId(0)),
        FrameSource::Analysis(AnalysisId(0)),
    );
    assert_eq!(analyses, [(SourceId(1), first), (SourceId(1), second)]);
    assert_eq!(planned.recordings[0].source, SourceId(0));
    assert_eq!(planned.sources[1].motions[0].downstream.gates, [RecordingId(0)]);
    // A sink directly behind the second stream.
    value["properties"]["sinks"][2] = json!({
        "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "asset", "segmentLength": "PT60S",
        "assetNamePattern": "a-${System.DateTime}", "localMediaCachePath": "/x", "localMediaCacheMaximumSizeMiB": "9",
        "inputs": [{"nodeName": "sub"}],
    });
    let graph = resolved(&value, Strictness::Open).unwrap().graph;
    assert_eq!(plan(&graph).unwrap().recordings[0].source, SourceId(1));
}

fn rate_filter(name: &str, input: &str, fps: &str) -> Value {
    json!({
        "@type": "#Microsoft.Media.MediaGraphFrameRateFilterProcessor", "name": name, "maximumFps": fps,
        "inputs": [{"nodeName": input}],
    })
}

#[test]
fn results_pass_a_filter_to_the_sinks_and_gates_behind_it() {
    let gate = json!({
        "@type": "#Microsoft.Media.MediaGraphSignalGateProcessor", "name": "gate",
        "inputs": [{"nodeName": "slow"}, {"nodeName": "camera"}],
        "minimumActivationTime": "PT10S", "maximumActivationTime": "PT30S",
    });
    let file = json!({
        "@type": "#Microsoft.Media.MediaGraphFileSink", "name": "file", "inputs": [{"nodeName": "gate"}],
        "baseDirectoryPath": "/var/media", "fileNamePattern": "a-${System.DateTime}", "maximumSizeMiB": "512",
    });
    let mut both = hub("both", "slow");
    both["inputs"] = json!([{"nodeName": "slow"}, {"nodeName": "md"}]);
    both["hubOutputName"] = "both".into();
    let processors = json!([motion("md", "camera"), rate_filter("slow", "md", "2"), gate]);
    let plan = plan(&graph(processors, json!([hub("hub", "slow"), both, file]))).unwrap();
    let downstream = &plan.sources[0].motions[0].downstream;
    let mut outputs: Vec<_> = downstream.outputs.iter().flatten().collect();
    outputs.sort();
    assert_eq!(outputs, ["both", "out"], "each sink gets a result once");
    assert_eq!(downstream.gates, [RecordingId(0)]);
}

#[test]
fn filters_in_series_are_asked_in_the_order_in_which_frames_meet_them() {
    let processors = json!([
        rate_filter("second", "first", "2"),
        rate_filter("first", "camera", "5"),
        grpc("ext", "second"),
    ]);
    let plan = plan(&graph(processors, json!([hub("hub", "ext")]))).unwrap();
    assert_eq!(
        plan.analyses[0].filters.intervals_90k(),
        [Some(18_000), Some(45_000)]
    );
}

#[test]
fn a_sink_behind_the_camera_records_everything() {
    let asset = json!({"@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "asset", "segmentLength": "PT60S",
        "assetNamePattern": "a-${System.DateTime}", "localMediaCachePath": "/x", "localMediaCacheMaximumSizeMiB": "9",
        "inputs": [{"nodeName": "camera"}]});
    let plan = plan(&graph(json!([]), json!([asset]))).unwrap();
    let [recording] = &plan.recordings[..] else {
        panic!("{plan:?}");
    };
    assert!(recording.gate.is_none() && recording.media.passes_audio());
    assert_eq!(recording.gate_or_sink_name(), "asset");
    assert!(matches!(&recording.target, RecordingTarget::Asset(sink) if sink.segment_length.as_secs() == 60));
}

#[test]
fn extensions_in_series_are_planned_each_after_the_one_whose_frames_it_takes() {
    let mut second = grpc("second", "first");
    second["samplingOptions"]["skipSamplesWithoutAnnotation"] = "true".into();
    let graph = graph(
        json!([second, grpc("first", "camera")]),
        json!([hub("hub", "second")]),
    );
    let plan = plan(&graph).unwrap();
    let names: Vec<&str> = plan.analyses.iter().map(|plan| plan.node.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(plan.analyses[1].frames, FrameSource::Analysis(AnalysisId(0)));
    assert!(plan.analyses[1].annotated_only && plan.analyses[0].downstream.outputs.is_empty());
}

#[test]
fn an_http_extension_is_planned_with_its_endpoint() {
    let mut http = grpc("ext", "camera");
    http["@type"] = "#Microsoft.Media.MediaGraphHttpExtension".into();
    http["endpoint"] = json!({
        "@type": "#Microsoft.Media.MediaGraphTlsEndpoint", "url": "https://h/score?id=1",
        "credentials": {"@type": "#Microsoft.Media.MediaGraphHttpHeaderCredentials",
                        "headerName": "x-key", "headerValue": "geheim"},
        "validationOptions": {"ignoreHostname": "true"},
    });
    let plan = plan(&graph(json!([http]), json!([hub("hub", "ext")]))).unwrap();
    let Analyzer::Extension {
        client: ClientPlan::Http(options),
        ..
    } = &plan.analyses[0].analyzer
    else {
        panic!("{plan:?}");
    };
    assert_eq!(options.url().to_string(), "https://h/score?…");
    assert!(!format!("{plan:?}").contains("geheim"));
}

/// Video Analyzer's documents: a camera, and these processors and sinks.
fn pipeline(processors: Value, sinks: Value) -> Graph {
    let topology = Topology::from_value(json!({
        "@apiVersion": "1.1", "name": "t",
        "properties": {
            "sources": [
                {"@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "camera",
                 "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "rtsp://cam/a"}},
                {"@type": "#Microsoft.VideoAnalyzer.IotHubMessageSource", "name": "messages", "hubInputName": "in"},
            ],
            "processors": processors, "sinks": sinks,
        },
    }));
    let instance = Instance::from_value(json!({
        "@apiVersion": "1.1", "name": "p", "properties": {"topologyName": "t"},
    }));
    resolve(&topology.unwrap(), &instance.unwrap(), Strictness::Open)
        .unwrap()
        .graph
}

fn detector() -> Value {
    json!({
        "@type": "#Microsoft.VideoAnalyzer.HttpExtension", "name": "detector",
        "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "http://h/score"},
        "image": {"format": {"@type": "#Microsoft.VideoAnalyzer.ImageFormatJpeg"}},
        "inputs": [{"nodeName": "camera"}],
    })
}

fn gate(trigger: &str) -> Value {
    json!({
        "@type": "#Microsoft.VideoAnalyzer.SignalGateProcessor", "name": "gate",
        "inputs": [{"nodeName": trigger}, {"nodeName": "camera"}],
        "minimumActivationTime": "PT30S", "maximumActivationTime": "PT30S",
    })
}

fn video(inputs: Value) -> Value {
    json!({
        "@type": "#Microsoft.VideoAnalyzer.VideoSink", "name": "video", "videoName": "v", "inputs": inputs,
        "localMediaCachePath": "/x", "localMediaCacheMaximumSizeMiB": "9",
    })
}

fn lines(input: &str) -> Value {
    json!({
        "@type": "#Microsoft.VideoAnalyzer.LineCrossingProcessor", "name": "lines",
        "lines": [{"@type": "#Microsoft.VideoAnalyzer.NamedLineString", "name": "door",
                   "line": "[[0.5,0.1],[0.5,0.9]]"}],
        "inputs": [{"nodeName": input}],
    })
}

fn analyzer_hub(input: &str) -> Value {
    json!({
        "@type": "#Microsoft.VideoAnalyzer.IotHubMessageSink", "name": "hub", "hubOutputName": "out",
        "inputs": [{"nodeName": input}],
    })
}

#[test]
fn a_tracker_and_its_lines_belong_to_the_extension_before_them() {
    let tracker = json!({
        "@type": "#Microsoft.VideoAnalyzer.ObjectTrackingProcessor", "name": "tracker", "accuracy": "low",
        "inputs": [{"nodeName": "detector"}],
    });
    let sinks = json!([
        analyzer_hub("lines"),
        video(json!([{"nodeName": "camera"}, {"nodeName": "tracker"}]))
    ]);
    let plan = Plan::new(
        &pipeline(json!([lines("tracker"), tracker, detector()]), sinks),
        "avaedge",
        &Factories::default(),
    )
    .unwrap();
    let [tracker] = &plan.analyses[0].trackers[..] else {
        panic!("{plan:?}");
    };
    let video = RecordingId(0);
    assert_eq!(
        tracker.downstream.recordings,
        [video],
        "the video keeps its results"
    );
    assert_eq!(tracker.lines[0].downstream.outputs, [Some("out".to_owned())]);
    assert_eq!(
        tracker.lines[0].node.subject.to_string(),
        "/edgeModules/avaedge/livePipelines/p/processors/lines"
    );
    assert!(
        plan.recordings[0].gate.is_none() && matches!(plan.recordings[0].target, RecordingTarget::Video(_))
    );
}

#[test]
fn a_message_source_opens_the_gates_that_it_is_connected_to() {
    let sinks = json!([video(json!([{"nodeName": "gate"}]))]);
    let plan = Plan::new(
        &pipeline(json!([gate("messages")]), sinks),
        "avaedge",
        &Factories::default(),
    )
    .unwrap();
    assert_eq!(plan.inputs[0].input.as_deref(), Some("in"));
    assert_eq!(plan.inputs[0].gates, [RecordingId(0)]);
    assert!(plan.analyses.is_empty());
}

#[test]
fn what_the_libraries_refuse_names_node_type_and_remedy() {
    let mut tls = grpc("ext", "camera");
    tls["endpoint"]["@type"] = "#Microsoft.Media.MediaGraphTlsEndpoint".into();
    tls["endpoint"]["trustedCertificates"] = json!({
        "@type": "#Microsoft.Media.MediaGraphPemCertificateList", "certificates": ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]});
    let graph = graph(json!([tls]), json!([hub("hub", "ext")]));
    let error = plan(&graph).unwrap_err();
    let named = (error.node.as_deref(), error.kind.as_str());
    assert_eq!(named, (Some("ext"), "GrpcExtension"), "{error}");
    assert!(error.remedy.contains("trustedCertificates"), "{error}");
    let found = crate::check_graph(&graph);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("trustedCertificates"), "{found:?}");
}

#[test]
fn selectors_of_all_inputs_on_the_way_to_a_node_decide_which_video_it_gets() {
    let selected = |mut node: Value, value: &str| {
        node["inputs"][0]["outputSelectors"] =
            json!([{"property": "mediaType", "operator": "is", "value": value}]);
        node
    };
    let processors = json!([
        selected(rate_filter("slow", "camera", "5"), "video/H265"),
        selected(grpc("ext", "slow"), "video"),
        motion("md", "camera"),
    ]);
    let mut plan = plan(&graph(
        processors,
        json!([hub("hub", "ext"), hub("motionHub", "md")]),
    ))
    .unwrap();
    let filters = &mut plan.analyses[0].filters;
    assert!(filters.set_codec(VideoCodec::H264) && !filters.admit(0));
    assert!(!filters.set_codec(VideoCodec::H265) && filters.admit(0));
    let unlimited = &mut plan.sources[0].motions[0].filters;
    assert!(!unlimited.set_codec(VideoCodec::H264) && unlimited.admit(0));
}

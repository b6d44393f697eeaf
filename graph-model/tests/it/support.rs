//! Documents to start from, and finding what lies outside the crate.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use lva_graph_model::{Diagnostic, DiagnosticCode, Graph, Instance, Resolved, Strictness, Topology, resolve};
use serde_json::{Value, json};

/// A file or directory of the shared data next to the project, or `None` after a message on standard error.
pub(crate) fn shared_data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LVA_SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let file = root.join(path);
    if file.exists() {
        return Some(file);
    }
    // Not `eprintln!`: what a test prints with it is hidden when the test passes.
    let mut stderr = std::io::stderr();
    writeln!(
        stderr,
        "skipped: no {}; LVA_SHARED_DATA names the directory of shared data",
        file.display()
    )
    .unwrap();
    None
}

/// A topology with a node of most kinds, in the form of LVA 1.0.
pub(crate) fn plaza() -> Value {
    json!({
        "@apiVersion": "1.0",
        "name": "Plaza",
        "properties": {
            "description": "people on a plaza",
            "parameters": [
                {"name": "url", "type": "String"},
                {"name": "user", "type": "String", "default": "absent"},
                {"name": "pass", "type": "SecretString", "default": "fallback"},
                {"name": "rate", "type": "Double", "default": "15"},
            ],
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource",
                "name": "camera",
                "transport": "tcp",
                "endpoint": {
                    "@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint",
                    "url": "${url}",
                    "credentials": {
                        "@type": "#Microsoft.Media.MediaGraphUsernamePasswordCredentials",
                        "username": "${user}",
                        "password": "${pass}",
                    },
                },
            }],
            "processors": [
                {
                    "@type": "#Microsoft.Media.MediaGraphFrameRateFilterProcessor",
                    "name": "slower",
                    "maximumFps": "${rate}",
                    "inputs": [{"nodeName": "camera"}],
                },
                {
                    "@type": "#Microsoft.Media.MediaGraphRealTimeComputerVisionExtension",
                    "name": "vision",
                    "endpoint": {
                        "@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint",
                        "url": "tcp://127.0.0.1:50051",
                    },
                    "image": {
                        "scale": {"mode": "pad", "width": "1408", "height": "786"},
                        "format": {"@type": "#Microsoft.Media.MediaGraphImageFormatRaw", "pixelFormat": "bgr24"},
                    },
                    "inputs": [{"nodeName": "slower"}],
                },
                {
                    "@type": "#Microsoft.Media.MediaGraphSignalGateProcessor",
                    "name": "gate",
                    "activationEvaluationWindow": "PT1S",
                    "activationSignalOffset": "PT0S",
                    "minimumActivationTime": "PT30S",
                    "maximumActivationTime": "PT30S",
                    "inputs": [{"nodeName": "vision"}, {"nodeName": "camera"}],
                },
            ],
            "sinks": [
                {
                    "@type": "#Microsoft.Media.MediaGraphAssetSink",
                    "name": "asset",
                    "assetNamePattern": "plaza-${System.DateTime}",
                    "segmentLength": "PT30S",
                    "localMediaCachePath": "/var/lib/cache/",
                    "localMediaCacheMaximumSizeMiB": "200",
                    "inputs": [{"nodeName": "gate"}],
                },
                {
                    "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink",
                    "name": "hub",
                    "hubOutputName": "events",
                    "inputs": [{"nodeName": "vision"}],
                },
            ],
        },
    })
}

/// A topology of Video Analyzer with lines, zones and a tracker.
pub(crate) fn street() -> Value {
    json!({
        "@apiVersion": "1.1",
        "name": "Street",
        "properties": {
            "sources": [{
                "@type": "#Microsoft.VideoAnalyzer.RtspSource",
                "name": "camera",
                "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "rtsp://cam/1"},
            }],
            "processors": [
                {
                    "@type": "#Microsoft.VideoAnalyzer.HttpExtension",
                    "name": "yolo",
                    "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "http://yolo/score?id=1"},
                    "image": {
                        "scale": {"mode": "preserveAspectRatio", "width": 640},
                        "format": {"@type": "#Microsoft.VideoAnalyzer.ImageFormatJpeg", "quality": "80"},
                    },
                    "samplingOptions": {"skipSamplesWithoutAnnotation": "False", "maximumSamplesPerSecond": "0.2"},
                    "inputs": [{
                        "nodeName": "camera",
                        "outputSelectors": [{"property": "mediaType", "operator": "is", "value": "video"}],
                    }],
                },
                {
                    "@type": "#Microsoft.VideoAnalyzer.ObjectTrackingProcessor",
                    "name": "tracker",
                    "accuracy": "High",
                    "inputs": [{"nodeName": "yolo"}],
                },
                {
                    "@type": "#Microsoft.VideoAnalyzer.LineCrossingProcessor",
                    "name": "lines",
                    "lines": [{
                        "@type": "#Microsoft.VideoAnalyzer.NamedLineString",
                        "name": "door",
                        "line": "[[0.5,0.1], [0.5,0.9]]",
                    }],
                    "inputs": [{"nodeName": "tracker"}],
                },
            ],
            "sinks": [
                {
                    "@type": "#Microsoft.VideoAnalyzer.VideoSink",
                    "name": "video",
                    "videoName": "street-${System.PipelineName}",
                    "videoCreationProperties": {"title": "Street", "segmentLength": "PT30S", "retentionPeriod": "P7D"},
                    "localMediaCachePath": "/var/lib/cache/",
                    "localMediaCacheMaximumSizeMiB": 2048,
                    "inputs": [{"nodeName": "camera"}, {"nodeName": "tracker"}],
                },
                {
                    "@type": "#Microsoft.VideoAnalyzer.IotHubMessageSink",
                    "name": "hub",
                    "hubOutputName": "events",
                    "inputs": [{"nodeName": "lines"}],
                },
            ],
        },
    })
}

/// An instance of [`plaza`] with what it needs.
pub(crate) fn plaza_instance() -> Instance {
    Instance::new(
        "Plaza-1",
        "Plaza",
        [("url", " rtsp://cam:554/media/a.mkv"), ("pass", "hunter2")],
    )
}

pub(crate) fn topology(value: Value) -> Topology {
    Topology::from_value(value).unwrap()
}

pub(crate) fn resolved(value: Value, instance: &Instance) -> Resolved {
    resolve(&topology(value), instance, Strictness::Open).unwrap()
}

pub(crate) fn graph(value: Value, instance: &Instance) -> Graph {
    resolved(value, instance).graph
}

/// The codes of findings, with their places.
pub(crate) fn codes(findings: &[Diagnostic]) -> Vec<(DiagnosticCode, &str)> {
    findings
        .iter()
        .map(|finding| (finding.code, finding.pointer.as_str()))
        .collect()
}

/// Changes one place of a document; creates members, not list entries.
pub(crate) fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    if let Some(place) = document.pointer_mut(pointer) {
        *place = value;
        return document;
    }
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(map) => {
            map.insert(member.to_owned(), value);
        }
        Value::Array(list) => list.push(value),
        other => panic!("{parent} is {other}"),
    }
    document
}

/// Takes one place out of a document.
pub(crate) fn without(mut document: Value, pointer: &str) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(map) => {
            map.remove(member).unwrap();
        }
        Value::Array(list) => {
            list.remove(member.parse().unwrap());
        }
        other => panic!("{parent} is {other}"),
    }
    document
}

//! Graphs with a camera under IoT Edge: an event that is too large, and a message that opens a gate.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use axum::Json;
use axum::routing::post;
use lva_rtsp_simulator::{Simulator, SimulatorOptions};
use serde_json::{Value, json};

use crate::site::{Hub, Site};
use crate::support::named;

/// A camera with a test picture of 64×48 that repeats.
async fn camera(directory: &Path) -> Simulator {
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=64x48:rate=10:duration=10",
        ])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-bf",
            "0",
            "-g",
            "10",
        ])
        .arg(directory.join("clip.mp4"))
        .status()
        .expect("the ffmpeg program makes the clip; `make packages` installs it");
    assert!(made.success());
    Simulator::start(SimulatorOptions::new(directory)).await.unwrap()
}

/// An extension that answers each frame with a person of this name.
/// An extension that finds so many of something in every frame.
async fn extension(name: &'static str, count: usize) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move || async move {
        let frame = json!({"l": 0.1, "t": 0.1, "w": 0.5, "h": 0.5});
        let entity = json!({"tag": {"value": name, "confidence": 0.9}, "box": frame});
        let inferences = vec![json!({"type": "entity", "entity": entity}); count];
        Json(json!({"inferences": inferences}))
    };
    let router = axum::Router::new().route("/", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn endpoint(url: &str) -> Value {
    json!({"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": url})
}

pub(crate) fn topology(camera: &str, nodes: Value, sinks: Value) -> Value {
    json!({
        "@apiVersion": "2.0",
        "name": "watch",
        "properties": {
            "sources": [
                {"@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera", "endpoint": endpoint(camera)},
                {"@type": "#Microsoft.Media.MediaGraphIoTHubMessageSource", "name": "messages", "hubInputName": "recordingTrigger"}
            ],
            "processors": nodes,
            "sinks": sinks
        }
    })
}

pub(crate) async fn activate<H: Hub>(site: &mut Site<H>, topology: Value) {
    site.must("GraphTopologySet", topology).await;
    let instance = json!({"@apiVersion": "2.0", "name": "one", "properties": {"topologyName": "watch"}});
    site.must("GraphInstanceSet", instance).await;
    let mut named = named("one");
    named["@apiVersion"] = "2.0".into();
    site.must("GraphInstanceActivate", named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_beyond_the_hubs_limit_is_counted_and_holds_up_nothing() {
    let mut site = Site::new().await;
    let program = site.started().await;
    let camera = camera(site.directory.path()).await;
    let large = extension(String::leak("x".repeat(4000)), 75).await;
    let small = extension("person", 1).await;
    let node = |name: &str, address: SocketAddr| {
        json!({
            "@type": "#Microsoft.Media.MediaGraphHttpExtension", "name": name, "inputs": [{"nodeName": "camera"}],
            "endpoint": endpoint(&format!("http://{address}/")),
            "image": {
                "scale": {"mode": "stretch", "width": "64", "height": "48"},
                "format": {"@type": "#Microsoft.Media.MediaGraphImageFormatJpeg", "quality": "80"}
            },
            "samplingOptions": {"maximumSamplesPerSecond": "5"}
        })
    };
    let sink = |name: &str, from: &str| {
        json!({
            "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink", "name": name, "hubOutputName": name,
            "inputs": [{"nodeName": from}]
        })
    };
    let unused = json!({
        "@type": "#Microsoft.Media.MediaGraphSignalGateProcessor", "name": "gate",
        "inputs": [{"nodeName": "messages"}, {"nodeName": "camera"}],
        "activationEvaluationWindow": "PT1S", "activationSignalOffset": "PT0S",
        "minimumActivationTime": "PT1S", "maximumActivationTime": "PT1S"
    });
    let graph = topology(
        &camera.url("clip.mp4"),
        json!([node("large", large), node("small", small), unused]),
        json!([
            sink("largeOutput", "large"),
            sink("smallOutput", "small"),
            file_sink()
        ]),
    );
    activate(&mut site, graph).await;
    let refused = || {
        program.metric(
            "lva_data_dropped_total",
            "graph_node=\"large\",data_kind=\"events\",reason=\"refused\"",
        )
    };
    let counted = async {
        while refused().await < 3.0 {
            tokio::task::yield_now().await;
        }
    };
    crate::within("refused events", counted).await;
    // Those that came later pass.
    for _ in 0..3 {
        let output = site
            .event("an inference", |event| {
                (event.name() == "Inference").then(|| event.property("$.on").to_owned())
            })
            .await;
        assert_eq!(output, "smallOutput");
    }
    assert!(program.metric("lva_edge_outbox_dropped_total", "refused").await >= 3.0);
    assert!(program.metric("lva_edge_sink_events_failed_total", "hub").await >= 3.0);
    assert_eq!(site.hub.violations(), [] as [String; 0]);
}

pub(crate) fn file_sink() -> Value {
    json!({
        "@type": "#Microsoft.Media.MediaGraphFileSink", "name": "clips", "inputs": [{"nodeName": "gate"}],
        "baseDirectoryPath": "clips", "fileNamePattern": "clip-${System.DateTime}", "maximumSizeMiB": "512"
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_an_input_opens_the_gate_of_the_instance_that_it_names() {
    opens_the_gate(Site::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_mosquitto_opens_the_gate_or_skips() {
    if let Some(site) = Site::on_mosquitto().await {
        opens_the_gate(site).await;
    }
}

async fn opens_the_gate<H: Hub>(mut site: Site<H>) {
    let program = site.started().await;
    let camera = camera(site.directory.path()).await;
    let gate = json!({
        "@type": "#Microsoft.Media.MediaGraphSignalGateProcessor", "name": "gate",
        "inputs": [{"nodeName": "messages"}, {"nodeName": "camera"}],
        "activationEvaluationWindow": "PT0S", "activationSignalOffset": "PT0S",
        "minimumActivationTime": "PT1S", "maximumActivationTime": "PT1S"
    });
    let graph = topology(&camera.url("clip.mp4"), json!([gate]), json!([file_sink()]));
    activate(&mut site, graph).await;
    let running = async {
        while program.metric("lva_edge_pictures_received_total", "").await < 20.0 {
            tokio::task::yield_now().await;
        }
    };
    crate::within("pictures", running).await;
    site.input("recordingTrigger", "eventTarget=%2FgraphInstances%2Fother");
    site.input("recordingTrigger", "eventTime=yesterday");
    site.input(
        "recordingTrigger",
        "eventTarget=%2FgraphInstances%2Fone&eventType=Microsoft.Media.Graph.Signaling.SignalGateTrigger",
    );
    let is_available = |event: &crate::site::HubEvent| {
        (event.name() == "RecordingAvailable").then(|| event.property("subject").to_owned())
    };
    assert_eq!(
        site.event("a recording", is_available).await,
        "/graphInstances/one/sinks/clips"
    );
    for (result, count) in [("delivered", 1.0), ("without_listener", 1.0), ("invalid", 1.0)] {
        assert_eq!(
            program.metric("lva_edge_hub_inputs_total", result).await,
            count,
            "{result}"
        );
    }
}

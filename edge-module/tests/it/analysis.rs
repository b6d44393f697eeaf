//! `lva-edge spatial-analysis` and a client of the extension protocol.

use lva_extension_protocol::client::{
    ClientOptions, ConnectError, Session, SessionError, SessionEvent, Transfer, connect,
};
use lva_extension_protocol::{
    ExtensionUrl, FrameFormat, GraphIdentity, GrpcCode, PixelFormat, SharedMemoryOptions,
};
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::ended::run;
use crate::peer::Peer;
use crate::process::Process;
use crate::site::{Site, twin as hub_twin};
use crate::support::Client;
use crate::within;

/// An operation of the container.
fn operation(zone: &str) -> Value {
    let space = json!({"zones": [{"name": zone, "polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}]});
    json!({
        "operationId": "cognitiveservices.vision.spatialanalysis-personcrossingpolygon",
        "version": 1, "enabled": true,
        "parameters": {"SPACEANALYTICS_CONFIG": space.to_string()},
    })
}

/// A module twin with two operations.
fn twin() -> String {
    json!({"graphs": {"door-1": operation("door"), "gate-1": operation("gate")}}).to_string()
}

fn stream_of(url: ExtensionUrl, instance: &str) -> ClientOptions {
    let format = FrameFormat::raw(PixelFormat::Bgr24, 160, 90).unwrap();
    ClientOptions::new(url, format)
        .with_transfer(Transfer::SharedMemory(SharedMemoryOptions::default()))
        .with_identity(GraphIdentity::new(instance, "computerVisionExtension"))
}

/// Sends one frame, and waits for its answer.
async fn frame(session: &mut Session<u32>) -> Result<u32, SessionError> {
    let mut slot = session.frames.slot().unwrap();
    slot.fill(0);
    slot.send(90_000, &[], 17).unwrap();
    match within("an answer", session.answers.next()).await? {
        Some(SessionEvent::Answered(answer)) => Ok(answer.context),
        other => panic!("{other:?}"),
    }
}

async fn opened(url: ExtensionUrl, instance: &str) -> Result<Session<u32>, ConnectError> {
    within("a stream", connect::<u32>(&stream_of(url, instance))).await
}

// The clients' connections go on while the test waits for lines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_answered_by_the_operation_of_their_instance_and_drained_at_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("twin.json"), twin()).unwrap();
    let mut server = Process::start(
        directory.path(),
        &[
            "spatial-analysis",
            "--port",
            "0",
            "--unix",
            "analysis.sock",
            "--config",
            "twin.json",
        ],
    );
    let tcp: ExtensionUrl = format!("tcp://{}", server.after("listening: tcp://"))
        .parse()
        .unwrap();
    server.line("listening: unix:");
    server.line("archon_allGraphsStarted");
    let socket = directory.path().join("analysis.sock");
    for (url, instance) in [(tcp.clone(), "door-1"), (ExtensionUrl::unix(&socket), "gate-1")] {
        let mut session = opened(url, instance).await.unwrap();
        assert_eq!(frame(&mut session).await.unwrap(), 17);
    }
    let refused = opened(tcp, "attic-1").await;
    let refused = refused.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("door-1, gate-1"), "{refused}");

    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("frames 2, answered 2"), "{log}");
    assert!(log.contains("archon_exit"), "{log}");
    assert!(!socket.exists(), "the socket is removed");
}

#[test]
fn what_cannot_be_served_is_named_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("empty.json"), "{}").unwrap();
    let failed = |args: &[&str], expected: &str| {
        let (code, _, error) = run(
            directory.path(),
            &[&["spatial-analysis", "--port", "0"], args].concat(),
        );
        assert!(code == Some(2) && error.contains(expected), "{error}");
    };
    failed(&["--config", "empty.json"], "give \"zones\" or \"lines\"");
    failed(&["--config", "nowhere.json"], "nowhere.json");
    failed(&["--model", "nowhere.onnx"], "nowhere.onnx");
    failed(&["--family", "fastest-det"], "--model FILE");
    failed(&["--bind", "203.0.113.1"], "an address of this machine");
    failed(&["--broker", "http://b"], "mqtt://HOST:PORT");
    failed(&["--hub-config", "nowhere.toml"], "nowhere.toml");
}

/// The reported states of the graphs, once they are whole.
async fn graphs_reported(site: &mut Site) -> Value {
    loop {
        let reported = site.reported("graphs").await;
        if reported.is_object() {
            return reported;
        }
    }
}

/// Whether the hub gets a health message of this name, for this graph, on the output of such messages.
async fn health_reported(site: &mut Site, name: &str) {
    let output = site
        .event(name, |event| {
            (event.property("eventType") == name).then(|| event.property("$.on").to_owned())
        })
        .await;
    assert_eq!(output, "health");
}

fn url_of(server: &mut Process) -> ExtensionUrl {
    format!("tcp://{}", server.after("listening: tcp://"))
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_of_streams_frames_and_graphs() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("twin.json"), twin()).unwrap();
    let args = [
        "spatial-analysis",
        "--port",
        "0",
        "--config",
        "twin.json",
        "--metrics",
        "127.0.0.1:0",
    ];
    let mut server = Process::start(directory.path(), &args);
    let url = url_of(&mut server);
    let address = server.after("metrics: http://");
    let mut metrics = Client::of(address.strip_suffix("/metrics").unwrap().parse().unwrap());
    let mut session = opened(url, "door-1").await.unwrap();
    assert_eq!(frame(&mut session).await.unwrap(), 17);
    metrics.reaches("lva_edge_analysis_answers_total", "", 1.0).await;
    for (name, label, value) in [
        ("lva_edge_analysis_streams_open", "", 1.0),
        ("lva_edge_analysis_streams_total", "", 1.0),
        ("lva_edge_analysis_frames_total", "", 1.0),
        ("lva_edge_analysis_frames_dropped_total", "", 0.0),
        ("lva_edge_analysis_graph_frames_total", "graph=\"door-1\"", 1.0),
        ("lva_edge_analysis_graph_frames_total", "graph=\"gate-1\"", 0.0),
        ("lva_edge_analysis_graph_streams_total", "", 1.0),
    ] {
        assert_eq!(metrics.metric(name, label).await, value, "{name} {label}");
    }
    assert!(metrics.metric("process_resident_memory_bytes", "").await > 0.0);
    drop(session);
    let closed = async {
        while metrics.metric("lva_edge_analysis_streams_open", "").await > 0.0 {
            tokio::task::yield_now().await;
        }
    };
    within("the end of the stream", closed).await;
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_of_the_hub_and_an_address_in_use_is_an_error() {
    let mut site = Site::new().await;
    site.hub.set(|behaviour| behaviour.twin = hub_twin(3, json!({})));
    let args = [&AT_HUB[..], &["--metrics", "127.0.0.1:0"]].concat();
    let mut server = Process::start_with(site.directory.path(), &args, Some(site.environment()));
    site.reported("State").await;
    let address = server.after("metrics: http://");
    let address = address.strip_suffix("/metrics").unwrap();
    let mut metrics = Client::of(address.parse().unwrap());
    metrics.reaches("lva_edge_hub_connected", "", 1.0).await;
    metrics.reaches("lva_edge_outbox_delivered_total", "", 1.0).await;
    let (code, _, error) = run(
        site.directory.path(),
        &["spatial-analysis", "--port", "0", "--metrics", address],
    );
    assert!(code == Some(2) && error.contains(address), "{error}");
    assert_eq!(server.terminate().0, Some(0));
}

const AT_HUB: [&str; 5] = ["spatial-analysis", "--port", "0", "--log-format", "original"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_twin_s_graphs_are_served_changed_live_and_a_wrong_one_is_reported_alone() {
    let mut site = Site::new().await;
    let mut wrong = operation("gate");
    wrong["operationId"] = json!("loitering");
    let graphs = json!({"door": operation("door"), "hall": operation("hall"), "gate": wrong});
    site.hub
        .set(|behaviour| behaviour.twin = hub_twin(3, json!({"graphs": graphs})));
    let directory = site.directory.path().to_owned();
    let mut server = Process::start_with(&directory, &AT_HUB, Some(site.environment()));
    let url = url_of(&mut server);
    let states = graphs_reported(&mut site).await;
    assert_eq!(
        (&states["door"], &states["hall"]),
        (&json!({"state": "Running"}), &json!({"state": "Running"}))
    );
    assert_eq!(states["gate"]["state"], "Refused");
    let message = states["gate"]["message"].as_str().unwrap();
    assert!(message.contains("personcrossingpolygon"), "{message}");
    for name in ["archon_graphCreationSuccess", "archon_graphCreationFailed"] {
        health_reported(&mut site, name).await;
    }
    let mut door = opened(url.clone(), "door").await.unwrap();
    let mut hall = opened(url.clone(), "hall").await.unwrap();
    assert_eq!(
        frame(&mut door).await.unwrap() + frame(&mut hall).await.unwrap(),
        34
    );
    let refused = opened(url.clone(), "gate")
        .await
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("there are door, hall"), "{refused}");

    // One is changed, one is corrected, one is as it was.
    let change = json!({"graphs": {"door": operation("porch"), "gate": operation("gate")}});
    site.notify(4, change);
    let running = json!({"state": "Running"});
    assert_eq!(
        graphs_reported(&mut site).await,
        json!({"door": running, "gate": running, "hall": running})
    );
    health_reported(&mut site, "archon_configchange").await;
    assert_eq!(
        frame(&mut door).await.unwrap() + frame(&mut hall).await.unwrap(),
        34
    );
    let mut gate = opened(url.clone(), "gate").await.unwrap();
    assert_eq!(frame(&mut gate).await.unwrap(), 17);

    // What is wrong now stays as it was; what is gone ends its streams.
    site.notify(
        5,
        json!({"graphs": {"gate": {"operationId": "none"}, "door": null}}),
    );
    let states = graphs_reported(&mut site).await;
    assert_eq!(states["gate"]["state"], "RunningAsBefore");
    assert_eq!(
        (&states["hall"], states.get("door")),
        (&json!({"state": "Running"}), None)
    );
    health_reported(&mut site, "archon_graphCleanup").await;
    assert_eq!(
        frame(&mut gate).await.unwrap() + frame(&mut hall).await.unwrap(),
        34
    );
    match frame(&mut door).await {
        Err(SessionError::Status(status)) => {
            assert_eq!(status.code, GrpcCode::Unavailable);
            assert!(status.message.contains("there are gate, hall"), "{status}");
        }
        other => panic!("{other:?}"),
    }
    drop((door, gate, hall));
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    let changed = log.lines().filter(|line| line.contains("operation has changed"));
    assert_eq!(changed.count(), 1, "{log}");
    health_reported(&mut site, "archon_exit").await;
    assert_eq!(site.hub.violations(), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_answer_of_the_hub_the_last_twin_is_served_beside_the_file() {
    let mut site = Site::new().await;
    let graphs = json!({"door": operation("door")});
    site.hub
        .set(|behaviour| behaviour.twin = hub_twin(3, json!({"graphs": graphs})));
    let directory = site.directory.path().to_owned();
    let server = Process::start_with(&directory, &AT_HUB, Some(site.environment()));
    graphs_reported(&mut site).await;
    assert_eq!(server.terminate().0, Some(0));

    site.hub.set(|behaviour| behaviour.answer_twin = false);
    let file = json!({"graphs": {"gate": operation("gate"), "Door": operation("other")}});
    std::fs::write(directory.join("file.json"), file.to_string()).unwrap();
    let args = [&AT_HUB[..], &["--config", "file.json"]].concat();
    let mut server = Process::start_with(&directory, &args, Some(site.environment()));
    let url = url_of(&mut server);
    server.line("'door', watching zones [door]");
    for name in ["door", "gate"] {
        let mut session = opened(url.clone(), name).await.unwrap();
        assert_eq!(frame(&mut session).await.unwrap(), 17);
    }
    let refused = opened(url, "attic").await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("there are door, gate"), "{refused}");
    assert_eq!(server.terminate().0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_broker_s_twin_has_the_graphs_and_gets_states_and_health_or_skips() {
    let Some(broker) = Broker::start("") else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut peer = Peer::start(broker.port, "operator", &["lva/spatialAnalysis/#"]).await;
    let twin = json!({"graphs": {"door": operation("door"), "a.b": {"parameters": {}}}, "$version": 4});
    peer.publish_retained("lva/spatialAnalysis/twin/desired", twin.to_string())
        .await;
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let mut server = Process::start(directory.path(), &[&AT_HUB[..], &["--broker", &url]].concat());
    let address = url_of(&mut server);
    // A name that no hub takes as a property is reported as a string.
    let reported = loop {
        let reported = peer.next("lva/spatialAnalysis/twin/reported").await;
        let reported: Value = serde_json::from_slice(&reported.payload).unwrap();
        if reported["Problems"].is_string() {
            break reported;
        }
    };
    assert_eq!(reported["State"], "GraphsRefused");
    assert!(
        reported["Problems"].as_str().unwrap().starts_with("a.b: "),
        "{reported}"
    );
    let mut door = opened(address, "door").await.unwrap();
    assert_eq!(frame(&mut door).await.unwrap(), 17);
    drop(door);
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    let exit = loop {
        let health = peer.next("lva/spatialAnalysis/outputs/health").await;
        let health: Value = serde_json::from_slice(&health.payload).unwrap();
        if health["body"]["event"] == "archon_exit" {
            break health;
        }
    };
    assert_eq!(exit["properties"]["eventType"], "archon_exit");
}

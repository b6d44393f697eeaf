//! Microsoft's own SDKs, unmodified, as callers of the module and as its neighbours: `interop/*.py`.
//!
//! Needs a Python with azure-iot-hub and azure-iot-device, named by `LVA_AZURE_PYTHON`; `make test` makes one.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;

use axum::Json;
use axum::extract::Path as Names;
use axum::http::HeaderMap;
use axum::routing::post;
use lva_edge_module::http::{Listener, ListenerOptions};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::cameras::{activate, file_sink, topology};
use crate::edge_hub::Authority;
use crate::site::Site;
use crate::support::{Program, instance, named, topology as watch};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// `None`, and a line on standard error, where there is no such Python.
fn python() -> Option<OsString> {
    let python = std::env::var_os("LVA_AZURE_PYTHON");
    if python.is_none() {
        // Not captured, so that it shows.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: LVA_AZURE_PYTHON names no Python with Microsoft's SDKs (scripts/azure-python.sh makes one)"
        );
    }
    python
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name)
}

/// The tutorial's sequence of calls, with the repository's own documents.
fn operations() -> Value {
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/documents");
    let text = std::fs::read_to_string(documents.join("operations.json")).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    let list = |what: &str| json!({"opName": format!("Graph{what}List"), "opParams": {}});
    let get =
        |what: &str, name: &str| json!({"opName": format!("Graph{what}Get"), "opParams": {"name": name}});
    let mut steps = vec![list("Topology"), list("Instance")];
    for mut step in file["operations"].as_array().unwrap().clone() {
        if let Some(topology) = step["opParams"].get_mut("topologyFile") {
            *topology = json!(documents.join(topology.as_str().unwrap()));
        }
        let name = step["opName"].clone();
        steps.push(step);
        match name.as_str().unwrap() {
            "GraphTopologySet" => steps.push(get("Topology", "InferencingWithCVExtension")),
            "GraphInstanceActivate" => {
                steps.extend([get("Instance", "Sample-Graph-1"), list("Instance")]);
            }
            _ => {}
        }
    }
    steps.push(list("Topology"));
    file["operations"] = steps.into();
    file
}

/// `lva-edge module` with TLS on all addresses, where each call needs to be signed or to have the token.
struct Secured {
    program: Program,
    directory: tempfile::TempDir,
}

impl Secured {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let (certificate, key) = authority.sign("localhost");
        let config = "[http]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\nshared-access-key-file = \"hub\"\n";
        let policy = format!(
            "HostName=contoso.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}\n"
        );
        for (file, content) in [
            ("authority.pem", authority.pem()),
            ("certificate.pem", certificate),
            ("key.pem", key),
            ("site.toml", config.to_owned()),
            ("hub", policy),
            ("operations.json", operations().to_string()),
        ] {
            std::fs::write(directory.path().join(file), content).unwrap();
        }
        let program = Program::listening("0.0.0.0:0", directory.path(), &["--config", "site.toml"], None);
        Self { program, directory }
    }

    /// What the service SDK prints with this connection string, whose host name alone was changed.
    fn call(&self, python: &OsString, policy: &str, key: &str) -> Vec<Value> {
        let port = self.program.address.port();
        let connection =
            format!("HostName=localhost:{port};SharedAccessKeyName={policy};SharedAccessKey={key}");
        let directory = self.directory.path();
        let run = Command::new(python)
            .arg(script("service.py"))
            .args(["operations.json", "device", "lvaEdge"])
            .current_dir(directory)
            .env("LVA_CONNECTION_STRING", connection)
            .env("REQUESTS_CA_BUNDLE", directory.join("authority.pem"))
            .output()
            .unwrap();
        let error = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.success(), "{error}");
        let printed = String::from_utf8(run.stdout).unwrap();
        printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_sdk_drives_the_module_with_another_host_name_or_skips() {
    let Some(python) = python() else { return };
    let secured = Secured::start();
    let steps = secured.call(&python, "iothubowner", KEY);
    let called: Vec<_> = steps
        .iter()
        .filter_map(|step| Some((step["op"].as_str()?, step.get("status")?.as_u64()?)))
        .collect();
    assert_eq!(
        called,
        [
            ("GraphTopologyList", 200),
            ("GraphInstanceList", 200),
            ("GraphTopologySet", 201),
            ("GraphTopologyGet", 200),
            ("GraphInstanceSet", 201),
            ("GraphInstanceActivate", 200),
            ("GraphInstanceGet", 200),
            ("GraphInstanceList", 200),
            ("GraphInstanceDeactivate", 200),
            ("GraphInstanceDelete", 200),
            ("GraphTopologyDelete", 200),
            ("GraphTopologyList", 200),
        ]
    );
    let active = steps
        .iter()
        .find(|step| step["op"] == "GraphInstanceGet")
        .unwrap();
    assert_eq!(active["payload"]["properties"]["state"], "Active");
    assert!(!format!("{steps:?}").contains("testpassword"));

    let twin = |op: &str| steps.iter().find(|step| step["op"] == op).unwrap();
    let read = &twin("read")["twin"];
    assert_eq!(
        (&read["device_id"], &read["module_id"]),
        (&json!("device"), &json!("lvaEdge"))
    );
    let product = read["properties"]["reported"]["ProductInfo"].as_str().unwrap();
    assert!(product.starts_with("Live Video Analytics:"), "{product}");
    let updated = &twin("update")["twin"]["properties"]["desired"];
    assert_eq!(updated["operationalEventsOutputName"], "fromTheSdk");
    assert_eq!(twin("update of what was read before")["error"], 412);
    let replaced = &twin("replace")["twin"]["properties"]["desired"];
    assert_eq!(replaced, &json!({"logLevel": "Warning", "$version": 3}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_sdk_with_a_wrong_key_or_policy_gets_401_or_skips() {
    let Some(python) = python() else { return };
    let secured = Secured::start();
    let wrong = KEY.replace("AAEC", "AAED");
    for (policy, key) in [("iothubowner", wrong.as_str()), ("service", KEY)] {
        let steps = secured.call(&python, policy, key);
        assert!(steps.len() > 12);
        for step in steps {
            assert_eq!(step["error"], 401, "{policy}: {step}");
        }
    }
    assert!(!secured.program.log().contains(KEY));
}

/// Microsoft's module client, as a module beside ours.
struct Neighbour {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<Value>,
}

impl Neighbour {
    fn start(python: &OsString, output: &str, environment: &[(&str, String)]) -> Self {
        let mut child = Command::new(python)
            .arg(script("module.py"))
            .arg(output)
            .env_clear()
            .envs(environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
        }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    /// The next of what it prints that has this member.
    fn printed(&self, member: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(crate::PATIENCE).expect(member);
            if line.get(member).is_some() {
                return line;
            }
        }
    }

    fn end(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_module_sdk_and_the_module_hear_each_other_by_routes_or_skips() {
    let Some(python) = python() else { return };
    let mut site = Site::new().await;
    site.hub
        .route(("lva=Edge", "AmsOperational"), ("neighbour", "events"));
    site.hub
        .route(("neighbour", "trigger"), ("lva=Edge", "recordingTrigger"));
    let (_workload, environment) = site.neighbour("neighbour");
    let mut neighbour = Neighbour::start(&python, "trigger", &environment);
    assert_eq!(neighbour.printed("twin")["twin"]["desired"]["$version"], 3);
    let program = site.started().await;
    let gate = json!({
        "@type": "#Microsoft.Media.MediaGraphSignalGateProcessor", "name": "gate",
        "inputs": [{"nodeName": "messages"}, {"nodeName": "camera"}],
        "activationEvaluationWindow": "PT0S", "activationSignalOffset": "PT0S",
        "minimumActivationTime": "PT1S", "maximumActivationTime": "PT1S"
    });
    // No camera is needed for a message to arrive.
    let graph = topology("rtsp://127.0.0.1:9/none", json!([gate]), json!([file_sink()]));
    activate(&mut site, graph).await;

    let event = neighbour.printed("input");
    assert_eq!(
        (&event["input"], &event["type"], &event["encoding"]),
        (&json!("events"), &json!("application/json"), &json!("utf-8"))
    );
    let properties = &event["properties"];
    assert_eq!(properties["subject"], "/graphInstances/one");
    assert_eq!(
        properties["eventType"],
        "Microsoft.Media.Graph.Operational.GraphInstanceStarted"
    );
    assert_eq!(properties["$.cmid"], "lva=Edge");
    assert_eq!(event["body"]["state"], "Active");
    let seen = site
        .event("the same event at the hub", |seen| {
            (seen.name() == "GraphInstanceStarted").then(|| seen.property("$.mid").to_owned())
        })
        .await;
    assert_eq!(event["id"], seen);

    neighbour.send(&json!({
        "id": "from the neighbour", "body": {},
        "properties": {"eventTarget": "/graphInstances/one"},
    }));
    neighbour.printed("sent");
    let delivered = async {
        while program.metric("lva_edge_hub_inputs_total", "delivered").await < 1.0 {
            tokio::task::yield_now().await;
        }
    };
    crate::within("the neighbour's message", delivered).await;
    assert_eq!(program.metric("lva_edge_hub_inputs_total", "invalid").await, 0.0);
    neighbour.end();
    assert_eq!(site.hub.violations(), [] as [String; 0]);
}

/// A call that the gateway took over HTTP, and where its answer goes.
type Call = (String, Value, oneshot::Sender<(u16, Value)>);

/// The gateway's part in calls from module to module: HTTPS on port 443, which no variable names. `None`, and a line on
/// standard error, where this user may not listen there.
async fn gateway(site: &Site) -> Option<(Listener, tokio::sync::mpsc::UnboundedReceiver<Call>)> {
    let directory = site.directory.path();
    let (certificate, key) = site.authority.sign(&site.address.to_string());
    let (chain, private) = (directory.join("gateway.pem"), directory.join("gateway.key"));
    std::fs::write(&chain, certificate).unwrap();
    std::fs::write(&private, key).unwrap();
    let options = ListenerOptions::new((site.address, 443).into())
        .with_certificate(&chain, &private)
        .unwrap();
    let Ok(bound) = Listener::bind(options).await else {
        assert!(
            std::env::var_os("CI").is_none(),
            "in CI, port 443 must be free and allowed"
        );
        let _ = writeln!(std::io::stderr(), "SKIPPED: this user may not listen on port 443");
        return None;
    };
    let (calls, taken) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |names: Names<(String, String)>, headers: HeaderMap, Json(body): Json<Value>| {
        let calls = calls.clone();
        async move {
            assert_eq!(*names, ("dev1".to_owned(), "lva=Edge".to_owned()));
            assert_eq!(headers["x-ms-edge-moduleid"], "dev1/neighbour");
            let token = headers["authorization"].to_str().unwrap();
            assert!(
                token.starts_with("SharedAccessSignature sr=hub.example"),
                "{token}"
            );
            let (done, answer) = oneshot::channel();
            let name = body["methodName"].as_str().unwrap().to_owned();
            calls.send((name, body["payload"].clone(), done)).unwrap();
            let (status, payload) = answer.await.unwrap();
            Json(json!({"status": status, "payload": payload}))
        }
    };
    let router = axum::Router::new().route("/twins/{device}/modules/{module}/methods", post(handler));
    Some((bound.serve(router), taken))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_module_sdk_calls_methods_of_the_module_through_the_gateway_or_skips() {
    let Some(python) = python() else { return };
    let mut site = Site::new().await;
    let Some((_gateway, mut calls)) = gateway(&site).await else {
        return;
    };
    // By which the hub knows that there is such a module.
    site.hub
        .route(("neighbour", "trigger"), ("lva=Edge", "recordingTrigger"));
    let (_workload, environment) = site.neighbour("neighbour");
    let mut neighbour = Neighbour::start(&python, "trigger", &environment);
    neighbour.printed("twin");
    let _program = site.started().await;
    let list = json!({"@apiVersion": "1.0"});
    for (method, payload, status) in [
        ("GraphTopologySet", watch(), 201),
        ("GraphInstanceSet", instance("one"), 201),
        ("GraphInstanceActivate", named("one"), 200),
        ("GraphInstanceList", list.clone(), 200),
        ("GraphInstanceActivate", named("other"), 404),
        ("GraphInstanceExplode", list, 501),
    ] {
        neighbour.send(&json!({
            "device": "dev1", "module": "lva=Edge",
            "call": {"methodName": method, "payload": payload, "responseTimeoutInSeconds": 30},
        }));
        let (name, payload, done) = crate::within("the call", calls.recv()).await.unwrap();
        assert_eq!(name, method);
        done.send(site.call(&name, payload).await).unwrap();
        let answer = neighbour.printed("answer");
        assert_eq!(answer["answer"]["status"], status, "{method}: {answer}");
        assert!(!answer.to_string().contains("geheim"), "{answer}");
        if method == "GraphInstanceList" {
            assert_eq!(
                answer["answer"]["payload"]["value"][0]["properties"]["state"],
                "Active"
            );
        }
    }
    neighbour.end();
    assert_eq!(site.hub.violations(), [] as [String; 0]);
}

//! What SECURITY.md promises of the module.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use lva_media_types::Credentials;
use lva_rtsp_simulator::{Simulator, SimulatorOptions};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::support::{Client, PROGRAM, Program, activated, config, instance, named, started, topology};

impl Client {
    async fn call(
        &mut self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: &str,
    ) -> (u16, String) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.request(request.body(body).unwrap()).await
    }
}

#[tokio::test]
async fn off_loopback_no_address_but_health_and_the_page_answers_without_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.http.listen = "0.0.0.0:0".into();
    let module = started(config).await;
    let mut client = Client::of(([127, 0, 0, 1], module.http_address().unwrap().port()).into());
    let token = std::fs::read_to_string(directory.path().join("data/api-token")).unwrap();
    let token = format!("Bearer {}", token.trim());
    let (status, document) = client.call("GET", "/api/v1/openapi.json", Some(&token), "").await;
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&document).unwrap();
    let mut addresses = vec![
        ("GET".to_owned(), "/api/v1/openapi.json".to_owned()),
        ("GET".to_owned(), "/nowhere".to_owned()),
        ("GET".to_owned(), "/console/api/cameras".to_owned()),
        ("GET".to_owned(), "/console/api/events".to_owned()),
        ("GET".to_owned(), "/console/api/graphs".to_owned()),
        (
            "POST".to_owned(),
            "/console/api/methods/GraphTopologySet".to_owned(),
        ),
    ];
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{device}", "device").replace("{module}", "lvaEdge");
        let path = path.replace("{name}", "GraphTopologySet");
        let methods = methods.as_object().unwrap().keys();
        addresses.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
    }
    assert!(addresses.len() >= 10, "{addresses:?}");
    let cut = &token[..token.len() - 1];
    let unsigned = "SharedAccessSignature sr=localhost&sig=AAAA&se=9999999999&skn=iothubowner";
    for (method, path) in &addresses {
        for authorization in [None, Some("Bearer "), Some(cut), Some(unsigned)] {
            let body = topology().to_string();
            let (status, answer) = client.call(method, path, authorization, &body).await;
            assert_eq!(status, 401, "{method} {path} with {authorization:?}: {answer}");
        }
    }
    let list = json!({"@apiVersion": "1.0"}).to_string();
    let path = "/api/v1/methods/GraphTopologyList";
    let (status, answer) = client.call("POST", path, Some(&token), &list).await;
    assert!(
        status == 200 && !answer.contains("watch"),
        "nothing was set: {answer}"
    );
    for path in ["/healthz", "/readyz", "/console/", "/console/api/session"] {
        assert_eq!(client.call("GET", path, None, "").await.0, 200, "{path}");
    }
}

/// All that is in a directory, with the bits of its access that others have.
fn open_to_others(directory: &Path, found: &mut Vec<(String, u32)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        found.push((path.display().to_string(), metadata.permissions().mode() & 0o077));
        if metadata.is_dir() {
            open_to_others(&path, found);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_the_data_directory_is_readable_by_others_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let config = "[hub]\nbroker = \"mqtt://127.0.0.1:9\"\n[events]\noperational-output = \"out\"\n\
                  [webhook]\nurl = \"http://127.0.0.1:9/\"\n";
    std::fs::write(directory.path().join("site.toml"), config).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 0; exec \"$0\" \"$@\"", PROGRAM]);
    let args = ["--config", "site.toml"];
    let mut program = Program::run(shell, "127.0.0.1:0", directory.path(), &args, None);
    let mut client = Client::of(program.address);
    activated(&mut client, "one").await;
    let twin = json!({"properties": {"desired": {"ProvisioningToken": "geheim-22"}}}).to_string();
    let (status, answer) = client.call("PATCH", "/api/v1/twin", None, &twin).await;
    assert_eq!(status, 200, "{answer}");
    let mut metrics = Client::of(program.metrics);
    metrics.reaches("lva_edge_outbox_events", "", 1.0).await;
    metrics
        .reaches("lva_edge_sink_outbox_events", "webhook", 2.0)
        .await;
    let data = directory.path().join("lva-edge-data");
    let check = || {
        let mut found = Vec::new();
        open_to_others(&data, &mut found);
        let open: Vec<_> = found.iter().filter(|(_, bits)| *bits != 0).collect();
        assert!(open.is_empty(), "{open:?}");
        for name in [
            "api-token",
            "lock",
            "outbox",
            "outbox-webhook",
            "state.json",
            "twin.json",
        ] {
            assert!(data.join(name).exists(), "{name} in {found:?}");
        }
        assert_eq!(data.metadata().unwrap().permissions().mode() & 0o077, 0);
    };
    check();
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
    check();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_metrics_logs_events_answers_or_the_description() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start("");
    let port = broker.as_ref().map_or(9, |broker| broker.port);
    let key = "Z2VoZWltZXIgU2NobMO8c3NlbCAyMw==";
    let files = [
        ("broker", "geheim-broker"),
        ("webhook", "geheim-webhook"),
        ("nats", "geheim-nats"),
        ("kafka", "geheim-kafka"),
        ("key", key),
    ];
    for (name, secret) in files {
        std::fs::write(directory.path().join(name), secret).unwrap();
    }
    let mut config = format!(
        "[hub]\nbroker = \"mqtt://127.0.0.1:{port}\"\nusername = \"lva\"\npassword-file = \"broker\"\n\
         [events]\nfile = \"events.json\"\noperational-output = \"out\"\ndiagnostics-output = \"out\"\nlog = true\n\
         [webhook]\nurl = \"http://127.0.0.1:9/\"\nsecret-file = \"webhook\"\n[http]\nshared-access-key-file = \"key\"\n"
    );
    if cfg!(feature = "nats") {
        config
            .push_str("[nats]\nurl = \"nats://127.0.0.1:9\"\nusername = \"lva\"\npassword-file = \"nats\"\n");
    }
    if cfg!(feature = "kafka") {
        config.push_str(
            "[kafka]\nbrokers = [\"127.0.0.1:9\"]\nusername = \"lva\"\npassword-file = \"kafka\"\n",
        );
    }
    std::fs::write(directory.path().join("site.toml"), config).unwrap();
    let args = ["--config", "site.toml", "--log-level", "trace"];
    let program = Program::start_with(directory.path(), &args, None);
    let token = std::fs::read_to_string(directory.path().join("lva-edge-data/api-token")).unwrap();
    let token = token.trim().to_owned();
    let mut client = Client::of(program.address);
    let mut shown = vec![program.command_line()];

    // A camera that asks for a password, and does not take this one.
    let camera =
        SimulatorOptions::new(directory.path()).with_credentials(Some(Credentials::new("user", "another")));
    let camera = Simulator::start(camera).await.unwrap();
    activated(&mut client, "one").await;
    let mut asked = instance("two");
    asked["properties"]["parameters"][0]["value"] = camera.url("clip.mp4").into();
    for (method, payload) in [
        ("GraphInstanceSet", asked),
        ("GraphInstanceActivate", named("two")),
        ("GraphInstanceList", json!({"@apiVersion": "1.0"})),
        ("GraphTopologyGet", named("watch")),
        ("GraphTopologySet", json!("geheim-payload")),
    ] {
        shown.push(client.method(method, &payload).await.1.to_string());
    }
    // A password in an address, in a parameter that is not a secret.
    let mut named_user = instance("three");
    named_user["properties"]["parameters"][0]["value"] = "rtsp://user:geheim-url@127.0.0.1:9/x".into();
    let (status, answer) = client.method("GraphInstanceSet", &named_user).await;
    assert_eq!(status, 201);
    shown.push(answer.to_string());
    shown.push(
        client
            .method("GraphInstanceActivate", &named("three"))
            .await
            .1
            .to_string(),
    );
    let twin = json!({"properties": {"desired": {"ProvisioningToken": "geheim-twin", "aadServicePrincipalSecret": "geheim-twin"}}});
    shown.push(
        client
            .call(
                "PATCH",
                "/api/v1/twin",
                Some(&format!("Bearer {token}")),
                &twin.to_string(),
            )
            .await
            .1,
    );
    let mut metrics = Client::of(program.metrics);
    metrics.reaches("lva_edge_events_total", "two", 2.0).await;
    metrics
        .reaches("lva_edge_sink_failures_total", "webhook", 1.0)
        .await;
    for path in ["/api/v1/instances", "/api/v1/openapi.json", "/api/v1/twin"] {
        shown.push(client.get(path).await.1);
    }
    shown.push(metrics.get("/metrics").await.1);
    shown.push(std::fs::read_to_string(directory.path().join("events.json")).unwrap());
    shown.push(program.log());
    for text in &shown {
        assert!(!text.is_empty());
        for secret in ["geheim", key, &token] {
            let at = text.find(secret);
            let around = at.map(|at| text[..at].chars().rev().take(200).collect::<Vec<_>>());
            let around = around.map(|chars| chars.into_iter().rev().collect::<String>());
            assert_eq!(around, None, "'{secret}' is shown after this");
        }
    }
}

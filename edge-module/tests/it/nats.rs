//! Events to a stream of a real nats-server.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt;
use lva_edge_module::Config;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::broker::free_port;
use crate::edge_hub::Authority;
use crate::line::{Line, Way};
use crate::support::{Client, Program, activated, config, instance, named, started};

const USER: &str = "lva";
const PASSWORD: &str = "geheim-20";
/// Until it starts: another program may take a free port before it does.
const ATTEMPTS: usize = 20;

struct Server {
    port: u16,
    options: String,
    directory: TempDir,
    authority: Authority,
    process: Option<Child>,
}

impl Server {
    /// `None`, and a line on standard error, where nats-server is not installed. It does not run yet.
    fn new() -> Option<Self> {
        if program().is_none() {
            assert!(
                std::env::var_os("CI").is_none(),
                "in CI, nats-server must be installed"
            );
            // Not captured, so that it shows.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: nats-server is not installed (Debian package nats-server)"
            );
            return None;
        }
        Some(Self {
            port: free_port(),
            options: format!("authorization {{ user: {USER}, password: {PASSWORD} }}"),
            directory: TempDir::new().unwrap(),
            authority: Authority::new(),
            process: None,
        })
    }

    /// Also with these.
    fn with(mut self, options: &str) -> Self {
        self.options.push('\n');
        self.options.push_str(options);
        self
    }

    /// Over TLS alone, with a certificate of its authority.
    fn with_tls(self) -> Self {
        let (certificate, key) = self.authority.sign("localhost");
        let directory = self.directory.path().to_owned();
        std::fs::write(directory.join("certificate.pem"), certificate).unwrap();
        std::fs::write(directory.join("key.pem"), key).unwrap();
        let directory = directory.display();
        let tls = format!(
            "tls {{ cert_file: \"{directory}/certificate.pem\", key_file: \"{directory}/key.pem\" }}"
        );
        self.with(&tls)
    }

    /// With what it stored before.
    fn start(&mut self) {
        let is_running = (0..ATTEMPTS).any(|_| self.runs());
        assert!(is_running, "nats-server did not start on port {}", self.port);
    }

    fn runs(&mut self) -> bool {
        let directory = self.directory.path();
        let text = format!(
            "listen: 127.0.0.1:{}\njetstream {{ store_dir: \"{}\" }}\n{}\n",
            self.port,
            directory.display(),
            self.options,
        );
        let file = directory.join("nats.conf");
        std::fs::write(&file, text).unwrap();
        let mut child = Command::new(program().unwrap())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let is_ready = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains("Server is ready"));
        if !is_ready {
            child.wait().unwrap();
            return false;
        }
        // Read on, or the server blocks once the pipe is full.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        self.process = Some(child);
        true
    }

    /// `kill -9`.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    async fn stream(&self) -> stream::Stream {
        let options = async_nats::ConnectOptions::with_user_and_password(USER.into(), PASSWORD.into());
        let ca = self.directory.path().join("ca.pem");
        std::fs::write(&ca, self.authority.pem()).unwrap();
        let client = options
            .add_root_certificates(ca)
            .connect(format!("nats://localhost:{}", self.port))
            .await
            .unwrap();
        let config = stream::Config {
            name: "events".into(),
            subjects: vec!["site.>".into()],
            ..stream::Config::default()
        };
        jetstream::new(client).get_or_create_stream(config).await.unwrap()
    }

    /// A module's configuration with this server.
    fn config(&self, directory: &Path) -> Config {
        let password = directory.join("password");
        std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        let mut config = config(directory);
        config.nats.url = format!("nats://127.0.0.1:{}", self.port);
        config.nats.subject = "site".into();
        config.nats.username = USER.into();
        config.nats.password_file = password;
        config
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian has it where not every user looks.
fn program() -> Option<&'static str> {
    ["nats-server", "/usr/sbin/nats-server"]
        .into_iter()
        .find(|program| {
            let run = Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            run.is_ok()
        })
}

#[derive(Debug, Clone, PartialEq)]
struct Stored {
    subject: String,
    id: String,
    event: Value,
}

impl Stored {
    fn property(&self, name: &str) -> &str {
        self.event["applicationProperties"][name].as_str().unwrap()
    }
}

/// The first messages of the stream.
async fn read(stream: &stream::Stream, count: usize) -> Vec<Stored> {
    let config = pull::Config {
        ack_policy: AckPolicy::None,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    let messages = consumer.messages().await.unwrap();
    let read = messages.take(count).map(|message| {
        let message = message.unwrap();
        let headers = message.headers.as_ref().unwrap();
        let header = |name: &str| headers.get(name).unwrap().to_string();
        assert_eq!(header("Content-Type"), "application/json");
        Stored {
            subject: message.subject.to_string(),
            id: header("Nats-Msg-Id"),
            event: serde_json::from_slice(&message.payload).unwrap(),
        }
    });
    crate::within("messages of the stream", read.collect()).await
}

async fn stored(stream: &stream::Stream) -> u64 {
    stream.get_info().await.unwrap().state.messages
}

/// Waits until the server has all that the outbox took in, and returns how many these are.
async fn all_delivered(metrics: &mut Client) -> usize {
    let wait = async {
        loop {
            let waiting = metrics.metric("lva_edge_sink_outbox_events", "nats").await;
            let accepted = metrics
                .metric("lva_edge_sink_outbox_accepted_total", "nats")
                .await;
            let delivered = metrics
                .metric("lva_edge_sink_outbox_delivered_total", "nats")
                .await;
            if waiting == 0.0 && delivered == accepted {
                return accepted as usize;
            }
            tokio::task::yield_now().await;
        }
    };
    crate::within("the last event", wait).await
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_stored_once_whether_server_and_stream_are_there_or_come_later_or_skips() {
    let Some(mut server) = Server::new() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    // Neither the server is there, nor the stream.
    let module = started(server.config(directory.path())).await;
    let mut client = Client::of(module.http_address().unwrap());
    let mut metrics = Client::of(module.metrics_address().unwrap());
    activated(&mut client, "one").await;
    metrics.reaches("lva_edge_sink_failures_total", "nats", 1.0).await;
    server.start();
    let stream = server.stream().await;
    // The instance has started, and its camera does not answer.
    let first = read(&stream, 2).await;
    let subjects: Vec<_> = first.iter().map(|stored| stored.subject.as_str()).collect();
    assert_eq!(subjects, ["site.operational.one", "site.diagnostics.one"]);
    assert!(first[0].property("eventType").ends_with("GraphInstanceStarted"));
    assert!(first[1].property("eventType").ends_with("NetworkError"));

    // Killed, and started again with what it had stored.
    server.kill();
    let set = client.method("GraphInstanceSet", &instance("two")).await;
    assert_eq!(set.0, 201);
    assert_eq!(client.method("GraphInstanceActivate", &named("two")).await.0, 200);
    metrics
        .reaches("lva_edge_sink_outbox_accepted_total", "nats", 4.0)
        .await;
    // Cameras of stopped instances cause no more events.
    for name in ["one", "two"] {
        let stopped = client.method("GraphInstanceDeactivate", &named(name)).await;
        assert_eq!(stopped.0, 200, "{stopped:?}");
    }
    server.start();
    let count = all_delivered(&mut metrics).await;
    let stream = server.stream().await;
    let all = read(&stream, count).await;
    assert_eq!(all[..2], first[..]);
    assert!(
        all.iter().any(|stored| stored.subject.ends_with(".two")),
        "{all:?}"
    );
    let mut ids: Vec<_> = all.iter().map(|stored| &stored.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "each event has an id of its own");
    assert_eq!(stored(&stream).await, count as u64);
    assert_eq!(
        metrics.metric("lva_edge_sink_outbox_dropped_total", "nats").await,
        0.0
    );
    assert!(module.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_keep_their_order_and_come_once_over_a_line_that_breaks_or_skips() {
    const ROUNDS: usize = 8;
    let Some(mut server) = Server::new() else {
        return;
    };
    server.start();
    let stream = server.stream().await;
    let line = Line::start(server.port).await;
    let directory = tempfile::tempdir().unwrap();
    let mut config = server.config(directory.path());
    config.nats.url = format!("nats://{}", line.address);
    let file = directory.path().join("events.json");
    config.events.file = file.clone();
    let module = started(config).await;
    let mut client = Client::of(module.http_address().unwrap());
    let mut metrics = Client::of(module.metrics_address().unwrap());
    line.set(Way::Flapping(6_000));
    for round in 0..ROUNDS {
        activated(&mut client, &format!("door-{round}")).await;
    }
    for round in 0..ROUNDS {
        let name = format!("door-{round}");
        let stopped = client.method("GraphInstanceDeactivate", &named(&name)).await;
        assert_eq!(stopped.0, 200, "{stopped:?}");
    }
    let count = all_delivered(&mut metrics).await;
    assert!(count >= 2 * ROUNDS, "{count}");
    let events: Vec<_> = read(&stream, count)
        .await
        .into_iter()
        .map(|stored| stored.event)
        .collect();
    // The file has the same events in the order in which they were emitted.
    let lines = std::fs::read_to_string(file).unwrap();
    let emitted: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events, emitted[..count]);
    assert_eq!(stored(&stream).await, count as u64);
    assert!(module.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_module_had_on_disk_is_delivered_by_the_next_start_over_tls_or_skips() {
    let Some(server) = Server::new() else { return };
    let mut server = server.with_tls();
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("authority.pem");
    std::fs::write(&authority, server.authority.pem()).unwrap();
    std::fs::write(directory.path().join("password"), PASSWORD).unwrap();
    let text = format!(
        "[nats]\nurl = \"tls://localhost:{}\"\nsubject = \"site\"\nusername = \"{USER}\"\npassword-file = \"password\"\n\
         trusted-certificates = \"authority.pem\"\n",
        server.port
    );
    std::fs::write(directory.path().join("site.toml"), text).unwrap();
    let args = ["--config", "site.toml", "--log-level", "debug"];
    let mut program = Program::start_with(directory.path(), &args, None);
    activated(&mut Client::of(program.address), "one").await;
    let mut metrics = Client::of(program.metrics);
    metrics.reaches("lva_edge_sink_outbox_events", "nats", 2.0).await;
    program.signal(Signal::KILL);
    program.wait();

    server.start();
    let stream = server.stream().await;
    let mut program = Program::start_with(directory.path(), &args, None);
    let all = read(&stream, 2).await;
    let types: Vec<_> = all.iter().map(|stored| stored.property("eventType")).collect();
    assert!(
        types[0].ends_with("GraphInstanceStarted") && types[1].ends_with("NetworkError"),
        "{types:?}"
    );
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
    assert!(!program.log().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_show_who_it_is_gets_nothing_or_skips() {
    let Some(server) = Server::new() else { return };
    let mut server = server.with_tls();
    server.start();
    let stream = server.stream().await;
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("other.pem");
    std::fs::write(&other, Authority::new().pem()).unwrap();
    let mut config = server.config(directory.path());
    config.nats.url = format!("tls://localhost:{}", server.port);
    config.nats.trusted_certificates = other;
    let module = started(config).await;
    activated(&mut Client::of(module.http_address().unwrap()), "one").await;
    let mut metrics = Client::of(module.metrics_address().unwrap());
    metrics.reaches("lva_edge_sink_failures_total", "nats", 2.0).await;
    assert_eq!(stored(&stream).await, 0);
    assert!(metrics.metric("lva_edge_sink_outbox_events", "nats").await >= 1.0);
    // With no server to deliver to, a stop does not wait.
    assert!(module.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_server_cannot_take_is_counted_and_the_next_one_is_tried_or_skips() {
    // Every event is larger.
    let Some(server) = Server::new() else { return };
    let mut server = server.with("max_payload: 64");
    server.start();
    let directory = tempfile::tempdir().unwrap();
    let module = started(server.config(directory.path())).await;
    activated(&mut Client::of(module.http_address().unwrap()), "one").await;
    let mut metrics = Client::of(module.metrics_address().unwrap());
    let refused = "{sink=\"nats\",reason=\"refused\"}";
    metrics
        .reaches("lva_edge_sink_outbox_dropped_total", refused, 2.0)
        .await;
    assert_eq!(
        metrics
            .metric("lva_edge_sink_outbox_delivered_total", "nats")
            .await,
        0.0
    );
    assert!(module.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_and_a_wrong_one_are_told_apart_or_skips() {
    let Some(mut server) = Server::new() else {
        return;
    };
    server.options = format!("authorization {{ token: {PASSWORD} }}");
    server.start();
    let directory = tempfile::tempdir().unwrap();
    let mut config = server.config(directory.path());
    config.nats.username.clear();
    let options = async_nats::ConnectOptions::with_token(PASSWORD.into());
    let client = options
        .connect(format!("nats://127.0.0.1:{}", server.port))
        .await
        .unwrap();
    let events = stream::Config {
        name: "events".into(),
        subjects: vec!["site.>".into()],
        ..stream::Config::default()
    };
    let stream = jetstream::new(client).create_stream(events).await.unwrap();
    std::fs::write(&config.nats.password_file, "another").unwrap();
    let module = started(config.clone()).await;
    let mut client = Client::of(module.http_address().unwrap());
    activated(&mut client, "one").await;
    let mut metrics = Client::of(module.metrics_address().unwrap());
    metrics.reaches("lva_edge_sink_failures_total", "nats", 2.0).await;
    assert_eq!(stored(&stream).await, 0);
    assert!(module.stop().await);

    std::fs::write(&config.nats.password_file, PASSWORD).unwrap();
    let module = started(config).await;
    let mut metrics = Client::of(module.metrics_address().unwrap());
    metrics
        .reaches("lva_edge_sink_outbox_delivered_total", "nats", 2.0)
        .await;
    assert!(stored(&stream).await >= 2);
    assert!(module.stop().await);
}

#[tokio::test]
async fn a_password_that_cannot_be_read_is_an_error_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.nats.url = "nats://127.0.0.1:1".into();
    config.nats.password_file = "/nowhere/password".into();
    let error = lva_edge_module::EdgeModule::builder(config)
        .start()
        .await
        .map(drop);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("NATS cannot use /nowhere/password"), "{error}");
}

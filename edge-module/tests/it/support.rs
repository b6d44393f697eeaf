//! A module on free ports, as a part of the test and as a program, and a client for it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use lva_client_transport::ClientTls;
use lva_client_transport::http::{HttpConnection, HttpLimits, Origin};
use lva_edge_module::{Config, EdgeModule};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value, json};

pub(crate) fn config(directory: &Path) -> Config {
    let mut config = Config::default();
    config.module.data = directory.join("data");
    config.module.recordings = directory.join("recordings");
    config.http.listen = "127.0.0.1:0".into();
    config.metrics.listen = "127.0.0.1:0".into();
    config
}

pub(crate) async fn started(config: Config) -> EdgeModule {
    EdgeModule::builder(config).start().await.unwrap()
}

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lva-edge");

/// `lva-edge module` on free ports.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Program {
    /// In this directory, which has its state.
    pub(crate) fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[], None)
    }

    /// With further arguments, and with these variables alone in its environment.
    pub(crate) fn start_with(
        directory: &Path,
        args: &[&str],
        environment: Option<&[(&str, String)]>,
    ) -> Self {
        Self::listening("127.0.0.1:0", directory, args, environment)
    }

    /// With the methods at this address.
    pub(crate) fn listening(
        http: &str,
        directory: &Path,
        args: &[&str],
        environment: Option<&[(&str, String)]>,
    ) -> Self {
        Self::run(Command::new(PROGRAM), http, directory, args, environment)
    }

    /// As what follows in this command.
    pub(crate) fn run(
        mut command: Command,
        http: &str,
        directory: &Path,
        args: &[&str],
        environment: Option<&[(&str, String)]>,
    ) -> Self {
        command
            .args([
                "module",
                "--http",
                http,
                "--metrics",
                "127.0.0.1:0",
                "--log-format",
                "original",
            ])
            .args(args)
            .current_dir(directory)
            .stdout(Stdio::piped());
        if let Some(environment) = environment {
            command.env_clear().envs(environment.iter().cloned());
        }
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .inspect({
                let log = Arc::clone(&log);
                move |line| {
                    let mut log = log.lock().unwrap();
                    log.push_str(line);
                    log.push('\n');
                }
            });
        let mut logged = |what: &str| {
            let address = lines.find_map(|line| {
                let (_, url) = line.split_once(what)?;
                let (_, rest) = url.split_once("://")?;
                rest.split_once('/').map(|(address, _)| address.parse().unwrap())
            });
            address.expect("the address in the log")
        };
        let (address, metrics) = (logged("methods: http"), logged("metrics: http"));
        // The program must not wait for a reader of its log.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            metrics,
            log,
        }
    }

    /// What the system's list of processes shows of it.
    pub(crate) fn command_line(&self) -> String {
        let bytes = std::fs::read(format!("/proc/{}/cmdline", self.child.id())).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// What the system lets it use.
    pub(crate) fn limits(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap()
    }

    /// Limits the size of its files.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(pid, Resource::Fsize, limit).unwrap();
    }

    /// Until it ends; its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log has this string.
    pub(crate) async fn logged(&self, text: &str) {
        let logged = async {
            while !self.log().contains(text) {
                tokio::task::yield_now().await;
            }
        };
        crate::within(text, logged).await;
    }

    /// The sum of a metric over all its labels that have this string.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        Client::of(self.metrics).metric(name, label).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Client(HttpConnection);

impl Client {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let origin = Origin::http(&address.ip().to_string(), address.port());
        Self(HttpConnection::new(origin, &ClientTls::platform(), HttpLimits::default()).unwrap())
    }

    pub(crate) async fn request(&mut self, request: http::Request<bytes::Bytes>) -> (u16, String) {
        let response = self.0.exchange(request).await.unwrap();
        (
            response.status.as_u16(),
            String::from_utf8_lossy(&response.body).into_owned(),
        )
    }

    pub(crate) async fn get(&mut self, path: &str) -> (u16, String) {
        let host = self.0.origin().authority();
        self.request(
            http::Request::get(path)
                .header("host", host)
                .body(bytes::Bytes::new())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> (u16, String) {
        let host = self.0.origin().authority();
        let request = http::Request::post(path).header("host", host);
        self.request(
            request
                .body(bytes::Bytes::copy_from_slice(body.as_bytes()))
                .unwrap(),
        )
        .await
    }

    /// The sum of a metric over all its labels that contain this string.
    pub(crate) async fn metric(&mut self, name: &str, label: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            let is_whole = labels.is_empty() || labels.starts_with('{');
            (is_whole && labels.contains(label)).then(|| value.parse::<f64>().unwrap())
        });
        values.sum()
    }

    /// Waits until a metric has at least this value.
    pub(crate) async fn reaches(&mut self, name: &str, label: &str, least: f64) {
        let wait = async {
            while self.metric(name, label).await < least {
                tokio::task::yield_now().await;
            }
        };
        crate::within(name, wait).await;
    }

    /// A method by the plain interface.
    pub(crate) async fn method(&mut self, name: &str, payload: &Value) -> (u16, Value) {
        let (status, body) = self
            .post(&format!("/api/v1/methods/{name}"), &payload.to_string())
            .await;
        (status, serde_json::from_str(&body).unwrap_or_default())
    }
}

/// A graph whose camera does not answer: it is active all the same, and keeps trying.
pub(crate) fn topology() -> Value {
    json!({
        "@apiVersion": "1.0",
        "name": "watch",
        "properties": {
            "parameters": [
                {"name": "rtspUrl", "type": "String"},
                {"name": "rtspPassword", "type": "SecretString", "default": "-"}
            ],
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource",
                "name": "camera",
                "endpoint": {
                    "@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint",
                    "url": "${rtspUrl}",
                    "credentials": {
                        "@type": "#Microsoft.Media.MediaGraphUsernamePasswordCredentials",
                        "username": "user",
                        "password": "${rtspPassword}"
                    }
                }
            }],
            "processors": [{
                "@type": "#Microsoft.Media.MediaGraphMotionDetectionProcessor",
                "name": "motion",
                "inputs": [{"nodeName": "camera"}]
            }],
            "sinks": [{
                "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink",
                "name": "hub",
                "hubOutputName": "out",
                "inputs": [{"nodeName": "motion"}]
            }]
        }
    })
}

pub(crate) fn instance(name: &str) -> Value {
    json!({
        "@apiVersion": "1.0",
        "name": name,
        "properties": {
            "topologyName": "watch",
            "parameters": [
                {"name": "rtspUrl", "value": "rtsp://127.0.0.1:9/none"},
                {"name": "rtspPassword", "value": "geheim-17"}
            ]
        }
    })
}

pub(crate) fn named(name: &str) -> Value {
    json!({"@apiVersion": "1.0", "name": name})
}

/// Sets the topology and one instance, and activates it.
pub(crate) async fn activated(client: &mut Client, name: &str) {
    let set = client.method("GraphTopologySet", &topology()).await;
    assert!(set.0 == 200 || set.0 == 201, "{set:?}");
    let set = client.method("GraphInstanceSet", &instance(name)).await;
    assert!(set.0 == 200 || set.0 == 201, "{set:?}");
    let active = client.method("GraphInstanceActivate", &named(name)).await;
    assert_eq!(active.0, 200, "{active:?}");
}

pub(crate) async fn state_of(client: &mut Client, name: &str) -> Value {
    let (_, answer) = client.method("GraphInstanceGet", &named(name)).await;
    answer["properties"]["state"].clone()
}

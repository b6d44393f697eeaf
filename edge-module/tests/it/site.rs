//! A machine with IoT Edge: a strict edgeHub on the port of the contract, a workload socket, and the seven variables.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::broker_hub::BrokerHub;
use crate::edge_hub::{Authority, EdgeHub, PATH, Seen};
use crate::support::Program;
use crate::workload::WorkloadServer;

/// The port of edgeHub, which no variable names.
const PORT: u16 = 8883;

/// The hub of a site.
pub(crate) trait Hub {
    /// The next thing that it sees of which this function makes something.
    async fn next<T>(&mut self, what: &str, pick: impl FnMut(Seen) -> Option<T>) -> T;

    fn publish(&self, topic: &str, body: &str);
}

impl Hub for EdgeHub {
    async fn next<T>(&mut self, what: &str, pick: impl FnMut(Seen) -> Option<T>) -> T {
        EdgeHub::next(self, what, pick).await
    }

    fn publish(&self, topic: &str, body: &str) {
        EdgeHub::publish(self, topic, body);
    }
}

pub(crate) struct Site<H = EdgeHub> {
    pub(crate) hub: H,
    pub(crate) workload: WorkloadServer,
    pub(crate) directory: TempDir,
    pub(crate) authority: Authority,
    bundle: String,
    pub(crate) address: Ipv4Addr,
    /// Events that came while something else was waited for.
    events: VecDeque<HubEvent>,
}

impl Site {
    /// Whose module is configured as the published template does.
    pub(crate) async fn new() -> Self {
        Self::with_certificate(true, |address| address.to_string()).await
    }

    /// Whose gateway has a certificate for this name, of an authority in the trust bundle if `is_vouched_for`.
    pub(crate) async fn with_certificate(is_vouched_for: bool, name: impl Fn(Ipv4Addr) -> String) -> Self {
        let authority = Authority::new();
        let (listener, address) = listener().await;
        let hub = EdgeHub::serve(listener, &authority, &name(address));
        hub.set(|behaviour| behaviour.twin = twin(3, desired()));
        let vouched = if is_vouched_for {
            authority
        } else {
            Authority::new()
        };
        Self::at(hub, address, TempDir::new().unwrap(), vouched)
    }
}

impl Site<BrokerHub> {
    /// Whose gateway is mosquitto. `None`, and a line on standard error, where that is not installed.
    pub(crate) async fn on_mosquitto() -> Option<Self> {
        let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
        let (listener, address) = listener().await;
        let certificate = authority.sign(&address.to_string());
        let hub = BrokerHub::start(listener, directory.path(), certificate).await?;
        Some(Self::at(hub, address, directory, authority))
    }
}

impl<H: Hub> Site<H> {
    /// With a trust bundle of two authorities.
    fn at(hub: H, address: Ipv4Addr, directory: TempDir, vouched: Authority) -> Self {
        let bundle = format!("{}\n{}", Authority::new().pem(), vouched.pem());
        let workload = WorkloadServer::start(directory.path().join("workload.sock"), bundle.clone());
        Self {
            hub,
            workload,
            directory,
            authority: vouched,
            bundle,
            address,
            events: VecDeque::new(),
        }
    }

    /// Exactly what the edge runtime and a shell give.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        self.environment_of("lva=Edge", &self.workload)
    }

    /// A workload server for another module of the device, and what the runtime gives that one.
    pub(crate) fn neighbour(&self, module: &'static str) -> (WorkloadServer, Vec<(&'static str, String)>) {
        let path = self.directory.path().join(format!("{module}.sock"));
        let workload = WorkloadServer::of_module(module, path, self.bundle.clone());
        let environment = self.environment_of(module, &workload);
        (workload, environment)
    }

    fn environment_of(&self, module: &str, workload: &WorkloadServer) -> Vec<(&'static str, String)> {
        vec![
            ("IOTEDGE_IOTHUBHOSTNAME", "hub.example".into()),
            ("IOTEDGE_GATEWAYHOSTNAME", self.address.to_string()),
            ("IOTEDGE_DEVICEID", "dev1".into()),
            ("IOTEDGE_MODULEID", module.to_owned()),
            ("IOTEDGE_MODULEGENERATIONID", "7".into()),
            (
                "IOTEDGE_WORKLOADURI",
                format!("unix://{}", workload.path.display()),
            ),
            ("IOTEDGE_APIVERSION", "2022-08-03".into()),
            ("IOTEDGE_AUTHSCHEME", "sasToken".into()),
            ("PATH", "/usr/bin:/bin".into()),
            ("HOME", self.directory.path().display().to_string()),
            ("LANG", "C.UTF-8".into()),
        ]
    }

    pub(crate) fn start(&self, args: &[&str]) -> Program {
        Program::start_with(self.directory.path(), args, Some(&self.environment()))
    }

    /// The program, connected and with its twin.
    pub(crate) async fn started(&mut self) -> Program {
        let program = self.start(&[]);
        self.reported("State").await;
        program
    }

    /// The next reported value of a property.
    pub(crate) async fn reported(&mut self, name: &str) -> Value {
        let pick = |seen| match seen {
            Seen::Report(body) => {
                let report: Value = serde_json::from_slice(&body).unwrap();
                report.get(name).cloned()
            }
            _ => None,
        };
        self.next("reported properties", pick).await
    }

    /// The expiry and the string of the next connection's token.
    pub(crate) async fn connect(&mut self) -> (u64, String) {
        let pick = |seen| match seen {
            Seen::Connect { expires, password } => Some((expires, password)),
            _ => None,
        };
        self.next("CONNECT", pick).await
    }

    pub(crate) async fn subscribe(&mut self) -> Vec<String> {
        let pick = |seen| match seen {
            Seen::Subscribe(filters) => Some(filters),
            _ => None,
        };
        self.next("SUBSCRIBE", pick).await
    }

    /// Calls a method by the hub, and returns its status and payload.
    pub(crate) async fn call(&mut self, name: &str, payload: impl ToString) -> (u16, Value) {
        static NUMBER: AtomicU8 = AtomicU8::new(0);
        let id = NUMBER.fetch_add(1, Ordering::SeqCst);
        self.hub.publish(
            &format!("$iothub/methods/POST/{name}/?$rid={id}"),
            &payload.to_string(),
        );
        let end = format!("/?$rid={id}");
        let pick = |seen| match seen {
            Seen::Answer { topic, body } => {
                let status = topic.strip_prefix("$iothub/methods/res/")?.strip_suffix(&end)?;
                assert!(body.len() <= 128 * 1024);
                Some((status.parse().unwrap(), serde_json::from_slice(&body).unwrap()))
            }
            _ => None,
        };
        self.next("the answer to a method", pick).await
    }

    /// Calls a method that has to succeed.
    pub(crate) async fn must(&mut self, name: &str, payload: Value) -> Value {
        let (status, answer) = self.call(name, &payload).await;
        assert!((200..300).contains(&status), "{name}: {status} {answer}");
        answer
    }

    /// Changes desired properties.
    pub(crate) fn notify(&self, version: u64, mut patch: Value) {
        patch["$version"] = version.into();
        let topic = format!("$iothub/twin/PATCH/properties/desired/?$version={version}");
        self.hub.publish(&topic, &patch.to_string());
    }

    /// A message routed to an input.
    pub(crate) fn input(&self, name: &str, properties: &str) {
        self.hub
            .publish(&format!("{PATH}/inputs/{name}/%24.mid=m-1&{properties}"), "{}");
    }

    /// The next thing that the hub sees of which this function makes something; events are kept for later.
    async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(Seen) -> Option<T>) -> T {
        let events = &mut self.events;
        let keep = |seen| {
            if let Seen::Event { topic, .. } = &seen {
                events.push_back(HubEvent::new(topic));
            }
            pick(seen)
        };
        self.hub.next(what, keep).await
    }

    /// The next event of which this function makes something.
    pub(crate) async fn event<T>(&mut self, what: &str, mut pick: impl FnMut(&HubEvent) -> Option<T>) -> T {
        while let Some(event) = self.events.pop_front() {
            if let Some(picked) = pick(&event) {
                return picked;
            }
        }
        let pick = |seen| match seen {
            Seen::Event { topic, .. } => pick(&HubEvent::new(&topic)),
            _ => None,
        };
        self.hub.next(what, pick).await
    }
}

/// An event as edgeHub received it.
#[derive(Debug, Clone)]
pub(crate) struct HubEvent {
    bag: Vec<(String, Option<String>)>,
}

impl HubEvent {
    fn new(topic: &str) -> Self {
        let bag = topic.strip_prefix(&format!("{PATH}/messages/events/")).unwrap();
        Self {
            bag: lva_hub::properties::decode_bag(bag).unwrap(),
        }
    }

    pub(crate) fn property(&self, name: &str) -> &str {
        let found = self.bag.iter().find(|(own, _)| own == name);
        found.and_then(|(_, value)| value.as_deref()).unwrap_or_default()
    }

    /// The last part of its type.
    pub(crate) fn name(&self) -> &str {
        self.property("eventType").rsplit('.').next().unwrap()
    }
}

/// An address of this machine that no other test uses: IoT Edge names hosts and not ports.
pub(crate) async fn listener() -> (TcpListener, Ipv4Addr) {
    let process = std::process::id();
    for last in 1..=254 {
        let parts = process.to_le_bytes();
        let address = Ipv4Addr::new(127, 1 + parts[1] % 250, parts[0], last);
        if let Ok(listener) = TcpListener::bind((address, PORT)).await {
            return (listener, address);
        }
    }
    panic!("no free address on loopback for port {PORT}");
}

/// The answer to a question for the twin.
pub(crate) fn twin(version: u64, mut desired: Value) -> Value {
    desired["$version"] = version.into();
    json!({"desired": desired, "reported": {"$version": 1}})
}

/// The desired properties of the published template.
pub(crate) fn desired() -> Value {
    json!({
        "applicationDataDirectory": "/var/lib/azuremediaservices",
        "azureMediaServicesArmId": "/subscriptions/s/resourceGroups/r/providers/microsoft.media/mediaservices/a",
        "aadTenantId": "tenant",
        "aadServicePrincipalAppId": "app",
        "aadServicePrincipalSecret": "geheim-18",
        "diagnosticsEventsOutputName": "AmsDiagnostics",
        "operationalEventsOutputName": "AmsOperational",
        "logLevel": "Information",
        "logCategories": "Application,Events",
        "allowUnsecuredEndpoints": true,
        "telemetryOptOut": false
    })
}

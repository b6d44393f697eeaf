//! A strict edgeHub in this process: TLS, tokens that are checked, known filters only, routes, and faults on demand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{Error, QoS};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::within;
use crate::workload::signature;

/// The module under test; others are its peers, of which nothing is [seen](Seen).
const MODULE: &str = "lva=Edge";
pub(crate) const PATH: &str = "devices/dev1/modules/lva=Edge";

/// What the hub does unless a test changes it.
#[derive(Debug, Clone)]
pub(crate) struct Behaviour {
    /// Connections to refuse with CONNACK 5.
    pub(crate) refuse: u32,
    pub(crate) session_present: bool,
    pub(crate) acknowledge: bool,
    pub(crate) answer_twin: bool,
    /// Ends connections when their token does.
    pub(crate) cut_at_expiry: bool,
    /// What it answers to a question for the twin.
    pub(crate) twin: Value,
    /// Questions for the twin to answer with 429.
    pub(crate) throttle_twin: u32,
    /// Subscriptions of which to refuse every filter.
    pub(crate) refuse_filters: u32,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            refuse: 0,
            session_present: false,
            acknowledge: true,
            answer_twin: true,
            cut_at_expiry: true,
            twin: json!({"desired":{"a":1,"$version":3},"reported":{"$version":1}}),
            throttle_twin: 0,
            refuse_filters: 0,
        }
    }
}

/// What the module did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Connect {
        expires: u64,
        password: String,
    },
    Subscribe(Vec<String>),
    Event {
        topic: String,
        body: Vec<u8>,
        duplicate: bool,
    },
    TwinGet(Instant),
    Report(Vec<u8>),
    Answer {
        topic: String,
        body: Vec<u8>,
    },
    Disconnect,
    Closed,
}

enum Command {
    Publish(Publish),
    Close,
}

pub(crate) struct EdgeHub {
    pub(crate) port: u16,
    pub(crate) behaviour: Arc<Mutex<Behaviour>>,
    seen: mpsc::UnboundedReceiver<Seen>,
    modules: Arc<Mutex<Modules>>,
    violations: Arc<Mutex<Vec<String>>>,
}

/// The device's modules by name: their connections, and what goes from one to another.
#[derive(Default)]
struct Modules {
    live: HashMap<String, mpsc::UnboundedSender<Command>>,
    routes: Vec<Route>,
}

struct Route {
    from: (String, String),
    into: (String, String),
}

impl Modules {
    fn is_known(&self, name: &str) -> bool {
        let mut routes = self.routes.iter();
        name == MODULE || routes.any(|route| route.from.0 == name || route.into.0 == name)
    }

    /// Hands an event to the inputs to which it is routed, as edgeHub does.
    fn route(&self, from: &str, bag: &str, body: &[u8]) {
        let properties = lva_hub::properties::decode_bag(bag).unwrap_or_default();
        let output = properties.iter().find(|(name, _)| name == "$.on");
        let output = output.and_then(|(_, value)| value.as_deref()).unwrap_or_default();
        let routes = self.routes.iter();
        for route in routes.filter(|route| route.from.0 == from && route.from.1 == output) {
            let (module, input) = &route.into;
            let sender = [("$.cdid", Some("dev1")), ("$.cmid", Some(from))];
            let sender = lva_hub::properties::encode_bag(sender);
            let topic = format!("devices/dev1/modules/{module}/inputs/{input}/{bag}&{sender}");
            let mut publish = Publish::new(topic, QoS::AtLeastOnce, body);
            publish.pkid = 1;
            if let Some(live) = self.live.get(module) {
                // It may have left.
                let _ = live.send(Command::Publish(publish));
            }
        }
    }
}

/// A certificate authority, and a server's certificate of it.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A name of its own, by which OpenSSL finds it.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("authority {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key of a server, in PEM.
    pub(crate) fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn server(&self, name: &str) -> Arc<ServerConfig> {
        let (certificate, key) = self.sign(name);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        Arc::new(config.unwrap())
    }
}

impl EdgeHub {
    pub(crate) async fn start(authority: &Authority, name: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        Self::serve(listener, authority, name)
    }

    /// On this listener, with a certificate for `name`.
    pub(crate) fn serve(listener: TcpListener, authority: &Authority, name: &str) -> Self {
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(authority.server(name));
        let (seen_in, seen) = mpsc::unbounded_channel();
        let (behaviour, modules, violations) = <(
            Arc<Mutex<Behaviour>>,
            Arc<Mutex<Modules>>,
            Arc<Mutex<Vec<String>>>,
        )>::default();
        let hub = Self {
            port,
            behaviour: Arc::clone(&behaviour),
            seen,
            modules: Arc::clone(&modules),
            violations: Arc::clone(&violations),
        };
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, behaviour, seen) = (acceptor.clone(), Arc::clone(&behaviour), seen_in.clone());
                let (modules, violations) = (Arc::clone(&modules), Arc::clone(&violations));
                tokio::spawn(async move {
                    // A client that does not trust us leaves here.
                    let Ok(stream) = acceptor.accept(socket).await else {
                        return;
                    };
                    let mut session = Session {
                        stream,
                        input: BytesMut::new(),
                        module: MODULE.to_owned(),
                        modules,
                        behaviour,
                        seen,
                    };
                    match session.run().await {
                        Ok(()) => {}
                        Err(violation) => violations.lock().unwrap().push(violation),
                    }
                    session.see(Seen::Closed);
                });
            }
        });
        hub
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().unwrap());
    }

    /// The next thing of which this function makes something.
    pub(crate) async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(Seen) -> Option<T>) -> T {
        let wait = async {
            loop {
                let seen = self.seen.recv().await.unwrap();
                if let Some(picked) = pick(seen) {
                    return picked;
                }
            }
        };
        within(what, wait).await
    }

    pub(crate) fn publish(&self, topic: &str, body: &str) {
        self.command(Command::Publish(Publish::new(topic, QoS::AtMostOnce, body)));
    }

    pub(crate) fn close(&self) {
        self.command(Command::Close);
    }

    fn command(&self, command: Command) {
        let modules = self.modules.lock().unwrap();
        modules.live[MODULE].send(command).ok().unwrap();
    }

    /// `FROM /messages/modules/{from}/outputs/{output} INTO BrokeredEndpoint("/modules/{into}/inputs/{input}")`. Both modules may
    /// connect from then on.
    #[allow(dead_code, reason = "of use to the tests of another crate")]
    pub(crate) fn route(&self, from: (&str, &str), into: (&str, &str)) {
        let owned = |(module, end): (&str, &str)| (module.to_owned(), end.to_owned());
        let (from, into) = (owned(from), owned(into));
        self.modules.lock().unwrap().routes.push(Route { from, into });
    }

    /// What the module did that edgeHub does not allow.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }
}

struct Session {
    stream: TlsStream<TcpStream>,
    input: BytesMut,
    /// Its name, once it has connected.
    module: String,
    modules: Arc<Mutex<Modules>>,
    behaviour: Arc<Mutex<Behaviour>>,
    seen: mpsc::UnboundedSender<Seen>,
}

impl Session {
    /// One connection for each identity: the newer wins.
    fn register(&self) -> mpsc::UnboundedReceiver<Command> {
        let (sender, commands) = mpsc::unbounded_channel();
        let mut modules = self.modules.lock().unwrap();
        if let Some(older) = modules.live.insert(self.module.clone(), sender) {
            let _ = older.send(Command::Close);
        }
        commands
    }

    fn see(&self, seen: Seen) {
        if self.module == MODULE {
            // The test may be over.
            let _ = self.seen.send(seen);
        }
    }

    fn path(&self) -> String {
        format!("devices/dev1/modules/{}", self.module)
    }

    fn behaviour(&self) -> Behaviour {
        self.behaviour.lock().unwrap().clone()
    }

    async fn send(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, 1 << 20).unwrap();
        // The module may be gone.
        let _ = self.stream.write_all(&bytes).await;
        let _ = self.stream.flush().await;
    }

    async fn run(&mut self) -> Result<(), String> {
        let Some(first) = read(&mut self.stream, &mut self.input).await? else {
            return Ok(());
        };
        let Packet::Connect(connect) = first else {
            return Err(format!("{first:?} instead of CONNECT"));
        };
        let login = connect.login.clone().ok_or("no user name")?;
        let module = connect.client_id.strip_prefix("dev1/").unwrap_or_default();
        self.module = module.to_owned();
        let is_known = self.modules.lock().unwrap().is_known(module);
        let expires = check_token(&login.password, module)?;
        let begin = format!("hub.example/dev1/{module}/?api-version=");
        let version = login.username.strip_prefix(&begin).unwrap_or_default();
        for (is_met, rule) in [
            (is_known, "client id"),
            (
                version == "2021-04-12" || (module != MODULE && !version.is_empty()),
                "user name",
            ),
            ((1..=600).contains(&connect.keep_alive), "keep-alive"),
            (!connect.clean_session, "clean session"),
            (connect.last_will.is_none(), "will"),
        ] {
            if !is_met {
                return Err(format!("{rule}: {connect:?}"));
            }
        }
        let mut commands = self.register();
        self.see(Seen::Connect {
            expires,
            password: login.password,
        });
        let refuses = {
            let mut behaviour = self.behaviour.lock().unwrap();
            let refuses = behaviour.refuse > 0;
            behaviour.refuse = behaviour.refuse.saturating_sub(1);
            refuses
        };
        if refuses {
            self.send(Packet::ConnAck(ConnAck::new(
                ConnectReturnCode::NotAuthorized,
                false,
            )))
            .await;
            return Ok(());
        }
        let present = self.behaviour().session_present;
        self.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, present)))
            .await;
        let left = (UNIX_EPOCH + Duration::from_secs(expires)).duration_since(SystemTime::now());
        let left = left.unwrap_or_default();
        let expiry = tokio::time::sleep(if self.behaviour().cut_at_expiry {
            left
        } else {
            Duration::MAX / 4
        });
        tokio::pin!(expiry);
        loop {
            tokio::select! {
                packet = read(&mut self.stream, &mut self.input) => match packet? {
                    Some(packet) => if !self.on_packet(packet).await? { return Ok(()) },
                    None => return Ok(()),
                },
                command = commands.recv() => match command {
                    Some(Command::Publish(publish)) => self.send(Packet::Publish(publish)).await,
                    Some(Command::Close) | None => return Ok(()),
                },
                () = &mut expiry => return Err("the token expired before it was renewed".to_owned()),
            }
        }
    }

    /// Whether the connection goes on.
    async fn on_packet(&mut self, packet: Packet) -> Result<bool, String> {
        match packet {
            Packet::Subscribe(subscribe) => {
                let filters: Vec<String> = subscribe
                    .filters
                    .iter()
                    .map(|filter| filter.path.clone())
                    .collect();
                let path = self.path();
                let is_known = |filter: &String| {
                    filter == "$iothub/twin/res/#"
                        || filter.starts_with("$iothub/methods/POST/")
                        || filter.starts_with("$iothub/twin/PATCH/properties/desired/")
                        || (filter.starts_with(&path) && filter.ends_with("/#"))
                };
                if filters.len() > 5 || !filters.iter().all(is_known) {
                    return Err(format!("filters {filters:?}"));
                }
                if subscribe
                    .filters
                    .iter()
                    .any(|filter| filter.qos == QoS::ExactlyOnce)
                {
                    return Err("QoS 2 subscription".to_owned());
                }
                let refuses = {
                    let mut behaviour = self.behaviour.lock().unwrap();
                    let refuses = behaviour.refuse_filters > 0;
                    behaviour.refuse_filters = behaviour.refuse_filters.saturating_sub(1);
                    refuses
                };
                let codes = subscribe.filters.iter().map(|filter| match refuses {
                    true => SubscribeReasonCode::Failure,
                    false => SubscribeReasonCode::Success(filter.qos),
                });
                self.send(Packet::SubAck(SubAck::new(subscribe.pkid, codes.collect())))
                    .await;
                self.see(Seen::Subscribe(filters));
            }
            Packet::Publish(publish) => self.on_publish(publish).await?,
            Packet::PingReq => self.send(Packet::PingResp).await,
            Packet::PubAck(_) => {}
            Packet::Disconnect => {
                self.see(Seen::Disconnect);
                return Ok(false);
            }
            other => return Err(format!("{other:?}")),
        }
        Ok(true)
    }

    async fn on_publish(&mut self, publish: Publish) -> Result<(), String> {
        let behaviour = self.behaviour();
        if publish.qos == QoS::ExactlyOnce || publish.retain {
            return Err(format!("{publish:?}"));
        }
        let topic = publish.topic.clone();
        let body = publish.payload.to_vec();
        if let Some(bag) = topic.strip_prefix(&format!("{}/messages/events/", self.path())) {
            if bag.contains([':', '/', '?', '+', ' ', '$']) || publish.qos != QoS::AtLeastOnce {
                return Err(format!("{publish:?}"));
            }
            let duplicate = publish.dup;
            self.modules.lock().unwrap().route(&self.module, bag, &body);
            self.see(Seen::Event {
                topic,
                body,
                duplicate,
            });
            if !behaviour.acknowledge {
                return Ok(());
            }
        } else if let Some(rid) = topic.strip_prefix("$iothub/twin/GET/?$rid=") {
            self.see(Seen::TwinGet(Instant::now()));
            if behaviour.throttle_twin > 0 {
                self.behaviour.lock().unwrap().throttle_twin -= 1;
                self.answer(&format!("$iothub/twin/res/429/?$rid={rid}"), "")
                    .await;
            } else if behaviour.answer_twin {
                let topic = format!("$iothub/twin/res/200/?$rid={rid}");
                self.answer(&topic, &behaviour.twin.to_string()).await;
            }
        } else if let Some(rid) = topic.strip_prefix("$iothub/twin/PATCH/properties/reported/?$rid=") {
            self.see(Seen::Report(body));
            if behaviour.answer_twin {
                self.answer(&format!("$iothub/twin/res/204/?$rid={rid}&$version=2"), "")
                    .await;
            }
        } else if topic.starts_with("$iothub/methods/res/") {
            self.see(Seen::Answer { topic, body });
        } else {
            return Err(format!("{publish:?}"));
        }
        if publish.qos == QoS::AtLeastOnce {
            self.send(Packet::PubAck(PubAck::new(publish.pkid))).await;
        }
        Ok(())
    }

    async fn answer(&mut self, topic: &str, body: &str) {
        self.send(Packet::Publish(Publish::new(topic, QoS::AtMostOnce, body)))
            .await;
    }
}

/// `None` at the end of the connection.
async fn read(stream: &mut TlsStream<TcpStream>, input: &mut BytesMut) -> Result<Option<Packet>, String> {
    loop {
        match Packet::read(input, 1 << 20) {
            Ok(packet) => return Ok(Some(packet)),
            Err(Error::InsufficientBytes(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
        match stream.read_buf(input).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// The expiry of a token for a module, signed with its key and not expired.
fn check_token(token: &str, module: &str) -> Result<u64, String> {
    let wrong = || format!("token {token}");
    let fields = token.strip_prefix("SharedAccessSignature ").ok_or_else(wrong)?;
    let field = |name: &str| {
        fields
            .split('&')
            .find_map(|field| field.strip_prefix(name))
            .ok_or_else(wrong)
    };
    let (resource, sent, expiry) = (field("sr=")?, field("sig=")?, field("se=")?);
    let own = format!("hub.example/devices/dev1/modules/{module}");
    if resource != lva_hub::properties::encode_bag([(own.as_str(), None)]) {
        return Err(wrong());
    }
    let expected = signature(format!("{resource}\n{expiry}").as_bytes());
    let expected = lva_hub::properties::encode_bag([(expected.as_str(), None)]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expires: u64 = expiry.parse().map_err(|_| wrong())?;
    if sent != expected || expires < now {
        return Err(wrong());
    }
    Ok(expires)
}

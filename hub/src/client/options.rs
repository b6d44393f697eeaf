use std::sync::Arc;
use std::time::Duration;

use lva_client_transport::ClientTls;
use lva_media_types::Credentials;

use crate::connection_string::ConnectionString;
use crate::dial::{Dial, TcpDialer, Trust};
use crate::dialect::{Dialect, HubDialect, PlainDialect, PlainOptions};
use crate::environment::EdgeEnvironment;
use crate::identity::Identity;
use crate::method::MethodOptions;
use crate::mqtt::MqttVersion;
use crate::session::SessionOptions;
use crate::signer::Signer;
use crate::workload::{Workload, WorkloadError};

/// Where IoT Hub and edgeHub take WebSockets.
const HUB_PATH: &str = "/$iothub/websocket";
/// edgeHub closes connections that are silent for longer.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(600);

/// The address, the identity and the settings of a client.
///
/// ```
/// use std::time::Duration;
/// use lva_hub::{HubOptions, ConnectionString};
///
/// let text = "HostName=contoso.azure-devices.net;DeviceId=dev1;SharedAccessKey=AAECAw==".into();
/// let options = HubOptions::from_connection_string(ConnectionString::parse(&text)?).with_keep_alive(Duration::from_secs(120));
/// # Ok::<(), lva_hub::ConnectionStringError>(())
/// ```
pub struct HubOptions {
    pub(super) dialect: Box<dyn Dialect>,
    pub(super) authentication: Authentication,
    pub(super) version: MqttVersion,
    address: Address,
    pub(super) keep_alive: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) session: SessionOptions,
    pub(super) methods: MethodOptions,
    pub(super) max_in_flight: usize,
}

/// What a broker is shown.
#[derive(Clone)]
pub(super) enum Authentication {
    None,
    Password(Credentials),
    /// By that of TLS.
    Certificate(Identity),
    Token {
        identity: Identity,
        signer: Arc<dyn Signer>,
        life: Duration,
    },
}

enum Address {
    Tcp(TcpDialer),
    Dialer(Arc<dyn Dial>),
}

impl Address {
    fn tcp(host: impl Into<String>, trust: Trust) -> Self {
        Self::Tcp(TcpDialer {
            host: host.into(),
            port: None,
            trust,
            websocket: None,
        })
    }
}

impl HubOptions {
    fn new(dialect: Box<dyn Dialect>, authentication: Authentication, address: Address) -> Self {
        Self {
            dialect,
            authentication,
            version: MqttVersion::V3_1_1,
            address,
            keep_alive: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(20),
            session: SessionOptions::default(),
            methods: MethodOptions::default(),
            max_in_flight: 10,
        }
    }

    /// A module under IoT Edge: through its edgeHub, with tokens and trusted certificates of the workload API, which is
    /// asked for both with every connection.
    ///
    /// # Errors
    ///
    /// [`WorkloadError::Uri`].
    pub fn from_edge(environment: &EdgeEnvironment) -> Result<Self, WorkloadError> {
        let workload = Arc::new(Workload::new(environment)?);
        let trust = Trust::Source(workload.clone());
        let identity = environment.identity.clone();
        Ok(Self::with_token(
            identity,
            &environment.gateway,
            true,
            workload,
            trust,
        ))
    }

    /// A device or module with a key: through its gateway where the string names one, else to the hub. The certificates
    /// that this machine trusts are trusted; [`with_tls`](Self::with_tls) names those of a gateway. One without a key needs its
    /// own certificate there ([`ClientTls::with_certificate`]).
    pub fn from_connection_string(connection: ConnectionString) -> Self {
        let trust = Trust::Fixed(ClientTls::platform());
        let host = connection.host().to_owned();
        let is_gateway = connection.gateway.is_some();
        let identity = connection.identity;
        match connection.key {
            Some(key) => Self::with_token(identity, &host, is_gateway, Arc::new(key), trust),
            None => {
                let dialect = Box::new(HubDialect::new(identity.clone(), is_gateway));
                let address = Address::tcp(host, trust);
                Self::new(dialect, Authentication::Certificate(identity), address)
            }
        }
    }

    fn with_token(
        identity: Identity,
        host: &str,
        is_gateway: bool,
        signer: Arc<dyn Signer>,
        trust: Trust,
    ) -> Self {
        let dialect = Box::new(HubDialect::new(identity.clone(), is_gateway));
        let life = Duration::from_secs(3600);
        let authentication = Authentication::Token {
            identity,
            signer,
            life,
        };
        Self::new(dialect, authentication, Address::tcp(host, trust))
    }

    /// The topics of edgeHub on a plain broker, without TLS and password, on port 1883: for tests, in which a program
    /// plays the hub.
    pub fn hub_on_broker(identity: Identity, host: impl Into<String>) -> Self {
        Self::without_tls(Box::new(HubDialect::new(identity, true)), host.into())
    }

    /// A broker that is not a hub, with the topics of [`PlainOptions`]; by default without TLS and password, on port 1883.
    pub fn plain(options: PlainOptions, host: impl Into<String>) -> Self {
        Self::without_tls(Box::new(PlainDialect::new(options)), host.into())
    }

    fn without_tls(dialect: Box<dyn Dialect>, host: String) -> Self {
        Self::new(dialect, Authentication::None, Address::tcp(host, Trust::Plain))
    }

    /// Another port. Default 8883, without TLS 1883; over WebSocket 443, without TLS 80.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        if let Address::Tcp(tcp) = &mut self.address {
            tcp.port = Some(port);
        }
        self
    }

    /// TLS with these trusted certificates instead of the default ones.
    #[must_use]
    pub fn with_tls(mut self, tls: ClientTls) -> Self {
        if let Address::Tcp(tcp) = &mut self.address {
            tcp.trust = Trust::Fixed(tls);
        }
        self
    }

    /// MQTT in a WebSocket to IoT Hub or edgeHub, for sites whose firewalls let only HTTPS out.
    #[must_use]
    pub fn with_websocket(self) -> Self {
        self.with_websocket_at(HUB_PATH)
    }

    /// MQTT in a WebSocket to a broker, at this path, which begins with `/`.
    #[must_use]
    pub fn with_websocket_at(mut self, path: impl Into<String>) -> Self {
        if let Address::Tcp(tcp) = &mut self.address {
            tcp.websocket = Some(path.into());
        }
        self
    }

    /// Version of MQTT. Default 3.1.1, which IoT Hub and edgeHub need; plain brokers may speak 5.
    #[must_use]
    pub fn with_version(mut self, version: MqttVersion) -> Self {
        self.version = version;
        self
    }

    /// Another way to the broker, such as a proxy. Port, TLS and WebSocket are then the dialer's.
    #[must_use]
    pub fn with_dialer(mut self, dialer: Arc<dyn Dial>) -> Self {
        self.address = Address::Dialer(dialer);
        self
    }

    /// A user name and password instead of a token.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.authentication = Authentication::Password(credentials);
        self
    }

    /// Life of an access token. Default 3600 s; a new one is made for every connection, and the connection is renewed at
    /// 80 % of it. Below a minute most of the time goes into connecting; a token that lives for long can be misused for
    /// as long.
    #[must_use]
    pub fn with_token_life(mut self, new: Duration) -> Self {
        if let Authentication::Token { life, .. } = &mut self.authentication {
            *life = new;
        }
        self
    }

    /// How often the broker hears from us at least. Default 60 s, at most 600 s. With a long time, a dead connection is
    /// noticed late; a short one costs traffic.
    #[must_use]
    pub fn with_keep_alive(mut self, keep_alive: Duration) -> Self {
        self.keep_alive = keep_alive.clamp(Duration::from_secs(1), MAX_KEEP_ALIVE);
        self
    }

    /// How long one attempt to connect may take, signing and TLS included. Default 20 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Pauses between attempts.
    #[must_use]
    pub fn with_session(mut self, session: SessionOptions) -> Self {
        self.session = session;
        self
    }

    /// Limits of method calls.
    #[must_use]
    pub fn with_methods(mut self, methods: MethodOptions) -> Self {
        self.methods = methods;
        self
    }

    /// Most events that are sent and not acknowledged, each up to 256 KiB in memory. Default 10, from 1 to 100. With 1,
    /// each event waits for the one before; hubs slow down clients with many.
    #[must_use]
    pub fn with_max_in_flight(mut self, events: usize) -> Self {
        self.max_in_flight = events.clamp(1, 100);
        self
    }

    pub(super) fn dialer(&self) -> Arc<dyn Dial> {
        match &self.address {
            Address::Tcp(tcp) => Arc::new(tcp.clone()),
            Address::Dialer(dialer) => Arc::clone(dialer),
        }
    }
}

impl std::fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubOptions")
            .field("client_id", &self.dialect.client_id())
            .field("version", &self.version)
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}

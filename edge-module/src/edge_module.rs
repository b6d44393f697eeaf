//! Composition: from a configuration to a module that runs.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lva_graph_model::CustomNodeTypeError;
use lva_graph_model::methods::RegistryOptions;
use lva_graph_runtime::{MessageSink, NodeFactory, RuntimeOptions};
use lva_hub::ConnectionState;
use lva_media_types::SecretString;
use lva_web_console::{Console, ConsoleOptions, WeakConsoleToken};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{Config, ConfigError, HttpConfig, MetricsConfig};
use crate::data::{DataDirectory, DataError};
use crate::descriptors::{Descriptors, OF_AN_INSTANCE};
use crate::events::Delivery;
use crate::http::{
    self, Access, AccessKey, AccessKeyError, BoundListener, ListenError, Listener, ListenerOptions,
    Readiness, Token,
};
use crate::hub::{self, Connecting, HubConnection, HubError};
use crate::logs::LogControl;
use crate::methods::Methods;
use crate::metrics::{Metrics, ModuleLabels};
use crate::settings::LiveSettings;
use crate::sinks::{self, EventSinkError};
use crate::state;
use crate::twin::{ModuleTwin, TwinOwner};

/// Most bytes of the entries of a list in one answer: hubs carry 128 KiB, of which the rest of the answer takes little.
const PAGE_BYTES: usize = 126 << 10;

/// Most that a stop takes longer with a hub or an outbox: five seconds for the last events, and some for DISCONNECT and the disk.
const HUB_STOP_LIMIT: Duration = Duration::from_secs(12);

/// Why a module cannot start; for the operator to fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The hub, as it is configured.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// An HTTP server.
    #[error(transparent)]
    Http(#[from] ListenError),
    /// The file of the shared access key cannot be read.
    #[error("cannot read {}, which http.shared-access-key-file names: {cause}", path.display())]
    AccessKeyFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// The shared access key.
    #[error("{}, which http.shared-access-key-file names, cannot be used: {cause}", path.display())]
    AccessKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: AccessKeyError,
    },
    /// The file of the console's viewers cannot be read.
    #[error("cannot read {}, which console.viewer-token-file names: {cause}", path.display())]
    ViewerTokenFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// A token of the console.
    #[error(transparent)]
    ConsoleToken(#[from] WeakConsoleToken),
    /// A place for events.
    #[error(transparent)]
    Sink(#[from] EventSinkError),
}

/// Makes an [`EdgeModule`].
pub struct EdgeModuleBuilder {
    config: Config,
    runtime: RuntimeOptions,
    sinks: Vec<(String, Box<dyn MessageSink>)>,
    log: Option<LogControl>,
}

impl fmt::Debug for EdgeModuleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sinks: Vec<_> = self.sinks.iter().map(|(name, _)| name).collect();
        f.debug_struct("EdgeModuleBuilder")
            .field("config", &self.config)
            .field("sinks", &sinks)
            .finish_non_exhaustive()
    }
}

impl EdgeModuleBuilder {
    /// Adds a message sink of yours. Its name is a label of metrics.
    #[must_use]
    pub fn with_sink(mut self, name: impl Into<String>, sink: impl MessageSink) -> Self {
        self.sinks.push((name.into(), Box::new(sink)));
        self
    }

    /// Adds a node type of yours, which topologies may then use.
    ///
    /// # Errors
    ///
    /// [`CustomNodeTypeError`] for an invalid name, or one that exists.
    pub fn with_node_factory(mut self, factory: impl NodeFactory) -> Result<Self, CustomNodeTypeError> {
        self.runtime = self.runtime.with_node_factory(factory)?;
        Ok(self)
    }

    /// Lets the twin of the module change what is logged (`logLevel`, `logCategories`).
    #[must_use]
    pub fn with_log_control(mut self, log: LogControl) -> Self {
        self.log = Some(log);
        self
    }

    /// Starts the module: its saved instances run when this returns, its servers listen, and a hub is being
    /// connected to, where there is one: see the section `[hub]` of the configuration. Under IoT Edge, the module has the
    /// names that its environment gives it.
    ///
    /// # Errors
    ///
    /// [`StartError`], after stopping what had started.
    pub async fn start(self) -> Result<EdgeModule, StartError> {
        let Self {
            config,
            runtime,
            mut sinks,
            log,
        } = self;
        config.check()?;
        let runtime = runtime
            .with_decoder(config.decoding.options()?)
            .with_basic_authentication(config.cameras.basic()?);
        let target = hub::target(&config, |name| std::env::var(name).ok())?;
        let mut identity = ModuleLabels {
            hub: String::new(),
            device: config.module.device.clone(),
            module: config.module.name.clone(),
        };
        if let Some(own) = target.as_ref().and_then(|target| target.identity.as_ref()) {
            identity.hub = own.hub().to_owned();
            identity.device = own.device_id().to_owned();
            identity.module = own.module_id().unwrap_or(&identity.module).to_owned();
        }
        let descriptors = Descriptors::raised();
        let data = Arc::new(DataDirectory::open(&config.module.data)?);
        let token = Token::of(&data)?;
        let key = access_key(&config.http)?;
        let console = console_options(&config, &token)?;
        let settings = LiveSettings::new(&config.events);
        // Everything that may fail, before the hub hears of this module.
        let http = bound_http(&config, target.is_some()).await?;
        let metrics_listener = bound_metrics(&config, target.is_some()).await?;
        let saved = state::load(&data)?;
        let deliveries = sinks::configured(&config, &settings, &data, &mut sinks)?;
        let owner = match &target {
            None => TwinOwner::Module,
            Some(target) if target.is_broker => TwinOwner::Broker,
            Some(_) => TwinOwner::Hub(identity.hub.clone()),
        };
        let twin = ModuleTwin::restored(Arc::clone(&data), settings.clone(), log, owner);
        let connecting = match target {
            Some(target) => {
                let started = Connecting::start(target, &config.hub, &data, twin.clone());
                Some(started.map_err(HubError::from)?)
            }
            None => None,
        };
        if let Some(connecting) = &connecting {
            sinks.push(("hub".into(), Box::new(connecting.sink(settings.clone()))));
        }
        let (names, sinks) = sinks.into_iter().unzip();
        let runtime = runtime
            .with_module_name(&identity.module)
            .with_unsecured_endpoints(settings.allows_unsecured_endpoints());
        let restored = match state::restore(&data, saved, runtime, sinks) {
            Ok(module) => module,
            Err(error) => {
                if let Some(connecting) = connecting {
                    connecting.abandon().await;
                }
                return Err(error.into());
            }
        };
        let (instances, callers) = (restored.instances().len(), config.http.max_connections);
        descriptors.check(
            (instances as u64)
                .saturating_mul(OF_AN_INSTANCE)
                .saturating_add(callers as u64),
            &format!("{instances} instances and {callers} connections of callers"),
        );
        twin.run(restored.clone());
        let methods = Methods::new(restored, data, settings);
        let hub = connecting.map(|connecting| connecting.run(&methods));

        let hub_stats = hub.as_ref().map(HubConnection::stats);
        let delivery_stats: Vec<_> = deliveries.iter().map(Delivery::stats).collect();
        let metrics = Metrics::new(
            methods.module().clone(),
            methods.counts(),
            identity.clone(),
            names,
            hub_stats.clone(),
            delivery_stats.clone(),
        );
        let readiness = Readiness::default();
        let http = http.map(|(address, bound)| {
            let mut access = Access::new(token, address, config.http.hosts.clone());
            if let Some(key) = key {
                access = access.with_key(key);
            }
            let console = console.map(|options| {
                let options = options
                    .with_loopback_trusted(address.ip().to_canonical().is_loopback())
                    .with_methods(methods.clone())
                    .with_receivers(http::receivers(hub_stats, delivery_stats));
                Console::new(methods.module().clone(), options).router()
            });
            bound.serve(http::router(
                methods.clone(),
                twin,
                identity,
                access,
                readiness.clone(),
                console,
            ))
        });
        let metrics = metrics_listener.map(|bound| bound.serve(http::metrics_router(metrics)));
        readiness.set(true);
        Ok(EdgeModule {
            config,
            methods,
            readiness,
            http,
            metrics,
            hub,
            deliveries,
        })
    }
}

/// A module with a hub works without a server that was not configured, as where two modules share a machine's network.
fn or_without(
    bound: Result<BoundListener, ListenError>,
    is_optional: bool,
) -> Result<Option<BoundListener>, ListenError> {
    match bound {
        Ok(listener) => Ok(Some(listener)),
        Err(error @ ListenError::Listen { .. }) if is_optional => {
            tracing::error!("{error}; the module runs without this server");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn access_key(config: &HttpConfig) -> Result<Option<AccessKey>, StartError> {
    let path = &config.shared_access_key_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(|cause| StartError::AccessKeyFile {
        path: path.clone(),
        cause,
    })?;
    match AccessKey::parse(&text.into()) {
        Ok(key) => Ok(Some(key)),
        Err(cause) => Err(StartError::AccessKey {
            path: path.clone(),
            cause,
        }),
    }
}

/// The console's options; `None` where it is not served.
fn console_options(config: &Config, token: &Token) -> Result<Option<ConsoleOptions>, StartError> {
    let own = &config.console;
    if !own.enabled {
        return Ok(None);
    }
    let has_tls = !config.http.certificate.as_os_str().is_empty();
    let mut options = ConsoleOptions::new()
        .with_token(token.secret())?
        .with_secure_cookies(has_tls)
        .with_max_viewers(own.max_viewers)
        .with_recordings(&config.module.recordings);
    for directory in &config.module.allow_recordings_under {
        options = options.with_recordings(directory);
    }
    for host in &config.http.hosts {
        options = options.with_host(host);
    }
    if !own.viewer_token_file.as_os_str().is_empty() {
        let path = &own.viewer_token_file;
        let text = std::fs::read_to_string(path).map_err(|cause| StartError::ViewerTokenFile {
            path: path.clone(),
            cause,
        })?;
        let cameras = (!own.viewer_cameras.is_empty()).then(|| own.viewer_cameras.iter().cloned().collect());
        options = options.with_viewer(SecretString::new(text.trim()), cameras)?;
    }
    Ok(Some(options))
}

/// The listener of the methods, and the address as it is configured.
async fn bound_http(
    config: &Config,
    has_hub: bool,
) -> Result<Option<(SocketAddr, BoundListener)>, StartError> {
    let Some(address) = config.http_address()? else {
        return Ok(None);
    };
    let mut options = ListenerOptions::new(address).with_max_connections(config.http.max_connections);
    if !config.http.certificate.as_os_str().is_empty() {
        options = options.with_certificate(&config.http.certificate, &config.http.key)?;
    }
    let is_default = config.http.listen == HttpConfig::default().listen;
    let bound = or_without(Listener::bind(options).await, is_default && has_hub)?;
    Ok(bound.map(|bound| (address, bound)))
}

async fn bound_metrics(config: &Config, has_hub: bool) -> Result<Option<BoundListener>, StartError> {
    let Some(address) = config.metrics_address()? else {
        return Ok(None);
    };
    let is_default = config.metrics.listen == MetricsConfig::default().listen;
    let bound = Listener::bind(ListenerOptions::new(address)).await;
    Ok(or_without(bound, is_default && has_hub)?)
}

/// A module that runs: graphs, methods from a hub and over HTTP, saved state, metrics.
///
/// Dropping it ends its instances without waiting for their clips; [`stop`](Self::stop) waits.
#[derive(Debug)]
pub struct EdgeModule {
    config: Config,
    methods: Methods,
    readiness: Readiness,
    http: Option<Listener>,
    metrics: Option<Listener>,
    hub: Option<HubConnection>,
    deliveries: Vec<Delivery>,
}

impl EdgeModule {
    /// Prepares a module with this configuration.
    pub fn builder(config: Config) -> EdgeModuleBuilder {
        let registry = RegistryOptions::default().with_page_bytes(PAGE_BYTES);
        // The console draws the boxes of every frame.
        let is_watched = config.console.enabled && !config.http.listen.is_empty();
        let runtime = RuntimeOptions::new(&config.module.recordings)
            .with_registry(registry)
            .with_previews(is_watched);
        let folders = config.module.allow_recordings_under.iter();
        let runtime = folders.fold(runtime, RuntimeOptions::with_recordings_also_under);
        EdgeModuleBuilder {
            config,
            runtime,
            sinks: Vec::new(),
            log: None,
        }
    }

    /// Its methods, for transports of yours.
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// Address of the methods over HTTP.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(Listener::address)
    }

    /// `http://ADDRESS`, or `https://ADDRESS` with a certificate: where the methods are.
    pub fn http_origin(&self) -> Option<String> {
        let address = self.http_address()?;
        let scheme = match self.config.http.certificate.as_os_str().is_empty() {
            true => "http",
            false => "https",
        };
        Some(format!("{scheme}://{address}"))
    }

    /// Where the console is; `None` where it is not served.
    pub fn console_url(&self) -> Option<String> {
        let origin = self.http_origin().filter(|_| self.config.console.enabled)?;
        Some(format!("{origin}/console/"))
    }

    /// Address of the metrics.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(Listener::address)
    }

    /// The connection to the hub and its changes; `None` where there is no hub.
    pub fn hub_state(&self) -> Option<watch::Receiver<ConnectionState>> {
        self.hub.as_ref().map(HubConnection::state)
    }

    /// Waits until the connection to the hub has ended for good without a stop, which a fault of the program
    /// alone does: stop, and start again. Waits for ever where there is no hub.
    pub async fn hub_ended(&self) {
        match self.hub_state() {
            Some(state) => hub::ended(state).await,
            None => std::future::pending().await,
        }
    }

    /// Stops: no new calls, clips completed, events delivered or left on disk for the next start. Returns whether all of it was
    /// done within `module.stop-seconds`; with a hub, a webhook or a broker, delivering the last events may take twelve seconds more. The next start
    /// runs what ran.
    pub async fn stop(mut self) -> bool {
        let begun = Instant::now();
        self.readiness.set(false);
        drop(self.http);
        if let Some(hub) = &mut self.hub {
            hub.close();
        }
        let limit = self.config.module.stop_limit();
        let mut done = timeout(limit, self.methods.module().shutdown()).await.is_ok();
        if !done {
            tracing::error!(
                "the stop took more than {} s: clips may be incomplete until the next start, or a sink did not take its last \
                 events",
                limit.as_secs()
            );
        }
        let mut deliveries: JoinSet<bool> = self.deliveries.into_iter().map(Delivery::stop).collect();
        if let Some(hub) = self.hub {
            deliveries.spawn(hub.stop());
        }
        if !deliveries.is_empty() {
            let until = begun + limit + HUB_STOP_LIMIT;
            let all = async {
                let mut written = true;
                while let Some(stopped) = deliveries.join_next().await {
                    written &= stopped.unwrap_or(false);
                }
                written
            };
            match timeout_at(until, all).await {
                Ok(is_written) => done &= is_written,
                Err(_) => {
                    tracing::error!(
                        "a hub, a broker or the disk delays the stop: undelivered events may be sent again"
                    );
                    done = false;
                }
            }
        }
        done
    }
}

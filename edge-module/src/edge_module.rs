//! Composition: from a configuration to a module that runs.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Router;
use lva_graph_model::CustomNodeTypeError;
use lva_graph_runtime::{MessageSink, NodeFactory, RuntimeOptions};
use tokio::time::timeout;

use crate::config::{Config, ConfigError};
use crate::data::{DataDirectory, DataError};
use crate::events::{EventFile, EventLog, Topic};
use crate::http::{self, Access, HttpError, Listener, ListenerOptions, Readiness, Token};
use crate::methods::Methods;
use crate::metrics::{Identity, Metrics};
use crate::state;

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
    /// An HTTP server.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The file of events.
    #[error("cannot write events to {}: {source}", path.display())]
    EventFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// Makes an [`EdgeModule`].
pub struct EdgeModuleBuilder {
    config: Config,
    runtime: RuntimeOptions,
    sinks: Vec<(String, Box<dyn MessageSink>)>,
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

    /// Starts the module: its saved instances run when this returns, and its servers listen.
    ///
    /// # Errors
    ///
    /// [`StartError`], after stopping what had started.
    pub async fn start(self) -> Result<EdgeModule, StartError> {
        let Self {
            config,
            runtime,
            mut sinks,
        } = self;
        config.check()?;
        let data = DataDirectory::open(&config.module.data)?;
        let token = Token::of(&data)?;
        configured_sinks(&config, &mut sinks)?;
        let (names, sinks) = sinks.into_iter().unzip();
        let methods = Methods::new(state::restore(&data, runtime, sinks)?, data);

        let identity = Identity {
            hub: String::new(),
            device: config.module.device.clone(),
            module: config.module.name.clone(),
        };
        let metrics = Metrics::new(
            methods.module().clone(),
            methods.counts(),
            identity.clone(),
            names,
        );
        let readiness = Readiness::default();
        let started = async {
            let http = match config.http_address()? {
                Some(address) => {
                    let access = Access::new(token, address, config.http.hosts.clone());
                    let router = http::router(methods.clone(), identity, access, readiness.clone());
                    Some(listener(&config, address, router).await?)
                }
                None => None,
            };
            let metrics = match config.metrics_address()? {
                Some(address) => {
                    Some(Listener::start(ListenerOptions::new(address), http::metrics_router(metrics)).await?)
                }
                None => None,
            };
            Ok::<_, StartError>((http, metrics))
        };
        let (http, metrics) = match started.await {
            Ok(listeners) => listeners,
            Err(error) => {
                methods.module().shutdown().await;
                return Err(error);
            }
        };
        readiness.set(true);
        Ok(EdgeModule {
            config,
            methods,
            readiness,
            http,
            metrics,
        })
    }
}

async fn listener(config: &Config, address: SocketAddr, router: Router) -> Result<Listener, HttpError> {
    let mut options = ListenerOptions::new(address).with_max_connections(config.http.max_connections);
    if !config.http.certificate.as_os_str().is_empty() {
        options = options.with_certificate(&config.http.certificate, &config.http.key)?;
    }
    Listener::start(options, router).await
}

fn configured_sinks(
    config: &Config,
    sinks: &mut Vec<(String, Box<dyn MessageSink>)>,
) -> Result<(), StartError> {
    let events = &config.events;
    if !events.file.as_os_str().is_empty() {
        let largest = events.file_mib << 20;
        let file = EventFile::new(
            &events.file,
            largest,
            events.files_kept,
            Topic::new(&events.topic),
        );
        let file = file.map_err(|source| StartError::EventFile {
            path: events.file.clone(),
            source,
        })?;
        sinks.push(("file".into(), Box::new(file)));
    }
    if events.log {
        sinks.push(("log".into(), Box::new(EventLog::new(Topic::new(&events.topic)))));
    }
    Ok(())
}

/// A module that runs: graphs, methods over HTTP, saved state, metrics.
///
/// Dropping it ends its instances without waiting for their clips; [`stop`](Self::stop) waits.
#[derive(Debug)]
pub struct EdgeModule {
    config: Config,
    methods: Methods,
    readiness: Readiness,
    http: Option<Listener>,
    metrics: Option<Listener>,
}

impl EdgeModule {
    /// Prepares a module with this configuration.
    pub fn builder(config: Config) -> EdgeModuleBuilder {
        let runtime = RuntimeOptions::new(&config.module.recordings).with_module_name(&config.module.name);
        EdgeModuleBuilder {
            config,
            runtime,
            sinks: Vec::new(),
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

    /// Address of the metrics.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(Listener::address)
    }

    /// Stops: no new calls, clips completed, events delivered. Returns whether all of it was done within
    /// `module.stop-seconds`. The next start runs what ran.
    pub async fn stop(self) -> bool {
        self.readiness.set(false);
        drop(self.http);
        let limit = self.config.module.stop_limit();
        let done = timeout(limit, self.methods.module().shutdown()).await.is_ok();
        if !done {
            tracing::error!(
                "the stop took more than {} s: clips may be incomplete until the next start",
                limit.as_secs()
            );
        }
        done
    }
}

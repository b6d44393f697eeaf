//! The extension as a module of a hub.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lva_hub::{Client, ConnectionState, FromHub, Outbox};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::args::AnalysisArgs;
use super::health::{Health, HealthEvent};
use super::operations::OperationSet;
use super::saved::SavedTwin;
use super::server::{AnalysisServer, AnalysisServerError, Prepared};
use super::twin::GraphsOfTwin;
use crate::config::{Config, MetricsConfig, ModuleConfig};
use crate::data::DataDirectory;
use crate::http::{self, BoundListener, Listener, ListenerOptions};
use crate::hub::{self, HubError, Target};
use crate::hub_stats::HubStats;
use crate::logs::LogControl;
use crate::twin::PRODUCT;

/// The original's name.
const NAME: &str = "spatialAnalysis";
/// Where the outbox and the last twin are.
const DATA: &str = "lva-analysis-data";
/// How long a stop waits until the hub has the last health messages.
const DRAIN_LIMIT: Duration = hub::DRAIN_LIMIT;

/// The module `spatialAnalysis`: an [`AnalysisServer`], and the hub whose twin has its operations.
///
/// **After a change of the twin, each stream has what a new stream of the same name would get.** A graph that did not change
/// disturbs no stream. A changed one is watched from the next frame on, and people and counts begin anew. Streams of one that
/// was removed or disabled end. A wrong graph touches no other one: it stays as it was, or is refused, and the reported
/// properties name the reason. Streams that bring their own configuration are not concerned.
#[derive(Debug)]
pub struct AnalysisModule {
    server: AnalysisServer,
    hub: Option<Hub>,
    metrics: Option<Listener>,
}

#[derive(Debug)]
struct Hub {
    client: Client,
    /// The twin, and methods.
    tasks: JoinSet<()>,
}

impl AnalysisModule {
    /// A configuration with this module's name and data directory instead of those of `lva-edge module`, and without metrics where
    /// that module, which may run beside this one, has them.
    #[must_use]
    pub fn config(mut given: Config) -> Config {
        let default = ModuleConfig::default();
        if given.module.name == default.name {
            NAME.clone_into(&mut given.module.name);
        }
        if given.module.data == default.data {
            given.module.data = DATA.into();
        }
        if given.metrics == MetricsConfig::default() {
            given.metrics.listen.clear();
        }
        given
    }

    /// Loads the model and the operations, and serves. Where the environment of IoT Edge, or the section `[hub]` of the
    /// configuration, names a hub, the graphs of its twin are served too, by the last twin at once; connecting goes on in the
    /// background. Of the configuration, the sections `[module]`, `[hub]` and `[metrics]` count. Blocks while the model is loaded.
    ///
    /// # Errors
    ///
    /// [`AnalysisServerError`].
    pub async fn start(
        args: &AnalysisArgs,
        config: &Config,
        log: Option<LogControl>,
    ) -> Result<Self, AnalysisServerError> {
        config.check().map_err(HubError::from)?;
        let target = hub::target(config, |name| std::env::var(name).ok())?;
        // Before the hub hears of this module.
        let metrics = match config.metrics_address().map_err(HubError::from)? {
            Some(address) => Some(Listener::bind(ListenerOptions::new(address)).await?),
            None => None,
        };
        let mut module = match target {
            None => Self {
                server: AnalysisServer::start(args).await?,
                hub: None,
                metrics: None,
            },
            Some(target) => Self::at_hub(target, args, config, log).await?,
        };
        module.metrics = metrics.map(|bound| module.serve_metrics(bound));
        Ok(module)
    }

    fn serve_metrics(&self, bound: BoundListener) -> Listener {
        let hub = self.hub.as_ref().map(|hub| HubStats::of(hub.client.clone()));
        bound.serve(http::metrics_router(self.server.metrics(hub)))
    }

    async fn at_hub(
        target: Target,
        args: &AnalysisArgs,
        config: &Config,
        log: Option<LogControl>,
    ) -> Result<Self, AnalysisServerError> {
        let prepared = Prepared::load(args, OperationSet::none())?;
        let data = Arc::new(DataDirectory::open(&config.module.data)?);
        let outbox = Outbox::open(data.file(hub::OUTBOX), config.hub.outbox()).map_err(HubError::from)?;
        let (client, from_hub) = Client::start(target.options, outbox);
        let health = Health::at_hub(client.clone());
        let operations = Arc::clone(&prepared.operations);
        let mut twin = GraphsOfTwin::new(SavedTwin::new(data), operations, health.clone(), log);
        twin.restore();
        let server = match AnalysisServer::serve(args, prepared, health.clone()).await {
            Ok(server) => server,
            Err(error) => {
                health.emit(HealthEvent::Error {
                    message: &error.to_string(),
                });
                client.shutdown().await;
                return Err(error);
            }
        };
        // A small constant, which no hub refuses.
        if let Err(error) = client.report(json!({"ProductInfo": PRODUCT})) {
            tracing::error!(%error, "the product cannot be reported");
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(twin.follow(client.clone()));
        tasks.spawn(refuse_methods(from_hub));
        Ok(Self {
            server,
            hub: Some(Hub { client, tasks }),
            metrics: None,
        })
    }

    /// The server.
    pub fn server(&self) -> &AnalysisServer {
        &self.server
    }

    /// Address of the metrics.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(Listener::address)
    }

    /// The connection to the hub and its changes; `None` where there is no hub.
    pub fn hub_state(&self) -> Option<watch::Receiver<ConnectionState>> {
        self.hub.as_ref().map(|hub| hub.client.state())
    }

    /// Waits until a listener fails, or a fault of the program ended its connection to the hub; what is left still works then.
    pub async fn failed(&mut self) -> AnalysisServerError {
        let ended = self.hub_state();
        let hub_ended = async {
            match ended {
                Some(state) => hub::ended(state).await,
                None => std::future::pending().await,
            }
        };
        let error = tokio::select! {
            error = self.server.failed() => error,
            () = hub_ended => AnalysisServerError::HubEnded,
        };
        self.server.emit_error(&error);
        error
    }

    /// Stops: no new streams, received frames are answered, sockets removed, the last health messages delivered for up to five
    /// seconds while there is a connection. Streams that take longer than ten seconds are aborted. Logs the counts.
    ///
    /// # Errors
    ///
    /// [`AnalysisServerError`] of a listener that failed.
    pub async fn stop(self) -> Result<(), AnalysisServerError> {
        let outcome = self.server.stop().await;
        if let Some(mut hub) = self.hub {
            hub.tasks.abort_all();
            if !hub.client.drain(DRAIN_LIMIT).await {
                let waiting = hub.client.outbox_stats().waiting;
                tracing::info!(waiting, "health messages stay in the outbox until the next start");
            }
            hub.client.shutdown().await;
        }
        outcome
    }
}

/// The container has no direct methods of its own. Inputs are not read: at most 256 messages wait, and the client counts further
/// ones.
async fn refuse_methods(mut from_hub: FromHub) {
    while let Some(call) = from_hub.methods.recv().await {
        let message = format!("The module has no method '{}'.", call.name());
        call.answer(
            501,
            json!({"error": {"code": "NotImplemented", "message": message}}),
        );
    }
}

//! The extension on its addresses, from start to drain.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lva_extension_protocol::Trust;
use lva_extension_protocol::http::{HttpExtensionServer, HttpServerOptions};
use lva_extension_protocol::server::{ExtensionServer, HostError, ListenAddress, ServerOptions};
use lva_spatial_analysis::{
    AnalysisOptions, AnalysisStats, Detectors, OperationError, OperationSource, SpatialExtension,
};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::args::AnalysisArgs;
use super::counts::AnalysisCounts;
use super::health::{Health, HealthEvent};
use super::live::LiveOperations;
use super::metrics;
use super::model::ModelArgsError;
use super::operations::OperationSet;
use crate::data::DataError;
use crate::descriptors::Descriptors;
use crate::http::ListenError;
use crate::hub::HubError;
use crate::hub_stats::HubStats;
use crate::metrics::Metrics;

/// The original's port.
const PORT: u16 = 50051;
/// How often the container reported its heartbeat, and the rates of frames and answers.
const HEARTBEAT: Duration = Duration::from_secs(60);
const RATES_EVERY: u32 = 5;

/// Why a server cannot start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisServerError {
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelArgsError),
    /// The operations.
    #[error("the configuration {} cannot be used: {cause}", path.display())]
    Operations {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: OperationError,
    },
    /// An address.
    #[error("{0}; check that it is an address of this machine and no other program uses it")]
    Listen(HostError),
    /// A listener failed while it served.
    #[error(transparent)]
    Serve(HostError),
    /// A listener ended by itself: a defect.
    #[error("a listener ended: {0}")]
    Ended(String),
    /// The hub, as it is configured.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The server of the metrics.
    #[error(transparent)]
    Metrics(#[from] ListenError),
    /// A fault of the program ended its connection to the hub.
    #[error("the connection to the hub has ended by a fault of this program")]
    HubEnded,
}

/// A spatial-analysis extension that is served. Dropping it ends all streams at once; [`stop`](Self::stop) drains.
#[derive(Debug)]
pub struct AnalysisServer {
    urls: Vec<String>,
    counts: AnalysisCounts,
    down: watch::Sender<bool>,
    serving: JoinSet<Result<(), HostError>>,
    health: Health,
    operations: Arc<LiveOperations>,
}

/// What a server needs and may not be had, loaded before anything listens.
pub(super) struct Prepared {
    detectors: Detectors,
    pub(super) operations: Arc<LiveOperations>,
    options: AnalysisOptions,
}

impl Prepared {
    /// Without `--config`, with these operations. Blocks.
    pub(super) fn load(args: &AnalysisArgs, without_file: OperationSet) -> Result<Self, AnalysisServerError> {
        let operations = match &args.config {
            None => without_file,
            Some(path) => OperationSet::from_file(path).map_err(|cause| {
                Health::default().emit(HealthEvent::GraphCreationFailed {
                    graph: "",
                    message: &cause.to_string(),
                });
                AnalysisServerError::Operations {
                    path: path.clone(),
                    cause,
                }
            })?,
        };
        let operations = LiveOperations::new(operations, args.model.classes.clone().unwrap_or_default());
        let mut model_args = args.model.clone();
        model_args.classes = operations.classes_of_file();
        let model = model_args.choose()?;
        tracing::info!("model: {}", model.recognition());
        for note in model.recognition().notes() {
            tracing::warn!("model: {note}");
        }
        let detector = model_args.load_chosen(model)?;
        tracing::info!("detector: {}", detector.info());
        if args.model.is_embedded() {
            tracing::info!(
                "the embedded model knows the drawn people of the demo only: for people on a camera, bring one with --model FILE"
            );
        }
        let options = args.options();
        let detectors = if args.detector_each {
            Detectors::each(move || model_args.load())
        } else if detector.info().largest_batch > 1 {
            Detectors::in_batches(detector, Duration::from_millis(args.batch_wait_ms))
        } else {
            Detectors::shared(detector)
        };
        Ok(Self {
            detectors,
            operations: Arc::new(operations),
            options,
        })
    }
}

impl AnalysisServer {
    /// Loads the model and the operations, and serves. Blocks while the model is loaded.
    ///
    /// # Errors
    ///
    /// [`AnalysisServerError`].
    pub async fn start(args: &AnalysisArgs) -> Result<Self, AnalysisServerError> {
        let prepared = Prepared::load(args, OperationSet::whole_frame())?;
        Self::serve(args, prepared, Health::default()).await
    }

    /// Serves what was loaded.
    pub(super) async fn serve(
        args: &AnalysisArgs,
        prepared: Prepared,
        health: Health,
    ) -> Result<Self, AnalysisServerError> {
        let (descriptors, mut needed) = (Descriptors::raised(), 0_u64);
        let operations = prepared.operations;
        for (name, operation) in operations.of_file() {
            health.created(name, operation);
        }
        let source: Arc<dyn OperationSource> = operations.clone();
        let extension = SpatialExtension::with_source(source, prepared.detectors, prepared.options);
        let mut server = Self {
            urls: Vec::new(),
            counts: AnalysisCounts {
                grpc: Vec::new(),
                http: None,
                analysis: extension.stats(),
            },
            down: watch::channel(false).0,
            serving: JoinSet::new(),
            health: health.clone(),
            operations: Arc::clone(&operations),
        };
        let extension = Arc::new(extension);
        let port = match (args.port, &args.unix) {
            (None, None) => Some(PORT),
            (port, _) => port,
        };
        let tcp = port.map(|port| ListenAddress::Tcp((args.bind, port).into()));
        for address in tcp.into_iter().chain(args.unix.clone().map(ListenAddress::Unix)) {
            let trust = match args.trusted_peers {
                true => Trust::Peer,
                false => Trust::Untrusted,
            };
            let mut options = ServerOptions::default().with_trust(trust);
            if let Some(credentials) = args.credentials() {
                options = options.with_credentials(credentials.clone());
            }
            needed = needed.saturating_add(options.most_descriptors());
            let grpc = ExtensionServer::new(Arc::clone(&extension)).with_options(options);
            let listening = grpc.listen(address).await.map_err(AnalysisServerError::Listen)?;
            server.counts.grpc.push(listening.stats());
            server.urls.push(listening.url().to_string());
            let stopped = server.stopped();
            server.serving.spawn(listening.serve(stopped));
        }
        if let Some(port) = args.http_port {
            let mut options = HttpServerOptions::default();
            if let Some(credentials) = args.credentials() {
                options = options.with_credentials(credentials.clone());
            }
            needed = needed.saturating_add(options.most_descriptors());
            let http = HttpExtensionServer::new(extension).with_options(options);
            let listening = http.listen((args.bind, port).into()).await;
            let listening = listening.map_err(AnalysisServerError::Listen)?;
            server.counts.http = Some(listening.stats());
            server.urls.push(listening.url().to_string());
            let stopped = server.stopped();
            server.serving.spawn(async {
                listening.serve(stopped).await;
                Ok(())
            });
        }
        descriptors.check(needed, "the connections and streams of clients");
        for url in &server.urls {
            tracing::info!("listening: {url}");
        }
        health.emit(HealthEvent::AllGraphsStarted);
        let counts = server.counts.clone();
        tokio::spawn(report(counts, operations, health, server.stopped()));
        Ok(server)
    }

    /// Completes when the server stops, or is dropped.
    fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut down = self.down.subscribe();
        async move {
            let _ = down.wait_for(|down| *down).await;
        }
    }

    /// Its addresses for clients on this machine: gRPC, then HTTP.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Its counts.
    pub fn counts(&self) -> AnalysisCounts {
        self.counts.clone()
    }

    /// Its counts for Prometheus, with those of this hub.
    pub(super) fn metrics(&self, hub: Option<HubStats>) -> Metrics {
        metrics::of(self.counts.clone(), Arc::clone(&self.operations), hub)
    }

    /// Waits until a listener fails; the others still serve then.
    pub async fn failed(&mut self) -> AnalysisServerError {
        match self.serving.join_next().await {
            Some(ended) => ended_early(ended),
            None => AnalysisServerError::Ended("there is none left".to_owned()),
        }
    }

    pub(super) fn emit_error(&self, error: &AnalysisServerError) {
        self.health.emit(HealthEvent::Error {
            message: &error.to_string(),
        });
    }

    /// Stops: no new streams, received frames are answered, sockets removed. Streams that take longer than ten seconds are
    /// aborted. Logs the counts.
    ///
    /// # Errors
    ///
    /// [`AnalysisServerError`] of a listener that failed.
    pub async fn stop(mut self) -> Result<(), AnalysisServerError> {
        self.down.send_replace(true);
        let mut outcome = Ok(());
        while let Some(ended) = self.serving.join_next().await {
            if !matches!(ended, Ok(Ok(()))) {
                outcome = Err(ended_early(ended));
            }
        }
        if let Err(error) = &outcome {
            self.emit_error(error);
        }
        tracing::info!("{}", self.counts);
        self.health.emit(HealthEvent::Exit);
        outcome
    }
}

fn ended_early(ended: Result<Result<(), HostError>, JoinError>) -> AnalysisServerError {
    match ended {
        Ok(Ok(())) => AnalysisServerError::Ended("without an error".to_owned()),
        Ok(Err(error)) => AnalysisServerError::Serve(error),
        Err(error) => AnalysisServerError::Ended(error.to_string()),
    }
}

/// Reports the container's heartbeat and rates of each graph.
async fn report(
    counts: AnalysisCounts,
    operations: Arc<LiveOperations>,
    health: Health,
    stopped: impl Future<Output = ()>,
) {
    let mut stopped = std::pin::pin!(stopped);
    let mut minutes = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let seconds = (HEARTBEAT * RATES_EVERY).as_secs_f64();
    let mut minute = 0;
    let mut before: BTreeMap<String, AnalysisStats> = BTreeMap::new();
    loop {
        tokio::select! {
            _ = minutes.tick() => {}
            () = &mut stopped => return,
        }
        minute += 1;
        let is_time_for_rates = minute % RATES_EVERY == 0;
        let now = operations.in_force().into_iter();
        let now: BTreeMap<_, _> = now.map(|(name, own)| (name, own.stats.read())).collect();
        for (graph, stats) in &now {
            health.emit(HealthEvent::GraphHeartbeat {
                graph,
                sessions: stats.sessions,
                frames: stats.frames,
            });
            if is_time_for_rates {
                let earlier = before.get(graph).copied().unwrap_or_default();
                let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
                health.emit(HealthEvent::InputRate {
                    graph,
                    rate: rate(stats.frames, earlier.frames),
                });
                health.emit(HealthEvent::OutputRate {
                    graph,
                    rate: rate(stats.events(), earlier.events()),
                });
            }
        }
        if is_time_for_rates {
            before = now;
        }
        tracing::info!("{counts}");
    }
}

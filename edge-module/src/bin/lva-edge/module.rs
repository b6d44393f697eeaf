//! `lva-edge module`: media graphs with HTTP methods, saved state, metrics and logs.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program

use std::path::PathBuf;
use std::process::ExitCode;

use lva_edge_module::flags::Verbosity;
use lva_edge_module::service::{self, Signals};
use lva_edge_module::{Config, EdgeModule, LogFormat, logs};

#[cfg(feature = "demo")]
use crate::demo::{Demo, EventLines};
use crate::{CANNOT_START, set};

/// Run media graphs: cameras in, extensions asked, events and clips out.
///
/// Graphs are set and started by direct methods from a hub or over HTTP, and run again after a restart:
///
///   curl http://127.0.0.1:8580/api/v1/methods/GraphTopologySet --data @topology.json
///   curl http://127.0.0.1:8580/api/v1/methods/GraphInstanceSet --data @instance.json
///   curl http://127.0.0.1:8580/api/v1/methods/GraphInstanceActivate \
///       --data '{"@apiVersion": "1.0", "name": "Sample-Graph-1"}'
///
/// http://127.0.0.1:8580/console/ is a page with live pictures, events and graphs.
///
/// GET /api/v1/openapi.json describes all calls, GET /healthz and /readyz report whether the module lives and works, and
/// http://127.0.0.1:9600/metrics has its metrics.
///
/// As a module of IoT Edge it connects to its edgeHub by the IOTEDGE_ variables of its environment; the section hub of
/// the configuration names other hubs and brokers. It works without any as well.
///
/// Events go to the hub, and where configured, to a file (section events), a webhook,
/// NATS JetStream and Kafka (sections webhook, nats and kafka; the last two in programs built with
/// the cargo feature of that name). Hub, webhook, NATS and Kafka have an outbox on disk each, from
/// which events are delivered whenever the server is back.
///
/// Without a configuration file, everything is on loopback, and state and recordings are below the current directory.
/// Flags win over variables of the environment (LVA_…, for containers), and these over the file.
///
/// Exit codes: 0 after SIGTERM or Ctrl-C; 1 when clips or the last events were not complete in stop-seconds, or a fault of the
/// program ended its connection to the hub; 2 when the module cannot start; 130 after a second signal.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Try it out: a camera that plays a drawn plaza, the spatial-analysis extension, and the tutorial's graph run with the
    /// module, on loopback and below lva-edge-demo. Events are printed, and go to the hub of the environment if there is one.
    #[cfg(feature = "demo")]
    #[arg(long, conflicts_with_all = ["config", "data"])]
    demo: bool,
    /// Configuration file; see --print-config.
    #[arg(long, value_name = "FILE", env = "LVA_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Print the configuration with all keys explained, and end.
    #[arg(long)]
    print_config: bool,
    /// Name of the module.
    #[arg(long, env = "LVA_NAME", hide_env_values = true)]
    name: Option<String>,
    /// Directory for the state, the API token and the outbox.
    #[arg(long, value_name = "DIR", env = "LVA_DATA", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Directory for clips and recordings.
    #[arg(long, value_name = "DIR", env = "LVA_RECORDINGS", hide_env_values = true)]
    recordings: Option<PathBuf>,
    /// Let file sinks with an absolute baseDirectoryPath in this directory write there, not below --recordings. Repeatable.
    #[arg(long, value_name = "DIR")]
    allow_recordings_under: Vec<PathBuf>,
    /// When cameras get their password as it is, by Basic: allowed, over-tls or never.
    #[arg(long, value_name = "WHEN")]
    basic_authentication: Option<String>,
    /// Address of the methods, IP:PORT; "" for none.
    #[arg(long, value_name = "ADDRESS", env = "LVA_HTTP", hide_env_values = true)]
    http: Option<String>,
    /// Address of the metrics, IP:PORT; "" for none.
    #[arg(long, value_name = "ADDRESS", env = "LVA_METRICS", hide_env_values = true)]
    metrics: Option<String>,
    /// Plain MQTT broker, mqtt://HOST:PORT or mqtts://HOST:PORT; "" for none.
    #[arg(long, value_name = "URL", env = "LVA_BROKER", hide_env_values = true)]
    broker: Option<String>,
    /// User at the broker.
    #[arg(long, value_name = "NAME", env = "LVA_BROKER_USER", hide_env_values = true)]
    broker_user: Option<String>,
    /// File with the user's password at the broker.
    #[arg(
        long,
        value_name = "FILE",
        env = "LVA_BROKER_PASSWORD_FILE",
        hide_env_values = true
    )]
    broker_password_file: Option<PathBuf>,
    /// Life of access tokens for the hub.
    #[arg(long, value_name = "SECONDS")]
    token_life: Option<u64>,
    /// Also write events to this file, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// error, warn, info, debug or trace, or a filter such as info,lva_rtsp=debug.
    #[arg(long, value_name = "LEVEL", conflicts_with_all = ["quiet", "verbose"])]
    log_level: Option<String>,
    #[command(flatten)]
    verbosity: Verbosity,
    /// Form of the log.
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
}

impl Args {
    fn config(&self) -> Result<Config, lva_edge_module::ConfigError> {
        let mut config = match &self.config {
            Some(path) => Config::from_file(path)?,
            None => Config::default(),
        };
        #[cfg(feature = "demo")]
        if self.demo {
            Demo::configure(&mut config);
        }
        set(&mut config.module.name, &self.name);
        set(&mut config.module.data, &self.data);
        set(&mut config.module.recordings, &self.recordings);
        config
            .module
            .allow_recordings_under
            .extend(self.allow_recordings_under.iter().cloned());
        set(
            &mut config.cameras.basic_authentication,
            &self.basic_authentication,
        );
        set(&mut config.http.listen, &self.http);
        set(&mut config.metrics.listen, &self.metrics);
        set(&mut config.hub.broker, &self.broker);
        set(&mut config.hub.username, &self.broker_user);
        set(&mut config.hub.password_file, &self.broker_password_file);
        set(&mut config.hub.token_life_seconds, &self.token_life);
        set(&mut config.events.file, &self.events);
        set(&mut config.log.level, &self.log_level);
        set(&mut config.log.level, &self.verbosity.filter().map(str::to_owned));
        set(&mut config.log.format, &self.log_format);
        config.check()?;
        Ok(config)
    }
}

pub(crate) async fn run(args: Args) -> ExitCode {
    match start(&args).await {
        Ok(Some(started)) => {
            let code = service::run(started.module, started.signals).await;
            #[cfg(feature = "demo")]
            if let Some(demo) = started.demo {
                demo.stop().await;
            }
            code
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lva-edge: {error:#}");
            ExitCode::from(CANNOT_START)
        }
    }
}

struct Started {
    module: EdgeModule,
    signals: Signals,
    #[cfg(feature = "demo")]
    demo: Option<Demo>,
}

async fn start(args: &Args) -> anyhow::Result<Option<Started>> {
    let config = args.config()?;
    if args.print_config {
        print!("{}", config.documented());
        return Ok(None);
    }
    let log = logs::start(&config)?;
    // Before anything starts, so that a signal during the start stops cleanly.
    let signals = Signals::listen()?;
    #[cfg(feature = "demo")]
    let demo = match args.demo {
        true => Some(Demo::start(&config).await?),
        false => None,
    };
    let builder = EdgeModule::builder(config).with_log_control(log);
    #[cfg(feature = "demo")]
    let builder = match args.demo {
        true => builder.with_sink("console", EventLines),
        false => builder,
    };
    let module = builder.start().await?;
    if let Some(origin) = module.http_origin() {
        tracing::info!("methods: {origin}/api/v1/methods/NAME");
    }
    if let Some(url) = module.console_url() {
        tracing::info!("console: {url}");
    }
    if let Some(address) = module.metrics_address() {
        tracing::info!("metrics: http://{address}/metrics");
    }
    #[cfg(feature = "demo")]
    if let Some(demo) = &demo
        && let Err(error) = demo.run_graph(&module).await
    {
        module.stop().await;
        return Err(error);
    }
    Ok(Some(Started {
        module,
        signals,
        #[cfg(feature = "demo")]
        demo,
    }))
}

//! Flags of the log.

use lva_edge_module::flags::Verbosity;
use lva_edge_module::logs::{self, LogControl};
use lva_edge_module::{Config, ConfigError, LogFormat};

/// Level and form.
#[derive(clap::Args)]
pub(crate) struct LogArgs {
    /// error, warn, info, debug or trace, or a filter such as info,lva_rtsp=debug.
    #[arg(long, value_name = "LEVEL", default_value = "info", conflicts_with_all = ["quiet", "verbose"])]
    log_level: String,
    #[command(flatten)]
    verbosity: Verbosity,
    /// Form of the log.
    #[arg(long, value_enum, default_value = "auto")]
    log_format: LogFormat,
}

impl LogArgs {
    pub(crate) fn start(&self) -> Result<LogControl, ConfigError> {
        let mut config = Config::default();
        config.log.level = self.verbosity.filter().unwrap_or(&self.log_level).to_owned();
        config.log.format = self.log_format;
        logs::start(&config)
    }
}

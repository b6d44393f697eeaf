//! The log: text for people, the original's lines for its tools, JSON for collectors.

mod debug;
#[cfg(feature = "otlp")]
mod otlp;
mod writer;

use std::fmt;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{Event, Level, Subscriber};
#[cfg(feature = "otlp")]
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
#[cfg(not(feature = "otlp"))]
use tracing_subscriber::layer::Identity;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config::{Config, ConfigError, LogFormat};
use crate::settings::{LogCategories, LogLevel};
use debug::DebugLog;
use writer::LogWriter;

/// Where the log of this process goes, once it has started.
static OUTPUT: OnceLock<LogWriter> = OnceLock::new();
/// What sends it to a collector.
#[cfg(feature = "otlp")]
static COLLECTOR: OnceLock<opentelemetry_sdk::logs::SdkLoggerProvider> = OnceLock::new();
/// How long the end of a program waits for a reader of its log.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Changes what is logged while a program runs, as the twin of its module asks.
#[derive(Debug, Clone)]
pub struct LogControl {
    configured: String,
    filter: reload::Handle<EnvFilter, Registry>,
    debug: DebugLog,
}

impl LogControl {
    /// Writes all that can be logged to a file in this directory as well; `None` ends that.
    pub(crate) fn set_debug(&self, directory: Option<&Path>) -> std::io::Result<()> {
        self.debug.set(directory)
    }

    /// Logs these levels and categories; what is `None` is as configured.
    pub(crate) fn set(&self, level: Option<LogLevel>, categories: Option<LogCategories>) {
        let wanted = wanted(&self.configured, level, categories);
        // Both cannot happen: the filter is made of known words, and the log lives as long as the program.
        let changed = filter(&wanted).map(|filter| self.filter.reload(filter));
        if !matches!(changed, Ok(Ok(()))) {
            tracing::warn!("the log level cannot be changed");
        }
    }
}

fn filter(text: &str) -> Result<EnvFilter, ConfigError> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| ConfigError::Value {
            key: "log.level",
            message: format!(
                "{error}; write error, warn, info, debug or trace, or a filter such as info,lva_rtsp=debug"
            ),
        })
}

/// The targets of the category `Application`; `Events` is one of them, and all others are `MediaPipeline`.
const APPLICATION: [&str; 4] = [
    "lva_edge",
    "lva_hub",
    "lva_graph_model",
    "lva_graph_runtime::module",
];

/// The filter for a level and categories.
fn wanted(configured: &str, level: Option<LogLevel>, categories: Option<LogCategories>) -> String {
    let word = level.map(|level| match level {
        LogLevel::None => "off",
        LogLevel::Error => "error",
        LogLevel::Warning => "warn",
        LogLevel::Information => "info",
        LogLevel::Verbose => "debug",
    });
    let Some(categories) = categories else {
        return word.unwrap_or(configured).to_owned();
    };
    let word = word.unwrap_or("info");
    let of = |is_logged| if is_logged { word } else { "off" };
    let mut filter = of(categories.media_pipeline).to_owned();
    for target in APPLICATION {
        filter.push_str(&format!(",{target}={}", of(categories.application)));
    }
    filter.push_str(&format!(",{EVENTS}={}", of(categories.events)));
    filter
}

/// Starts the log of a program, on standard output. Call it once, give the control to
/// [`EdgeModuleBuilder::with_log_control`](crate::EdgeModuleBuilder::with_log_control), and [`flush`] when the program ends.
///
/// A thread writes the lines, so that a reader which does not read stops nothing: up to 4 MiB of lines wait for it, and
/// further ones are [lost](lost_lines).
///
/// # Errors
///
/// [`ConfigError::Value`] for an invalid level, filter or collector, or when there can be no more threads.
pub fn start(config: &Config) -> Result<LogControl, ConfigError> {
    let collector = collector(config)?;
    let config = &config.log;
    let (filter, handle) = reload::Layer::new(filter(&config.level)?);
    let (debug_lines, debug) = DebugLog::new()?;
    let terminal = std::io::stdout().is_terminal();
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let output = output()?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(colours)
        .with_writer(move || output.clone());
    let lines = match config.format {
        LogFormat::Json => lines.json().boxed(),
        LogFormat::Original => lines.event_format(OriginalLines).boxed(),
        LogFormat::Auto if !terminal => lines.event_format(OriginalLines).boxed(),
        LogFormat::Auto | LogFormat::Text => lines.boxed(),
    };
    let lines = lines.and_then(collector).with_filter(filter).boxed();
    let layers = vec![lines, debug_lines];
    // A second start, in a program with a log of its own, changes nothing.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(LogControl {
        configured: config.level.clone(),
        filter: handle,
        debug,
    })
}

/// What sends lines to the collector, where one is configured.
#[cfg(feature = "otlp")]
fn collector<S: Subscriber + for<'a> LookupSpan<'a>>(
    config: &Config,
) -> Result<Option<impl Layer<S> + use<S>>, ConfigError> {
    if config.log.otlp.is_empty() {
        return Ok(None);
    }
    // IoT Edge knows the device's name better.
    let device = std::env::var("IOTEDGE_DEVICEID").unwrap_or_else(|_| config.module.device.clone());
    let started = otlp::start(&config.log.otlp, &config.module.name, &device);
    let (provider, bridge) = started.map_err(|message| ConfigError::Value {
        key: "log.otlp",
        message,
    })?;
    // A second start changes nothing; its provider ends here.
    let _ = COLLECTOR.set(provider);
    Ok(Some(bridge.with_filter(filter_fn(otlp::is_exported))))
}

#[cfg(not(feature = "otlp"))]
fn collector(config: &Config) -> Result<Option<Identity>, ConfigError> {
    match config.log.otlp.is_empty() {
        true => Ok(None),
        false => Err(ConfigError::Value {
            key: "log.otlp",
            message: "this program is built without the feature 'otlp': build it with --features otlp, or remove the key".into(),
        }),
    }
}

fn output() -> Result<LogWriter, ConfigError> {
    if let Some(output) = OUTPUT.get() {
        return Ok(output.clone());
    }
    let started = LogWriter::start(std::io::stdout(), writer::MAX_WAITING);
    let output = started.map_err(|error| ConfigError::Value {
        key: "log",
        message: format!("the thread of the log cannot start: {error}"),
    })?;
    Ok(OUTPUT.get_or_init(|| output).clone())
}

/// Waits until the lines so far are written, at most a second, and sends what waits for a collector, at most another.
pub fn flush() {
    #[cfg(feature = "otlp")]
    if let Some(collector) = COLLECTOR.get() {
        // What it could not send it has logged.
        let _ = collector.shutdown_with_timeout(FLUSH_LIMIT);
    }
    if let Some(output) = OUTPUT.get() {
        output.flush_within(FLUSH_LIMIT);
    }
}

/// Lines that were lost because they were not read in time, or the output failed.
pub fn lost_lines() -> u64 {
    OUTPUT.get().map_or(0, LogWriter::lost)
}

/// Target of events that are written to the log.
pub(crate) const EVENTS: &str = "lva_edge_module::events";

/// `<6> 2020-07-17 18:17:40.119 +00:00 Application: Request started: Method name: 'GraphInstanceList'.`
///
/// The number is the syslog level (RFC 5424 section 6.2.1), and the category is one of the three of the original's
/// `logCategories`.
struct OriginalLines;

impl<S, N> FormatEvent<S, N> for OriginalLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.3f +00:00");
        let (level, category) = (syslog(*metadata.level()), category(metadata.target()));
        write!(writer, "<{level}> {now} {category}: ")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

fn syslog(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

fn category(target: &str) -> &'static str {
    if target == EVENTS {
        "Events"
    } else if APPLICATION.iter().any(|name| target.starts_with(name)) {
        "Application"
    } else {
        "MediaPipeline"
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_have_the_form_of_the_original() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(OriginalLines)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("Request started: Method name: 'GraphInstanceList'.");
            tracing::warn!(target: "lva_rtsp::camera", error = "gone", "camera session failed");
            tracing::info!(target: EVENTS, "{{\"id\":1}}");
        });
        let text = String::from_utf8(buffer.0.lock().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("<6> 20"), "{text}");
        assert_eq!(
            &lines[0][27..],
            " +00:00 Application: Request started: Method name: 'GraphInstanceList'."
        );
        assert!(
            lines[1].starts_with("<4> ") && lines[1].contains(" MediaPipeline: camera session failed"),
            "{text}"
        );
        assert!(lines[2].ends_with(" Events: {\"id\":1}"), "{text}");
    }

    fn logged(wanted: &str) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(wanted).unwrap())
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(OriginalLines)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("a detail");
            tracing::info!("a request");
            tracing::warn!(target: "lva_rtsp::camera", "a camera");
            tracing::info!(target: EVENTS, "an event");
        });
        let text = String::from_utf8(buffer.0.lock().clone()).unwrap();
        text.lines().map(|line| line[35..].to_owned()).collect()
    }

    #[test]
    fn a_twin_chooses_level_and_categories() {
        let (request, camera, event) = (
            "Application: a request",
            "MediaPipeline: a camera",
            "Events: an event",
        );
        let categories = |application, media_pipeline, events| {
            Some(LogCategories {
                application,
                media_pipeline,
                events,
            })
        };
        let with = |level, categories| logged(&wanted("warn", level, categories));
        assert_eq!(with(None, None), [camera]);
        assert_eq!(with(Some(LogLevel::Information), None), [request, camera, event]);
        assert_eq!(with(Some(LogLevel::Verbose), None).len(), 4);
        assert_eq!(with(None, categories(true, false, true)), [request, event]);
        assert_eq!(
            with(Some(LogLevel::Warning), categories(true, true, true)),
            [camera]
        );
        assert_eq!(
            with(Some(LogLevel::Information), categories(false, true, true)),
            [camera, event]
        );
        assert!(with(Some(LogLevel::None), categories(true, true, true)).is_empty());
    }

    #[test]
    fn a_wrong_filter_is_an_error_that_shows_a_right_one() {
        let mut config = Config::default();
        config.log.level = "lva=loud=".into();
        assert!(start(&config).unwrap_err().to_string().contains("lva_rtsp=debug"));
    }
}

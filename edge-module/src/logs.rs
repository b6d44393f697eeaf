//! The log: text for people, the original's lines for its tools, JSON for collectors.

use std::fmt;
use std::io::IsTerminal;

use jiff::Timestamp;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{ConfigError, LogConfig, LogFormat};

/// Starts the log of a program, on standard output. Call it once.
///
/// # Errors
///
/// [`ConfigError::Value`] for an invalid level or filter.
pub fn start(config: &LogConfig) -> Result<(), ConfigError> {
    let filter = EnvFilter::builder()
        .parse(&config.level)
        .map_err(|error| ConfigError::Value {
            key: "log.level",
            message: format!(
                "{error}; write error, warn, info, debug or trace, or a filter such as info,lva_rtsp=debug"
            ),
        })?;
    let terminal = std::io::stdout().is_terminal();
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours);
    // A second start, in a program with a log of its own, changes nothing.
    let _ = match config.format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Original => builder.event_format(OriginalLines).try_init(),
        LogFormat::Auto if !terminal => builder.event_format(OriginalLines).try_init(),
        LogFormat::Auto | LogFormat::Text => builder.try_init(),
    };
    Ok(())
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
    let of = |name: &str| target.starts_with(name);
    if target == EVENTS {
        "Events"
    } else if of("lva_edge") || of("lva_hub") || of("lva_graph_model") || of("lva_graph_runtime::module") {
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

    #[test]
    fn a_wrong_filter_is_an_error_that_shows_a_right_one() {
        let config = LogConfig {
            level: "lva=loud=".into(),
            ..LogConfig::default()
        };
        assert!(start(&config).unwrap_err().to_string().contains("lva_rtsp=debug"));
    }
}

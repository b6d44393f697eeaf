//! The log that the twin's `debugLogsDirectory` asks for: everything from the level debug on, in files of a bounded size.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::writer::OptionalWriter;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::writer::{LogWriter, MAX_WAITING};
use super::{OriginalLines, filter};
use crate::config::ConfigError;
use crate::rotating_file::RotatingFile;

const FILE: &str = "lva-edge-debug.log";
/// As the deployments of the original bound its log.
const LARGEST: u64 = 10 << 20;
const KEPT: u32 = 9;

/// Turns that log on and off.
#[derive(Debug, Clone)]
pub(super) struct DebugLog {
    filter: reload::Handle<EnvFilter, Registry>,
    output: Output,
}

/// The directory, and what writes there.
type Output = Arc<Mutex<Option<(PathBuf, LogWriter)>>>;

struct Lines(RotatingFile);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DebugLog {
    /// Off, with the layer that writes once it is on.
    pub(super) fn new() -> Result<(Box<dyn Layer<Registry> + Send + Sync>, Self), ConfigError> {
        let (off, handle) = reload::Layer::new(filter("off")?);
        let output = Output::default();
        let current = Arc::clone(&output);
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .event_format(OriginalLines)
            .with_writer(move || match &*current.lock() {
                Some((_, writer)) => OptionalWriter::some(writer.clone()),
                None => OptionalWriter::none(),
            })
            .with_filter(off)
            .boxed();
        let filter = handle;
        Ok((layer, Self { filter, output }))
    }

    pub(super) fn set(&self, directory: Option<&Path>) -> io::Result<()> {
        let known = self
            .output
            .lock()
            .as_ref()
            .map(|(directory, _)| directory.clone());
        if known.as_deref() == directory {
            return Ok(());
        }
        // An earlier one writes what it has, and ends.
        *self.output.lock() = None;
        let Some(directory) = directory else {
            return self.filtered("off");
        };
        let opened = RotatingFile::private(directory.join(FILE), LARGEST, KEPT)
            .and_then(|file| LogWriter::start(Lines(file), MAX_WAITING));
        match opened {
            Ok(writer) => {
                *self.output.lock() = Some((directory.to_owned(), writer));
                self.filtered("debug")
            }
            Err(error) => {
                self.filtered("off")?;
                Err(error)
            }
        }
    }

    fn filtered(&self, level: &str) -> io::Result<()> {
        let filter = filter(level).map_err(io::Error::other)?;
        self.filter.reload(filter).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn it_writes_everything_while_it_has_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (directory.path().join("a/b"), directory.path().join("c"));
        let (layer, log) = DebugLog::new().unwrap();
        let written = |directory: &Path| {
            if let Some((_, writer)) = &*log.output.lock() {
                assert!(writer.flush_within(Duration::from_secs(60)));
            }
            std::fs::read_to_string(directory.join(FILE)).unwrap()
        };
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!("before");
            log.set(Some(&first)).unwrap();
            tracing::debug!(target: "lva_rtsp::camera", "in the first");
            tracing::trace!("too fine");
            assert!(written(&first).ends_with(" MediaPipeline: in the first\n"));
            log.set(Some(&second)).unwrap();
            tracing::info!("in the second");
            let text = written(&second);
            assert!(
                text.starts_with("<6> ") && text.ends_with(" Application: in the second\n"),
                "{text}"
            );
            log.set(None).unwrap();
            tracing::error!("after");
        });
        assert_eq!(written(&first).lines().count(), 1);
        assert_eq!(written(&second).lines().count(), 1);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error_and_turns_it_off() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (_layer, log) = DebugLog::new().unwrap();
        assert!(log.set(Some(&file.path().join("below"))).is_err());
        assert!(log.output.lock().is_none());
    }
}

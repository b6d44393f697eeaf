use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
use parking_lot::Mutex;

use super::Topic;
use crate::rotating_file::RotatingFile;

/// Writes each event as one JSON object per line, and renames the file when it is full: `FILE.1` is the newest of the
/// renamed files.
#[derive(Debug)]
pub struct EventFile {
    topic: Topic,
    /// Shared with the thread that writes.
    file: Arc<Mutex<RotatingFile>>,
}

impl EventFile {
    /// Events go into the file at `path`, which is renamed when it has `largest` bytes. `kept` renamed files remain.
    ///
    /// # Errors
    ///
    /// The file cannot be created or written.
    pub fn new(path: impl Into<PathBuf>, largest: u64, kept: u32, topic: Topic) -> std::io::Result<Self> {
        let file = RotatingFile::shared(path.into(), largest, kept)?;
        Ok(Self {
            topic,
            file: Arc::new(Mutex::new(file)),
        })
    }
}

#[async_trait]
impl MessageSink for EventFile {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let line = format!("{}\n", event.envelope(&self.topic.of(event)));
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || file.lock().write(line.as_bytes())).await??;
        Ok(())
    }
}

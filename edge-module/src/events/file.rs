use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
use parking_lot::Mutex;

use super::Topic;

/// Writes each event as one JSON object per line, and renames the file when it is full: `FILE.1` is the newest of the
/// renamed files.
#[derive(Debug)]
pub struct EventFile {
    topic: Topic,
    /// Shared with the thread that writes.
    file: Arc<Mutex<RotatingFile>>,
}

#[derive(Debug)]
struct RotatingFile {
    path: PathBuf,
    largest: u64,
    kept: u32,
    open: Option<(File, u64)>,
}

impl EventFile {
    /// Events go into the file at `path`, which is renamed when it has `largest` bytes. `kept` renamed files remain.
    ///
    /// # Errors
    ///
    /// The file cannot be created or written.
    pub fn new(path: impl Into<PathBuf>, largest: u64, kept: u32, topic: Topic) -> std::io::Result<Self> {
        let mut file = RotatingFile {
            path: path.into(),
            largest,
            kept,
            open: None,
        };
        file.opened()?;
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

impl RotatingFile {
    /// One line, whole or not at all in this file. After an error, the next line opens the file again.
    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        let (_, size) = self.opened()?;
        if *size > 0 && *size + line.len() as u64 > self.largest {
            self.open = None;
            self.rotate()?;
        }
        let (file, size) = self.opened()?;
        let before = *size;
        let written = file.write_all(line);
        *size += line.len() as u64;
        if let Err(error) = written {
            // A full disk may have taken a part of the line, which would damage the next one as well.
            let cut = file.set_len(before);
            self.open = None;
            return Err(cut.err().unwrap_or(error));
        }
        Ok(())
    }

    fn opened(&mut self) -> std::io::Result<&mut (File, u64)> {
        if self.open.is_none() {
            if let Some(directory) = self.path.parent() {
                std::fs::create_dir_all(directory)?;
            }
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o640)
                .open(&self.path)?;
            let size = file.metadata()?.len();
            self.open = Some((file, size));
        }
        self.open
            .as_mut()
            .ok_or_else(|| std::io::Error::other("the file is not open"))
    }

    fn rotate(&self) -> std::io::Result<()> {
        if self.kept == 0 {
            return std::fs::remove_file(&self.path);
        }
        for number in (1..self.kept).rev() {
            let (from, to) = (numbered(&self.path, number), numbered(&self.path, number + 1));
            if from.exists() {
                std::fs::rename(from, to)?;
            }
        }
        std::fs::rename(&self.path, numbered(&self.path, 1))
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_renamed_and_the_oldest_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/events.jsonl");
        let mut file = RotatingFile {
            path: path.clone(),
            largest: 11,
            kept: 2,
            open: None,
        };
        for line in [
            "one\n",
            "two\n",
            "three\n",
            "four\n",
            "a line of more than the limit\n",
            "six\n",
        ] {
            file.write(line.as_bytes()).unwrap();
        }
        let read = |number: u32| std::fs::read_to_string(numbered(&path, number)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "six\n");
        assert_eq!(
            (read(1), read(2)),
            ("a line of more than the limit\n".into(), "three\nfour\n".into())
        );
        assert!(!numbered(&path, 3).exists());
    }

    #[test]
    fn a_file_that_was_removed_by_an_operator_is_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        std::fs::write(&path, "old\n").unwrap();
        let mut file = RotatingFile {
            path: path.clone(),
            largest: 8,
            kept: 0,
            open: None,
        };
        file.write(b"new\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\nnew\n");
        file.write(b"newer\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "newer\n");
    }
}

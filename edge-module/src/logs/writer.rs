//! Lines on their way out: they wait for a slow reader, within bounds, and never hold up who logs.
//!
//! `tracing-appender` bounds the number of lines. Here it is bytes, since an event is one line and may have megabytes.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Bytes that may wait. A longer line passes while nothing else waits.
pub(super) const MAX_WAITING: usize = 4 << 20;

/// Takes a line by each write. Cheap to clone; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub(super) struct LogWriter {
    entries: mpsc::Sender<Entry>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Notified when everything before is written.
    Flush(mpsc::Sender<()>),
}

#[derive(Debug)]
struct Shared {
    max_waiting: usize,
    /// Bytes.
    waiting: AtomicUsize,
    /// Lines.
    lost: AtomicU64,
}

impl LogWriter {
    /// Starts the thread that writes to `out`.
    pub(super) fn start(out: impl Write + Send + 'static, max_waiting: usize) -> io::Result<Self> {
        let (entries, to_write) = mpsc::channel();
        let shared = Arc::new(Shared {
            max_waiting,
            waiting: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        });
        let own = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&to_write, out, &own))?;
        Ok(Self { entries, shared })
    }

    /// Returns whether everything before was written in time.
    pub(super) fn flush_within(&self, limit: Duration) -> bool {
        let (done, written) = mpsc::channel();
        self.entries.send(Entry::Flush(done)).is_ok() && written.recv_timeout(limit).is_ok()
    }

    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let before = self.shared.waiting.fetch_add(line.len(), Ordering::Relaxed);
        let is_full = before > 0 && before.saturating_add(line.len()) > self.shared.max_waiting;
        if is_full || self.entries.send(Entry::Line(one_line(line))).is_err() {
            self.shared.waiting.fetch_sub(line.len(), Ordering::Relaxed);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line without line ends inside: foreign text cannot look like lines of its own. The formats keep escape sequences out.
fn one_line(line: &[u8]) -> Vec<u8> {
    let (content, end) = match line.split_last() {
        Some((b'\n', content)) => (content, &b"\n"[..]),
        _ => (line, &b""[..]),
    };
    let is_visible = |byte: &u8| !matches!(byte, 0..=8 | 10..=26 | 28..=31 | 127);
    let clean = content
        .iter()
        .map(|byte| if is_visible(byte) { *byte } else { b' ' });
    clean.chain(end.iter().copied()).collect()
}

fn write_all(entries: &mpsc::Receiver<Entry>, mut out: impl Write, shared: &Shared) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                if out.write_all(&line).is_err() {
                    shared.lost.fetch_add(1, Ordering::Relaxed);
                }
                shared.waiting.fetch_sub(line.len(), Ordering::Relaxed);
            }
            Entry::Flush(done) => {
                // A failure is that of a line, and counted there. The asker may have left.
                let _ = out.flush();
                let _ = done.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generous, and reached only by a test that fails.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A reader that takes a line when the test allows it.
    struct Reader {
        allowed: mpsc::Receiver<()>,
        read: mpsc::Sender<String>,
    }

    impl Write for Reader {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.allowed.recv().map_err(io::Error::other)?;
            self.read
                .send(String::from_utf8_lossy(line).into_owned())
                .map_err(io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_holds_up_nobody() {
        let (allow, allowed) = mpsc::channel();
        let (read, lines) = mpsc::channel();
        let mut log = LogWriter::start(Reader { allowed, read }, 30).unwrap();
        for number in 0..10 {
            // Ten bytes each.
            log.write_all(format!("line {number:4}\n").as_bytes()).unwrap();
        }
        assert_eq!(log.lost(), 7);
        assert!(!log.flush_within(Duration::from_millis(1)), "without a reader");
        for _ in 0..100 {
            allow.send(()).unwrap();
        }
        assert!(log.flush_within(PATIENCE));
        let text: String = lines.try_iter().collect();
        assert_eq!(text, "line    0\nline    1\nline    2\n");
        log.write_all(b"later").unwrap();
        assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), "later");
    }

    #[test]
    fn an_entry_is_one_line_whatever_is_in_it() {
        let forged = b"<3> door\r\n<6> 2020 Application: all is well\x08\n";
        assert_eq!(
            one_line(forged),
            b"<3> door  <6> 2020 Application: all is well \n"
        );
        assert_eq!(one_line(b"\n"), b"\n");
        assert_eq!(
            one_line("\u{1b}[2mgrün\u{1b}[0m\t".as_bytes()),
            "\u{1b}[2mgrün\u{1b}[0m\t".as_bytes()
        );
    }

    #[test]
    fn a_line_longer_than_the_bound_passes_alone() {
        let (allow, allowed) = mpsc::channel();
        let (read, lines) = mpsc::channel();
        let mut log = LogWriter::start(Reader { allowed, read }, 30).unwrap();
        let long = "x".repeat(1000);
        log.write_all(long.as_bytes()).unwrap();
        log.write_all(b"lost").unwrap();
        assert_eq!(log.lost(), 1);
        allow.send(()).unwrap();
        assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), long);
    }

    #[test]
    fn an_output_that_fails_is_counted() {
        let (_, allowed) = mpsc::channel();
        let (read, _lines) = mpsc::channel();
        let mut log = LogWriter::start(Reader { allowed, read }, 30).unwrap();
        log.write_all(b"line").unwrap();
        assert!(log.flush_within(PATIENCE));
        assert_eq!(log.lost(), 1);
    }
}

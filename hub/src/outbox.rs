//! Events on disk until the hub has them.

mod clock;
mod counters;
mod log;
mod receiver;
pub(crate) mod record;
mod segment;
mod worker;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use counters::{OutboxDropReason, OutboxStats};
pub use receiver::{OutboxReceiver, TakenMessage};
use tokio::sync::watch;
pub(crate) use worker::Consumer;
use worker::Worker;

use crate::message::{OutputMessage, OutputMessageError};

/// The files of an outbox, as a crash or another program leaves them.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_files(bytes: &[u8]) {
    for first in [0, u64::MAX - 1] {
        let (whole, next) = segment::scan(bytes, first);
        assert!(whole <= bytes.len() && next >= first);
    }
    let now = clock::Now::read();
    let mut steps = clock::ClockSteps::default();
    steps.resume(Some(bytes), now, None, 0, 10);
    let _ = steps.age_ms(5, 0, now);
}

/// How much an outbox keeps.
///
/// ```
/// use std::time::Duration;
/// let options = lva_hub::OutboxOptions::default().with_max_bytes(64 << 20).with_max_age(Duration::from_secs(86_400));
/// assert_eq!(options.max_bytes(), 64 << 20);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxOptions {
    max_bytes: u64,
    max_age: Duration,
    segment_bytes: usize,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            max_age: Duration::from_secs(14 * 86_400),
            segment_bytes: 4 << 20,
        }
    }
}

impl OutboxOptions {
    /// Most bytes on disk. Default 1 GiB. Full files are compressed: events of a zone of 1.1 KB take 170 bytes each, so
    /// that 72 hours without a hub at ten events a second take 0.45 GB. At the bound, the oldest file of events is
    /// dropped for each new one. Below 1 MiB it is 1 MiB.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes.max(1 << 20);
        self
    }

    /// Longest wait of an event. Default 14 days. Events age while the machine is on: neither by a step of its clock, whether
    /// the outbox is open or not, nor while the machine is off or sleeps, since only a clock that may be wrong shows how
    /// long that was. An event that was made before the clock was first set (before 2020) does not age.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Size of one file before compression. Default 4 MiB, at most a quarter of [`max_bytes`](Self::with_max_bytes).
    /// Twice as much is held in memory. Small files compress worse and are many; with large ones much is dropped at once
    /// at the bound.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: usize) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// See [`with_max_bytes`](Self::with_max_bytes).
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    fn segment_bytes(&self) -> usize {
        let quarter = usize::try_from(self.max_bytes / 4).unwrap_or(usize::MAX);
        self.segment_bytes.min(quarter)
    }
}

/// A durable queue of events, in a directory of its own.
///
/// **An accepted event is handed to the hub in order and until it is acknowledged, over restarts and kills of the
/// process**, unless a bound drops it, which is counted by reason. Its message id is made once. What was accepted less than a
/// second before a `kill -9` may be missing, and nothing else.
///
/// A thread writes; [`push`](Self::push) never waits for the disk. Dropping the outbox writes what is left, which it waits
/// for up to five seconds.
#[derive(Debug)]
pub struct Outbox {
    worker: Worker,
}

impl Outbox {
    /// Opens a directory, or makes it.
    ///
    /// # Errors
    ///
    /// [`OutboxError`].
    pub fn open(directory: impl AsRef<Path>, options: OutboxOptions) -> Result<Self, OutboxError> {
        Ok(Self {
            worker: Worker::start(directory.as_ref(), options)?,
        })
    }

    /// Takes in an event, and returns its message id. Never blocks.
    ///
    /// # Errors
    ///
    /// [`OutboxPushError`]; the event is dropped and counted.
    pub fn push(&self, event: OutputMessage) -> Result<String, OutboxPushError> {
        self.worker.push(event)
    }

    /// Waits until everything pushed so far survives a loss of power, or could not be written and is counted.
    pub async fn flush(&self) {
        self.worker.flush().await;
    }

    /// As [`flush`](Self::flush), but no longer than this. Returns whether it was done; where not, dropping the outbox does
    /// not wait for the disk either.
    pub async fn flush_within(&self, limit: Duration) -> bool {
        self.worker.flush_within(limit).await
    }

    /// Waits until all events have been delivered or dropped, and returns true; false where the outbox has failed.
    pub async fn emptied(&self) -> bool {
        self.worker.emptied().await
    }

    /// Whether the thread that writes ended by a panic, and changes of that. From then on, every event is dropped and
    /// counted; a new start of the program opens the files again.
    pub fn failed(&self) -> watch::Receiver<bool> {
        self.worker.failed()
    }

    /// With simulated clocks.
    #[cfg(test)]
    pub(crate) fn open_by(
        clock: &simulated::SimulatedMachine,
        directory: &Path,
        options: OutboxOptions,
    ) -> Result<Self, OutboxError> {
        Ok(Self {
            worker: Worker::start_by(clock.clone(), directory, options)?,
        })
    }

    /// An outbox whose disk takes nothing.
    #[cfg(test)]
    pub(crate) fn that_is_stuck() -> Self {
        Self {
            worker: Worker::that_is_stuck(),
        }
    }

    /// An outbox whose thread has failed.
    #[cfg(test)]
    pub(crate) fn that_fails() -> Self {
        Self {
            worker: Worker::that_fails(),
        }
    }

    /// Counts and size.
    pub fn stats(&self) -> OutboxStats {
        self.worker.stats()
    }

    /// The end that delivers, for a program with a transport of its own; [`Client`](crate::Client) takes that of its outbox itself.
    /// There is one; a second call takes over, and is given again what the first one left unsettled only after a new start.
    pub fn receiver(&self) -> OutboxReceiver {
        OutboxReceiver::new(self.consumer())
    }

    /// The end that sends. There is one; a second call takes over.
    pub(crate) fn consumer(&self) -> Consumer {
        self.worker.consumer()
    }
}

/// Why an event is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxPushError {
    /// The hub would refuse it.
    #[error(transparent)]
    Refused(#[from] OutputMessageError),
    /// Events come faster than the disk takes them. A later one may be accepted.
    #[error("events come faster than the disk takes them: send fewer, or use a faster disk")]
    Overload,
    /// The thread that writes ended by a panic, which the log names.
    #[error("the outbox has failed: start the program again")]
    Failed,
}

/// Why an outbox cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The file system refused something.
    #[error("the outbox in '{}' cannot be opened ({cause}): is the directory writable, and the disk not full?", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The error of the file system.
        cause: io::Error,
    },
    /// Another process, or another client in this one, has it open.
    #[error("the outbox in '{}' is in use by another process: give each module a directory of its own", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

#[cfg(test)]
pub(crate) mod simulated;

#[cfg(test)]
mod kill_tests;

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::message::MAX_MESSAGE_BYTES;

    fn event(id: u64) -> OutputMessage {
        OutputMessage::json("out", "{}").with_message_id(id.to_string())
    }

    fn open(directory: &TempDir) -> Outbox {
        Outbox::open(directory, OutboxOptions::default()).unwrap()
    }

    async fn ids(consumer: &mut Consumer, count: usize) -> Vec<(u64, String)> {
        consumer.want(count);
        let mut ids = Vec::new();
        for _ in 0..count {
            let stored = consumer.next().await;
            ids.push((stored.sequence, stored.event.message_id.unwrap()));
        }
        ids
    }

    #[tokio::test]
    async fn events_wait_over_a_restart_and_leave_when_they_are_acknowledged() {
        let directory = TempDir::new().unwrap();
        let outbox = open(&directory);
        for id in 0..5 {
            outbox.push(event(id)).unwrap();
        }
        let mut consumer = outbox.consumer();
        let taken = ids(&mut consumer, 3).await;
        assert_eq!(taken[2].1, "2");
        consumer.acknowledge(taken[0].0);
        consumer.acknowledge(taken[1].0);
        outbox.flush().await;
        assert_eq!(outbox.stats().waiting, 3);
        assert_eq!(outbox.stats().delivered, 2);
        drop(outbox);
        let outbox = open(&directory);
        let names: Vec<String> = ids(&mut outbox.consumer(), 3)
            .await
            .into_iter()
            .map(|(_, id)| id)
            .collect();
        assert_eq!(names, ["2", "3", "4"]);
    }

    #[tokio::test]
    async fn a_message_id_is_made_once_and_kept() {
        let directory = TempDir::new().unwrap();
        let outbox = open(&directory);
        let id = outbox.push(OutputMessage::json("out", "{}")).unwrap();
        uuid::Uuid::parse_str(&id).unwrap();
        drop(outbox);
        let outbox = open(&directory);
        assert_eq!(ids(&mut outbox.consumer(), 1).await[0].1, id);
    }

    #[tokio::test]
    async fn an_event_over_the_limit_is_refused_and_counted() {
        let directory = TempDir::new().unwrap();
        let outbox = open(&directory);
        let big = OutputMessage::json("out", vec![b' '; MAX_MESSAGE_BYTES]);
        assert!(matches!(
            outbox.push(big),
            Err(OutboxPushError::Refused(OutputMessageError::TooLarge { .. }))
        ));
        outbox.push(event(1)).unwrap();
        outbox.flush().await;
        let stats = outbox.stats();
        assert_eq!(stats.dropped_for(OutboxDropReason::Refused), 1);
        assert_eq!((stats.accepted, stats.waiting), (1, 1));
    }

    #[tokio::test]
    async fn a_consumer_gets_events_that_come_later() {
        let directory = TempDir::new().unwrap();
        let outbox = open(&directory);
        let mut consumer = outbox.consumer();
        consumer.want(2);
        outbox.push(event(7)).unwrap();
        assert_eq!(consumer.next().await.event, event(7));
        outbox.push(event(8)).unwrap();
        assert_eq!(consumer.next().await.event, event(8));
    }

    #[tokio::test]
    async fn a_thread_that_fails_leaves_nobody_waiting() {
        let outbox = Outbox::that_fails();
        outbox.flush().await;
        assert!(outbox.flush_within(Duration::from_secs(3600)).await);
        assert!(!outbox.emptied().await);
        assert!(*outbox.failed().borrow());
        assert_eq!(outbox.push(event(1)), Err(OutboxPushError::Failed));
        let stats = outbox.stats();
        assert_eq!(
            (stats.accepted, stats.dropped_for(OutboxDropReason::Storage)),
            (0, 1)
        );
    }

    #[tokio::test]
    async fn a_disk_that_takes_nothing_is_not_waited_for_without_bound() {
        let outbox = Outbox::that_is_stuck();
        outbox.push(event(1)).unwrap();
        assert!(!outbox.flush_within(Duration::from_millis(1)).await);
        drop(outbox);
        // Nor where nothing waited before.
        drop(Outbox::that_is_stuck());
    }

    #[tokio::test]
    async fn a_clock_that_was_wrong_before_a_restart_or_while_the_machine_was_off_drops_no_event() {
        const DAY: Duration = Duration::from_secs(86_400);
        let directory = TempDir::new().unwrap();
        let machine = simulated::SimulatedMachine::new();
        let open = |machine: &simulated::SimulatedMachine| {
            Outbox::open_by(machine, directory.path(), OutboxOptions::default()).unwrap()
        };
        // Years behind until the network is there, which it is not.
        machine.set_clock(-1000 * 86_400);
        let outbox = open(&machine);
        outbox.push(event(1)).unwrap();
        outbox.flush().await;
        machine.pass(DAY);
        drop(outbox);
        // Set right while nothing runs; then off for a year; then ahead by a year.
        for (number, change) in [
            simulated::SimulatedMachine::set_right as fn(&simulated::SimulatedMachine),
            |machine: &simulated::SimulatedMachine| machine.switch_off(365 * DAY),
            |machine: &simulated::SimulatedMachine| machine.set_clock(365 * 86_400),
        ]
        .into_iter()
        .enumerate()
        {
            change(&machine);
            let outbox = open(&machine);
            outbox.push(event(2 + number as u64)).unwrap();
            outbox.flush().await;
            assert_eq!(outbox.stats().waiting, 2 + number as u64);
            machine.pass(DAY);
        }
        // After four days of the machine's, ten more, and the first is too old; after a day each, the others.
        let outbox = open(&machine);
        for (days, waiting) in [(9_u32, 4), (2, 3), (1, 2), (1, 1), (1, 0)] {
            machine.pass(days * DAY);
            outbox.flush().await;
            assert_eq!(outbox.stats().waiting, waiting);
        }
        assert_eq!(outbox.stats().dropped_for(OutboxDropReason::TooOld), 4);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = Outbox::open(&file, OutboxOptions::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("file'"), "{error}");
    }
}

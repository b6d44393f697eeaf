//! The thread that owns the files.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::clock::{Clock, SystemClock};
use super::counters::{Counters, OutboxDropReason};
use super::log::Log;
use super::record::StoredEvent;
use super::{OutboxError, OutboxOptions, OutboxPushError, OutboxStats};
use crate::message::OutputMessage;

/// Most bytes and events that wait for the thread.
const MAX_WAITING_BYTES: usize = 16 << 20;
const MAX_WAITING_EVENTS: usize = 65_536;
/// How long an event may be written without being synchronised.
const SYNC_INTERVAL: Duration = Duration::from_millis(500);
/// How often old events are looked for while nothing is sent.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// How often the clock is saved while events wait: an event may seem younger by this after the machine was off.
const CLOCK_INTERVAL: Duration = Duration::from_secs(600);
/// Pause after the disk failed to give an event.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How long dropping the outbox waits for the disk.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// How often drops are logged.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The disk did not take a flush in time: it is not waited for at the end.
    is_stuck: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    wake: Condvar,
    ended: Condvar,
    counters: Counters,
    /// Events that the thread has taken and not written.
    unwritten: AtomicU64,
    /// Whether the thread ended by a panic.
    has_failed: watch::Sender<bool>,
}

/// What the thread has to do.
#[derive(Debug, Default)]
struct Inbox {
    pushed: VecDeque<OutputMessage>,
    pushed_bytes: usize,
    acknowledged: Vec<u64>,
    /// How many events the consumer can take.
    wanted: usize,
    consumer: Option<mpsc::UnboundedSender<StoredEvent>>,
    flushes: Vec<oneshot::Sender<()>>,
    is_closing: bool,
    /// Nothing is taken out any more.
    has_failed: bool,
    /// The thread has ended, by a panic or not.
    has_ended: bool,
}

impl Inbox {
    fn has_work(&self) -> bool {
        !self.pushed.is_empty()
            || !self.acknowledged.is_empty()
            || !self.flushes.is_empty()
            || self.is_closing
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    pub(super) fn start(directory: &Path, options: OutboxOptions) -> Result<Self, OutboxError> {
        Self::start_by(SystemClock, directory, options)
    }

    /// With other clocks than this machine's.
    pub(super) fn start_by(
        clock: impl Clock,
        directory: &Path,
        options: OutboxOptions,
    ) -> Result<Self, OutboxError> {
        let shared = Arc::<Shared>::default();
        let mut log = Log::open(directory, options, &shared.counters)?;
        log.resume_clock(clock.now(), clock.boot().as_ref());
        shared.counters.set_size(log.waiting(), log.bytes());
        let own = Arc::clone(&shared);
        Self::spawn(shared, move || Loop::new(log, own, clock).run()).map_err(|cause| OutboxError::Io {
            path: directory.to_owned(),
            cause,
        })
    }

    fn spawn(shared: Arc<Shared>, run: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let end = ThreadEnd(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("hub-outbox".to_owned());
        let thread = thread.spawn(move || {
            let _end = end;
            run();
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
            is_stuck: AtomicBool::new(false),
        })
    }

    /// An outbox whose thread panics at once.
    #[cfg(test)]
    pub(super) fn that_fails() -> Self {
        let worker = Self::spawn(Arc::default(), || panic!("a defect that this test needs")).unwrap();
        while !*worker.shared.has_failed.borrow() {
            std::thread::yield_now();
        }
        worker
    }

    /// An outbox whose disk takes nothing.
    #[cfg(test)]
    pub(super) fn that_is_stuck() -> Self {
        let run = || {
            loop {
                std::thread::park();
            }
        };
        Self::spawn(Arc::default(), run).unwrap()
    }

    pub(super) fn push(&self, mut event: OutputMessage) -> Result<String, OutboxPushError> {
        let id = event
            .message_id
            .get_or_insert_with(|| uuid::Uuid::new_v4().to_string())
            .clone();
        let counters = &self.shared.counters;
        if let Err(error) = event.check() {
            counters.add(OutboxDropReason::Refused, 1);
            return Err(error.into());
        }
        let bytes = event.size();
        let mut inbox = self.shared.lock();
        if inbox.has_failed {
            counters.add(OutboxDropReason::Storage, 1);
            return Err(OutboxPushError::Failed);
        }
        if inbox.pushed_bytes + bytes > MAX_WAITING_BYTES || inbox.pushed.len() >= MAX_WAITING_EVENTS {
            counters.add(OutboxDropReason::Overload, 1);
            return Err(OutboxPushError::Overload);
        }
        inbox.pushed_bytes += bytes;
        inbox.pushed.push_back(event);
        drop(inbox);
        counters.add_accepted();
        self.shared.wake.notify_one();
        Ok(id)
    }

    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        {
            let mut inbox = self.shared.lock();
            if inbox.has_failed {
                return;
            }
            inbox.flushes.push(done);
        }
        self.shared.wake.notify_one();
        // The thread answers every flush before it ends, and one that fails drops them.
        let _ = flushed.await;
    }

    /// Returns whether a flush was done in time. Where not, the thread is not waited for at the end.
    pub(super) async fn flush_within(&self, limit: Duration) -> bool {
        let is_done = timeout(limit, self.flush()).await.is_ok();
        self.is_stuck.store(!is_done, Relaxed);
        is_done
    }

    /// Waits until nothing waits any more. False where the thread failed.
    pub(super) async fn emptied(&self) -> bool {
        self.flush().await;
        let mut waiting = self.shared.counters.waiting();
        let mut failed = self.failed();
        // The senders are in what `self` holds.
        tokio::select! {
            biased;
            _ = failed.wait_for(|failed| *failed) => false,
            _ = waiting.wait_for(|waiting| *waiting == 0) => true,
        }
    }

    /// Whether the thread has failed.
    pub(super) fn failed(&self) -> watch::Receiver<bool> {
        self.shared.has_failed.subscribe()
    }

    pub(super) fn stats(&self) -> OutboxStats {
        self.shared.counters.snapshot()
    }

    pub(super) fn consumer(&self) -> Consumer {
        let (sender, events) = mpsc::unbounded_channel();
        let mut inbox = self.shared.lock();
        inbox.consumer = Some(sender);
        inbox.wanted = 0;
        drop(inbox);
        Consumer {
            shared: Arc::clone(&self.shared),
            events,
            outstanding: 0,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.lock().is_closing = true;
        self.shared.wake.notify_one();
        if self.is_stuck.load(Relaxed) {
            return;
        }
        let (inbox, waited) = self
            .shared
            .ended
            .wait_timeout_while(self.shared.lock(), CLOSE_LIMIT, |inbox| !inbox.has_ended)
            .unwrap_or_else(PoisonError::into_inner);
        drop(inbox);
        if waited.timed_out() {
            tracing::error!(
                "the disk does not take the last events of the outbox in time, and they may be lost"
            );
        } else if let Some(thread) = self.thread.take() {
            // A panic was reported as it happened.
            let _ = thread.join();
        }
    }
}

/// Ends every wait for a thread that panicked.
struct ThreadEnd(Arc<Shared>);

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        let shared = &self.0;
        let mut inbox = shared.lock();
        inbox.has_ended = true;
        shared.ended.notify_all();
        if !std::thread::panicking() {
            return;
        }
        let lost = inbox.pushed.len() as u64 + shared.unwritten.swap(0, Relaxed);
        shared.counters.add(OutboxDropReason::Storage, lost);
        *inbox = Inbox {
            has_failed: true,
            has_ended: true,
            ..Inbox::default()
        };
        drop(inbox);
        shared.has_failed.send_replace(true);
        tracing::error!(
            lost,
            "the thread of the outbox failed: events are lost until the program is started again"
        );
    }
}

/// Takes events from the outbox, in order, and acknowledges them.
#[derive(Debug)]
pub(crate) struct Consumer {
    shared: Arc<Shared>,
    events: mpsc::UnboundedReceiver<StoredEvent>,
    /// Asked for and not received. Bounds the channel.
    outstanding: usize,
}

impl Consumer {
    /// Asks for events until `count` are under way.
    pub(crate) fn want(&mut self, count: usize) {
        if count > self.outstanding {
            self.shared.lock().wanted += count - self.outstanding;
            self.outstanding = count;
            self.shared.wake.notify_one();
        }
    }

    /// The next event that was asked for. Pending while there is none; cancel safe.
    pub(crate) async fn next(&mut self) -> StoredEvent {
        match self.events.recv().await {
            Some(stored) => {
                self.outstanding = self.outstanding.saturating_sub(1);
                stored
            }
            None => std::future::pending().await,
        }
    }

    /// An event that was asked for, if one is there already.
    pub(super) fn try_next(&mut self) -> Option<StoredEvent> {
        let stored = self.events.try_recv().ok()?;
        self.outstanding = self.outstanding.saturating_sub(1);
        Some(stored)
    }

    /// The hub has the event.
    pub(crate) fn acknowledge(&self, sequence: u64) {
        self.shared.counters.add_delivered();
        self.settle(sequence);
    }

    /// The event will never be taken: it is dropped, and counted.
    pub(super) fn refuse(&self, sequence: u64) {
        self.shared.counters.add(OutboxDropReason::Refused, 1);
        self.settle(sequence);
    }

    fn settle(&self, sequence: u64) {
        self.shared.lock().acknowledged.push(sequence);
        self.shared.wake.notify_one();
    }
}

struct Loop<C> {
    log: Log,
    shared: Arc<Shared>,
    clock: C,
    /// Since when something is written and not synchronised.
    dirty_since: Option<Instant>,
    expire_at: Instant,
    save_clock_at: Instant,
    /// The disk failed; not asked for events before.
    retry_at: Option<Instant>,
    reported: OutboxStats,
    report_at: Instant,
}

impl<C: Clock> Loop<C> {
    fn new(log: Log, shared: Arc<Shared>, clock: C) -> Self {
        let now = clock.now().monotonic;
        Self {
            log,
            reported: shared.counters.snapshot(),
            shared,
            clock,
            dirty_since: None,
            expire_at: now + EXPIRY_INTERVAL,
            save_clock_at: now,
            retry_at: None,
            report_at: now,
        }
    }

    fn run(mut self) {
        loop {
            let work = self.wait();
            for event in work.pushed {
                self.append(event);
                self.shared.unwritten.fetch_sub(1, Relaxed);
            }
            for sequence in work.acknowledged {
                let result = self.log.acknowledge(sequence);
                report("a delivered file could not be removed", result);
            }
            self.hand_out();
            self.keep_house(!work.flushes.is_empty() || work.is_closing, work.is_closing);
            for done in work.flushes {
                // The caller may have stopped waiting.
                let _ = done.send(());
            }
            if work.is_closing {
                return;
            }
        }
    }

    /// Sleeps until there is something to do, and takes it.
    fn wait(&self) -> Inbox {
        let mut inbox = self.shared.lock();
        let until = self.next_wakeup();
        while !inbox.has_work() && !self.can_hand_out(&inbox) {
            let left = until.saturating_duration_since(self.clock.now().monotonic);
            if left.is_zero() {
                break;
            }
            let (woken, _) = self
                .shared
                .wake
                .wait_timeout(inbox, left)
                .unwrap_or_else(PoisonError::into_inner);
            inbox = woken;
        }
        inbox.pushed_bytes = 0;
        self.shared.unwritten.store(inbox.pushed.len() as u64, Relaxed);
        Inbox {
            pushed: std::mem::take(&mut inbox.pushed),
            acknowledged: std::mem::take(&mut inbox.acknowledged),
            flushes: std::mem::take(&mut inbox.flushes),
            is_closing: inbox.is_closing,
            ..Inbox::default()
        }
    }

    fn next_wakeup(&self) -> Instant {
        let sync_at = self.dirty_since.map(|since| since + SYNC_INTERVAL);
        let report_at =
            (self.reported.dropped != self.shared.counters.snapshot().dropped).then_some(self.report_at);
        [sync_at, self.retry_at, report_at]
            .into_iter()
            .flatten()
            .fold(self.expire_at, Instant::min)
    }

    fn can_hand_out(&self, inbox: &Inbox) -> bool {
        inbox.wanted > 0 && self.retry_at.is_none() && self.log.has_next()
    }

    fn append(&mut self, event: OutputMessage) {
        let counters = &self.shared.counters;
        if let Err(error) = self.log.append(event, self.clock.now(), counters) {
            counters.add(OutboxDropReason::Storage, 1);
            // Counted drops are logged later; the first one with its cause.
            if self.reported.dropped_for(OutboxDropReason::Storage)
                == counters.snapshot().dropped_for(OutboxDropReason::Storage) - 1
            {
                let outbox = self.log.name();
                tracing::error!(outbox, %error, "the outbox cannot be written, and events are lost: is the disk full?");
            }
        }
    }

    fn hand_out(&mut self) {
        loop {
            let (wanted, consumer) = {
                let inbox = self.shared.lock();
                (inbox.wanted, inbox.consumer.clone())
            };
            let Some(consumer) = consumer.filter(|_| wanted > 0 && self.retry_at.is_none()) else {
                return;
            };
            match self.log.take_next(self.clock.now(), &self.shared.counters) {
                Ok(Some(stored)) => {
                    let mut inbox = self.shared.lock();
                    inbox.wanted = inbox.wanted.saturating_sub(1);
                    drop(inbox);
                    // The consumer is gone: what it did not acknowledge comes again at the next start.
                    let _ = consumer.send(stored);
                }
                Ok(None) => return,
                Err(error) => {
                    let outbox = self.log.name();
                    tracing::error!(outbox, %error, "the outbox cannot be read; trying again");
                    self.retry_at = Some(self.clock.now().monotonic + RETRY_INTERVAL);
                }
            }
        }
    }

    /// What is due by the clock.
    fn keep_house(&mut self, sync_now: bool, is_closing: bool) {
        let clock = self.clock.now();
        let now = clock.monotonic;
        if self.retry_at.is_some_and(|at| now >= at) {
            self.retry_at = None;
        }
        if now >= self.expire_at {
            self.expire_at = now + EXPIRY_INTERVAL;
            let result = self.log.expire(clock, &self.shared.counters);
            report("the outbox could not be searched for old events", result);
        }
        let is_clock_due = is_closing || now >= self.save_clock_at || self.log.is_clock_changed();
        if is_clock_due && self.log.waiting() > 0 {
            self.save_clock_at = now + CLOCK_INTERVAL;
            let result = self.log.save_clock(clock, self.clock.boot());
            report("the ages of events could not be saved", result);
        }
        if self.log.is_dirty() {
            let since = *self.dirty_since.get_or_insert(now);
            if sync_now || now >= since + SYNC_INTERVAL {
                let result = self.log.sync();
                report("the outbox could not be synchronised with the disk", result);
                self.dirty_since = None;
            }
        }
        self.shared
            .counters
            .set_size(self.log.waiting(), self.log.bytes());
        let stats = self.shared.counters.snapshot();
        if stats.dropped != self.reported.dropped && now >= self.report_at {
            for (reason, total) in stats.dropped {
                let events = total - self.reported.dropped_for(reason);
                if events > 0 {
                    let outbox = self.log.name();
                    tracing::error!(outbox, %reason, events, total, "events were dropped");
                }
            }
            self.reported = stats;
            self.report_at = now + REPORT_INTERVAL;
        }
    }
}

fn report(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "{what}");
    }
}

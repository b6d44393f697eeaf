//! Events on disk until a broker or a server has them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
use lva_hub::{Outbox, OutboxError, OutboxOptions, OutboxReceiver, OutboxStats, OutputMessage, TakenMessage};
use lva_inference_schema::EventClass;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::Topic;

/// Pause after a failure; doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How often a failure that goes on is logged.
const REPORT_INTERVAL: Duration = Duration::from_secs(300);
/// How long a stop waits until the broker has the last events.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How long a stop waits for the disk.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Properties of a stored event: its subject, its class in lower case, and the instance that it is about.
pub(super) const SUBJECT: &str = "subject";
pub(super) const CLASS: &str = "class";
pub(super) const INSTANCE: &str = "instance";

/// Why an event was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A later attempt may succeed.
    Again(String),
    /// The broker will never take this event.
    Refused(String),
}

/// A broker, and the connection to it.
#[async_trait]
pub(crate) trait EventBroker: Send + 'static {
    /// What logs call it.
    fn name(&self) -> &'static str;

    /// Most events that are delivered together.
    fn batch(&self) -> usize;

    /// Delivers events in this order, and returns for each whether the broker has stored it. Connects first where there is
    /// no connection. For an event that another one blocks, it returns [`Failure::Again`].
    async fn deliver(&mut self, events: &[TakenMessage]) -> Vec<Result<(), Failure>>;
}

/// A sink that hands events to an outbox. Never waits for the broker, nor for the disk.
#[derive(Debug)]
pub(crate) struct DeliverySink {
    outbox: Arc<Outbox>,
    topic: Topic,
}

/// The delivery of events from an outbox to a broker. Ends when it is dropped; [`stop`](Self::stop) delivers what is left.
#[derive(Debug)]
pub(crate) struct Delivery {
    sink: &'static str,
    outbox: Arc<Outbox>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

/// What is counted about a delivery, for metrics.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryStats {
    /// The name of the sink in metrics.
    pub(crate) sink: &'static str,
    outbox: Arc<Outbox>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    failures: AtomicU64,
    /// Whether the last attempt failed.
    fails: watch::Sender<bool>,
}

impl DeliveryStats {
    pub(crate) fn outbox(&self) -> OutboxStats {
        self.outbox.stats()
    }

    /// Whether the last attempt failed.
    pub(crate) fn fails(&self) -> bool {
        *self.counts.fails.borrow()
    }

    /// Attempts that failed and are made again.
    pub(crate) fn failures(&self) -> u64 {
        self.counts.failures.load(Relaxed)
    }
}

impl Delivery {
    /// From an outbox in this directory. `sink` is the name in metrics.
    pub(crate) fn start(
        sink: &'static str,
        directory: &Path,
        options: OutboxOptions,
        topic: Topic,
        broker: impl EventBroker,
    ) -> Result<(DeliverySink, Self), OutboxError> {
        let outbox = Arc::new(Outbox::open(directory, options)?);
        let counts = Arc::<Counts>::default();
        let task = tokio::spawn(deliver(outbox.receiver(), broker, Arc::clone(&counts)));
        let delivery = Self {
            sink,
            outbox: Arc::clone(&outbox),
            counts,
            task,
        };
        Ok((DeliverySink { outbox, topic }, delivery))
    }

    pub(crate) fn stats(&self) -> DeliveryStats {
        DeliveryStats {
            sink: self.sink,
            outbox: Arc::clone(&self.outbox),
            counts: Arc::clone(&self.counts),
        }
    }

    /// Delivers the last events while the broker takes them, for up to five seconds. What is not delivered stays on disk;
    /// returns false where the disk did not take it in time.
    pub(crate) async fn stop(self) -> bool {
        let mut fails = self.counts.fails.subscribe();
        let drained = async {
            tokio::select! {
                _ = self.outbox.emptied() => {}
                _ = fails.wait_for(|fails| *fails) => {}
            }
        };
        let _ = timeout(DRAIN_LIMIT, drained).await;
        self.task.abort();
        let waiting = self.outbox.stats().waiting;
        if waiting > 0 {
            tracing::info!(
                waiting,
                "events for {} stay on disk until the next start",
                self.sink
            );
        }
        self.outbox.flush_within(FLUSH_LIMIT).await
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl MessageSink for DeliverySink {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let envelope = event.envelope(&self.topic.of(event)).to_string();
        let mut message = OutputMessage::json(String::new(), envelope)
            .with_property(SUBJECT, event.subject.to_string())
            .with_property(CLASS, class(event.class()))
            .with_property(INSTANCE, event.subject.instance_name());
        message.output = None;
        self.outbox.push(message)?;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.outbox.flush().await;
        Ok(())
    }
}

fn class(class: EventClass) -> &'static str {
    match class {
        EventClass::Analytics => "analytics",
        EventClass::Diagnostics => "diagnostics",
        EventClass::Operational => "operational",
    }
}

/// For ever.
async fn deliver(mut receiver: OutboxReceiver, mut broker: impl EventBroker, counts: Arc<Counts>) {
    let mut trouble = Trouble::new(broker.name());
    loop {
        let mut waiting = receiver.take(broker.batch()).await;
        while !waiting.is_empty() {
            let outcomes = broker.deliver(&waiting).await;
            let before = waiting.len();
            let mut failure = None;
            let mut left = Vec::new();
            // An event without an outcome, which would be a defect of the broker's code, is tried again.
            let outcomes = outcomes.into_iter().map(Some).chain(std::iter::repeat(None));
            for (taken, outcome) in waiting.into_iter().zip(outcomes) {
                match outcome {
                    Some(Ok(())) => receiver.delivered(&taken),
                    Some(Err(Failure::Refused(why))) => {
                        let id = taken.message.message_id.as_deref().unwrap_or_default();
                        tracing::error!(id, why, "{} refuses an event, which is lost", broker.name());
                        receiver.refused(&taken);
                    }
                    Some(Err(Failure::Again(why))) => {
                        failure.get_or_insert(why);
                        left.push(taken);
                    }
                    None => left.push(taken),
                }
            }
            waiting = left;
            counts.fails.send_replace(!waiting.is_empty());
            if waiting.is_empty() {
                trouble.over();
                continue;
            }
            counts.failures.fetch_add(1, Relaxed);
            let why = failure.unwrap_or_else(|| "it did not answer".to_owned());
            let pause = trouble.met(&why, Instant::now(), waiting.len() < before);
            sleep(pause).await;
        }
    }
}

/// Failures that go on.
struct Trouble {
    name: &'static str,
    pause: Duration,
    reported: Option<Instant>,
}

impl Trouble {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            pause: MIN_PAUSE,
            reported: None,
        }
    }

    /// The pause before the next attempt. Where something was delivered, the pauses begin anew.
    fn met(&mut self, why: &dyn fmt::Display, now: Instant, has_progress: bool) -> Duration {
        if self.reported.is_none_or(|at| now >= at + REPORT_INTERVAL) {
            self.reported = Some(now);
            tracing::warn!("{} takes no events, which wait on disk: {why}", self.name);
        }
        if has_progress {
            self.pause = MIN_PAUSE;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(MAX_PAUSE);
        pause
    }

    fn over(&mut self) {
        if self.reported.take().is_some() {
            tracing::info!("{} takes events again", self.name);
        }
        self.pause = MIN_PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lva_hub::OutboxDropReason;
    use parking_lot::Mutex;

    use super::*;

    /// Fails at each new event and those behind it, refuses the event `2`, and takes the others.
    #[derive(Default)]
    struct Reluctant {
        known: BTreeSet<String>,
        taken: Arc<Mutex<Vec<String>>>,
    }

    #[async_trait]
    impl EventBroker for Reluctant {
        fn name(&self) -> &'static str {
            "a test"
        }

        fn batch(&self) -> usize {
            3
        }

        async fn deliver(&mut self, events: &[TakenMessage]) -> Vec<Result<(), Failure>> {
            let mut is_blocked = false;
            let answer = |taken: &TakenMessage| {
                let id = taken.message.message_id.clone().unwrap();
                is_blocked |= self.known.insert(id.clone());
                match &*id {
                    _ if is_blocked => Err(Failure::Again("busy".to_owned())),
                    "2" => Err(Failure::Refused("too large".to_owned())),
                    _ => {
                        self.taken.lock().push(id);
                        Ok(())
                    }
                }
            };
            events.iter().map(answer).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_delivered_again_in_order_and_what_is_refused_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(directory.path(), OutboxOptions::default()).unwrap();
        for id in ["1", "2", "3", "4"] {
            let message = OutputMessage::json("", "{}").with_message_id(id);
            outbox.push(message).unwrap();
        }
        let broker = Reluctant::default();
        let taken = Arc::clone(&broker.taken);
        let counts = Arc::<Counts>::default();
        let task = tokio::spawn(deliver(outbox.receiver(), broker, Arc::clone(&counts)));
        assert!(outbox.emptied().await);
        task.abort();
        assert_eq!(*taken.lock(), ["1", "3", "4"]);
        let stats = outbox.stats();
        assert_eq!(
            (stats.delivered, stats.dropped_for(OutboxDropReason::Refused)),
            (3, 1)
        );
        assert!(counts.failures.load(Relaxed) >= 2);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_bound_and_begin_anew_after_progress() {
        let mut trouble = Trouble::new("a test");
        let now = Instant::now();
        let mut next = |progress| trouble.met(&"busy", now, progress).as_secs();
        let pauses: Vec<_> = (0..7).map(|_| next(false)).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!([next(true), next(false)], [1, 2]);
        trouble.over();
        assert_eq!(trouble.met(&"busy", now, false), MIN_PAUSE);
    }
}

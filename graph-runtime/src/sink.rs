//! Message sinks, and the queues to them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lva_inference_schema::EventClass;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::GraphEvent;
use crate::panics::catch_panic_async;

/// Events that wait for one sink: more than a minute at 15 frames a second with one event each.
const QUEUE: usize = 1024;
/// Places in it that analytics events never take: events about a graph or a recording are rare, and matter more than one of
/// a thousand inferences.
const RESERVED: usize = 128;

/// The longest flush of a sink; shorter than the time for the last events of a module.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Any error of a sink.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Takes events: a hub, a file, a terminal, a message broker.
///
/// Each sink has its own task and queue of 1024 events, so a slow one delays neither a graph nor another sink; events that do
/// not fit are dropped and counted ([`SinkStats`]). 128 places are reserved for events that are not analytics, so that the
/// inferences of one graph do not displace the recording events of another.
///
/// ```
/// use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
///
/// struct Lines;
///
/// #[async_trait::async_trait]
/// impl MessageSink for Lines {
///     async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
///         println!("{} {}", event.subject, event.name);
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait MessageSink: Send + 'static {
    /// Takes one event. Events come one after the other, in the order in which they were emitted.
    ///
    /// # Errors
    ///
    /// Any error; the event counts as failed, and the next one is published. A sink that retries does so inside this function.
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError>;

    /// Writes out what the sink buffers. Called after the last event of each run of an instance, unless the sink's queue
    /// is full then; by [`Module::flush`](crate::Module::flush) and [`Module::shutdown`](crate::Module::shutdown); and for the
    /// last time after the last event, when the module was dropped. Does nothing by default.
    ///
    /// A flush that takes longer than five seconds is dropped at its next `.await`, and the sink goes on with the next event.
    ///
    /// # Errors
    ///
    /// Any error; it is logged, and counted as [`SinkStats::failed_flushes`].
    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The events of one sink, counted by their result. Numbers only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SinkStats {
    /// Events that it accepted.
    pub published: u64,
    /// Events that it rejected with an error, or on which it panicked.
    pub failed: u64,
    /// Events dropped because its queue was full.
    pub dropped_queue_full: u64,
    /// Flushes that failed, panicked or took too long.
    pub failed_flushes: u64,
}

#[derive(Debug, Default)]
struct Counts {
    published: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    failed_flushes: AtomicU64,
    /// An event was dropped, and none has been queued since.
    behind: AtomicBool,
}

enum Item {
    Event(Arc<GraphEvent>),
    /// Answered when it is done, with whether it succeeded, if anything waits for it.
    Flush(Option<oneshot::Sender<bool>>),
}

/// The queue to a sink's task.
#[derive(Clone)]
struct SinkQueue {
    sender: mpsc::Sender<Item>,
    counts: Arc<Counts>,
}

/// All sinks of a module.
#[derive(Clone, Default)]
pub(crate) struct EventBus {
    sinks: Arc<RwLock<Vec<SinkQueue>>>,
}

impl fmt::Debug for EventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventBus({} sinks)", self.sinks.read().len())
    }
}

impl EventBus {
    /// Starts a task for each sink, which flushes it and ends after the last clone of the bus is dropped.
    pub(crate) fn start(sinks: Vec<Box<dyn MessageSink>>) -> Self {
        let event_bus = Self::default();
        sinks.into_iter().for_each(|sink| event_bus.add(sink));
        event_bus
    }

    /// Starts the task of one more sink, which gets the events from now on.
    pub(crate) fn add(&self, sink: Box<dyn MessageSink>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let counts = Arc::new(Counts::default());
        tokio::spawn(deliver(sink, receiver, Arc::clone(&counts)));
        self.sinks.write().push(SinkQueue { sender, counts });
    }

    /// Never waits: no sink delays a camera or a recording.
    pub(crate) fn emit(&self, event: GraphEvent) {
        tracing::debug!(subject = %event.subject, name = %event.name, "event");
        let event = Arc::new(event);
        for SinkQueue { sender, counts } in self.sinks.read().iter() {
            let fits = event.class() != EventClass::Analytics || sender.capacity() > RESERVED;
            if fits && sender.try_send(Item::Event(Arc::clone(&event))).is_ok() {
                counts.behind.store(false, Ordering::Relaxed);
                continue;
            }
            counts.dropped.fetch_add(1, Ordering::Relaxed);
            if !counts.behind.swap(true, Ordering::Relaxed) {
                tracing::error!(name = %event.name, "a message sink is too slow, and its queue is full: events are dropped");
            }
        }
    }

    /// Has each sink flushed after the events up to now. Never waits: a sink whose queue is full is flushed by a later request.
    pub(crate) fn request_flush(&self) {
        for SinkQueue { sender, .. } in self.sinks.read().iter() {
            let _ = sender.try_send(Item::Flush(None));
        }
    }

    /// Waits until all emitted events are delivered and flushed, or the time is over. Returns whether all sinks flushed. A sink
    /// that hangs takes no time from the others.
    pub(crate) async fn flush(&self, limit: Duration) -> bool {
        let mut flushes = JoinSet::new();
        let sinks = self.sinks.read().clone();
        for SinkQueue { sender, .. } in sinks {
            flushes.spawn(async move {
                let (done, flushed) = oneshot::channel();
                let sent = sender.send(Item::Flush(Some(done))).await;
                sent.is_ok() && flushed.await.unwrap_or(false)
            });
        }
        let all = async {
            let mut succeeded = true;
            while let Some(flushed) = flushes.join_next().await {
                succeeded &= flushed.unwrap_or(false);
            }
            succeeded
        };
        tokio::time::timeout(limit, all).await.unwrap_or(false)
    }

    pub(crate) fn stats(&self) -> Vec<SinkStats> {
        let read = |counts: &Counts| SinkStats {
            published: counts.published.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            dropped_queue_full: counts.dropped.load(Ordering::Relaxed),
            failed_flushes: counts.failed_flushes.load(Ordering::Relaxed),
        };
        self.sinks.read().iter().map(|sink| read(&sink.counts)).collect()
    }
}

async fn deliver(mut sink: Box<dyn MessageSink>, mut queue: mpsc::Receiver<Item>, counts: Arc<Counts>) {
    while let Some(item) = queue.recv().await {
        match item {
            Item::Event(event) => match catch_panic_async(sink.publish(&event)).await {
                Ok(Ok(())) => {
                    counts.published.fetch_add(1, Ordering::Relaxed);
                }
                Err(panicked) => {
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(name = %event.name, %panicked, "a message sink panicked");
                }
                Ok(Err(error)) => {
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(name = %event.name, %error, "a message sink failed to publish an event");
                }
            },
            Item::Flush(done) => {
                let flushed = flush(&mut *sink, &counts).await;
                if let Some(done) = done {
                    let _ = done.send(flushed);
                }
            }
        }
    }
    flush(&mut *sink, &counts).await;
}

/// Returns whether it succeeded.
async fn flush(sink: &mut dyn MessageSink, counts: &Counts) -> bool {
    let error = match tokio::time::timeout(FLUSH_LIMIT, catch_panic_async(sink.flush())).await {
        Ok(Ok(Ok(()))) => return true,
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(panicked)) => panicked.to_string(),
        Err(_) => format!("it took more than {FLUSH_LIMIT:?}"),
    };
    counts.failed_flushes.fetch_add(1, Ordering::Relaxed);
    tracing::error!(error, "a message sink failed to flush");
    false
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::body::EventBody;
    use lva_inference_schema::{EventName, Subject};
    use parking_lot::Mutex;
    use tokio::sync::Semaphore;

    use super::*;

    struct Gated(Arc<Semaphore>);

    #[async_trait]
    impl MessageSink for Gated {
        async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
            self.0.acquire().await?.forget();
            match event.name {
                EventName::RuntimeError => Err("refused".into()),
                EventName::DataDropped => panic!("as configured"),
                _ => Ok(()),
            }
        }
    }

    fn event(name: EventName) -> GraphEvent {
        GraphEvent {
            name,
            subject: Subject::graph_instance("i"),
            timestamp_90k: 0,
            output: None,
            body: EventBody::Other(serde_json::json!({})),
        }
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_and_never_waits() {
        let gate = Arc::new(Semaphore::new(0));
        let event_bus = EventBus::start(vec![Box::new(Gated(Arc::clone(&gate)))]);
        // The test never yields, so the sink has not taken anything yet.
        for _ in 0..QUEUE + 5 {
            event_bus.emit(event(EventName::RecordingStarted));
        }
        event_bus.emit(event(EventName::Inference));
        assert_eq!(event_bus.stats()[0].dropped_queue_full, 6);
        assert!(
            !event_bus.flush(Duration::from_millis(1)).await,
            "the sink blocks"
        );
        gate.add_permits(QUEUE + 5);
        assert!(event_bus.flush(Duration::from_secs(60)).await);
        assert_eq!(event_bus.stats()[0].published, QUEUE as u64);
    }

    #[tokio::test]
    async fn inferences_leave_space_for_events_about_graphs() {
        let gate = Arc::new(Semaphore::new(0));
        let event_bus = EventBus::start(vec![Box::new(Gated(Arc::clone(&gate)))]);
        for _ in 0..QUEUE {
            event_bus.emit(event(EventName::Inference));
        }
        for _ in 0..RESERVED {
            event_bus.emit(event(EventName::RecordingAvailable));
        }
        assert_eq!(event_bus.stats()[0].dropped_queue_full, RESERVED as u64);
        gate.add_permits(QUEUE);
        assert!(event_bus.flush(Duration::from_secs(60)).await);
        assert_eq!(event_bus.stats()[0].published, QUEUE as u64);
    }

    /// Buffers events until it is flushed.
    #[derive(Default)]
    struct Buffered {
        waiting: Vec<EventName>,
        flushed: Arc<Mutex<Vec<Vec<EventName>>>>,
    }

    #[async_trait]
    impl MessageSink for Buffered {
        async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
            self.waiting.push(event.name);
            Ok(())
        }

        async fn flush(&mut self) -> Result<(), SinkError> {
            let last = self.waiting.last().copied();
            self.flushed.lock().push(std::mem::take(&mut self.waiting));
            match last {
                Some(EventName::RuntimeError) => Err("refused".into()),
                Some(EventName::DataDropped) => panic!("as configured"),
                Some(EventName::StorageError) => std::future::pending().await,
                _ => Ok(()),
            }
        }
    }

    #[tokio::test]
    async fn a_sink_is_flushed_after_the_events_before_the_request_and_at_the_end() {
        let sink = Buffered::default();
        let flushed = Arc::clone(&sink.flushed);
        let event_bus = EventBus::start(vec![Box::new(sink)]);
        event_bus.emit(event(EventName::GraphInstanceStarted));
        event_bus.emit(event(EventName::GraphInstanceStopped));
        event_bus.request_flush();
        event_bus.emit(event(EventName::GraphInstanceFailed));
        assert!(event_bus.flush(Duration::from_secs(60)).await);
        event_bus.emit(event(EventName::RecordingStopped));
        drop(event_bus);
        while Arc::strong_count(&flushed) > 1 {
            tokio::task::yield_now().await;
        }
        let expected: [&[EventName]; 3] = [
            &[EventName::GraphInstanceStarted, EventName::GraphInstanceStopped],
            &[EventName::GraphInstanceFailed],
            &[EventName::RecordingStopped],
        ];
        assert_eq!(*flushed.lock(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_that_fails_or_panics_or_hangs_is_counted_and_the_sink_goes_on() {
        let event_bus = EventBus::start(vec![Box::new(Buffered::default())]);
        for name in [
            EventName::RuntimeError,
            EventName::DataDropped,
            EventName::StorageError,
        ] {
            event_bus.emit(event(name));
            event_bus.request_flush();
        }
        event_bus.emit(event(EventName::RecordingStopped));
        assert!(event_bus.flush(FLUSH_LIMIT * 2).await);
        let stats = event_bus.stats()[0];
        assert_eq!((stats.published, stats.failed_flushes), (4, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_that_waits_tells_that_it_failed_or_panicked_or_hung() {
        let event_bus = EventBus::start(vec![Box::new(Buffered::default())]);
        for name in [
            EventName::RuntimeError,
            EventName::DataDropped,
            EventName::StorageError,
        ] {
            event_bus.emit(event(name));
            assert!(!event_bus.flush(FLUSH_LIMIT * 2).await, "{name}");
        }
        event_bus.emit(event(EventName::RecordingStopped));
        assert!(event_bus.flush(FLUSH_LIMIT * 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_hangs_does_not_keep_another_from_its_flush() {
        let sink = Buffered::default();
        let flushed = Arc::clone(&sink.flushed);
        let closed = Gated(Arc::new(Semaphore::new(0)));
        let event_bus = EventBus::start(vec![Box::new(closed), Box::new(sink)]);
        event_bus.emit(event(EventName::RecordingStopped));
        assert!(
            !event_bus.flush(Duration::from_secs(1)).await,
            "the first sink blocks"
        );
        assert_eq!(*flushed.lock(), [[EventName::RecordingStopped]]);
    }

    #[tokio::test]
    async fn an_error_and_a_panic_of_a_sink_are_counted_and_the_next_event_is_tried() {
        let gate = Arc::new(Semaphore::new(3));
        let event_bus = EventBus::start(vec![Box::new(Gated(gate))]);
        event_bus.emit(event(EventName::RuntimeError));
        event_bus.emit(event(EventName::DataDropped));
        event_bus.emit(event(EventName::RecordingStopped));
        assert!(event_bus.flush(Duration::from_secs(60)).await);
        assert_eq!(
            (event_bus.stats()[0].failed, event_bus.stats()[0].published),
            (2, 1)
        );
    }
}

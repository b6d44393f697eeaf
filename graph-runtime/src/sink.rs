//! Where events go.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lva_inference_schema::EventClass;
use tokio::sync::{mpsc, oneshot};

use crate::GraphEvent;
use crate::guard::guarded_async;

/// Events that wait for one sink. At one event a frame of 15 a second, more than a minute.
const QUEUE: usize = 1024;
/// Places in it that analytics events never take: what a graph or a recording says about itself comes seldom, and counts
/// more than one of a thousand inferences.
const RESERVED: usize = 128;

/// An error of a sink's own kind.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Takes events: a hub, a file, a terminal, a broker of one's own.
///
/// Each sink has a task and a queue of 1024 events of its own, so a slow one delays neither a graph nor another sink;
/// what does not fit is dropped and counted ([`SinkStats`]). 128 of the places are kept for events that are not analytics,
/// so that the inferences of one graph do not push out what another says about its recordings.
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
    /// Takes one event. They come one after the other, in the order in which they were said.
    ///
    /// # Errors
    ///
    /// Anything; the event counts as failed, and the next one is tried. Whoever wants to try again does so inside.
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError>;
}

/// What became of the events of one sink. Numbers only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SinkStats {
    /// Events that it took.
    pub published: u64,
    /// Events that it refused with an error, or that made it panic.
    pub failed: u64,
    /// Events dropped because its queue was full.
    pub dropped_queue_full: u64,
}

#[derive(Debug, Default)]
struct Counts {
    published: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    /// An event was dropped, and none has found room since.
    behind: AtomicBool,
}

enum Item {
    Event(Arc<GraphEvent>),
    Flush(oneshot::Sender<()>),
}

/// All sinks of a module.
#[derive(Clone, Default)]
pub(crate) struct Outlet {
    sinks: Arc<[(mpsc::Sender<Item>, Arc<Counts>)]>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outlet({} sinks)", self.sinks.len())
    }
}

impl Outlet {
    /// Starts a task for each sink. Each ends when the last outlet is gone.
    pub(crate) fn start(sinks: Vec<Box<dyn MessageSink>>) -> Self {
        let start = |sink: Box<dyn MessageSink>| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let counts = Arc::new(Counts::default());
            tokio::spawn(deliver(sink, receiver, Arc::clone(&counts)));
            (sender, counts)
        };
        Self {
            sinks: sinks.into_iter().map(start).collect(),
        }
    }

    /// Never waits: neither a camera nor a recording stands still for a sink.
    pub(crate) fn say(&self, event: GraphEvent) {
        tracing::debug!(subject = %event.subject, name = %event.name, "event");
        let event = Arc::new(event);
        for (sender, counts) in self.sinks.iter() {
            let room = event.class() != EventClass::Analytics || sender.capacity() > RESERVED;
            if room && sender.try_send(Item::Event(Arc::clone(&event))).is_ok() {
                counts.behind.store(false, Ordering::Relaxed);
                continue;
            }
            counts.dropped.fetch_add(1, Ordering::Relaxed);
            if !counts.behind.swap(true, Ordering::Relaxed) {
                tracing::error!(name = %event.name, "a message sink is too slow: events are dropped");
            }
        }
    }

    /// Waits until all that was said was delivered, or the time is over. Whether all of it was.
    pub(crate) async fn flush(&self, limit: Duration) -> bool {
        let all = async {
            for (sender, _) in self.sinks.iter() {
                let (done, delivered) = oneshot::channel();
                if sender.send(Item::Flush(done)).await.is_ok() {
                    let _ = delivered.await;
                }
            }
        };
        tokio::time::timeout(limit, all).await.is_ok()
    }

    pub(crate) fn stats(&self) -> Vec<SinkStats> {
        let read = |counts: &Counts| SinkStats {
            published: counts.published.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            dropped_queue_full: counts.dropped.load(Ordering::Relaxed),
        };
        self.sinks.iter().map(|(_, counts)| read(counts)).collect()
    }
}

async fn deliver(mut sink: Box<dyn MessageSink>, mut queue: mpsc::Receiver<Item>, counts: Arc<Counts>) {
    while let Some(item) = queue.recv().await {
        match item {
            Item::Event(event) => match guarded_async(sink.publish(&event)).await {
                Ok(Ok(())) => {
                    counts.published.fetch_add(1, Ordering::Relaxed);
                }
                Err(panicked) => {
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(name = %event.name, %panicked, "a message sink panicked");
                }
                Ok(Err(error)) => {
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(name = %event.name, %error, "a message sink refused an event");
                }
            },
            Item::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::body::EventBody;
    use lva_inference_schema::{EventName, Subject};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::event::event_now;

    struct Gated(Arc<Semaphore>);

    #[async_trait]
    impl MessageSink for Gated {
        async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
            self.0.acquire().await?.forget();
            match event.name {
                EventName::RuntimeError => Err("refused".into()),
                EventName::DataDropped => panic!("as told"),
                _ => Ok(()),
            }
        }
    }

    fn event(name: EventName) -> GraphEvent {
        event_now(
            name,
            &Subject::graph_instance("i"),
            EventBody::Other(serde_json::json!({})),
        )
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_and_delays_nobody() {
        let gate = Arc::new(Semaphore::new(0));
        let outlet = Outlet::start(vec![Box::new(Gated(Arc::clone(&gate)))]);
        // The test never yields, so the sink has not taken anything yet.
        for _ in 0..QUEUE + 5 {
            outlet.say(event(EventName::RecordingStarted));
        }
        outlet.say(event(EventName::Inference));
        assert_eq!(outlet.stats()[0].dropped_queue_full, 6);
        assert!(!outlet.flush(Duration::from_millis(1)).await, "the sink is shut");
        gate.add_permits(QUEUE + 5);
        assert!(outlet.flush(Duration::from_secs(10)).await);
        assert_eq!(outlet.stats()[0].published, QUEUE as u64);
    }

    #[tokio::test]
    async fn inferences_leave_room_for_what_graphs_say_about_themselves() {
        let gate = Arc::new(Semaphore::new(0));
        let outlet = Outlet::start(vec![Box::new(Gated(Arc::clone(&gate)))]);
        for _ in 0..QUEUE {
            outlet.say(event(EventName::Inference));
        }
        for _ in 0..RESERVED {
            outlet.say(event(EventName::RecordingAvailable));
        }
        assert_eq!(outlet.stats()[0].dropped_queue_full, RESERVED as u64);
        gate.add_permits(QUEUE);
        assert!(outlet.flush(Duration::from_secs(10)).await);
        assert_eq!(outlet.stats()[0].published, QUEUE as u64);
    }

    #[tokio::test]
    async fn an_error_and_a_panic_of_a_sink_are_counted_and_the_next_event_is_tried() {
        let gate = Arc::new(Semaphore::new(3));
        let outlet = Outlet::start(vec![Box::new(Gated(gate))]);
        outlet.say(event(EventName::RuntimeError));
        outlet.say(event(EventName::DataDropped));
        outlet.say(event(EventName::RecordingStopped));
        assert!(outlet.flush(Duration::from_secs(10)).await);
        assert_eq!((outlet.stats()[0].failed, outlet.stats()[0].published), (2, 1));
    }
}

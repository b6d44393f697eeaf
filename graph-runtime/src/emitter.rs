//! How the nodes of an instance emit events and count.

use std::sync::Arc;
use std::time::Instant;

use lva_inference_schema::body::EventBody;
use lva_inference_schema::{AnalyticsBody, EventName, Inference, Subject};
use lva_rtsp::WallClock;

use crate::event::{GraphEvent, NodeRef};
use crate::failure::Failure;
use crate::observe::Observers;
use crate::panics::Panicked;
use crate::rate_limiter::RateLimiter;
use crate::sink::EventBus;
use crate::stats::{Counters, DropReason, NodeCounters};

/// Emits the events of an instance and counts them.
#[derive(Debug, Clone)]
pub(crate) struct EventEmitter {
    event_bus: EventBus,
    counters: Counters,
    observers: Observers,
    clock: WallClock,
}

impl EventEmitter {
    /// `clock` gives the time of every event that is not about a frame.
    pub(crate) fn new(event_bus: EventBus, counters: Counters, clock: WallClock) -> Self {
        Self {
            event_bus,
            counters,
            observers: Observers::default(),
            clock,
        }
    }

    pub(crate) fn emit(&self, event: GraphEvent) {
        self.counters.event(event.name);
        self.event_bus.emit(event);
    }

    /// Has the sinks flushed after the events up to now.
    pub(crate) fn request_flush(&self) {
        self.event_bus.request_flush();
    }

    /// Emits an event that happens now.
    pub(crate) fn emit_now(&self, name: EventName, subject: &Subject, body: EventBody) {
        self.emit(GraphEvent {
            name,
            subject: subject.clone(),
            timestamp_90k: self.clock.now_90k(),
            output: None,
            body,
        });
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn observers(&self) -> &Observers {
        &self.observers
    }

    pub(crate) fn clock(&self) -> &WallClock {
        &self.clock
    }

    /// For one node.
    pub(crate) fn node(&self, node: NodeRef) -> NodeReporter {
        NodeReporter {
            counters: self.counters.node(&node.name),
            emitter: self.clone(),
            node,
        }
    }
}

/// Emits the events of one node and counts for it.
#[derive(Debug, Clone)]
pub(crate) struct NodeReporter {
    node: NodeRef,
    emitter: EventEmitter,
    counters: NodeCounters,
}

impl NodeReporter {
    pub(crate) fn name(&self) -> &str {
        &self.node.name
    }

    /// Of the instance.
    pub(crate) fn emitter(&self) -> &EventEmitter {
        &self.emitter
    }

    /// Of the node.
    pub(crate) fn counters(&self) -> &NodeCounters {
        &self.counters
    }

    pub(crate) fn dropped(&self, reason: DropReason, count: u64) {
        self.counters.dropped(reason, count);
    }

    /// The node is done with a frame that arrived at `received_at`.
    pub(crate) fn frame_done(&self, received_at: Instant) {
        self.counters.frame_done(received_at, Instant::now());
    }

    /// Emits an event of the node that happens now.
    pub(crate) fn emit_now(&self, name: EventName, body: EventBody) {
        self.emitter.emit_now(name, &self.node.subject, body);
    }

    /// Emits what the node found at a media time, for one output.
    pub(crate) fn emit_inferences(&self, output: Option<String>, timestamp_90k: u64, found: Vec<Inference>) {
        let body = EventBody::Analytics(AnalyticsBody::new(timestamp_90k, found));
        self.emit_inference_event(output, timestamp_90k, body);
    }

    /// The same with a body made by the caller.
    pub(crate) fn emit_inference_event(&self, output: Option<String>, timestamp_90k: u64, body: EventBody) {
        self.emitter.emit(GraphEvent {
            name: EventName::Inference,
            subject: self.node.subject.clone(),
            timestamp_90k,
            output,
            body,
        });
    }

    /// Shows observers what the node found in a frame.
    pub(crate) fn show(&self, timestamp_90k: u64, found: &Arc<[Inference]>) {
        self.emitter
            .observers
            .results(&self.node.name, timestamp_90k, found);
    }

    /// Whether there is an observer.
    pub(crate) fn is_observed(&self) -> bool {
        self.emitter.observers.are_present()
    }

    pub(crate) fn emit_failure(&self, failure: &Failure) {
        let (name, body) = failure.to_event(self.emitter.clock.now_90k());
        self.emit_now(name, body);
    }

    /// The node panicked and restarts; emits an event, unless the limiter has let one through a moment ago.
    pub(crate) fn on_panic(&self, limiter: &mut RateLimiter, panicked: &Panicked) {
        tracing::error!(node = self.name(), %panicked, "a node restarts after a panic");
        if limiter.is_due(Instant::now()) {
            self.emit_failure(&Failure::internal_error(self.name()));
        }
    }
}

#[cfg(test)]
impl EventEmitter {
    /// Counts, and sends events nowhere.
    pub(crate) fn detached(counters: &Counters) -> Self {
        Self::new(EventBus::default(), counters.clone(), WallClock::default())
    }

    pub(crate) fn test_node(&self, name: &str) -> NodeReporter {
        self.node(NodeRef {
            name: name.to_owned(),
            subject: Subject::graph_instance("i"),
        })
    }
}

//! By which the nodes of an instance say their events.

use std::time::Instant;

use crate::GraphEvent;
use crate::event::event_now;
use crate::failure::Failure;
use crate::frame::About;
use crate::guard::Panicked;
use crate::once_a_minute::OnceAMinute;
use crate::plan::Named;
use crate::sink::Outlet;
use crate::stats::Counters;

/// Says events and counts them.
#[derive(Debug, Clone)]
pub(crate) struct Speaker {
    outlet: Outlet,
    counters: Counters,
}

impl Speaker {
    pub(crate) fn new(outlet: Outlet, counters: Counters) -> Self {
        Self { outlet, counters }
    }

    pub(crate) fn say(&self, event: GraphEvent) {
        self.counters.event(event.name);
        self.outlet.say(event);
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A node is done with a frame.
    pub(crate) fn left(&self, node: &Named, about: &About) {
        self.counters.left(&node.name, about.received_at, Instant::now());
    }

    /// A node's work ended in a panic; says so, unless it did a moment ago.
    pub(crate) fn stumbled(&self, node: &Named, defects: &mut OnceAMinute, panicked: &Panicked) {
        tracing::error!(node = %node.name, %panicked, "a node begins anew");
        if defects.is_due(Instant::now()) {
            self.fail(node, &Failure::defect(node.name.clone()));
        }
    }

    pub(crate) fn fail(&self, node: &Named, failure: &Failure) {
        let (name, body) = failure.said();
        self.say(event_now(name, &node.subject, body));
    }
}

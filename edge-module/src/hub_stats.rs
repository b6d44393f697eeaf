//! What is counted about a hub, for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lva_hub::Client;

use crate::events::RefusedEvents;

/// The connection, the outbox, and what came of messages and events.
#[derive(Debug, Clone)]
pub(crate) struct HubStats {
    pub(crate) client: Client,
    pub(crate) inputs: Arc<InputCounts>,
    pub(crate) refused: RefusedEvents,
}

impl HubStats {
    /// Of a connection whose inputs are not read.
    #[cfg(feature = "spatial-analysis")]
    pub(crate) fn of(client: Client) -> Self {
        Self {
            client,
            inputs: Arc::default(),
            refused: RefusedEvents::default(),
        }
    }
}

/// Messages for inputs, by their effect.
#[derive(Debug, Default)]
pub(crate) struct InputCounts {
    pub(crate) delivered: AtomicU64,
    pub(crate) without_listener: AtomicU64,
    pub(crate) invalid: AtomicU64,
}

impl InputCounts {
    /// Numbers that only rise, by name.
    pub(crate) fn all(&self) -> [(&'static str, u64); 3] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("delivered", read(&self.delivered)),
            ("without_listener", read(&self.without_listener)),
            ("invalid", read(&self.invalid)),
        ]
    }
}

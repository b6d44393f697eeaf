//! Where a module's events go.

mod delivery;
mod file;
mod hub;
#[cfg(feature = "kafka")]
mod kafka;
mod log;
#[cfg(feature = "nats")]
mod nats;
mod webhook;
mod zone_counts;

pub(crate) use delivery::{Delivery, DeliveryStats, EventBroker};
pub use file::EventFile;
pub(crate) use hub::{HubSink, RefusedEvents};
#[cfg(feature = "kafka")]
pub(crate) use kafka::{Kafka, KafkaCluster};
pub use log::EventLog;
#[cfg(feature = "nats")]
pub(crate) use nats::{Nats, NatsServer};
pub(crate) use webhook::Webhook;
pub(crate) use zone_counts::ZoneCounts;

use lva_graph_runtime::GraphEvent;
use lva_inference_schema::default_topic;

use crate::settings::LiveSettings;

/// The topic of events: that of the twin, else the configured one, else the default of each event's family.
#[derive(Debug, Clone)]
pub struct Topic(Source);

#[derive(Debug, Clone)]
enum Source {
    Fixed(Option<String>),
    Live(LiveSettings),
}

impl Topic {
    /// A topic that does not change; an empty one is the default.
    pub fn new(topic: &str) -> Self {
        Self(Source::Fixed((!topic.is_empty()).then(|| topic.to_owned())))
    }

    /// The topic of a module, which its twin may change.
    pub(crate) fn live(settings: LiveSettings) -> Self {
        Self(Source::Live(settings))
    }

    /// The topic of one event.
    pub fn of(&self, event: &GraphEvent) -> String {
        let topic = match &self.0 {
            Source::Fixed(topic) => topic.clone(),
            Source::Live(settings) => settings.topic(),
        };
        topic.unwrap_or_else(|| default_topic(event.subject.family()))
    }
}

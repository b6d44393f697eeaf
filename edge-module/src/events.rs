//! Where a module's events go.

mod file;
mod log;

pub use file::EventFile;
pub use log::EventLog;

use lva_graph_runtime::GraphEvent;
use lva_inference_schema::{ProductFamily, default_topic};

/// The topic of events: the configured one, or the default of each event's family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic(Option<String>);

impl Topic {
    /// A topic; an empty one is the default.
    pub fn new(topic: &str) -> Self {
        Self((!topic.is_empty()).then(|| topic.to_owned()))
    }

    /// The topic of one event.
    pub fn of(&self, event: &GraphEvent) -> String {
        self.of_family(event.subject.family())
    }

    fn of_family(&self, family: ProductFamily) -> String {
        self.0.clone().unwrap_or_else(|| default_topic(family))
    }
}

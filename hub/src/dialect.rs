//! What brokers understand: which topics and bodies carry events, methods and the twin.

mod discovery;
mod hub;
mod plain;

use bytes::Bytes;

pub(crate) use discovery::state_path;
pub use discovery::{Component, ComponentKind, Discovery};
pub(crate) use hub::HubDialect;
pub(crate) use plain::PlainDialect;
pub use plain::PlainOptions;

use crate::message::{Event, InputMessage};
use crate::method::MethodAnswer;
use crate::mqtt::{Publish, Qos};
use crate::topic::TopicError;
use crate::twin::TwinRequest;

/// A broker's way to say things. Without I/O.
pub(crate) trait Dialect: Send {
    /// Who we are to the broker.
    fn client_id(&self) -> String;
    /// What the broker says for us when we vanish.
    fn will(&self) -> Option<Publish>;
    /// What to subscribe to after every CONNACK.
    fn filters(&self) -> Vec<(String, Qos)>;
    /// What to publish after that.
    fn greeting(&mut self) -> Vec<Publish>;
    /// What to publish before a clean end.
    fn farewell(&mut self) -> Vec<Publish>;
    /// An event.
    fn event(&self, event: &Event) -> Publish;
    /// The answer to a method.
    fn answer(&mut self, answer: &MethodAnswer) -> Publish;
    /// A request for the twin; `None` where the broker needs no asking, and the request is thereby done.
    fn twin(&mut self, request: &TwinRequest) -> Option<Publish>;
    /// Whether requests for the twin are answered. Where not, they are done once they are published.
    fn is_twin_answered(&self) -> bool {
        true
    }
    /// A state that stands on the broker; `None` where there is no such thing.
    fn state(&self, _path: &str, _value: Option<&str>) -> Option<Publish> {
        None
    }
    /// What is announced to others; without a description, it is withdrawn.
    fn announcement(&self, _: &mut dyn Iterator<Item = (&str, Option<&Component>)>) -> Option<Publish> {
        None
    }
    /// What a message is.
    fn read(&mut self, publish: Publish) -> Result<Received, TopicError>;
}

/// A message from the broker, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Received {
    Method {
        name: String,
        request_id: String,
        body: Bytes,
    },
    TwinAnswer {
        request_id: String,
        status: u16,
        body: Bytes,
    },
    DesiredPatch {
        version: Option<u64>,
        body: Bytes,
    },
    /// All desired properties.
    DesiredDocument {
        body: Bytes,
    },
    Input(InputMessage),
    /// Somebody has started who wants to hear all announcements.
    Reannounce,
    /// One of our own, sent back.
    OwnEvent,
    /// Not for us.
    Unknown,
}

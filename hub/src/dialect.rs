//! What brokers understand: which topics and bodies carry events, methods and the twin.

mod discovery;
mod hub;
mod level;
mod plain;

use bytes::Bytes;

pub(crate) use discovery::state_path;
pub use discovery::{Component, ComponentKind, Discovery};
pub(crate) use hub::HubDialect;
pub(crate) use plain::PlainDialect;
pub use plain::PlainOptions;

use crate::message::{InputMessage, OutputMessage};
use crate::method::MethodAnswer;
use crate::mqtt::{Publish, Qos};
use crate::topic::TopicError;
use crate::twin::TwinRequest;

/// Maps messages to a broker's topics and bodies, and back. Without I/O.
pub(crate) trait Dialect: Send {
    /// Who we are to the broker.
    fn client_id(&self) -> String;
    /// What the broker publishes when the connection is lost.
    fn will(&self) -> Option<Publish>;
    /// What to subscribe to after every CONNACK.
    fn filters(&self) -> Vec<(String, Qos)>;
    /// What to publish after that.
    fn after_connect(&mut self) -> Vec<Publish>;
    /// What to publish before a clean end.
    fn before_disconnect(&mut self) -> Vec<Publish>;
    /// An event.
    fn event(&self, event: &OutputMessage) -> Publish;
    /// The answer to a method.
    fn answer(&mut self, answer: &MethodAnswer) -> Publish;
    /// A request for the twin; `None` where the broker needs no asking, and the request is thereby done.
    fn twin(&mut self, request: &TwinRequest) -> Option<Publish>;
    /// Whether requests for the twin are answered. Where not, they are done once they are published.
    fn is_twin_answered(&self) -> bool {
        true
    }
    /// A state that stands on the broker; `None` where the broker has none.
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
    /// A call whose name cannot be read.
    MalformedMethod {
        request_id: String,
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
    /// A listener has started that needs all announcements again.
    Reannounce,
    /// One of our own, sent back.
    OwnEvent,
    /// Not for us.
    Unknown,
}

//! The device side of Azure IoT Hub and of IoT Edge's edgeHub over MQTT 3.1.1: telemetry through an outbox on disk, twin,
//! direct methods, inputs. Plain MQTT brokers work too, with 3.1.1 or 5.
//!
//! | module or type | what |
//! |---|---|
//! | [`Client`], [`HubOptions`] | keeps the connection; sends, reports, receives |
//! | [`Outbox`] | events on disk until the hub has them, or a transport of your own ([`OutboxReceiver`]) |
//! | [`ConnectionString`], [`EdgeEnvironment`], [`Identity`] | who connects, and where |
//! | [`workload`], [`sas`], [`Signer`] | IoT Edge's workload API; access tokens |
//! | [`topic`], [`properties`], [`OutputMessage`], [`InputMessage`] | messages and their topics |
//! | [`twin`], [`method`], [`session`] | the rules, without I/O; time is a parameter |
//! | [`PlainOptions`], [`Discovery`] | brokers that are not a hub |
//!
//! It knows nothing of media or graphs, and does not serve: it is a device, not a broker.
//!
//! **An accepted event is sent in order until it is acknowledged, unless a bound of the outbox drops it, which is counted; every
//! method call gets one answer in time; and a connection never gives up.**
//!
//! ```no_run
//! use lva_hub::{Client, HubOptions, EdgeEnvironment, OutputMessage, Outbox, OutboxOptions};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let options = HubOptions::from_edge(&EdgeEnvironment::from_process()?)?;
//! let outbox = Outbox::open("/var/lib/lva/outbox", OutboxOptions::default())?;
//! let (client, mut from_hub) = Client::start(options, outbox);
//! client.send(OutputMessage::json("inferenceOutput", r#"{"count":2}"#).with_property("dataVersion", "1.0"))?;
//! while let Some(call) = from_hub.methods.recv().await {
//!     call.answer(501, serde_json::json!({ "error": { "code": "NotImplemented" } }));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Limits
//!
//! MQTT over TCP and TLS, with [`Dial`] for other ways; MQTT 5 on plain brokers only.
//! The outbox needs a directory of its own on a local file system.
#![forbid(unsafe_code)]

mod client;
mod connection_string;
mod dial;
mod dialect;
mod environment;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod message;
pub mod method;
mod mqtt;
mod outbox;
pub mod properties;
pub mod sas;
pub mod session;
mod signer;
pub mod topic;
pub mod twin;
pub mod workload;

pub use client::{Client, ClientStats, ConnectionState, FromHub, HubOptions, IncomingCall, StateError};
pub use connection_string::{ConnectionString, ConnectionStringError};
pub use dial::{Dial, MqttStream};
pub use dialect::{Component, ComponentKind, Discovery, PlainOptions};
pub use environment::{EdgeEnvironment, EnvironmentError};
pub use identity::{Identity, IdentityError};
pub use message::{InputMessage, MAX_MESSAGE_BYTES, OutputMessage, OutputMessageError};
pub use mqtt::MqttVersion;
pub use outbox::{
    Outbox, OutboxDropReason, OutboxError, OutboxOptions, OutboxPushError, OutboxReceiver, OutboxStats,
    TakenMessage,
};
pub use signer::{SignError, Signer};

/// The program in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

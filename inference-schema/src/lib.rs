//! Inference events, analytics messages and event envelopes of Live Video Analytics and Video Analyzer.
//!
//! Results of an extension for a frame ([`Inference`]), events of a graph ([`EventBody`](body::EventBody)), the messages
//! around both ([`AnalyticsBody`], [`Envelope`]), their names ([`EventType`], [`Subject`]) and times ([`event_time`]).
//!
//! **A published event that is read and written again is the same JSON value.** Unknown members are kept in `extra` and
//! written again; everything else that is not of the published form is a [`ReadError`] with a JSON pointer.
//!
//! This crate does no I/O, and it does not decide when an event happens. The messages of the gRPC wire belong to
//! `lva-extension-protocol`, which maps them to the types here.
//!
//! # Example
//!
//! ```
//! use lva_inference_schema::body::EventBody;
//! use lva_inference_schema::*;
//!
//! let person = Entity::new("person", 0.66026187_f32, Rectangle::new(0.26_f32, 0.17_f32, 0.49_f32, 0.76_f32));
//! let entered = Event::new("personZoneEvent").with_property("status", "Enter").with_property("zone", "polygon0");
//! let body = AnalyticsBody::new(
//!     143810610210090,
//!     vec![Inference::new(person).with_id("a895"), Inference::new(entered).with_id("995f").related_to("a895")],
//! );
//!
//! let subject = Subject::graph_instance("Sample-Graph-1").node(NodeRole::Processor, "rtcvExtension");
//! let event = Envelope::new(EventName::Inference, &default_topic(ProductFamily::Lva), &subject, 143810610210090)
//!     .with_body(&EventBody::Analytics(body.clone()), JsonStyle::Lva);
//! let again = Envelope::from_slice(event.to_string().as_bytes())?;
//! assert_eq!(again.read_body()?, EventBody::Analytics(body));
//! # Ok::<(), ReadError>(())
//! ```
//!
//! # Items by purpose
//!
//! | for | items |
//! |---|---|
//! | results for a frame | [`Inference`], [`InferenceValue`], [`InferenceKind`], [`Entity`], [`Event`], [`Classification`], [`Motion`], [`TextContent`], [`OtherContent`] |
//! | their parts | [`Tag`], [`Attribute`], [`Rectangle`], [`Extra`], [`Decimal`], [`BoundingBox`] |
//! | messages | [`AnalyticsBody`], [`add_timestamp`], [`Envelope`], [`EventProperties`], [`PropertiesMember`], [`body`], [`CONTENT_TYPE`], [`DATA_VERSION`] |
//! | names | [`EventName`], [`EventType`], [`TypeName`], [`EventClass`], [`ProductFamily`], [`EventTypeError`] |
//! | who reports | [`Subject`], [`NodeRole`], [`topic`], [`default_topic`], [`SubjectError`] |
//! | writing and reading | [`JsonStyle`], [`WithStyle`], [`ReadError`] |
//! | times | [`event_time`], [`parse_event_time`], [`TimeError`] |
//!
//! # Two styles
//!
//! The writer chooses a [`JsonStyle`]: Live Video Analytics wrote empty members of gRPC results and added `valueCase`, Video
//! Analyzer did neither. Reading accepts both. Responses of HTTP extensions are passed on as the server wrote them
//! ([`add_timestamp`]). Members of a [`serde_json::Value`] keep their order, and numbers their last bit, only in programs that
//! turn on `serde_json`'s features `preserve_order` and `float_roundtrip`; this crate leaves that to them.
//!
//! # Times
//!
//! `timestamp_90k` is ticks of 1/90000 s since 1970 UTC. An analytics event's `eventTime` is the media time of its frame,
//! rounded down to milliseconds.
//!
//! # Limits
//!
//! Nesting of JSON up to 128 levels. Numbers of boxes and confidences in double precision ([`Decimal`]), times in 64 bits.
//! Empty strings count as absent, as in proto. Ranges are not checked.
#![forbid(unsafe_code)]

mod analytics;
pub mod body;
mod decimal;
mod envelope;
mod event_type;
mod inference;
mod preview;
mod read;
mod style;
mod subject;
mod time;

pub use analytics::{AnalyticsBody, add_timestamp};
pub use decimal::Decimal;
pub use envelope::{CONTENT_TYPE, DATA_VERSION, Envelope, EventProperties, PropertiesMember};
pub use event_type::{EventClass, EventName, EventType, EventTypeError, ProductFamily, TypeName};
pub use inference::{
    Attribute, Classification, Entity, Event, Extra, Inference, InferenceKind, InferenceValue, Motion,
    OtherContent, Rectangle, Tag, TextContent,
};
pub use lva_media_types::BoundingBox;
pub use preview::PreviewNote;
pub use read::ReadError;
pub use style::{JsonStyle, WithStyle};
pub use subject::{NodeRole, Subject, SubjectError, default_topic, topic};
pub use time::{TimeError, event_time, parse_event_time};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

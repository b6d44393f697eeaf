//! Inference events, analytics messages and event envelopes of Live Video Analytics and Video Analyzer.
//!
//! What an extension says about a frame ([`Inference`]), what a graph says about itself ([`EventBody`]), how both are
//! wrapped ([`AnalyticsBody`], [`Envelope`]), named ([`EventType`], [`Subject`]) and dated ([`event_time`]): the
//! published words, once, so that no other part of the house spells them again.
//!
//! **A published event that is read and written again is the same JSON value.** Members that this crate does not know
//! are kept in `extra` and written again; what cannot be understood is a [`ReadError`] with its JSON pointer.
//!
//! What it is not: it does no I/O, sends nothing and stores nothing; it does not decide when an event happens; the
//! messages of the gRPC wire belong to `lva-extension-protocol`, which maps them to the types here.
//!
//! # Example
//!
//! ```
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
//! let event = Envelope::new(EventName::Inference, &default_topic(Generation::Lva), &subject, 143810610210090)
//!     .with_body(&EventBody::Analytics(body.clone()), JsonStyle::Lva);
//! let again = Envelope::from_slice(event.to_string().as_bytes())?;
//! assert_eq!(again.read_body()?, EventBody::Analytics(body));
//! # Ok::<(), ReadError>(())
//! ```
//!
//! # Two styles
//!
//! [`JsonStyle`] is chosen by the writer and never guessed: Live Video Analytics kept empty members of gRPC results
//! and added `valueCase`, Video Analyzer did neither. Reading takes both. Answers of HTTP extensions are passed on as
//! the server wrote them ([`stamp_http_answer`]); for the order of members and the last bit of numbers to survive, this
//! crate turns on `serde_json`'s features `preserve_order` and `float_roundtrip`.
//!
//! # Times
//!
//! `timestamp_90k` everywhere: ticks of 1/90000 s since 1970 UTC. An analytics event's `eventTime` is the media time of
//! its frame in whole milliseconds, rounded down.
//!
//! # Limits
//!
//! Nesting of JSON up to 128 levels. Numbers of boxes and confidences in double precision ([`Real`]), times in 64 bits.
//! Empty texts count as absent, as in proto. Ranges are not enforced: [`Inference::findings`] reports them.
#![forbid(unsafe_code)]

mod analytics;
mod body;
mod check;
mod envelope;
mod event_type;
mod inference;
mod log;
mod read;
mod real;
mod state_change;
mod style;
mod subject;
mod time;

pub use analytics::{AnalyticsBody, stamp_http_answer};
pub use body::{
    CodedError, DataDropped, EventBody, MediaFormatError, MediaSessionEstablished, OutputType, ProtocolError,
    Recording, RuntimeError, StorageError,
};
pub use check::{Finding, Problem};
pub use envelope::{CONTENT_TYPE, DATA_VERSION, Envelope, EventProperties, PropertiesMember};
pub use event_type::{EventClass, EventName, EventType, EventTypeError, Generation, TypeName};
pub use inference::{
    Attribute, Classification, Entity, Event, Extra, Inference, InferenceKind, InferenceValue, Motion,
    OtherContent, Rectangle, Tag, Text,
};
pub use log::{LogEvent, SystemProperties};
pub use read::ReadError;
pub use real::Real;
pub use state_change::{StateChange, StateReason};
pub use style::{JsonStyle, Styled};
pub use subject::{NodeRole, Subject, SubjectError, default_topic, topic};
pub use time::{
    TICKS_PER_MILLISECOND, TICKS_PER_SECOND, TimeError, event_time, from_unix_milliseconds, parse_event_time,
    unix_milliseconds,
};

/// Compiles the example of the crate's front page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

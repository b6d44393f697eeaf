//! People tracking, lines, zones and their events for video analytics, without clock or I/O.
//!
//! A detector finds people in one frame. This crate follows them over time: which box is the same person as before
//! ([`Tracker`]), who crossed which line in which direction and who entered or left which zone ([`Engine`]), and how the
//! published contract reports it (`report`, a feature). The lines and zones form a [`Scene`]; `lva-spatial-analysis` reads one from
//! the contract's configurations.
//!
//! **Every visit to a zone has exactly one enter and, once it has ended, exactly one exit after it; the same input gives
//! the same output, byte for byte.** Times come with the frames; nothing depends on the order of hashes, of detections or of
//! people.
//!
//! The crate never touches a pixel and runs no model. It handles one camera, and does not recognise people who come back
//! after [`TrackerOptions::lost_ms`].
//!
//! # Example
//!
//! ```
//! use lva_zones::*;
//!
//! let corners = [(0.4, 0.2), (0.6, 0.2), (0.6, 0.9), (0.4, 0.9)].map(|(x, y)| Point::new(x, y));
//! let line = CrossingLine::new("sill", Point::new(0.5, 0.2), Point::new(0.5, 0.9));
//! let scene = Scene::new(vec![Zone::new("door", corners)], vec![line], SceneOptions::default())?;
//! let mut tracker = Tracker::new(TrackerOptions::default());
//! let mut engine = Engine::new(scene);
//!
//! let mut log = Vec::new();
//! for frame in 0..60_u64 {
//!     let bbox = BoundingBox::new(0.015 * frame as f32, 0.3, 0.1, 0.4);
//!     let timestamp_90k = frame * 6000; // 15 frames a second
//!     let people = tracker.update(timestamp_90k, &[Detection { bbox, class: 0, score: 0.9 }])?;
//!     let events = engine.update(timestamp_90k, &people)?;
//!     log.extend(events.iter().map(|event| format!("{} {:?}", event.name, event.cause.reason)));
//! }
//! assert_eq!(log, ["door Crossed", "sill Crossed", "door Crossed"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rules
//!
//! * **Confirmation.** Unconfirmed tracks never count. When a track is confirmed, its earlier crossings are reported in that
//!   frame.
//! * **Position.** The [`Focus`] of a smoothed box. Feet that the frame's bottom cuts off are below it, as far as the person was
//!   high when last seen whole; zones and lines that reach the border go on below it.
//! * **Lines** are finite and directed. A crossing is reported when the person has been beyond a band on the new side for a
//!   hold time since the interpolated crossing. Jitter does not get that far; going round an end is not a crossing.
//! * **Zones** have a depth to enter and a distance to leave, the same hold, and report the edge crossed. People who appear
//!   inside enter and people who vanish inside leave without an edge; being unseen for less than the lost timeout is
//!   neither. A step through a whole zone between two frames is a visit. With the default threshold, who lingers at an edge is
//!   where they stand on average, once that is certain; who walks over it is not delayed.
//! * **Classes.** A track keeps the class that it began with; detections of other classes do not continue it. A line, a zone or one
//!   of its rules may be for some [`Classes`] alone: the others pass it without a trace.
//! * **Counts and distances** are of people with open visits; distances need a level [`ground`], which [`calibration`]
//!   can find from the people themselves.
//! * **Time.** An event has the time of the frame that confirmed it and the interpolated time when it happened.
//!
//! # Items by purpose
//!
//! | for | items |
//! |---|---|
//! | following people | [`Tracker`], [`TrackerOptions`], [`StationaryOptions`], [`Observation`], [`TrackId`], [`TrackerStats`], [`TrackerError`], [`Detection`], [`BoundingBox`] |
//! | describing a scene | [`Scene`], [`SceneOptions`], [`Zone`], [`CrossingLine`], [`Point`], [`Focus`], [`Threshold`], [`Trigger`], [`Outline`], [`OutlineKind`], [`SceneError`], [`SceneWarning`], [`SceneFinding`] |
//! | what to report of it | [`CountRule`], [`DwellRule`], [`DistanceRule`], [`Aggregation`], [`Classes`] |
//! | events | [`Engine`], [`SpatialEvent`], [`EventKind`], [`Direction`], [`LineCounts`], [`EngineStats`], [`EngineError`], [`event`], `report` |
//! | the ground | [`ground`], [`calibration`] |
//! | limits | [`MAX_ELEMENTS`], [`MAX_CORNERS`], [`MAX_NAME_CHARS`], [`MAX_DWELL_LIMITS`], [`MAX_DETECTIONS`], [`MAX_TRACKS`], [`MAX_PEOPLE`], [`MAX_WATCHED`], [`DEFAULT_THRESHOLD`] |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `inferences` | no | events and people as the contract's inferences (`report::Reporter`); needs `lva-inference-schema` |
//! | `container-messages` | no | the messages that the spatial-analysis container sends to a hub (`report::ContainerReporter`); turns on `inferences`, needs `serde_json` |
//! | `serde` | no | `Serialize` for [`TrackerStats`] and [`EngineStats`] |
//!
//! # Limits
//!
//! [`MAX_ELEMENTS`] lines and zones, [`MAX_CORNERS`] corners, [`MAX_DETECTIONS`] detections and [`MAX_PEOPLE`] people a
//! frame, [`MAX_TRACKS`] tracks, [`MAX_WATCHED`] people remembered. What exceeds them is an error or counted
//! ([`TrackerStats`], [`EngineStats`]).
#![forbid(unsafe_code)]

pub mod calibration;
mod classes;
mod engine;
pub mod event;
mod geometry;
pub mod ground;
mod observation;
mod overlap;
mod point;
#[cfg(feature = "inferences")]
pub mod report;
mod scene;
mod time;
mod tracker;

pub use classes::Classes;
pub use engine::{Engine, EngineError, EngineStats, LineCounts, MAX_PEOPLE, MAX_WATCHED};
pub use event::{EventKind, SpatialEvent};
pub use geometry::Direction;
pub use lva_media_types::{BoundingBox, Detection};
pub use observation::{Observation, TrackId};
pub use point::{Focus, Point};
pub use scene::{
    Aggregation, CountRule, CrossingLine, DEFAULT_THRESHOLD, DistanceRule, DwellRule, MAX_CORNERS,
    MAX_DWELL_LIMITS, MAX_ELEMENTS, MAX_NAME_CHARS, Outline, OutlineKind, Scene, SceneError, SceneFinding,
    SceneOptions, SceneWarning, Threshold, Trigger, Zone,
};
pub use tracker::{
    MAX_DETECTIONS, MAX_TRACKS, StationaryOptions, Tracker, TrackerError, TrackerOptions, TrackerStats,
};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

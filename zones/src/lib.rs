//! People tracking, lines, zones and their events for video analytics, without clock or I/O.
//!
//! A detector says where people are in one frame. This crate says what that means over time: which box is the same
//! person as before ([`Tracker`]), who crossed which line in which direction and who entered or left which zone
//! ([`Engine`]), and how the published contract tells it ([`Reporter`]). What is watched comes from a [`Scene`], written by
//! hand or read from the contract's configuration ([`read_config`]).
//!
//! **Every visit to a zone has exactly one enter and, once it has ended, exactly one exit after it; the same input gives
//! the same output, byte for byte.** Times come with the frames; nothing depends on the order of hashes, of detections or of people.
//!
//! What it is not: it never touches a pixel and runs no model. It knows one camera, and nobody from before.
//!
//! # Example
//!
//! ```
//! use lva_zones::*;
//!
//! let config = r#"{"zones": [{"name": "door", "polygon": [[0.4,0.2],[0.6,0.2],[0.6,0.9],[0.4,0.9]]}],
//!                  "lines": [{"name": "sill", "line": {"start": {"x": 0.5, "y": 0.2}, "end": {"x": 0.5, "y": 0.9}}}]}"#;
//! let configured = read_config(config.into(), ConfigOptions::default())?;
//! let mut tracker = Tracker::new(TrackerOptions::default());
//! let mut engine = Engine::new(configured.scene);
//! let mut reporter = Reporter::new(EventProfile::Tutorial2020, IdSource::new(7));
//!
//! let mut words = Vec::new();
//! for frame in 0..60_u64 {
//!     let bbox = BoundingBox::new(0.015 * frame as f32, 0.3, 0.1, 0.4);
//!     let timestamp_90k = frame * 6000; // 15 frames a second
//!     let people = tracker.update(timestamp_90k, &[Detection { bbox, class: 0, score: 0.9 }])?;
//!     let events = engine.update(timestamp_90k, &people)?;
//!     let inferences = reporter.report(&events); // entities and events, for the message of this frame
//!     assert_eq!(inferences.is_empty(), events.is_empty());
//!     words.extend(events.iter().map(|event| format!("{} {:?}", event.name, event.why.reason)));
//! }
//! assert_eq!(words, ["door Crossed", "sill Crossed", "door Crossed"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it decides
//!
//! * **Who counts.** Unconfirmed tracks never do. When one is confirmed, what it did before is counted, in the frame of
//!   the confirmation.
//! * **Where somebody is.** The [`Focus`] of a filtered box. Feet that the frame's bottom cuts off are nowhere: what was
//!   known stays so.
//! * **Lines** are finite and directed. A crossing is told when the new side has been reached beyond a band and held for a
//!   time since the interpolated crossing. Jitter does not get that far; walking round an end is not a crossing.
//! * **Zones** have a band inwards to enter and one outwards to leave, the same hold, and the edge crossed. Who appears
//!   inside enters and who vanishes inside leaves, without edge; being unseen for less than the grace is neither. A step
//!   through a whole zone between two frames is a visit.
//! * **Everybody in a zone.** Counts and distances of the people whose visits are open; distances on a level [`Ground`].
//! * **Time.** An event has the time of the frame that confirmed it and the interpolated time of what happened.
//!
//! # Limits
//!
//! [`MAX_ELEMENTS`] lines and zones, [`MAX_CORNERS`] corners, [`MAX_DETECTIONS`] detections and [`MAX_PEOPLE`] people a
//! frame, [`MAX_TRACKS`] tracks, [`MAX_WATCHED`] people remembered. What is left out beyond them is counted
//! ([`TrackerStats`], [`EngineStats`]) or an error.
#![forbid(unsafe_code)]

mod config;
mod engine;
mod event;
mod geometry;
mod ground;
mod heat_map;
mod ids;
mod observation;
mod picture;
mod replay;
mod report;
mod scene;
mod tracker;

pub use config::{
    ConfigError, ConfigFinding, ConfigOptions, Configured, Operation, OperationError, PROCESSED_WIDTH,
    read_config,
};
pub use engine::{Engine, EngineError, EngineStats, LineCounts, MAX_PEOPLE, MAX_WATCHED};
pub use event::{
    Direction, DistanceReport, DistanceState, DwellTime, EventKind, Reason, SpatialEvent, VisitSpeed, Why,
};
pub use ground::{
    Calibration, CalibrationError, Calibrator, CalibratorOptions, FEET_PER_METRE, Ground, GroundError,
    GroundPoint, HomographyError, MAX_CORRESPONDENCES, PERSON_HEIGHT_FT, PinholeCamera, Place,
};
pub use heat_map::{FlowMatrix, HeatMap, MAX_FLOWING, MAX_HEAT_CELLS};
pub use ids::IdSource;
pub use observation::{BoundingBox, Detection, Observation, Point, TrackId};
pub use picture::{MAX_TRAIL, Paint, Primitive, Sketch, svg};
pub use replay::{MAX_CASE_BYTES, MAX_CASE_FRAMES, replay_case};
pub use report::{
    ContainerReporter, ContainerSchema, EventProfile, LineCrossingReporter, Reporter, SourceInfo, Winding,
};
pub use scene::{
    AUTO_SHARE, Aggregation, CountWatch, CrossingLine, DEFAULT_THRESHOLD, DistanceWatch, DwellWatch, Focus,
    MAX_CORNERS, MAX_DWELL_LIMITS, MAX_ELEMENTS, MAX_OPENINGS, Opening, Outline, OutlineKind, Scene,
    SceneError, SceneOptions, SceneWarning, Schedule, Threshold, Trigger, Weekday, Zone,
};
pub use tracker::{
    MAX_DETECTIONS, MAX_TRACKS, StationaryOptions, Tracker, TrackerError, TrackerOptions, TrackerStats,
};

/// Compiles the example of the crate's front page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

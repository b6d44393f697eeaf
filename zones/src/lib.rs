//! People tracking, lines, zones and their events for video analytics, without clock or I/O.
#![forbid(unsafe_code)]

mod config;
mod engine;
mod event;
mod geometry;
mod ids;
mod observation;
mod report;
mod scene;
mod tracker;

pub use config::{
    ConfigError, ConfigFinding, ConfigOptions, Configured, Operation, OperationError, PROCESSED_WIDTH,
    read_config,
};
pub use engine::{Engine, EngineError, EngineStats, MAX_PEOPLE, MAX_WATCHED};
pub use event::{Direction, EventKind, Reason, SpatialEvent, Why};
pub use ids::IdSource;
pub use observation::{BoundingBox, Detection, Observation, Point, TrackId};
pub use report::{EventProfile, Reporter};
pub use scene::{
    CrossingLine, DEFAULT_THRESHOLD, Focus, MAX_CORNERS, MAX_ELEMENTS, Scene, SceneError, SceneOptions,
    SceneWarning, Zone,
};
pub use tracker::{MAX_DETECTIONS, MAX_TRACKS, Tracker, TrackerError, TrackerOptions, TrackerStats};

//! What the spatial-analysis container is asked to look for.

use crate::sensitive::SensitiveString;
use crate::string_enum::string_enum;

/// A point in fractions of the frame, origin at the top left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// From the left edge, 0..=1.
    pub x: f64,
    /// From the top edge, 0..=1.
    pub y: f64,
}

/// A line with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedLine {
    /// Its name; events have it.
    pub name: String,
    /// Where it begins.
    pub start: Point,
    /// Where it ends.
    pub end: Point,
}

/// A zone with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedPolygon {
    /// Its name; events have it.
    pub name: String,
    /// Its corners, at least three; the first one is not repeated at the end.
    pub points: Vec<Point>,
}

/// A line or zone, and what is watched there.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched<W, E> {
    /// The line or zone.
    pub at: W,
    /// What is watched; empty where the document leaves it to the container.
    pub events: Vec<E>,
}

/// What the container looks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Counts people in zones.
    PersonCount {
        /// For the container.
        settings: OperationSettings,
        /// At least one zone.
        zones: Vec<Watched<NamedPolygon, CountEvent>>,
    },
    /// Says who enters, leaves and stays in zones.
    PersonZoneCrossing {
        /// For the container.
        settings: OperationSettings,
        /// At least one zone.
        zones: Vec<Watched<NamedPolygon, ZoneCrossingEvent>>,
    },
    /// Measures distances between people in zones.
    PersonDistance {
        /// For the container.
        settings: OperationSettings,
        /// At least one zone.
        zones: Vec<Watched<NamedPolygon, DistanceEvent>>,
    },
    /// Says who crosses lines.
    PersonLineCrossing {
        /// For the container.
        settings: OperationSettings,
        /// At least one line.
        lines: Vec<Watched<NamedLine, LineCrossingEvent>>,
    },
    /// A configuration in the container's own words.
    Custom {
        /// A JSON text.
        configuration: SensitiveString,
    },
}

/// What the typed operations have in common: JSON texts that go to the container as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OperationSettings {
    /// Whether the container says more.
    pub debug: bool,
    /// Whether it looks for face masks.
    pub enable_face_mask_classifier: bool,
    /// `cameraConfiguration`.
    pub camera: Option<SensitiveString>,
    /// `detectorNodeConfiguration`.
    pub detector: Option<SensitiveString>,
    /// `trackerNodeConfiguration`.
    pub tracker: Option<SensitiveString>,
    /// `calibrationConfiguration`.
    pub calibration: Option<SensitiveString>,
    /// `cameraCalibratorNodeConfiguration`.
    pub camera_calibrator: Option<SensitiveString>,
}

string_enum! {
    /// Which point of a person counts.
    pub enum Focus {
        /// The middle of the box.
        Center = "center",
        /// The middle of its lower edge.
        BottomCenter = "bottomCenter",
        /// Where the person stands.
        Footprint = "footprint",
    }
}

string_enum! {
    /// When counts and distances are told.
    pub enum EventTrigger {
        /// When they change.
        Event = "event",
        /// Periodically.
        Interval = "interval",
    }
}

string_enum! {
    /// What is told of a zone.
    pub enum ZoneEventType {
        /// Entering and leaving.
        ZoneCrossing = "zoneCrossing",
        /// The time between the two.
        ZoneDwellTime = "zoneDwellTime",
    }
}

/// Counting in a zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountEvent {
    /// The container's threshold; its default where `None`.
    pub threshold: Option<f64>,
    /// Which point counts; footprint where the document says nothing.
    pub focus: Focus,
    /// When; the container's default where `None`.
    pub trigger: Option<EventTrigger>,
    /// Every how many events one is told.
    pub output_frequency: Option<u32>,
}

/// Crossing of a zone's edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ZoneCrossingEvent {
    /// The container's threshold; its default where `None`.
    pub threshold: Option<f64>,
    /// Which point counts; footprint where the document says nothing.
    pub focus: Focus,
    /// What is told; crossing where the document says nothing.
    pub event_type: ZoneEventType,
}

/// Distances in a zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceEvent {
    /// Threshold, point, trigger and frequency as for counts.
    pub count: CountEvent,
    /// Feet below which people are too close.
    pub minimum_distance: Option<f64>,
    /// Feet above which people are too far.
    pub maximum_distance: Option<f64>,
}

/// Crossing of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineCrossingEvent {
    /// The container's threshold; its default where `None`.
    pub threshold: Option<f64>,
    /// Which point counts; footprint where the document says nothing.
    pub focus: Focus,
}

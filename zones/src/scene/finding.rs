//! What can be wrong or odd about a scene.

use crate::observation::Point;
use thiserror::Error;

/// Something wrong with one line or zone.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SceneError {
    /// A zone has no area to be in.
    #[error("zone {zone:?}: polygon has {corners} different corners; give at least 3")]
    TooFewCorners {
        /// Its name.
        zone: String,
        /// Corners after removing the closing one and repeated ones.
        corners: usize,
    },
    /// A zone's outline crosses or touches itself.
    #[error("zone {zone:?}: polygon crosses itself, edges {first} and {second} meet; reorder its corners")]
    SelfCrossing {
        /// Its name.
        zone: String,
        /// One edge, counted from 1: edge 1 runs from the first corner to the second.
        first: usize,
        /// The other edge.
        second: usize,
    },
    /// A line has no direction.
    #[error("line {line:?}: start and end are the same point; move one of them")]
    NoLength {
        /// Its name.
        line: String,
    },
    /// A coordinate or a threshold that is no number, or absurd.
    #[error("{element:?}: {member} is {value}; give a finite number, {expected}")]
    BadNumber {
        /// Name of the zone or line.
        element: String,
        /// Name of the member.
        member: &'static str,
        /// What it is.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// Two lines or zones of the same name.
    #[error("name {name:?} is used twice; lines and zones share their names' space, rename one")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A line or zone without name.
    #[error("{kind} number {number} has no name; give it one, events carry it")]
    NoName {
        /// `zone` or `line`.
        kind: &'static str,
        /// Counted from 1.
        number: usize,
    },
    /// More lines, zones or corners than the limits.
    #[error("{what}: {count} is more than the limit of {limit}")]
    TooMany {
        /// Of what.
        what: String,
        /// How many.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// Something odd that does not prevent a scene from working.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SceneWarning {
    /// A corner or end lies outside the frame.
    OutsideFrame {
        /// Name of the zone or line.
        element: String,
        /// The point.
        point: Point,
    },
    /// No point of the zone is deep enough to enter it.
    TooShallow {
        /// Its name.
        zone: String,
        /// Its enter depth.
        enter_depth: f64,
        /// About the greatest depth in it.
        greatest_depth: f64,
    },
}

impl std::fmt::Display for SceneWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutsideFrame { element, point } => {
                write!(
                    f,
                    "{element:?}: point ({}, {}) lies outside the frame, which is 0 to 1",
                    point.x, point.y
                )
            }
            Self::TooShallow {
                zone,
                enter_depth,
                greatest_depth,
            } => write!(
                f,
                "zone {zone:?}: threshold {enter_depth:.4} of the width, but nowhere is it deeper than about {greatest_depth:.4}: nobody will enter; lower the threshold or draw it larger"
            ),
        }
    }
}

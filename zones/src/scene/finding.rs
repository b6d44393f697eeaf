//! Errors and warnings about a scene.

use super::MAX_NAME_CHARS;
use crate::point::Point;
use std::fmt;
use thiserror::Error;

/// A scene that cannot be used. Its text has each finding on a line of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneError {
    findings: Vec<SceneFinding>,
}

impl SceneError {
    pub(super) fn new(findings: Vec<SceneFinding>) -> Self {
        Self { findings }
    }

    /// Everything that is wrong, at least one.
    pub fn findings(&self) -> &[SceneFinding] {
        &self.findings
    }
}

impl std::error::Error for SceneError {}

impl fmt::Display for SceneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            write!(f, "{}{finding}", if index > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

/// An error in one line or zone.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SceneFinding {
    /// A zone without area.
    #[error("zone {zone:?}: polygon has {corners} different corners; give at least 3")]
    TooFewCorners {
        /// Its name.
        zone: String,
        /// Corners after removing the closing one and repeated ones.
        corners: usize,
    },
    /// All corners of a zone lie on one line, but for a ten-thousandth of the frame's width.
    #[error("zone {zone:?}: all corners of polygon lie on one line; give corners around an area")]
    NoArea {
        /// Its name.
        zone: String,
    },
    /// The polygon of a zone crosses or touches itself.
    #[error("zone {zone:?}: polygon crosses itself, edges {first} and {second} meet; reorder its corners")]
    SelfCrossing {
        /// Its name.
        zone: String,
        /// One edge, counted from 1: edge 1 runs from the first corner to the second.
        first: usize,
        /// The other edge.
        second: usize,
    },
    /// A line without direction: shorter than a ten-thousandth of the frame's width.
    #[error("line {line:?}: start and end are the same point; move one of them")]
    NoLength {
        /// Its name.
        line: String,
    },
    /// A coordinate or a threshold that is not finite or out of range.
    #[error("{element:?}: {member} is {value}; give a finite number, {expected}")]
    BadNumber {
        /// Name of the zone or line.
        element: String,
        /// Name of the member.
        member: &'static str,
        /// Its value.
        value: f64,
        /// The allowed values.
        expected: &'static str,
    },
    /// Two lines or zones with the same name.
    #[error("name {name:?} is used twice; lines and zones share one namespace, rename one")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A line or zone without a name.
    #[error("{kind} number {number} has no name; give it one, its events carry the name")]
    NoName {
        /// `zone` or `line`.
        kind: &'static str,
        /// Counted from 1.
        number: usize,
    },
    /// A name that is too long for the events that carry it.
    #[error(
        "{kind} number {number} has a name of more than {MAX_NAME_CHARS} characters; shorten it, its events carry it"
    )]
    LongName {
        /// `zone` or `line`.
        kind: &'static str,
        /// Counted from 1.
        number: usize,
    },
    /// A name with control characters, or marks that change the direction of what follows: line breaks, escape sequences.
    #[error(
        "{kind} number {number} has a control character in its name; remove it, logs and events carry the name"
    )]
    ControlInName {
        /// `zone` or `line`.
        kind: &'static str,
        /// Counted from 1.
        number: usize,
    },
    /// More lines, zones or corners than the limits.
    #[error("{what}: {count} is more than the limit of {limit}")]
    TooMany {
        /// What there are too many of.
        what: String,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

/// Something unusual that does not prevent a scene from working.
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
    /// No point of the zone is as deep as its threshold.
    TooShallow {
        /// Its name.
        zone: String,
        /// Its enter depth.
        enter_depth: f64,
        /// Its greatest depth, approximately.
        greatest_depth: f64,
    },
    /// No point of the zone lies in the frame.
    OutOfFrame {
        /// Its name.
        zone: String,
    },
}

impl fmt::Display for SceneWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideFrame { element, point } => {
                write!(
                    f,
                    "{element:?}: point ({}, {}) lies outside the frame, which is 0 to 1",
                    point.x, point.y
                )
            }
            Self::OutOfFrame { zone } => write!(
                f,
                "zone {zone:?}: lies outside the frame and can never be entered; the frame is 0 to 1 in both directions"
            ),
            Self::TooShallow {
                zone,
                enter_depth,
                greatest_depth,
            } => write!(
                f,
                "zone {zone:?}: threshold {enter_depth:.4} of the width, but the zone is at most about {greatest_depth:.4} deep and can never be entered; lower the threshold or enlarge the zone"
            ),
        }
    }
}

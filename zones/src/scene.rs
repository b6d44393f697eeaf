//! The configured lines and zones, checked once.

use crate::geometry::{Area, Plane, Segment, self_crossing};
use crate::observation::{Point, ticks_of_ms};
use std::sync::Arc;
use thiserror::Error;

/// The point of a person's box that stands for the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Focus {
    /// Where the feet touch the ground: a little above the bottom of the box. The contract's default for lines and
    /// zones.
    #[default]
    Footprint,
    /// Middle of the bottom edge.
    BottomCenter,
    /// Middle of the box.
    Center,
}

/// How far beyond a boundary a person must be to have passed it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Threshold {
    /// [`DEFAULT_THRESHOLD`] of the frame's width, or [`AUTO_SHARE`] of the person's height where that is less: jitter
    /// of boxes grows with their size, and far people move little in the picture. The default.
    #[default]
    Auto,
    /// A share of the frame's width, from 0 to below 1. Too small: jitter counts; too large: late events, and none at
    /// all where nobody gets as far.
    Width(f64),
}

impl Threshold {
    /// In units of the frame's width, for a person of this height in the same units.
    pub(crate) fn for_height(self, height: f64) -> f64 {
        match self {
            Self::Auto => DEFAULT_THRESHOLD.min(AUTO_SHARE * height),
            Self::Width(width) => width,
        }
    }

    /// Its largest value, whoever it is for.
    fn largest(self) -> f64 {
        match self {
            Self::Auto => DEFAULT_THRESHOLD,
            Self::Width(width) => width,
        }
    }
}

/// A polygon to be entered and left.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// Name, unique among zones and lines.
    pub name: String,
    /// Corners; open or closed by repeating the first, either way round. At least three, no crossing edges.
    pub polygon: Vec<Point>,
    /// Which point of a person counts.
    pub focus: Focus,
    /// How deep inside a person must be to have entered.
    pub enter_depth: Threshold,
    /// How far outside a person must be to have left.
    pub exit_depth: Threshold,
}

impl Zone {
    /// A zone with the defaults.
    pub fn new(name: impl Into<String>, polygon: impl IntoIterator<Item = Point>) -> Self {
        Self {
            name: name.into(),
            polygon: polygon.into_iter().collect(),
            focus: Focus::default(),
            enter_depth: Threshold::default(),
            exit_depth: Threshold::default(),
        }
    }
}

/// A directed line to be crossed, between its ends only.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossingLine {
    /// Name, unique among zones and lines.
    pub name: String,
    /// Where someone stands who looks along the line.
    pub start: Point,
    /// Where that one looks to. Left and right are theirs.
    pub end: Point,
    /// Which point of a person counts.
    pub focus: Focus,
    /// How far beyond the line a person must be to have crossed it.
    pub band: Threshold,
}

impl CrossingLine {
    /// A line with the defaults.
    pub fn new(name: impl Into<String>, start: Point, end: Point) -> Self {
        Self {
            name: name.into(),
            start,
            end,
            focus: Focus::default(),
            band: Threshold::default(),
        }
    }
}

/// Dead band of [`Threshold::Auto`] for people near the camera, as a share of the frame's width.
pub const DEFAULT_THRESHOLD: f64 = 0.004;

/// Dead band of [`Threshold::Auto`] for people far from it, as a share of their height.
pub const AUTO_SHARE: f64 = 0.04;

/// Most lines and zones of a scene together.
pub const MAX_ELEMENTS: usize = 256;

/// Most corners of a zone.
pub const MAX_CORNERS: usize = 256;

/// What is common to all lines and zones of a scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneOptions {
    /// Width of the frame by its height. Default 16/9. Distances are wrong in one direction when it is.
    pub aspect: f64,
    /// How long a person must have been on the new side, counted from the interpolated crossing. Default 200 ms; 0:
    /// at once, as the original did. Longer holds away more jitter and reports later.
    pub hold_ms: u64,
    /// How long a person may be unseen and still be where they were. Default 1500 ms: at 2 frames a second a single
    /// missed frame makes a gap of a second. Too short: visits break behind every post; too long: exits of people who
    /// vanished are late.
    pub lost_grace_ms: u64,
    /// Whether a step that passes through a whole zone between two frames is a visit. Default true.
    pub jump_through: bool,
}

impl Default for SceneOptions {
    fn default() -> Self {
        Self {
            aspect: 16.0 / 9.0,
            hold_ms: 200,
            lost_grace_ms: 1500,
            jump_through: true,
        }
    }
}

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

/// What of a zone or a line can be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Name of the zone or line.
    pub name: String,
    /// A zone's corners, each once, or a line's start and end, in fractions of the frame.
    pub points: Vec<Point>,
}

/// Checked lines and zones.
#[derive(Debug, Clone)]
pub struct Scene {
    pub(crate) plane: Plane,
    pub(crate) zones: Vec<CheckedZone>,
    pub(crate) lines: Vec<CheckedLine>,
    pub(crate) hold: u64,
    pub(crate) lost_grace: u64,
    pub(crate) jump_through: bool,
    warnings: Vec<SceneWarning>,
    options: SceneOptions,
}

#[derive(Debug, Clone)]
pub(crate) struct CheckedZone {
    pub(crate) name: Arc<str>,
    pub(crate) area: Area,
    pub(crate) focus: Focus,
    pub(crate) enter_depth: Threshold,
    pub(crate) exit_depth: Threshold,
}

#[derive(Debug, Clone)]
pub(crate) struct CheckedLine {
    pub(crate) name: Arc<str>,
    pub(crate) segment: Segment,
    pub(crate) focus: Focus,
    pub(crate) band: Threshold,
}

impl Scene {
    /// Checks zones and lines.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    ///
    /// ```
    /// use lva_zones::{Point, Scene, SceneOptions, Zone};
    ///
    /// let bow_tie = [(0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)].map(|(x, y)| Point::new(x, y));
    /// let errors = Scene::new(vec![Zone::new("door", bow_tie)], vec![], SceneOptions::default()).unwrap_err();
    /// assert_eq!(
    ///     errors[0].to_string(),
    ///     "zone \"door\": polygon crosses itself, edges 1 and 3 meet; reorder its corners"
    /// );
    /// ```
    pub fn new(
        zones: Vec<Zone>,
        lines: Vec<CrossingLine>,
        options: SceneOptions,
    ) -> Result<Self, Vec<SceneError>> {
        let mut errors = Vec::new();
        let mut warnings = Vec::new();
        let aspect_fits = (0.01..=100.0).contains(&options.aspect);
        if !aspect_fits {
            errors.push(SceneError::BadNumber {
                element: "scene".to_owned(),
                member: "aspect",
                value: options.aspect,
                expected: "0.01 to 100",
            });
        }
        let count = zones.len().saturating_add(lines.len());
        if count > MAX_ELEMENTS {
            let what = "zones and lines of a scene".to_owned();
            return Err(vec![SceneError::TooMany {
                what,
                count,
                limit: MAX_ELEMENTS,
            }]);
        }
        names(&zones, &lines, &mut errors);
        let plane = Plane::new(if aspect_fits { options.aspect } else { 1.0 });
        let zones: Vec<_> = zones
            .into_iter()
            .filter_map(|z| zone(z, plane, &mut errors, &mut warnings))
            .collect();
        let lines: Vec<_> = lines
            .into_iter()
            .filter_map(|l| line(l, plane, &mut errors, &mut warnings))
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            plane,
            zones,
            lines,
            hold: ticks_of_ms(options.hold_ms),
            lost_grace: ticks_of_ms(options.lost_grace_ms),
            jump_through: options.jump_through,
            warnings,
            options,
        })
    }

    /// What is odd about the scene and worth a line in a log.
    pub fn warnings(&self) -> &[SceneWarning] {
        &self.warnings
    }

    /// What is common to all lines and zones.
    pub fn options(&self) -> &SceneOptions {
        &self.options
    }

    /// Names of the zones, in order.
    pub fn zone_names(&self) -> impl Iterator<Item = &str> {
        self.zones.iter().map(|zone| &*zone.name)
    }

    /// Names of the lines, in order.
    pub fn line_names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| &*line.name)
    }

    /// Every zone and line with its corners, for whoever draws the scene.
    pub fn outlines(&self) -> Vec<Outline> {
        let zones = self.zones.iter().map(|zone| (&zone.name, zone.area.corners()));
        let lines = self
            .lines
            .iter()
            .map(|line| (&line.name, line.segment.ends().to_vec()));
        zones
            .chain(lines)
            .map(|(name, corners)| Outline {
                name: name.to_string(),
                points: corners.into_iter().map(|c| self.plane.point(c)).collect(),
            })
            .collect()
    }

    /// Whether there is nothing to watch.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty() && self.lines.is_empty()
    }
}

fn names(zones: &[Zone], lines: &[CrossingLine], errors: &mut Vec<SceneError>) {
    let all = zones.iter().map(|z| ("zone", &z.name)).enumerate();
    let all = all.chain(lines.iter().map(|l| ("line", &l.name)).enumerate());
    let mut seen = std::collections::BTreeSet::new();
    for (index, (kind, name)) in all {
        if name.is_empty() {
            errors.push(SceneError::NoName {
                kind,
                number: index + 1,
            });
        } else if !seen.insert(name) {
            errors.push(SceneError::DuplicateName { name: name.clone() });
        }
    }
}

/// Coordinates far outside are mistakes of unit; near outside they are meant.
fn check_points(
    element: &str,
    member: &'static str,
    points: &[Point],
    errors: &mut Vec<SceneError>,
    warnings: &mut Vec<SceneWarning>,
) -> bool {
    let before = errors.len();
    for point in points {
        for value in [point.x, point.y] {
            // Not a range check of its own: NaN must fail it.
            if !(-2.0..=3.0).contains(&value) {
                errors.push(SceneError::BadNumber {
                    element: element.to_owned(),
                    member,
                    value,
                    expected: "a fraction of the frame, 0 to 1",
                });
            }
        }
        if !(0.0..=1.0).contains(&point.x) || !(0.0..=1.0).contains(&point.y) {
            warnings.push(SceneWarning::OutsideFrame {
                element: element.to_owned(),
                point: *point,
            });
        }
    }
    errors.len() == before
}

fn check_share(element: &str, member: &'static str, threshold: Threshold, errors: &mut Vec<SceneError>) {
    let value = threshold.largest();
    if !(0.0..1.0).contains(&value) {
        let expected = "a share of the frame's width, 0 to below 1";
        errors.push(SceneError::BadNumber {
            element: element.to_owned(),
            member,
            value,
            expected,
        });
    }
}

fn zone(
    zone: Zone,
    plane: Plane,
    errors: &mut Vec<SceneError>,
    warnings: &mut Vec<SceneWarning>,
) -> Option<CheckedZone> {
    let name = zone.name;
    check_share(&name, "threshold", zone.enter_depth, errors);
    check_share(&name, "exit threshold", zone.exit_depth, errors);
    let count = zone.polygon.len();
    if count > MAX_CORNERS {
        errors.push(SceneError::TooMany {
            what: format!("corners of zone {name:?}"),
            count,
            limit: MAX_CORNERS,
        });
        return None;
    }
    if !check_points(&name, "polygon", &zone.polygon, errors, warnings) {
        return None;
    }
    let mut corners = zone.polygon;
    corners.dedup();
    if corners.len() > 1 && corners.first() == corners.last() {
        corners.pop();
    }
    if corners.len() < 3 {
        errors.push(SceneError::TooFewCorners {
            zone: name,
            corners: corners.len(),
        });
        return None;
    }
    let flat: Vec<_> = corners.into_iter().map(|corner| plane.flat(corner)).collect();
    if let Some((first, second)) = self_crossing(&flat) {
        errors.push(SceneError::SelfCrossing {
            zone: name,
            first,
            second,
        });
        return None;
    }
    let area = Area::new(flat);
    let greatest_depth = area.greatest_depth();
    let enter_depth = zone.enter_depth.largest();
    if greatest_depth <= enter_depth && zone.enter_depth != Threshold::Auto {
        let zone = name.clone();
        warnings.push(SceneWarning::TooShallow {
            zone,
            enter_depth,
            greatest_depth,
        });
    }
    Some(CheckedZone {
        name: name.into(),
        area,
        focus: zone.focus,
        enter_depth: zone.enter_depth,
        exit_depth: zone.exit_depth,
    })
}

fn line(
    line: CrossingLine,
    plane: Plane,
    errors: &mut Vec<SceneError>,
    warnings: &mut Vec<SceneWarning>,
) -> Option<CheckedLine> {
    let name = line.name;
    check_share(&name, "threshold", line.band, errors);
    if !check_points(&name, "line", &[line.start, line.end], errors, warnings) {
        return None;
    }
    if line.start == line.end {
        errors.push(SceneError::NoLength { line: name });
        return None;
    }
    let segment = Segment::new(plane.flat(line.start), plane.flat(line.end));
    Some(CheckedLine {
        name: name.into(),
        segment,
        focus: line.focus,
        band: line.band,
    })
}

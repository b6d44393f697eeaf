//! The configured lines and zones, checked once.

mod check;
mod finding;
mod schedule;
mod watch;

use crate::geometry::{Area, Plane, Segment};
use crate::ground::Ground;
use crate::observation::{Point, ticks_of_ms};
pub use finding::{SceneError, SceneWarning};
pub use schedule::{MAX_OPENINGS, Opening, Schedule, Weekday};
pub use watch::{Aggregation, CountWatch, DistanceWatch, DwellWatch, MAX_DWELL_LIMITS, Trigger};
pub(crate) use watch::{CheckedLine, CheckedZone};

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
    /// Whether entering and leaving are told. Default true.
    pub crossings: bool,
    /// Only every so many-th entering or leaving is told; 0 counts as 1, the default.
    pub every_nth: u32,
    /// Whether the time of each visit is told when it ends, and when it lasts too long. Default: not.
    pub dwell: Option<DwellWatch>,
    /// Whether the number of people inside is told. Default: not.
    pub count: Option<CountWatch>,
    /// Whether people who are too close or too far are told. Default: not. Needs [`Scene::with_ground`].
    pub distance: Option<DistanceWatch>,
    /// When the zone is watched. Default: always.
    pub schedule: Schedule,
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
            crossings: true,
            every_nth: 1,
            dwell: None,
            count: None,
            distance: None,
            schedule: Schedule::default(),
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
    /// Only every so many-th crossing is told; 0 counts as 1, the default.
    pub every_nth: u32,
    /// When the line is watched. Default: always.
    pub schedule: Schedule,
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
            every_nth: 1,
            schedule: Schedule::default(),
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
    /// How long somebody who was seen inside a zone first must have been there to have entered; never shorter than
    /// [`hold_ms`](Self::hold_ms), and the default 0 is as long as that. Whoever comes on foot crosses an edge: what
    /// appears inside is mostly a second box for somebody, and gone after some frames.
    pub appear_ms: u64,
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
            appear_ms: 0,
            lost_grace_ms: 1500,
            jump_through: true,
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
    /// Which of both it is.
    pub kind: OutlineKind,
}

/// What an [`Outline`] is the outline of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutlineKind {
    /// A zone: the points are the corners of a ring.
    Zone,
    /// A directed line: the points are its start and its end.
    Line,
}

/// Checked lines and zones.
#[derive(Debug, Clone)]
pub struct Scene {
    pub(crate) plane: Plane,
    pub(crate) zones: Vec<CheckedZone>,
    pub(crate) lines: Vec<CheckedLine>,
    pub(crate) hold: u64,
    pub(crate) appear: u64,
    pub(crate) lost_grace: u64,
    pub(crate) jump_through: bool,
    pub(crate) ground: Option<Ground>,
    outlines: Vec<Outline>,
    warnings: Vec<SceneWarning>,
    options: SceneOptions,
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
        check::names(&zones, &lines, &mut errors);
        let plane = Plane::new(if aspect_fits { options.aspect } else { 1.0 });
        let mut outlines = Vec::new();
        let mut checked_zones = Vec::new();
        for zone in zones {
            if let Some((outline, mut checked)) = check::zone(zone, plane, &mut errors, &mut warnings) {
                outlines.push(outline);
                checked_zones.append(&mut checked);
            }
        }
        let mut checked_lines = Vec::new();
        for line in lines {
            if let Some((outline, checked)) = check::line(line, plane, &mut errors, &mut warnings) {
                outlines.push(outline);
                checked_lines.push(checked);
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            plane,
            zones: checked_zones,
            lines: checked_lines,
            hold: ticks_of_ms(options.hold_ms),
            appear: ticks_of_ms(options.appear_ms.max(options.hold_ms)),
            lost_grace: ticks_of_ms(options.lost_grace_ms),
            jump_through: options.jump_through,
            ground: None,
            outlines,
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

    /// The same scene with a level ground, for distances and speeds. A calibration that arrives later:
    /// [`Engine::set_ground`](crate::Engine::set_ground).
    #[must_use]
    pub fn with_ground(mut self, ground: Ground) -> Self {
        self.ground = Some(ground);
        self
    }

    /// The ground, where it is known.
    pub fn ground(&self) -> Option<&Ground> {
        self.ground.as_ref()
    }

    /// Whether distances are watched, which need a ground.
    pub fn needs_ground(&self) -> bool {
        self.zones.iter().any(|zone| zone.distance.is_some())
    }

    /// Names of the zones, in order.
    pub fn zone_names(&self) -> impl Iterator<Item = &str> {
        self.of_kind(OutlineKind::Zone)
    }

    /// Names of the lines, in order.
    pub fn line_names(&self) -> impl Iterator<Item = &str> {
        self.of_kind(OutlineKind::Line)
    }

    fn of_kind(&self, kind: OutlineKind) -> impl Iterator<Item = &str> {
        let same = self.outlines.iter().filter(move |outline| outline.kind == kind);
        same.map(|outline| outline.name.as_str())
    }

    /// Every zone and line with its corners, for whoever draws the scene.
    pub fn outlines(&self) -> Vec<Outline> {
        self.outlines.clone()
    }

    /// Whether there is nothing to watch.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty() && self.lines.is_empty()
    }
}

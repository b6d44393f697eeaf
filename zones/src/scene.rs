//! The configured lines and zones, checked once.

mod check;
mod finding;
mod rules;

use crate::classes::Classes;
use crate::geometry::{Area, Plane, Segment};
use crate::ground::Ground;
use crate::point::{Focus, Point};
use crate::time::ticks_of_ms;
pub use finding::{SceneError, SceneFinding, SceneWarning};
pub use rules::{Aggregation, CountRule, DistanceRule, DwellRule, MAX_DWELL_LIMITS, Trigger};
pub(crate) use rules::{CheckedLine, CheckedZone};

/// How far beyond a boundary a person must be to have crossed it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Threshold {
    /// [`DEFAULT_THRESHOLD`] of the frame's width, or 4 % of the person's height where that is less: the jitter
    /// of a box grows with its size, and distant people move little in the frame. The default.
    #[default]
    Auto,
    /// A share of the frame's width, from 0 to below 1. Too small: jitter counts. Too large: late events, or none where
    /// people do not get that far.
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

    /// Its largest value over all people.
    fn largest(self) -> f64 {
        match self {
            Self::Auto => DEFAULT_THRESHOLD,
            Self::Width(width) => width,
        }
    }
}

/// A polygon that people enter and leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// Name, unique among zones and lines: 1 to [`MAX_NAME_CHARS`] characters, none of them a control character.
    pub name: String,
    /// Corners, clockwise or counterclockwise; the first may be repeated at the end. At least three, without crossing edges.
    pub polygon: Vec<Point>,
    /// The point of a person that counts.
    pub focus: Focus,
    /// How deep inside a person must be to have entered.
    pub enter_depth: Threshold,
    /// How far outside a person must be to have left.
    pub exit_depth: Threshold,
    /// Whether to report entering and leaving. Default true.
    pub crossings: bool,
    /// Report every n-th entering or leaving only; 0 counts as 1, the default.
    pub sample_every: u32,
    /// The classes that enter and leave; the rules below have their own. Default: all.
    pub classes: Classes,
    /// Reports the time of each visit when it ends, and when it lasts too long. Default: none.
    pub dwell: Option<DwellRule>,
    /// Reports the number of people inside. Default: none.
    pub count: Option<CountRule>,
    /// Reports people who are too close or too far apart. Default: none. Needs [`Scene::with_ground`].
    pub distance: Option<DistanceRule>,
}

impl Zone {
    /// A zone with default settings.
    pub fn new(name: impl Into<String>, polygon: impl IntoIterator<Item = Point>) -> Self {
        Self {
            name: name.into(),
            polygon: polygon.into_iter().collect(),
            focus: Focus::default(),
            enter_depth: Threshold::default(),
            exit_depth: Threshold::default(),
            crossings: true,
            sample_every: 1,
            classes: Classes::default(),
            dwell: None,
            count: None,
            distance: None,
        }
    }
}

/// A directed line that people cross, between its ends only.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossingLine {
    /// Name, unique among zones and lines: 1 to [`MAX_NAME_CHARS`] characters, none of them a control character.
    pub name: String,
    /// Where a viewer stands who looks along the line.
    pub start: Point,
    /// Where the viewer looks to. Left and right are the viewer's.
    pub end: Point,
    /// The point of a person that counts.
    pub focus: Focus,
    /// How far beyond the line a person must be to have crossed it.
    pub band: Threshold,
    /// Report every n-th crossing only; 0 counts as 1, the default.
    pub sample_every: u32,
    /// The classes that cross it. Default: all.
    pub classes: Classes,
}

impl CrossingLine {
    /// A line with default settings.
    pub fn new(name: impl Into<String>, start: Point, end: Point) -> Self {
        Self {
            name: name.into(),
            start,
            end,
            focus: Focus::default(),
            band: Threshold::default(),
            sample_every: 1,
            classes: Classes::default(),
        }
    }
}

/// [`Threshold::Auto`] for people near the camera, as a share of the frame's width.
pub const DEFAULT_THRESHOLD: f64 = 0.004;

/// [`Threshold::Auto`] for people far from the camera, as a share of their height.
const AUTO_SHARE: f64 = 0.04;

/// Most lines and zones of a scene, together.
pub const MAX_ELEMENTS: usize = 256;

/// Most characters of a name.
pub const MAX_NAME_CHARS: usize = 256;

/// Most corners of a zone.
pub const MAX_CORNERS: usize = 256;

/// Settings of all lines and zones of a scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneOptions {
    /// Width of the frame by its height. Default 16/9. A wrong value distorts distances in one direction.
    pub aspect: f64,
    /// How long a person must have been on the new side, counted from the interpolated crossing. Default 200 ms; 0:
    /// immediately, as the original did. A longer hold suppresses more jitter and reports later.
    pub hold_ms: u64,
    /// How long a person who is first seen inside a zone must stay there to have entered; at least
    /// [`hold_ms`](Self::hold_ms), which is the default. People who walk in cross an edge: what appears inside is mostly a
    /// duplicate box that disappears after some frames.
    pub appear_ms: u64,
    /// How long a person may be unseen before their visit ends. Default 1500 ms: at 2 frames a second a single missed frame
    /// makes a gap of a second. Too short: visits break behind every post. Too long: exits of people who vanished are late.
    pub lost_timeout_ms: u64,
    /// Whether a person who crosses a whole zone between two frames has visited it. Default true.
    pub jump_through: bool,
}

impl Default for SceneOptions {
    fn default() -> Self {
        Self {
            aspect: 16.0 / 9.0,
            hold_ms: 200,
            appear_ms: 0,
            lost_timeout_ms: 1500,
            jump_through: true,
        }
    }
}

/// The shape of a zone or a line, for drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Name of the zone or line.
    pub name: String,
    /// A zone's corners, each once, or a line's start and end, in fractions of the frame.
    pub points: Vec<Point>,
    /// Zone or line.
    pub kind: OutlineKind,
}

/// Kind of an [`Outline`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutlineKind {
    /// A zone: the points are the corners of a polygon.
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
    pub(crate) lost_timeout: u64,
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
    /// [`SceneError`], with everything that is wrong.
    ///
    /// ```
    /// use lva_zones::{Point, Scene, SceneOptions, Zone};
    ///
    /// let bow_tie = [(0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)].map(|(x, y)| Point::new(x, y));
    /// let error = Scene::new(vec![Zone::new("door", bow_tie)], vec![], SceneOptions::default()).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "zone \"door\": polygon crosses itself, edges 1 and 3 meet; reorder its corners"
    /// );
    /// ```
    pub fn new(
        zones: Vec<Zone>,
        lines: Vec<CrossingLine>,
        options: SceneOptions,
    ) -> Result<Self, SceneError> {
        let mut errors = Vec::new();
        let mut warnings = Vec::new();
        let aspect_fits = (0.01..=100.0).contains(&options.aspect);
        if !aspect_fits {
            errors.push(SceneFinding::BadNumber {
                element: "scene".to_owned(),
                member: "aspect",
                value: options.aspect,
                expected: "0.01 to 100",
            });
        }
        let count = zones.len().saturating_add(lines.len());
        if count > MAX_ELEMENTS {
            let what = "zones and lines of a scene".to_owned();
            return Err(SceneError::new(vec![SceneFinding::TooMany {
                what,
                count,
                limit: MAX_ELEMENTS,
            }]));
        }
        check::names(&zones, &lines, &mut errors);
        // What follows quotes the names.
        if errors
            .iter()
            .any(|error| matches!(error, SceneFinding::LongName { .. }))
        {
            return Err(SceneError::new(errors));
        }
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
            return Err(SceneError::new(errors));
        }
        Ok(Self {
            plane,
            zones: checked_zones,
            lines: checked_lines,
            hold: ticks_of_ms(options.hold_ms),
            appear: ticks_of_ms(options.appear_ms.max(options.hold_ms)),
            lost_timeout: ticks_of_ms(options.lost_timeout_ms),
            jump_through: options.jump_through,
            ground: None,
            outlines,
            warnings,
            options,
        })
    }

    /// What is unusual about the scene and worth logging.
    pub fn warnings(&self) -> &[SceneWarning] {
        &self.warnings
    }

    /// Settings of all lines and zones.
    pub fn options(&self) -> &SceneOptions {
        &self.options
    }

    /// The same scene with a level ground, for distances and speeds. For a calibration that arrives later see
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

    /// Whether a zone reports distances, which need a ground.
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

    /// Every zone and line with its points, for drawing.
    pub fn outlines(&self) -> &[Outline] {
        &self.outlines
    }

    /// Whether it has neither lines nor zones.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty() && self.lines.is_empty()
    }

    /// Depth of a point of the frame inside a zone, in units of the frame's width: above 0 inside, below 0 outside, 0 on the
    /// edge. `None`: no zone has this name, or the point is not finite.
    pub fn depth(&self, zone: &str, at: Point) -> Option<f64> {
        let zone = self.zones.iter().find(|known| &*known.name == zone)?;
        (at.x.is_finite() && at.y.is_finite()).then(|| zone.area.depth(self.plane.to_plane(at)))
    }
}

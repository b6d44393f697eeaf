//! The state of one person at all lines and zones.

use super::PositionSample;
use super::line_state::LineState;
use super::motion::Motion;
use super::zone_state::{ZonePresence, ZoneState};
use crate::geometry::{Feet, Vec2, is_cut};
use crate::observation::{Observation, TrackId};
use crate::point::Focus;
use crate::scene::Scene;
use lva_media_types::BoundingBox;

/// Samples of an unconfirmed person that are kept until confirmation.
const MAX_PENDING: usize = 32;

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) last: Observation,
    pub(super) last_seen: u64,
    pub(super) gone: bool,
    pub(super) pending: Vec<Sight>,
    /// Height of the box when its bottom was last in view, in heights of the frame.
    whole: Option<f64>,
    /// By focus.
    pub(super) trails: [Trail; 3],
    pub(super) zones: Vec<ZoneState>,
    /// By zone.
    pub(super) presences: Vec<ZonePresence>,
    pub(super) lines: Vec<LineState>,
    pub(super) motion: Motion,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            last: Observation::new(TrackId(0), BoundingBox::default()),
            last_seen: 0,
            gone: false,
            pending: Vec::with_capacity(MAX_PENDING),
            whole: None,
            trails: [Trail::default(); 3],
            zones: Vec::new(),
            presences: Vec::new(),
            lines: Vec::new(),
            motion: Motion::default(),
        }
    }
}

impl Person {
    /// Reuses the memory for a new person.
    pub(super) fn reset(&mut self, observation: Observation, now: u64, zones: usize, lines: usize) {
        self.last = observation;
        self.last_seen = now;
        self.gone = false;
        self.pending.clear();
        self.whole = None;
        self.trails = [Trail::default(); 3];
        self.zones.clear();
        self.zones.resize(zones, ZoneState::default());
        self.presences.clear();
        self.presences.resize(zones, ZonePresence::default());
        self.lines.clear();
        self.lines.resize(lines, LineState::default());
        self.motion.clear();
    }

    /// Clears the state at all zones.
    pub(super) fn forget_zones(&mut self) {
        self.zones.fill(ZoneState::default());
        self.presences.fill(ZonePresence::default());
    }

    /// Keeps a sample of an unconfirmed person. When there are too many, the first one and the latest ones stay: where the
    /// person came from, and where they are.
    pub(super) fn keep_pending(&mut self, sight: Sight) {
        if self.pending.len() >= MAX_PENDING {
            self.pending.remove(1);
        }
        self.pending.push(sight);
    }

    /// Where the feet of the next sight are.
    pub(super) fn feet(&mut self, sight: &Sight) -> Feet {
        if sight.cut {
            return Feet::Cut { whole: self.whole };
        }
        self.whole = Some(f64::from(sight.bbox.height));
        Feet::InView
    }
}

/// A person in one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    pub(super) time: u64,
    /// With its jitter filtered.
    pub(super) bbox: BoundingBox,
    /// As the detector gave it.
    given: BoundingBox,
    /// Whether the frame's bottom cuts it off.
    cut: bool,
}

impl Sight {
    pub(super) fn new(time: u64, observation: &Observation) -> Self {
        Self {
            time,
            bbox: observation.smoothed,
            given: observation.bbox,
            // The filter moves edges that the frame cuts off.
            cut: is_cut(&observation.bbox) || is_cut(&observation.smoothed),
        }
    }
}

/// The last position of one of a person's points.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trail {
    last: Option<(u64, Vec2)>,
    samples: u32,
}

/// One sample for each focus.
pub(super) struct PositionSamples([PositionSample; 3]);

impl PositionSamples {
    /// Adds the samples to the trails.
    pub(super) fn new(scene: &Scene, trails: &mut [Trail; 3], sight: &Sight, feet: Feet) -> Self {
        let Sight {
            time, bbox, given, ..
        } = sight;
        let visible = scene.plane.height(bbox);
        let height = match feet {
            Feet::InView => visible,
            Feet::Cut { whole } => visible.max(whole.unwrap_or(0.0) * scene.plane.frame_height()),
        };
        let [footprint, bottom_center, center] = trails;
        let add = |trail: &mut Trail, focus| {
            let at = scene.plane.anchor(bbox, focus, feet);
            trail.samples = trail.samples.saturating_add(1);
            PositionSample {
                time: *time,
                at,
                given: scene.plane.anchor(given, focus, feet),
                height,
                before: trail.last.replace((*time, at)),
                number: trail.samples,
            }
        };
        Self([
            add(footprint, Focus::Footprint),
            add(bottom_center, Focus::BottomCenter),
            add(center, Focus::Center),
        ])
    }

    pub(super) fn of(&self, focus: Focus) -> &PositionSample {
        let [footprint, bottom_center, center] = &self.0;
        match focus {
            Focus::Footprint => footprint,
            Focus::BottomCenter => bottom_center,
            Focus::Center => center,
        }
    }
}

impl Person {
    /// Number of samples of a focus so far.
    pub(super) fn sample_count(&self, focus: Focus) -> u32 {
        let [footprint, bottom_center, center] = &self.trails;
        match focus {
            Focus::Footprint => footprint,
            Focus::BottomCenter => bottom_center,
            Focus::Center => center,
        }
        .samples
    }
}

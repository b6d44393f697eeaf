//! The state of one person at all lines and zones.

use super::PositionSample;
use super::line_state::LineState;
use super::motion::Motion;
use super::zone_state::{ZonePresence, ZoneState};
use crate::geometry::Vec2;
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
    pub(super) pending: Vec<(u64, BoundingBox)>,
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
    pub(super) fn keep_pending(&mut self, now: u64, bbox: BoundingBox) {
        if self.pending.len() >= MAX_PENDING {
            self.pending.remove(1);
        }
        self.pending.push((now, bbox));
    }
}

/// The last position of one of a person's points.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trail {
    last: Option<(u64, Vec2)>,
    samples: u32,
}

/// One sample for each focus; `None` where the point is out of view.
pub(super) struct PositionSamples([Option<PositionSample>; 3]);

impl PositionSamples {
    /// Adds the samples to the trails.
    pub(super) fn new(scene: &Scene, trails: &mut [Trail; 3], time: u64, bbox: &BoundingBox) -> Self {
        let height = scene.plane.height(bbox);
        let mut samples = [None; 3];
        let foci = [Focus::Footprint, Focus::BottomCenter, Focus::Center];
        for ((focus, trail), sample) in foci.into_iter().zip(trails).zip(&mut samples) {
            let (at, cut) = scene.plane.anchor(bbox, focus);
            if !cut {
                trail.samples = trail.samples.saturating_add(1);
                *sample = Some(PositionSample {
                    time,
                    at,
                    height,
                    before: trail.last.replace((time, at)),
                    number: trail.samples,
                });
            }
        }
        Self(samples)
    }

    pub(super) fn of(&self, focus: Focus) -> Option<&PositionSample> {
        let [footprint, bottom_center, center] = &self.0;
        match focus {
            Focus::Footprint => footprint,
            Focus::BottomCenter => bottom_center,
            Focus::Center => center,
        }
        .as_ref()
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

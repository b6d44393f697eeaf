//! One person, at all lines and zones.

use super::line_state::LineState;
use super::motion::Motion;
use super::zone_state::ZoneState;
use crate::geometry::Flat;
use crate::observation::{BoundingBox, Observation, TrackId};
use crate::scene::{Focus, Scene};

/// Samples of an unconfirmed person that are kept for the moment of confirmation.
const MAX_PENDING: usize = 32;

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) last: Observation,
    pub(super) last_seen: u64,
    pub(super) gone: bool,
    pub(super) pending: Vec<(u64, BoundingBox)>,
    pub(super) zones: Vec<ZoneState>,
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
            zones: Vec::new(),
            lines: Vec::new(),
            motion: Motion::default(),
        }
    }
}

impl Person {
    /// Somebody new, in this one's memory.
    pub(super) fn begin(&mut self, observation: Observation, now: u64, zones: usize, lines: usize) {
        self.last = observation;
        self.last_seen = now;
        self.gone = false;
        self.pending.clear();
        self.zones.clear();
        self.zones.resize(zones, ZoneState::default());
        self.lines.clear();
        self.lines.resize(lines, LineState::default());
        self.motion.clear();
    }

    /// Keeps what an unconfirmed person does. Of a long wait the first sight and the latest ones are kept: where they
    /// came from, and where they are.
    pub(super) fn wait(&mut self, now: u64, bbox: BoundingBox) {
        if self.pending.len() >= MAX_PENDING {
            self.pending.remove(1);
        }
        self.pending.push((now, bbox));
    }
}

/// The points of a box that stand for the person; `None` where they are out of view.
pub(super) struct Anchors {
    footprint: Option<Flat>,
    bottom_center: Option<Flat>,
    center: Option<Flat>,
}

impl Anchors {
    pub(super) fn new(scene: &Scene, bbox: &BoundingBox) -> Self {
        let at = |focus| {
            let (at, cut) = scene.plane.anchor(bbox, focus);
            (!cut).then_some(at)
        };
        Self {
            footprint: at(Focus::Footprint),
            bottom_center: at(Focus::BottomCenter),
            center: at(Focus::Center),
        }
    }

    pub(super) fn of(&self, focus: Focus) -> Option<Flat> {
        match focus {
            Focus::Footprint => self.footprint,
            Focus::BottomCenter => self.bottom_center,
            Focus::Center => self.center,
        }
    }
}

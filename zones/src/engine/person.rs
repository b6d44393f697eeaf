//! One person, at all lines and zones.

use super::Sight;
use super::line_state::LineState;
use super::motion::Motion;
use super::zone_state::{Standing, ZoneState};
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
    /// Of each focus.
    pub(super) ways: [Way; 3],
    pub(super) zones: Vec<ZoneState>,
    /// Of each of the zones.
    pub(super) standings: Vec<Standing>,
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
            ways: [Way::default(); 3],
            zones: Vec::new(),
            standings: Vec::new(),
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
        self.ways = [Way::default(); 3];
        self.zones.clear();
        self.zones.resize(zones, ZoneState::default());
        self.standings.clear();
        self.standings.resize(zones, Standing::default());
        self.lines.clear();
        self.lines.resize(lines, LineState::default());
        self.motion.clear();
    }

    /// What was at the zones is over.
    pub(super) fn forget_zones(&mut self) {
        self.zones.fill(ZoneState::default());
        self.standings.fill(Standing::default());
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

/// The way of one of a person's points, as far as anybody needs it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Way {
    last: Option<(u64, Flat)>,
    sights: u32,
}

impl Way {
    pub(super) fn sights(&self) -> u32 {
        self.sights
    }
}

/// One sight by each of the points that stand for the person; `None` where the point is out of view.
pub(super) struct Sights([Option<Sight>; 3]);

impl Sights {
    /// Adds it to the ways.
    pub(super) fn new(scene: &Scene, ways: &mut [Way; 3], time: u64, bbox: &BoundingBox) -> Self {
        let height = scene.plane.height(bbox);
        let mut sights = [None; 3];
        let foci = [Focus::Footprint, Focus::BottomCenter, Focus::Center];
        for ((focus, way), sight) in foci.into_iter().zip(ways).zip(&mut sights) {
            let (at, cut) = scene.plane.anchor(bbox, focus);
            if !cut {
                way.sights = way.sights.saturating_add(1);
                *sight = Some(Sight {
                    time,
                    at,
                    height,
                    before: way.last.replace((time, at)),
                    number: way.sights,
                });
            }
        }
        Self(sights)
    }

    pub(super) fn of(&self, focus: Focus) -> Option<&Sight> {
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
    /// Sights of the point of a focus so far.
    pub(super) fn sights_of(&self, focus: Focus) -> u32 {
        let [footprint, bottom_center, center] = &self.ways;
        match focus {
            Focus::Footprint => footprint,
            Focus::BottomCenter => bottom_center,
            Focus::Center => center,
        }
        .sights()
    }
}

//! One track: where it should be, and how well a detection fits it.

use super::kalman::Axis;
use crate::observation::{BoundingBox, Detection, Observation, TICKS, TrackId, iou};

// All of these are in heights of the person, and seconds.
/// Jitter of a detector's box.
const JITTER: f64 = 0.05;
/// Speed of somebody of whom nothing is known: an ordinary walk sideways is 0.8.
const UNKNOWN_SPEED: f64 = 0.7;
/// How much a person's speed changes in a second.
const JOLT: f64 = 0.4;
/// How much a person's size changes in a second: near the camera people grow quickly.
const GROWTH: f64 = 0.08;
/// Widening of boxes, in standard deviations of the place.
const WIDENING: f64 = 0.8;
/// No detection is matched further away than this many standard deviations.
const GATE: f64 = 3.5;
/// Sizes that differ by more than this factor are not the same person.
const SIZE_RATIO: f64 = 1.5;
/// Cost of a match above which there is none: one minus the overlap of the widened boxes.
const WORST: f64 = 0.8;
/// Weight of the distance in the cost of a match, beside the overlap: in a crowd boxes overlap much, and the overlap
/// alone hardly tells one from the next.
const DISTANCE_WEIGHT: f64 = 0.6;
/// Distance, in standard deviations, at which that part of the cost is 1.
const DISTANCE_NORM: f64 = 4.0;
/// Standard deviation of the size, as the logarithm of a ratio.
const SIZE_SIGMA: f64 = 0.1;
/// Speed at which a lost person is looked for around the place of the last sight, and how far at most.
const SEARCH_SPEED: f64 = 0.8;
const SEARCH_REACH: f64 = 0.8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not believed yet.
    Tentative,
    /// Confirmed, and seen in the last frame.
    Tracked,
    /// Confirmed, and not seen since.
    Lost,
}

#[derive(Debug, Clone)]
pub(crate) struct Track {
    id: TrackId,
    pub(crate) class: u16,
    pub(crate) phase: Phase,
    /// As last seen.
    pub(crate) bbox: BoundingBox,
    score: f32,
    hits: u32,
    missed: bool,
    born: u64,
    /// How long after birth it is confirmed.
    confirm: u64,
    seen: u64,
    /// The gap before the last sight, when the track was lost in it.
    refound_after: u64,
    time: u64,
    /// Centre, then width and height; horizontal ones in units of the frame's width, vertical ones of its height.
    x: Axis,
    y: Axis,
    width: Axis,
    height: Axis,
    /// Height in units of the frame's width, for the horizontal axes.
    scale: f64,
}

/// Where a track should be, and how far from there it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Predicted {
    x: f64,
    y: f64,
    /// Standard deviations of a detection's centre.
    sigma_x: f64,
    sigma_y: f64,
    steady: BoundingBox,
    margin: (f64, f64),
}

impl Predicted {
    /// Whether a centre is certainly too far: most pairs of a frame are, and this costs less than their distance.
    pub(crate) fn is_beyond(&self, (x, y): (f64, f64)) -> bool {
        // A little further than the gate, so that rounding decides nothing.
        const BEYOND: f64 = GATE * (1.0 + 1e-9);
        (x - self.x).abs() > BEYOND * self.sigma_x || (y - self.y).abs() > BEYOND * self.sigma_y
    }
}

pub(crate) fn center(bbox: &BoundingBox) -> (f64, f64) {
    let (width, height) = (f64::from(bbox.width), f64::from(bbox.height));
    (
        f64::from(bbox.left) + width / 2.0,
        f64::from(bbox.top) + height / 2.0,
    )
}

impl Track {
    pub(crate) fn new(id: TrackId, now: u64, detection: &Detection, aspect: f64, confirm: u64) -> Self {
        let bbox = detection.bbox;
        let (x, y) = center(&bbox);
        let (width, height) = (f64::from(bbox.width), f64::from(bbox.height));
        let scale = height / aspect;
        Self {
            id,
            class: detection.class,
            phase: Phase::Tentative,
            bbox,
            score: detection.score,
            hits: 1,
            missed: false,
            born: now,
            confirm,
            seen: now,
            refound_after: 0,
            time: now,
            x: Axis::new(x, JITTER * scale, UNKNOWN_SPEED * scale),
            y: Axis::new(y, JITTER * height, UNKNOWN_SPEED / 2.0 * height),
            width: Axis::new(width, JITTER * scale, GROWTH * scale),
            height: Axis::new(height, JITTER * height, GROWTH * height),
            scale,
        }
    }

    pub(crate) fn is_seen_at(&self, now: u64) -> bool {
        self.seen == now
    }

    pub(crate) fn unseen(&self, now: u64) -> u64 {
        now - self.seen
    }

    /// The frame is over without this track in it.
    pub(crate) fn miss(&mut self) {
        self.missed = true;
        if self.phase == Phase::Tracked {
            self.phase = Phase::Lost;
        }
    }

    pub(crate) fn predict(&mut self, now: u64) {
        let seconds = (now - self.time) as f64 / TICKS;
        self.time = now;
        let height = self.height.at;
        // Unseen people neither grow nor shrink: the trend of their size is noise before anything else.
        if self.phase == Phase::Lost {
            self.width.speed = 0.0;
            self.height.speed = 0.0;
        }
        self.x.predict(seconds, JOLT * self.scale);
        self.y.predict(seconds, JOLT / 2.0 * height);
        self.width.predict(seconds, GROWTH * self.scale);
        self.height.predict(seconds, GROWTH * height);
    }

    pub(crate) fn found(&mut self, now: u64, detection: &Detection, aspect: f64) {
        let (x, y) = center(&detection.bbox);
        let (width, height) = (f64::from(detection.bbox.width), f64::from(detection.bbox.height));
        let gap = (now - self.seen) as f64 / TICKS;
        let before = center(&self.bbox);
        self.scale = height / aspect;
        self.x.update(x, JITTER * self.scale);
        self.y.update(y, JITTER * height);
        self.width.update(width, JITTER * self.scale);
        self.height.update(height, JITTER * height);
        // After a long gap the straight way through it tells more about the speed than what was guessed before it.
        if self.phase == Phase::Lost && gap > 0.5 {
            self.x = Axis::new(x, JITTER * self.scale, UNKNOWN_SPEED / 2.0 * self.scale);
            self.y = Axis::new(y, JITTER * height, UNKNOWN_SPEED / 4.0 * height);
            self.x.speed = (x - before.0) / gap;
            self.y.speed = (y - before.1) / gap;
        }
        self.refound_after = if self.phase == Phase::Lost {
            now - self.seen
        } else {
            0
        };
        self.bbox = detection.bbox;
        self.score = detection.score;
        self.seen = now;
        self.hits = self.hits.saturating_add(1);
        // Two sights with nothing between may be two flashes.
        let proven = now - self.born >= self.confirm && (self.hits > 2 || !self.missed);
        if self.phase != Phase::Tentative || proven {
            self.phase = Phase::Tracked;
        }
    }

    /// The box with its jitter filtered, or as predicted.
    fn steady(&self) -> BoundingBox {
        // A filter that swings through nought must not give a box without area.
        let width = self.width.at.max(1e-4);
        let height = self.height.at.max(1e-4);
        let (left, top) = (self.x.at - width / 2.0, self.y.at - height / 2.0);
        let steady = BoundingBox::new(left as f32, top as f32, width as f32, height as f32);
        if steady.is_sound() { steady } else { self.bbox }
    }

    pub(crate) fn observation(&self, now: u64) -> Option<Observation> {
        self.is_seen_at(now).then(|| Observation {
            track: self.id,
            bbox: self.bbox,
            steady: self.steady(),
            class: self.class,
            score: self.score,
            confirmed: self.phase != Phase::Tentative,
            refound_after_90k: self.refound_after,
            place: None,
        })
    }

    /// Where the track should be, to be compared with many detections.
    pub(crate) fn predicted(&self, aspect: f64) -> Predicted {
        let jitter = JITTER * self.scale;
        let (sigma_x, sigma_y) = (self.x.sigma(), self.y.sigma());
        Predicted {
            x: self.x.at,
            y: self.y.at,
            sigma_x: sigma_x.hypot(jitter),
            sigma_y: sigma_y.hypot(jitter * aspect),
            steady: self.steady(),
            margin: (WIDENING * sigma_x, WIDENING * sigma_y),
        }
    }

    /// How ill a detection fits where the track should be, 0 to 1; `None`: it cannot be the same.
    pub(crate) fn cost_predicted(&self, place: &Predicted, detection: &Detection) -> Option<f64> {
        let (x, y) = center(&detection.bbox);
        let off = ((x - place.x) / place.sigma_x).hypot((y - place.y) / place.sigma_y);
        if off > GATE {
            return None;
        }
        let overlap = self.overlap_cost(&place.steady, detection, place.margin)?;
        let ratio = f64::from(detection.bbox.height) / self.height.at.max(1e-4);
        let far = (off.hypot(ratio.ln() / SIZE_SIGMA) / DISTANCE_NORM).min(1.0);
        Some(overlap + DISTANCE_WEIGHT * (far - overlap))
    }

    /// How ill a detection fits where the track was last seen.
    pub(crate) fn cost_last_seen(&self, detection: &Detection, now: u64) -> Option<f64> {
        let seconds = self.unseen(now) as f64 / TICKS;
        let reach = (SEARCH_SPEED * seconds).min(SEARCH_REACH) / 2.0;
        let height = f64::from(self.bbox.height);
        self.overlap_cost(&self.bbox, detection, (reach * self.scale, reach / 2.0 * height))
    }

    fn overlap_cost(&self, place: &BoundingBox, detection: &Detection, margin: (f64, f64)) -> Option<f64> {
        let ratio = f64::from(place.height) / f64::from(detection.bbox.height);
        if self.class != detection.class || !(1.0 / SIZE_RATIO..=SIZE_RATIO).contains(&ratio) {
            return None;
        }
        let widen = |e: [f64; 4]| [e[0] - margin.0, e[1] - margin.1, e[2] + margin.0, e[3] + margin.1];
        let cost = 1.0 - iou(widen(place.edges()), widen(detection.bbox.edges()));
        (cost <= WORST).then_some(cost)
    }
}

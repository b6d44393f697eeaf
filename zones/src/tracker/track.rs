//! One track: its predicted box, and the cost of matching a detection with it.

use super::kalman::Axis;
use crate::observation::{Observation, TrackId};
use crate::overlap::{Edges, edges, iou};
use crate::time::seconds;
use lva_media_types::{BoundingBox, Detection};

// Units: heights of the person, and seconds.
/// Jitter of a detector's box.
const JITTER: f64 = 0.05;
/// Standard deviation of an unknown speed: an ordinary walk sideways is 0.8.
const UNKNOWN_SPEED: f64 = 0.7;
/// How much a person's speed changes in a second (standard deviation).
const ACCELERATION: f64 = 0.4;
/// How much a person's size changes in a second: it grows quickly near the camera.
const GROWTH: f64 = 0.08;
/// Widening of boxes, in standard deviations of the position.
const WIDENING: f64 = 0.8;
/// Detections further away than this many standard deviations are not matched.
const GATE: f64 = 3.5;
/// Sizes that differ by more than this factor are not the same person.
const SIZE_RATIO: f64 = 1.5;
/// Highest cost of a match: one minus the overlap of the widened boxes.
const MAX_COST: f64 = 0.8;
/// Weight of the distance in the cost of a match: in a crowd boxes overlap much, and the overlap alone hardly distinguishes
/// them.
const DISTANCE_WEIGHT: f64 = 0.6;
/// Distance, in standard deviations, at which its part of the cost is 1.
const DISTANCE_NORM: f64 = 4.0;
/// Standard deviation of the size, as the logarithm of a ratio.
const SIZE_SIGMA: f64 = 0.1;
/// How fast, and how far at most, the search for a lost person widens around the last observation.
const SEARCH_SPEED: f64 = 0.8;
const SEARCH_REACH: f64 = 0.8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not confirmed yet.
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
    created: u64,
    /// How long after its first frame it is confirmed.
    confirm: u64,
    seen: u64,
    /// The gap before the last observation, if the track was lost in it.
    reidentified_after: u64,
    time: u64,
    /// Centre, width and height: horizontal ones in units of the frame's width, vertical ones in units of its height.
    x: Axis,
    y: Axis,
    width: Axis,
    height: Axis,
    /// Height in units of the frame's width, for the horizontal axes.
    scale: f64,
}

/// Where a track should be, and how uncertain that is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Predicted {
    x: f64,
    y: f64,
    /// Standard deviations of a detection's centre.
    sigma_x: f64,
    sigma_y: f64,
    smoothed: BoundingBox,
    margin: (f64, f64),
}

impl Predicted {
    /// Whether a centre is too far away beyond any rounding error: true for most pairs of a frame, and cheaper than their
    /// distance.
    pub(crate) fn is_beyond(&self, (x, y): (f64, f64)) -> bool {
        // A little beyond the gate, so that rounding does not matter.
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
            created: now,
            confirm,
            seen: now,
            reidentified_after: 0,
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

    /// The frame does not contain this track.
    pub(crate) fn mark_missed(&mut self) {
        self.missed = true;
        if self.phase == Phase::Tracked {
            self.phase = Phase::Lost;
        }
    }

    pub(crate) fn predict(&mut self, now: u64) {
        let elapsed = seconds(now - self.time);
        self.time = now;
        let height = self.height.at;
        // The trend of an unseen person's size is mostly noise.
        if self.phase == Phase::Lost {
            self.width.speed = 0.0;
            self.height.speed = 0.0;
        }
        self.x.predict(elapsed, ACCELERATION * self.scale);
        self.y.predict(elapsed, ACCELERATION / 2.0 * height);
        self.width.predict(elapsed, GROWTH * self.scale);
        self.height.predict(elapsed, GROWTH * height);
    }

    pub(crate) fn found(&mut self, now: u64, detection: &Detection, aspect: f64) {
        let (x, y) = center(&detection.bbox);
        let (width, height) = (f64::from(detection.bbox.width), f64::from(detection.bbox.height));
        let gap = seconds(now - self.seen);
        let before = center(&self.bbox);
        self.scale = height / aspect;
        self.x.update(x, JITTER * self.scale);
        self.y.update(y, JITTER * height);
        self.width.update(width, JITTER * self.scale);
        self.height.update(height, JITTER * height);
        // After a long gap, the straight way through it is a better estimate of the speed than the one before it.
        if self.phase == Phase::Lost && gap > 0.5 {
            self.x = Axis::new(x, JITTER * self.scale, UNKNOWN_SPEED / 2.0 * self.scale);
            self.y = Axis::new(y, JITTER * height, UNKNOWN_SPEED / 4.0 * height);
            self.x.speed = (x - before.0) / gap;
            self.y.speed = (y - before.1) / gap;
        }
        self.reidentified_after = if self.phase == Phase::Lost {
            now - self.seen
        } else {
            0
        };
        self.bbox = detection.bbox;
        self.score = detection.score;
        self.seen = now;
        self.hits = self.hits.saturating_add(1);
        // Two observations with a miss in between may be two false alarms.
        let proven = now - self.created >= self.confirm && (self.hits > 2 || !self.missed);
        if self.phase != Phase::Tentative || proven {
            self.phase = Phase::Tracked;
        }
    }

    /// The filtered box, or the prediction.
    fn smoothed(&self) -> BoundingBox {
        // A filter that overshoots 0 must not give a box without area.
        let width = self.width.at.max(1e-4);
        let height = self.height.at.max(1e-4);
        let (left, top) = (self.x.at - width / 2.0, self.y.at - height / 2.0);
        let smoothed = BoundingBox::new(left as f32, top as f32, width as f32, height as f32);
        if smoothed.is_valid() { smoothed } else { self.bbox }
    }

    pub(crate) fn observation(&self, now: u64) -> Option<Observation> {
        self.is_seen_at(now).then(|| Observation {
            track: self.id,
            bbox: self.bbox,
            smoothed: self.smoothed(),
            class: self.class,
            score: self.score,
            confirmed: self.phase != Phase::Tentative,
            reidentified_after_90k: self.reidentified_after,
            ground_position: None,
        })
    }

    /// The prediction, to be compared with many detections.
    pub(crate) fn predicted(&self, aspect: f64) -> Predicted {
        let jitter = JITTER * self.scale;
        let (sigma_x, sigma_y) = (self.x.sigma(), self.y.sigma());
        Predicted {
            x: self.x.at,
            y: self.y.at,
            sigma_x: sigma_x.hypot(jitter),
            sigma_y: sigma_y.hypot(jitter * aspect),
            smoothed: self.smoothed(),
            margin: (WIDENING * sigma_x, WIDENING * sigma_y),
        }
    }

    /// Cost of a detection at the prediction, 0 to 1; `None`: no match.
    pub(crate) fn cost_predicted(&self, prediction: &Predicted, detection: &Detection) -> Option<f64> {
        let (x, y) = center(&detection.bbox);
        let off = ((x - prediction.x) / prediction.sigma_x).hypot((y - prediction.y) / prediction.sigma_y);
        if off > GATE {
            return None;
        }
        let overlap = self.overlap_cost(&prediction.smoothed, detection, prediction.margin)?;
        let ratio = f64::from(detection.bbox.height) / self.height.at.max(1e-4);
        let far = (off.hypot(ratio.ln() / SIZE_SIGMA) / DISTANCE_NORM).min(1.0);
        Some(overlap + DISTANCE_WEIGHT * (far - overlap))
    }

    /// Cost of a detection at the last observation.
    pub(crate) fn cost_last_seen(&self, detection: &Detection, now: u64) -> Option<f64> {
        let unseen = seconds(self.unseen(now));
        let reach = (SEARCH_SPEED * unseen).min(SEARCH_REACH) / 2.0;
        let height = f64::from(self.bbox.height);
        self.overlap_cost(&self.bbox, detection, (reach * self.scale, reach / 2.0 * height))
    }

    fn overlap_cost(&self, own: &BoundingBox, detection: &Detection, margin: (f64, f64)) -> Option<f64> {
        let ratio = f64::from(own.height) / f64::from(detection.bbox.height);
        if self.class != detection.class || !(1.0 / SIZE_RATIO..=SIZE_RATIO).contains(&ratio) {
            return None;
        }
        let widen = |e: Edges| [e[0] - margin.0, e[1] - margin.1, e[2] + margin.0, e[3] + margin.1];
        let cost = 1.0 - iou(widen(edges(own)), widen(edges(&detection.bbox)));
        (cost <= MAX_COST).then_some(cost)
    }
}

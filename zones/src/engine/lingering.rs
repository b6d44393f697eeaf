//! Where a person stands who lingers at the edge of a zone.

use crate::time::SECOND;

/// How long a person has been at an edge who stands there.
const LINGER: u64 = SECOND;

/// For how long, and for how many frames at least, a position counts.
const MEMORY: (u64, u64) = (3 * SECOND, 10);

/// Fewest frames of a decision.
const FEWEST: f64 = 5.0;

/// How many standard errors the mean position is away from the edge when the side is certain.
const CERTAIN: f64 = 2.2;

/// How many standard errors of the jitter a step over the edge has to be away from it.
const BEYOND_JITTER: f64 = 3.0;

/// Smallest spread of positions, in units of the frame's width: an eighth of a pixel of 1280.
const STILL: f64 = 1e-4;

/// The depths of a person within the band along an edge in which the jitter of boxes can change the side.
///
/// The older a depth is, the less it counts. The certainty of the mean follows from the spread of the depths and from how
/// much one resembles the one before, as depths of a filter or of 30 frames a second do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lingering {
    began: u64,
    last: u64,
    /// How often the side changed.
    changes: u32,
    /// Since when the depth is out of the band.
    beyond: Option<u64>,
    /// Sums of the weights and of their squares; 0: the person is not at the edge.
    weight: f64,
    weight2: f64,
    mean: f64,
    /// Weighted sum of squared deviations, and of products of a deviation with the one before.
    square: f64,
    lagged: f64,
    deviation: f64,
    run: Run,
    jitter: Jitter,
}

/// The depths since the side changed last.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    inside: bool,
    sum: f64,
    count: f64,
}

/// How far a depth is from where the two before it lead: nothing for who walks evenly.
#[derive(Debug, Clone, Copy, Default)]
struct Jitter {
    /// The last two depths and their times, the newest first.
    before: [Option<(u64, f64)>; 2],
    weight: f64,
    /// Weighted sum of the variances.
    sum: f64,
}

/// One depth.
#[derive(Debug, Clone, Copy)]
pub(super) struct DepthSample {
    pub(super) time: u64,
    /// Of the box as it was given; above 0 inside.
    pub(super) depth: f64,
    /// Whether the filtered box is inside, by which the side changes.
    pub(super) inside: bool,
    /// Width of the band along the edge, on either side.
    pub(super) band: f64,
    /// Whether the side is another one than in the sample before.
    pub(super) changed: bool,
    /// How long, and in how many samples, the person has been on this side.
    pub(super) held: u64,
    pub(super) samples: u32,
}

impl Lingering {
    /// Whether the person is at the edge.
    pub(super) fn is_active(&self) -> bool {
        self.weight > 0.0
    }

    /// Whether the side changed at most once since the person came to the edge.
    pub(super) fn is_plain(&self) -> bool {
        !self.is_active() || self.changes <= 1
    }

    /// Whether the depths since the side changed last are further from the edge than jitter goes.
    pub(super) fn is_beyond_jitter(&self) -> bool {
        if !self.is_active() {
            return true;
        }
        let Run { inside, sum, count } = self.run;
        let sum = if inside { sum } else { -sum };
        let variance = self.jitter.variance().unwrap_or(0.0);
        sum > 0.0 && sum * sum > BEYOND_JITTER * BEYOND_JITTER * variance * count
    }

    /// Adds a depth. Who is out of the band for `hold` is not at the edge any more. True when the mean position is on another
    /// side than before.
    pub(super) fn add(&mut self, sample: DepthSample, hold: u64) -> bool {
        let DepthSample { time, depth, .. } = sample;
        let before = self.is_active().then_some(self.mean > 0.0);
        if depth.abs() > sample.band {
            let since = *self.beyond.get_or_insert(time);
            if before.is_none() || time - since >= hold {
                *self = Self::default();
                return false;
            }
        } else {
            self.beyond = None;
        }
        if before.is_none() {
            self.began = time;
            self.changes = u32::from(sample.changed);
        } else if sample.changed {
            if self.changes == 0 && time - self.began < LINGER {
                // The way to the edge is not where the person stands.
                self.began = time;
                self.forget();
            }
            self.changes = self.changes.saturating_add(1);
            self.run = Run::default();
        } else if sample.held >= LINGER
            && f64::from(sample.samples) >= FEWEST
            && (depth > 0.0) != (self.mean > 0.0)
        {
            // Stands somewhere else now.
            self.forget();
        }
        self.run.inside = sample.inside;
        self.run.sum += depth;
        self.run.count += 1.0;
        self.jitter.add(time, depth);
        self.weigh(time, depth.clamp(-sample.band, sample.band));
        before != Some(self.mean > 0.0)
    }

    /// On which side the person stands, once that is certain: true inside.
    pub(super) fn side(&self) -> Option<bool> {
        let frames = self.weight * self.weight / self.weight2;
        // A person who is not at the edge gives no number here.
        if self.last - self.began < LINGER || frames.is_nan() || frames < FEWEST {
            return None;
        }
        let alike = if self.square > 0.0 {
            (self.lagged / self.square).clamp(0.0, 0.95)
        } else {
            0.0
        };
        let independent = (frames * (1.0 - alike) / (1.0 + alike)).max(1.0);
        let spread2 = (self.square / self.weight).max(STILL * STILL);
        let is_certain = self.mean * self.mean > CERTAIN * CERTAIN * spread2 / independent;
        is_certain.then_some(self.mean > 0.0)
    }

    fn forget(&mut self) {
        (self.weight, self.weight2) = (0.0, 0.0);
        (self.mean, self.square, self.lagged, self.deviation) = (0.0, 0.0, 0.0, 0.0);
    }

    fn weigh(&mut self, time: u64, depth: f64) {
        let keep = kept(if self.is_active() { time - self.last } else { 0 });
        self.weight = self.weight * keep + 1.0;
        self.weight2 = self.weight2 * keep * keep + 1.0;
        let off = depth - self.mean;
        self.mean += off / self.weight;
        let after = depth - self.mean;
        self.square = self.square * keep + off * after;
        self.lagged = self.lagged * keep + self.deviation * after;
        self.deviation = after;
        self.last = time;
    }
}

impl Jitter {
    fn add(&mut self, time: u64, depth: f64) {
        if let [Some((last, at)), Some((earlier, from))] = self.before
            && time > last
            && last > earlier
        {
            let ratio = (time - last) as f64 / (last - earlier) as f64;
            let off = depth - (at + (at - from) * ratio);
            // Of three depths with the same variance.
            let share = off * off / (1.0 + (1.0 + ratio) * (1.0 + ratio) + ratio * ratio);
            let keep = kept(time - last);
            self.weight = self.weight * keep + 1.0;
            self.sum = self.sum * keep + share;
        }
        self.before = [Some((time, depth)), self.before[0]];
    }

    /// The variance of a depth, once there are some.
    fn variance(&self) -> Option<f64> {
        (self.weight > 1.5).then(|| self.sum / self.weight)
    }
}

/// What a weight is worth after this time: close to an exponential, and the same on every machine.
fn kept(elapsed: u64) -> f64 {
    let memory = MEMORY.0.max(elapsed.saturating_mul(MEMORY.1)) as f64;
    memory / (memory + elapsed as f64)
}

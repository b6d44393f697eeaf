//! What several tests need: a small generator, degraded detections, and a judge.

use lva_zones::*;

/// Ticks of a second.
pub(crate) const SECOND: u64 = 90_000;

/// A small generator of even numbers, the same on every machine (xorshift).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// About normal: standard deviation 1, never beyond 3.
    pub(crate) fn bell(&mut self) -> f64 {
        ((0..6).map(|_| self.unit()).sum::<f64>() - 3.0) * std::f64::consts::SQRT_2
    }
}

/// How bad a detector is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    /// Share of people missed in a frame.
    pub(crate) misses: f64,
    /// Jitter of each edge, in heights of the person.
    pub(crate) jitter: f64,
    /// False alarms in a frame, on average; each in a frame of its own.
    pub(crate) false_alarms: f64,
}

impl Noise {
    pub(crate) fn detect(&self, bbox: [f64; 4], random: &mut Random) -> Option<Detection> {
        let [l, t, w, h] = bbox;
        let mut shaken = |value: f64, share: f64| value + random.bell() * self.jitter * h * share;
        // The picture is wider than high: a share of its width is more pixels.
        let (left, right) = (shaken(l, 9.0 / 16.0), shaken(l + w, 9.0 / 16.0));
        let (top, bottom) = (shaken(t, 1.0), shaken(t + h, 1.0).min(1.0));
        let bbox = BoundingBox::new(
            left as f32,
            top as f32,
            (right - left) as f32,
            (bottom - top) as f32,
        );
        let score = (0.8 + 0.08 * random.bell()).clamp(0.3, 0.99) as f32;
        let seen = !random.chance(self.misses) && bbox.is_valid();
        seen.then_some(Detection {
            bbox,
            class: 0,
            score,
        })
    }

    pub(crate) fn alarm(&self, random: &mut Random) -> Option<Detection> {
        let height = 0.1 + 0.3 * random.unit();
        let bbox = BoundingBox::new(
            random.unit() as f32 * 0.9,
            (random.unit() * (1.0 - height)) as f32,
            (height * 0.2) as f32,
            height as f32,
        );
        let score = 0.5 + 0.3 * random.unit() as f32;
        random.chance(self.false_alarms).then_some(Detection {
            bbox,
            class: 0,
            score,
        })
    }
}

/// A true or reported event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    pub(crate) name: String,
    pub(crate) status: &'static str,
}

pub(crate) fn to_report(event: &SpatialEvent) -> Report {
    let status = match event.kind {
        EventKind::Cross(direction) => direction.status(),
        EventKind::Enter { .. } => "Enter",
        EventKind::Exit { .. } => "Exit",
        _ => "?",
    };
    Report {
        seconds: event.timestamp_90k as f64 / SECOND as f64,
        name: event.name.to_string(),
        status,
    }
}

/// True, reported and matched events; a match is of one name and status, within a second, and used once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) truth: usize,
    pub(crate) reported: usize,
    pub(crate) matched: usize,
}

impl Score {
    pub(crate) fn of(truth: &[Report], reported: &[Report]) -> Self {
        Self::with_rest(truth, reported).0
    }

    /// The score, and what was not matched on either side.
    pub(crate) fn with_rest(truth: &[Report], reported: &[Report]) -> (Self, Vec<Report>, Vec<Report>) {
        let mut free: Vec<&Report> = reported.iter().collect();
        let mut missed = Vec::new();
        for event in truth {
            let nearest = free
                .iter()
                .enumerate()
                .filter(|(_, r)| r.name == event.name && r.status == event.status)
                .map(|(i, r)| (i, (r.seconds - event.seconds).abs()))
                .filter(|(_, off)| *off <= 1.0)
                .min_by(|a, b| a.1.total_cmp(&b.1));
            match nearest {
                Some((index, _)) => {
                    free.remove(index);
                }
                None => missed.push(event.clone()),
            }
        }
        let matched = truth.len() - missed.len();
        let score = Self {
            truth: truth.len(),
            reported: reported.len(),
            matched,
        };
        (score, missed, free.into_iter().cloned().collect())
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.truth += other.truth;
        self.reported += other.reported;
        self.matched += other.matched;
    }

    pub(crate) fn recall(&self) -> f64 {
        self.matched as f64 / self.truth.max(1) as f64
    }

    /// False reports as a share of the true events.
    pub(crate) fn false_share(&self) -> f64 {
        (self.reported - self.matched) as f64 / self.truth.max(1) as f64
    }

    /// True reports as a share of all.
    pub(crate) fn precision(&self) -> f64 {
        self.matched as f64 / self.reported.max(1) as f64
    }
}

//! A plain SORT (Bewley et al., 2016) as the baseline: constant velocity by the frame, overlap of at least 0.3, one
//! missed frame at most, three hits to be believed. Written from the paper.

use crate::metrics::best_pairs;
use lva_zones::*;

/// Centre, area and aspect with their covariance; speeds of the first three.
#[derive(Debug, Clone)]
struct Box7 {
    id: u64,
    value: [f64; 4],
    speed: [f64; 3],
    /// Variance of value, of both, and of speed.
    covariance: [[f64; 3]; 4],
    missed: u32,
    streak: u32,
    score: f32,
}

impl Box7 {
    fn new(id: u64, z: [f64; 4], score: f32) -> Self {
        let fixed = [10.0, 0.0, 1e4];
        Self {
            id,
            value: z,
            speed: [0.0; 3],
            covariance: [fixed; 4],
            missed: 0,
            streak: 0,
            score,
        }
    }

    fn predict(&mut self) {
        if self.value[2] + self.speed[2] <= 0.0 {
            self.speed[2] = 0.0;
        }
        for (i, [var, both, fast]) in self.covariance.iter_mut().enumerate() {
            if let Some(speed) = self.speed.get(i) {
                self.value[i] += speed;
                *var += 2.0 * *both + *fast + 1.0;
                *both += *fast;
                *fast += if i == 2 { 1e-4 } else { 1e-2 };
            } else {
                *var += 1.0;
            }
        }
        if self.missed > 0 {
            self.streak = 0;
        }
        self.missed += 1;
    }

    fn update(&mut self, z: [f64; 4], score: f32) {
        for (i, [var, both, fast]) in self.covariance.iter_mut().enumerate() {
            let noise = if i < 2 { 1.0 } else { 10.0 };
            let (gain, fast_gain) = (*var / (*var + noise), *both / (*var + noise));
            let off = z[i] - self.value[i];
            self.value[i] += gain * off;
            if let Some(speed) = self.speed.get_mut(i) {
                *speed += fast_gain * off;
            }
            *fast -= fast_gain * *both;
            *both *= 1.0 - gain;
            *var *= 1.0 - gain;
        }
        self.missed = 0;
        self.streak += 1;
        self.score = score;
    }

    fn edges(&self) -> [f64; 4] {
        let [x, y, area, ratio] = self.value;
        let width = (area * ratio).max(1e-6).sqrt();
        let height = area.max(1e-6) / width;
        [
            x - width / 2.0,
            y - height / 2.0,
            x + width / 2.0,
            y + height / 2.0,
        ]
    }
}

#[derive(Debug, Default)]
pub(crate) struct Sort {
    tracks: Vec<Box7>,
    next: u64,
    frames: u32,
}

/// Pixels, as the paper's noise is in pixels.
const WIDTH: f64 = 1280.0;
const HEIGHT: f64 = 720.0;

impl Sort {
    pub(crate) fn update(&mut self, detections: &[Detection]) -> Vec<Observation> {
        self.frames += 1;
        for track in &mut self.tracks {
            track.predict();
        }
        let sure: Vec<&Detection> = detections.iter().filter(|d| d.score >= 0.5).collect();
        let edges = |d: &Detection| {
            let b = d.bbox;
            [b.left, b.top, b.right(), b.bottom()].map(f64::from)
        };
        let scaled = |[l, t, r, b]: [f64; 4]| [l * WIDTH, t * HEIGHT, r * WIDTH, b * HEIGHT];
        let worth: Vec<Vec<f64>> = self
            .tracks
            .iter()
            .map(|track| {
                sure.iter()
                    .map(|d| overlap(track.edges(), scaled(edges(d))))
                    .collect()
            })
            .collect();
        let mut free = vec![true; sure.len()];
        let measured = |d: &Detection| {
            let [l, t, r, b] = scaled(edges(d));
            [(l + r) / 2.0, (t + b) / 2.0, (r - l) * (b - t), (r - l) / (b - t)]
        };
        for (row, column) in best_pairs(&worth) {
            if worth[row][column] >= 0.3 {
                self.tracks[row].update(measured(sure[column]), sure[column].score);
                free[column] = false;
            }
        }
        for (d, _) in sure.iter().zip(&free).filter(|(_, free)| **free) {
            self.next += 1;
            self.tracks.push(Box7::new(self.next, measured(d), d.score));
        }
        self.tracks.retain(|track| track.missed <= 1);
        let believed = |t: &&Box7| t.missed == 0 && (t.streak >= 3 || self.frames <= 3);
        let reported = self.tracks.iter().filter(believed).map(|track| {
            let [l, t, r, b] = track.edges();
            let bbox = BoundingBox::new(
                (l / WIDTH) as f32,
                (t / HEIGHT) as f32,
                ((r - l) / WIDTH) as f32,
                ((b - t) / HEIGHT) as f32,
            );
            Observation {
                score: track.score,
                ..Observation::new(TrackId(track.id), bbox)
            }
        });
        reported.filter(|o| o.bbox.is_valid()).collect()
    }
}

fn overlap(a: [f64; 4], b: [f64; 4]) -> f64 {
    let common = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |e: [f64; 4]| (e[2] - e[0]) * (e[3] - e[1]);
    common / (area(a) + area(b) - common)
}

//! Comparison of motion regions with the truth.

use crate::evaluation::counts;
use lva_sample_world::{ClipTruth, PersonTruth};

/// Speed in metres per second from which a person counts as walking.
const WALKS: f32 = 0.3;
/// Seconds before and after a frame over which speed is measured.
const SPEED_OVER_S: f64 = 0.25;
/// A region of a person may extend this far outside the person's box, in heights of the box: shadows move too.
const SHADOW: f32 = 1.0;

/// Counters over any number of frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MotionScore {
    /// Frames.
    pub frames: u64,
    /// Observations of people who walk and are more than half visible.
    pub walkers: u64,
    /// Of those, observations whose box is at least half inside regions.
    pub found: u64,
    /// Regions.
    pub regions: u64,
    /// Of those, regions that touch neither a person nor a possible shadow.
    pub of_nobody: u64,
    /// Frames in which a person walks.
    pub frames_with_walkers: u64,
    /// Of those, frames with motion.
    pub frames_found: u64,
    /// Frames without any movement.
    pub still_frames: u64,
    /// Of those, frames with motion.
    pub still_frames_with_motion: u64,
}

impl MotionScore {
    /// Adds the regions (left, top, width, height as fractions) of frame `index`. The start of the clip, from which a
    /// detector learns, is not counted.
    pub fn add(&mut self, regions: &[[f32; 4]], clip: &ClipTruth, index: usize) {
        let Some(frame) = clip.frames.get(index) else {
            return;
        };
        if index < clip.scene.fps as usize * 3 / 2 {
            return;
        }
        self.frames += 1;
        let (mut walkers, mut moves) = (0, 0);
        for person in &frame.people {
            let speed = speed(clip, index, person);
            moves += u64::from(speed > 0.05);
            if speed < WALKS || !counts(person) {
                continue;
            }
            walkers += 1;
            let inside: f32 = regions.iter().map(|region| common(region, &person.bbox)).sum();
            self.found += u64::from(inside >= 0.5 * person.bbox[2] * person.bbox[3]);
        }
        for region in regions {
            let near = |person: &PersonTruth| {
                let [left, top, width, height] = person.bbox;
                // Fractions of the width are larger than those of the height.
                let reach = [SHADOW * height * 9.0 / 16.0, SHADOW * height];
                let wide = [
                    left - reach[0],
                    top - reach[1] * 0.2,
                    width + 2.0 * reach[0],
                    height + reach[1],
                ];
                common(region, &wide) > 0.0
            };
            self.of_nobody += u64::from(!frame.people.iter().any(near));
        }
        self.regions += regions.len() as u64;
        self.walkers += walkers;
        self.frames_with_walkers += u64::from(walkers > 0);
        self.frames_found += u64::from(walkers > 0 && !regions.is_empty());
        self.still_frames += u64::from(moves == 0);
        self.still_frames_with_motion += u64::from(moves == 0 && !regions.is_empty());
    }
}

/// Speed on the ground in metres per second.
fn speed(clip: &ClipTruth, index: usize, person: &PersonTruth) -> f32 {
    let reach = (SPEED_OVER_S * f64::from(clip.scene.fps)).round().max(1.0) as usize;
    let at = |index: usize| {
        let people = clip.frames.get(index).map(|frame| &frame.people);
        people.and_then(|people| people.iter().find(|other| other.id == person.id))
    };
    let ends = (index.saturating_sub(reach)..=index)
        .find_map(|first| at(first).map(|found| (first, found)))
        .zip(
            (index..=index + reach)
                .rev()
                .find_map(|last| at(last).map(|found| (last, found))),
        );
    match ends {
        Some(((first, from), (last, to))) if last > first => {
            let [x, y] = [
                to.ground_m[0] - from.ground_m[0],
                to.ground_m[1] - from.ground_m[1],
            ];
            x.hypot(y) * clip.scene.fps as f32 / (last - first) as f32
        }
        _ => 0.0,
    }
}

/// The area of the intersection of two boxes.
fn common(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let along = |axis: usize| {
        let end = (a[axis] + a[axis + 2]).min(b[axis] + b[axis + 2]);
        (end - a[axis].max(b[axis])).max(0.0)
    };
    along(0) * along(1)
}

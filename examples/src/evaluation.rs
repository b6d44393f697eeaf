//! Comparison of detections with the truth.

use lva_inference::{BoundingBox, Detection};
use lva_sample_world::PersonTruth;

/// Smallest overlap (intersection over union) at which a detection matches a person.
pub const OVERLAP: f32 = 0.5;
/// People who are less visible are not counted, whether found or not.
pub const VISIBLE: f32 = 0.5;

/// Counters over any number of frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// People who are more than half visible.
    pub people: u64,
    /// Of those, found.
    pub found: u64,
    /// Detections without a person.
    pub false_alarms: u64,
}

impl Score {
    /// Adds one frame. In the order of their scores, detections are matched to the person with the largest overlap, first
    /// among those who count.
    pub fn add(&mut self, detections: &[Detection], truth: &[PersonTruth]) {
        let mut order: Vec<&Detection> = detections.iter().collect();
        order.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut taken = vec![false; truth.len()];
        self.people += truth.iter().filter(|person| counts(person)).count() as u64;
        for detection in order {
            let best = truth
                .iter()
                .enumerate()
                .filter(|(index, _)| !taken[*index])
                .map(|(index, person)| (index, counts(person), detection.bbox.iou(&bounding_box(person))))
                .filter(|(_, _, overlap)| *overlap >= OVERLAP)
                .max_by(|a, b| a.1.cmp(&b.1).then(a.2.total_cmp(&b.2)));
            match best {
                Some((index, counted, _)) => {
                    taken[index] = true;
                    self.found += u64::from(counted);
                }
                None => self.false_alarms += 1,
            }
        }
    }

    /// Share of the counted detections that are people; 1 without detections.
    pub fn precision(&self) -> f64 {
        ratio(self.found, self.found + self.false_alarms)
    }

    /// Share of the people who were found; 1 without people.
    pub fn recall(&self) -> f64 {
        ratio(self.found, self.people)
    }
}

/// The person's box as a detector reports it.
pub fn bounding_box(person: &PersonTruth) -> BoundingBox {
    let [left, top, width, height] = person.bbox;
    BoundingBox::from_edges(left, top, left + width, top + height)
}

pub(crate) fn counts(person: &PersonTruth) -> bool {
    person.visible_share > VISIBLE
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(left: f32, visible_share: f32) -> PersonTruth {
        let bbox = [left, 0.2, 0.1, 0.4];
        PersonTruth {
            id: 0,
            bbox,
            visible_share,
            foot: [0.0; 2],
            ground_m: [0.0; 2],
        }
    }

    fn detection(left: f32, score: f32) -> Detection {
        Detection {
            bbox: BoundingBox::from_edges(left, 0.2, left + 0.1, 0.6),
            class: 0,
            score,
        }
    }

    #[test]
    fn each_person_is_found_once_and_the_rest_are_false_alarms() {
        let mut score = Score::default();
        score.add(
            &[detection(0.3, 0.9), detection(0.31, 0.8), detection(0.7, 0.7)],
            &[person(0.3, 1.0), person(0.5, 0.9)],
        );
        assert_eq!(
            score,
            Score {
                people: 2,
                found: 1,
                false_alarms: 2
            }
        );
        assert!((score.precision() - 1.0 / 3.0).abs() < 1e-9 && (score.recall() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn hidden_people_are_not_counted() {
        let mut score = Score::default();
        score.add(&[detection(0.3, 0.9)], &[person(0.3, 0.4), person(0.6, 0.2)]);
        assert_eq!(
            score,
            Score {
                people: 0,
                found: 0,
                false_alarms: 0
            }
        );
    }
}

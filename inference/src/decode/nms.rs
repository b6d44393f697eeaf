//! Greedy non-maximum suppression: one box for each object.

use super::{Candidate, MAX_CANDIDATES};

/// Leaves the best boxes, best first, none overlapping a better one of its class, or of any, by `threshold` or more.
pub(super) fn suppress(candidates: &mut Vec<Candidate>, threshold: f32, across_classes: bool) {
    let better = |a: &Candidate, b: &Candidate| b.score.total_cmp(&a.score);
    if candidates.len() > MAX_CANDIDATES {
        candidates.select_nth_unstable_by(MAX_CANDIDATES, better);
        candidates.truncate(MAX_CANDIDATES);
    }
    // Stable, so that boxes of equal score keep the order of the grid and results repeat.
    candidates.sort_by(better);
    let mut kept = 0;
    for i in 0..candidates.len() {
        let (head, rest) = candidates.split_at(i);
        let Some(&candidate) = rest.first() else { break };
        if head
            .iter()
            .take(kept)
            .filter(|k| across_classes || k.class == candidate.class)
            .all(|k| overlap(&k.edges, &candidate.edges) < threshold)
        {
            if let Some(slot) = candidates.get_mut(kept) {
                *slot = candidate;
            }
            kept += 1;
        }
    }
    candidates.truncate(kept);
}

/// Intersection over union of two boxes by edges. Boxes without area overlap nothing.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |e: &[f32; 4]| (e[2] - e[0]).max(0.0) * (e[3] - e[1]).max(0.0);
    let common = [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])];
    let common = area(&common);
    let union = area(a) + area(b) - common;
    if union > 0.0 { common / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(left: f32, score: f32) -> Candidate {
        Candidate {
            edges: [left, 0.0, left + 10.0, 10.0],
            class: 0,
            score,
        }
    }

    #[test]
    fn the_best_of_a_heap_stays() {
        // 1 apart: overlap 9/11; 5 apart: 5/15.
        let mut found = vec![
            candidate(1.0, 0.5),
            candidate(0.0, 0.9),
            candidate(5.0, 0.7),
            candidate(2.0, 0.8),
        ];
        suppress(&mut found, 0.5, true);
        assert_eq!(found, [candidate(0.0, 0.9), candidate(5.0, 0.7)]);
    }

    #[test]
    fn a_suppressed_box_suppresses_nothing() {
        let mut found = vec![candidate(0.0, 0.9), candidate(4.0, 0.8), candidate(8.0, 0.7)];
        suppress(&mut found, 0.4, true);
        assert_eq!(found, [candidate(0.0, 0.9), candidate(8.0, 0.7)]);
    }

    #[test]
    fn the_number_is_bounded_and_the_best_are_taken() {
        let mut found: Vec<_> = (0..3000u16)
            .map(|i| candidate(f32::from(i) * 20.0, f32::from(i) / 3000.0))
            .collect();
        suppress(&mut found, 0.5, true);
        assert_eq!(found.len(), MAX_CANDIDATES);
        assert_eq!(found[0].score, 2999.0 / 3000.0);
        assert_eq!(
            found[MAX_CANDIDATES - 1].score,
            (3000 - MAX_CANDIDATES) as f32 / 3000.0
        );
    }

    #[test]
    fn classes_are_apart_if_asked_for() {
        let mut found = vec![candidate(0.0, 0.9), candidate(0.0, 0.8), candidate(0.0, 0.7)];
        found[1].class = 1;
        let mut across = found.clone();
        suppress(&mut found, 0.5, false);
        assert_eq!(found.iter().map(|c| c.class).collect::<Vec<_>>(), [0, 1]);
        suppress(&mut across, 0.5, true);
        assert_eq!(across.len(), 1);
    }

    #[test]
    fn a_threshold_of_one_keeps_all_but_copies() {
        let mut found = vec![candidate(0.0, 0.9), candidate(0.0, 0.8), candidate(0.1, 0.7)];
        suppress(&mut found, 1.0, true);
        assert_eq!(found.len(), 2);
    }
}

//! How good identities are: HOTA (Luiten et al., 2021), IDF1 (Ristani et al., 2016) and identity switches.

use std::collections::BTreeMap;

/// Boxes of a frame with their identities: left, top, right, bottom.
pub(crate) type Frame = Vec<(u64, [f64; 4])>;

/// Sums over any number of clips; identities of two clips never meet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    truth: u64,
    reported: u64,
    identity_true: u64,
    switches: u64,
    /// For each overlap asked for, 0.05 to 0.95: true positives, and the sum of their association.
    hota: [(u64, f64); 19],
}

impl Identity {
    pub(crate) fn add(&mut self, truth: &[Frame], reported: &[Frame]) {
        let truth = Numbered::new(truth);
        let reported = Numbered::new(reported);
        let (rows, columns) = (truth.names.len(), reported.names.len());
        let overlaps: Vec<Vec<Vec<f64>>> = truth
            .frames
            .iter()
            .zip(&reported.frames)
            .map(|(t, r)| {
                t.iter()
                    .map(|(_, a)| r.iter().map(|(_, b)| iou(*a, *b)).collect())
                    .collect()
            })
            .collect();
        let all: u64 = truth.counts.iter().sum();
        self.truth += all;
        self.reported += reported.counts.iter().sum::<u64>();

        // IDF1: one partner for each identity, so that as many boxes as possible agree.
        let mut together = vec![vec![0.0; columns]; rows];
        let mut likely = vec![vec![0.0; columns]; rows];
        for ((t, r), overlap) in truth.frames.iter().zip(&reported.frames).zip(&overlaps) {
            for (i, (a, _)) in t.iter().enumerate() {
                for (j, (b, _)) in r.iter().enumerate() {
                    let s = overlap[i][j];
                    together[*a][*b] += f64::from(u8::from(s >= 0.5));
                    let row: f64 = overlap[i].iter().sum();
                    let column: f64 = overlap.iter().map(|row| row[j]).sum();
                    if s > 0.0 {
                        likely[*a][*b] += s / (row + column - s);
                    }
                }
            }
        }
        let pairs = best_pairs(&together);
        self.identity_true += pairs.iter().map(|(a, b)| together[*a][*b] as u64).sum::<u64>();

        // HOTA: frames are matched so that whole ways fit best.
        let mut matched = vec![BTreeMap::<(usize, usize), u64>::new(); 19];
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for ((t, r), overlap) in truth.frames.iter().zip(&reported.frames).zip(&overlaps) {
            let alike = |a: usize, b: usize| {
                likely[a][b] / (truth.counts[a] as f64 + reported.counts[b] as f64 - likely[a][b]).max(1e-9)
            };
            let scores: Vec<Vec<f64>> = t
                .iter()
                .enumerate()
                .map(|(i, (a, _))| {
                    r.iter()
                        .enumerate()
                        .map(|(j, (b, _))| alike(*a, *b) * overlap[i][j])
                        .collect()
                })
                .collect();
            for (i, j) in best_pairs(&scores) {
                for (step, counts) in matched.iter_mut().enumerate() {
                    if overlap[i][j] >= 0.05 * (step + 1) as f64 - 1e-9 {
                        *counts.entry((t[i].0, r[j].0)).or_default() += 1;
                    }
                }
            }
            // Switches: who was matched stays so while the boxes overlap.
            let clear: Vec<Vec<f64>> = t
                .iter()
                .enumerate()
                .map(|(i, (a, _))| {
                    let kept = |b: usize| f64::from(u8::from(last.get(a) == Some(&b))) * 1000.0;
                    r.iter()
                        .enumerate()
                        .map(|(j, (b, _))| {
                            if overlap[i][j] >= 0.5 {
                                overlap[i][j] + kept(*b)
                            } else {
                                0.0
                            }
                        })
                        .collect()
                })
                .collect();
            for (i, j) in best_pairs(&clear) {
                if clear[i][j] > 0.0 && last.insert(t[i].0, r[j].0).is_some_and(|before| before != r[j].0) {
                    self.switches += 1;
                }
            }
        }
        for (sum, counts) in self.hota.iter_mut().zip(&matched) {
            for ((a, b), count) in counts {
                let union = truth.counts[*a] + reported.counts[*b] - count;
                sum.0 += count;
                sum.1 += *count as f64 * *count as f64 / union as f64;
            }
        }
    }

    pub(crate) fn idf1(&self) -> f64 {
        2.0 * self.identity_true as f64 / (self.truth + self.reported).max(1) as f64
    }

    pub(crate) fn hota(&self) -> f64 {
        let one = |(matched, association): &(u64, f64)| {
            let detection = *matched as f64 / (self.truth + self.reported - matched).max(1) as f64;
            (detection * association / (*matched).max(1) as f64).sqrt()
        };
        self.hota.iter().map(one).sum::<f64>() / 19.0
    }

    pub(crate) fn switches(&self) -> u64 {
        self.switches
    }
}

/// Frames whose identities are numbered from 0.
struct Numbered {
    names: BTreeMap<u64, usize>,
    counts: Vec<u64>,
    frames: Vec<Vec<(usize, [f64; 4])>>,
}

impl Numbered {
    fn new(frames: &[Frame]) -> Self {
        let mut names = BTreeMap::new();
        let mut counts = Vec::new();
        let frames = frames
            .iter()
            .map(|frame| {
                frame
                    .iter()
                    .map(|(name, bbox)| {
                        let next = names.len();
                        let number = *names.entry(*name).or_insert(next);
                        if number == counts.len() {
                            counts.push(0);
                        }
                        counts[number] += 1;
                        (number, *bbox)
                    })
                    .collect()
            })
            .collect();
        Self {
            names,
            counts,
            frames,
        }
    }
}

fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let common = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |e: [f64; 4]| (e[2] - e[0]) * (e[3] - e[1]);
    common / (area(a) + area(b) - common)
}

/// Pairs of rows and columns with the greatest sum; only pairs worth something.
pub(crate) fn best_pairs(worth: &[Vec<f64>]) -> Vec<(usize, usize)> {
    let rows = worth.len();
    let columns = worth.first().map_or(0, Vec::len);
    if rows == 0 || columns == 0 {
        return Vec::new();
    }
    if rows > columns {
        let changed_at: Vec<Vec<f64>> = (0..columns)
            .map(|c| worth.iter().map(|row| row[c]).collect())
            .collect();
        return best_pairs(&changed_at).into_iter().map(|(a, b)| (b, a)).collect();
    }
    // The Hungarian method on costs, row by row.
    let (mut u, mut v, mut owner) = (
        vec![0.0; rows + 1],
        vec![0.0; columns + 1],
        vec![0usize; columns + 1],
    );
    for row in 1..=rows {
        owner[0] = row;
        let (mut least, mut way) = (vec![f64::INFINITY; columns + 1], vec![0; columns + 1]);
        let mut done = vec![false; columns + 1];
        let mut here = 0;
        loop {
            done[here] = true;
            let (from, mut delta, mut next) = (owner[here], f64::INFINITY, 0);
            for column in 1..=columns {
                if !done[column] {
                    let cost = -worth[from - 1][column - 1] - u[from] - v[column];
                    if cost < least[column] {
                        least[column] = cost;
                        way[column] = here;
                    }
                    if least[column] < delta {
                        delta = least[column];
                        next = column;
                    }
                }
            }
            for column in 0..=columns {
                if done[column] {
                    u[owner[column]] += delta;
                    v[column] -= delta;
                } else {
                    least[column] -= delta;
                }
            }
            here = next;
            if owner[here] == 0 {
                break;
            }
        }
        while here != 0 {
            owner[here] = owner[way[here]];
            here = way[here];
        }
    }
    let pairs = (1..=columns)
        .filter(|c| owner[*c] != 0)
        .map(|c| (owner[c] - 1, c - 1));
    pairs.filter(|(a, b)| worth[*a][*b] > 0.0).collect()
}

#[test]
fn metrics_of_cases_computed_by_hand() {
    let at = |x: f64| [x, 0.0, x + 1.0, 1.0];
    let truth: Vec<Frame> = (0..4).map(|_| vec![(1, at(0.0)), (2, at(5.0))]).collect();
    let mut perfect = Identity::default();
    perfect.add(&truth, &truth);
    assert_eq!(
        (perfect.idf1(), perfect.hota(), perfect.switches()),
        (1.0, 1.0, 0)
    );
    // Both swap names half way: half of the boxes agree with the best naming, association is 2/6 everywhere.
    let swapped: Vec<Frame> = (0..4)
        .map(|t| {
            if t < 2 {
                vec![(1, at(0.0)), (2, at(5.0))]
            } else {
                vec![(2, at(0.0)), (1, at(5.0))]
            }
        })
        .collect();
    let mut half = Identity::default();
    half.add(&truth, &swapped);
    assert_eq!((half.idf1(), half.switches()), (0.5, 2));
    assert!(
        (half.hota() - (1.0f64 / 3.0).sqrt()).abs() < 1e-9,
        "{}",
        half.hota()
    );
    // One of two is never reported: detection 1/2, association 1.
    let one: Vec<Frame> = (0..4).map(|_| vec![(1, at(0.0))]).collect();
    let mut missed = Identity::default();
    missed.add(&truth, &one);
    assert!((missed.idf1() - 2.0 / 3.0).abs() < 1e-9 && (missed.hota() - 0.5f64.sqrt()).abs() < 1e-9);
    // Overlap 0.5 counts for 0.05 to 0.5, which are 10 of 19.
    let off: Vec<Frame> = (0..4)
        .map(|_| vec![(1, at(1.0 / 3.0)), (2, at(5.0 + 1.0 / 3.0))])
        .collect();
    let mut shifted = Identity::default();
    shifted.add(&truth, &off);
    assert!((shifted.hota() - 10.0 / 19.0).abs() < 1e-9, "{}", shifted.hota());
}

//! Which source samples make one output sample, and with which weights.

/// The taps of every output position along one axis.
///
/// All positions have the same number of taps, some of weight zero: loops over taps then have a fixed length.
#[derive(Debug, Default)]
pub(super) struct FilterTaps {
    taps: usize,
    starts: Vec<usize>,
    weights: Vec<f32>,
}

/// The taps of one output position: samples `start..start + weights.len()`; the weights sum to 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap<'a> {
    pub(super) start: usize,
    pub(super) weights: &'a [f32],
}

impl Tap<'_> {
    /// Source rows and their weights, those of weight zero left out.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        self.weights
            .iter()
            .enumerate()
            .filter(|&(_, &w)| w != 0.0)
            .map(|(k, &w)| (self.start + k, w))
    }
}

impl FilterTaps {
    /// Taps from `samples` source samples to `out` output samples (both at least 1).
    ///
    /// Source sample `k` covers the interval `k..k + 1`. The output divides `0..extent` evenly; the extent is
    /// below `samples` for the chroma of odd pictures only, whose last sample covers half as much.
    pub(super) fn compute(&mut self, samples: usize, extent: f64, out: usize) {
        let step = extent / out.max(1) as f64;
        let widest = if step > 1.0 { step.ceil() as usize + 1 } else { 2 };
        self.taps = widest.min(samples).max(1);
        self.starts.clear();
        self.weights.clear();
        self.weights.resize(out * self.taps, 0.0);
        for (i, weights) in self.weights.chunks_exact_mut(self.taps).enumerate() {
            let window = if step > 1.0 {
                area(i, step, extent)
            } else {
                bilinear(i, step, samples)
            };
            // A window at the end of the axis begins earlier and has zero weights in front.
            let start = window.first.min(samples - self.taps);
            for (k, weight) in weights.iter_mut().enumerate() {
                *weight = window.weight(start + k) as f32;
            }
            self.starts.push(start);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Tap<'_>> {
        self.starts
            .iter()
            .zip(self.weights.chunks_exact(self.taps.max(1)))
            .map(|(&start, weights)| Tap { start, weights })
    }
}

/// Weights over the source axis, before they are laid out as taps.
struct Window {
    first: usize,
    kind: Kind,
}

enum Kind {
    /// The mean over an interval.
    Area { from: f64, to: f64 },
    /// Two neighbours; the share of the second. Equal positions at the rim.
    Pair { second: usize, share: f64 },
}

impl Window {
    fn weight(&self, sample: usize) -> f64 {
        match self.kind {
            Kind::Area { from, to } => {
                let covered = to.min(sample as f64 + 1.0) - from.max(sample as f64);
                covered.max(0.0) / (to - from)
            }
            Kind::Pair { second, share } => {
                let of_first = if sample == self.first { 1.0 - share } else { 0.0 };
                let of_second = if sample == second { share } else { 0.0 };
                of_first + of_second
            }
        }
    }
}

fn area(i: usize, step: f64, extent: f64) -> Window {
    let from = i as f64 * step;
    let to = (from + step).min(extent);
    Window {
        first: from as usize,
        kind: Kind::Area { from, to },
    }
}

fn bilinear(i: usize, step: f64, samples: usize) -> Window {
    let last = samples.saturating_sub(1);
    let centre = ((i as f64 + 0.5) * step - 0.5).clamp(0.0, last as f64);
    let first = (centre as usize).min(last);
    Window {
        first,
        kind: Kind::Pair {
            second: (first + 1).min(last),
            share: centre - first as f64,
        },
    }
}

/// Sums the rows of a tap into `sums`, one float a source byte.
pub(super) fn sum_rows<'p>(sums: &mut [f32], tap: Tap<'_>, row: impl Fn(usize) -> &'p [u8]) {
    let mut rows = tap.rows();
    let mut first = true;
    // Two rows at a time halve the traffic on the sums.
    while let Some((a, weight_a)) = rows.next() {
        match rows.next() {
            Some((b, weight_b)) => add_two_rows(sums, [row(a), row(b)], [weight_a, weight_b], first),
            None => add_row(sums, row(a), weight_a, first),
        }
        first = false;
    }
}

/// `sums = row × weight` for the first row of a window, `sums += row × weight` for the others.
pub(super) fn add_row(sums: &mut [f32], row: &[u8], weight: f32, first: bool) {
    let pairs = sums.iter_mut().zip(row);
    if first {
        pairs.for_each(|(sum, &v)| *sum = f32::from(v) * weight);
    } else {
        pairs.for_each(|(sum, &v)| *sum += f32::from(v) * weight);
    }
}

fn add_two_rows(sums: &mut [f32], [a, b]: [&[u8]; 2], [weight_a, weight_b]: [f32; 2], first: bool) {
    let triples = sums.iter_mut().zip(a).zip(b);
    if first {
        triples.for_each(|((sum, &a), &b)| *sum = f32::from(a) * weight_a + f32::from(b) * weight_b);
    } else {
        triples.for_each(|((sum, &a), &b)| *sum += f32::from(a) * weight_a + f32::from(b) * weight_b);
    }
}

/// Weighs the summed samples of one row of a plane into output samples.
pub(super) fn gather_plane(sums: &[f32], columns: &FilterTaps, out: &mut [f32]) {
    for (tap, out) in columns.iter().zip(out) {
        let window = sums.get(tap.start..).unwrap_or_default();
        *out = window
            .iter()
            .zip(tap.weights)
            .map(|(sum, weight)| sum * weight)
            .sum();
    }
}

/// As [`gather_plane`], for samples that lie `step` bytes apart, the first one `first` bytes into the row.
pub(super) fn gather_samples(sums: &[f32], first: usize, step: usize, columns: &FilterTaps, out: &mut [f32]) {
    let sums = sums.get(first..).unwrap_or_default();
    if step == 1 {
        return gather_plane(sums, columns, out);
    }
    for (tap, out) in columns.iter().zip(out) {
        let window = sums.get(tap.start * step..).unwrap_or_default();
        *out = window
            .iter()
            .step_by(step)
            .zip(tap.weights)
            .map(|(sum, weight)| sum * weight)
            .sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taps(samples: usize, out: usize) -> Vec<(usize, Vec<f32>)> {
        let mut axis = FilterTaps::default();
        axis.compute(samples, samples as f64, out);
        axis.iter().map(|t| (t.start, t.weights.to_vec())).collect()
    }

    #[test]
    fn equal_size_copies() {
        for (i, (start, weights)) in taps(5, 5).into_iter().enumerate() {
            let mut expected = [0.0; 2];
            expected[i - start] = 1.0;
            assert_eq!(weights, expected);
        }
    }

    #[test]
    fn thirds_share_the_middle() {
        let found = taps(3, 2);
        assert_eq!(found[0].0, 0);
        let close = |a: &[f32], b: [f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(&found[0].1, [2.0 / 3.0, 1.0 / 3.0, 0.0]));
        assert!(close(&found[1].1, [0.0, 1.0 / 3.0, 2.0 / 3.0]));
    }

    #[test]
    fn doubling_mixes_quarters_and_holds_the_rim() {
        let found = taps(2, 4);
        let weights: Vec<_> = found.into_iter().map(|(_, w)| w).collect();
        assert_eq!(weights, [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]);
    }

    proptest! {
        #[test]
        fn windows_stay_inside_and_sum_to_one(samples in 1usize..4000, out in 1usize..900, odd in any::<bool>()) {
            let extent = if odd && samples > 1 { samples as f64 - 0.5 } else { samples as f64 };
            let mut axis = FilterTaps::default();
            axis.compute(samples, extent, out);
            prop_assert_eq!(axis.iter().count(), out);
            for tap in axis.iter() {
                prop_assert!(tap.start + tap.weights.len() <= samples);
                let sum: f32 = tap.weights.iter().sum();
                prop_assert!((sum - 1.0).abs() < 1e-4, "{}", sum);
            }
        }
    }
}

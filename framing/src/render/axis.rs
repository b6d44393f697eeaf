//! Filter taps: which source samples make one destination sample along an axis, and with which weights.

/// Most source samples of one destination sample: those under a triangle two pixels wide to each side.
pub(super) const TAPS: usize = 4;

/// Sum of a set of weights.
pub(super) const WHOLE: u16 = 256;

/// One sample of the result: neighbours from `first` on, `weights` of [`WHOLE`] each; those that are left over are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tap {
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) weights: [u16; TAPS],
}

/// Width of the triangle in pixel pitches where a side shrinks. A little below 1 is nearer to Lanczos; of 1 down to 0.9
/// on a drawn and noisy 1080p clip, this is where all three colours gain or stay. The difference from 1 is below 60 dB.
const REACH: f64 = 0.97;

/// Whether [`taps`] applies: a side may shrink to half.
pub(super) fn applies(from: u32, to: u32) -> bool {
    from > 0 && to > 0 && u64::from(from) <= 2 * u64::from(to)
}

/// Bilinear: a triangle around the place of the sample, about as wide as the larger of both pixel pitches, so that
/// nothing is skipped; pixels lie at their centres, and the outermost go on beyond the edge.
pub(super) fn taps(from: u32, to: u32) -> impl Iterator<Item = Tap> {
    let pitch = f64::from(from) / f64::from(to);
    let reach = (pitch * REACH).max(1.0);
    let last = i64::from(from) - 1;
    (0..to).map(move |index| {
        let center = (f64::from(index) + 0.5) * pitch - 0.5;
        let first = ((center - reach).floor() as i64 + 1).clamp(0, last);
        let mut shares = [0.0; TAPS];
        for neighbour in (center - reach).floor() as i64..=(center + reach).ceil() as i64 {
            let share = (1.0 - (neighbour as f64 - center).abs() / reach).max(0.0);
            let place = (neighbour.clamp(0, last) - first).clamp(0, TAPS as i64 - 1);
            if let Some(sum) = shares.get_mut(place as usize) {
                *sum += share;
            }
        }
        rounded(first as usize, shares)
    })
}

/// Weights that add up to [`WHOLE`] exactly: what rounding left over goes to the largest.
fn rounded(first: usize, shares: [f64; TAPS]) -> Tap {
    let sum: f64 = shares.iter().sum();
    let mut weights = shares.map(|share| (share / sum * f64::from(WHOLE)).round() as u16);
    let given: u16 = weights.iter().sum();
    if let Some(largest) = weights.iter_mut().max() {
        *largest = *largest + WHOLE - given;
    }
    let count = TAPS - weights.iter().rev().take_while(|weight| **weight == 0).count();
    Tap {
        first,
        count,
        weights,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up_and_stay_inside_the_side() {
        for (from, to) in [
            (1920, 1397),
            (1080, 786),
            (960, 1397),
            (1, 5),
            (2, 1),
            (7, 7),
            (8192, 4096),
            (3, 2),
        ] {
            let taps: Vec<_> = taps(from, to).collect();
            assert_eq!(taps.len(), to as usize);
            for tap in taps {
                assert_eq!(tap.weights.iter().sum::<u16>(), WHOLE, "{from} to {to}: {tap:?}");
                assert!(
                    tap.count >= 1 && tap.first + tap.count <= from as usize,
                    "{from} to {to}: {tap:?}"
                );
                assert!(tap.weights.iter().skip(tap.count).all(|weight| *weight == 0));
            }
        }
    }

    #[test]
    fn a_side_of_the_same_length_is_taken_as_it_is() {
        for (index, tap) in taps(5, 5).enumerate() {
            assert_eq!((tap.first, tap.count, tap.weights[0]), (index, 1, WHOLE));
        }
    }

    #[test]
    fn a_side_may_shrink_to_its_half() {
        assert!(applies(1920, 960) && applies(1, 8192) && applies(2, 1));
        assert!(!applies(1920, 959) && !applies(3, 1));
    }
}

//! NanoDet, NanoDet-Plus and PP-PicoDet: class scores, and a distribution over eight bins for the distance to each side.
//!
//! After RangiLyu/nanodet `nanodet/model/head/{gfl_head,nanodet_plus_head}.py` and Li et al., "Generalized Focal Loss"
//! (2020): the distance is the mean of the bins' numbers under the softmax of their values, in units of the stride. The
//! centre of a place is `(column, row) × stride` in NanoDet-Plus, half a cell further before it and in
//! PP-PicoDet, whose raw heads are those of PaddlePaddle/PaddleDetection `deploy/third_engine`.

use super::found::{Found, best_class};
use super::shapes::{FRAMES, Side, expect, part, place_count, places};
use super::{DecodeError, OutputView, Rules};

const STRIDES: [usize; 4] = [8, 16, 32, 64];
/// Bins of each side: 0 to 7 strides.
const BINS: usize = 8;

pub(super) fn frames_plus(rules: &Rules, outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let places = place_count((rules.input_width, rules.input_height), &STRIDES);
    let sides = [FRAMES, Side::Is(places), Side::Is(rules.classes + 4 * BINS)];
    expect(outputs, 0, 1, sides).map(|sides| Some(sides[0]))
}

pub(super) fn read_plus(rules: &Rules, outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let rows = part(outputs, 0, frame).chunks_exact(rules.classes + 4 * BINS);
    let places = places((rules.input_width, rules.input_height), &STRIDES);
    for (row, place) in rows.zip(places) {
        if let Some((scores, bins)) = row.split_at_checked(rules.classes) {
            read_place(scores, bins, place, 0.0, found);
        }
    }
}

/// Strides of NanoDet before Plus.
pub(super) const OLD_STRIDES: &[usize] = &[8, 16, 32];
/// Strides of PP-PicoDet.
pub(super) const PICO_STRIDES: &[usize] = &STRIDES;

/// An output of scores for each stride, then one of bins for each.
pub(super) fn frames(
    rules: &Rules,
    strides: &[usize],
    outputs: &[OutputView<'_>],
) -> Result<Option<usize>, DecodeError> {
    let heads = strides.len();
    let mut frames = None;
    for (index, stride) in strides.iter().enumerate() {
        let count = place_count((rules.input_width, rules.input_height), &[*stride]);
        let scores = [FRAMES, Side::Is(count), Side::Is(rules.classes)];
        let [found, ..] = expect(outputs, index, 2 * heads, scores)?;
        expect(
            outputs,
            index + heads,
            2 * heads,
            [Side::Is(found), Side::Is(count), Side::Is(4 * BINS)],
        )?;
        // The least, so that no frame lacks a scale.
        frames = Some(frames.map_or(found, |frames: usize| frames.min(found)));
    }
    Ok(frames)
}

pub(super) fn read(
    rules: &Rules,
    strides: &[usize],
    outputs: &[OutputView<'_>],
    frame: usize,
    found: &mut Found,
) {
    for (index, stride) in strides.iter().enumerate() {
        let scores = part(outputs, index, frame).chunks_exact(rules.classes.max(1));
        let bins = part(outputs, index + strides.len(), frame).chunks_exact(4 * BINS);
        let stride = [*stride];
        let places = places((rules.input_width, rules.input_height), &stride);
        for ((scores, bins), place) in scores.zip(bins).zip(places) {
            read_place(scores, bins, place, 0.5, found);
        }
    }
}

fn read_place(
    scores: &[f32],
    bins: &[f32],
    (column, row, stride): (f32, f32, f32),
    offset: f32,
    found: &mut Found,
) {
    let Some((class, score)) = best_class(scores) else {
        return;
    };
    if !found.wants(score) {
        return;
    }
    let mut distances = [0.0; 4];
    for (distance, bins) in distances.iter_mut().zip(bins.as_chunks::<BINS>().0) {
        *distance = mean_bin(bins) * stride;
    }
    let (x, y) = ((column + offset) * stride, (row + offset) * stride);
    let [left, top, right, bottom] = distances;
    found.add([x - left, y - top, x + right, y + bottom], class, score);
}

/// The expected bin under the softmax.
fn mean_bin(bins: &[f32; BINS]) -> f32 {
    let largest = bins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (i, value) in bins.iter().enumerate() {
        let weight = (value - largest).exp();
        sum += weight;
        weighted += weight * i as f32;
    }
    weighted / sum
}

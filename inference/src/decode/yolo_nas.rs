//! YOLO-NAS: number, boxes, scores and classes, or boxes and scores before suppression.
//!
//! After Deci-AI/super-gradients `documentation/source/models_export.md`. Exports of others with `num_dets`, `det_boxes`,
//! `det_scores` and `det_classes` are alike.

use super::found::{Found, best_class};
use super::shapes::{BOXES, FRAMES, PLACES, Side, expect, part, same};
use super::{DecodeError, OutputView, Rules};

pub(super) fn frames(outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let count = 4;
    // `[frames, 1]`, or `[frames]`.
    let numbers = expect(outputs, 0, count, [FRAMES, Side::Is(1)]).map(|sides| sides[0]);
    let numbers = numbers.or_else(|error| {
        expect(outputs, 0, count, [FRAMES])
            .map(|sides| sides[0])
            .map_err(|_| error)
    })?;
    let [frames, boxes, _] = expect(outputs, 1, count, [FRAMES, BOXES, Side::Is(4)])?;
    same(frames, numbers, &[numbers])?;
    for index in [2, 3] {
        expect(outputs, index, count, [Side::Is(frames), Side::Is(boxes)])?;
    }
    Ok(Some(frames))
}

pub(super) fn read(outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let number = part(outputs, 0, frame).first().copied().unwrap_or(0.0);
    let boxes = part(outputs, 1, frame).as_chunks::<4>().0;
    let scores = part(outputs, 2, frame).iter().zip(part(outputs, 3, frame));
    // A float cast saturates: a negative number is none.
    for (edges, (&score, &class)) in boxes.iter().zip(scores).take(number.round() as usize) {
        found.add_numbered(*edges, class, score);
    }
}

pub(super) fn frames_raw(rules: &Rules, outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let [frames, places, _] = expect(outputs, 0, 2, [FRAMES, PLACES, Side::Is(4)])?;
    let scores = [Side::Is(frames), Side::Is(places), Side::Is(rules.classes)];
    expect(outputs, 1, 2, scores).map(|sides| Some(sides[0]))
}

pub(super) fn read_raw(rules: &Rules, outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let boxes = part(outputs, 0, frame).as_chunks::<4>().0;
    let scores = part(outputs, 1, frame).chunks_exact(rules.classes.max(1));
    for (edges, scores) in boxes.iter().zip(scores) {
        if let Some((class, score)) = best_class(scores) {
            found.add(*edges, class, score);
        }
    }
}

//! Tiny YOLOv3 of the ONNX model zoo, which the original's own YOLO sample used: boxes, scores, and the triples (frame,
//! class, box) that were selected.
//!
//! After onnx/models `tiny-yolov3`: boxes are top, left, bottom, right in pixels of the picture that the input
//! `image_shape` names; a triple of −1 is none.

use super::found::Found;
use super::shapes::{BOXES, FRAMES, PLACES, Side, expect, part, side};
use super::{DecodeError, OutputView, Rules};

pub(super) fn frames(rules: &Rules, outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let count = 3;
    let [frames, places, _] = expect(outputs, 0, count, [FRAMES, PLACES, Side::Is(4)])?;
    let scores = [Side::Is(frames), Side::Is(rules.classes), Side::Is(places)];
    expect(outputs, 1, count, scores)?;
    let flat = expect(outputs, 2, count, [BOXES, Side::Is(3)]).map(drop);
    flat.or_else(|_| expect(outputs, 2, count, [Side::Is(1), BOXES, Side::Is(3)]).map(drop))?;
    Ok(Some(frames))
}

pub(super) fn read(outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let boxes = part(outputs, 0, frame).as_chunks::<4>().0;
    let scores = part(outputs, 1, frame);
    let places = side(outputs, 1, 2);
    let triples = outputs
        .get(2)
        .map_or(&[][..], |output| output.data)
        .as_chunks::<3>()
        .0;
    for &[of, class, place] in triples {
        if of.min(class).min(place) < 0.0 || of.round() as usize != frame {
            continue;
        }
        let (class, place) = (class.round() as usize, place.round() as usize);
        let score = class
            .checked_mul(places)
            .and_then(|at| scores.get(at.checked_add(place)?));
        if let (Some(&[top, left, bottom, right]), Some(&score)) = (boxes.get(place), score) {
            found.add([left, top, right, bottom], class, score);
        }
    }
}

//! SSD and EfficientDet of TensorFlow's object detection API, converted by tf2onnx.
//!
//! After its exporter's signature: boxes (top, left, bottom, right, 0..=1), scores, classes (COCO's numbers, 1 is a
//! person) and the number of boxes.

use super::found::Found;
use super::shapes::{BOXES, FRAMES, Side, expect, part};
use super::{DecodeError, OutputView, Rules};

pub(super) fn frames(outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let count = 4;
    let [frames, boxes, _] = expect(outputs, 0, count, [FRAMES, BOXES, Side::Is(4)])?;
    for index in [1, 2] {
        expect(outputs, index, count, [Side::Is(frames), Side::Is(boxes)])?;
    }
    expect(outputs, 3, count, [Side::Is(frames)]).map(|_| Some(frames))
}

pub(super) fn read(rules: &Rules, outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let (width, height) = (rules.input_width as f32, rules.input_height as f32);
    let number = part(outputs, 3, frame).first().copied().unwrap_or(0.0);
    let boxes = part(outputs, 0, frame).as_chunks::<4>().0;
    let scores = part(outputs, 1, frame).iter().zip(part(outputs, 2, frame));
    // A float cast saturates: a negative number is none.
    for (&[top, left, bottom, right], (&score, &class)) in
        boxes.iter().zip(scores).take(number.round() as usize)
    {
        let edges = [left * width, top * height, right * width, bottom * height];
        found.add_numbered(edges, class, score);
    }
}

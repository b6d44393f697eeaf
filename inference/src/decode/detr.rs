//! Transformers that give a fixed number of boxes without suppression.
//!
//! RT-DETR and D-FINE (lyuwenyu/RT-DETR, Peterande/D-FINE): labels, boxes and scores, edges in pixels of the size that the
//! input `orig_target_sizes` names. RF-DETR (roboflow/rf-detr) and DETR of Hugging Face's Transformers: centre and size
//! 0..=1, and logits of the classes, of which each above the threshold counts.

use super::found::Found;
use super::shapes::{BOXES, FRAMES, Side, expect, part};
use super::{DecodeError, OutputView, Rules, sigmoid};

pub(super) fn frames_of_boxes(outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let count = 3;
    let [frames, boxes, _] = expect(outputs, 1, count, [FRAMES, BOXES, Side::Is(4)])?;
    for index in [0, 2] {
        expect(outputs, index, count, [Side::Is(frames), Side::Is(boxes)])?;
    }
    Ok(Some(frames))
}

pub(super) fn read_boxes(outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let boxes = part(outputs, 1, frame).as_chunks::<4>().0;
    let labels = part(outputs, 0, frame).iter().zip(part(outputs, 2, frame));
    for (edges, (&label, &score)) in boxes.iter().zip(labels) {
        found.add_numbered(*edges, label, score);
    }
}

pub(super) fn frames_of_logits(
    rules: &Rules,
    outputs: &[OutputView<'_>],
) -> Result<Option<usize>, DecodeError> {
    let [frames, boxes, _] = expect(outputs, 0, 2, [FRAMES, BOXES, Side::Is(4)])?;
    let logits = [Side::Is(frames), Side::Is(boxes), Side::Is(rules.classes)];
    expect(outputs, 1, 2, logits).map(|_| Some(frames))
}

pub(super) fn read_logits(rules: &Rules, outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let (across, down) = (rules.input_width as f32, rules.input_height as f32);
    let boxes = part(outputs, 0, frame).as_chunks::<4>().0;
    let logits = part(outputs, 1, frame).chunks_exact(rules.classes.max(1));
    for (&[x, y, width, height], logits) in boxes.iter().zip(logits) {
        let centred = [x * across, y * down, width * across, height * down];
        for (class, &logit) in logits.iter().enumerate() {
            let score = sigmoid(logit);
            if found.keeps(class) && found.wants(score) {
                found.add_centred(centred, class, score);
            }
        }
    }
}

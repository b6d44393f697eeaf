//! YOLOv5, YOLOv7 and YOLOX: one row a place, of box, objectness and class scores.
//!
//! Rows of v5 and v7 are decoded by the graph (ultralytics/yolov5 `models/yolo.py`, WongKinYiu/yolov7 `models/yolo.py`);
//! those of YOLOX only with `--decode_in_inference` (Megvii-BaseDetection/YOLOX `yolox/models/yolo_head.py`).

use super::found::{Found, best_class};
use super::shapes::{FRAMES, PLACES, Side, expect, part, place_count, places, side};
use super::{DecodeError, OutputView, Rules};

/// Strides of YOLOX; its P6 models have the last one too.
static STRIDES: [usize; 4] = [8, 16, 32, 64];

pub(super) fn frames(rules: &Rules, outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let sides = [FRAMES, PLACES, Side::Is(5 + rules.classes)];
    expect(outputs, 0, 1, sides).map(|sides| Some(sides[0]))
}

/// As [`frames`], and as many places as the grids of the input have.
pub(super) fn frames_of_grids(
    rules: &Rules,
    outputs: &[OutputView<'_>],
) -> Result<Option<usize>, DecodeError> {
    let input = (rules.input_width, rules.input_height);
    let count = place_count(input, strides(rules, outputs));
    let sides = [FRAMES, Side::Is(count), Side::Is(5 + rules.classes)];
    expect(outputs, 0, 1, sides).map(|sides| Some(sides[0]))
}

/// Three strides, or four where these give the output's places.
fn strides(rules: &Rules, outputs: &[OutputView<'_>]) -> &'static [usize] {
    let input = (rules.input_width, rules.input_height);
    let four = place_count(input, &STRIDES) == side(outputs, 0, 1);
    let usual = if four { STRIDES.get(..) } else { STRIDES.get(..3) };
    usual.unwrap_or_default()
}

/// `objectness_alone`: with one class, YOLOv7 does not train its score.
pub(super) fn read(
    rules: &Rules,
    outputs: &[OutputView<'_>],
    frame: usize,
    objectness_alone: bool,
    found: &mut Found,
) {
    for row in part(outputs, 0, frame).chunks_exact(5 + rules.classes) {
        if let Some((boxes, class, score)) = scored(row, objectness_alone, found) {
            found.add_centred(boxes, class, score);
        }
    }
}

pub(super) fn read_grids(rules: &Rules, outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let input = (rules.input_width, rules.input_height);
    let rows = part(outputs, 0, frame).chunks_exact(5 + rules.classes);
    for (row, (column, line, stride)) in rows.zip(places(input, strides(rules, outputs))) {
        if let Some(([x, y, width, height], class, score)) = scored(row, false, found) {
            let boxes = [
                (x + column) * stride,
                (y + line) * stride,
                width.exp() * stride,
                height.exp() * stride,
            ];
            found.add_centred(boxes, class, score);
        }
    }
}

/// Box, class and score of a row; nothing where the score is too low.
fn scored(row: &[f32], objectness_alone: bool, found: &Found) -> Option<([f32; 4], usize, f32)> {
    let (&[x, y, width, height, objectness], classes) = row.split_first_chunk::<5>()?;
    // Class scores are at most 1, so most rows end here.
    if !found.wants(objectness) {
        return None;
    }
    let (class, score) = if objectness_alone {
        (0, 1.0)
    } else {
        best_class(classes)?
    };
    let score = objectness * score;
    found
        .wants(score)
        .then_some(([x, y, width, height], class, score))
}

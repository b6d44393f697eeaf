//! Yolo-FastestV2: two grids with three anchors, channels last, whose three boxes share their classes.
//!
//! After the published network (dog-qiuqiu/Yolo-FastestV2): sigmoid and softmax are in the graph; 12 channels of boxes, 3
//! of objectness, the classes. `x = (2x − 0.5 + column) × stride`, `width = (2w)² × anchor`.

use super::found::{Found, best_class};
use super::shapes::{FRAMES, Side, expect, part, places};
use super::{DecodeError, OutputView, Rules};

const STRIDES: [usize; 2] = [16, 32];
const ANCHORS: [[[f32; 2]; 3]; 2] = [
    [[12.64, 19.39], [37.88, 51.48], [55.71, 138.31]],
    [[126.91, 78.23], [131.57, 214.55], [279.92, 258.87]],
];
/// Channels in front of the class scores.
const BOX_CHANNELS: usize = 15;

pub(super) fn frames(rules: &Rules, outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let channels = Side::Is(BOX_CHANNELS + rules.classes);
    let mut frames = FRAMES;
    for (index, stride) in STRIDES.iter().enumerate() {
        let (rows, columns) = (rules.input_height / stride, rules.input_width / stride);
        let sides = expect(
            outputs,
            index,
            2,
            [frames, Side::Is(rows), Side::Is(columns), channels],
        )?;
        frames = Side::Is(sides[0]);
    }
    match frames {
        Side::Is(frames) => Ok(Some(frames)),
        Side::Any(_) => Ok(None),
    }
}

pub(super) fn read(rules: &Rules, outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    for (index, (stride, anchors)) in STRIDES.into_iter().zip(ANCHORS).enumerate() {
        let strides = [stride];
        let places = places((rules.input_width, rules.input_height), &strides);
        let cells = part(outputs, index, frame).chunks_exact(BOX_CHANNELS + rules.classes);
        for (cell, (column, row, stride)) in cells.zip(places) {
            let Some((&[ref boxes @ .., a, b, c], classes)) = cell.split_first_chunk::<BOX_CHANNELS>() else {
                return;
            };
            let Some((class, class_score)) = best_class(classes) else {
                continue;
            };
            let boxes = boxes.as_chunks::<4>().0.iter().zip([a, b, c]).zip(anchors);
            for ((&[x, y, width, height], objectness), anchor) in boxes {
                let score = objectness * class_score;
                if found.wants(score) {
                    let centre = [(2.0 * x - 0.5 + column) * stride, (2.0 * y - 0.5 + row) * stride];
                    let size = [
                        (2.0 * width).powi(2) * anchor[0],
                        (2.0 * height).powi(2) * anchor[1],
                    ];
                    found.add_centred([centre[0], centre[1], size[0], size[1]], class, score);
                }
            }
        }
    }
}

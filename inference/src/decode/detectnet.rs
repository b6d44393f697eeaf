//! DetectNet_v2 of NVIDIA's TAO toolkit, such as PeopleNet: how far each cell is covered by a class, and its box.
//!
//! After the parser in NVIDIA's DeepStream samples: cells of 16 pixels, centres half a pixel further, distances in units
//! of 35 pixels.

use super::found::Found;
use super::shapes::{FRAMES, Grid, Side, expect};
use super::{DecodeError, OutputView, Rules};

const CELL: usize = 16;
const OFFSET: f32 = 0.5;
const NORM: f32 = 35.0;

pub(super) fn frames(rules: &Rules, outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let (rows, columns) = (rules.input_height / CELL, rules.input_width / CELL);
    let grid = |frames, channels| [frames, Side::Is(channels), Side::Is(rows), Side::Is(columns)];
    let [frames, ..] = expect(outputs, 0, 2, grid(FRAMES, rules.classes))?;
    expect(outputs, 1, 2, grid(Side::Is(frames), 4 * rules.classes)).map(|_| Some(frames))
}

pub(super) fn read(rules: &Rules, outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let (cover, boxes) = (Grid::of(outputs, 0, frame), Grid::of(outputs, 1, frame));
    for class in 0..rules.classes {
        for (cell, &score) in cover.channel(class).iter().enumerate() {
            if !found.wants(score) {
                continue;
            }
            let (column, row) = cover.position(cell);
            let centre = |place: f32| (place * CELL as f32 + OFFSET) / NORM;
            let (x, y) = (centre(column), centre(row));
            let [left, top, right, bottom] = [0, 1, 2, 3].map(|side| boxes.value(4 * class + side, cell));
            let edges = [x - left, y - top, x + right, y + bottom].map(|v| v * NORM);
            found.add(edges, class, score);
        }
    }
}

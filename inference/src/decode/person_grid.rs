//! This project's own head: a score and four distances a cell.

use super::found::Found;
use super::shapes::{FRAMES, Grid, Side, expect};
use super::{DecodeError, OutputView, Rules};

/// Pixels of the input that one unit of distance stands for, and the side of a cell.
const CELL: usize = 8;

pub(super) fn frames(rules: &Rules, outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let (rows, columns) = (rules.input_height / CELL, rules.input_width / CELL);
    let sides = [FRAMES, Side::Is(5), Side::Is(rows), Side::Is(columns)];
    expect(outputs, 0, 1, sides).map(|sides| Some(sides[0]))
}

pub(super) fn read(outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let grid = Grid::of(outputs, 0, frame);
    for (cell, &score) in grid.channel(0).iter().enumerate() {
        // A NaN is not above the threshold; an infinite score is none.
        if !found.wants(score) {
            continue;
        }
        let (column, row) = grid.position(cell);
        let (x, y) = (column + 0.5, row + 0.5);
        let [left, top, right, bottom] = [1, 2, 3, 4].map(|channel| grid.value(channel, cell));
        let edges = [x - left, y - top, x + right, y + bottom].map(|v| v * CELL as f32);
        found.add(edges, 0, score);
    }
}

#[cfg(test)]
mod tests {
    use crate::{BoundingBox, Fit, ModelSpec, OutputDecoder, OutputView};

    /// 32 × 16 pixels: a grid of 4 × 2 cells.
    fn tensor(cells: &[(usize, [f32; 5])]) -> Vec<f32> {
        let mut data = vec![0.0; 5 * 8];
        for (cell, values) in cells {
            for (channel, value) in values.iter().enumerate() {
                data[channel * 8 + cell] = *value;
            }
        }
        data
    }

    fn decode(spec: ModelSpec, data: &[f32]) -> Vec<(BoundingBox, f32)> {
        let place = [Fit::LetterboxCentered.place((320, 160), (32, 16))];
        let output = OutputView {
            shape: &[1, 5, 2, 4],
            data,
        };
        let found = OutputDecoder::new(&spec)
            .unwrap()
            .decode(&[output], &place)
            .unwrap();
        found[0].iter().map(|d| (d.bbox, d.score)).collect()
    }

    fn spec() -> ModelSpec {
        ModelSpec::person_grid("test", 32, 16)
    }

    #[test]
    fn distances_are_from_the_centre_of_the_cell() {
        // Cell (2, 1): centre (20, 12); 1.5 cells left, 1 up, 0.5 right, 0.5 down.
        let found = decode(spec(), &tensor(&[(6, [0.75, 1.5, 1.0, 0.5, 0.5])]));
        assert_eq!(found, [(BoundingBox::from_edges(0.25, 0.25, 0.75, 1.0), 0.75)]);
    }

    #[test]
    fn threshold_and_overlap_are_options() {
        let data = tensor(&[(1, [0.5, 1.0, 0.5, 1.0, 1.0]), (2, [0.6, 1.0, 0.5, 1.0, 1.0])]);
        // The two boxes are 16 wide and 8 apart: overlap 1/3.
        assert_eq!(decode(spec(), &data).len(), 2);
        assert_eq!(decode(spec().with_nms_threshold(0.3), &data).len(), 1);
        assert_eq!(decode(spec().with_score_threshold(0.55), &data).len(), 1);
        assert_eq!(decode(spec().with_score_threshold(0.61), &data).len(), 0);
    }

    #[test]
    fn boxes_are_clamped_to_the_frame() {
        let found = decode(spec(), &tensor(&[(0, [1.0, 9.0, 9.0, 99.0, 99.0])]));
        assert_eq!(found[0].0, BoundingBox::from_edges(0.0, 0.0, 1.0, 1.0));
    }

    #[test]
    fn values_that_are_not_finite_are_ignored() {
        let data = tensor(&[
            (0, [f32::NAN, 1.0, 1.0, 1.0, 1.0]),
            (1, [f32::INFINITY, 1.0, 1.0, 1.0, 1.0]),
            (2, [0.9, f32::NAN, 1.0, 1.0, 1.0]),
            (3, [0.9, 1.0, 1.0, f32::INFINITY, 1.0]),
            (4, [0.9, 0.5, 0.5, f32::MAX, 0.5]),
        ]);
        assert_eq!(decode(spec(), &data), []);
    }
}

//! FastestDet: one anchor-free grid whose boxes are fractions of the whole frame.

use super::found::Found;
use super::shapes::{FRAMES, Grid, Side, expect};
use super::{DecodeError, OutputView, Rules, sigmoid};

/// Channels in front of the class scores: objectness and the box.
const BOX_CHANNELS: usize = 5;
/// Pixels a side of a cell.
const CELL: usize = 16;

pub(super) fn frames(rules: &Rules, outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
    let (rows, columns) = (rules.input_height / CELL, rules.input_width / CELL);
    let channels = BOX_CHANNELS + rules.classes;
    let sides = [FRAMES, Side::Is(channels), Side::Is(rows), Side::Is(columns)];
    expect(outputs, 0, 1, sides).map(|sides| Some(sides[0]))
}

pub(super) fn read(rules: &Rules, outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    let grid = Grid::of(outputs, 0, frame);
    for (cell, &objectness) in grid.channel(0).iter().enumerate() {
        // Also ignores NaN.
        if !(objectness > 0.0 && objectness.is_finite()) {
            continue;
        }
        let Some((class, class_score)) = best_class(rules, &grid, cell) else {
            continue;
        };
        let score = objectness.powf(0.6) * class_score.powf(0.4);
        if !found.wants(score) {
            continue;
        }
        let (column, row) = grid.position(cell);
        let [x, y, width, height] = [1, 2, 3, 4].map(|channel| grid.value(channel, cell));
        let (input_width, input_height) = (rules.input_width as f32, rules.input_height as f32);
        let center_x = (column + x.tanh()) / grid.columns as f32 * input_width;
        let center_y = (row + y.tanh()) / grid.rows as f32 * input_height;
        let size = [sigmoid(width) * input_width, sigmoid(height) * input_height];
        found.add_centred([center_x, center_y, size[0], size[1]], class, score);
    }
}

/// The class with the highest finite score above 0, over all classes: a cell that takes a person for a chair
/// is a chair, whichever classes are kept.
fn best_class(rules: &Rules, grid: &Grid<'_>, cell: usize) -> Option<(usize, f32)> {
    let mut best = None;
    let mut best_score = 0.0;
    for class in 0..rules.classes {
        let score = grid.value(BOX_CHANNELS + class, cell);
        if score > best_score && score.is_finite() {
            best_score = score;
            best = Some((class, score));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use crate::{BoundingBox, Detection, Fit, InputSpec, ModelSpec, OutputDecoder, OutputView};

    /// 64 × 32 pixels: 4 × 2 cells, three classes.
    fn spec() -> ModelSpec {
        ModelSpec::fastest_det()
            .with_input(InputSpec::new(64, 32).with_fit(Fit::Stretch))
            .with_class_names(["person", "cat", "chair"])
            .with_score_threshold(0.5)
    }

    fn tensor(cells: &[(usize, [f32; 8])]) -> Vec<f32> {
        let mut data = vec![0.0; 8 * 8];
        for (cell, values) in cells {
            for (channel, value) in values.iter().enumerate() {
                data[channel * 8 + cell] = *value;
            }
        }
        data
    }

    fn decode(spec: ModelSpec, data: &[f32]) -> Vec<Detection> {
        let place = [Fit::Stretch.place((640, 480), (64, 32))];
        let output = OutputView {
            shape: &[1, 8, 2, 4],
            data,
        };
        OutputDecoder::new(&spec)
            .unwrap()
            .decode(&[output], &place)
            .unwrap()
            .remove(0)
    }

    fn close(a: BoundingBox, edges: [f32; 4]) -> bool {
        let b = BoundingBox::from_edges(edges[0], edges[1], edges[2], edges[3]);
        [
            a.left - b.left,
            a.top - b.top,
            a.width - b.width,
            a.height - b.height,
        ]
        .iter()
        .all(|d| d.abs() < 1e-6)
    }

    #[test]
    fn centre_size_class_and_score() {
        // Cell (2, 1), centre on its corner (1/2, 1/2); a quarter wide (logit −ln 3), half high (logit 0).
        let quarter = -3f32.ln();
        let found = decode(
            spec(),
            &tensor(&[(6, [0.9, 0.0, 0.0, quarter, 0.0, 0.2, 0.8, 0.1])]),
        );
        assert_eq!(found.len(), 1);
        assert!(
            close(found[0].bbox, [0.375, 0.25, 0.625, 0.75]),
            "{:?}",
            found[0].bbox
        );
        assert_eq!(found[0].class, 1);
        assert!((found[0].score - 0.9f32.powf(0.6) * 0.8f32.powf(0.4)).abs() < 1e-6);
    }

    #[test]
    fn the_offset_passes_through_tanh() {
        let offset = 0.5f32.atanh();
        let found = decode(
            spec(),
            &tensor(&[(0, [1.0, offset, offset, -3f32.ln(), 0.0, 1.0, 0.0, 0.0])]),
        );
        // Centre (0.5/4, 0.5/2), a quarter wide and half high.
        assert!(close(found[0].bbox, [0.0, 0.0, 0.25, 0.5]), "{:?}", found[0].bbox);
    }

    #[test]
    fn other_classes_neither_show_nor_hide() {
        let person = [0.8, 0.0, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0];
        let chair = [0.9, 0.0, 0.0, 0.0, 0.0, 0.3, 0.0, 0.9];
        let data = tensor(&[(5, person), (6, chair)]);
        let classes = |spec| decode(spec, &data).iter().map(|d| d.class).collect::<Vec<_>>();
        // Together, the chair hides the person that overlaps it.
        assert_eq!(classes(spec().with_nms_threshold(0.2)), [2]);
        assert_eq!(
            classes(spec().with_nms_threshold(0.2).with_classes_kept(["person"])),
            [0]
        );
    }

    #[test]
    fn values_that_are_not_finite_are_ignored() {
        let data = tensor(&[
            (0, [f32::NAN, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
            (1, [1.0, f32::NAN, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
            (2, [1.0, 0.0, 0.0, 0.0, 0.0, f32::NAN, f32::INFINITY, -1.0]),
            (3, [f32::INFINITY, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        ]);
        assert_eq!(decode(spec(), &data), []);
    }
}

//! Checks of outputs' shapes, and the parts that belong to one frame.

use super::{DecodeError, OutputView};

/// One side of an expected shape.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Is(usize),
    /// Any size, with its name for messages.
    Any(&'static str),
}

pub(super) const FRAMES: Side = Side::Any("frames");
pub(super) const BOXES: Side = Side::Any("boxes");
pub(super) const PLACES: Side = Side::Any("places");

/// Output `index` of `count`, whose sides must be these; its actual sides.
pub(super) fn expect<const N: usize>(
    outputs: &[OutputView<'_>],
    index: usize,
    count: usize,
    sides: [Side; N],
) -> Result<[usize; N], DecodeError> {
    let output = match outputs.get(index) {
        Some(output) if outputs.len() == count => output,
        _ => {
            return Err(DecodeError::OutputCount {
                expected: count,
                found: outputs.len(),
            });
        }
    };
    let fits = |(side, &found): (&Side, &usize)| match side {
        Side::Is(size) => *size == found,
        Side::Any(_) => true,
    };
    let found = <[usize; N]>::try_from(output.shape)
        .ok()
        .filter(|found| sides.iter().zip(found).all(fits));
    let Some(found) = found else {
        let names: Vec<_> = sides.iter().map(name).collect();
        return Err(DecodeError::Shape {
            expected: format!("[{}]", names.join(", ")),
            found: output.shape.to_vec(),
        });
    };
    let len = found.iter().try_fold(1usize, |len, &side| len.checked_mul(side));
    if len != Some(output.data.len()) {
        return Err(DecodeError::Length {
            shape: found.to_vec(),
            found: output.data.len(),
        });
    }
    Ok(found)
}

fn name(side: &Side) -> String {
    match side {
        Side::Is(size) => size.to_string(),
        Side::Any(name) => (*name).to_owned(),
    }
}

/// Checks that outputs speak of as many frames and boxes as each other.
pub(super) fn same(expected: usize, found: usize, shape: &[usize]) -> Result<(), DecodeError> {
    if expected == found {
        return Ok(());
    }
    Err(DecodeError::Shape {
        expected: format!("[.., {expected}, ..]"),
        found: shape.to_vec(),
    })
}

/// The values of one frame in an output whose first side is the frames; nothing if it has no such frame.
pub(super) fn part<'a>(outputs: &[OutputView<'a>], index: usize, frame: usize) -> &'a [f32] {
    let Some(output) = outputs.get(index) else {
        return &[];
    };
    let frames = output.shape.first().copied().unwrap_or(0).max(1);
    let len = output.data.len() / frames;
    output
        .data
        .get(frame * len..(frame + 1) * len)
        .unwrap_or_default()
}

/// Side of an output's shape; 0 if there is none.
pub(super) fn side(outputs: &[OutputView<'_>], index: usize, side: usize) -> usize {
    outputs
        .get(index)
        .and_then(|output| output.shape.get(side))
        .copied()
        .unwrap_or(0)
}

/// The places of several grids, row by row, strides ascending: column, row and stride.
pub(super) fn places(
    (width, height): (usize, usize),
    strides: &[usize],
) -> impl Iterator<Item = (f32, f32, f32)> {
    strides.iter().flat_map(move |&stride| {
        let (columns, rows) = (width.div_ceil(stride), height.div_ceil(stride));
        (0..columns * rows).map(move |i| ((i % columns) as f32, (i / columns) as f32, stride as f32))
    })
}

/// Number of [`places`].
pub(super) fn place_count((width, height): (usize, usize), strides: &[usize]) -> usize {
    strides
        .iter()
        .map(|&stride| width.div_ceil(stride) * height.div_ceil(stride))
        .sum()
}

/// The channels of one frame, each `rows × columns`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid<'a> {
    pub(super) columns: usize,
    pub(super) rows: usize,
    planes: &'a [f32],
}

impl<'a> Grid<'a> {
    /// One frame of an output `[frames, channels, rows, columns]`.
    pub(super) fn of(outputs: &[OutputView<'a>], index: usize, frame: usize) -> Self {
        Self {
            columns: side(outputs, index, 3).max(1),
            rows: side(outputs, index, 2),
            planes: part(outputs, index, frame),
        }
    }

    pub(super) fn cells(&self) -> usize {
        self.columns * self.rows
    }

    /// Column and row of a cell.
    pub(super) fn position(&self, cell: usize) -> (f32, f32) {
        ((cell % self.columns) as f32, (cell / self.columns) as f32)
    }

    /// All cells of a channel.
    pub(super) fn channel(&self, channel: usize) -> &'a [f32] {
        let start = channel * self.cells();
        self.planes.get(start..start + self.cells()).unwrap_or_default()
    }

    /// One value; NaN, which every decoder ignores, if it does not exist.
    pub(super) fn value(&self, channel: usize, cell: usize) -> f32 {
        self.planes
            .get(channel * self.cells() + cell)
            .copied()
            .unwrap_or(f32::NAN)
    }
}

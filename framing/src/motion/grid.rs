//! Brightness of cells.

use crate::picture::Plane;

/// Most cells across.
const COLUMNS: u32 = 160;

/// Smallest side of a cell in pixels: fewer would not average out the noise.
const SMALLEST_CELL: u32 = 4;

/// The picture in cells, from the top left.
#[derive(Debug, Default)]
pub(super) struct Grid {
    picture: (u32, u32),
    cell: u32,
    columns: usize,
    rows: usize,
    /// Mean brightness of each cell, 0 to 255.
    mean: Vec<f32>,
    /// Sums down the columns of one row of cells. 16 bits hold 257 samples, and no cell is as high.
    sums: Vec<u16>,
}

impl Grid {
    /// Adapts to a picture's size; true if it changed.
    pub(super) fn fit(&mut self, width: u32, height: u32) -> bool {
        if self.picture == (width, height) {
            return false;
        }
        self.picture = (width, height);
        self.cell = width.div_ceil(COLUMNS).max(SMALLEST_CELL);
        self.columns = width.div_ceil(self.cell) as usize;
        self.rows = height.div_ceil(self.cell) as usize;
        let cells = self.columns * self.rows;
        self.mean = vec![0.0; cells];
        self.sums = vec![0; width as usize];
        true
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }

    /// Width and height of the picture, and side of a cell, in pixels.
    pub(super) fn pixels(&self) -> (u32, u32, u32) {
        (self.picture.0, self.picture.1, self.cell)
    }

    pub(super) fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Averages a plane; false if it is shorter than its size. Samples of two bytes have 10 bits.
    pub(super) fn average(&mut self, luma: &Plane<'_>) -> bool {
        let (width, cell) = (luma.width as usize, self.cell as usize);
        let row_bytes = width * luma.bytes_per_sample;
        let last_row = (luma.height as usize).saturating_sub(1) * luma.stride;
        if width == 0 || luma.stride < row_bytes || luma.data.len() < last_row + row_bytes {
            return false;
        }
        // In large cells every second row suffices.
        let step = if cell >= 8 { 2 } else { 1 };
        let mut lines = luma
            .rows()
            .enumerate()
            .filter(|(y, _)| y % cell % step == 0)
            .peekable();
        for (row, means) in self.mean.chunks_exact_mut(self.columns.max(1)).enumerate() {
            self.sums.fill(0);
            let mut count = 0_u32;
            while let Some((_, line)) = lines.next_if(|(y, _)| y / cell == row) {
                count += 1;
                if luma.bytes_per_sample == 2 {
                    let (samples, _) = line.as_chunks::<2>();
                    for (sum, sample) in self.sums.iter_mut().zip(samples) {
                        *sum = sum.saturating_add(u16::from_le_bytes(*sample) >> 2);
                    }
                } else {
                    for (sum, sample) in self.sums.iter_mut().zip(line) {
                        *sum = sum.wrapping_add(u16::from(*sample));
                    }
                }
            }
            for (mean, sums) in means.iter_mut().zip(self.sums.chunks(cell)) {
                let sum: u32 = sums.iter().map(|sum| u32::from(*sum)).sum();
                *mean = sum as f32 / (sums.len() as u32 * count).max(1) as f32;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_the_means_of_their_pixels_at_the_edges_too() {
        let (width, height) = (18, 7);
        let data: Vec<u8> = (0..height)
            .flat_map(|y| (0..width + 3).map(move |x| (x * 3 + y * 7) as u8))
            .collect();
        let luma = Plane {
            data: &data,
            stride: 21,
            width,
            height,
            bytes_per_sample: 1,
        };
        let mut grid = Grid::default();
        assert!(grid.fit(width, height) && !grid.fit(width, height));
        assert_eq!(grid.size(), (5, 2));
        assert!(grid.average(&luma));
        for (index, mean) in grid.mean().iter().enumerate() {
            let (column, row) = (index as u32 % 5, index as u32 / 5);
            let pixels: Vec<f32> = (row * 4..(row * 4 + 4).min(height))
                .flat_map(|y| (column * 4..(column * 4 + 4).min(width)).map(move |x| (x * 3 + y * 7) as f32))
                .collect();
            assert_eq!(
                *mean,
                pixels.iter().sum::<f32>() / pixels.len() as f32,
                "cell {index}"
            );
        }
        assert!(!grid.average(&Plane {
            data: &data[..100],
            ..luma
        }));
    }

    #[test]
    fn ten_bits_count_as_eight() {
        let data: Vec<u8> = (0..16 * 8).flat_map(|_| 400_u16.to_le_bytes()).collect();
        let mut grid = Grid::default();
        grid.fit(16, 8);
        assert!(grid.average(&Plane {
            data: &data,
            stride: 32,
            width: 16,
            height: 8,
            bytes_per_sample: 2,
        }));
        assert!(grid.mean().iter().all(|mean| *mean == 100.0));
    }
}

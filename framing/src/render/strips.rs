//! Scaling a picture a few rows at a time, which stay in the first cache until they are converted.

use super::RenderError;
use super::axis::{self, TAPS, Tap};
use super::simd::{Along, Avx2, BLOCK, LOAD};
use crate::geometry::PixelRect;
use crate::picture::{Picture, PictureFormat, Plane};
use yuv::YuvPlanarImage;

/// Rows of a strip: three planes of 1400 pixels take 33 KiB.
pub(super) const ROWS: usize = 8;

/// Tables for one size of pictures and one of contents, and the memory of one strip.
pub(super) struct Strips {
    format: PictureFormat,
    processor: Avx2,
    content: PixelRect,
    planes: [Axes; 3],
    stride: usize,
    line: Vec<u8>,
}

/// How one plane is scaled, and its rows of the strip.
struct Axes {
    width: usize,
    rows: Vec<Tap>,
    columns: Along,
    strip: Vec<u8>,
}

impl Strips {
    /// `None` where this way does not apply: more than 8 bits, to less than half of a side, or another processor.
    pub(super) fn new(picture: &Picture, content: PixelRect) -> Option<Self> {
        let processor = Avx2::detect()?;
        if picture.format().bytes_per_sample() != 1 {
            return None;
        }
        let stride = (content.width as usize).next_multiple_of(BLOCK);
        let axes = |index| {
            let plane = picture.plane(index)?;
            if !axis::applies(plane.width, content.width) || !axis::applies(plane.height, content.height) {
                return None;
            }
            let columns: Vec<_> = axis::taps(plane.width, content.width).collect();
            Some(Axes {
                width: plane.width as usize,
                rows: axis::taps(plane.height, content.height).collect(),
                columns: Along::new(&columns),
                strip: vec![0; stride * ROWS],
            })
        };
        Some(Self {
            format: picture.format(),
            processor,
            content,
            planes: [axes(0)?, axes(1)?, axes(2)?],
            stride,
            line: vec![0; picture.width() as usize + LOAD],
        })
    }

    pub(super) fn fits(&self, picture: &Picture) -> bool {
        self.format == picture.format()
    }

    /// Calls `convert` with the scaled rows from each multiple of [`ROWS`] on.
    pub(super) fn each(
        &mut self,
        picture: &Picture,
        mut convert: impl FnMut(usize, &YuvPlanarImage<'_, u8>) -> Result<(), RenderError>,
    ) -> Result<(), RenderError> {
        let height = self.content.height as usize;
        for top in (0..height).step_by(ROWS) {
            for (index, axes) in self.planes.iter_mut().enumerate() {
                let plane = picture.plane(index).ok_or(RenderError::Conversion)?;
                axes.scale(self.processor, &plane, top, self.stride, &mut self.line)?;
            }
            let [y, u, v] = &self.planes;
            let stride = self.stride as u32;
            convert(
                top,
                &YuvPlanarImage {
                    y_plane: &y.strip,
                    y_stride: stride,
                    u_plane: &u.strip,
                    u_stride: stride,
                    v_plane: &v.strip,
                    v_stride: stride,
                    width: self.content.width,
                    height: ROWS.min(height - top) as u32,
                },
            )?;
        }
        Ok(())
    }
}

impl Axes {
    fn scale(
        &mut self,
        processor: Avx2,
        plane: &Plane<'_>,
        top: usize,
        stride: usize,
        line: &mut [u8],
    ) -> Result<(), RenderError> {
        let taps = self.rows.get(top..).unwrap_or_default();
        for (tap, out) in taps.iter().zip(self.strip.chunks_exact_mut(stride)) {
            let mut rows = [&[][..]; TAPS];
            for (index, row) in rows.iter_mut().take(tap.count).enumerate() {
                let start = (tap.first + index) * plane.stride;
                *row = plane
                    .data
                    .get(start..start + self.width)
                    .ok_or(RenderError::Conversion)?;
            }
            let rows = rows.get(..tap.count).unwrap_or_default();
            processor.between(rows, tap.weights, line.get_mut(..self.width).unwrap_or_default());
            processor.along(&self.columns, line, out);
        }
        Ok(())
    }
}

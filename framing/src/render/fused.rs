//! The fused path: scaling and conversion in one pass, a row at a time, without an intermediate picture.

use super::RenderError;
use super::axis::{self, TAPS, Tap};
use super::colors::Weights;
use super::pack;
use super::simd::{Avx2, LOAD, RowKernel};
use crate::picture::{Picture, PictureFormat, Plane};
use crate::plan::FramePlan;
use lva_media_types::{Alpha, PixelLayout};

/// Tables for one kind of pictures and one plan, and the memory of a few rows.
pub(super) struct Fused {
    processor: Avx2,
    source: PictureFormat,
    /// Position of alpha, and whether blue comes first.
    order: (Alpha, bool),
    luma: Axes,
    chroma: Axes,
    lines: [Vec<u8>; 3],
    /// A row of RGBA, for layouts of 16-bit words.
    row: Vec<u8>,
}

/// How a plane is scaled.
struct Axes {
    width: usize,
    rows: Vec<Tap>,
    columns: RowKernel,
}

impl Fused {
    /// `None` if this path does not apply: more than 8 bits, a side that shrinks to less than its half, planar frames,
    /// or a processor without AVX2.
    pub(super) fn new(plan: &FramePlan, picture: &Picture) -> Option<Self> {
        let processor = Avx2::detect()?;
        let (order, word) = match plan.format().layout() {
            PixelLayout::Bytes { alpha, blue_first } => ((alpha, blue_first), false),
            PixelLayout::Word565 { .. } | PixelLayout::Word555 { .. } => ((Alpha::Last, false), true),
            PixelLayout::Planar => return None,
        };
        if picture.format().bytes_per_sample() != 1 {
            return None;
        }
        let width = plan.content().width as usize;
        let (luma, chroma) = (Axes::new(plan, picture, 0)?, Axes::new(plan, picture, 1)?);
        Some(Self {
            processor,
            source: picture.format(),
            order,
            lines: [luma.width, chroma.width, chroma.width].map(|width| vec![0; width + LOAD]),
            luma,
            chroma,
            row: vec![0; if word { width * 4 } else { 0 }],
        })
    }

    /// Whether it is for pictures of this kind.
    pub(super) fn fits(&self, picture: &Picture) -> bool {
        self.source == picture.format()
    }

    pub(super) fn render(
        &mut self,
        plan: &FramePlan,
        picture: &Picture,
        destination: &mut [u8],
    ) -> Result<(), RenderError> {
        let weights = Weights::new(picture.matrix(), picture.range());
        let planes = [0, 1, 2].map(|index| picture.plane(index));
        let (content, pixel) = (plan.content(), plan.format().bytes_per_pixel());
        let columns = content.x as usize * pixel..(content.x + content.width) as usize * pixel;
        let targets = destination
            .chunks_exact_mut(plan.stride())
            .skip(content.y as usize);
        for ((luma, chroma), target) in self.luma.rows.iter().zip(&self.chroma.rows).zip(targets) {
            let taps = [(luma, &self.luma), (chroma, &self.chroma), (chroma, &self.chroma)];
            let mut rows = [&[][..]; 3];
            let lines = planes.iter().zip(&mut self.lines);
            for (((tap, axes), (plane, line)), row) in taps.into_iter().zip(lines).zip(&mut rows) {
                let plane = plane.as_ref().ok_or(RenderError::Conversion)?;
                *row = axes.row(self.processor, tap, plane, line)?;
            }
            let target = target.get_mut(columns.clone()).ok_or(RenderError::Conversion)?;
            let kernels = (&self.luma.columns, &self.chroma.columns);
            if self.row.is_empty() {
                self.processor.pixels(kernels, rows, &weights, self.order, target);
            } else {
                self.processor
                    .pixels(kernels, rows, &weights, self.order, &mut self.row);
                pack::pack(plan.format().layout(), &self.row, target);
            }
        }
        Ok(())
    }
}

impl Axes {
    fn new(plan: &FramePlan, picture: &Picture, index: usize) -> Option<Self> {
        let (plane, content) = (picture.plane(index)?, plan.content());
        if !axis::applies(plane.width, content.width) || !axis::applies(plane.height, content.height) {
            return None;
        }
        let columns: Vec<_> = axis::taps(plane.width, content.width).collect();
        Some(Self {
            width: plane.width as usize,
            rows: axis::taps(plane.height, content.height).collect(),
            columns: RowKernel::new(&columns),
        })
    }

    /// One row, followed by [`LOAD`] bytes: borrowed from the picture if no blending is needed, else blended into
    /// `line`.
    fn row<'a>(
        &self,
        processor: Avx2,
        tap: &Tap,
        plane: &Plane<'a>,
        line: &'a mut [u8],
    ) -> Result<&'a [u8], RenderError> {
        let row = |index: usize, length: usize| {
            let start = (tap.first + index) * plane.stride;
            plane.data.get(start..start + length)
        };
        if tap.count == 1
            && let Some(row) = row(0, self.width + LOAD)
        {
            return Ok(row);
        }
        let mut rows = [&[][..]; TAPS];
        for (index, own) in rows.iter_mut().take(tap.count).enumerate() {
            *own = row(index, self.width).ok_or(RenderError::Conversion)?;
        }
        let rows = rows.get(..tap.count).unwrap_or_default();
        let out = line.get_mut(..self.width).ok_or(RenderError::Conversion)?;
        processor.between(rows, tap.weights, out);
        Ok(line)
    }
}

//! Planar formats: luma, Cb and Cr resampled on their own, then mixed into colours.

use super::Target;
use super::taps::{FilterTaps, Tap, gather_samples, sum_rows};
use crate::image_view::{ColorSpace, Plane};
use crate::letterbox::LetterboxTransform;

/// The taps of both chroma planes and one resampled row of each plane.
#[derive(Debug, Default)]
pub(super) struct YuvScratch {
    columns: FilterTaps,
    rows: FilterTaps,
    resampled: [Vec<f32>; 3],
}

impl YuvScratch {
    /// A chroma sample stands for a block of `block` × `block` pixels and lies in its middle, so the picture is `width /
    /// block` samples wide, part of a sample for a last column that is not whole.
    pub(super) fn prepare(&mut self, width: u32, height: u32, block: u32, transform: &LetterboxTransform) {
        let axis = |taps: &mut FilterTaps, side: u32, out: u32| {
            let extent = f64::from(side) / f64::from(block);
            taps.compute(side.div_ceil(block) as usize, extent, out as usize);
        };
        axis(&mut self.columns, width, transform.width());
        axis(&mut self.rows, height, transform.height());
        for row in &mut self.resampled {
            row.resize(transform.width() as usize, 0.0);
        }
    }

    pub(super) fn write(
        &mut self,
        planes: [Plane<'_>; 3],
        color_space: ColorSpace,
        columns: &FilterTaps,
        rows: &FilterTaps,
        sums: &mut Vec<f32>,
        out: &mut Target<'_>,
    ) {
        let [luma, cb, cr] = planes;
        let mix = Mix::of(color_space);
        // A row of interleaved chroma may be a sample longer than one of luma.
        sums.resize(luma.row_len.max(cb.row_len).max(cr.row_len), 0.0);
        let [luma_row, cb_row, cr_row] = &mut self.resampled;
        for (y, (luma_tap, chroma_tap)) in rows.iter().zip(self.rows.iter()).enumerate() {
            resample(sums, luma, luma_tap, columns, luma_row);
            resample(sums, cb, chroma_tap, &self.columns, cb_row);
            resample(sums, cr, chroma_tap, &self.columns, cr_row);

            let affine = out.affine;
            let [r, g, b] = out.rows(y);
            let samples = luma_row.iter().zip(cb_row.iter()).zip(cr_row.iter());
            for ((((&luma, &cb), &cr), (r, g)), b) in samples.zip(r.iter_mut().zip(g)).zip(b) {
                let rgb = mix.rgb(luma, cb, cr);
                *r = affine[0].apply(rgb[0]);
                *g = affine[1].apply(rgb[1]);
                *b = affine[2].apply(rgb[2]);
            }
        }
    }
}

fn resample(sums: &mut [f32], plane: Plane<'_>, tap: Tap<'_>, columns: &FilterTaps, out: &mut [f32]) {
    sum_rows(sums, tap, |row| plane.row(row));
    gather_samples(sums, plane.first, plane.step, columns, out);
}

/// Luma and chroma to red, green, blue, all 0..=255.
#[derive(Debug, Clone, Copy)]
struct Mix {
    luma_offset: f32,
    luma_gain: f32,
    red_of_cr: f32,
    green_of_cb: f32,
    green_of_cr: f32,
    blue_of_cb: f32,
}

impl Mix {
    /// The luma weights of red and blue define each matrix (ITU-R BT.601 section 2.5.1, BT.709 section 3).
    fn of(space: ColorSpace) -> Self {
        let (kr, kb) = match space {
            ColorSpace::Bt601Limited | ColorSpace::Bt601Full => (0.299, 0.114),
            ColorSpace::Bt709Limited | ColorSpace::Bt709Full => (0.2126, 0.0722),
        };
        // Limited range: 219 steps of luma above 16, 224 steps of chroma around 128.
        let (luma_offset, luma_gain, chroma_gain) = match space {
            ColorSpace::Bt601Limited | ColorSpace::Bt709Limited => (16.0, 255.0 / 219.0, 255.0 / 224.0),
            ColorSpace::Bt601Full | ColorSpace::Bt709Full => (0.0, 1.0, 1.0),
        };
        let kg = 1.0 - kr - kb;
        Self {
            luma_offset,
            luma_gain,
            red_of_cr: 2.0 * (1.0 - kr) * chroma_gain,
            green_of_cb: 2.0 * kb * (1.0 - kb) / kg * chroma_gain,
            green_of_cr: 2.0 * kr * (1.0 - kr) / kg * chroma_gain,
            blue_of_cb: 2.0 * (1.0 - kb) * chroma_gain,
        }
    }

    #[inline]
    fn rgb(&self, luma: f32, cb: f32, cr: f32) -> [f32; 3] {
        let (y, u, v) = ((luma - self.luma_offset) * self.luma_gain, cb - 128.0, cr - 128.0);
        [
            y + self.red_of_cr * v,
            y - self.green_of_cb * u - self.green_of_cr * v,
            y + self.blue_of_cb * u,
        ]
        .map(|c| c.clamp(0.0, 255.0))
    }
}

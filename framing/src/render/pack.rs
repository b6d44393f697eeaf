//! Formats that the conversion crate does not support: alpha first, and 16-bit words.

use super::RenderError;
use lva_media_types::{Alpha, PixelFormat, PixelLayout};
use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix};

/// Converts a row at a time to RGBA, while it is in the cache, and packs it into the destination.
pub(super) fn rows(
    format: PixelFormat,
    image: &YuvPlanarImage<'_, u8>,
    range: YuvRange,
    matrix: YuvStandardMatrix,
    row: &mut Vec<u8>,
    target: &mut [u8],
    stride: usize,
) -> Result<(), RenderError> {
    let width = image.width as usize;
    row.resize(width * 4, 0);
    let row_bytes = width * format.bytes_per_pixel();
    for (y, target) in target.chunks_mut(stride).take(image.height as usize).enumerate() {
        let line = line(image, y)?;
        yuv::yuv444_to_rgba(&line, row, image.width * 4, range, matrix)
            .map_err(|_| RenderError::Conversion)?;
        let target = target.get_mut(..row_bytes).ok_or(RenderError::Conversion)?;
        pack(format.layout(), row, target);
    }
    Ok(())
}

fn line<'a>(image: &YuvPlanarImage<'a, u8>, y: usize) -> Result<YuvPlanarImage<'a, u8>, RenderError> {
    let cut = |plane: &'a [u8], stride: u32| plane.get(y * stride as usize..).ok_or(RenderError::Conversion);
    Ok(YuvPlanarImage {
        y_plane: cut(image.y_plane, image.y_stride)?,
        u_plane: cut(image.u_plane, image.u_stride)?,
        v_plane: cut(image.v_plane, image.v_stride)?,
        height: 1,
        ..*image
    })
}

/// Packs a row of RGBA.
pub(super) fn pack(layout: PixelLayout, rgba: &[u8], target: &mut [u8]) {
    use PixelLayout::{Bytes, Planar, Word555, Word565};
    match layout {
        Bytes { alpha, blue_first } => match (alpha, blue_first) {
            (Alpha::First, false) => pack4(rgba, target, |[r, g, b, a]| [a, r, g, b]),
            (Alpha::First, true) => pack4(rgba, target, |[r, g, b, a]| [a, b, g, r]),
            (Alpha::None | Alpha::Last, _) => {} // converted directly
        },
        Word565 { big_endian: true } => pack2(rgba, target, |pixel| rgb565(pixel).to_be_bytes()),
        Word565 { big_endian: false } => pack2(rgba, target, |pixel| rgb565(pixel).to_le_bytes()),
        Word555 { big_endian: true } => pack2(rgba, target, |pixel| rgb555(pixel).to_be_bytes()),
        Word555 { big_endian: false } => pack2(rgba, target, |pixel| rgb555(pixel).to_le_bytes()),
        Planar => {}
    }
}

fn pack4(rgba: &[u8], target: &mut [u8], order: impl Fn([u8; 4]) -> [u8; 4]) {
    let (pixels, _) = rgba.as_chunks::<4>();
    let (targets, _) = target.as_chunks_mut::<4>();
    for (target, pixel) in targets.iter_mut().zip(pixels) {
        *target = order(*pixel);
    }
}

fn pack2(rgba: &[u8], target: &mut [u8], word: impl Fn([u8; 4]) -> [u8; 2]) {
    let (pixels, _) = rgba.as_chunks::<4>();
    let (targets, _) = target.as_chunks_mut::<2>();
    for (target, pixel) in targets.iter_mut().zip(pixels) {
        *target = word(*pixel);
    }
}

/// The nearest of 2^`bits` steps. Cutting bits off instead would darken a frame by half a step.
fn nearest(value: u8, bits: u32) -> u16 {
    let steps = (1_u16 << bits) - 1;
    (u16::from(value) * steps + 127) / 255
}

fn rgb565([r, g, b, _]: [u8; 4]) -> u16 {
    nearest(r, 5) << 11 | nearest(g, 6) << 5 | nearest(b, 5)
}

fn rgb555([r, g, b, _]: [u8; 4]) -> u16 {
    nearest(r, 5) << 10 | nearest(g, 5) << 5 | nearest(b, 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_carry_red_in_their_highest_bits() {
        assert_eq!(rgb565([255, 0, 0, 255]), 0xf800);
        assert_eq!(rgb565([0, 255, 0, 255]), 0x07e0);
        assert_eq!(rgb555([255, 0, 0, 255]), 0x7c00);
        assert_eq!(rgb555([0, 0, 255, 255]), 0x001f);
        let mut bytes = [0; 2];
        pack(PixelFormat::Rgb565Be.layout(), &[255, 0, 0, 255], &mut bytes);
        assert_eq!(bytes, [0xf8, 0]);
    }

    #[test]
    fn steps_are_rounded_to_the_nearest() {
        assert_eq!(
            (nearest(0, 5), nearest(4, 5), nearest(5, 5), nearest(255, 5)),
            (0, 0, 1, 31)
        );
    }
}

//! From planes of floats, which preprocessing writes, to the layout and type that a network takes.

use super::wiring::Wiring;
use crate::model::image_input::ImageElement;

/// The values of one run, in the network's layout.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pixels<'a> {
    /// 32-bit floats, also for networks of 16-bit floats.
    Floats(&'a [f32]),
    Bytes(&'a [u8]),
}

/// Memory for values in another layout, reused from run to run.
#[derive(Debug, Default)]
pub(crate) struct Packing {
    floats: Vec<f32>,
    bytes: Vec<u8>,
}

impl Packing {
    /// `planar` holds whole frames, each three planes. Nothing is copied where the network takes just that.
    pub(crate) fn pack<'a>(&'a mut self, wiring: &Wiring, planar: &'a [f32]) -> Pixels<'a> {
        let plane = wiring.width * wiring.height;
        match (wiring.image.element, wiring.image.channels_last) {
            (ImageElement::Float32 | ImageElement::Float16, false) => Pixels::Floats(planar),
            (ImageElement::Float32 | ImageElement::Float16, true) => {
                interleave(planar, plane, &mut self.floats, |value| value);
                Pixels::Floats(&self.floats)
            }
            (ImageElement::Uint8, true) => {
                interleave(planar, plane, &mut self.bytes, byte);
                Pixels::Bytes(&self.bytes)
            }
            (ImageElement::Uint8, false) => {
                self.bytes.clear();
                self.bytes.extend(planar.iter().copied().map(byte));
                Pixels::Bytes(&self.bytes)
            }
        }
    }
}

/// Float casts saturate.
fn byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

fn interleave<T>(planar: &[f32], plane: usize, out: &mut Vec<T>, convert: impl Fn(f32) -> T) {
    out.clear();
    out.reserve(planar.len());
    for frame in planar.chunks_exact((3 * plane).max(1)) {
        let (first, rest) = frame.split_at(plane);
        let (second, third) = rest.split_at(plane);
        for ((&a, &b), &c) in first.iter().zip(second).zip(third) {
            out.extend([convert(a), convert(b), convert(c)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_pixels_frame_by_frame() {
        let planar: Vec<f32> = (0u8..12).map(f32::from).collect();
        let mut out = Vec::new();
        interleave(&planar, 2, &mut out, byte);
        assert_eq!(out, [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
        assert_eq!([-3.0, 0.4, 0.6, 254.7, 300.0].map(byte), [0, 0, 1, 255, 255]);
    }
}

//! From luma and chroma to red, green and blue: the definition of a matrix and a range in fixed point.

use crate::picture::{ColorMatrix, ColorRange};

/// Shares of red and blue in luma.
pub(super) fn shares(matrix: ColorMatrix) -> (f32, f32) {
    match matrix {
        ColorMatrix::Bt601 => (0.299, 0.114),
        ColorMatrix::Bt709 => (0.2126, 0.0722),
        ColorMatrix::Bt2020 => (0.2627, 0.0593),
        ColorMatrix::Smpte240 => (0.212, 0.087),
    }
}

/// Weights for samples that are negated and 128 times too large: a product divided by 32768 is a colour with
/// [`BITS`](Self::BITS) bits behind the point. None overflows a word of 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weights {
    /// Black, 128 times too large.
    pub(super) black: i16,
    pub(super) luma: i16,
    pub(super) red: i16,
    pub(super) green_of_red: i16,
    pub(super) green_of_blue: i16,
    pub(super) blue: i16,
}

impl Weights {
    pub(super) const BITS: i32 = 5;

    pub(super) fn new(matrix: ColorMatrix, range: ColorRange) -> Self {
        let (red, blue) = shares(matrix);
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = match range {
            ColorRange::Limited => (16, 255.0 / 219.0, 255.0 / 224.0),
            ColorRange::Full => (0, 1.0, 1.0),
        };
        let fixed = |weight: f32| (weight * -(32768.0 / 128.0) * (1 << Self::BITS) as f32).round() as i16;
        Self {
            black: black * 128,
            luma: fixed(luma),
            red: fixed(2.0 * (1.0 - red) * chroma),
            green_of_red: fixed(-2.0 * (1.0 - red) * red / green * chroma),
            green_of_blue: fixed(-2.0 * (1.0 - blue) * blue / green * chroma),
            blue: fixed(2.0 * (1.0 - blue) * chroma),
        }
    }
}

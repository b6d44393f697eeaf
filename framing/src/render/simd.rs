//! The inner loops of the fused path, with AVX2: blend rows, then scale along the row and convert to colours in one
//! step.
//!
//! `fearless_simd` checks the processor and makes kernels unreachable without AVX2; vectors are loaded and stored by
//! value. No unsafe code is needed here.

use super::axis::{TAPS, Tap};
use super::colors::Weights;
use fearless_simd::Level;
use lva_media_types::Alpha;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_blendv_epi8, _mm_packus_epi16, _mm_set1_epi8, _mm_shuffle_epi8, _mm_unpackhi_epi8,
    _mm_unpackhi_epi16, _mm_unpacklo_epi8, _mm_unpacklo_epi16, _mm256_add_epi16, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mulhrs_epi16,
    _mm256_packs_epi32, _mm256_set_m128i, _mm256_set1_epi16, _mm256_shuffle_epi8, _mm256_srai_epi16,
};

/// Pixels that are made at a time.
const BLOCK: usize = 16;
/// Bytes that are loaded at a time: up to this many are read behind the last sample of a row.
pub(super) const LOAD: usize = 16;

/// Orders of bytes in a pixel, for loops of their own.
const RGB: u8 = 0;
const RGBA: u8 = 1;
const ARGB: u8 = 2;

/// Proof that the processor has AVX2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(fearless_simd::Avx2);

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        Level::new().as_avx2().map(Self)
    }

    /// One row out of up to four, by weights.
    pub(super) fn between(self, rows: &[&[u8]], weights: [u16; TAPS], out: &mut [u8]) {
        between(self.0, rows, weights, out);
    }

    /// A row of pixels out of a row of luma, Cb and Cr, each of which is followed by [`LOAD`] bytes that do not count.
    /// The order is that of [`PixelLayout::Bytes`](lva_media_types::PixelLayout::Bytes).
    pub(super) fn pixels(
        self,
        tables: (&RowKernel, &RowKernel),
        lines: [&[u8]; 3],
        weights: &Weights,
        (alpha, blue_first): (Alpha, bool),
        out: &mut [u8],
    ) {
        // What comes in the order blue, green, red is red, green, blue with the differences exchanged.
        let [y, u, v] = lines;
        let (lines, weights) = match blue_first {
            false => (lines, *weights),
            true => ([y, v, u], weights.exchanged()),
        };
        let (luma, chroma) = tables;
        row(self.0, luma, chroma, lines, &weights, alpha, out);
    }
}

/// What makes a row of another width: for each [`BLOCK`] of samples one vector of two neighbours for each, or two
/// vectors of four, these in the order 0..4, 8..12 and 4..8, 12..16 that packing brings back to their own.
#[derive(Debug, Clone)]
pub(super) struct RowKernel {
    fours: bool,
    lanes: Vec<Lanes>,
}

/// Two halves of a vector: places in the row, then the bytes to take from there, and their weights.
///
/// Weights of 128 in all are kept negated, because a signed byte holds -128 and not 128: one neighbour alone is exact.
#[derive(Debug, Clone)]
#[repr(align(32))]
struct Lanes {
    bytes: [u8; 32],
    weights: [u8; 32],
    starts: [usize; 2],
}

impl RowKernel {
    /// Tables for these samples of a row.
    pub(super) fn new(taps: &[Tap]) -> Self {
        let fours = taps.iter().any(|tap| tap.count > 2);
        let halves: &[[usize; 2]] = if fours { &[[0, 8], [4, 12]] } else { &[[0, 8]] };
        let lanes = taps.chunks(BLOCK).flat_map(|taps| {
            halves.iter().map(move |halves| {
                let halves = halves.map(|half| taps.get(half..).unwrap_or_default());
                Lanes::new(halves, if fours { 4 } else { 2 })
            })
        });
        let lanes = lanes.collect();
        Self { fours, lanes }
    }
}

impl Lanes {
    fn new(halves: [&[Tap]; 2], each: usize) -> Self {
        let mut lanes = Self {
            bytes: [0; 32],
            weights: [0; 32],
            starts: halves.map(|taps| taps.first().map_or(0, |tap| tap.first)),
        };
        for (half, taps) in halves.into_iter().enumerate() {
            for (sample, tap) in taps.iter().take(16 / each).enumerate() {
                for (neighbour, weight) in halved(tap.weights).into_iter().take(each).enumerate() {
                    let place = half * 16 + sample * each + neighbour;
                    // Below 16 where it counts: seven steps of at most one pixel, or three of at most two.
                    let byte = (tap.first - lanes.starts[half] + neighbour).min(15);
                    lanes.bytes[place] = byte as u8;
                    lanes.weights[place] = weight.wrapping_neg();
                }
            }
        }
        lanes
    }
}

/// Weights of 256 in all to 128 in all.
fn halved(weights: [u16; TAPS]) -> [u8; TAPS] {
    let mut halves = weights.map(|weight| (weight / 2) as u8);
    let missing = 128 - halves.iter().map(|half| usize::from(*half)).sum::<usize>();
    let odd = weights
        .iter()
        .zip(&mut halves)
        .filter(|(weight, _)| !weight.is_multiple_of(2));
    for (_, half) in odd.take(missing) {
        *half += 1;
    }
    halves
}

fearless_simd::kernel!(
    fn between(_avx2: Avx2, rows: &[&[u8]], weights: [u16; TAPS], out: &mut [u8]) {
        let [a, b, c, d] = weights;
        let times = |value: &u8, weight: u16| u16::from(*value).wrapping_mul(weight);
        let narrowed = |sum: u16| (sum.wrapping_add(128) >> 8) as u8;
        match rows {
            [first] => {
                for (out, first) in out.iter_mut().zip(*first) {
                    *out = *first;
                }
            }
            [first, second] => {
                for ((out, first), second) in out.iter_mut().zip(*first).zip(*second) {
                    *out = narrowed(times(first, a).wrapping_add(times(second, b)));
                }
            }
            [first, second, third] => {
                for (((out, first), second), third) in out.iter_mut().zip(*first).zip(*second).zip(*third) {
                    let sum = times(first, a).wrapping_add(times(second, b));
                    *out = narrowed(sum.wrapping_add(times(third, c)));
                }
            }
            [first, second, third, fourth] => {
                let rows = out.iter_mut().zip(*first).zip(*second).zip(*third).zip(*fourth);
                for ((((out, first), second), third), fourth) in rows {
                    let sum = times(first, a).wrapping_add(times(second, b));
                    *out = narrowed(sum.wrapping_add(times(third, c)).wrapping_add(times(fourth, d)));
                }
            }
            _ => {}
        }
    }
);

fearless_simd::kernel!(
    fn row(
        _avx2: Avx2,
        luma: &RowKernel,
        chroma: &RowKernel,
        lines: [&[u8]; 3],
        weights: &Weights,
        alpha: Alpha,
        out: &mut [u8],
    ) {
        match alpha {
            Alpha::None => in_order::<RGB>(luma, chroma, lines, weights, out),
            Alpha::Last => in_order::<RGBA>(luma, chroma, lines, weights, out),
            Alpha::First => in_order::<ARGB>(luma, chroma, lines, weights, out),
        }
    }
);

#[target_feature(enable = "avx2")]
fn in_order<const ORDER: u8>(
    luma: &RowKernel,
    chroma: &RowKernel,
    lines: [&[u8]; 3],
    weights: &Weights,
    out: &mut [u8],
) {
    let (l, c) = (&luma.lanes[..], &chroma.lanes[..]);
    match (luma.fours, chroma.fours) {
        (false, false) => blocks::<false, false, ORDER>(l, c, lines, weights, out),
        (false, true) => blocks::<false, true, ORDER>(l, c, lines, weights, out),
        (true, false) => blocks::<true, false, ORDER>(l, c, lines, weights, out),
        (true, true) => blocks::<true, true, ORDER>(l, c, lines, weights, out),
    }
}

#[target_feature(enable = "avx2")]
fn blocks<const LUMA_FOURS: bool, const CHROMA_FOURS: bool, const ORDER: u8>(
    luma: &[Lanes],
    chroma: &[Lanes],
    [y, u, v]: [&[u8]; 3],
    weights: &Weights,
    out: &mut [u8],
) {
    let luma = luma.chunks_exact(1 + usize::from(LUMA_FOURS));
    let chroma = chroma.chunks_exact(1 + usize::from(CHROMA_FOURS));
    let bytes = if ORDER == RGB { 3 } else { 4 } * BLOCK;
    for ((luma, chroma), out) in luma.zip(chroma).zip(out.chunks_mut(bytes)) {
        let y = sums::<LUMA_FOURS>(luma, y);
        let u = sums::<CHROMA_FOURS>(chroma, u);
        let v = sums::<CHROMA_FOURS>(chroma, v);
        let [red, green, blue] = weights.colors(y, u, v);
        let alpha = _mm_set1_epi8(-1);
        match ORDER {
            RGB => put(threes([red, green, blue]), out),
            RGBA => put(quads([red, green, blue, alpha]), out),
            _ => put(quads([alpha, red, green, blue]), out),
        }
    }
}

/// [`BLOCK`] samples of a row, negated and 128 times too large.
#[target_feature(enable = "avx2")]
#[inline]
fn sums<const FOURS: bool>(lanes: &[Lanes], source: &[u8]) -> __m256i {
    match lanes {
        [low, high] if FOURS => {
            let ones = _mm256_set1_epi16(1);
            let low = _mm256_madd_epi16(pairs(low, source), ones);
            _mm256_packs_epi32(low, _mm256_madd_epi16(pairs(high, source), ones))
        }
        [lanes, ..] => pairs(lanes, source),
        [] => _mm256_set1_epi16(0),
    }
}

/// Neighbours side by side, multiplied by their weights and added in pairs. What a row is short of what its table was
/// made for counts as zero.
#[target_feature(enable = "avx2")]
#[inline]
fn pairs(lanes: &Lanes, source: &[u8]) -> __m256i {
    let [low, high] = lanes.starts.map(|start| {
        let bytes = source.get(start..).and_then(|bytes| bytes.first_chunk::<LOAD>());
        load16(bytes.unwrap_or(&[0; LOAD]))
    });
    let taken = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), load32(&lanes.bytes));
    _mm256_maddubs_epi16(taken, load32(&lanes.weights))
}

impl Weights {
    /// For Cr and Cb in each other's place: gives blue and red in each other's place.
    fn exchanged(&self) -> Self {
        Self {
            red: self.blue,
            blue: self.red,
            green_of_red: self.green_of_blue,
            green_of_blue: self.green_of_red,
            ..*self
        }
    }

    /// Red, green and blue of samples that are negated and 128 times too large.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn colors(&self, y: __m256i, u: __m256i, v: __m256i) -> [__m128i; 3] {
        let times = |sums, weight| _mm256_mulhrs_epi16(sums, _mm256_set1_epi16(weight));
        let middle = _mm256_set1_epi16(128 * 128);
        let (u, v) = (_mm256_add_epi16(u, middle), _mm256_add_epi16(v, middle));
        let y = times(_mm256_add_epi16(y, _mm256_set1_epi16(self.black)), self.luma);
        let y = _mm256_add_epi16(y, _mm256_set1_epi16(1 << (Self::BITS - 1)));
        let red = _mm256_add_epi16(y, times(v, self.red));
        let green = _mm256_add_epi16(times(u, self.green_of_blue), times(v, self.green_of_red));
        let blue = _mm256_add_epi16(y, times(u, self.blue));
        [red, _mm256_add_epi16(y, green), blue].map(|color| {
            let color = _mm256_srai_epi16::<{ Self::BITS }>(color);
            _mm_packus_epi16(
                _mm256_castsi256_si128(color),
                _mm256_extracti128_si256::<1>(color),
            )
        })
    }
}

/// Puts pixels into their place; the last ones of a row are fewer than [`BLOCK`].
#[target_feature(enable = "avx2")]
#[inline]
fn put<const VECTORS: usize>(vectors: [__m128i; VECTORS], out: &mut [u8]) {
    let (whole, _) = out.as_chunks_mut::<16>();
    if let Some(whole) = whole.first_chunk_mut::<VECTORS>() {
        for (out, vector) in whole.iter_mut().zip(vectors) {
            store16(vector, out);
        }
    } else {
        let mut bytes = [[0; 16]; VECTORS];
        for (out, vector) in bytes.iter_mut().zip(vectors) {
            store16(vector, out);
        }
        for (out, byte) in out.iter_mut().zip(bytes.as_flattened()) {
            *out = *byte;
        }
    }
}

/// Three bytes a pixel. At each place of a vector a channel is wanted in one of the three results only, so that it has
/// to be spread once.
#[target_feature(enable = "avx2")]
#[inline]
fn threes(channels: [__m128i; 3]) -> [__m128i; 3] {
    const SPREAD: [[u8; 16]; 3] = spread();
    const CHOICE: [[[u8; 16]; 3]; 3] = choice();
    let [a, b, c] = channels;
    let a = _mm_shuffle_epi8(a, load16(&SPREAD[0]));
    let b = _mm_shuffle_epi8(b, load16(&SPREAD[1]));
    let c = _mm_shuffle_epi8(c, load16(&SPREAD[2]));
    CHOICE.map(|[_, second, third]| {
        let two = _mm_blendv_epi8(a, b, load16(&second));
        _mm_blendv_epi8(two, c, load16(&third))
    })
}

/// For each channel the pixel that is wanted at each place.
const fn spread() -> [[u8; 16]; 3] {
    let mut table = [[0; 16]; 3];
    let mut byte = 0;
    while byte < 48 {
        table[byte % 3][byte % 16] = (byte / 3) as u8;
        byte += 1;
    }
    table
}

/// For each vector of the result and each channel the places that are its own.
const fn choice() -> [[[u8; 16]; 3]; 3] {
    let mut table = [[[0; 16]; 3]; 3];
    let mut byte = 0;
    while byte < 48 {
        table[byte / 16][byte % 3][byte % 16] = 0xff;
        byte += 1;
    }
    table
}

/// Four bytes a pixel.
#[target_feature(enable = "avx2")]
#[inline]
fn quads([a, b, c, d]: [__m128i; 4]) -> [__m128i; 4] {
    let (ab, cd) = (_mm_unpacklo_epi8(a, b), _mm_unpacklo_epi8(c, d));
    let (ab_high, cd_high) = (_mm_unpackhi_epi8(a, b), _mm_unpackhi_epi8(c, d));
    [
        _mm_unpacklo_epi16(ab, cd),
        _mm_unpackhi_epi16(ab, cd),
        _mm_unpacklo_epi16(ab_high, cd_high),
        _mm_unpackhi_epi16(ab_high, cd_high),
    ]
}

#[target_feature(enable = "avx2")]
#[inline]
fn load16(bytes: &[u8; 16]) -> __m128i {
    bytemuck::must_cast(*bytes)
}

#[target_feature(enable = "avx2")]
#[inline]
fn load32(bytes: &[u8; 32]) -> __m256i {
    bytemuck::must_cast(*bytes)
}

#[target_feature(enable = "avx2")]
#[inline]
fn store16(vector: __m128i, out: &mut [u8; 16]) {
    *out = bytemuck::must_cast(vector);
}

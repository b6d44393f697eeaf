//! Scaling of rows with AVX2: between rows, then along a row.
#![allow(unsafe_code)] // to call what the processor was asked about, and to load and store vectors

use super::axis::{TAPS, Tap};
use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_packus_epi16, _mm_storeu_si128, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_packs_epi32,
    _mm256_set_m128i, _mm256_set1_epi16, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_sub_epi16,
};

/// Samples of the result that are made at a time.
pub(super) const BLOCK: usize = 16;
/// Bytes that are loaded at a time, so many may be touched behind the last sample of a row.
pub(super) const LOAD: usize = 16;

/// That the processor has AVX2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// One row out of up to four, by weights.
    pub(super) fn between(self, rows: &[&[u8]], weights: [u16; TAPS], out: &mut [u8]) {
        // SAFETY: a value of this type is proof that the processor has AVX2.
        unsafe { between(rows, weights, out) }
    }

    /// A row in another width. `source` has [`LOAD`] bytes more than samples, `out` whole [`BLOCK`]s.
    pub(super) fn along(self, table: &Along, source: &[u8], out: &mut [u8]) {
        // SAFETY: a value of this type is proof that the processor has AVX2.
        unsafe {
            match table {
                Along::Pairs(blocks) => pairs(blocks, source, out),
                Along::Fours(blocks) => fours(blocks, source, out),
            }
        }
    }
}

/// Sixteen samples made of two neighbours each: places in the row, then for each half bytes to take and their weights.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    starts: [usize; 2],
    bytes: [u8; 32],
    weights: [u8; 32],
}

/// Sixteen samples made of four neighbours each, in the order 0..4, 8..12 and 4..8, 12..16 in which packing two vectors
/// brings them back to their own.
#[derive(Debug, Clone)]
pub(super) struct Fours {
    starts: [[usize; 2]; 2],
    bytes: [[u8; 32]; 2],
    weights: [[u8; 32]; 2],
}

/// What makes a row of another width.
#[derive(Debug, Clone)]
pub(super) enum Along {
    Pairs(Vec<Pairs>),
    Fours(Vec<Fours>),
}

impl Along {
    /// Tables for these samples of a row.
    pub(super) fn new(taps: &[Tap]) -> Self {
        if taps.iter().all(|tap| tap.count <= 2) {
            Self::Pairs(taps.chunks(BLOCK).map(pair_block).collect())
        } else {
            Self::Fours(taps.chunks(BLOCK).map(four_block).collect())
        }
    }
}

fn pair_block(taps: &[Tap]) -> Pairs {
    let mut block = Pairs {
        starts: [0; 2],
        bytes: [0; 32],
        weights: [0; 32],
    };
    for half in 0..2 {
        let taps = taps.get(half * 8..).unwrap_or_default();
        block.starts[half] = lane(taps, 8, 2, &mut block.bytes[half * 16..], &mut block.weights[half * 16..]);
    }
    block
}

fn four_block(taps: &[Tap]) -> Fours {
    let mut block = Fours {
        starts: [[0; 2]; 2],
        bytes: [[0; 32]; 2],
        weights: [[0; 32]; 2],
    };
    for vector in 0..2 {
        for half in 0..2 {
            let taps = taps.get(vector * 4 + half * 8..).unwrap_or_default();
            block.starts[vector][half] = lane(
                taps,
                4,
                4,
                &mut block.bytes[vector][half * 16..],
                &mut block.weights[vector][half * 16..],
            );
        }
    }
    block
}

/// One lane of 16 bytes: `samples` of `each` neighbours; gives the place in the row that the lane is loaded from.
///
/// Weights of 128 in all are kept negated, because a signed byte holds -128 and not 128: one neighbour alone is exact.
fn lane(taps: &[Tap], samples: usize, each: usize, bytes: &mut [u8], weights: &mut [u8]) -> usize {
    let start = taps.first().map_or(0, |tap| tap.first);
    for (sample, tap) in taps.iter().take(samples).enumerate() {
        let halves = halved(tap.weights);
        for neighbour in 0..each {
            // Never more than 15: eight steps of at most one pixel, or four of at most two, and their neighbours.
            let byte = (tap.first - start + neighbour).min(15);
            bytes[sample * each + neighbour] = byte as u8;
            weights[sample * each + neighbour] = halves[neighbour].wrapping_neg();
        }
    }
    start
}

/// Weights of 256 in all to 128 in all.
fn halved(weights: [u16; TAPS]) -> [u8; TAPS] {
    let mut halves = weights.map(|weight| (weight / 2) as u8);
    let missing = 128 - halves.iter().map(|half| u32::from(*half)).sum::<u32>();
    let odd = weights.iter().enumerate().filter(|(_, weight)| !weight.is_multiple_of(2));
    for (index, _) in odd.take(missing as usize) {
        halves[index] += 1;
    }
    halves
}

#[target_feature(enable = "avx2")]
fn between(rows: &[&[u8]], [a, b, c, d]: [u16; TAPS], out: &mut [u8]) {
    let widened = |value: &u8, weight: u16| u16::from(*value).wrapping_mul(weight);
    let narrowed = |sum: u16| (sum.wrapping_add(128) >> 8) as u8;
    match rows {
        [first] => {
            for (out, first) in out.iter_mut().zip(*first) {
                *out = *first;
            }
        }
        [first, second] => {
            for ((out, first), second) in out.iter_mut().zip(*first).zip(*second) {
                *out = narrowed(widened(first, a).wrapping_add(widened(second, b)));
            }
        }
        [first, second, third] => {
            for (((out, first), second), third) in out.iter_mut().zip(*first).zip(*second).zip(*third) {
                let sum = widened(first, a).wrapping_add(widened(second, b));
                *out = narrowed(sum.wrapping_add(widened(third, c)));
            }
        }
        [first, second, third, fourth] => {
            let rows = out.iter_mut().zip(*first).zip(*second).zip(*third).zip(*fourth);
            for ((((out, first), second), third), fourth) in rows {
                let sum = widened(first, a).wrapping_add(widened(second, b));
                let sum = sum.wrapping_add(widened(third, c)).wrapping_add(widened(fourth, d));
                *out = narrowed(sum);
            }
        }
        _ => {}
    }
}

#[target_feature(enable = "avx2")]
fn pairs(blocks: &[Pairs], source: &[u8], out: &mut [u8]) {
    let (out, _) = out.as_chunks_mut::<BLOCK>();
    for (block, out) in blocks.iter().zip(out) {
        let sums = weighed(source, block.starts, &block.bytes, &block.weights);
        store(sums, out);
    }
}

#[target_feature(enable = "avx2")]
fn fours(blocks: &[Fours], source: &[u8], out: &mut [u8]) {
    let ones = _mm256_set1_epi16(1);
    let (out, _) = out.as_chunks_mut::<BLOCK>();
    for (block, out) in blocks.iter().zip(out) {
        let low = weighed(source, block.starts[0], &block.bytes[0], &block.weights[0]);
        let high = weighed(source, block.starts[1], &block.bytes[1], &block.weights[1]);
        let sums = _mm256_packs_epi32(_mm256_madd_epi16(low, ones), _mm256_madd_epi16(high, ones));
        store(sums, out);
    }
}

/// Neighbours side by side, multiplied by their weights and added in pairs.
#[target_feature(enable = "avx2")]
#[inline]
fn weighed(source: &[u8], [low, high]: [usize; 2], bytes: &[u8; 32], weights: &[u8; 32]) -> __m256i {
    let taken = _mm256_set_m128i(load16(source, high), load16(source, low));
    _mm256_maddubs_epi16(_mm256_shuffle_epi8(taken, load32(bytes)), load32(weights))
}

/// Sums are negative and 128 times too large.
#[target_feature(enable = "avx2")]
#[inline]
fn store(sums: __m256i, out: &mut [u8; BLOCK]) {
    let rounded = _mm256_srli_epi16::<7>(_mm256_sub_epi16(_mm256_set1_epi16(64), sums));
    let packed = _mm_packus_epi16(
        _mm256_castsi256_si128(rounded),
        _mm256_extracti128_si256::<1>(rounded),
    );
    // SAFETY: there are 16 bytes, and the store asks for no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast::<__m128i>(), packed) };
}

#[target_feature(enable = "avx2")]
#[inline]
fn load16(source: &[u8], start: usize) -> __m128i {
    const NOTHING: [u8; LOAD] = [0; LOAD];
    let bytes = source.get(start..).and_then(<[u8]>::first_chunk::<LOAD>).unwrap_or(&NOTHING);
    // SAFETY: there are 16 bytes, and the load asks for no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast::<__m128i>()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load32(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: there are 32 bytes, and the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast::<__m256i>()) }
}

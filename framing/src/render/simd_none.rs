//! Replaces `simd.rs` on other processors: the fused path never applies.

use super::axis::{TAPS, Tap};
use super::colors::Weights;
use lva_media_types::Alpha;

pub(super) const LOAD: usize = 0;

#[derive(Debug, Clone, Copy)]
pub(super) enum Avx2 {}

#[derive(Debug)]
pub(super) struct RowKernel;

impl RowKernel {
    pub(super) fn new(_: &[Tap]) -> Self {
        Self
    }
}

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        None
    }

    pub(super) fn between(self, _: &[&[u8]], _: [u16; TAPS], _: &mut [u8]) {
        match self {}
    }

    pub(super) fn pixels(
        self,
        _: (&RowKernel, &RowKernel),
        _: [&[u8]; 3],
        _: &Weights,
        _: (Alpha, bool),
        _: &mut [u8],
    ) {
        match self {}
    }
}

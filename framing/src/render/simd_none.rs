//! In the place of `simd.rs` on processors for which there are no inner loops: the fused way never applies.

use super::axis::{TAPS, Tap};
use super::colors::Weights;

pub(super) const LOAD: usize = 0;

#[derive(Debug, Clone, Copy)]
pub(super) enum Avx2 {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Rgb,
    Bgr,
    Rgba,
    Bgra,
    Argb,
    Abgr,
}

#[derive(Debug)]
pub(super) struct Along;

impl Along {
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

    pub(super) fn pixels(self, _: (&Along, &Along), _: [&[u8]; 3], _: &Weights, _: Order, _: &mut [u8]) {
        match self {}
    }
}

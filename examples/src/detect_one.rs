//! One frame for a detector.

use anyhow::Context;
use lva_inference::{Detection, Detector, Frame};

/// Detects in one frame.
///
/// # Errors
///
/// The detector's error.
pub fn detect_one(detector: &mut dyn Detector, frame: Frame<'_>) -> anyhow::Result<Vec<Detection>> {
    let mut found = detector.detect(&[frame])?;
    found.pop().context("the detector returned no result")
}

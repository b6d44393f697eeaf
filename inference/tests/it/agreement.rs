//! The two backends against each other.

use std::path::Path;

use lva_inference::{
    BoundingBox, Detection, Detector, Device, Frame, ImageView, ModelSpec, OrtDetector, OrtOptions,
    PixelFormat, RtenDetector, RtenOptions,
};

use crate::support::{Clip, onnx_runtime_library, shared_data, tiny_model};

/// Largest difference of a score or of a box's edge, as a fraction of the frame.
const TOLERANCE: f32 = 1e-3;

/// Every cell of the output, none suppressed, so that no threshold can hide a difference.
fn everything(spec: ModelSpec) -> ModelSpec {
    spec.with_score_threshold(0.0).with_nms_threshold(1.0)
}

fn both(model: &Path, spec: &ModelSpec) -> Option<(RtenDetector, OrtDetector)> {
    let library = onnx_runtime_library()?;
    let rten = RtenDetector::load(model, spec.clone(), RtenOptions::default()).unwrap();
    let ort = OrtDetector::load(model, spec.clone(), OrtOptions::default().with_library(library)).unwrap();
    assert_eq!(ort.info().device, Device::Cpu);
    assert!(
        ort.info().runtime.starts_with("ONNX Runtime 1."),
        "{}",
        ort.info().runtime
    );
    assert_eq!(ort.info().largest_batch, rten.info().largest_batch);
    Some((rten, ort))
}

fn edges(b: &BoundingBox) -> [f32; 4] {
    [b.left, b.top, b.right(), b.bottom()]
}

fn near(a: &Detection, b: &Detection) -> bool {
    let apart = edges(&a.bbox)
        .iter()
        .zip(edges(&b.bbox))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    apart <= TOLERANCE && (a.score - b.score).abs() <= TOLERANCE
}

fn compare(rten: &mut RtenDetector, ort: &mut OrtDetector, frames: &[Frame<'_>]) {
    let of_rten = rten.detect(frames).unwrap();
    let of_ort = ort.detect(frames).unwrap();
    assert_eq!((of_rten.len(), of_ort.len()), (frames.len(), frames.len()));
    for (a, b) in of_rten.iter().zip(&of_ort) {
        assert_eq!(a.len(), b.len());
        assert!(a.iter().all(|a| b.iter().any(|b| near(a, b))));
        assert!(b.iter().all(|b| a.iter().any(|a| near(a, b))));
    }
    assert!(of_rten.iter().any(|found| !found.is_empty()));
}

#[test]
fn tiny_models_agree() {
    let spec = everything(ModelSpec::person_grid("tiny", 16, 8)).with_largest_batch(2);
    let pixels: Vec<u8> = (0..5 * 48 * 24 * 3).map(|i| (i * 7919 % 256) as u8).collect();
    let frames: Vec<Frame<'_>> = pixels
        .chunks_exact(48 * 24 * 3)
        .map(|p| Frame::Host(ImageView::packed(p, 48, 24, PixelFormat::Bgr24).unwrap()))
        .collect();
    for name in ["grid-any-batch.onnx", "grid-batch-1.onnx", "grid-batch-3.onnx"] {
        let Some((mut rten, mut ort)) = both(&tiny_model(name), &spec) else {
            return;
        };
        compare(&mut rten, &mut ort, &frames);
    }
}

#[test]
fn fastest_det_agrees() {
    let Some(model) = shared_data("models/FastestDet.onnx") else {
        return;
    };
    let Some((mut rten, mut ort)) = both(&model, &everything(ModelSpec::fastest_det())) else {
        return;
    };
    let pixels: Vec<u8> = (0..640 * 360 * 3)
        .map(|i: u32| (i / 7 % 251) as u8 ^ (i / 1920) as u8)
        .collect();
    let drawn = ImageView::packed(&pixels, 640, 360, PixelFormat::Bgr24).unwrap();
    compare(&mut rten, &mut ort, &[drawn.into()]);
    let Some(clip) = Clip::read("video/pedestrians-outdoor.mp4", (480, 360), 100) else {
        return;
    };
    let frames: Vec<_> = clip.frames().map(Frame::Host).collect();
    compare(&mut rten, &mut ort, &frames);
}

//! rten on tiny networks whose output can be computed by hand.

use lva_inference::{
    BoundingBox, DecodeError, Detection, Detector, Device, Frame, ImageView, InputSpec, LoadError,
    ModelFileError, ModelSpec, PixelFormat, RtenDetector, RtenOptions,
};

use crate::support::tiny_model;

fn spec() -> ModelSpec {
    ModelSpec::person_grid("tiny", 16, 8)
}

fn load(name: &str, spec: ModelSpec) -> Result<RtenDetector, LoadError> {
    RtenDetector::load(tiny_model(name), spec, RtenOptions::default())
}

/// Two pixels side by side: the red of each becomes the score of its cell.
fn two_pixels(left: u8, right: u8) -> [u8; 6] {
    [left, 0, 0, right, 0, 0]
}

fn detect(detector: &mut RtenDetector, pictures: &[[u8; 6]]) -> Vec<Vec<Detection>> {
    let frames: Vec<Frame<'_>> = pictures
        .iter()
        .map(|p| Frame::Host(ImageView::packed(p, 2, 1, PixelFormat::Rgb24).unwrap()))
        .collect();
    let found = detector.detect(&frames).unwrap();
    assert_eq!(found, detector.detect(&frames).unwrap());
    found
}

#[test]
fn every_batch_gives_the_same_boxes() {
    // Growing pictures are sampled bilinearly: each cell is half its own pixel and half a ramp between the
    // two.
    let pictures = [
        two_pixels(255, 255),
        two_pixels(0, 0),
        two_pixels(255, 0),
        two_pixels(0, 255),
    ];
    for (name, batch) in [
        ("grid-any-batch.onnx", 2),
        ("grid-batch-1.onnx", 1),
        ("grid-batch-3.onnx", 3),
    ] {
        let mut detector = load(name, spec().with_largest_batch(2)).unwrap();
        assert_eq!(detector.info().largest_batch, batch);
        let found = detect(&mut detector, &pictures);
        let boxes: Vec<Vec<_>> = found
            .iter()
            .map(|f| f.iter().map(|d| (d.bbox, d.class)).collect())
            .collect();
        let left = (BoundingBox::from_edges(0.0, 0.0, 0.5, 1.0), 0);
        let right = (BoundingBox::from_edges(0.5, 0.0, 1.0, 1.0), 0);
        assert_eq!(
            boxes,
            [vec![left, right], vec![], vec![left], vec![right]],
            "{name}"
        );
        assert_eq!(found[0][0].score, 1.0);
        // The ramp takes 1/16 + 3/16 + 5/16 + 7/16 from the inner four of eight columns.
        assert!((found[2][0].score - 0.875).abs() < 1e-3, "{}", found[2][0].score);
    }
}

#[test]
fn a_detector_describes_itself() {
    let detector = load("grid-any-batch.onnx", spec().with_name("my people")).unwrap();
    let info = detector.info();
    assert_eq!(
        (info.model.as_str(), info.input_width, info.input_height),
        ("my people", 16, 8)
    );
    assert_eq!((info.device, info.runtime.as_str()), (Device::Cpu, "rten"));
    assert_eq!((info.class_name(0), info.class_name(1)), (Some("person"), None));
}

#[test]
fn models_in_memory_load_owned_and_static() {
    static MODEL: &[u8] = include_bytes!("../models/grid-batch-1.onnx");
    let mut borrowed = RtenDetector::from_bytes(MODEL, spec(), RtenOptions::default()).unwrap();
    let mut owned =
        RtenDetector::from_bytes(MODEL.to_vec(), spec(), RtenOptions::default().with_threads(2)).unwrap();
    let picture = [two_pixels(200, 50)];
    assert_eq!(detect(&mut borrowed, &picture), detect(&mut owned, &picture));
}

#[test]
fn a_detector_is_an_object_that_can_be_sent() {
    let mut detector: Box<dyn Detector> = Box::new(load("grid-batch-1.onnx", spec()).unwrap());
    let found = std::thread::spawn(move || {
        let picture = two_pixels(255, 0);
        let frame = ImageView::packed(&picture, 2, 1, PixelFormat::Rgb24).unwrap();
        detector.detect(&[frame.into()]).unwrap()
    });
    assert_eq!(found.join().unwrap()[0].len(), 1);
}

#[test]
fn files_that_do_not_match_are_reported() {
    let error = |name, spec| load(name, spec).unwrap_err();
    assert!(matches!(
        error("missing.onnx", spec()),
        LoadError::File(ModelFileError::Read { .. })
    ));
    assert!(matches!(
        error("make_models.py", spec()),
        LoadError::File(ModelFileError::NoModel { .. })
    ));
    let larger = spec().with_input(InputSpec::new(32, 8));
    let wrong = error("grid-any-batch.onnx", larger);
    assert!(wrong.to_string().contains("float32 [?, 3, 8, 16]"), "{wrong}");
    let other_family = ModelSpec::fastest_det().with_input(InputSpec::new(16, 16));
    assert!(matches!(
        error("grid-any-batch.onnx", other_family),
        LoadError::InputShape { .. }
    ));
    assert!(matches!(
        error("grid-no-sigmoid.onnx", spec()),
        LoadError::Output {
            cause: DecodeError::ScoreRange { .. },
            ..
        }
    ));
    assert!(matches!(
        error("grid-not-finite.onnx", spec()),
        LoadError::Output {
            cause: DecodeError::NotFinite,
            ..
        }
    ));
    assert!(matches!(
        error("grid-any-batch.onnx", spec().with_largest_batch(0)),
        LoadError::Spec(_)
    ));
}

#[test]
fn damaged_files_are_errors() {
    let whole = std::fs::read(tiny_model("grid-any-batch.onnx")).unwrap();
    for len in [0, 1, 10, 100, 1000, whole.len() - 1] {
        let cut = whole[..len].to_vec();
        assert!(
            RtenDetector::from_bytes(cut, spec(), RtenOptions::default()).is_err(),
            "{len}"
        );
    }
    for at in (0..whole.len()).step_by(37) {
        let mut bent = whole.clone();
        bent[at] ^= 0xff;
        // Some changes only touch a weight or a name; none may panic.
        let _ = RtenDetector::from_bytes(bent, spec(), RtenOptions::default());
    }
}

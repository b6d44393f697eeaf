//! FastestDet on real clips, where the shared data is.

use lva_inference::{COCO_CLASS_NAMES, Detector, ModelSpec, RtenDetector, RtenOptions};

use crate::support::{Clip, shared_data};

const MODEL: &str = "models/FastestDet.onnx";
const INDOOR: (&str, (u32, u32)) = ("video/one-by-one-indoor.mp4", (768, 432));
const OUTDOOR: (&str, (u32, u32)) = ("video/pedestrians-outdoor.mp4", (480, 360));

fn people() -> ModelSpec {
    ModelSpec::fastest_det()
        .with_classes_kept(["person"])
        .with_score_threshold(0.5)
}

fn load(spec: ModelSpec) -> Option<RtenDetector> {
    let model = shared_data(MODEL)?;
    Some(RtenDetector::load(model, spec, RtenOptions::default()).unwrap())
}

/// People in each frame.
fn count(detector: &mut RtenDetector, clip: &Clip) -> Vec<usize> {
    clip.frames()
        .map(|frame| detector.detect(&[frame.into()]).unwrap()[0].len())
        .collect()
}

#[test]
fn class_names_are_those_of_the_model() {
    let Some(names) = shared_data("models/coco.names") else {
        return;
    };
    let names = std::fs::read_to_string(names).unwrap();
    assert_eq!(
        names.lines().filter(|l| !l.is_empty()).collect::<Vec<_>>(),
        COCO_CLASS_NAMES
    );
}

#[test]
fn a_wrong_number_of_class_names_is_refused() {
    let Some(model) = shared_data(MODEL) else { return };
    let spec = ModelSpec::fastest_det().with_class_names(["person", "dog"]);
    let error = RtenDetector::load(model, spec, RtenOptions::default()).unwrap_err();
    assert!(
        matches!(error, lva_inference::LoadError::Output { .. }),
        "{error}"
    );
}

#[test]
fn people_are_found_indoors_and_outdoors() {
    let Some(mut detector) = load(people()) else {
        return;
    };
    let Some(indoor) = Clip::read(INDOOR.0, INDOOR.1, 20) else {
        return;
    };
    let Some(outdoor) = Clip::read(OUTDOOR.0, OUTDOOR.1, 50) else {
        return;
    };
    let indoor = count(&mut detector, &indoor);
    // 36 frames; in 545 of all 720 there is a person, and never more than two.
    let with_somebody = indoor.iter().filter(|&&n| n > 0).count();
    assert!((24..=31).contains(&with_somebody), "{indoor:?}");
    assert!(indoor.iter().all(|&n| n <= 2), "{indoor:?}");
    let outdoor = count(&mut detector, &outdoor);
    let mean = outdoor.iter().sum::<usize>() as f32 / outdoor.len() as f32;
    assert!((6.5..=9.5).contains(&mean), "{outdoor:?}");
}

#[test]
#[ignore = "runs both clips whole: half a minute"]
fn people_in_whole_clips() {
    let Some(mut detector) = load(people()) else {
        return;
    };
    for ((path, size), frames, with_somebody, mean) in [(INDOOR, 720, 545, 0.76), (OUTDOOR, 450, 450, 8.1)] {
        let Some(clip) = Clip::read(path, size, 1) else {
            return;
        };
        let start = std::time::Instant::now();
        let counts = count(&mut detector, &clip);
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0 / counts.len() as f64;
        let found = counts.iter().filter(|&&n| n > 0).count();
        let found_mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
        eprintln!(
            "{path}: people in {found} of {}, {found_mean:.3} a frame, at most {}, {milliseconds:.1} ms a frame",
            counts.len(),
            counts.iter().max().unwrap_or(&0),
        );
        assert_eq!(counts.len(), frames);
        // The model's own page of figures, within two per cent.
        assert!((found as f64 - f64::from(with_somebody)).abs() <= 0.02 * f64::from(with_somebody));
        assert!((found_mean - mean).abs() <= 0.02 * mean);
    }
}

#[test]
fn the_detector_knows_its_model() {
    let Some(detector) = load(people()) else { return };
    let info = detector.info();
    // The published file fixes its batch.
    assert_eq!(
        (info.input_width, info.input_height, info.largest_batch),
        (352, 352, 1)
    );
    assert_eq!(info.class_names.len(), 80);
}

//! The model that comes with `lva-inference`, on frames of the world that it knows.

use std::thread;
use std::time::Duration;

use lva_inference::{
    Detection, Detector, ImageView, ModelSpec, PLAZA_PERSON_ONNX, PixelFormat, RtenDetector, RtenOptions,
};
use lva_sample_world::{Crossing, World, WorldOptions};
use lva_spatial_analysis::*;

use crate::support::*;

const FPS: u32 = 5;
const FRAMES: u64 = 40;

#[test]
fn people_of_the_drawn_plaza_are_reported_where_they_are() {
    let options = WorldOptions {
        width: 1280,
        height: 720,
        fps: FPS,
        seconds: 60.0,
    };
    let mut world = World::new(77, options).unwrap();
    let truth = world.scene().clone();
    // Where something happens soon after the beginning of a stretch of frames.
    let first = truth
        .events
        .iter()
        .find(|event| event.frame >= 10 && event.status != Crossing::Exit)
        .expect("something happens in a minute");
    let begin = (first.frame - 10).min(world.frame_count() - FRAMES);
    let scene = serde_json::json!({"zones": truth.zones, "lines": truth.lines});
    let config = Operation::from_json(&scene.to_string()).unwrap();
    let model = RtenDetector::plaza_person().unwrap();
    let all_people = AnalysisOptions::default().with_entities(Entities::EveryFrame);
    let mut analysis = SpatialAnalysis::new(model, &config, all_people, 1).unwrap();
    let mut rgb = vec![0; world.frame_bytes()];
    let (mut wanted, mut met, mut reported) = (0, 0, Vec::new());
    for index in begin..begin + FRAMES {
        let frame = world.render(index, &mut rgb).unwrap();
        let view = ImageView::packed(&rgb, 1280, 720, PixelFormat::Rgb24).unwrap();
        let time = index * SECOND / u64::from(FPS);
        let inferences = analysis.process(view, time).unwrap();
        assert_sound(&inferences);
        reported.extend(events(&inferences));
        // The first frames confirm no people and report none.
        let clear = frame
            .people
            .iter()
            .filter(|p| index > begin + 5 && p.visible_share > 0.8 && p.bbox[3] > 0.1);
        for person in clear {
            wanted += 1;
            let close = |bbox: &lva_inference_schema::Rectangle| {
                let given = [bbox.l, bbox.t, bbox.w, bbox.h].map(lva_inference_schema::Decimal::to_f32);
                given.iter().zip(person.bbox).all(|(a, b)| (a - b).abs() < 0.06)
            };
            met += usize::from(inferences.iter().filter_map(|i| i.bounding_box()).any(close));
        }
    }
    assert!(wanted > 20, "only {wanted} people to find");
    assert!(met * 10 >= wanted * 8, "{met} of {wanted} people reported");
    let expected = match first.status {
        Crossing::Enter => "Enter",
        Crossing::Exit => "Exit",
        Crossing::CrossLeft => "CrossLeft",
        Crossing::CrossRight => "CrossRight",
    };
    let event = (expected.to_owned(), first.boundary.clone());
    assert!(reported.contains(&event), "{event:?} not among {reported:?}");
}

#[test]
fn streams_that_share_batches_get_the_detections_of_their_own_frames() {
    const STREAMS: u64 = 4;
    let options = WorldOptions {
        width: 640,
        height: 360,
        fps: FPS,
        seconds: 60.0,
    };
    let mut world = World::new(78, options).unwrap();
    let mut rgb = vec![0; world.frame_bytes()];
    let frames: Vec<Vec<u8>> = (0..STREAMS * 3)
        .map(|index| {
            world.render(index * 20, &mut rgb).unwrap();
            rgb.clone()
        })
        .collect();
    let detect = |detector: &mut dyn Detector, rgb: &[u8]| -> Vec<Detection> {
        let view = ImageView::packed(rgb, 640, 360, PixelFormat::Rgb24).unwrap();
        detector.detect(&[view.into()]).unwrap().pop().unwrap()
    };
    let mut alone = RtenDetector::plaza_person().unwrap();
    let expected: Vec<_> = frames.iter().map(|frame| detect(&mut alone, frame)).collect();
    assert!(expected.iter().filter(|found| !found.is_empty()).count() > 3);

    let spec = ModelSpec::plaza_person().with_largest_batch(STREAMS as usize);
    let model = RtenDetector::from_bytes(PLAZA_PERSON_ONNX, spec, RtenOptions::default()).unwrap();
    let shared = SharedDetector::in_batches(model, Duration::from_millis(200));
    thread::scope(|scope| {
        for (own, expected) in frames.chunks(3).zip(expected.chunks(3)) {
            let mut detector = shared.clone();
            scope.spawn(move || {
                for (frame, expected) in own.iter().zip(expected) {
                    let found = detect(&mut detector, frame);
                    assert_eq!(found.len(), expected.len());
                    for (found, expected) in found.iter().zip(expected) {
                        assert!(
                            found.bbox.iou(&expected.bbox) > 0.99,
                            "{found:?} and {expected:?}"
                        );
                        assert!((found.score - expected.score).abs() < 1e-3);
                    }
                }
            });
        }
    });
    assert_eq!(shared.batch_stats().frames, STREAMS * 3);
}

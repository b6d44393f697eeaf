//! Any detections at any times.

use lva_inference::{BoundingBox, Detection};
use lva_spatial_analysis::*;
use proptest::prelude::*;

use crate::support::*;

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => 0.0..1.0f32,
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN, f32::MAX, -0.0, 1e-30]),
    ]
}

fn detection() -> impl Strategy<Value = Detection> {
    (number(), number(), number(), number(), number(), 0..3u16).prop_map(
        |(left, top, width, height, score, class)| Detection {
            bbox: BoundingBox {
                left,
                top,
                width,
                height,
            },
            class,
            score,
        },
    )
}

/// Mostly a frame interval later, sometimes anywhere.
fn step() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![20 => Just(None), 1 => any::<u64>().prop_map(Some), 1 => Just(Some(u64::MAX)), 1 => Just(Some(0))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_detections_and_no_times_break_a_session(
        frames in prop::collection::vec((step(), prop::collection::vec(detection(), 0..6)), 1..60),
        every_frame in any::<bool>(),
        aspect in prop::option::of(0.01..100.0f64),
    ) {
        let mut options = AnalysisOptions::default();
        if every_frame {
            options = options.with_entities(Entities::EveryFrame);
        }
        if let Some(aspect) = aspect {
            options = options.with_camera_aspect(aspect);
        }
        let config = Operation::from_json(SCENE).unwrap();
        let mut now = 0u64;
        let mut times = Vec::new();
        for (jump, _) in &frames {
            now = jump.unwrap_or_else(|| now.saturating_add(6000));
            times.push(now);
        }
        let run = || {
            let script = Scripted::new(frames.iter().map(|(_, found)| found.clone()));
            let mut analysis = SpatialAnalysis::new(script, &config, options, 1).unwrap();
            let reported = play(&mut analysis, times.iter().copied());
            (reported, analysis.stats())
        };
        let (reported, stats) = run();
        for (_, message) in &reported {
            assert_sound(message);
            for bbox in message.iter().filter_map(|i| i.bounding_box()) {
                prop_assert!(bbox.l.is_finite() && bbox.t.is_finite() && bbox.w.is_finite() && bbox.h.is_finite());
            }
        }
        prop_assert_eq!(stats.frames, frames.len() as u64);
        prop_assert!(stats.zone_exits <= stats.zone_enters);
        prop_assert_eq!(run(), (reported, stats));
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,200}") {
        let _ = Operation::from_json(&text);
        let _ = Operation::from_descriptor(&text);
    }

    #[test]
    fn no_cut_of_a_configuration_breaks_the_reader(cut in 0..SCENE.len(), byte in any::<u8>()) {
        let mut bytes = SCENE.as_bytes().to_vec();
        bytes[cut] = byte;
        let _ = Operation::from_json(&String::from_utf8_lossy(&bytes));
        let _ = Operation::from_json(&SCENE[..cut]);
    }
}

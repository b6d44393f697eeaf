//! One camera's state, with a detector that follows a script and times that the test gives.

use lva_inference::{BoundingBox, DetectError, Detection, Frame, ImageView, PixelFormat};
use lva_inference_schema::{AnalyticsBody, InferenceValue, JsonStyle, PreviewNote};
use lva_spatial_analysis::*;
use lva_zones::report::EventProfile;
use serde_json::json;

use crate::support::*;

fn config() -> Operation {
    Operation::from_json(SCENE).unwrap()
}

fn session(detector: Scripted, options: AnalysisOptions) -> SpatialAnalysis<Scripted> {
    SpatialAnalysis::new(detector, &config(), options, 7).unwrap()
}

fn walking(fps: u64, options: AnalysisOptions) -> SpatialAnalysis<Scripted> {
    session(
        Scripted::new(walk(fps).into_iter().map(|(_, found)| found)),
        options,
    )
}

fn times(fps: u64) -> impl Iterator<Item = u64> {
    walk(fps).into_iter().map(|(time, _)| time)
}

fn a_walk_is_reported(fps: u64, latest: f64) {
    let mut analysis = walking(fps, AnalysisOptions::default());
    let reported = play(&mut analysis, times(fps));
    // The walker's feet are over the door from 3 s to 5 s, and pass the gate at 6 s.
    let expected = [
        ("Enter", "door", 3.0),
        ("Exit", "door", 5.0),
        ("CrossRight", "gate", 6.0),
    ];
    let found = reported.iter().flat_map(|(time, message)| {
        let seconds = *time as f64 / SECOND as f64;
        events(message).into_iter().map(move |event| (event, seconds))
    });
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (((status, place), seconds), (a, b, at)) in found.iter().zip(expected) {
        assert_eq!((status.as_str(), place.as_str()), (a, b), "{found:?}");
        assert!(
            (at..at + latest).contains(seconds),
            "{status} of {at} s at {seconds} s"
        );
    }
    reported.iter().for_each(|(_, message)| assert_sound(message));
    let stats = analysis.stats();
    assert_eq!(
        (stats.zone_enters, stats.zone_exits, stats.line_crossings),
        (1, 1, 1)
    );
    assert_eq!((stats.frames, stats.people), (10 * fps, 8 * fps));
}

#[test]
fn a_walk_through_a_zone_and_over_a_line_is_reported_at_15_frames_a_second() {
    a_walk_is_reported(15, 0.4);
}

#[test]
fn a_walk_through_a_zone_and_over_a_line_is_reported_at_2_frames_a_second() {
    a_walk_is_reported(2, 1.1);
}

#[test]
fn messages_have_the_tutorials_form() {
    let mut analysis = walking(15, AnalysisOptions::default());
    let reported = play(&mut analysis, times(15));
    let (time, inferences) = &reported[0];
    let body = AnalyticsBody::new(*time, inferences.clone()).to_json(JsonStyle::Lva);
    let id = body["inferences"][0]["inferenceId"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(body["timestamp"], json!(*time));
    assert_eq!(body["inferences"][0]["entity"]["tag"]["value"], "person");
    assert_eq!(body["inferences"][0]["valueCase"], "entity");
    let event = &body["inferences"][1];
    assert_eq!(event["event"]["name"], "personZoneEvent");
    let expected = json!({"status": "Enter", "metadataVersion": "1.0", "zone": "door", "trackingId": id});
    assert_eq!(event["event"]["properties"], expected);
    assert_eq!(event["relatedInferences"], json!([id]));
}

#[test]
fn messages_have_video_analyzers_form_on_request() {
    let options = AnalysisOptions::default().with_profile(EventProfile::VideoAnalyzer);
    let reported = play(&mut walking(15, options), times(15));
    let InferenceValue::Event(event) = &reported[0].1[1].value else {
        panic!("not an event")
    };
    assert_eq!(event.name, "personZoneEnterExitEvent");
    assert_eq!(event.properties["side"], "4");
    assert!(reported[0].1[0].extensions.contains_key("trackingId"));
}

#[test]
fn frames_without_an_event_are_answered_empty_unless_all_entities_are_asked_for() {
    let quiet = play(&mut walking(15, AnalysisOptions::default()), times(15));
    assert_eq!(quiet.len(), 3);
    let all_people = AnalysisOptions::default().with_entities(Entities::EveryFrame);
    let all = play(&mut walking(15, all_people), times(15));
    // Two frames until the walker is believed.
    assert_eq!(all.len(), 8 * 15 - 2);
    let of = |reported: &[(u64, Vec<_>)]| reported.iter().flat_map(|(_, m)| events(m)).collect::<Vec<_>>();
    assert_eq!(of(&all), of(&quiet));
    all.iter().for_each(|(_, message)| assert_sound(message));
}

#[test]
fn previews_show_everybody_and_cause_nothing_once_marks_and_notes_are_gone() {
    let quiet = play(&mut walking(15, AnalysisOptions::default()), times(15));
    let options = AnalysisOptions::default().with_entities(Entities::Preview);
    let shown = play(&mut walking(15, options), times(15));
    assert_eq!(shown.len(), 8 * 15 - 2);
    for (_, message) in &shown {
        let boxes: Vec<serde_json::Value> = message
            .iter()
            .filter_map(|found| found.note(PreviewNote::Track))
            .collect();
        assert_eq!(boxes.len(), 1, "one person, whose track is known: {message:?}");
        assert_eq!(boxes[0]["aspect"], 16.0 / 9.0);
    }
    let whys: Vec<serde_json::Value> = shown
        .iter()
        .flat_map(|(_, message)| message.iter().filter_map(|found| found.note(PreviewNote::Why)))
        .collect();
    let rules: Vec<_> = whys.iter().map(|why| why["rule"].clone()).collect();
    assert_eq!(rules, ["crossed", "crossed", "crossed"]);
    assert!(
        whys.iter()
            .all(|why| why["samples"].as_u64() > Some(0) && why["thresholds"]["holdMs"] == 100)
    );
    // As a runtime takes them out.
    let left = shown.into_iter().filter_map(|(time, mut message)| {
        message.retain(|found| !found.is_preview());
        message
            .iter_mut()
            .for_each(lva_inference_schema::Inference::remove_notes);
        (!message.is_empty()).then_some((time, message))
    });
    assert_eq!(left.collect::<Vec<_>>(), quiet);
}

#[test]
fn the_same_frames_give_the_same_bytes_and_another_seed_only_other_ids() {
    let run = |seed| {
        let script = Scripted::new(walk(15).into_iter().map(|(_, found)| found));
        let mut analysis = SpatialAnalysis::new(script, &config(), AnalysisOptions::default(), seed).unwrap();
        play(&mut analysis, times(15))
    };
    assert_eq!(run(1), run(1));
    let (one, two) = (run(1), run(2));
    assert_ne!(one[0].1[0].inference_id, two[0].1[0].inference_id);
    assert_eq!(one.len(), two.len());
}

#[test]
fn late_frames_are_left_out_and_counted() {
    let mut analysis = walking(15, AnalysisOptions::default());
    // Every tenth frame is followed by one that is a second older.
    let disturbed: Vec<u64> = times(15)
        .enumerate()
        .flat_map(|(n, time)| {
            let late = (n % 10 == 9 && time >= SECOND).then(|| time - SECOND);
            std::iter::once(time).chain(late)
        })
        .collect();
    let late = disturbed.len() as u64 - 150;
    let reported = play(&mut analysis, disturbed);
    assert_eq!(reported.len(), 3);
    assert_eq!(
        (analysis.stats().late_frames, analysis.stats().restarts),
        (late, 0)
    );
}

#[test]
fn a_clock_that_jumps_back_makes_a_session_begin_anew() {
    let twice = walk(15).into_iter().chain(walk(15)).map(|(_, found)| found);
    let mut analysis = session(Scripted::new(twice), AnalysisOptions::default());
    let first = play(&mut analysis, times(15).map(|time| time + 1000 * SECOND));
    let second = play(&mut analysis, times(15));
    assert_eq!((first.len(), second.len()), (3, 3));
    assert_ne!(first[0].1[0].inference_id, second[0].1[0].inference_id);
    assert_eq!((analysis.stats().late_frames, analysis.stats().restarts), (0, 1));
}

#[test]
fn frames_without_times_of_their_own_tell_nothing_but_do_no_harm() {
    let mut analysis = walking(15, AnalysisOptions::default());
    assert_eq!(play(&mut analysis, times(15).map(|_| 5)), []);
}

#[test]
fn a_failing_detector_costs_its_frame_and_nothing_else() {
    let failing = walk(15).into_iter().enumerate().map(|(n, (_, found))| match n {
        50 => Err(DetectError::Run {
            model: "scripted".into(),
            cause: "out of memory".into(),
        }),
        _ => Ok(found),
    });
    let mut analysis = session(Scripted::with_failures(failing), AnalysisOptions::default());
    let pixels = vec![0; 64 * 36 * 3];
    let view = ImageView::packed(&pixels, 64, 36, PixelFormat::Bgr24).unwrap();
    let mut reported = Vec::new();
    for (n, time) in times(15).enumerate() {
        match analysis.process(view, time) {
            Ok(inferences) => reported.extend(events(&inferences)),
            Err(error) => {
                assert!(matches!(error, ProcessError::Detect(_)) && error.is_transient());
                assert_eq!(n, 50);
            }
        }
    }
    assert_eq!(reported.len(), 3);
    assert_eq!(analysis.stats().failed_frames, 1);
}

#[test]
fn a_frame_of_another_size_than_announced_is_refused_with_both_sizes() {
    let mut analysis = walking(15, AnalysisOptions::default())
        .with_frame_size(SIZE)
        .unwrap();
    let pixels = vec![0; 32 * 32 * 3];
    let view = ImageView::packed(&pixels, 32, 32, PixelFormat::Bgr24).unwrap();
    let error = analysis.process(Frame::Host(view), 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the frame has 32x32 pixels, but 64x36 were announced"
    );
    assert!(!error.is_transient());
    assert_eq!(play(&mut analysis, times(15)).len(), 3);
}

#[test]
fn only_the_class_person_counts_and_other_classes_are_counted_as_such() {
    let walk_of = |class| {
        walk(15).into_iter().map(move |(_, found)| {
            found
                .into_iter()
                .map(|f| person_of_class(f.bbox, class))
                .collect::<Vec<_>>()
        })
    };
    let dogs = Scripted::new(walk_of(0)).with_class_names(["dog", "Person"]);
    let mut analysis = session(dogs, AnalysisOptions::default());
    assert_eq!(play(&mut analysis, times(15)), []);
    assert_eq!(
        (analysis.stats().people, analysis.stats().other_classes),
        (0, 120)
    );
    let people = Scripted::new(walk_of(1)).with_class_names(["dog", "Person"]);
    assert_eq!(
        play(&mut session(people, AnalysisOptions::default()), times(15)).len(),
        3
    );
}

#[test]
fn a_model_without_people_is_refused_by_name() {
    let dogs = Scripted::new([]).with_class_names(["dog", "cat"]);
    let error = SpatialAnalysis::new(dogs, &config(), AnalysisOptions::default(), 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model 'scripted' has no class 'person' among its 2: choose a model that finds it, or other \"classes\""
    );
}

#[test]
fn sizes_and_aspects_that_are_no_pictures_are_refused() {
    let with =
        |size, options| SpatialAnalysis::new(Scripted::new([]), &config(), options, 1)?.with_frame_size(size);
    for size in [(0, 0), (0, 10), (10, 0), (1, 101), (10_100, 100)] {
        let refused = with(size, AnalysisOptions::default());
        assert!(matches!(refused, Err(BeginError::FrameSize { .. })), "{size:?}");
    }
    for aspect in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = with(SIZE, AnalysisOptions::default().with_camera_aspect(aspect));
        assert!(
            matches!(refused, Err(BeginError::CameraAspect { .. })),
            "{aspect}"
        );
    }
}

#[test]
fn a_session_follows_the_shape_of_its_frames() {
    let all = AnalysisOptions::default().with_entities(Entities::EveryFrame);
    let found = vec![person(BoundingBox::new(0.4, 0.3, 0.1, 0.4))];
    let mut analysis = session(Scripted::new(vec![found; 20]), all);
    let pixels = vec![0; 64 * 64 * 3];
    let mut ids = |frames: std::ops::Range<u64>, width, height| {
        let view = ImageView::packed(&pixels, width, height, PixelFormat::Bgr24).unwrap();
        let people = frames.flat_map(|frame| analysis.process(view, frame * 6000).unwrap());
        let people: Vec<_> = people.collect();
        (people[0].inference_id.clone(), analysis.stats().restarts)
    };
    let (first, _) = ids(0..5, 64, 36);
    assert_eq!(
        ids(5..10, 32, 18),
        (first.clone(), 0),
        "smaller, of the same shape"
    );
    let (second, restarts) = ids(10..15, 64, 64);
    assert_ne!(second, first, "another shape: another person");
    assert_eq!(restarts, 1);
}

#[test]
fn a_frame_of_an_impossible_shape_is_refused_and_the_next_one_taken() {
    let mut analysis = session(Scripted::new([]), AnalysisOptions::default());
    let pixels = vec![0; 3 * 101];
    let narrow = ImageView::packed(&pixels, 1, 101, PixelFormat::Bgr24).unwrap();
    let refused = analysis.process(narrow, 0);
    assert!(
        matches!(
            refused,
            Err(ProcessError::Begin(BeginError::FrameSize {
                width: 1,
                height: 101
            }))
        ),
        "{refused:?}"
    );
    let usual = ImageView::packed(&pixels, 10, 10, PixelFormat::Bgr24).unwrap();
    analysis.process(usual, 0).unwrap();
}

#[test]
fn zones_lie_on_the_cameras_picture_in_a_padded_frame_and_boxes_on_the_frame() {
    // A camera picture of 16:9 in a frame of 64x64 has bars of 0.21875 at the top and the bottom.
    let bar = 0.21875;
    let padded = |bbox: BoundingBox| {
        BoundingBox::from_edges(
            bbox.left,
            bar + bbox.top * 0.5625,
            bbox.right(),
            bar + bbox.bottom() * 0.5625,
        )
    };
    let script: Vec<_> = walk(15)
        .into_iter()
        .map(|(_, found)| {
            found
                .into_iter()
                .map(|f| person(padded(f.bbox)))
                .collect::<Vec<_>>()
        })
        .collect();
    // High in the picture: out of reach unless the bars are taken into account.
    let config = Operation::from_json(
        r#"{"zones": [{"name": "door", "polygon": [[0.4, 0.72], [0.6, 0.72], [0.6, 0.95], [0.4, 0.95]]}]}"#,
    )
    .unwrap();
    let run = |options: AnalysisOptions| {
        let mut analysis = SpatialAnalysis::new(Scripted::new(script.clone()), &config, options, 1).unwrap();
        let pixels = vec![0; 64 * 64 * 3];
        let view = ImageView::packed(&pixels, 64, 64, PixelFormat::Bgr24).unwrap();
        let mut reported = Vec::new();
        for time in times(15) {
            reported.extend(analysis.process(view, time).unwrap());
        }
        reported
    };
    assert_eq!(run(AnalysisOptions::default()), []);
    let reported = run(AnalysisOptions::default().with_camera_aspect(16.0 / 9.0));
    assert_eq!(events(&reported).len(), 2);
    let bbox = reported[0].bounding_box().unwrap();
    let bottom = bbox.t.get() + bbox.h.get();
    assert!((bottom - (bar + 0.8 * 0.5625) as f64).abs() < 1e-4, "{bottom}");
}

#[test]
fn occupancy_follows_the_walker() {
    let mut analysis = walking(15, AnalysisOptions::default());
    let all: Vec<u64> = times(15).collect();
    play(&mut analysis, all[..60].iter().copied());
    assert_eq!(analysis.occupancy("door"), Some(1));
    play(&mut analysis, all[60..].iter().copied());
    assert_eq!(analysis.occupancy("door"), Some(0));
    assert_eq!(analysis.occupancy("window"), None);
    assert_eq!(
        (
            analysis.tracker_stats().invalid,
            analysis.engine_stats().unwatched
        ),
        (0, 0)
    );
}

#[test]
fn a_bad_detection_costs_itself_and_not_the_frame() {
    let bbox = BoundingBox::new(0.1, 0.3, 0.1, 0.4);
    let good = Detection {
        bbox,
        class: 0,
        score: 0.9,
    };
    let pixels = BoundingBox::new(320.0, 240.0, 80.0, 200.0);
    let bad = [
        Detection { bbox: pixels, ..good },
        Detection {
            bbox: BoundingBox {
                left: f32::NAN,
                ..bbox
            },
            ..good
        },
        Detection {
            bbox: BoundingBox { width: 0.0, ..bbox },
            ..good
        },
        Detection {
            score: f32::NAN,
            ..good
        },
    ];
    let mut frame = bad.to_vec();
    frame.push(good);
    let script = Scripted::new(vec![frame; 5]);
    let options = AnalysisOptions::default().with_entities(Entities::EveryFrame);
    let operation = Operation::from_json(SCENE).unwrap();
    let mut analysis = SpatialAnalysis::new(script, &operation, options, 1).unwrap();
    let reported = play(&mut analysis, (0..5).map(|frame| frame * 6000));
    assert_eq!(reported.last().unwrap().1.len(), 1);
    let stats = analysis.stats();
    assert_eq!((stats.invalid_detections, stats.people), (5 * 4, 5));
    assert_eq!(stats.failed_frames, 0);
}

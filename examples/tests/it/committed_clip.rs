//! The clip in `media` is the one that `sample-video` draws today.

use lva_examples::VideoReader;
use lva_sample_world::{ClipTruth, Crossing, World, WorldOptions};
use std::path::{Path, PathBuf};

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("media").join(name)
}

fn truth() -> ClipTruth {
    let text = std::fs::read_to_string(media("plaza.json")).expect("it is committed");
    serde_json::from_str(&text).expect("it has the documented form")
}

#[test]
fn its_truth_is_that_of_the_world() {
    let truth = truth();
    let mut world = World::new(truth.scene.seed, WorldOptions::default()).expect("the options are in range");
    assert_eq!(
        world.scene(),
        &truth.scene,
        "draw the clip again: the world has changed"
    );
    let mut rgb = vec![0; world.frame_bytes()];
    assert_eq!(
        world.render(700, &mut rgb).expect("the frame exists"),
        truth.frames[700]
    );
}

#[test]
fn it_contains_a_minute_in_at_most_six_megabytes() {
    let bytes = std::fs::metadata(media("plaza.mp4"))
        .expect("it is committed")
        .len();
    assert!(bytes <= 6_000_000, "{bytes} bytes");
    assert_eq!(truth().frames.len(), 1800);
    assert_eq!(
        VideoReader::open(&media("plaza.mp4"))
            .expect("it is a video")
            .frame_count(),
        1800
    );
}

#[test]
fn a_person_enters_the_square_within_fifteen_seconds() {
    let truth = truth();
    let entered = truth.scene.events.iter().any(|event| {
        event.boundary == "square" && event.status == Crossing::Enter && (0.1..15.0).contains(&event.seconds)
    });
    assert!(entered);
    assert!(
        truth.scene.events.len() >= 10,
        "a minute in which little happens shows little"
    );
}

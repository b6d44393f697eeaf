use crate::small;
use lva_sample_world::{ClipTruth, Crossing, FrameTruth, World, WorldOptions};
use std::collections::HashSet;

fn clip(seed: u64, seconds: f64) -> ClipTruth {
    let mut world = small(seed, seconds);
    let mut rgb = vec![0; world.frame_bytes()];
    let frames = (0..world.frame_count())
        .map(|i| world.render(i, &mut rgb).expect("the frame exists"))
        .collect();
    ClipTruth {
        scene: world.scene().clone(),
        frames,
    }
}

fn inside(polygon: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let mut inside = false;
    for (i, a) in polygon.iter().enumerate() {
        let b = polygon[(i + 1) % polygon.len()];
        if (a[1] > y) != (b[1] > y) && x < a[0] + (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) {
            inside = !inside;
        }
    }
    inside
}

fn foot(frame: &FrameTruth, person: u32) -> Option<[f32; 2]> {
    frame.people.iter().find(|p| p.id == person).map(|p| p.foot)
}

#[test]
fn six_or_more_people_come_and_most_can_be_seen() {
    let clip = clip(11, 30.0);
    let seen: HashSet<u32> = clip
        .frames
        .iter()
        .flat_map(|f| &f.people)
        .filter(|p| p.visible_share > 0.5)
        .map(|p| p.id)
        .collect();
    assert!(seen.len() >= 6, "only {} people", seen.len());
}

#[test]
fn boxes_lie_in_the_picture_and_stand_on_the_foot_point() {
    for person in clip(5, 12.0).frames.iter().flat_map(|frame| &frame.people) {
        let [left, top, width, height] = person.bbox;
        assert!(left >= 0.0 && top >= 0.0 && left + width <= 1.0001 && top + height <= 1.0001);
        assert!((0.0..=1.0).contains(&person.visible_share));
        let whole = left > 0.0 && top > 0.0 && left + width < 1.0 && top + height < 1.0;
        if whole {
            let off = (person.foot[1] - (top + height)).abs();
            assert!(
                off < 0.12 * height + 0.02,
                "foot {off} from the lower edge of a box {height} high"
            );
        }
    }
}

#[test]
fn some_people_are_hidden_in_part() {
    let clip = clip(2, 40.0);
    let people = || clip.frames.iter().flat_map(|frame| &frame.people);
    assert!(people().any(|p| p.visible_share > 0.05 && p.visible_share < 0.6));
    assert!(people().filter(|p| p.visible_share > 0.95).count() > 100);
}

#[test]
fn events_agree_with_the_feet_in_the_frames() {
    let clip = clip(7, 40.0);
    let mut zone_events = 0;
    for event in &clip.scene.events {
        let frame = event.frame as usize;
        assert!(event.seconds <= event.frame as f64 / f64::from(clip.scene.fps) + 1e-9);
        let Some(zone) = clip.scene.zones.iter().find(|zone| zone.name == event.boundary) else {
            assert!(clip.scene.lines.iter().any(|line| line.name == event.boundary));
            assert!(matches!(event.status, Crossing::CrossLeft | Crossing::CrossRight));
            continue;
        };
        // Two events of one person between two frames would leave the feet where they were.
        let alone = clip
            .scene
            .events
            .iter()
            .filter(|e| e.person == event.person && e.frame == event.frame)
            .count()
            == 1;
        if let (true, Some(at)) = (alone, clip.frames.get(frame).and_then(|f| foot(f, event.person))) {
            assert_eq!(
                inside(&zone.polygon, at),
                event.status == Crossing::Enter,
                "{event:?}"
            );
            zone_events += 1;
        }
    }
    assert!(
        zone_events >= 4,
        "only {zone_events} zone events could be checked"
    );
}

#[test]
fn every_enter_has_its_exit_in_turn() {
    let clip = World::new(
        13,
        WorldOptions {
            width: 64,
            height: 64,
            fps: 10,
            seconds: 300.0,
        },
    )
    .expect("in range");
    let mut within = HashSet::new();
    for event in &clip.scene().events {
        let key = (event.person, event.boundary.as_str());
        match event.status {
            Crossing::Enter => assert!(within.insert(key), "entered twice: {event:?}"),
            Crossing::Exit => assert!(within.remove(&key), "left without entering: {event:?}"),
            Crossing::CrossLeft | Crossing::CrossRight => {}
        }
    }
    assert!(clip.scene().events.len() > 40);
}

#[test]
fn somebody_enters_the_square_within_fifteen_seconds_whatever_the_seed() {
    for seed in 0..25 {
        let world = World::new(
            seed,
            WorldOptions {
                width: 64,
                height: 64,
                fps: 10,
                seconds: 15.0,
            },
        )
        .expect("in range");
        let entered = world
            .scene()
            .events
            .iter()
            .any(|e| e.boundary == "square" && e.status == Crossing::Enter && e.seconds > 0.0);
        assert!(entered, "no person with seed {seed}");
    }
}

#[test]
fn the_truth_file_reads_back_as_it_was_written() {
    let clip = clip(4, 1.0);
    let text = serde_json::to_string(&clip).expect("it is plain data");
    let back: ClipTruth = serde_json::from_str(&text).expect("it was written by us");
    assert_eq!(back, clip);
    let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert!(json["camera"]["heightM"].is_number() && json["frames"][0]["index"] == 0);
}

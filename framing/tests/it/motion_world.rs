//! Motion on the drawn plaza, where it is known who walks.

use crate::support::print_note;
use lva_framing::Plane;
use lva_framing::motion::{MotionDetector, MotionSensitivity};
use lva_sample_world::{FrameTruth, World, WorldOptions};

const SIZE: (u32, u32) = (640, 360);
const RATE: u32 = 10;
/// From this speed on a person walks, in metres a second.
const WALKS: f32 = 0.3;

fn luma(rgb: &[u8]) -> Vec<u8> {
    let pixels = rgb.chunks_exact(3);
    pixels
        .map(|rgb| {
            let [r, g, b] = [u32::from(rgb[0]), u32::from(rgb[1]), u32::from(rgb[2])];
            ((66 * r + 129 * g + 25 * b + 128) / 256 + 16) as u8
        })
        .collect()
}

/// Boxes of the people who walked since the frame before and are half visible, and of all people.
fn people(before: &FrameTruth, now: &FrameTruth) -> (Vec<[f32; 4]>, Vec<[f32; 4]>) {
    let walks = now.people.iter().filter(|person| {
        person.visible_share > 0.5
            && before.people.iter().any(|earlier| {
                let way = [0, 1].map(|axis| person.ground_m[axis] - earlier.ground_m[axis]);
                earlier.id == person.id && way[0].hypot(way[1]) * RATE as f32 >= WALKS
            })
    });
    (
        walks.map(|person| person.bbox).collect(),
        now.people.iter().map(|person| person.bbox).collect(),
    )
}

fn overlaps(a: &[f64; 4], b: &[f64; 4]) -> bool {
    (0..2).all(|axis| a[axis] < b[axis] + b[axis + 2] && b[axis] < a[axis] + a[axis + 2])
}

#[test]
fn people_who_walk_are_found_and_regions_have_somebody_near() {
    let options = WorldOptions {
        width: SIZE.0,
        height: SIZE.1,
        fps: RATE,
        seconds: 15.0,
    };
    let mut world = World::new(7, options).unwrap();
    let mut detectors =
        MotionSensitivity::ALL.map(|sensitivity| (MotionDetector::new(sensitivity), [0_u32; 5]));
    let mut rgb = vec![0; world.frame_bytes()];
    let mut before: Option<FrameTruth> = None;
    for index in 0..world.frame_count() {
        let truth = world.render(index, &mut rgb).unwrap();
        let data = luma(&rgb);
        let plane = Plane {
            data: &data,
            stride: SIZE.0 as usize,
            width: SIZE.0,
            height: SIZE.1,
            bytes_per_sample: 1,
        };
        for (detector, [frames, seen, sightings, found, false_regions]) in &mut detectors {
            let regions: Vec<[f64; 4]> = detector
                .detect_in_luma(plane, u64::from(index as u32 * 90_000 / RATE))
                .iter()
                .map(|area| [area.left, area.top, area.width, area.height])
                .collect();
            let Some(before) = before.as_ref().filter(|_| index >= 20) else {
                continue;
            };
            let (walking, all) = people(before, &truth);
            *frames += u32::from(!walking.is_empty());
            *seen += u32::from(!walking.is_empty() && !regions.is_empty());
            for person in walking {
                let (x, y) = (
                    f64::from(person[0] + person[2] / 2.0),
                    f64::from(person[1] + person[3] / 2.0),
                );
                *sightings += 1;
                *found += u32::from(regions.iter().any(|area| overlaps(area, &[x, y, 1e-6, 1e-6])));
            }
            for region in &regions {
                // Shadows fall next to people.
                let near = |person: &[f32; 4]| {
                    let [left, top, width, height] = person.map(f64::from);
                    overlaps(
                        region,
                        &[left - height * 0.6, top, width + height * 1.2, height * 1.8],
                    )
                };
                *false_regions += u32::from(!all.iter().any(near));
            }
        }
        before = Some(truth);
    }
    for (detector, [frames, seen, sightings, found, false_regions]) in &detectors {
        let sensitivity = detector.sensitivity();
        print_note(&format!(
            "{sensitivity}: motion in {seen} of {frames} frames with walkers, {found} of {sightings} walkers found, \
             {false_regions} regions without a person"
        ));
        assert!(*frames > 50 && *sightings > 100, "the scene changed");
        let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
        let (least_frames, least_found, most_false) = match sensitivity {
            MotionSensitivity::Low => (0.3, 0.1, 3),
            MotionSensitivity::Medium => (0.8, 0.4, 5),
            MotionSensitivity::High => (0.95, 0.7, 20),
        };
        assert!(share(*seen, *frames) >= least_frames, "{sensitivity}");
        assert!(share(*found, *sightings) >= least_found, "{sensitivity}");
        assert!(*false_regions <= most_false, "{sensitivity}");
    }
}

//! Motion on drawn frames: what has to be seen, and everything that must not.

use crate::allocations::allocations_of;
use lva_framing::motion::{MotionDetector, MotionSensitivity};
use lva_framing::{ColorMatrix, ColorRange, FractionBox, Picture, PictureFormat, Plane};

const SIZE: (u32, u32) = (640, 360);

/// A textured still scene with a sensor in front of it.
struct Scene {
    base: Vec<f32>,
    luma: Vec<u8>,
    random: u64,
    noise: f32,
}

impl Scene {
    fn new(noise: f32) -> Self {
        let base = (0..SIZE.0 * SIZE.1)
            .map(|index| {
                let (x, y) = ((index % SIZE.0) as f32, (index / SIZE.0) as f32);
                90.0 + 40.0 * (x / 23.0).sin() * (y / 17.0).cos()
                    + if (x as u32 / 60 + y as u32 / 50).is_multiple_of(2) {
                        25.0
                    } else {
                        0.0
                    }
            })
            .collect();
        Self {
            base,
            luma: vec![0; (SIZE.0 * SIZE.1) as usize],
            random: 1,
            noise,
        }
    }

    /// Uniform in 0..1 (PCG-like congruential generator, its upper bits).
    fn chance(&mut self) -> f32 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 40) as f32 / (1 << 24) as f32
    }

    /// A frame with noise of a standard deviation, in a light.
    fn draw(&mut self, light: impl Fn(u32) -> f32) {
        for index in 0..self.base.len() {
            let sum: f32 = (0..4).map(|_| self.chance() - 0.5).sum();
            let value = self.base[index] * light(index as u32 % SIZE.0) + sum * self.noise * 1.732;
            self.luma[index] = value.clamp(0.0, 255.0) as u8;
        }
    }

    fn block(&mut self, left: i32, top: u32, (width, height): (u32, u32), value: u8) {
        for y in top..(top + height).min(SIZE.1) {
            for x in left.max(0)..(left + width as i32).min(SIZE.0 as i32) {
                self.luma[(y * SIZE.0) as usize + x as usize] = value;
            }
        }
    }

    fn look(&self, detector: &mut MotionDetector, time: u64) -> Vec<FractionBox> {
        let luma = Plane {
            data: &self.luma,
            stride: SIZE.0 as usize,
            width: SIZE.0,
            height: SIZE.1,
            bytes_per_sample: 1,
        };
        detector.detect_in_luma(luma, time).to_vec()
    }
}

fn detector(sensitivity: MotionSensitivity) -> MotionDetector {
    MotionDetector::new(sensitivity)
}

/// Frames with motion among `frames` of a scene at 30 a second.
fn moving_frames(
    sensitivity: MotionSensitivity,
    frames: u64,
    mut draw: impl FnMut(&mut Scene, u64),
) -> usize {
    let mut scene = Scene::new(4.0);
    let mut detector = detector(sensitivity);
    (0..frames)
        .filter(|frame| {
            draw(&mut scene, *frame);
            !scene.look(&mut detector, 1_000_000 + frame * 3000).is_empty()
        })
        .count()
}

#[test]
fn a_noisy_still_scene_never_moves() {
    for sensitivity in MotionSensitivity::ALL {
        for noise in [0.0, 3.0, 12.0] {
            let found = moving_frames(sensitivity, 150, |scene, _| {
                scene.noise = noise;
                scene.draw(|_| 1.0);
            });
            assert_eq!(found, 0, "{sensitivity}, noise {noise}");
        }
    }
}

#[test]
fn light_that_changes_slowly_is_no_motion() {
    for sensitivity in MotionSensitivity::ALL {
        // A cloud's shadow that halves the light within six seconds, from the left to the right.
        let found = moving_frames(sensitivity, 300, |scene, frame| {
            scene.draw(|x| {
                let front = frame as f32 / 180.0 - x as f32 / SIZE.0 as f32 - 0.25;
                1.0 - 0.5 * front.clamp(0.0, 1.0)
            });
        });
        assert_eq!(found, 0, "{sensitivity}");
    }
}

#[test]
fn streaks_of_rain_are_no_motion() {
    for sensitivity in MotionSensitivity::ALL {
        let found = moving_frames(sensitivity, 240, |scene, _| {
            scene.draw(|_| 1.0);
            for _ in 0..120 {
                let (x, y) = (scene.chance() * 638.0, scene.chance() * 330.0);
                scene.block(x as i32, y as u32, (2, 24), 220);
            }
        });
        // At high sensitivity, heavy rain shows now and then where streaks meet.
        let most = if sensitivity == MotionSensitivity::High {
            12
        } else {
            0
        };
        assert!(found <= most, "{sensitivity}: {found}");
    }
}

#[test]
fn a_thing_that_crosses_is_found_where_it_is_at_every_rate() {
    for (rate, most_missed) in [(30_u64, 9), (10, 4), (5, 2)] {
        let mut scene = Scene::new(4.0);
        let mut detector = detector(MotionSensitivity::Medium);
        let mut missed = 0;
        for frame in 0..7 * rate {
            scene.draw(|_| 1.0);
            let seconds = frame as f64 / rate as f64;
            // 30 by 80 pixels, 100 pixels a second, from the second second on.
            let left = ((seconds - 2.0) * 100.0) as i32;
            if seconds >= 2.0 {
                scene.block(left, 150, (30, 80), 200);
            }
            let found = scene.look(&mut detector, frame * 90_000 / rate);
            if seconds < 2.0 {
                assert!(found.is_empty(), "{rate} fps, frame {frame}: {found:?}");
                continue;
            }
            let centre = ((f64::from(left) + 15.0) / 640.0, 190.0 / 360.0);
            let hit = found.iter().any(|area| {
                (area.left..=area.left + area.width).contains(&centre.0)
                    && (area.top..=area.top + area.height).contains(&centre.1)
            });
            missed += i32::from(!hit);
            assert!(found.len() <= 1, "{rate} fps, frame {frame}: {found:?}");
            for area in &found {
                assert!(
                    area.width < 0.2 && area.height < 0.32,
                    "{rate} fps, frame {frame}: {area:?}"
                );
            }
        }
        assert!(missed <= most_missed, "{rate} fps: {missed} missed");
    }
}

#[test]
fn sensitivity_decides_how_small_and_faint_a_thing_may_be() {
    let seen = |sensitivity, size: (u32, u32), value: u8| {
        let found = moving_frames(sensitivity, 120, |scene, frame| {
            scene.noise = 2.0;
            scene.base.fill(100.0);
            scene.draw(|_| 1.0);
            if frame >= 45 {
                scene.block((frame as i32 - 45) * 3, 100, size, value);
            }
        });
        found > 40
    };
    use MotionSensitivity::{High, Low, Medium};
    assert_eq!(
        [Low, Medium, High].map(|s| seen(s, (60, 120), 200)),
        [true, true, true]
    );
    assert_eq!(
        [Low, Medium, High].map(|s| seen(s, (16, 32), 160)),
        [false, true, true]
    );
    assert_eq!(
        [Low, Medium, High].map(|s| seen(s, (16, 32), 107)),
        [false, false, true]
    );
}

#[test]
fn an_object_that_stops_is_still_and_leaves_no_ghost_when_it_goes() {
    let mut scene = Scene::new(3.0);
    let mut detector = detector(MotionSensitivity::Medium);
    let mut when = Vec::new();
    for frame in 0..600_u64 {
        scene.draw(|_| 1.0);
        let left = match frame {
            0..60 => -100,
            60..120 => (frame as i32 - 60) * 4,
            120..400 => 240,
            _ => 240 + (frame as i32 - 400) * 4,
        };
        scene.block(left, 120, (40, 100), 20);
        if !scene.look(&mut detector, frame * 3000).is_empty() {
            when.push(frame);
        }
    }
    let in_span = |from: u64, to: u64| when.iter().filter(|frame| (from..to).contains(*frame)).count();
    assert_eq!(in_span(0, 60), 0);
    assert!(in_span(66, 120) >= 50, "{when:?}");
    assert_eq!(in_span(160, 400), 0, "it stands: {when:?}");
    assert!(in_span(410, 500) >= 80, "it goes: {when:?}");
    assert_eq!(in_span(560, 600), 0, "it has gone: {when:?}");
}

#[test]
fn a_light_that_is_switched_does_not_count_as_motion() {
    let found = moving_frames(MotionSensitivity::Medium, 200, |scene, frame| {
        scene.draw(|_| if frame < 100 { 1.0 } else { 0.4 });
    });
    assert!(found <= 1, "{found}");
}

#[test]
fn any_times_and_sizes_are_handled() {
    let mut scene = Scene::new(3.0);
    scene.draw(|_| 1.0);
    let mut detector = detector(MotionSensitivity::High);
    for time in [0, 0, 5, u64::MAX, 3, 3_000, 6_000, 6_000, 9_000_000] {
        assert!(scene.look(&mut detector, time).is_empty());
    }
    for (width, height) in [(1, 1), (3, 2), (640, 1), (1, 360), (161, 5)] {
        let luma = Plane {
            data: &scene.luma,
            stride: 640,
            width,
            height,
            bytes_per_sample: 1,
        };
        for frame in 0..50 {
            assert!(detector.detect_in_luma(luma, frame * 3000).is_empty());
        }
    }
    let short = Plane {
        data: &scene.luma[..1000],
        stride: 640,
        width: 640,
        height: 360,
        bytes_per_sample: 1,
    };
    assert!(detector.detect_in_luma(short, 1).is_empty());
    let narrow = Plane {
        data: &scene.luma,
        stride: 10,
        width: 640,
        height: 360,
        bytes_per_sample: 1,
    };
    assert!(detector.detect_in_luma(narrow, 1).is_empty());
    detector.reset();
    assert!(scene.look(&mut detector, 4).is_empty());
}

#[test]
fn detection_allocates_nothing_after_the_first_picture() {
    let mut scene = Scene::new(4.0);
    let mut detector = detector(MotionSensitivity::High);
    let mut boxes = 0;
    for frame in 0..120_u64 {
        scene.draw(|_| 1.0);
        for thing in 0..4 {
            scene.block(
                (frame as i32 - 50) * (thing + 2),
                20 + thing as u32 * 85,
                (30, 50),
                230,
            );
        }
        let luma = Plane {
            data: &scene.luma,
            stride: 640,
            width: 640,
            height: 360,
            bytes_per_sample: 1,
        };
        let count = allocations_of(|| boxes += detector.detect_in_luma(luma, frame * 3000).len());
        assert!(frame == 0 || count == 0, "{count} at frame {frame}");
    }
    assert!(boxes > 60, "{boxes}");
}

#[test]
fn motion_in_a_picture_is_detected_in_its_luma() {
    let mut detector = detector(MotionSensitivity::Medium);
    let mut moved = 0;
    for frame in 0..90_usize {
        let mut luma = [100 * 4_u16; 320 * 180];
        if frame > 40 {
            for row in luma.chunks_mut(320).skip(50).take(60) {
                row[(frame - 40) * 3..][..40].fill(200 * 4);
            }
        }
        let luma: Vec<u8> = luma.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let chroma: Vec<u8> = [512_u16; 160 * 90]
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        let planes = [&luma[..], &chroma, &chroma];
        let time = frame as u64 * 3000;
        let (matrix, range) = (ColorMatrix::Bt709, ColorRange::Limited);
        let picture = Picture::from_planes(PictureFormat::Yuv420p10, (320, 180), planes, matrix, range, time);
        moved += usize::from(!detector.detect(&picture.unwrap()).is_empty());
    }
    assert!((38..=49).contains(&moved), "{moved}");
}

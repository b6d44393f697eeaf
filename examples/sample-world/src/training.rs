//! Scenes for training a detector: places drawn at random, or the plaza, with people put anywhere.
//!
//! Each frame is independent: it shows other people in other poses.

use crate::backdrop::Backdrop;
use crate::body::{Body, Gesture, Pose};
use crate::camera::Camera;
use crate::draw::Painter;
use crate::light::Light;
use crate::paint::{Paint, Pattern};
use crate::plaza;
use crate::random::Random;
use crate::scenery::{Furniture, Ground, Prop, Scenery};
use crate::sensor::Sensor;
use crate::street;
use crate::truth::PersonTruth;
use crate::world::{WorldError, person_truth};
use glam::{Vec2, Vec3};

/// A still place that any number of training frames can be drawn of.
#[derive(Debug, Clone)]
pub struct TrainingScene {
    seed: u64,
    scenery: Scenery,
    backdrop: Backdrop,
    painter: Painter,
}

/// Share of the scenes that show the plaza; the others show places drawn at random.
const PLAZA_SHARE: f32 = 0.6;
/// Most people in one frame.
const CROWD: usize = 13;

impl TrainingScene {
    /// Draws the place that belongs to `seed`, for frames of the given size in pixels.
    ///
    /// # Errors
    ///
    /// [`WorldError::Size`] for a size outside the range of [`WorldOptions`](crate::WorldOptions).
    pub fn new(seed: u64, width: u32, height: u32) -> Result<Self, WorldError> {
        if !(64..=7680).contains(&width) || !(64..=4320).contains(&height) {
            return Err(WorldError::Size { width, height });
        }
        let mut random = Random::new(seed, 20);
        let scenery = if random.chance(PLAZA_SHARE) {
            plaza::scenery(seed, plaza::camera(width, height))
        } else {
            random_place(seed, width, height, &mut random)
        };
        let backdrop = Backdrop::render(&scenery);
        let painter = Painter::new(&scenery, &backdrop);
        Ok(Self {
            seed,
            scenery,
            backdrop,
            painter,
        })
    }

    /// Draws frame `variation` into `rgb` (RGB, three bytes a pixel, rows without padding): other people,
    /// other light and other noise each time. Returns who is in it.
    ///
    /// # Errors
    ///
    /// [`WorldError::BufferSize`] for a buffer that does not hold exactly one frame.
    pub fn render(&mut self, variation: u32, rgb: &mut [u8]) -> Result<Vec<PersonTruth>, WorldError> {
        let expected = self.backdrop.width * self.backdrop.height * 3;
        if rgb.len() != expected {
            return Err(WorldError::BufferSize {
                actual: rgb.len(),
                expected,
            });
        }
        let mut random = Random::new(self.seed ^ (u64::from(variation) << 40), 21);
        let people = scatter(&self.scenery, &mut random);
        let moment = self.scenery.light.at(random.between(0.0, 600.0));
        let (linear, seen) = self.painter.draw(
            &self.scenery,
            &self.backdrop,
            moment,
            people
                .iter()
                .enumerate()
                .map(|(id, (body, pose))| (body, *pose, id as u32)),
        );
        let exposure = self.scenery.exposure * random.between(0.7, 1.4);
        let sensor = Sensor::new(exposure, random.between(0.3, 5.0));
        sensor.read_out(linear, variation, self.seed as u32, rgb);
        let truths = people.iter().zip(seen).enumerate();
        Ok(truths
            .filter_map(|(id, ((_, pose), seen))| person_truth(&self.scenery, id as u32, pose.root, seen?))
            .collect())
    }
}

/// People anywhere on the ground that the camera sees, near and far alike, some in groups.
fn scatter(scenery: &Scenery, random: &mut Random) -> Vec<(Body, Pose)> {
    let (width, height) = (scenery.camera.width_px as f32, scenery.camera.height_px as f32);
    let count = random.below(CROWD + 1);
    let mut people: Vec<(Body, Pose)> = Vec::new();
    for _ in 0..count * 8 {
        if people.len() == count {
            break;
        }
        let root = if !people.is_empty() && random.chance(0.35) {
            let angle = random.between(0.0, std::f32::consts::TAU);
            let beside = Vec2::new(libm::cosf(angle), libm::sinf(angle)) * random.between(0.45, 1.3);
            people[random.below(people.len())].1.root + beside
        } else {
            let x = random.between(-0.06, 1.06) * width;
            let y = random.between(0.0, 1.25) * height;
            let Some((x, y)) = scenery.camera.ground_at(x, y) else {
                continue;
            };
            Vec2::new(x, y)
        };
        let Some((_, depth)) = scenery.view().project(root.extend(0.9)) else {
            continue;
        };
        let tall = scenery.view().pixels_per_metre(depth) * 1.75 / height;
        // From a twentieth of the picture's height to all of it; people do not overlap on the ground.
        if !(0.05..1.1).contains(&tall)
            || people.iter().any(|(_, pose)| pose.root.distance(root) < 0.42)
            || scenery
                .furniture
                .obstacles
                .iter()
                .any(|(center, radius)| center.distance(root) < radius * 0.7)
        {
            continue;
        }
        let standing = random.chance(0.35);
        let pose = Pose {
            root,
            heading: random.between(0.0, std::f32::consts::TAU),
            speed: if standing { 0.0 } else { random.between(0.3, 1.9) },
            phase: random.between(0.0, std::f32::consts::TAU),
            gesture: if standing {
                random.pick(&[Gesture::Free, Gesture::Phone, Gesture::Talk, Gesture::Pockets])
            } else {
                Gesture::Free
            },
            clock: random.between(0.0, 60.0),
        };
        people.push((Body::random(random), pose));
    }
    people
}

fn any_color(random: &mut Random, low: f32, high: f32) -> Vec3 {
    let grey = random.between(low, high);
    let tint = |random: &mut Random| (grey * random.between(0.65, 1.35)).clamp(0.02, 0.9);
    Vec3::new(tint(random), tint(random), tint(random))
}

fn random_place(seed: u64, width: u32, height: u32, random: &mut Random) -> Scenery {
    let camera = Camera {
        height_m: random.between(2.3, 8.0),
        tilt_deg: random.between(6.0, 42.0),
        focal_px: width as f32 * random.between(0.55, 1.3),
        width_px: width,
        height_px: height,
    };
    let light = Light::new(
        random.between(22.0, 70.0),
        random.between(0.0, 360.0),
        random.between(0.2, 1.0),
        random,
    );
    let mut furniture = Furniture::default();
    let far = random.between(14.0, 45.0);
    if random.chance(0.7) {
        let facade = any_color(random, 0.08, 0.6);
        let (center, half) = (Vec3::new(0.0, far + 3.0, 6.0), Vec3::new(60.0, 3.0, 6.0));
        let turn = random.between(-0.25, 0.25);
        furniture.add(vec![if random.chance(0.6) {
            Prop::shops(center, half, turn, facade, random.between(3.5, 7.0))
        } else {
            Prop::block(center, half, turn, Paint::plain(facade).with_wear(0.5))
        }]);
    }
    for _ in 0..random.below(9) {
        let at = Vec2::new(random.between(-12.0, 12.0), random.between(4.0, far.min(28.0)));
        match random.below(7) {
            0 => street::bench(&mut furniture, at, random.between(0.0, 6.2)),
            1 => street::lamp(&mut furniture, at),
            2 => street::bollard(&mut furniture, at),
            3 => street::planter(&mut furniture, at, random.between(0.0, 3.1), random),
            4 => street::poster_column(&mut furniture, at),
            5 => street::tree(&mut furniture, at, random),
            _ => clutter(&mut furniture, at, random),
        }
    }
    // Things of no kind at all, in people's colours and sizes: what is not a person.
    for _ in 0..random.below(8) {
        let at = Vec2::new(random.between(-10.0, 10.0), random.between(4.0, far.min(26.0)));
        clutter(&mut furniture, at, random);
    }
    let road_from_m = if random.chance(0.3) {
        random.between(10.0, far)
    } else {
        f32::INFINITY
    };
    Scenery {
        camera,
        ground: Ground {
            slab: any_color(random, 0.08, 0.55),
            joint: any_color(random, 0.05, 0.3),
            slab_m: if random.chance(0.25) {
                0.0
            } else {
                random.between(0.2, 1.6)
            },
            ring: random.chance(0.3).then(|| {
                let center = Vec2::new(random.between(-4.0, 4.0), random.between(6.0, 20.0));
                (center, random.between(1.5, 6.0), any_color(random, 0.05, 0.5))
            }),
            road_from_m,
            salt: seed as u32,
        },
        furniture,
        light,
        exposure: random.between(0.8, 1.4),
    }
}

fn clutter(furniture: &mut Furniture, at: Vec2, random: &mut Random) {
    let color = any_color(random, 0.05, 0.6);
    let other = any_color(random, 0.05, 0.6);
    let pattern = match random.below(4) {
        0 => Pattern::Hoops(other, random.between(0.1, 0.6)),
        1 => Pattern::Check(other, random.between(0.1, 0.6)),
        2 => Pattern::Above(other, random.between(0.2, 1.4)),
        _ => Pattern::Plain,
    };
    let paint = Paint::plain(color)
        .with_pattern(pattern)
        .with_wear(random.between(0.1, 0.5));
    let tall = random.between(0.2, 2.6);
    let wide = random.between(0.08, 0.9);
    furniture.add(vec![if random.chance(0.5) {
        let half = Vec3::new(wide, random.between(0.08, 0.9), tall / 2.0);
        Prop::block(at.extend(tall / 2.0), half, random.between(0.0, 3.1), paint)
    } else {
        let lean = Vec2::new(random.between(-0.3, 0.3), random.between(-0.3, 0.3));
        let thin = wide * 0.5;
        Prop::cone(
            at.extend(thin),
            (at + lean).extend(tall),
            thin,
            thin * random.between(0.5, 1.2),
            paint,
        )
    }]);
}

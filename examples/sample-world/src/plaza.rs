//! The plaza of demo and tests: always the same square, with the light of the seed.

use crate::camera::Camera;
use crate::light::Light;
use crate::paint::{Paint, srgb};
use crate::random::Random;
use crate::scenery::{Furniture, Ground, Prop, Scenery};
use crate::street;
use glam::{Vec2, Vec3};

/// Where people come from and go to, outside the picture or inside a door.
pub(crate) const GATES: [Vec2; 11] = [
    Vec2::new(-11.5, 11.0),
    Vec2::new(-14.0, 17.5),
    Vec2::new(-18.5, 24.0),
    Vec2::new(10.5, 10.0),
    Vec2::new(13.6, 16.0),
    Vec2::new(18.5, 23.5),
    Vec2::new(-2.6, 3.8),
    Vec2::new(2.2, 3.8),
    Vec2::new(5.0, 3.8),
    DOOR_RIGHT,
    DOOR_LEFT,
];
const DOOR_RIGHT: Vec2 = Vec2::new(8.9, 32.0);
const DOOR_LEFT: Vec2 = Vec2::new(-6.1, 32.0);

/// Places well inside the suggested zones where people stop.
pub(crate) const STOPS: [Vec2; 7] = [
    Vec2::new(0.3, 13.4),
    Vec2::new(-1.6, 12.6),
    Vec2::new(1.9, 13.9),
    Vec2::new(8.6, 25.4),
    Vec2::new(-8.6, 13.9),
    Vec2::new(4.9, 9.3),
    Vec2::new(-1.2, 20.4),
];

/// Suggested zones, corners on the ground in metres.
pub(crate) const ZONES: [(&str, &[Vec2]); 2] = [
    (
        "square",
        &[
            Vec2::new(-3.3, 10.9),
            Vec2::new(3.5, 10.9),
            Vec2::new(3.9, 15.7),
            Vec2::new(-3.7, 15.7),
        ],
    ),
    (
        "entrance",
        &[
            Vec2::new(6.2, 23.4),
            Vec2::new(11.2, 23.4),
            Vec2::new(11.6, 27.6),
            Vec2::new(6.2, 27.6),
        ],
    ),
];

/// Suggested lines, start and end on the ground in metres.
pub(crate) const LINES: [(&str, Vec2, Vec2); 1] =
    [("west-passage", Vec2::new(-5.2, 9.2), Vec2::new(-6.0, 22.4))];

/// The camera on its pole, for a picture of the given size.
pub(crate) fn camera(width: u32, height: u32) -> Camera {
    // A wider picture of the same height shows more to the sides; nothing is cut above and below.
    let focal = (width as f32 * 0.78).min(height as f32 * 1.39);
    Camera {
        height_m: 5.5,
        tilt_deg: 20.0,
        focal_px: focal,
        width_px: width,
        height_px: height,
    }
}

/// The square in the light that `seed` draws.
pub(crate) fn scenery(seed: u64, camera: Camera) -> Scenery {
    let mut random = Random::new(seed, 1);
    let light = Light::new(
        random.between(34.0, 50.0),
        random.between(190.0, 245.0),
        0.7,
        &mut random,
    );
    let mut furniture = Furniture::default();
    let facade = srgb(0xB98F6C);
    furniture.add(vec![Prop::shops(
        Vec3::new(0.0, 34.0, 6.0),
        Vec3::new(45.0, 3.0, 6.0),
        0.0,
        facade,
        5.0,
    )]);
    // Out of the picture on the left: its shadow lies across the west of the square.
    let stone = Paint::plain(srgb(0x9A8A78));
    furniture.add(vec![Prop::block(
        Vec3::new(-27.0, 4.0, 5.0),
        Vec3::new(8.0, 7.0, 5.0),
        0.0,
        stone,
    )]);
    for (at, heading) in [
        (Vec2::new(-2.4, 18.0), 0.08),
        (Vec2::new(5.2, 12.9), 1.9),
        (Vec2::new(-7.4, 20.6), -0.3),
    ] {
        street::bench(&mut furniture, at, heading);
    }
    for at in [Vec2::new(2.9, 17.2), Vec2::new(-6.9, 11.4), Vec2::new(11.4, 19.4)] {
        street::lamp(&mut furniture, at);
    }
    for i in 0..9 {
        street::bollard(&mut furniture, Vec2::new(-11.0 + 2.75 * i as f32, 28.2));
    }
    let mut gardener = Random::new(77, 2);
    for (at, heading) in [
        (Vec2::new(-10.2, 18.8), 0.2),
        (Vec2::new(5.3, 19.8), -0.1),
        (Vec2::new(6.9, 8.2), 0.5),
    ] {
        street::planter(&mut furniture, at, heading, &mut gardener);
    }
    street::poster_column(&mut furniture, Vec2::new(-10.9, 23.6));
    for at in [Vec2::new(-4.1, 24.4), Vec2::new(3.4, 23.6)] {
        street::tree(&mut furniture, at, &mut gardener);
    }
    Scenery {
        camera,
        ground: Ground {
            slab: srgb(0xB9AF9F),
            joint: srgb(0x77706A),
            slab_m: 0.55,
            ring: Some((Vec2::new(0.1, 13.4), 4.6, srgb(0x8E7566))),
            road_from_m: 28.7,
            salt: 41,
        },
        furniture,
        light,
        exposure: random.between(1.05, 1.25),
    }
}

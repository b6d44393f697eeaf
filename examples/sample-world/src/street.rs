//! Street furniture: benches, lamps, bollards, planters, poster columns, trees.

use crate::paint::{Paint, Pattern, srgb};
use crate::random::Random;
use crate::scenery::{Furniture, Prop};
use glam::{Vec2, Vec3};

fn direction(heading: f32) -> Vec2 {
    Vec2::new(libm::cosf(heading), libm::sinf(heading))
}

pub(crate) fn bench(furniture: &mut Furniture, at: Vec2, heading: f32) {
    let wood = Paint::plain(srgb(0x8A5A33)).with_wear(0.45);
    let iron = Paint::plain(srgb(0x2B2E30));
    let along = direction(heading);
    let back = along.perp();
    let mut props = Vec::new();
    for i in 0..4 {
        let offset = back * (-0.2 + 0.13 * i as f32);
        props.push(Prop::block(
            (at + offset).extend(0.45),
            Vec3::new(0.9, 0.05, 0.022),
            heading,
            wood,
        ));
    }
    for i in 0..3 {
        let slat = at + back * (0.26 + 0.02 * i as f32);
        let height = 0.58 + 0.14 * i as f32;
        props.push(Prop::block(
            slat.extend(height),
            Vec3::new(0.9, 0.02, 0.05),
            heading,
            wood,
        ));
    }
    for side in [-0.75, 0.75] {
        let foot = at + along * side;
        for (offset, half_height) in [(-0.16, 0.21), (0.25, 0.44)] {
            let leg = (foot + back * offset).extend(half_height);
            props.push(Prop::block(
                leg,
                Vec3::new(0.03, 0.03, half_height),
                heading,
                iron,
            ));
        }
        furniture.obstacles.push((at + along * (side * 0.8), 0.45));
    }
    furniture.obstacles.push((at, 0.5));
    furniture.add(props);
}

pub(crate) fn lamp(furniture: &mut Furniture, at: Vec2) {
    let iron = Paint::plain(srgb(0x33403A)).with_wear(0.3);
    furniture.add(vec![
        Prop::cone(at.extend(0.1), at.extend(0.7), 0.13, 0.08, iron),
        Prop::cone(at.extend(0.5), at.extend(4.4), 0.07, 0.05, iron),
        Prop::cone(
            at.extend(4.5),
            at.extend(4.75),
            0.22,
            0.14,
            Paint::plain(srgb(0xE8E2C8)),
        ),
    ]);
    furniture.obstacles.push((at, 0.25));
}

pub(crate) fn bollard(furniture: &mut Furniture, at: Vec2) {
    let stone = Paint::plain(srgb(0x77726A)).with_wear(0.4);
    furniture.add(vec![Prop::cone(
        at.extend(0.05),
        at.extend(0.85),
        0.11,
        0.1,
        stone,
    )]);
    furniture.obstacles.push((at, 0.22));
}

pub(crate) fn planter(furniture: &mut Furniture, at: Vec2, heading: f32, random: &mut Random) {
    let concrete = Paint::plain(srgb(0x9B958A)).with_wear(0.4);
    let along = direction(heading);
    let mut props = vec![Prop::block(
        at.extend(0.3),
        Vec3::new(0.95, 0.5, 0.3),
        heading,
        concrete,
    )];
    for i in 0..70 {
        let flower = i % 9 == 8;
        let green = srgb(random.pick(&[0x3F6B2E, 0x52803A, 0x2F5526, 0x648F45]));
        let spot = at + along * random.between(-0.85, 0.85) + along.perp() * random.between(-0.4, 0.4);
        let center = spot.extend(random.between(0.6, 0.95));
        let leaf = Paint::plain(green)
            .with_pattern(Pattern::Speckle(0.035))
            .with_wear(0.5);
        let petal = Paint::plain(srgb(random.pick(&[0xC0507A, 0xD8B23A, 0xE8E4DC])));
        props.push(if flower {
            Prop::ball(center + Vec3::Z * 0.1, 0.05, petal)
        } else {
            Prop::ball(center, random.between(0.08, 0.17), leaf)
        });
    }
    furniture.add(props);
    furniture
        .obstacles
        .extend([-0.5, 0.5].map(|side| (at + along * side, 0.75)));
}

pub(crate) fn poster_column(furniture: &mut Furniture, at: Vec2) {
    let roof = Paint::plain(srgb(0x3C5148)).with_wear(0.3);
    furniture.add(vec![
        Prop::posters(at, 2.5, 0.55),
        Prop::cone(at.extend(2.95), at.extend(3.35), 0.68, 0.1, roof),
    ]);
    furniture.obstacles.push((at, 0.8));
}

pub(crate) fn tree(furniture: &mut Furniture, at: Vec2, random: &mut Random) {
    let bark = Paint::plain(srgb(0x5C4A38))
        .with_pattern(Pattern::Speckle(0.05))
        .with_wear(0.5);
    furniture.add(vec![Prop::cone(at.extend(0.1), at.extend(3.8), 0.2, 0.1, bark)]);
    // Leaves in boughs, so that most rays pass most of them by.
    for bough in 0..14 {
        let heading = bough as f32 * 2.4 + random.between(-0.3, 0.3);
        let out = direction(heading) * (1.75 * random.unit().sqrt());
        let heart = (at + out).extend(random.between(3.5, 5.6) - 0.2 * out.length());
        let mut leaves = Vec::new();
        if bough < 5 {
            let fork = at.extend(random.between(2.6, 3.2));
            furniture.add(vec![Prop::cone(fork, heart, 0.07, 0.03, bark)]);
        }
        for _ in 0..26 {
            let spread = Vec3::new(
                random.between(-0.62, 0.62),
                random.between(-0.62, 0.62),
                random.between(-0.42, 0.42),
            );
            let green = srgb(random.pick(&[0x486E2C, 0x5E8A38, 0x3A5C26, 0x6C9642, 0x547A30]));
            let leaf = Paint::plain(green)
                .with_pattern(Pattern::Speckle(0.05))
                .with_wear(0.5);
            leaves.push(Prop::ball(heart + spread, random.between(0.1, 0.24), leaf));
        }
        furniture.add(leaves);
    }
    furniture.obstacles.push((at, 0.45));
}

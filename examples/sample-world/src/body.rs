//! One person: build, clothing, and the solids that a pose makes of them.

use crate::paint::{Albedo, Paint, Pattern, srgb};
use crate::random::Random;
use crate::shape::RoundCone;
use glam::{Vec2, Vec3};

/// A painted solid. Its pattern is laid along the body's own axes, so that it moves with the body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) solid: RoundCone,
    pub(crate) paint: Paint,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Top {
    Shirt,
    Jumper,
    Coat,
    Dress,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bottom {
    Trousers,
    Shorts,
    Skirt,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Hair {
    Short,
    Long,
    Bun,
    Cap,
    Bald,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bag {
    None,
    Backpack,
    Shoulder,
    Shopping,
}

/// What the arms do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gesture {
    /// Swing with the steps, hang when standing.
    Free,
    /// Look at a telephone in the right hand.
    Phone,
    /// Talk with the hands.
    Talk,
    /// Hands in the pockets.
    Pockets,
}

/// The state of a body at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pose {
    /// Ground position between the feet, in metres.
    pub(crate) root: Vec2,
    /// Direction of the face on the ground, radians from `+x`.
    pub(crate) heading: f32,
    /// Metres a second; sets how far the limbs swing.
    pub(crate) speed: f32,
    /// Phase of the gait in radians; one turn is two steps.
    pub(crate) phase: f32,
    pub(crate) gesture: Gesture,
    /// Seconds, for the small movements of a person who stands.
    pub(crate) clock: f32,
}

/// Build and clothing, drawn once for a person.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    /// Height in metres, without hat.
    pub(crate) height: f32,
    girth: f32,
    swing: f32,
    stoop: f32,
    top: Top,
    bottom: Bottom,
    hair: Hair,
    bag: Bag,
    skin: Paint,
    hair_paint: Paint,
    top_paint: Paint,
    bottom_paint: Paint,
    shoe_paint: Paint,
    bag_paint: Paint,
}

const SKIN: [u32; 6] = [0xF0C8A8, 0xE0AC86, 0xC68A60, 0x9C6642, 0x70452C, 0x4E3020];
const HAIR: [u32; 6] = [0x17120F, 0x2E1F15, 0x5A3A20, 0x8A6238, 0xC8A868, 0x9A9A98];
const CLOTH: [u32; 22] = [
    0xB22A2E, 0xD9542B, 0xE3A52C, 0xF1E3B0, 0x3D7A3F, 0x1F4D3A, 0x2C5FA8, 0x1B2F5C, 0x6FA3D0, 0x6A3D84,
    0xC86A93, 0xEDEDE8, 0xC9C9C4, 0x8A8D91, 0x4B4E52, 0x1C1D20, 0x6B4A30, 0xA98B62, 0x365E63, 0x8C1D3F,
    0xD8D03A, 0x2BA39B,
];
const LEGS: [u32; 11] = [
    0x1C1D20, 0x23304A, 0x34486B, 0x5A7296, 0x4B4E52, 0x7C6A50, 0xB7A27E, 0x2F3B2F, 0x8A8D91, 0x5B2B2B,
    0xE2DED2,
];
const SHOES: [u32; 6] = [0x141414, 0x3A281C, 0xE8E8E8, 0x7A1F1F, 0x2C3E66, 0x6A6A6A];

impl Body {
    pub(crate) fn random(random: &mut Random) -> Self {
        let child = random.chance(0.12);
        let height = if child {
            random.between(1.12, 1.45)
        } else {
            random.between(1.52, 1.93)
        };
        let top = match random.below(10) {
            0..=3 => Top::Shirt,
            4..=6 => Top::Jumper,
            7 | 8 => Top::Coat,
            _ => Top::Dress,
        };
        let bottom = match random.below(8) {
            0 => Bottom::Skirt,
            1 | 2 if top != Top::Coat => Bottom::Shorts,
            _ => Bottom::Trousers,
        };
        let hair = match random.below(9) {
            0..=3 => Hair::Short,
            4 | 5 => Hair::Long,
            6 => Hair::Bun,
            7 => Hair::Cap,
            _ => Hair::Bald,
        };
        let bag = match random.below(7) {
            0 | 1 => Bag::Backpack,
            2 => Bag::Shoulder,
            3 => Bag::Shopping,
            _ => Bag::None,
        };
        let cloth = |random: &mut Random| -> Albedo { srgb(random.pick(&CLOTH)) };
        let (base, other) = (cloth(random), cloth(random));
        let pattern = match random.below(8) {
            0 => Pattern::Hoops(other, random.between(0.07, 0.16)),
            1 => Pattern::Check(other, random.between(0.08, 0.18)),
            2 => Pattern::Above(other, random.between(0.66, 0.78) * height),
            _ => Pattern::Plain,
        };
        let hair_color = if hair == Hair::Cap {
            cloth(random)
        } else {
            srgb(random.pick(&HAIR))
        };
        Self {
            height,
            girth: random.between(0.86, 1.28),
            swing: random.between(0.85, 1.15),
            stoop: random.between(-0.01, 0.09),
            top,
            bottom,
            hair,
            bag,
            skin: Paint::plain(srgb(random.pick(&SKIN))).with_wear(0.08),
            hair_paint: Paint::plain(hair_color).with_wear(0.35),
            top_paint: Paint::plain(base).with_pattern(pattern).with_wear(0.3),
            bottom_paint: Paint::plain(srgb(random.pick(&LEGS))).with_wear(0.35),
            shoe_paint: Paint::plain(srgb(random.pick(&SHOES))),
            bag_paint: Paint::plain(cloth(random)).with_wear(0.3),
        }
    }

    /// How far the thighs swing to each side at `speed` metres a second, in radians.
    fn swing_at(&self, speed: f32) -> f32 {
        ((0.17 + 0.17 * speed) * self.swing).min(0.56) * (speed * 4.0).min(1.0)
    }

    /// Radians of gait that one metre of way takes, so that the standing foot stays where it is.
    pub(crate) fn phase_per_metre(&self, speed: f32) -> f32 {
        let leg = 0.49 * self.height;
        let sweep = 2.0 * leg * libm::sinf(self.swing_at(speed.max(0.5)));
        std::f32::consts::PI / sweep.max(0.2)
    }

    /// The solids of the body in this pose, in world axes; clears `parts` first.
    pub(crate) fn pose(&self, pose: &Pose, parts: &mut Vec<Part>) {
        parts.clear();
        let mut figure = Figure::new(self, pose, parts);
        figure.legs();
        figure.torso();
        figure.arms();
        figure.head();
        figure.bag();
    }
}

/// A body being put together.
struct Figure<'a> {
    body: &'a Body,
    pose: &'a Pose,
    parts: &'a mut Vec<Part>,
    /// Height relative to a person of 1.75 m.
    s: f32,
    swing: f32,
    forward: Vec3,
    left: Vec3,
    /// Upwards along the spine, which leans.
    spine: Vec3,
    hips: Vec3,
}

/// Half the distance between the hip joints, and between the shoulders, of a person of 1.75 m.
const HIP: f32 = 0.085;
const SHOULDER: f32 = 0.175;

impl<'a> Figure<'a> {
    fn new(body: &'a Body, pose: &'a Pose, parts: &'a mut Vec<Part>) -> Self {
        let forward = Vec3::new(libm::cosf(pose.heading), libm::sinf(pose.heading), 0.0);
        let left = Vec3::new(-forward.y, forward.x, 0.0);
        let lean = body.stoop + 0.03 * pose.speed;
        let sway = 0.012 * libm::sinf(pose.clock * 0.9 + pose.phase);
        let spine = (Vec3::Z + forward * lean + left * sway).normalize();
        Self {
            body,
            pose,
            parts,
            s: body.height / 1.75,
            swing: body.swing_at(pose.speed),
            forward,
            left,
            spine,
            hips: Vec3::ZERO,
        }
    }

    fn add(&mut self, from: Vec3, to: Vec3, from_radius: f32, to_radius: f32, paint: Paint) {
        self.parts.push(Part {
            solid: RoundCone::new(from, to, from_radius, to_radius),
            paint,
        });
    }

    /// Knee and ankle from the hip for the leg on `side` (+1 left, -1 right).
    fn leg(&self, side: f32) -> (Vec3, Vec3, f32) {
        let phase = self.pose.phase + if side > 0.0 { 0.0 } else { std::f32::consts::PI };
        let thigh = self.swing * (stride(phase) + 0.05);
        // The knee bends while the leg comes forward, most in the middle of that half of the cycle.
        let lift = (-libm::sinf(phase)).max(0.0);
        let bend = 0.06 + 2.1 * self.swing * lift * lift + 0.2 * self.swing * libm::sinf(phase).max(0.0);
        let down = |angle: f32| self.forward * libm::sinf(angle) - Vec3::Z * libm::cosf(angle);
        let knee = down(thigh) * (0.435 * self.s);
        let ankle = knee + down(thigh - bend) * (0.425 * self.s);
        (knee, ankle, thigh - bend)
    }

    /// Heel and toe of the shoe, which follows the shin as the heel lifts.
    fn shoe(&self, ankle: Vec3, shin: f32) -> [(Vec3, f32); 2] {
        let s = self.s;
        let pitch = (shin * 0.7).clamp(-0.55, 0.15);
        let toe = self.forward * libm::cosf(pitch) + Vec3::Z * libm::sinf(pitch);
        let heel = ankle - Vec3::Z * (0.035 * s) - self.forward * (0.03 * s);
        [(heel, 0.042 * s), (heel + toe * (0.17 * s), 0.034 * s)]
    }

    fn legs(&mut self) {
        let body = self.body;
        let (s, g) = (self.s, self.body.girth);
        let legs = [1.0, -1.0].map(|side| (side, self.leg(side)));
        // The lowest sole, heel or toe, is what stands on the ground.
        let lowest = legs
            .iter()
            .flat_map(|(_, (_, ankle, shin))| self.shoe(*ankle, *shin).map(|(end, radius)| end.z - radius))
            .fold(f32::INFINITY, f32::min);
        self.hips = self.pose.root.extend(-lowest);
        let bare = matches!(body.bottom, Bottom::Shorts | Bottom::Skirt) || body.top == Top::Dress;
        let (thigh_paint, shin_paint) = match (body.bottom, bare) {
            (_, false) => (body.bottom_paint, body.bottom_paint),
            (Bottom::Shorts, true) if body.top != Top::Dress => (body.bottom_paint, body.skin),
            _ => (body.skin, body.skin),
        };
        for (side, (knee, ankle, shin)) in legs {
            let hip = self.hips + self.left * (side * HIP * s * (0.6 + 0.4 * g));
            let (knee, ankle) = (hip + knee, hip + ankle);
            self.add(hip, knee, 0.088 * s * g, 0.062 * s, thigh_paint);
            let loose = if bare { 0.82 } else { 1.0 };
            self.add(knee, ankle, 0.062 * s * loose, 0.045 * s * loose, shin_paint);
            let [(heel, heel_radius), (toe, toe_radius)] = self.shoe(ankle, shin);
            self.add(heel, toe, heel_radius, toe_radius, body.shoe_paint);
        }
    }

    fn torso(&mut self) {
        let body = self.body;
        let (s, g) = (self.s, body.girth);
        let coat = if body.top == Top::Coat { 1.12 } else { 1.0 };
        let lower = if body.top == Top::Dress || body.top == Top::Coat {
            body.top_paint
        } else {
            body.bottom_paint
        };
        let hips = self.hips;
        let across = self.left * (HIP * s * (0.5 + 0.5 * g));
        self.add(hips - across, hips + across, 0.098 * s * g, 0.098 * s * g, lower);
        let chest = hips + self.spine * (0.40 * s);
        let depth = 0.098 * s * g * coat;
        for offset in [-1.0, 0.0, 1.0] {
            let low = hips + self.spine * (0.07 * s) + self.left * (offset * 0.065 * s * g);
            let high = chest + self.left * (offset * 0.095 * s * (0.5 + 0.5 * g));
            self.add(low, high, depth * 0.95, depth * 1.06, body.top_paint);
        }
        if g > 1.1 {
            let belly = hips + self.spine * (0.14 * s) + self.forward * (0.05 * s);
            self.add(
                belly,
                belly + self.spine * (0.06 * s),
                0.115 * s * g,
                0.10 * s * g,
                body.top_paint,
            );
        }
        let shoulders = self.shoulders();
        let across = self.left * ((SHOULDER - 0.03) * s);
        self.add(
            shoulders - across,
            shoulders + across,
            0.068 * s * coat,
            0.068 * s * coat,
            body.top_paint,
        );
        let (reach, flare) = match (body.top, body.bottom) {
            (Top::Dress, _) => (0.52, 0.20),
            (Top::Coat, _) => (0.40, 0.165),
            (_, Bottom::Skirt) => (0.42, 0.18),
            _ => return,
        };
        let paint = if matches!(body.top, Top::Dress | Top::Coat) {
            body.top_paint
        } else {
            body.bottom_paint
        };
        // A ring of folds, which hangs straight where one wide cone would bulge like a balloon.
        let (waist_m, hem_m) = (0.06 * s * g, (flare - 0.05) * s * (0.5 + 0.5 * g));
        for fold in 0..7 {
            let angle = fold as f32 * (std::f32::consts::TAU / 7.0);
            let out = self.forward * libm::cosf(angle) + self.left * libm::sinf(angle);
            let waist = hips + self.spine * (0.05 * s) + out * waist_m;
            let hem = hips - Vec3::Z * (reach * s) + out * hem_m;
            self.add(waist, hem, 0.062 * s, 0.055 * s, paint);
        }
    }

    fn shoulders(&self) -> Vec3 {
        self.hips + self.spine * (0.49 * self.s)
    }

    fn arms(&mut self) {
        let body = self.body;
        let s = self.s;
        let sleeve = if matches!(body.top, Top::Shirt | Top::Dress) {
            body.skin
        } else {
            body.top_paint
        };
        for side in [1.0f32, -1.0] {
            let phase = self.pose.phase + if side > 0.0 { std::f32::consts::PI } else { 0.0 };
            let swing = 0.9 * self.swing * libm::cosf(phase);
            let talk = libm::sinf(self.pose.clock * 2.3 + side * 1.3);
            // Angles forward from hanging: of the upper arm, of the bend in the elbow, and outwards.
            let (upper, bend, out) = match self.pose.gesture {
                Gesture::Phone if side < 0.0 => (0.55, 1.55, 0.10),
                Gesture::Talk => (0.35 + 0.2 * talk, 1.05 + 0.5 * talk, 0.18),
                Gesture::Pockets => (-0.18, 0.55, 0.22),
                _ => (swing, 0.22 + 0.5 * swing.max(0.0), 0.08),
            };
            let down = |angle: f32, out: f32| {
                (self.forward * libm::sinf(angle) - self.spine * libm::cosf(angle) + self.left * (side * out))
                    .normalize()
            };
            let shoulder = self.shoulders() + self.left * (side * SHOULDER * s * (0.75 + 0.25 * body.girth));
            let elbow = shoulder + down(upper, out) * (0.27 * s);
            let inwards = if self.pose.gesture == Gesture::Phone && side < 0.0 {
                -0.4
            } else {
                -0.02
            };
            let wrist = elbow + down(upper + bend, inwards) * (0.24 * s);
            let hand = wrist + (wrist - elbow).normalize_or_zero() * (0.06 * s);
            self.add(shoulder, elbow, 0.056 * s, 0.046 * s, body.top_paint);
            self.add(elbow, wrist, 0.043 * s, 0.034 * s, sleeve);
            self.add(wrist, hand, 0.033 * s, 0.036 * s, body.skin);
            if body.bag == Bag::Shopping && side > 0.0 && self.pose.gesture == Gesture::Free {
                let top = hand - Vec3::Z * (0.12 * s);
                self.add(top, top - Vec3::Z * (0.2 * s), 0.06 * s, 0.11 * s, body.bag_paint);
            }
        }
    }

    fn head(&mut self) {
        let body = self.body;
        // A child's head is large for its height.
        let s = 0.45 + 0.55 * self.s;
        let neck = self.shoulders() + self.spine * (0.04 * self.s);
        let nod = if self.pose.gesture == Gesture::Phone {
            0.07
        } else {
            0.02
        };
        let crown = self.hips + self.spine * (body.height - self.hips.z - 0.1 * s) + self.forward * (nod * s);
        self.add(
            neck,
            crown - self.spine * (0.06 * s),
            0.05 * s,
            0.05 * s,
            body.skin,
        );
        let chin = crown - self.spine * (0.075 * s) + self.forward * (0.018 * s);
        self.add(chin, crown, 0.066 * s, 0.092 * s, body.skin);
        let back = crown - self.forward * (0.026 * s) + self.spine * (0.016 * s);
        match body.hair {
            Hair::Bald => {}
            Hair::Short => self.add(
                back,
                back - self.spine * (0.05 * s),
                0.093 * s,
                0.08 * s,
                body.hair_paint,
            ),
            Hair::Bun => {
                self.add(
                    back,
                    back - self.spine * (0.04 * s),
                    0.094 * s,
                    0.08 * s,
                    body.hair_paint,
                );
                let bun = back - self.forward * (0.085 * s) + self.spine * (0.03 * s);
                self.add(bun, bun, 0.045 * s, 0.045 * s, body.hair_paint);
            }
            Hair::Long => {
                let ends = back - self.spine * (0.24 * s) - self.forward * (0.04 * s);
                self.add(back, ends, 0.098 * s, 0.075 * s, body.hair_paint);
            }
            Hair::Cap => {
                let top = crown + self.spine * (0.022 * s);
                self.add(
                    top,
                    top - self.forward * (0.02 * s),
                    0.096 * s,
                    0.092 * s,
                    body.hair_paint,
                );
                let brim = top + self.forward * (0.1 * s) - self.spine * (0.005 * s);
                self.add(top, brim, 0.05 * s, 0.035 * s, body.hair_paint);
            }
        }
    }

    fn bag(&mut self) {
        let body = self.body;
        let s = self.s;
        match body.bag {
            Bag::Backpack => {
                let top = self.hips + self.spine * (0.42 * s) - self.forward * (0.15 * s * body.girth);
                for offset in [-0.06, 0.06] {
                    let top = top + self.left * (offset * s);
                    self.add(
                        top,
                        top - self.spine * (0.26 * s),
                        0.085 * s,
                        0.1 * s,
                        body.bag_paint,
                    );
                }
            }
            Bag::Shoulder => {
                let at = self.hips + self.left * (0.2 * s * body.girth) + self.spine * (0.02 * s);
                let across = self.forward * (0.09 * s);
                self.add(at - across, at + across, 0.075 * s, 0.075 * s, body.bag_paint);
            }
            Bag::Shopping | Bag::None => {}
        }
    }
}

/// How far a leg is forward, `-1..1`: back at an even pace while it stands, so that the foot stays where
/// it is, and forward in an easy swing.
fn stride(phase: f32) -> f32 {
    let half = std::f32::consts::PI;
    let turn = phase.rem_euclid(2.0 * half);
    if turn < half {
        1.0 - 2.0 * turn / half
    } else {
        -libm::cosf(turn - half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pose(speed: f32, phase: f32) -> Pose {
        Pose {
            root: Vec2::new(2.0, 9.0),
            heading: 0.7,
            speed,
            phase,
            gesture: Gesture::Free,
            clock: 0.0,
        }
    }

    #[test]
    fn every_body_stands_on_the_ground_and_reaches_its_height() {
        let mut random = Random::new(11, 4);
        let mut parts = Vec::new();
        for i in 0..200 {
            let body = Body::random(&mut random);
            body.pose(&pose(1.3, i as f32 * 0.37), &mut parts);
            let ends = || parts.iter().flat_map(|part| part.solid.ends());
            let low = ends().map(|(p, r)| p.z - r).fold(f32::INFINITY, f32::min);
            let high = ends().map(|(p, r)| p.z + r).fold(0.0, f32::max);
            assert!(low.abs() < 1e-3, "soles at {low} m");
            assert!(
                (high - body.height).abs() < 0.14,
                "{} m tall drawn {high} m tall",
                body.height
            );
        }
    }

    #[test]
    fn the_standing_foot_hardly_slides() {
        let body = Body::random(&mut Random::new(5, 4));
        let mut parts = Vec::new();
        let speed = 1.3;
        let mut lowest_foot = |way: f32| {
            let mut p = pose(speed, way * body.phase_per_metre(speed));
            p.root = Vec2::new(way, 0.0);
            p.heading = 0.0;
            body.pose(&p, &mut parts);
            // Thigh, shin and shoe of the left leg come first: the third part is its shoe.
            parts[2].solid.ends()[0].0
        };
        // Over the middle of the left leg's stance (a quarter turn of phase), 1.3 m/s of body speed.
        let quarter = 0.25 * std::f32::consts::PI / body.phase_per_metre(speed);
        let (a, b) = (lowest_foot(quarter), lowest_foot(3.0 * quarter));
        let slide = (b.x - a.x).abs() / (2.0 * quarter);
        assert!(slide < 0.25, "the foot slides {:.0} % of the way", slide * 100.0);
    }
}

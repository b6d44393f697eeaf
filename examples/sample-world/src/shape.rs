//! The two solids that everything is made of, and where a ray meets them.

use glam::{Vec2, Vec3};

/// Where a ray enters a solid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    /// Ray parameter of the entry.
    pub(crate) t: f32,
    /// Outward unit normal there.
    pub(crate) normal: Vec3,
}

/// The convex hull of two spheres: a limb, a post, a tuft of leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoundCone {
    start: Vec3,
    end: Vec3,
    start_radius: f32,
    end_radius: f32,
    axis: Vec3,
    length: f32,
    /// Sine and cosine of the angle by which the side leans towards the thinner end.
    lean: f32,
    upright: f32,
}

impl RoundCone {
    pub(crate) fn new(start: Vec3, end: Vec3, start_radius: f32, end_radius: f32) -> Self {
        let span = end - start;
        let length = span.length();
        // One ball contains the other: only the larger ball is visible.
        if length <= (start_radius - end_radius).abs() + 1e-5 {
            let (center, radius) = if start_radius >= end_radius {
                (start, start_radius)
            } else {
                (end, end_radius)
            };
            return Self {
                start: center,
                end: center,
                start_radius: radius,
                end_radius: radius,
                axis: Vec3::Z,
                length: 0.0,
                lean: 0.0,
                upright: 1.0,
            };
        }
        let lean = (start_radius - end_radius) / length;
        Self {
            start,
            end,
            start_radius,
            end_radius,
            axis: span / length,
            length,
            lean,
            upright: (1.0 - lean * lean).sqrt(),
        }
    }

    /// A sphere that holds the whole solid.
    pub(crate) fn bounds(&self) -> (Vec3, f32) {
        (
            (self.start + self.end) * 0.5,
            self.length * 0.5 + self.start_radius.max(self.end_radius),
        )
    }

    /// The two balls at the ends.
    pub(crate) fn ends(&self) -> [(Vec3, f32); 2] {
        [(self.start, self.start_radius), (self.end, self.end_radius)]
    }

    /// First entry of the ray with a positive parameter; none for a ray that starts inside.
    pub(crate) fn meet(&self, origin: Vec3, ray: Vec3) -> Option<Hit> {
        let m = origin - self.start;
        let (rr, mr, mm) = (ray.length_squared(), m.dot(ray), m.length_squared());
        let (x0, dx) = (m.dot(self.axis), ray.dot(self.axis));
        if self.length > 0.0 {
            // A point p on the side has |p - axis| · upright = radius - lean · x, with x measured
            // along the axis from the start. Squared, and with the ray put in, a quadratic in t.
            let c2 = self.upright * self.upright;
            let a = c2 * rr - dx * dx;
            let b = c2 * mr - x0 * dx + self.start_radius * self.lean * dx;
            let c = c2 * mm - x0 * x0 + 2.0 * self.start_radius * self.lean * x0
                - self.start_radius * self.start_radius;
            let root = b * b - a * c;
            if root >= 0.0 && a.abs() > 1e-12 {
                let t = (-b - root.sqrt()) / a;
                let x = x0 + t * dx;
                let low = self.lean * self.start_radius;
                let high = self.length + self.lean * self.end_radius;
                if t > 0.0 && x >= low && x <= high {
                    let radial = m + ray * t - self.axis * x;
                    let normal = radial.normalize_or_zero() * self.upright + self.axis * self.lean;
                    return Some(Hit { t, normal });
                }
            } else if root < 0.0 && a > 0.0 {
                // Misses the infinite cone, and with it both balls, which lie inside it.
                return None;
            }
        }
        let first = meet_ball(m, ray, rr, self.start_radius);
        if self.length == 0.0 {
            return first;
        }
        let second = meet_ball(origin - self.end, ray, rr, self.end_radius);
        match (first, second) {
            (Some(f), Some(s)) => Some(if f.t <= s.t { f } else { s }),
            (hit, None) | (None, hit) => hit,
        }
    }
}

fn meet_ball(m: Vec3, ray: Vec3, rr: f32, radius: f32) -> Option<Hit> {
    let b = m.dot(ray);
    let root = b * b - rr * (m.length_squared() - radius * radius);
    if root < 0.0 {
        return None;
    }
    let t = (-b - root.sqrt()) / rr;
    (t > 0.0).then(|| Hit {
        t,
        normal: (m + ray * t) / radius,
    })
}

/// A box rotated about the vertical axis: a bench's seat, a planter, a facade.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    pub(crate) center: Vec3,
    pub(crate) half: Vec3,
    /// Direction of the box's own `x` axis on the ground, unit length.
    pub(crate) along: Vec2,
}

impl Block {
    pub(crate) fn new(center: Vec3, half: Vec3, heading: f32) -> Self {
        Self {
            center,
            half,
            along: Vec2::new(libm::cosf(heading), libm::sinf(heading)),
        }
    }

    fn into_local(self, v: Vec3) -> Vec3 {
        Vec3::new(
            v.x * self.along.x + v.y * self.along.y,
            -v.x * self.along.y + v.y * self.along.x,
            v.z,
        )
    }

    fn out_of_local(self, v: Vec3) -> Vec3 {
        Vec3::new(
            v.x * self.along.x - v.y * self.along.y,
            v.x * self.along.y + v.y * self.along.x,
            v.z,
        )
    }

    /// The point in the box's own axes, from its centre.
    pub(crate) fn local_point(&self, point: Vec3) -> Vec3 {
        self.into_local(point - self.center)
    }

    pub(crate) fn bounds(&self) -> (Vec3, f32) {
        (self.center, self.half.length())
    }

    pub(crate) fn corners(&self) -> [Vec3; 8] {
        std::array::from_fn(|i| {
            let sign = |bit: usize| if i & bit == 0 { -1.0 } else { 1.0 };
            self.center + self.out_of_local(self.half * Vec3::new(sign(1), sign(2), sign(4)))
        })
    }

    /// First entry of the ray with a positive parameter; none for a ray that starts inside.
    pub(crate) fn meet(&self, origin: Vec3, ray: Vec3) -> Option<Hit> {
        let o = self.into_local(origin - self.center);
        let r = self.into_local(ray);
        let (mut enter, mut leave, mut face) = (0.0f32, f32::INFINITY, None);
        for axis in 0..3 {
            if r[axis].abs() < 1e-9 {
                if o[axis].abs() > self.half[axis] {
                    return None;
                }
                continue;
            }
            let side = -r[axis].signum();
            let near = (side * self.half[axis] - o[axis]) / r[axis];
            let far = (-side * self.half[axis] - o[axis]) / r[axis];
            if near > enter {
                enter = near;
                face = Some((axis, side));
            }
            leave = leave.min(far);
        }
        let (axis, side) = face.filter(|_| enter <= leave)?;
        let mut normal = Vec3::ZERO;
        normal[axis] = side;
        Some(Hit {
            t: enter,
            normal: self.out_of_local(normal),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Signed distance to the hull, found by walking along the axis: slow, and obviously right.
    fn distance(cone: &RoundCone, p: Vec3) -> f32 {
        (0..=2000)
            .map(|i| {
                let s = i as f32 / 2000.0;
                let radius = cone.start_radius + (cone.end_radius - cone.start_radius) * s;
                (p - cone.start.lerp(cone.end, s)).length() - radius
            })
            .fold(f32::INFINITY, f32::min)
    }

    proptest! {
        #[test]
        fn a_hit_lies_on_the_surface_of_the_round_cone(
            ex in -1.0f32..1.0, ez in 0.2f32..1.5, ra in 0.05f32..0.4, rb in 0.05f32..0.4,
            tx in -0.6f32..0.6, tz in -0.3f32..1.5,
        ) {
            let cone = RoundCone::new(Vec3::ZERO, Vec3::new(ex, 0.1, ez), ra, rb);
            let origin = Vec3::new(0.3, -6.0, 0.7);
            let ray = Vec3::new(tx, 0.0, tz) - origin;
            if let Some(hit) = cone.meet(origin, ray) {
                let off = distance(&cone, origin + ray * hit.t);
                prop_assert!(off.abs() < 4e-3, "hit is {off} m off the surface");
                prop_assert!((hit.normal.length() - 1.0).abs() < 1e-3);
                prop_assert!(hit.normal.dot(ray) < 1e-3, "the normal looks towards the eye");
            } else {
                let nearest = (0..400).map(|i| distance(&cone, origin + ray * (i as f32 / 200.0))).fold(f32::INFINITY, f32::min);
                prop_assert!(nearest > -5e-3, "missed a solid that the ray enters by {nearest} m");
            }
        }
    }

    #[test]
    fn a_turned_block_is_met_on_the_face_that_looks_at_the_ray() {
        let block = Block::new(
            Vec3::new(0.0, 5.0, 1.0),
            Vec3::splat(1.0),
            std::f32::consts::FRAC_PI_2,
        );
        let hit = block.meet(Vec3::new(0.2, 0.0, 1.1), Vec3::Y).expect("in front");
        assert!((hit.t - 4.0).abs() < 1e-5);
        assert!((hit.normal + Vec3::Y).length() < 1e-5);
        assert!(block.meet(Vec3::new(3.0, 0.0, 1.0), Vec3::Y).is_none());
    }
}

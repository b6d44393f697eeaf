//! Static objects: ground, buildings, benches, posts, greenery.

use crate::camera::{Camera, View};
use crate::light::Light;
use crate::paint::{Albedo, Paint, srgb};
use crate::random::{hash_unit, noise, rough_noise, smooth};
use crate::shape::{Block, Hit, RoundCone};
use glam::{Vec2, Vec3};
use std::ops::Range;

/// A static solid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prop {
    pub(crate) solid: Solid,
    surface: Surface,
    salt: u32,
    /// A sphere that holds it.
    bounds: (Vec3, f32),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Solid {
    Cone(RoundCone),
    Block(Block),
}

#[derive(Debug, Clone, Copy)]
enum Surface {
    Paint(Paint),
    /// A street front: shop windows, doors, awnings and a band of signs, one shop every so many metres.
    Shops {
        facade: Albedo,
        width: f32,
    },
    /// Posters pasted around.
    Posters,
}

impl Prop {
    fn new(solid: Solid, surface: Surface) -> Self {
        let bounds = match &solid {
            Solid::Cone(cone) => cone.bounds(),
            Solid::Block(block) => block.bounds(),
        };
        Self {
            solid,
            surface,
            salt: 0,
            bounds,
        }
    }

    pub(crate) fn cone(from: Vec3, to: Vec3, from_radius: f32, to_radius: f32, paint: Paint) -> Self {
        let cone = RoundCone::new(from, to, from_radius, to_radius);
        Self::new(Solid::Cone(cone), Surface::Paint(paint))
    }

    pub(crate) fn ball(center: Vec3, radius: f32, paint: Paint) -> Self {
        Self::cone(center, center, radius, radius, paint)
    }

    pub(crate) fn block(center: Vec3, half: Vec3, heading: f32, paint: Paint) -> Self {
        Self::new(
            Solid::Block(Block::new(center, half, heading)),
            Surface::Paint(paint),
        )
    }

    pub(crate) fn shops(center: Vec3, half: Vec3, heading: f32, facade: Albedo, width: f32) -> Self {
        Self::new(
            Solid::Block(Block::new(center, half, heading)),
            Surface::Shops { facade, width },
        )
    }

    pub(crate) fn posters(foot: Vec2, height: f32, radius: f32) -> Self {
        let cone = RoundCone::new(foot.extend(radius * 0.2), foot.extend(height), radius, radius);
        Self::new(Solid::Cone(cone), Surface::Posters)
    }

    pub(crate) fn meet(&self, origin: Vec3, ray: Vec3) -> Option<Hit> {
        match &self.solid {
            Solid::Cone(cone) => cone.meet(origin, ray),
            Solid::Block(block) => block.meet(origin, ray),
        }
    }

    /// Where it stands on the ground, for the shade around its foot; nothing for what hangs in the air.
    fn footprint(&self) -> Option<(Vec2, f32)> {
        let (low, center, radius) = match &self.solid {
            Solid::Cone(cone) => {
                let (p, r) = cone.ends()[0];
                (p.z - r, p, r)
            }
            Solid::Block(block) => (
                block.center.z - block.half.z,
                block.center,
                block.half.x.min(block.half.y),
            ),
        };
        (low < 0.4).then_some((center.truncate(), radius))
    }

    pub(crate) fn albedo(&self, point: Vec3) -> Albedo {
        let local = match &self.solid {
            Solid::Cone(_) => point,
            Solid::Block(block) => block.local_point(point),
        };
        match self.surface {
            Surface::Paint(paint) => paint.at(local, self.salt),
            Surface::Shops { facade, width } => shop_front(local.x, point.z, facade, width, self.salt),
            Surface::Posters => posters(point, self.bounds.0, self.salt),
        }
    }
}

fn shop_front(along: f32, height: f32, facade: Albedo, width: f32, salt: u32) -> Albedo {
    let shop = libm::floorf(along / width);
    let x = along - shop * width;
    let which = |n: u32| hash_unit(shop as i32, 7, salt ^ n);
    let brick = facade * (0.82 + 0.25 * rough_noise(along * 1.3, height * 1.3, salt));
    let margin = 0.35;
    if !(margin..=width - margin).contains(&x) {
        return brick;
    }
    let hue = Vec3::new(0.25 + 0.5 * which(1), 0.2 + 0.4 * which(2), 0.2 + 0.5 * which(3));
    let door_left = if which(4) < 0.5 {
        margin + 0.1
    } else {
        width - margin - 1.3
    };
    match height {
        z if z < 0.45 && !(door_left..door_left + 1.2).contains(&x) => facade * 0.55,
        z if z < 2.55 => {
            if (door_left..door_left + 1.2).contains(&x) {
                let frame = x < door_left + 0.09 || x > door_left + 1.11 || z > 2.3;
                return if frame {
                    hue * 0.5
                } else {
                    Vec3::new(0.05, 0.055, 0.06)
                };
            }
            let mullion = (x / 1.1).rem_euclid(1.0) < 0.06 || z > 2.45;
            if mullion {
                return hue * 0.45;
            }
            // Panes mirror a pale sky above and the dark of the shop below, with goods in between.
            let goods = noise(x * 3.0, z * 3.0, salt ^ (shop as i32 as u32));
            let inside = Vec3::new(0.10, 0.09, 0.08) + hue * (0.25 * goods * goods);
            inside.lerp(Vec3::new(0.30, 0.36, 0.42), smooth((z - 1.0) / 2.2) * 0.7)
        }
        z if z < 3.3 => {
            // Awning stripes or a board with something like lettering.
            if which(5) < 0.5 {
                if (x / 0.5).rem_euclid(1.0) < 0.5 {
                    hue
                } else {
                    Vec3::splat(0.72)
                }
            } else {
                let letter = hash_unit((x * 5.0) as i32, shop as i32, salt) < 0.6
                    && (2.75..3.1).contains(&z)
                    && (x * 5.0).rem_euclid(1.0) < 0.7
                    && (1.0..width - 1.0).contains(&x);
                if letter { Vec3::splat(0.8) } else { hue * 0.6 }
            }
        }
        z if (4.1..5.9).contains(&z) && (x / 1.7).rem_euclid(1.0) > 0.35 => {
            Vec3::new(0.16, 0.19, 0.23) * (0.7 + 0.6 * smooth(z - 4.0))
        }
        _ => brick,
    }
}

fn posters(point: Vec3, center: Vec3, salt: u32) -> Albedo {
    let angle = libm::atan2f(point.y - center.y, point.x - center.x);
    let (column, row) = (libm::floorf(angle * 1.6), libm::floorf(point.z / 1.1));
    let pick = |n: u32| hash_unit(column as i32, row as i32, salt ^ n);
    let (u, v) = ((angle * 1.6).rem_euclid(1.0), (point.z / 1.1).rem_euclid(1.0));
    if !(0.05..0.95).contains(&u) || !(0.04..0.96).contains(&v) || point.z > 2.55 {
        return srgb(0x4A5A4E);
    }
    let paper = Vec3::new(0.2 + 0.7 * pick(1), 0.2 + 0.6 * pick(2), 0.2 + 0.6 * pick(3));
    if noise(u * 4.0, v * 6.0, salt ^ 0x77 ^ (column as i32 as u32)) > 0.55 {
        paper * 0.35
    } else {
        paper
    }
}

/// All props, in groups that stand together (the leaves of a tree, the slats of a bench), so that a ray
/// that passes far from a group does not look at its members.
#[derive(Debug, Clone, Default)]
pub(crate) struct Furniture {
    pub(crate) props: Vec<Prop>,
    groups: Vec<Group>,
    footprints: Vec<(Vec2, f32)>,
    /// Round places that people walk around: centre and radius in metres.
    pub(crate) obstacles: Vec<(Vec2, f32)>,
}

#[derive(Debug, Clone)]
struct Group {
    members: Range<usize>,
    center: Vec3,
    radius: f32,
}

impl Furniture {
    /// Adds props that stand together.
    pub(crate) fn add(&mut self, props: Vec<Prop>) {
        let start = self.props.len();
        for prop in props {
            let salt = self.props.len() as u32 * 31 + 5;
            self.footprints.extend(prop.footprint());
            self.props.push(Prop { salt, ..prop });
        }
        let members = start..self.props.len();
        let Some(group) = self.props.get(members.clone()).filter(|group| !group.is_empty()) else {
            return;
        };
        let center = group.iter().map(|prop| prop.bounds.0).sum::<Vec3>() / group.len() as f32;
        let radius = group
            .iter()
            .map(|prop| prop.bounds.0.distance(center) + prop.bounds.1)
            .fold(0.0, f32::max);
        self.groups.push(Group {
            members,
            center,
            radius,
        });
    }

    /// Whether anything stands in the way of the ray; `ray` has unit length.
    fn blocks(&self, point: Vec3, ray: Vec3) -> bool {
        let near = |center: Vec3, radius: f32| {
            let to_center = center - point;
            let along = to_center.dot(ray);
            along > -radius && to_center.length_squared() - along * along < radius * radius
        };
        self.groups
            .iter()
            .filter(|group| near(group.center, group.radius))
            .any(|group| {
                self.props[group.members.clone()]
                    .iter()
                    .any(|prop| near(prop.bounds.0, prop.bounds.1) && prop.meet(point, ray).is_some())
            })
    }
}

/// What lies on the ground.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground {
    pub(crate) slab: Albedo,
    pub(crate) joint: Albedo,
    /// Width of a slab in metres; 0 for a surface without joints.
    pub(crate) slab_m: f32,
    /// A ring of other stone: centre, radius, colour.
    pub(crate) ring: Option<(Vec2, f32, Albedo)>,
    /// From here away from the camera there is a road, behind a kerb.
    pub(crate) road_from_m: f32,
    pub(crate) salt: u32,
}

impl Ground {
    pub(crate) fn albedo(&self, p: Vec2, footprint_m: f32) -> Albedo {
        let stains = rough_noise(p.x * 0.35, p.y * 0.35, self.salt);
        let grain = noise(p.x * 23.0, p.y * 23.0, self.salt ^ 3);
        let weather = 0.78 + 0.3 * stains + 0.08 * grain;
        if p.y > self.road_from_m {
            let kerb = p.y < self.road_from_m + 0.18;
            return if kerb {
                Vec3::splat(0.42)
            } else {
                Vec3::splat(0.13) * weather
            };
        }
        let mut color = self.slab;
        if let Some((center, radius, stone)) = self.ring {
            let d = p.distance(center);
            if (d - radius).abs() < 0.35 || d < 0.5 || ((d - radius * 0.55).abs() < 0.15) {
                color = stone;
            }
        }
        if self.slab_m > 0.0 {
            let row = libm::floorf(p.y / self.slab_m);
            let shift = if (row as i32) & 1 == 0 { 0.0 } else { 0.5 };
            let column = libm::floorf(p.x / self.slab_m + shift);
            let tone = hash_unit(column as i32, row as i32, self.salt);
            color *= 0.86 + 0.24 * tone;
            let u = (p.x / self.slab_m + shift - column).min(1.0 - (p.x / self.slab_m + shift - column));
            let v = (p.y / self.slab_m - row).min(1.0 - (p.y / self.slab_m - row));
            // Joints fade where they are thinner than a pixel, instead of flickering.
            let width = 0.011 / self.slab_m;
            let fade = (0.014 / footprint_m.max(1e-4)).min(1.0);
            if u.min(v) < width {
                color = color.lerp(self.joint, fade);
            }
        }
        color * weather
    }
}

/// All static objects, and the light on them.
#[derive(Debug, Clone)]
pub(crate) struct Scenery {
    pub(crate) camera: Camera,
    pub(crate) ground: Ground,
    pub(crate) furniture: Furniture,
    pub(crate) light: Light,
    /// Brightness of the picture: the linear value that becomes white is `1 / exposure`.
    pub(crate) exposure: f32,
}

impl Scenery {
    pub(crate) fn view(&self) -> View {
        View::new(&self.camera)
    }

    /// Whether no static object shades a point from the sun.
    pub(crate) fn sunlit(&self, point: Vec3) -> bool {
        !self.furniture.blocks(point, self.light.to_sun)
    }

    /// The share of sky that a point on the ground sees past what stands around it.
    pub(crate) fn openness(&self, p: Vec2) -> f32 {
        self.furniture
            .footprints
            .iter()
            .fold(1.0, |open, &(center, radius)| {
                let gap = (p.distance(center) - radius).max(0.0);
                if gap > 0.6 {
                    open
                } else {
                    open * (1.0 - 0.4 * (1.0 - gap / 0.6) * (1.0 - gap / 0.6))
                }
            })
    }

    /// What a ray sees that meets nothing.
    pub(crate) fn sky(&self, ray: Vec3) -> Vec3 {
        let up = (ray.z / ray.length() * 3.0).clamp(0.0, 1.0);
        let cloud = rough_noise(ray.x * 4.0 + 3.0, ray.z * 14.0, self.ground.salt ^ 0xC1);
        Vec3::new(0.72, 0.78, 0.85).lerp(Vec3::new(0.35, 0.52, 0.82), up) * (0.85 + 0.3 * cloud)
    }
}

//! The picture without people, rendered once: per pixel what sky and sun give, per sample how far away.

use crate::camera::View;
use crate::scenery::{Prop, Scenery};
use glam::{Vec2, Vec3};

/// Samples along each side of a pixel.
pub(crate) const SAMPLES: usize = 2;

/// The still layers of a scene. Light changes by mixing the first two anew, never by rendering again.
#[derive(Debug, Clone)]
pub(crate) struct Backdrop {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Linear light from sky and ground, per pixel.
    pub(crate) ambient: Vec<Vec3>,
    /// Linear light from the sun, per pixel, shadows of still things taken out.
    pub(crate) sun: Vec<Vec3>,
    /// Depth per sample, rows of `width * SAMPLES`.
    pub(crate) depth: Vec<f32>,
}

/// The rectangle of pixels `x0..x1`, `y0..y1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PixelRect {
    pub(crate) x0: i32,
    pub(crate) y0: i32,
    pub(crate) x1: i32,
    pub(crate) y1: i32,
}

impl PixelRect {
    /// The pixels that the given picture points span, grown by one, inside `limit`.
    pub(crate) fn around(points: impl Iterator<Item = Vec2>, limit: Self) -> Option<Self> {
        let (mut low, mut high) = (Vec2::splat(f32::INFINITY), Vec2::splat(f32::NEG_INFINITY));
        for point in points {
            low = low.min(point);
            high = high.max(point);
        }
        let rect = Self {
            x0: (libm::floorf(low.x) as i32 - 1).max(limit.x0),
            y0: (libm::floorf(low.y) as i32 - 1).max(limit.y0),
            x1: (libm::ceilf(high.x) as i32 + 1).min(limit.x1),
            y1: (libm::ceilf(high.y) as i32 + 1).min(limit.y1),
        };
        (rect.x0 < rect.x1 && rect.y0 < rect.y1).then_some(rect)
    }
}

/// Direction through sample `(sx, sy)` of the picture's sample grid.
pub(crate) fn sample_ray(view: &View, sx: i32, sy: i32) -> Vec3 {
    let at = |s: i32| (s as f32 + 0.5) / SAMPLES as f32;
    view.ray(at(sx), at(sy))
}

const NOTHING: u16 = u16::MAX;
const FAR: f32 = 1.0e4;

impl Backdrop {
    pub(crate) fn render(scenery: &Scenery) -> Self {
        let (width, height) = (
            scenery.camera.width_px as usize,
            scenery.camera.height_px as usize,
        );
        let view = scenery.view();
        let row = width * SAMPLES;
        let mut depth = vec![FAR; row * height * SAMPLES];
        let mut owner = vec![NOTHING; depth.len()];
        let frame = PixelRect {
            x0: 0,
            y0: 0,
            x1: width as i32,
            y1: height as i32,
        };
        for (index, prop) in scenery
            .furniture
            .props
            .iter()
            .enumerate()
            .take(usize::from(NOTHING))
        {
            let Some(rect) = prop_rect(&view, prop, frame) else {
                continue;
            };
            for sy in rect.y0 * SAMPLES as i32..rect.y1 * SAMPLES as i32 {
                for sx in rect.x0 * SAMPLES as i32..rect.x1 * SAMPLES as i32 {
                    let at = sy as usize * row + sx as usize;
                    if let Some(hit) = prop.meet(view.position, sample_ray(&view, sx, sy))
                        && hit.t < depth[at]
                    {
                        depth[at] = hit.t;
                        owner[at] = index as u16;
                    }
                }
            }
        }
        let mut backdrop = Self {
            width,
            height,
            ambient: Vec::with_capacity(width * height),
            sun: Vec::new(),
            depth,
        };
        backdrop.sun.reserve(width * height);
        for y in 0..height {
            for x in 0..width {
                let (mut ambient, mut sun) = (Vec3::ZERO, Vec3::ZERO);
                for sub in 0..SAMPLES * SAMPLES {
                    let (sx, sy) = (x * SAMPLES + sub % SAMPLES, y * SAMPLES + sub / SAMPLES);
                    let at = sy * row + sx;
                    let ray = sample_ray(&view, sx as i32, sy as i32);
                    let prop = scenery.furniture.props.get(usize::from(owner[at]));
                    let (a, s) = shade(scenery, &view, ray, prop, &mut backdrop.depth[at]);
                    ambient += a;
                    sun += s;
                }
                let scale = 1.0 / (SAMPLES * SAMPLES) as f32;
                backdrop.ambient.push(ambient * scale);
                backdrop.sun.push(sun * scale);
            }
        }
        backdrop
    }
}

/// Light towards the camera from sky and from sun; sets the depth where the ground is nearest.
fn shade(scenery: &Scenery, view: &View, ray: Vec3, prop: Option<&Prop>, depth: &mut f32) -> (Vec3, Vec3) {
    let origin = view.position;
    if let Some((prop, hit)) = prop.and_then(|prop| prop.meet(origin, ray).map(|hit| (prop, hit))) {
        let point = origin + ray * hit.t;
        let albedo = prop.albedo(point);
        let direct = scenery.light.direct(hit.normal);
        let lit = direct != Vec3::ZERO && scenery.sunlit(point + hit.normal * 0.01);
        return (
            albedo * scenery.light.ambient(hit.normal),
            if lit { albedo * direct } else { Vec3::ZERO },
        );
    }
    if ray.z > -1e-4 {
        return (scenery.sky(ray), Vec3::ZERO);
    }
    let t = -origin.z / ray.z;
    *depth = t.min(FAR);
    let point = origin + ray * t;
    let ground = point.truncate();
    let albedo = scenery.ground.albedo(ground, 1.0 / view.pixels_per_metre(t));
    let ambient = albedo * scenery.light.ambient(Vec3::Z) * scenery.openness(ground);
    let lit = scenery.sunlit(point + Vec3::Z * 0.005);
    (
        ambient,
        if lit {
            albedo * scenery.light.direct(Vec3::Z)
        } else {
            Vec3::ZERO
        },
    )
}

fn prop_rect(view: &View, prop: &Prop, frame: PixelRect) -> Option<PixelRect> {
    match &prop.solid {
        crate::scenery::Solid::Cone(cone) => ball_hull_rect(view, cone.ends(), frame),
        crate::scenery::Solid::Block(block) => {
            let corners = block.corners();
            let points: Vec<Vec2> = corners
                .iter()
                .filter_map(|c| view.project(*c))
                .map(|(p, _)| p)
                .collect();
            // A corner behind the camera projects nowhere: then look everywhere.
            if points.len() < corners.len() {
                return (!points.is_empty()).then_some(frame);
            }
            PixelRect::around(points.into_iter(), frame)
        }
    }
}

/// Pixels that the hull of two balls can reach, or `None` when it is out of the picture.
pub(crate) fn ball_hull_rect(view: &View, ends: [(Vec3, f32); 2], frame: PixelRect) -> Option<PixelRect> {
    let mut corners = [Vec2::ZERO; 4];
    for (i, (center, radius)) in ends.into_iter().enumerate() {
        let (point, depth) = view.project(center)?;
        if depth <= radius + 0.1 {
            return None;
        }
        // A ball off the axis looks a little larger than its radius over its depth.
        let reach = Vec2::splat(view.pixels_per_metre(depth - radius) * radius * 1.25);
        corners[2 * i] = point - reach;
        corners[2 * i + 1] = point + reach;
    }
    PixelRect::around(corners.into_iter(), frame)
}

//! The pinhole camera: where a point of the plaza falls in the picture, and back.
//!
//! World axes in metres: `x` to the right, `y` away from the camera, `z` up; the ground is `z = 0`
//! and the camera stands above the origin. Image axes in pixels: right and down.

use glam::{Vec2, Vec3};
use serde::{Deserialize, Serialize};

/// A camera on a pole that looks along `+y`, tilted down, without roll and without lens distortion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Camera {
    /// Height of the optical centre above the ground, in metres.
    pub height_m: f32,
    /// Angle of the optical axis below the horizon, in degrees.
    pub tilt_deg: f32,
    /// Focal length in pixels of this picture size, the same in both directions.
    pub focal_px: f32,
    /// Picture width in pixels; the principal point is the middle.
    pub width_px: u32,
    /// Picture height in pixels.
    pub height_px: u32,
}

/// A camera with its trigonometry done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) position: Vec3,
    focal: f32,
    center: Vec2,
    sin_tilt: f32,
    cos_tilt: f32,
}

impl Camera {
    /// The picture point (pixels) of a point on the ground (metres), or `None` behind the camera.
    pub fn project_ground(&self, x_m: f32, y_m: f32) -> Option<(f32, f32)> {
        View::new(self)
            .project(Vec3::new(x_m, y_m, 0.0))
            .map(|(point, _)| (point.x, point.y))
    }

    /// The ground point (metres) seen at a picture point (pixels), or `None` at and above the horizon.
    pub fn ground_at(&self, x_px: f32, y_px: f32) -> Option<(f32, f32)> {
        let view = View::new(self);
        let ray = view.ray(x_px, y_px);
        let depth = -view.position.z / ray.z;
        (ray.z < -1e-6).then(|| {
            let hit = view.position + ray * depth;
            (hit.x, hit.y)
        })
    }
}

impl View {
    pub(crate) fn new(camera: &Camera) -> Self {
        let tilt = camera.tilt_deg.to_radians();
        Self {
            position: Vec3::new(0.0, 0.0, camera.height_m),
            focal: camera.focal_px,
            center: Vec2::new(camera.width_px as f32, camera.height_px as f32) * 0.5,
            sin_tilt: libm::sinf(tilt),
            cos_tilt: libm::cosf(tilt),
        }
    }

    /// Picture point and depth along the optical axis of a point in front of the camera.
    pub(crate) fn project(&self, point: Vec3) -> Option<(Vec2, f32)> {
        let d = point - self.position;
        let depth = d.y * self.cos_tilt - d.z * self.sin_tilt;
        let down = -d.y * self.sin_tilt - d.z * self.cos_tilt;
        (depth > 0.05).then(|| (self.center + Vec2::new(d.x, down) * (self.focal / depth), depth))
    }

    /// Direction through a picture point, scaled so that its length along the optical axis is 1:
    /// the parameter of a hit is then its depth.
    pub(crate) fn ray(&self, x: f32, y: f32) -> Vec3 {
        let right = (x - self.center.x) / self.focal;
        let down = (y - self.center.y) / self.focal;
        Vec3::new(
            right,
            self.cos_tilt - down * self.sin_tilt,
            -self.sin_tilt - down * self.cos_tilt,
        )
    }

    /// Pixels that a metre across the line of sight covers at `depth`.
    pub(crate) fn pixels_per_metre(&self, depth: f32) -> f32 {
        self.focal / depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAMERA: Camera = Camera {
        height_m: 5.5,
        tilt_deg: 20.0,
        focal_px: 1000.0,
        width_px: 1280,
        height_px: 720,
    };

    proptest! {
        #[test]
        fn ground_points_return_from_the_picture(x in -15.0f32..15.0, y in 3.0f32..40.0) {
            let (px, py) = CAMERA.project_ground(x, y).expect("in front of the camera");
            let (gx, gy) = CAMERA.ground_at(px, py).expect("below the horizon");
            prop_assert!((gx - x).abs() < 0.02 && (gy - y).abs() < 0.05, "({x}, {y}) came back as ({gx}, {gy})");
        }
    }

    #[test]
    fn above_the_horizon_there_is_no_ground() {
        assert_eq!(CAMERA.ground_at(640.0, -200.0), None);
    }

    #[test]
    fn the_optical_axis_meets_the_picture_in_its_middle() {
        let view = View::new(&CAMERA);
        let (point, depth) = view
            .project(view.position + view.ray(640.0, 360.0) * 9.0)
            .expect("in front");
        assert!((point - Vec2::new(640.0, 360.0)).length() < 1e-3);
        assert!((depth - 9.0).abs() < 1e-4);
    }
}

//! The level ground that people stand on: from a point of the frame to feet, and back.

mod homography;

use crate::point::Point;
use homography::Homography;
pub use homography::{HomographyError, MAX_CORRESPONDENCES};
use thiserror::Error;

/// Feet in a metre.
pub const FEET_PER_METRE: f64 = 1.0 / 0.3048;

/// A point of the ground, in feet from the point below the camera.
///
/// The contract's tables swap `x` and `y`; its published numbers are as here.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GroundPoint {
    /// To the right; the contract's `x`.
    pub right_ft: f64,
    /// Ahead; the contract's `y`.
    pub ahead_ft: f64,
}

impl GroundPoint {
    /// A point.
    pub fn new(right_ft: f64, ahead_ft: f64) -> Self {
        Self { right_ft, ahead_ft }
    }

    /// Distance to another point, in feet.
    pub fn distance(self, other: Self) -> f64 {
        (self.right_ft - other.right_ft).hypot(self.ahead_ft - other.ahead_ft)
    }
}

/// Where a person stands, and how fast they move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroundPosition {
    /// Position of the footprint.
    pub ground: GroundPoint,
    /// Speed in feet a second, over about the last second; 0 until it can be measured.
    pub speed_ft_s: f64,
}

/// A camera above level ground, without roll and without lens distortion. The contract's names stand beside the fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PinholeCamera {
    /// Height of the lens above the ground in feet, above 0: `cameraHeight`.
    pub height_ft: f64,
    /// Focal length in pixels of a picture `width_px` wide, above 0: `focalLength`.
    pub focal_px: f64,
    /// Angle of view from straight down, in radians, 0 to below π/2 + 0.5: `tiltupAngle`.
    pub tilt_rad: f64,
    /// Width of the picture to which the focal length refers.
    pub width_px: f64,
    /// Its height.
    pub height_px: f64,
}

/// Invalid parameters of a ground.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum GroundError {
    /// A parameter of the camera is out of range.
    #[error("camera: {member} is {value}; give {expected}")]
    BadCamera {
        /// Its name.
        member: &'static str,
        /// Its value.
        value: f64,
        /// The allowed values.
        expected: &'static str,
    },
    /// The points do not define a projection.
    #[error(transparent)]
    Homography(#[from] HomographyError),
}

/// The ground of a scene.
///
/// ```
/// use lva_zones::Point;
/// use lva_zones::ground::{Ground, PinholeCamera};
///
/// // The contract's published calibration.
/// let camera = PinholeCamera {
///     height_ft: 13.294, focal_px: 372.0, tilt_rad: 0.95819, width_px: 640.0, height_px: 360.0,
/// };
/// let corner = Ground::pinhole(camera)?.at(Point::new(0.10016, 0.27577)).expect("below the horizon");
/// assert!((corner.right_ft / -22.944 - 1.0).abs() < 0.005 && (corner.ahead_ft / 31.488 - 1.0).abs() < 0.005);
/// # Ok::<(), lva_zones::ground::GroundError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Ground {
    projection: Projection,
}

#[derive(Debug, Clone, PartialEq)]
enum Projection {
    Pinhole(PinholeCamera),
    Homography(Box<Homography>),
}

impl Ground {
    /// The ground below a camera.
    ///
    /// # Errors
    ///
    /// [`GroundError::BadCamera`] names the parameter.
    pub fn pinhole(camera: PinholeCamera) -> Result<Self, GroundError> {
        let check = |member, value: f64, range: std::ops::RangeInclusive<f64>, expected| {
            if range.contains(&value) {
                Ok(())
            } else {
                Err(GroundError::BadCamera {
                    member,
                    value,
                    expected,
                })
            }
        };
        check("height", camera.height_ft, 0.1..=1000.0, "feet, 0.1 to 1000")?;
        check("width", camera.width_px, 1.0..=100_000.0, "pixels, 1 to 100000")?;
        check(
            "picture height",
            camera.height_px,
            1.0..=100_000.0,
            "pixels, 1 to 100000",
        )?;
        let share = camera.focal_px / camera.width_px;
        if !(0.05..=50.0).contains(&share) {
            return Err(GroundError::BadCamera {
                member: "focal length",
                value: camera.focal_px,
                expected: "pixels, 0.05 to 50 times the width of the picture to which it refers",
            });
        }
        check(
            "tilt",
            camera.tilt_rad,
            0.0..=std::f64::consts::FRAC_PI_2 + 0.5,
            "radians from straight down, 0 to 2.07",
        )?;
        Ok(Self {
            projection: Projection::Pinhole(camera),
        })
    }

    /// Ground of which four or more points are known in the frame, such as the corners of a parking space.
    ///
    /// # Errors
    ///
    /// [`GroundError::Homography`]: too few points, collinear points, or points in a different order in frame and ground.
    pub fn from_points(pairs: &[(Point, GroundPoint)]) -> Result<Self, GroundError> {
        let homography = Homography::new(pairs)?;
        Ok(Self {
            projection: Projection::Homography(Box::new(homography)),
        })
    }

    /// The camera, for a ground made with [`pinhole`](Self::pinhole).
    pub fn camera(&self) -> Option<&PinholeCamera> {
        match &self.projection {
            Projection::Pinhole(camera) => Some(camera),
            Projection::Homography(_) => None,
        }
    }

    /// Root mean square distance of the known points from their projections, in feet; 0 for a camera. With four points it
    /// is always about 0: a fifth shows whether they fit.
    pub fn reprojection_error_ft(&self) -> f64 {
        match &self.projection {
            Projection::Pinhole(_) => 0.0,
            Projection::Homography(homography) => homography.error_ft(),
        }
    }

    /// The ground at a point of the frame; `None` at and above the horizon.
    pub fn at(&self, point: Point) -> Option<GroundPoint> {
        let at = match &self.projection {
            Projection::Pinhole(camera) => camera.ground_at(point),
            Projection::Homography(homography) => homography.ground_at(point),
        }?;
        (at.right_ft.is_finite() && at.ahead_ft.is_finite()).then_some(at)
    }

    /// The frame's point of a ground point, possibly outside the frame; `None` behind the camera.
    pub fn picture(&self, at: GroundPoint) -> Option<Point> {
        let point = match &self.projection {
            Projection::Pinhole(camera) => camera.picture_of(at, 0.0),
            Projection::Homography(homography) => homography.picture_of(at),
        }?;
        (point.x.is_finite() && point.y.is_finite()).then_some(point)
    }
}

impl PinholeCamera {
    fn ground_at(&self, point: Point) -> Option<GroundPoint> {
        let (sin, cos) = self.tilt_rad.sin_cos();
        let right = (point.x - 0.5) * self.width_px / self.focal_px;
        let down = (point.y - 0.5) * self.height_px / self.focal_px;
        let depth = cos + down * sin;
        (depth > 1e-9).then(|| {
            GroundPoint::new(
                self.height_ft * right / depth,
                self.height_ft * (sin - down * cos) / depth,
            )
        })
    }

    /// The frame's point of what is `above_ft` above a point of the ground.
    pub(crate) fn picture_of(&self, at: GroundPoint, above_ft: f64) -> Option<Point> {
        let (sin, cos) = self.tilt_rad.sin_cos();
        let below = self.height_ft - above_ft;
        // Along the optical axis, which looks down by `cos` and ahead by `sin`.
        let depth = below * cos + at.ahead_ft * sin;
        (depth > 1e-9).then(|| {
            let right = at.right_ft / depth;
            let down = (below * sin - at.ahead_ft * cos) / depth;
            Point::new(
                0.5 + right * self.focal_px / self.width_px,
                0.5 + down * self.focal_px / self.height_px,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: PinholeCamera = PinholeCamera {
        height_ft: 12.994,
        focal_px: 401.28,
        tilt_rad: 1.05767,
        width_px: 608.0,
        height_px: 342.0,
    };

    #[test]
    fn the_bottom_centres_of_the_published_distance_sample() {
        let ground = Ground::pinhole(CAMERA).expect("valid");
        for (point, right, ahead) in [
            (Point::new(0.452_516_65, 0.648_840_25), -1.55, 17.48),
            (Point::new(0.582_889_86, 0.618_331_11), 2.82, 18.45),
        ] {
            let at = ground.at(point).expect("below the horizon");
            assert!(
                (at.right_ft - right).abs() < 0.01 && (at.ahead_ft - ahead).abs() < 0.01,
                "{at:?}"
            );
            let back = ground.picture(at).expect("in front");
            assert!((back.x - point.x).abs() < 1e-9 && (back.y - point.y).abs() < 1e-9);
        }
        assert_eq!(ground.at(Point::new(0.5, -0.9)), None);
        assert_eq!(ground.picture(GroundPoint::new(0.0, -100.0)), None);
    }

    #[test]
    fn impossible_cameras_are_refused_by_parameter() {
        let message = |camera| Ground::pinhole(camera).expect_err("a bad camera").to_string();
        assert!(
            message(PinholeCamera {
                height_ft: f64::NAN,
                ..CAMERA
            })
            .starts_with("camera: height is NaN")
        );
        assert!(
            message(PinholeCamera {
                focal_px: 0.0,
                ..CAMERA
            })
            .contains("focal length is 0")
        );
        assert!(
            message(PinholeCamera {
                tilt_rad: 3.0,
                ..CAMERA
            })
            .contains("tilt is 3")
        );
        assert!(
            message(PinholeCamera {
                width_px: f64::INFINITY,
                ..CAMERA
            })
            .contains("width is inf")
        );
    }
}

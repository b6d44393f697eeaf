//! The level ground that people stand on: from a point of the picture to feet, and back.

mod calibrator;
mod homography;

use crate::observation::{BoundingBox, Point};
pub use calibrator::{Calibration, CalibrationError, Calibrator, CalibratorOptions, PERSON_HEIGHT_FT};
use homography::Homography;
pub use homography::{HomographyError, MAX_CORRESPONDENCES};
use thiserror::Error;

/// Feet in a metre.
pub const FEET_PER_METRE: f64 = 1.0 / 0.3048;

/// A point of the ground, in feet, seen from where the camera hangs.
///
/// The contract's tables describe its `x` and `y` the other way round; its published numbers are as here, and these are
/// followed.
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

    /// How far another point is, in feet.
    pub fn distance(self, other: Self) -> f64 {
        (self.right_ft - other.right_ft).hypot(self.ahead_ft - other.ahead_ft)
    }
}

/// Where somebody stands and how fast they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Where, by the footprint.
    pub ground: GroundPoint,
    /// Feet a second over about the last second; 0 until it can be told.
    pub speed_ft_s: f64,
}

/// A camera over a level floor, without roll and without lens distortion, in the contract's words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PinholeCamera {
    /// Height of the lens above the floor in feet, above 0: `cameraHeight`.
    pub height_ft: f64,
    /// Focal length in pixels of a picture `width_px` wide, above 0: `focalLength`.
    pub focal_px: f64,
    /// Angle of view from straight down, in radians, 0 to below π/2 + 0.5: `tiltupAngle`.
    pub tilt_rad: f64,
    /// Width of the picture that the focal length belongs to.
    pub width_px: f64,
    /// Its height.
    pub height_px: f64,
}

/// Numbers of which no ground can be made.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum GroundError {
    /// A number of the camera that cannot be.
    #[error("camera: {member} is {value}; give {expected}")]
    BadCamera {
        /// Which.
        member: &'static str,
        /// What it is.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// Points of which no projection can be made.
    #[error(transparent)]
    Homography(#[from] HomographyError),
}

/// The ground of a scene.
///
/// ```
/// use lva_zones::{Ground, PinholeCamera, Point};
///
/// // The contract's published calibration.
/// let camera = PinholeCamera {
///     height_ft: 13.294, focal_px: 372.0, tilt_rad: 0.95819, width_px: 640.0, height_px: 360.0,
/// };
/// let corner = Ground::pinhole(camera)?.at(Point::new(0.10016, 0.27577)).expect("below the horizon");
/// assert!((corner.right_ft / -22.944 - 1.0).abs() < 0.005 && (corner.ahead_ft / 31.488 - 1.0).abs() < 0.005);
/// # Ok::<(), lva_zones::GroundError>(())
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
    /// The floor under a camera.
    ///
    /// # Errors
    ///
    /// [`GroundError::BadCamera`] names the number.
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
                expected: "pixels, 0.05 to 50 times the width of the picture that it belongs to",
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

    /// A floor of which four or more points are known in the picture: corners of a rectangle of tiles, say.
    ///
    /// # Errors
    ///
    /// [`GroundError::Homography`]: too few points, points in a line, or points in another order here than there.
    pub fn from_points(pairs: &[(Point, GroundPoint)]) -> Result<Self, GroundError> {
        let homography = Homography::new(pairs)?;
        Ok(Self {
            projection: Projection::Homography(Box::new(homography)),
        })
    }

    /// The camera, where the ground was made of one.
    pub fn camera(&self) -> Option<&PinholeCamera> {
        match &self.projection {
            Projection::Pinhole(camera) => Some(camera),
            Projection::Homography(_) => None,
        }
    }

    /// How far known points lie from where they should, in feet, root mean square; 0 for a camera. With four points it
    /// is always about 0: a fifth shows whether they fit together.
    pub fn reprojection_error_ft(&self) -> f64 {
        match &self.projection {
            Projection::Pinhole(_) => 0.0,
            Projection::Homography(homography) => homography.error_ft(),
        }
    }

    /// Where a point of the picture lies on the ground; `None` at and above the horizon.
    pub fn at(&self, point: Point) -> Option<GroundPoint> {
        let at = match &self.projection {
            Projection::Pinhole(camera) => camera.ground_at(point),
            Projection::Homography(homography) => homography.ground_at(point),
        }?;
        (at.right_ft.is_finite() && at.ahead_ft.is_finite()).then_some(at)
    }

    /// Where a point of the ground lies in the picture, maybe outside it; `None` behind the camera.
    pub fn picture(&self, at: GroundPoint) -> Option<Point> {
        let point = match &self.projection {
            Projection::Pinhole(camera) => camera.picture_of(at, 0.0),
            Projection::Homography(homography) => homography.picture_of(at),
        }?;
        (point.x.is_finite() && point.y.is_finite()).then_some(point)
    }
}

/// Share of a person's height by which the footprint lies above the bottom of the box: 2 to 7 % in the published
/// samples.
pub(crate) const FOOTPRINT_LIFT: f64 = 0.04;

/// The footprint of a box in fractions of the frame.
pub(crate) fn footprint(bbox: &BoundingBox) -> Point {
    Point::new(
        f64::from(bbox.left) + f64::from(bbox.width) / 2.0,
        f64::from(bbox.top) + f64::from(bbox.height) * (1.0 - FOOTPRINT_LIFT),
    )
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

    /// The picture of what is so many feet above a point of the ground.
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
        let ground = Ground::pinhole(CAMERA).expect("sound");
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
    fn cameras_that_cannot_be_are_refused_by_member() {
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

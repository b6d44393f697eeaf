//! A projection between two planes from pairs of points: the direct linear transform with Hartley's normalisation.

use super::GroundPoint;
use crate::point::Point;
use thiserror::Error;

/// Most pairs of points of a ground.
pub const MAX_CORRESPONDENCES: usize = 256;

/// Points that do not define a projection.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum HomographyError {
    /// Fewer than four pairs, or more than [`MAX_CORRESPONDENCES`].
    #[error("{given} pairs of points; give 4 to {MAX_CORRESPONDENCES}")]
    Count {
        /// How many.
        given: usize,
    },
    /// A coordinate is not finite, or too large.
    #[error("pair {number}: a coordinate is {value}; give finite numbers of at most a million")]
    BadNumber {
        /// The pair, counted from 1.
        number: usize,
        /// The coordinate.
        value: f64,
    },
    /// Too many of the points are collinear or coincide.
    #[error("the points lie on one line or on each other; give four of which no three are in a line")]
    Collinear,
    /// The points run clockwise in the frame and counterclockwise on the ground, or lie on both sides of the horizon.
    #[error(
        "the points are in another order on the ground than in the picture; check which belongs to which"
    )]
    Crossing,
}

type Matrix = [[f64; 3]; 3];
/// A point of either plane.
type Pair = (f64, f64);

/// Maps the frame to the ground and back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Homography {
    to_ground: Matrix,
    to_picture: Matrix,
    error_ft: f64,
}

impl Homography {
    pub(super) fn new(pairs: &[(Point, GroundPoint)]) -> Result<Self, HomographyError> {
        if !(4..=MAX_CORRESPONDENCES).contains(&pairs.len()) {
            return Err(HomographyError::Count { given: pairs.len() });
        }
        for (index, (p, g)) in pairs.iter().enumerate() {
            for value in [p.x, p.y, g.right_ft, g.ahead_ft] {
                // Not a comparison with a limit: NaN must fail it.
                if !(-1e6..=1e6).contains(&value) {
                    return Err(HomographyError::BadNumber {
                        number: index + 1,
                        value,
                    });
                }
            }
        }
        let picture: Vec<_> = pairs.iter().map(|(p, _)| (p.x, p.y)).collect();
        let ground: Vec<_> = pairs.iter().map(|(_, g)| (g.right_ft, g.ahead_ft)).collect();
        let (from, to) = (normalisation(&picture)?, normalisation(&ground)?);
        let normal: Vec<_> = picture
            .iter()
            .zip(&ground)
            .map(|(p, g)| (apply(&from, *p), apply(&to, *g)))
            .map(|(p, g)| Some((p?, g?)))
            .collect::<Option<_>>()
            .ok_or(HomographyError::Collinear)?;
        let inner = solve(&normal).ok_or_else(|| {
            let (from, to): (Vec<_>, Vec<_>) = normal.iter().copied().unzip();
            // Four points in general position always have a projection, but its horizon may cross their centre: a bow tie.
            match (&from[..], &to[..]) {
                ([_, _, _, _], [_, _, _, _]) if !three_in_line(&from) && !three_in_line(&to) => {
                    HomographyError::Crossing
                }
                _ => HomographyError::Collinear,
            }
        })?;
        // Undo the normalisation: ground = to⁻¹ · inner · from.
        let to_back = inverse(&to).ok_or(HomographyError::Collinear)?;
        let to_ground = product(&to_back, &product(&inner, &from));
        let to_picture = inverse(&to_ground).ok_or(HomographyError::Collinear)?;
        // All points must lie on the same side of the horizon.
        let sign = picture.iter().map(|p| weight(&to_ground, *p)).collect::<Vec<_>>();
        let positive = sign.iter().all(|w| *w > 1e-9);
        let negative = sign.iter().all(|w| *w < -1e-9);
        if !positive && !negative {
            return Err(HomographyError::Crossing);
        }
        let flipped = |m: Matrix| m.map(|row| row.map(|v| -v));
        let to_ground = if negative { flipped(to_ground) } else { to_ground };
        let to_picture = if ground.first().is_some_and(|g| weight(&to_picture, *g) < 0.0) {
            flipped(to_picture)
        } else {
            to_picture
        };
        let off = |(p, g): (&(f64, f64), &(f64, f64))| {
            apply(&to_ground, *p).map_or(f64::INFINITY, |a| (a.0 - g.0).powi(2) + (a.1 - g.1).powi(2))
        };
        let squares: f64 = picture.iter().zip(&ground).map(off).sum();
        Ok(Self {
            to_ground,
            to_picture,
            error_ft: (squares / pairs.len() as f64).sqrt(),
        })
    }

    pub(super) fn error_ft(&self) -> f64 {
        self.error_ft
    }

    pub(super) fn ground_at(&self, point: Point) -> Option<GroundPoint> {
        let (right, ahead) = apply_in_front(&self.to_ground, (point.x, point.y))?;
        Some(GroundPoint::new(right, ahead))
    }

    pub(super) fn picture_of(&self, at: GroundPoint) -> Option<Point> {
        let (x, y) = apply_in_front(&self.to_picture, (at.right_ft, at.ahead_ft))?;
        Some(Point::new(x, y))
    }
}

fn weight(m: &Matrix, (x, y): (f64, f64)) -> f64 {
    let [_, _, [a, b, c]] = m;
    a * x + b * y + c
}

fn apply(m: &Matrix, (x, y): (f64, f64)) -> Option<(f64, f64)> {
    let [[a, b, c], [d, e, f], _] = m;
    let w = weight(m, (x, y));
    (w.abs() > 1e-12).then(|| ((a * x + b * y + c) / w, (d * x + e * y + f) / w))
}

fn apply_in_front(m: &Matrix, point: (f64, f64)) -> Option<(f64, f64)> {
    (weight(m, point) > 1e-12).then(|| apply(m, point)).flatten()
}

/// Whether any three points lie on one line, in normalised coordinates.
fn three_in_line(points: &[(f64, f64)]) -> bool {
    let area =
        |a: (f64, f64), b: (f64, f64), c: (f64, f64)| (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0);
    points.iter().enumerate().any(|(i, a)| {
        points
            .iter()
            .enumerate()
            .skip(i + 1)
            .any(|(j, b)| points.iter().skip(j + 1).any(|c| area(*a, *b, *c).abs() < 1e-6))
    })
}

/// Moves the centre of the points to the origin and scales their mean distance from it to √2.
fn normalisation(points: &[(f64, f64)]) -> Result<Matrix, HomographyError> {
    let count = points.len() as f64;
    let sum = points.iter().fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
    let centre = (sum.0 / count, sum.1 / count);
    let mean = points
        .iter()
        .map(|p| (p.0 - centre.0).hypot(p.1 - centre.1))
        .sum::<f64>()
        / count;
    if mean <= 1e-12 {
        return Err(HomographyError::Collinear);
    }
    let scale = std::f64::consts::SQRT_2 / mean;
    Ok([
        [scale, 0.0, -scale * centre.0],
        [0.0, scale, -scale * centre.1],
        [0.0, 0.0, 1.0],
    ])
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let mut out = [[0.0; 3]; 3];
    for (row, a) in out.iter_mut().zip(a) {
        for (a, b) in a.iter().zip(b) {
            for (cell, b) in row.iter_mut().zip(b) {
                *cell += a * b;
            }
        }
    }
    out
}

fn inverse(m: &Matrix) -> Option<Matrix> {
    let [[a, b, c], [d, e, f], [g, h, i]] = *m;
    let (p, q, r) = (e * i - f * h, f * g - d * i, d * h - e * g);
    let determinant = a * p + b * q + c * r;
    if determinant.abs() < 1e-14 {
        return None;
    }
    let cells = [
        [p, c * h - b * i, b * f - c * e],
        [q, a * i - c * g, c * d - a * f],
        [r, b * g - a * h, a * e - b * d],
    ];
    Some(cells.map(|row| row.map(|v| v / determinant)))
}

/// The eight free parameters of the projection, by least squares. The ninth is 1: in normalised coordinates it is close to
/// 0 only when the horizon crosses the centre of the points.
#[allow(clippy::indexing_slicing)] // All indices come from loops over the arrays' own lengths.
fn solve(pairs: &[(Pair, Pair)]) -> Option<Matrix> {
    let mut system = [[0.0; 9]; 8];
    for ((x, y), (u, v)) in pairs.iter().copied() {
        let rows = [
            ([x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y], u),
            ([0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y], v),
        ];
        for (row, value) in rows {
            for i in 0..8 {
                for j in 0..8 {
                    system[i][j] += row[i] * row[j];
                }
                system[i][8] += row[i] * value;
            }
        }
    }
    for pivot in 0..8 {
        let best = (pivot..8).max_by(|a, b| system[*a][pivot].abs().total_cmp(&system[*b][pivot].abs()))?;
        system.swap(pivot, best);
        if system[pivot][pivot].abs() < 1e-9 {
            return None;
        }
        let lead = system[pivot];
        for row in system.iter_mut().skip(pivot + 1) {
            let factor = row[pivot] / lead[pivot];
            for (cell, value) in row.iter_mut().zip(lead) {
                *cell -= factor * value;
            }
        }
    }
    let mut h = [0.0; 8];
    for row in (0..8).rev() {
        let known: f64 = (row + 1..8).map(|k| system[row][k] * h[k]).sum();
        h[row] = (system[row][8] - known) / system[row][row];
    }
    let [a, b, c, d, e, f, g, i] = h;
    h.iter()
        .all(|v| v.is_finite())
        .then_some([[a, b, c], [d, e, f], [g, i, 1.0]])
}

#[cfg(test)]
mod tests {
    use super::super::{Ground, PinholeCamera};
    use super::*;

    fn camera() -> Ground {
        Ground::pinhole(PinholeCamera {
            height_ft: 13.0,
            focal_px: 400.0,
            tilt_rad: 1.0,
            width_px: 640.0,
            height_px: 360.0,
        })
        .expect("valid")
    }

    fn pairs(points: &[(f64, f64)]) -> Vec<(Point, GroundPoint)> {
        let ground = camera();
        let at = |(x, y): &(f64, f64)| GroundPoint::new(*x, *y);
        points
            .iter()
            .map(|p| (ground.picture(at(p)).expect("in front"), at(p)))
            .collect()
    }

    #[test]
    fn four_points_of_a_camera_give_its_ground() {
        let ground = Ground::from_points(&pairs(&[(-5.0, 10.0), (6.0, 11.0), (5.0, 30.0), (-4.0, 25.0)]))
            .expect("valid");
        assert!(ground.reprojection_error_ft() < 1e-9);
        for (x, y) in [(0.2, 0.4), (0.7, 0.9), (0.5, 0.5)] {
            let (a, b) = (
                ground.at(Point::new(x, y)).expect("ground"),
                camera().at(Point::new(x, y)).expect("ground"),
            );
            assert!(a.distance(b) < 1e-6 * (1.0 + b.ahead_ft), "{a:?} {b:?}");
            let back = ground.picture(a).expect("in front");
            assert!((back.x - x).abs() < 1e-9 && (back.y - y).abs() < 1e-9);
        }
        // Above the camera's horizon.
        assert_eq!(ground.at(Point::new(0.5, -0.4)), None);
    }

    #[test]
    fn a_fifth_point_that_does_not_fit_shows_in_the_error() {
        let mut points = pairs(&[(-5.0, 10.0), (6.0, 11.0), (5.0, 30.0), (-4.0, 25.0), (0.0, 18.0)]);
        assert!(
            Ground::from_points(&points)
                .expect("valid")
                .reprojection_error_ft()
                < 1e-6
        );
        points[4].1.ahead_ft += 2.0;
        let error = Ground::from_points(&points)
            .expect("valid")
            .reprojection_error_ft();
        assert!((0.2..2.0).contains(&error), "{error}");
    }

    #[test]
    fn degenerate_points_are_refused_with_the_reason() {
        let square = pairs(&[(-5.0, 10.0), (5.0, 10.0), (5.0, 20.0), (-5.0, 20.0)]);
        assert_eq!(
            Homography::new(&square[..3]),
            Err(HomographyError::Count { given: 3 })
        );
        let in_line = pairs(&[(0.0, 10.0), (0.0, 12.0), (0.0, 14.0), (5.0, 20.0)]);
        assert_eq!(Homography::new(&in_line), Err(HomographyError::Collinear));
        let mut crossing = square.clone();
        crossing.swap(0, 1);
        let (a, b) = (crossing[0].1, crossing[1].1);
        crossing[0].1 = b;
        crossing[1].1 = a;
        let swapped: Vec<_> = square
            .iter()
            .zip([0, 2, 1, 3])
            .map(|((p, _), other)| (*p, square[other].1))
            .collect();
        assert_eq!(Homography::new(&swapped), Err(HomographyError::Crossing));
        let mut nan = square;
        nan[2].0.x = f64::NAN;
        assert!(matches!(
            Homography::new(&nan),
            Err(HomographyError::BadNumber { number: 3, .. })
        ));
    }
}

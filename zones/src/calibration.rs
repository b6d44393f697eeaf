//! Camera calibration from observed people, who are about equally tall and stand upright on the same ground.

use crate::ground::PinholeCamera;
use crate::observation::Observation;
use lva_media_types::BoundingBox;
use thiserror::Error;

/// Default height of a person in feet: the mean of adults is 5.4 to 5.7.
pub const PERSON_HEIGHT_FT: f64 = 5.6;

/// Focal length by the width of the frame that is assumed of an unknown camera: about 71° of view. The heights of people
/// hardly determine it, so the search is biased towards this.
const TYPICAL_FOCAL: f64 = 0.7;

/// How much better the fit of another focal length must be, for each factor of e between it and the typical one.
const FOCAL_BIAS: f64 = 0.5;

/// Horizontal bands of the frame, by the row of the feet, so that many near people do not outvote few far ones.
const BANDS: usize = 16;

/// Samples kept per band; newer ones replace older ones.
const BAND_SAMPLES: usize = 48;

/// Fewest samples, and bands with samples, for a calibration.
const MIN_SAMPLES: usize = 60;
const MIN_BANDS: usize = 4;

/// Settings of a [`Calibrator`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibratorOptions {
    /// Width of the frame by its height. Default 16/9.
    pub aspect: f64,
    /// Typical height of the people in feet. Default [`PERSON_HEIGHT_FT`]. All distances scale with it.
    pub person_height_ft: f64,
    /// Focal length by the width of the frame, where it is known from the lens. `None`, the default: a usual lens is
    /// assumed unless the people clearly contradict it. Its error becomes the error of distances across the frame.
    pub focal_share: Option<f64>,
}

impl Default for CalibratorOptions {
    fn default() -> Self {
        Self {
            aspect: 16.0 / 9.0,
            person_height_ft: PERSON_HEIGHT_FT,
            focal_share: None,
        }
    }
}

/// A calibration that did not succeed yet. More frames help.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// Too few people so far.
    #[error("{have} observations of people; {need} are needed")]
    TooFewSamples {
        /// Observations so far.
        have: usize,
        /// Observations needed.
        need: usize,
    },
    /// All people were equally far away.
    #[error("people were seen in {have} of 16 bands of the frame; {need} are needed, near and far")]
    NoSpread {
        /// Bands with people.
        have: usize,
        /// Observations needed.
        need: usize,
    },
    /// No camera explains how tall people appear: they do not grow towards the bottom of the frame.
    #[error("no level ground explains how tall people appear; is the camera rolled, or does it see stairs?")]
    NoFit,
}

/// A calibrated camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// The camera, for a picture 640 pixels wide.
    pub camera: PinholeCamera,
    /// Typical deviation of the boxes' heights from those that the camera would see, as a share of the height. Do not trust
    /// a calibration above about 0.1.
    pub residual: f64,
    /// Number of observations.
    pub samples: usize,
}

/// Collects observations of upright people and computes the camera from them.
///
/// For each tilt and focal length of a grid, every observation determines the height of the camera in heights of people;
/// the best pair is the one whose median height explains all boxes best. Medians ignore children, seated and half hidden
/// people as long as they are few.
#[derive(Debug, Clone)]
pub struct Calibrator {
    options: CalibratorOptions,
    bands: Vec<Band>,
}

#[derive(Debug, Clone, Default)]
struct Band {
    samples: Vec<HeightSample>,
    next: usize,
}

/// Rows of head and feet, from the centre of the frame downwards in units of its width.
#[derive(Debug, Clone, Copy)]
struct HeightSample {
    head: f64,
    feet: f64,
}

impl Calibrator {
    /// A calibrator without observations. Settings out of range fall back to their defaults.
    pub fn new(options: CalibratorOptions) -> Self {
        let default = CalibratorOptions::default();
        let aspect = options.aspect;
        let height = options.person_height_ft;
        Self {
            options: CalibratorOptions {
                aspect: if (0.01..=100.0).contains(&aspect) {
                    aspect
                } else {
                    default.aspect
                },
                person_height_ft: if (0.1..=100.0).contains(&height) {
                    height
                } else {
                    default.person_height_ft
                },
                focal_share: options.focal_share.filter(|f| (0.1..=10.0).contains(f)),
            },
            bands: vec![Band::default(); BANDS],
        }
    }

    /// Adds the people of a frame, except unconfirmed ones, those cut off by the frame, and boxes without the shape of an
    /// upright person. A few frames a second suffice.
    pub fn add(&mut self, people: &[Observation]) {
        for person in people.iter().filter(|person| person.confirmed) {
            self.add_box(&person.smoothed);
        }
    }

    fn add_box(&mut self, bbox: &BoundingBox) {
        let whole = bbox.left > 0.005 && bbox.top > 0.005 && bbox.right() < 0.995 && bbox.bottom() < 0.99;
        let slender = f64::from(bbox.height) / (f64::from(bbox.width) * self.options.aspect);
        if !bbox.is_valid() || !whole || !(1.5..=5.0).contains(&slender) {
            return;
        }
        let row = |v: f32| (f64::from(v) - 0.5) / self.options.aspect;
        let sample = HeightSample {
            head: row(bbox.top),
            feet: row(bbox.bottom()),
        };
        let band = (f64::from(bbox.bottom()) * BANDS as f64) as usize;
        if let Some(band) = self.bands.get_mut(band) {
            match band.samples.get_mut(band.next) {
                Some(slot) => *slot = sample,
                None => band.samples.push(sample),
            }
            band.next = (band.next + 1) % BAND_SAMPLES;
        }
    }

    /// The camera that explains the observations best. Takes some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// [`CalibrationError`]: not enough people yet, or nothing fits.
    pub fn solve(&self) -> Result<Calibration, CalibrationError> {
        let samples: Vec<HeightSample> = self
            .bands
            .iter()
            .flat_map(|b| b.samples.iter().copied())
            .collect();
        if samples.len() < MIN_SAMPLES {
            return Err(CalibrationError::TooFewSamples {
                have: samples.len(),
                need: MIN_SAMPLES,
            });
        }
        let have = self.bands.iter().filter(|b| !b.samples.is_empty()).count();
        if have < MIN_BANDS {
            return Err(CalibrationError::NoSpread {
                have,
                need: MIN_BANDS,
            });
        }
        let (mut tilt, mut focal) = ((1.1, 0.45), (0.9, 0.5));
        if let Some(share) = self.options.focal_share {
            focal = (share, 0.0);
        }
        let bias = |f: f64| match self.options.focal_share {
            Some(_) => 1.0,
            None => 1.0 + FOCAL_BIAS * (f / TYPICAL_FOCAL).ln().abs(),
        };
        let mut best: Option<(Fit, f64, f64)> = None;
        for _ in 0..4 {
            for i in -8..=8 {
                for j in -8..=8 {
                    if focal.1 == 0.0 && j != 0 {
                        continue;
                    }
                    let (t, f): (f64, f64) = (
                        tilt.0 + tilt.1 * f64::from(i) / 8.0,
                        focal.0 + focal.1 * f64::from(j) / 8.0,
                    );
                    if !(0.1..=1.8).contains(&t) || !(0.1..=10.0).contains(&f) {
                        continue;
                    }
                    let Some(fit) = fit(&samples, t, f) else { continue };
                    if best.is_none_or(|(b, _, g)| fit.residual * bias(f) < b.residual * bias(g)) {
                        best = Some((fit, t, f));
                    }
                }
            }
            let Some((_, t, f)) = best else { break };
            (tilt, focal) = ((t, tilt.1 / 4.0), (f, focal.1 / 4.0));
        }
        let (fit, tilt_rad, focal_share) = best.ok_or(CalibrationError::NoFit)?;
        if fit.residual > 0.3 {
            return Err(CalibrationError::NoFit);
        }
        Ok(Calibration {
            camera: PinholeCamera {
                height_ft: fit.height * self.options.person_height_ft,
                focal_px: focal_share * 640.0,
                tilt_rad,
                width_px: 640.0,
                height_px: 640.0 / self.options.aspect,
            },
            residual: fit.residual,
            samples: samples.len(),
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Fit {
    /// Height of the camera, in heights of people.
    height: f64,
    residual: f64,
}

/// How well a tilt and a focal length explain the samples.
fn fit(samples: &[HeightSample], tilt: f64, focal: f64) -> Option<Fit> {
    let (sin, cos) = tilt.sin_cos();
    // Distance ahead by height below the camera, for a row that shows the ground.
    let ahead = |row: f64| {
        let down = row / focal;
        let depth = cos + down * sin;
        (depth > 1e-6).then(|| (sin - down * cos) / depth)
    };
    let mut heights: Vec<f64> = Vec::with_capacity(samples.len());
    for sample in samples {
        let feet = ahead(sample.feet)?;
        // A head above the horizon is above the camera: only cameras lower than people see that.
        let Some(head) = ahead(sample.head) else { continue };
        if head > feet && feet > 0.0 {
            heights.push(head / (head - feet));
        }
    }
    if heights.len() * 2 < samples.len() {
        return None;
    }
    let height = median(&mut heights)?;
    let mut off: Vec<f64> = Vec::with_capacity(samples.len());
    for sample in samples {
        let feet = ahead(sample.feet)?;
        let head = feet * height / (height - 1.0);
        let row = focal * (sin - head * cos) / (cos + head * sin);
        let (tall, seen) = (sample.feet - row, sample.feet - sample.head);
        off.push((tall / seen - 1.0).abs());
    }
    // The mean of the better three quarters: a median alone ignores half of the frame.
    off.sort_by(f64::total_cmp);
    let kept = (off.len() * 3 / 4).max(1);
    let residual = off.iter().take(kept).sum::<f64>() / kept as f64;
    (height > 1.0 && residual.is_finite()).then_some(Fit { height, residual })
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::GroundPoint;
    use crate::observation::TrackId;

    fn samples(camera: PinholeCamera, height_ft: impl Fn(usize) -> f64) -> Vec<Observation> {
        let mut people = Vec::new();
        for n in 0..400 {
            let at = GroundPoint::new((n % 13) as f64 - 6.0, 12.0 + (n % 29) as f64 * 2.0);
            let (Some(feet), Some(head)) = (camera.picture_of(at, 0.0), camera.picture_of(at, height_ft(n)))
            else {
                continue;
            };
            let height = (feet.y - head.y) as f32;
            let width = height * 0.35 * 9.0 / 16.0;
            let bbox = BoundingBox::new(feet.x as f32 - width / 2.0, head.y as f32, width, height);
            people.push(Observation::new(TrackId(n as u64), bbox));
        }
        people
    }

    #[test]
    fn equal_people_give_the_camera_that_saw_them() {
        let camera = PinholeCamera {
            height_ft: 14.0,
            focal_px: 400.0,
            tilt_rad: 1.15,
            width_px: 640.0,
            height_px: 360.0,
        };
        let mut calibrator = Calibrator::new(CalibratorOptions::default());
        calibrator.add(&samples(camera, |n| 5.6 + [-0.4, 0.0, 0.3][n % 3]));
        let found = calibrator.solve().expect("enough people");
        assert!((found.camera.tilt_rad - 1.15).abs() < 0.1, "{found:?}");
        assert!((found.camera.height_ft / 14.0 - 1.0).abs() < 0.2, "{found:?}");
        let mut known = Calibrator::new(CalibratorOptions {
            focal_share: Some(400.0 / 640.0),
            ..CalibratorOptions::default()
        });
        known.add(&samples(camera, |_| 5.6));
        let found = known.solve().expect("enough people");
        assert!(
            (found.camera.tilt_rad - 1.15).abs() < 0.01 && (found.camera.height_ft / 14.0 - 1.0).abs() < 0.02,
            "{found:?}"
        );
    }

    #[test]
    fn too_little_is_refused_with_what_is_missing() {
        let calibrator = Calibrator::new(CalibratorOptions::default());
        assert_eq!(
            calibrator.solve(),
            Err(CalibrationError::TooFewSamples {
                have: 0,
                need: MIN_SAMPLES
            })
        );
        let mut one_row = Calibrator::new(CalibratorOptions::default());
        let person = Observation::new(TrackId(1), BoundingBox::new(0.4, 0.3, 0.05, 0.25));
        for _ in 0..BAND_SAMPLES * 2 {
            one_row.add(&[person]);
        }
        assert!(matches!(
            one_row.solve(),
            Err(CalibrationError::TooFewSamples {
                have: BAND_SAMPLES,
                ..
            })
        ));
    }
}

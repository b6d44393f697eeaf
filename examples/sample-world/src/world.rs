//! A clip of the plaza: any frame of it, with its truth.

use crate::backdrop::Backdrop;
use crate::crowd::{self, Walker};
use crate::draw::{Painter, Seen};
use crate::events::true_events;
use crate::plaza;
use crate::scenery::Scenery;
use crate::sensor::Sensor;
use crate::truth::{FrameTruth, Line, PersonTruth, SceneTruth, Zone};
use glam::{Vec2, Vec3};

/// Size, rate and length of a clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorldOptions {
    /// Width in pixels, 64 to 7680. Default 1280.
    pub width: u32,
    /// Height in pixels, 64 to 4320. Default 720.
    pub height: u32,
    /// Frames per second, 1 to 240. Default 30.
    pub fps: u32,
    /// Length in seconds, above 0 and at most 86,400. Default 60. The frame count is rounded.
    pub seconds: f64,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            width: 1280,
            height: 720,
            fps: 30,
            seconds: 60.0,
        }
    }
}

/// Why a world cannot be created or a frame cannot be drawn.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum WorldError {
    /// The picture size is outside the range of [`WorldOptions`].
    #[error("picture size {width}x{height} is out of range: width 64 to 7680, height 64 to 4320")]
    Size {
        /// Requested width.
        width: u32,
        /// Requested height.
        height: u32,
    },
    /// The rate is outside the range of [`WorldOptions`].
    #[error("{0} frames per second is out of range: 1 to 240")]
    Rate(u32),
    /// The length is outside the range of [`WorldOptions`].
    #[error("a length of {0} s is out of range: above 0, at most 86400")]
    Length(f64),
    /// The frame does not exist.
    #[error("frame {index} is past the end: the clip has {count} frames")]
    NoSuchFrame {
        /// Requested frame.
        index: u64,
        /// Number of frames.
        count: u64,
    },
    /// The buffer does not hold exactly one frame.
    #[error("the buffer has {actual} bytes, a frame takes {expected}")]
    BufferSize {
        /// Bytes given.
        actual: usize,
        /// Bytes of one frame: width × height × 3.
        expected: usize,
    },
}

/// The plaza with its crowd: the same seed and options give the same bytes on any machine.
#[derive(Debug, Clone)]
pub struct World {
    options: WorldOptions,
    scenery: Scenery,
    backdrop: Backdrop,
    walkers: Vec<Walker>,
    painter: Painter,
    sensor: Sensor,
    truth: SceneTruth,
}

impl World {
    /// Creates the scene: renders the static objects and simulates the crowd to the end.
    ///
    /// # Errors
    ///
    /// [`WorldError::Size`], [`WorldError::Rate`] or [`WorldError::Length`] where an option is out of range.
    pub fn new(seed: u64, options: WorldOptions) -> Result<Self, WorldError> {
        let WorldOptions {
            width,
            height,
            fps,
            seconds,
        } = options;
        if !(64..=7680).contains(&width) || !(64..=4320).contains(&height) {
            return Err(WorldError::Size { width, height });
        }
        if !(1..=240).contains(&fps) {
            return Err(WorldError::Rate(fps));
        }
        if !(seconds > 0.0 && seconds <= 86_400.0) {
            return Err(WorldError::Length(seconds));
        }
        let scenery = plaza::scenery(seed, plaza::camera(width, height));
        let backdrop = Backdrop::render(&scenery);
        let walkers = crowd::live(seed, seconds as f32, &scenery.furniture.obstacles);
        let painter = Painter::new(&scenery, &backdrop);
        let frame_count = (libm::round(seconds * f64::from(fps)) as u64).max(1);
        let truth = SceneTruth {
            seed,
            fps,
            frame_count,
            camera: scenery.camera,
            zones: zones(&scenery),
            lines: lines(&scenery),
            events: true_events(&walkers, fps, frame_count as f64 / f64::from(fps)),
        };
        let sensor = Sensor::new(scenery.exposure, 1.3);
        Ok(Self {
            options,
            scenery,
            backdrop,
            walkers,
            painter,
            sensor,
            truth,
        })
    }

    /// What is true of the whole clip.
    pub fn scene(&self) -> &SceneTruth {
        &self.truth
    }

    /// Number of frames.
    pub fn frame_count(&self) -> u64 {
        self.truth.frame_count
    }

    /// Bytes of one frame: RGB, three bytes a pixel, rows without padding.
    pub fn frame_bytes(&self) -> usize {
        self.options.width as usize * self.options.height as usize * 3
    }

    /// Draws frame `index` into `rgb` (RGB, three bytes a pixel, rows without padding) and returns what is
    /// true of it. Frames may be asked for in any order.
    ///
    /// # Errors
    ///
    /// [`WorldError::NoSuchFrame`] past the end, [`WorldError::BufferSize`] for a buffer of another size.
    pub fn render(&mut self, index: u64, rgb: &mut [u8]) -> Result<FrameTruth, WorldError> {
        let expected = self.frame_bytes();
        if rgb.len() != expected {
            return Err(WorldError::BufferSize {
                actual: rgb.len(),
                expected,
            });
        }
        let count = self.frame_count();
        if index >= count {
            return Err(WorldError::NoSuchFrame { index, count });
        }
        let seconds = index as f64 / f64::from(self.options.fps);
        let present: Vec<_> = self
            .walkers
            .iter()
            .enumerate()
            .filter_map(|(id, walker)| Some((id as u32, &walker.body, walker.pose_at(seconds)?)))
            .collect();
        let (linear, seen) = self.painter.draw(
            &self.scenery,
            &self.backdrop,
            self.scenery.light.at(seconds as f32),
            present.iter().map(|(id, body, pose)| (*body, *pose, *id)),
        );
        self.sensor
            .read_out(linear, index as u32, self.truth.seed as u32, rgb);
        let people = present
            .iter()
            .zip(seen)
            .filter_map(|((id, _, pose), seen)| person_truth(&self.scenery, *id, pose.root, seen?))
            .collect();
        Ok(FrameTruth { index, people })
    }
}

/// A person whose box reaches the picture.
pub(crate) fn person_truth(scenery: &Scenery, id: u32, root: Vec2, seen: Seen) -> Option<PersonTruth> {
    let size = Vec2::new(scenery.camera.width_px as f32, scenery.camera.height_px as f32);
    let [left, top, right, bottom] = seen.silhouette;
    let (low, high) = (Vec2::new(left, top) / size, Vec2::new(right, bottom) / size);
    let (low, high) = (
        low.clamp(Vec2::ZERO, Vec2::ONE),
        high.clamp(Vec2::ZERO, Vec2::ONE),
    );
    let extent = high - low;
    let (foot, _) = scenery.view().project(root.extend(0.0))?;
    (extent.min_element() > 0.0).then(|| PersonTruth {
        id,
        bbox: [low.x, low.y, extent.x, extent.y].map(|part| rounded(part, 1e5)),
        visible_share: rounded(seen.visible_share, 1e4),
        foot: (foot / size).to_array().map(|part| rounded(part, 1e5)),
        ground_m: root.to_array().map(|metres| rounded(metres, 1e3)),
    })
}

/// To so many parts of one: a hundredth of a pixel or a millimetre, and half the size of a truth file.
fn rounded(value: f32, parts: f32) -> f32 {
    libm::roundf(value * parts) / parts
}

fn fraction(scenery: &Scenery, ground: Vec2) -> [f32; 2] {
    let camera = &scenery.camera;
    scenery
        .view()
        .project(Vec3::new(ground.x, ground.y, 0.0))
        .map_or([0.0; 2], |(p, _)| {
            [p.x / camera.width_px as f32, p.y / camera.height_px as f32]
        })
}

fn zones(scenery: &Scenery) -> Vec<Zone> {
    plaza::ZONES
        .iter()
        .map(|(name, corners)| Zone {
            name: (*name).to_owned(),
            polygon: corners.iter().map(|corner| fraction(scenery, *corner)).collect(),
            ground_m: corners.iter().map(|corner| corner.to_array()).collect(),
        })
        .collect()
}

fn lines(scenery: &Scenery) -> Vec<Line> {
    plaza::LINES
        .iter()
        .map(|(name, start, end)| Line {
            name: (*name).to_owned(),
            start: fraction(scenery, *start),
            end: fraction(scenery, *end),
            ground_m: [start.to_array(), end.to_array()],
        })
        .collect()
}

//! The truth of a scene and of each frame, in a documented JSON form.
//!
//! All picture coordinates are fractions of width and height, `0..1`, origin top left, so that they
//! hold for every size the frame is scaled to. All ground coordinates are metres in the axes of
//! [`Camera`](crate::Camera).

use crate::camera::Camera;
use serde::{Deserialize, Serialize};

/// The truth of a clip: the content of a truth file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClipTruth {
    /// The truth of the whole clip.
    #[serde(flatten)]
    pub scene: SceneTruth,
    /// One entry per frame, in order.
    pub frames: Vec<FrameTruth>,
}

/// The truth of a scene from its first to its last frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SceneTruth {
    /// The seed of the scene.
    pub seed: u64,
    /// Frames per second.
    pub fps: u32,
    /// Number of frames.
    pub frame_count: u64,
    /// The camera: height, tilt, focal length, picture size.
    pub camera: Camera,
    /// Suggested zones.
    pub zones: Vec<Zone>,
    /// Suggested lines.
    pub lines: Vec<Line>,
    /// The true events at these zones and lines, in order of time.
    pub events: Vec<TrueEvent>,
}

/// A polygon on the ground.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Zone {
    /// Name, unique among zones and lines.
    pub name: String,
    /// Corners as fractions of the picture, not closed.
    pub polygon: Vec<[f32; 2]>,
    /// The same corners on the ground, in metres.
    pub ground_m: Vec<[f32; 2]>,
}

/// A directed line on the ground.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Name, unique among zones and lines.
    pub name: String,
    /// Start as fractions of the picture.
    pub start: [f32; 2],
    /// End as fractions of the picture.
    pub end: [f32; 2],
    /// Start and end on the ground, in metres.
    pub ground_m: [[f32; 2]; 2],
}

/// The feet of a person crossing a boundary on the ground.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrueEvent {
    /// Seconds after the first frame.
    pub seconds: f64,
    /// The first frame at or after the crossing.
    pub frame: u64,
    /// Who.
    pub person: u32,
    /// The zone's or line's name.
    pub boundary: String,
    /// What happened there.
    pub status: Crossing,
}

/// How a boundary was crossed; the words are those of the spatial-analysis events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Crossing {
    /// Into a zone, or in it when the clip begins.
    Enter,
    /// Out of a zone.
    Exit,
    /// Over a line to its left, for someone who looks from its start to its end.
    CrossLeft,
    /// Over a line to its right.
    CrossRight,
}

/// What is true of one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameTruth {
    /// Number of the frame, from 0.
    pub index: u64,
    /// The people inside the picture, including hidden ones.
    pub people: Vec<PersonTruth>,
}

/// One person in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonTruth {
    /// The person's number, the same in all frames of the clip.
    pub id: u32,
    /// Left, top, width, height of the whole body, hidden parts too, cut at the picture's edges.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// Share of the whole body that can be seen, `0..1`: neither hidden nor beyond the edges.
    pub visible_share: f32,
    /// The point on the ground between the feet, in fractions of the picture; may lie outside it.
    pub foot: [f32; 2],
    /// The same point on the ground, in metres.
    pub ground_m: [f32; 2],
}

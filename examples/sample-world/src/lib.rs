//! A drawn plaza with people whose truth is known.
#![forbid(unsafe_code)]

mod backdrop;
mod body;
mod camera;
mod crowd;
mod draw;
mod events;
mod light;
mod paint;
mod plaza;
mod random;
mod scenery;
mod sensor;
mod shape;
mod street;
mod training;
mod truth;
mod world;

pub use camera::Camera;
pub use training::TrainingScene;
pub use truth::{ClipTruth, Crossing, FrameTruth, Line, PersonTruth, SceneTruth, TrueEvent, Zone};
pub use world::{World, WorldError, WorldOptions};

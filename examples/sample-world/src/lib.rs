//! A rendered plaza with people and known ground truth, for the demo, the tests, and the training of the
//! embedded detector.
//!
//! [`World`] is a deterministic renderer. A fixed pinhole camera looks over a square in daylight: paving,
//! shop fronts, trees, benches, a poster column. People of different build, clothing and gait arrive, cross,
//! loiter, meet, occlude each other and leave. Each frame is raw RGB and has a [`FrameTruth`]: the position of
//! each person in the picture and on the ground, and the visible share. [`SceneTruth`] adds the camera,
//! suggested zones and lines, and their true events.
//!
//! **The same seed and options give the same bytes, on any machine**: elementary functions are computed in
//! software, and random numbers come from one value-stable generator.
//!
//! It is not a benchmark for the real world: people are rendered, and the weather is always fair. A good result
//! shows that the software works, not that a detector is accurate.
//!
//! ```
//! use lva_sample_world::{World, WorldOptions};
//!
//! let options = WorldOptions { width: 320, height: 180, seconds: 2.0, ..Default::default() };
//! let mut world = World::new(7, options)?;
//! let mut rgb = vec![0; world.frame_bytes()];
//! let truth = world.render(30, &mut rgb)?;
//! for person in &truth.people {
//!     println!("person {} at {:?} m, {:.0} % visible", person.id, person.ground_m, 100.0 * person.visible_share);
//! }
//! # Ok::<(), lva_sample_world::WorldError>(())
//! ```
//!
//! # How a frame is made
//!
//! `plaza` lays out the square with the furniture of `street`; `backdrop` renders static objects once, into
//! one layer lit by the sky and one lit by the sun; `crowd` simulates the people; `body` converts a pose into
//! painted solids (`shape`, `paint`); `draw` renders them onto the backdrop in the current `light`, with
//! shadows, and measures the silhouettes; `sensor` converts light to bytes. `events` derives the true events
//! at zones and lines from the tracks. `training` uses the same parts for pictures of random scenes.
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

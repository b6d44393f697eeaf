//! A drawn plaza with people whose truth is known: what demos show, what tests judge by, and what the
//! embedded detector learns from.
//!
//! [`World`] is a deterministic renderer. A fixed pinhole camera looks over a square in daylight: paving,
//! shop fronts, trees, benches, a poster column. People of different build, clothing and gait come, cross,
//! loiter, meet, hide one another and leave. Each frame is raw RGB and comes with its [`FrameTruth`]: who is
//! where, in the picture and on the ground, and how much of each can be seen. [`SceneTruth`] adds camera,
//! suggested zones and lines, and everything that really happened there.
//!
//! **The same seed and options give the same bytes, on any machine**: elementary functions are computed in
//! software, and chance comes from one value-stable generator.
//!
//! It is no benchmark of the real world. The people are drawn, the sun always shines between clouds, and
//! nobody carries an umbrella: a detector that is good here has proved its plumbing, not its eyes.
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
//! `plaza` lays out the square from `street`'s furniture; `backdrop` renders what stands still once, into
//! one layer lit by the sky and one lit by the sun; `crowd` lets people live through the clip; `body` turns a
//! moment of a life into painted solids (`shape`, `paint`); `draw` puts those into the backdrop in the `light`
//! of the moment, with shadows, and measures the silhouettes; `sensor` makes bytes of light. `events` reads the
//! truth about zones and lines from the tracks. `training` uses the same parts for stills of random places.
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

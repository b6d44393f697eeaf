//! The composition: from configuration and frames to events, without a wire and over a real one.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod any_text;
mod configuration;
mod embedded_model;
mod following;
mod forms;
mod hostile;
mod pipeline;
mod published;
mod scene;
mod session;
mod support;
mod wire;

//! The programs' parts together: drawn frames through encoder, decoder and detector.
#![allow(clippy::unwrap_used)] // helpers are no test functions

mod committed_clip;
mod embedded_model;
mod programs;
mod replay;
mod run_topology;
mod topologies;
mod tutorial;
mod video;

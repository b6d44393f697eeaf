//! The programs and their parts: drawn frames through encoder, decoder and detector.
#![allow(clippy::unwrap_used)] // for helpers, which are not test functions

mod committed_clip;
mod embedded_model;
mod engines;
mod mot;
mod programs;
mod replay;
mod run_topology;
mod topologies;
mod tutorial;
mod video;

//! The programs' parts together: drawn frames through encoder, decoder and detector.

mod committed_clip;
mod embedded_model;
mod programs;
mod tutorial;
mod video;

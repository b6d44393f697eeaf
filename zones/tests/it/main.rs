//! Tests of the crate from outside.

mod sample_world;
mod support;

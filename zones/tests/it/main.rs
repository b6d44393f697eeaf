//! Tests of the crate from outside.

mod config;
mod reports;
mod rules;
mod sample_world;
mod support;
mod tracking;

//! Tests of the crate from outside.

mod allocation;
mod config;
mod extras;
mod groups;
mod hostile;
mod metrics;
mod oracle;
mod published;
mod replay;
mod reports;
mod rules;
mod sample_world;
mod semantics;
mod sort;
mod support;
mod tracking;

//! Tests of the crate from outside.

mod allocation;
mod edges;
mod extras;
mod groups;
mod hostile;
mod metrics;
mod oracle;
mod reports;
mod rules;
mod sample_world;
mod semantics;
mod sort;
mod support;
mod tracking;
mod weak_detector;

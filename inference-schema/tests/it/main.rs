//! Tests of the crate from outside.

mod hostile;
mod round_trips;
mod samples;

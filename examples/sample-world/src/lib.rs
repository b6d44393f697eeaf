//! The sample world.

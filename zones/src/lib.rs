//! People tracking, lines, zones, counts and distances for video analytics, without clock or I/O.
//!
//! A detector says where people are in one frame. This crate will say what that means over time: which box is the
//! same person as before, who crossed which line in which direction, who entered or left a zone and how long they
//! stayed, how many there are, and how far apart they stand.
//!
//! # What it is not
//!
//! It never touches a pixel and runs no model. It has no clock: times come with the observations. It has no
//! random order either; the same input gives the same output, byte for byte.
//!
//! # Planned shape
//!
//! A `Scene` holds the configured lines and zones. `Observation`s (a person at a time) go in, `SpatialEvent`s come out,
//! and a mapping turns those into the inferences of `lva-inference-schema` in each of the four published event
//! profiles. A tracker makes observations from bare detections where they carry no identity.
//!
//! **Invariant: every visit to a zone has exactly one enter and at most one exit, in that order.**
//!
//! # Missing
//!
//! Everything so far. There is no code here yet; the crate holds its place in the workspace.
#![forbid(unsafe_code)]

//! Whole graphs over real sockets: a simulated camera, a scripted extension, files on a disk.
#![allow(clippy::unwrap_used)] // helpers of tests are no tests to clippy

mod end_to_end;
mod faults;
mod methods;
mod motion;
mod nodes;
mod onvif;
mod plant;
mod recording;
mod support;
mod together;

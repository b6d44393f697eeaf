//! Whole graphs over real sockets: a simulated camera, a scripted extension, files on a disk.
#![allow(clippy::unwrap_used)] // clippy does not count helpers of tests as tests

mod clock;
mod custom;
mod end_to_end;
mod faults;
mod full_disk;
mod handles;
mod killed;
mod life;
mod methods;
mod motion;
mod nodes;
mod observing;
mod odd_recordings;
mod onvif;
mod plant;
mod previews;
mod promise;
mod readme;
mod recording;
mod secrets;
mod site;
mod slow_disk;
mod support;
mod together;
mod two_streams;

//! Where types of one crate become those of another: one file for each seam.

pub(crate) mod camera;
pub(crate) mod extension;
pub(crate) mod motion;
pub(crate) mod onvif;
pub(crate) mod picture;
pub(crate) mod recording;
pub(crate) mod tracking;

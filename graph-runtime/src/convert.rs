//! Conversions between the types of other crates: one file for each boundary.

pub(crate) mod camera;
pub(crate) mod extension;
pub(crate) mod motion;
pub(crate) mod onvif;
pub(crate) mod picture;
pub(crate) mod recording;
pub(crate) mod tls;
pub(crate) mod tracking;

/// What this runtime does not support, before it is known at which node.
#[derive(Debug)]
pub(crate) struct Unsupported {
    pub(crate) reason: String,
    pub(crate) remedy: String,
}

impl Unsupported {
    pub(crate) fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

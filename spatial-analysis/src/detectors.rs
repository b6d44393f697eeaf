//! Detectors for the sessions of an extension.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lva_extension_protocol::BoxError;
use lva_inference::Detector;

pub use self::shared::{BatchStats, SharedDetector};

mod batches;
mod shared;

type Load = dyn Fn() -> Result<Box<dyn Detector>, BoxError> + Send + Sync;

/// Whether sessions share a detector or have one each.
#[derive(Clone)]
pub struct Detectors(Source);

#[derive(Clone)]
enum Source {
    Each(Arc<Load>),
    Shared(SharedDetector),
}

impl Detectors {
    /// One detector for all sessions. Right for expensive models (memory, a GPU) and low frame rates.
    pub fn shared(detector: impl Detector + 'static) -> Self {
        Self(Source::Shared(SharedDetector::new(detector)))
    }

    /// One detector for all sessions, which runs frames of several in one batch: see [`SharedDetector::in_batches`].
    pub fn in_batches(detector: impl Detector + 'static, wait: Duration) -> Self {
        Self(Source::Shared(SharedDetector::in_batches(detector, wait)))
    }

    /// One detector for each session. `load` runs on the session's thread when it starts, while the client waits (usually
    /// not longer than ten seconds). Right where cores are free: sessions do not wait for each other.
    ///
    /// Memory and threads are those of one detector times
    /// [`ServerOptions::with_max_sessions`](lva_extension_protocol::server::ServerOptions::with_max_sessions).
    pub fn each<D, E>(load: impl Fn() -> Result<D, E> + Send + Sync + 'static) -> Self
    where
        D: Detector + 'static,
        E: Into<BoxError>,
    {
        Self(Source::Each(Arc::new(move || {
            let detector = load().map_err(Into::into)?;
            Ok(Box::new(detector) as Box<dyn Detector>)
        })))
    }

    pub(crate) fn for_session(&self) -> Result<Box<dyn Detector>, BoxError> {
        match &self.0 {
            Source::Each(load) => load(),
            Source::Shared(detector) => Ok(Box::new(detector.clone())),
        }
    }
}

impl fmt::Debug for Detectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Each(_) => f.write_str("Detectors::each"),
            Source::Shared(shared) => f.debug_tuple("Detectors::shared").field(shared.info()).finish(),
        }
    }
}

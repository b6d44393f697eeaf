//! Detectors for the sessions of an extension.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use lva_extension_protocol::BoxError;
use lva_inference::{DetectError, Detection, Detector, DetectorInfo, Frame};
use tokio::sync::Mutex;

/// A detector that several sessions share, one frame at a time.
///
/// The longest waiting session comes first. A session has at most one frame in progress, so each of *n* busy sessions gets
/// every *n*-th turn, however fast its camera is; further frames wait at their sender. Preparing a frame is part of a turn.
/// The model is in memory once.
#[derive(Clone)]
pub struct SharedDetector {
    info: DetectorInfo,
    detector: Arc<Mutex<Box<dyn Detector>>>,
}

impl SharedDetector {
    /// Shares this detector; clones are handles to the same one.
    pub fn new(detector: impl Detector + 'static) -> Self {
        Self {
            info: detector.info().clone(),
            detector: Arc::new(Mutex::new(Box::new(detector))),
        }
    }
}

impl fmt::Debug for SharedDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedDetector").field(&self.info).finish()
    }
}

#[async_trait]
impl Detector for SharedDetector {
    fn info(&self) -> &DetectorInfo {
        &self.info
    }

    async fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        // Tokio's mutex is fair and needs no runtime.
        self.detector.lock().await.detect(frames).await
    }
}

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

    /// One detector for each session. `load` runs on the session's thread when it starts, while the client waits (usually
    /// not longer than ten seconds). Right where cores are free: sessions do not wait for each other.
    ///
    /// Memory and threads are those of one detector times
    /// [`ServerOptions::with_max_sessions`](lva_extension_protocol::ServerOptions::with_max_sessions).
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
            Source::Shared(shared) => f.debug_tuple("Detectors::shared").field(&shared.info).finish(),
        }
    }
}

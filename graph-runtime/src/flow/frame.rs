//! Decoded pictures on their way from node to node.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use lva_framing::Picture;
use lva_inference_schema::Inference;

/// A decoded picture on its way to a node.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) picture: Picture,
    pub(crate) meta: FrameMeta,
}

/// What is known about a picture besides its pixels. Boxes are fractions of the camera's picture.
#[derive(Debug)]
pub(crate) struct FrameMeta {
    pub(crate) timestamp_90k: u64,
    /// Width by height.
    pub(crate) aspect: f64,
    /// When the first packet of its unit arrived.
    pub(crate) received_at: Instant,
    /// Number of its media session; rises when the camera was disconnected for long.
    pub(crate) epoch: u64,
    /// Motion in it, where it passed a motion node.
    pub(crate) motion: Arc<[Inference]>,
    /// Results of the extensions upstream.
    pub(crate) results: Arc<[Inference]>,
    /// Held until the node is done with the frame, where other nodes follow it.
    pub(super) in_flight: Option<InFlightGuard>,
}

/// A frame that was sent to an extension or is done there. It keeps its pixels only where another node follows.
#[derive(Debug)]
pub(crate) struct InFlightFrame {
    pub(crate) meta: FrameMeta,
    pub(super) picture: Option<Picture>,
}

impl Frame {
    pub(crate) fn new(picture: Picture, received_at: Instant, epoch: u64, motion: Arc<[Inference]>) -> Self {
        let meta = FrameMeta {
            timestamp_90k: picture.timestamp_90k(),
            aspect: f64::from(picture.width()) / f64::from(picture.height().max(1)),
            received_at,
            epoch,
            motion,
            results: Arc::default(),
            in_flight: None,
        };
        Self { picture, meta }
    }

    /// The pixels to render, and what remains afterwards.
    pub(crate) fn split(self) -> (Picture, InFlightFrame) {
        let kept = self.meta.in_flight.is_some().then(|| self.picture.clone());
        let in_flight = InFlightFrame {
            meta: self.meta,
            picture: kept,
        };
        (self.picture, in_flight)
    }

    /// Without rendering.
    pub(crate) fn into_in_flight(self) -> InFlightFrame {
        self.split().1
    }
}

impl FrameMeta {
    pub(super) fn is_annotated(&self) -> bool {
        !self.motion.is_empty() || !self.results.is_empty()
    }

    /// Everything that the nodes upstream found, motion first.
    pub(crate) fn prior_results(&self) -> Arc<[Inference]> {
        match (self.motion.is_empty(), self.results.is_empty()) {
            (_, true) => Arc::clone(&self.motion),
            (true, false) => Arc::clone(&self.results),
            (false, false) => self.motion.iter().chain(self.results.iter()).cloned().collect(),
        }
    }

    /// The same for another node, without the guard of this one.
    pub(crate) fn copy(&self) -> Self {
        Self {
            timestamp_90k: self.timestamp_90k,
            aspect: self.aspect,
            received_at: self.received_at,
            epoch: self.epoch,
            motion: Arc::clone(&self.motion),
            results: Arc::clone(&self.results),
            in_flight: None,
        }
    }
}

/// Counts a frame as in flight at a node until it is dropped.
#[derive(Debug)]
pub(super) struct InFlightGuard(Arc<AtomicUsize>);

impl InFlightGuard {
    pub(super) fn new(frames: &Arc<AtomicUsize>) -> Self {
        frames.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(frames))
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

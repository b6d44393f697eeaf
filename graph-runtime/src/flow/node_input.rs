//! The input of an analysis node with the filters before it, and the fan-out to the nodes behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lva_framing::{Pacer, Picture, VideoCodec};
use parking_lot::Mutex;

use super::frame::{Frame, FrameMeta, InFlightFrame, InFlightGuard};
use super::input_slot::InputSlot;
use super::outputs::NodeOutputs;
use crate::filter::Filters;
use crate::plan::MotionId;
use crate::stats::DropReason;

/// What happens to a picture at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// A filter before the node excludes it: it goes nowhere.
    Filtered,
    /// It goes on to the nodes behind without this node's results.
    Bypassed,
    /// The node gets it.
    Delivered,
}

/// The input of one node.
#[derive(Debug)]
pub(crate) struct NodeInput {
    /// The motion node before it.
    pub(crate) motion: Option<MotionId>,
    /// Filters before the node.
    pub(crate) filters: Filters,
    /// The node's own limit, where what exceeds it goes on to other nodes; otherwise it is one of the filters.
    pub(crate) own_limit: Option<Pacer>,
    pub(crate) annotated_only: bool,
    pub(crate) slot: InputSlot,
    /// Nodes behind this one.
    pub(crate) fanout: Option<Arc<DownstreamFanout>>,
    /// Where results from upstream leave when the node does not get the frame.
    pub(crate) outputs: NodeOutputs,
}

impl NodeInput {
    pub(crate) fn admits(&mut self, time: u64, annotated: bool) -> Admission {
        if !self.filters.admit(time) {
            return Admission::Filtered;
        }
        if self.annotated_only && !annotated {
            return Admission::Bypassed;
        }
        match self.own_limit.as_mut().is_none_or(|limit| limit.admit(time)) {
            true => Admission::Delivered,
            false => Admission::Bypassed,
        }
    }

    /// The camera's video from here on, for this node and those behind it.
    pub(crate) fn set_codec(&mut self, codec: VideoCodec) {
        if self.filters.set_codec(codec) {
            tracing::warn!(
                node = self.outputs.node.name(),
                %codec,
                "the selectors of this node's input exclude the camera's video: it gets no pictures"
            );
        }
        if let Some(fanout) = &self.fanout {
            for behind in fanout.node_inputs.lock().iter_mut() {
                behind.set_codec(codec);
            }
        }
    }

    /// Counts a picture that a filter excluded.
    pub(crate) fn count_filtered(&self) {
        self.outputs.node.counters().frames().filtered.add(1);
    }

    /// Takes a picture in, as decided before.
    pub(crate) fn take(&self, mut frame: Frame, admission: Admission) {
        match admission {
            Admission::Filtered => self.count_filtered(),
            Admission::Bypassed => {
                self.count_filtered();
                self.outputs.emit_results(&frame.meta);
                if let Some(fanout) = &self.fanout {
                    fanout.pass_unless_busy(0, &frame.picture, &frame.meta);
                }
            }
            Admission::Delivered => {
                self.outputs.node.counters().frames().offered.add(1);
                let guard = |fanout: &Arc<DownstreamFanout>| InFlightGuard::new(&fanout.in_flight);
                frame.meta.in_flight = self.fanout.as_ref().map(guard);
                if let Some((replaced, reason)) = self.slot.put(frame) {
                    self.replaced(&replaced, reason);
                }
            }
        }
    }

    /// No more pictures come.
    pub(crate) fn close(&self) {
        self.slot.close();
    }

    fn replaced(&self, frame: &Frame, reason: DropReason) {
        self.outputs.node.dropped(reason, 1);
        self.outputs.emit_results(&frame.meta);
        if let Some(fanout) = &self.fanout {
            // The replaced frame and the new one are both in flight.
            fanout.pass_unless_busy(2, &frame.picture, &frame.meta);
        }
    }
}

/// Passes frames from a node to the nodes behind it, in the order of their times. A frame that bypasses the node would
/// overtake those in flight there; it is dropped, since waiting would hold its pixels.
#[derive(Debug)]
pub(crate) struct DownstreamFanout {
    node_inputs: Mutex<Vec<NodeInput>>,
    /// Frames that the node has, or that wait for it.
    in_flight: Arc<AtomicUsize>,
    /// Session and time of the latest frame that has passed.
    latest: Mutex<(u64, u64)>,
}

impl DownstreamFanout {
    pub(crate) fn new(node_inputs: Vec<NodeInput>) -> Self {
        Self {
            node_inputs: Mutex::new(node_inputs),
            in_flight: Arc::default(),
            latest: Mutex::default(),
        }
    }

    /// `own` of the frames in flight are the caller's.
    fn pass_unless_busy(&self, own: usize, picture: &Picture, meta: &FrameMeta) {
        if self.in_flight.load(Ordering::Acquire) <= own {
            self.pass(picture, meta);
        } else {
            self.drop_for_all();
        }
    }

    /// The frame would overtake another one, or comes after a later one. Filters are not asked, so that they admit the next
    /// frame that does come.
    fn drop_for_all(&self) {
        for node_input in self.node_inputs.lock().iter() {
            let node = &node_input.outputs.node;
            node.counters().frames().offered.add(1);
            node.dropped(DropReason::UpstreamBusy, 1);
        }
    }

    /// Passes a frame that the node is done with, if it still has its pixels.
    pub(crate) fn pass_done(&self, frame: &InFlightFrame) {
        if let Some(picture) = &frame.picture {
            self.pass(picture, &frame.meta);
        }
    }

    fn pass(&self, picture: &Picture, meta: &FrameMeta) {
        let now = (meta.epoch, meta.timestamp_90k);
        let mut latest = self.latest.lock();
        if now <= *latest {
            drop(latest);
            return self.drop_for_all();
        }
        *latest = now;
        drop(latest);
        for node_input in self.node_inputs.lock().iter_mut() {
            let admission = node_input.admits(meta.timestamp_90k, meta.is_annotated());
            let frame = Frame {
                picture: picture.clone(),
                meta: meta.copy(),
            };
            node_input.take(frame, admission);
        }
    }

    /// No more pictures come.
    pub(crate) fn close(&self) {
        for node_input in self.node_inputs.lock().iter() {
            node_input.close();
        }
    }
}

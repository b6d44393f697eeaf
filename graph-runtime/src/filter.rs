//! Nodes that only drop frames, such as the frame rate filter. They decide by media time, before a picture is decoded.

use lva_framing::Pacer;
use lva_graph_model::Node;

use crate::convert::Unsupported;
use crate::convert::picture::frame_rate;

/// The filters on the path to a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filters(Vec<Pacer>);

impl Filters {
    /// Adds a node of the path. Returns whether it is a filter.
    pub(crate) fn add(&mut self, node: &Node) -> Result<bool, Unsupported> {
        let Node::FrameRateFilter(filter) = node else {
            return Ok(false);
        };
        if let Some(rate) = filter.maximum_fps {
            self.limit(Pacer::new(frame_rate(rate)?));
        }
        Ok(true)
    }

    /// Adds a node's own limit.
    pub(crate) fn limit(&mut self, pacer: Pacer) {
        self.0.push(pacer);
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a picture passes. Every filter counts what reaches it, so a later one is not asked about what an earlier one
    /// excludes.
    pub(crate) fn admit(&mut self, time_90k: u64) -> bool {
        self.0.iter_mut().all(|pacer| pacer.admit(time_90k))
    }

    /// Time between pictures at the slowest filter; `None` for every picture.
    pub(crate) fn interval_90k(&self) -> Option<u64> {
        self.0.iter().map(|pacer| pacer.rate().interval_90k()).max()
    }

    /// No picture before this time passes; `None` where the next one may.
    pub(crate) fn not_before_90k(&self) -> Option<u64> {
        self.0.iter().filter_map(Pacer::not_before_90k).max()
    }
}

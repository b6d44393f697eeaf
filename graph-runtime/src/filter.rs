//! Nodes that only drop frames, such as the frame rate filter.
//!
//! They are not run as nodes: each node behind them asks those on its path, in the order in which a frame meets them. All of
//! them decide by media time, so a picture that no node gets is not decoded. A filter that decides by the picture is another
//! variant of [`Filter`]; [`Filters::admit`] ends before it, and it and the filters behind it are asked where the picture is
//! at hand: in `NodeInput::take` and `MotionNode::process`.

use lva_framing::Pacer;
use lva_graph_model::Node;

use crate::convert::Unsupported;
use crate::convert::picture::frame_rate;

/// One filter.
#[derive(Debug, Clone)]
enum Filter {
    /// At most so many frames a second of media time.
    Rate(Pacer),
}

impl Filter {
    fn admit(&mut self, time_90k: u64) -> bool {
        match self {
            Self::Rate(pacer) => pacer.admit(time_90k),
        }
    }

    fn interval_90k(&self) -> Option<u64> {
        match self {
            Self::Rate(pacer) => Some(pacer.rate().interval_90k()),
        }
    }

    fn not_before_90k(&self) -> Option<u64> {
        match self {
            Self::Rate(pacer) => pacer.not_before_90k(),
        }
    }
}

/// Whether a node only drops frames; results pass it.
pub(crate) fn is_filter(node: &Node) -> bool {
    matches!(node, Node::FrameRateFilter(_))
}

/// The filters on the path to a node, in the order in which frames meet them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filters(Vec<Filter>);

impl Filters {
    /// Adds the node before those that were added. Returns whether it is a filter.
    pub(crate) fn add_upstream(&mut self, node: &Node) -> Result<bool, Unsupported> {
        if let Node::FrameRateFilter(filter) = node
            && let Some(rate) = filter.maximum_fps
        {
            self.0.insert(0, Filter::Rate(Pacer::new(frame_rate(rate)?)));
        }
        Ok(is_filter(node))
    }

    /// Adds a node's own limit, which frames meet last.
    pub(crate) fn limit(&mut self, pacer: Pacer) {
        self.0.push(Filter::Rate(pacer));
    }

    #[cfg(test)]
    pub(crate) fn intervals_90k(&self) -> Vec<Option<u64>> {
        self.0.iter().map(Filter::interval_90k).collect()
    }

    /// Whether a picture passes. Every filter counts what reaches it, so a later one is not asked about what an earlier one
    /// excludes.
    pub(crate) fn admit(&mut self, time_90k: u64) -> bool {
        self.0.iter_mut().all(|filter| filter.admit(time_90k))
    }

    /// Time between pictures at the slowest filter; `None` for every picture.
    pub(crate) fn interval_90k(&self) -> Option<u64> {
        self.0.iter().filter_map(Filter::interval_90k).max()
    }

    /// No picture before this time passes; `None` where the next one may.
    pub(crate) fn not_before_90k(&self) -> Option<u64> {
        self.0.iter().filter_map(Filter::not_before_90k).max()
    }
}

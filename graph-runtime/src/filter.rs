//! Nodes that only drop frames, such as the frame rate filter, and the selectors of inputs.
//!
//! They are not run as nodes: each node behind them asks those on its path, in the order in which a frame meets them. All of
//! them decide by media time, so a picture that no node gets is not decoded. A filter that decides by the picture is another
//! variant of [`Filter`]; [`Filters::admit`] ends before it, and it and the filters behind it are asked where the picture is
//! at hand: in `NodeInput::take` and `MotionNode::process`.

use lva_framing::{Pacer, VideoCodec};
use lva_graph_model::Node;

use crate::convert::picture::frame_rate;
use crate::convert::recording::MediaSelection;

/// One filter.
#[derive(Debug, Clone)]
enum Filter {
    /// At most so many frames a second of media time.
    Rate(Pacer),
    /// Video of the selected types.
    Media {
        selection: MediaSelection,
        /// Whether the camera's video is another.
        excludes: bool,
    },
}

impl Filter {
    fn admit(&mut self, time_90k: u64) -> bool {
        match self {
            Self::Rate(pacer) => pacer.admit(time_90k),
            Self::Media { excludes, .. } => !*excludes,
        }
    }

    fn interval_90k(&self) -> Option<u64> {
        match self {
            Self::Rate(pacer) => Some(pacer.rate().interval_90k()),
            Self::Media { .. } => None,
        }
    }

    fn not_before_90k(&self) -> Option<u64> {
        match self {
            Self::Rate(pacer) => pacer.not_before_90k(),
            Self::Media { .. } => None,
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
    pub(crate) fn add_upstream(&mut self, node: &Node) -> bool {
        if let Node::FrameRateFilter(filter) = node
            && let Some(rate) = filter.maximum_fps
        {
            self.0.insert(0, Filter::Rate(Pacer::new(frame_rate(rate))));
        }
        is_filter(node)
    }

    /// Adds the selectors of the inputs on the path, which frames meet first.
    pub(crate) fn select(&mut self, selection: MediaSelection) {
        if !selection.is_everything() {
            let excludes = false;
            self.0.insert(0, Filter::Media { selection, excludes });
        }
    }

    /// The camera's video from here on. Returns whether the selectors exclude it.
    pub(crate) fn set_codec(&mut self, codec: VideoCodec) -> bool {
        let mut excluded = false;
        for filter in &mut self.0 {
            if let Filter::Media { selection, excludes } = filter {
                *excludes = !selection.passes_codec(codec);
                excluded |= *excludes;
            }
        }
        excluded
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

//! Sinks.

use std::time::Duration;

use crate::template::Pattern;

/// Emits events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubMessageSink {
    /// The module's output; `None` if the document has none (LVA 1.0).
    pub hub_output_name: Option<String>,
}

/// Records into an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetSink {
    /// The asset's name. Default (LVA 1.0): topology and instance.
    pub asset_name: Pattern,
    /// Length of a segment, above 0. Default: 30 s.
    pub segment_length: Duration,
    /// The local cache.
    pub cache: LocalCache,
}

/// The local cache of segments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalCache {
    /// The directory; `None` leaves it to the runtime.
    pub path: Option<String>,
    /// Size in bytes above which the oldest segment is deleted; `None` leaves it to the runtime.
    pub maximum_bytes: Option<u64>,
}

/// Records into files, one each time that its gate opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSink {
    /// The directory.
    pub directory: Pattern,
    /// The name in it, without `.mp4`.
    pub file_name: Pattern,
    /// Size in bytes of the directory above which the oldest files of this sink are deleted; `None` for no limit (LVA 1.0).
    pub maximum_bytes: Option<u64>,
}

/// Records into a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSink {
    /// The video's name.
    pub video_name: Pattern,
    /// Title of a new video.
    pub title: Option<String>,
    /// Description of a new video.
    pub description: Option<String>,
    /// Length of a segment, above 0. Default: 30 s.
    pub segment_length: Duration,
    /// How long media are kept; `None` for no limit.
    pub retention: Option<Duration>,
    /// Whether preview images are written.
    pub preview_image: bool,
    /// The local cache.
    pub cache: LocalCache,
}

//! Sinks.

use std::time::Duration;

use crate::template::Pattern;

/// Gives events out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubMessageSink {
    /// The module's output; `None` where the document names none (LVA 1.0).
    pub hub_output_name: Option<String>,
}

/// Records into an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetSink {
    /// The asset's name; topology and instance where the document names none (LVA 1.0).
    pub asset_name: Pattern,
    /// Length of the pieces that are uploaded, above 0; 30 seconds where the document says nothing.
    pub segment_length: Duration,
    /// Where pieces wait.
    pub cache: LocalCache,
}

/// Where recorded pieces wait until they are taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalCache {
    /// The folder; `None` leaves it to the runtime.
    pub path: Option<String>,
    /// Bytes after which the oldest piece goes; `None` leaves it to the runtime.
    pub maximum_bytes: Option<u64>,
}

/// Records into files, one for each opening of its gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSink {
    /// The folder.
    pub directory: Pattern,
    /// The name in it, without `.mp4`.
    pub file_name: Pattern,
    /// Bytes in the folder after which the oldest files of this sink go; `None` for no limit (LVA 1.0).
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
    /// Length of the pieces that are uploaded, above 0; 30 seconds where the document says nothing.
    pub segment_length: Duration,
    /// How long media is kept; `None` for ever.
    pub retention: Option<Duration>,
    /// Whether preview images are made.
    pub preview_image: bool,
    /// Where pieces wait.
    pub cache: LocalCache,
}

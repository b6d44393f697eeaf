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
    /// Length of the pieces that are uploaded, above 0; 30 seconds by default.
    pub segment_length: Duration,
    /// Where pieces wait.
    pub cache: LocalCache,
}

/// Where recorded pieces wait until they are taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalCache {
    /// The directory; `None` leaves it to the runtime.
    pub path: Option<String>,
    /// Size in bytes above which the oldest piece is deleted; `None` leaves it to the runtime.
    pub maximum_bytes: Option<u64>,
}

/// Records into files, one for each opening of its gate.
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
    /// Length of the pieces that are uploaded, above 0; 30 seconds by default.
    pub segment_length: Duration,
    /// How long media is kept; `None` means forever.
    pub retention: Option<Duration>,
    /// Whether preview images are made.
    pub preview_image: bool,
    /// Where pieces wait.
    pub cache: LocalCache,
}

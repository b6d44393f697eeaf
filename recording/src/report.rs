//! What a finished clip contains.

use std::path::PathBuf;

use crate::sidecar::Sidecar;
use crate::unit::Keyframe;

/// What a finished clip contains.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClipReport {
    /// The finished file.
    pub path: PathBuf,
    /// Media time of its first picture, a keyframe: time 0 of the file, in ticks of 1/90000 s since 1970.
    pub first_timestamp_90k: u64,
    /// Media time of its last picture in presentation order.
    pub last_timestamp_90k: u64,
    /// Number of pictures.
    pub video_packets: u64,
    /// Number of audio frames.
    pub audio_packets: u64,
    /// Number of skipped units: audio before the first picture, or out of order.
    pub skipped: u64,
    /// Number of pictures whose time was moved because it contradicted the decoding order.
    pub retimed: u64,
    /// Size of the file.
    pub bytes: u64,
    /// The content of its sidecar.
    pub sidecar: Sidecar,
    /// Its newest keyframe, for a preview picture; `None` for a file that was finished after a crash or a failure.
    pub newest_keyframe: Option<Keyframe>,
}

impl ClipReport {
    pub(crate) fn new(path: PathBuf, sidecar: Sidecar) -> Self {
        Self {
            path,
            first_timestamp_90k: sidecar.first_timestamp_90k,
            last_timestamp_90k: sidecar.last_timestamp_90k,
            video_packets: sidecar.video_packets,
            audio_packets: sidecar.audio_packets,
            skipped: 0,
            retimed: 0,
            bytes: sidecar.bytes,
            sidecar,
            newest_keyframe: None,
        }
    }
}

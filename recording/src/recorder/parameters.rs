//! What other parameters of a stream mean for a recording.
//!
//! An MP4 track has one set of them, so other ones begin another file. Some cameras change theirs at each key frame, and a hostile
//! one does so hundreds of times a second. So files are cut for that once in ten seconds at most, and once in two where the size
//! changes, which no track allows; in between, a key frame brings its own parameter sets.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use lva_bitstream::ParameterSets;
use lva_media_types::{MediaTime, VideoCodec};

use crate::unit::{MediaUnit, Tracks};

/// Two files are not cut for other parameters within this media time: 10 s, and 2 s where the file cannot hold the pictures.
const MIN_DISTANCE: u64 = 10 * MediaTime::TICKS_PER_SECOND;
const MIN_DISTANCE_OF_SIZES: u64 = 2 * MediaTime::TICKS_PER_SECOND;

/// The parameters of a stream, and when a file was last cut for them.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// `None` until the camera has sent them.
    current: Option<Arc<Tracks>>,
    last_cut_90k: Option<u64>,
}

impl Parameters {
    pub(super) fn new(tracks: Option<Tracks>) -> Self {
        Self {
            current: tracks.map(Arc::new),
            last_cut_90k: None,
        }
    }

    pub(super) fn current(&self) -> Option<&Arc<Tracks>> {
        self.current.as_ref()
    }

    /// Takes other ones. `None`: they are the same. Otherwise, whether a track of the ones before can hold their pictures.
    pub(super) fn set(&mut self, tracks: Tracks) -> Option<bool> {
        if self.current.as_deref() == Some(&tracks) {
            return None;
        }
        let fit = self
            .current
            .as_deref()
            .is_some_and(|before| can_hold(before, &tracks));
        self.current = Some(Arc::new(tracks));
        Some(fit)
    }

    /// Whether a file of these tracks is to be cut at this time.
    pub(super) fn is_cut_due(&self, file: &Tracks, now_90k: u64) -> bool {
        let Some(current) = self.current.as_deref().filter(|current| *current != file) else {
            return false;
        };
        let distance = if can_hold(file, current) {
            MIN_DISTANCE
        } else {
            MIN_DISTANCE_OF_SIZES
        };
        self.last_cut_90k
            .is_none_or(|last| now_90k < last || now_90k - last >= distance)
    }

    pub(super) fn cut(&mut self, now_90k: u64) {
        self.last_cut_90k = Some(now_90k);
    }
}

/// Whether a file of these tracks can hold pictures of the others, if key frames bring their parameter sets.
pub(super) fn can_hold(file: &Tracks, other: &Tracks) -> bool {
    let kind = |tracks: &Tracks| {
        (
            tracks.video.codec,
            tracks.video.width,
            tracks.video.height,
            tracks.audio.clone(),
        )
    };
    file == other || file.video.codec != VideoCodec::Mjpeg && kind(file) == kind(other)
}

/// A unit as a file of these tracks holds it: a key frame of other parameters has them in front.
pub(super) fn adapted<'a>(unit: &'a MediaUnit, file: &Tracks, own: &Tracks) -> Cow<'a, MediaUnit> {
    if !unit.starts_decoding() || file.video.extra_data == own.video.extra_data {
        return Cow::Borrowed(unit);
    }
    let Ok(sets) = ParameterSets::from_extra_data(own.video.codec, &own.video.extra_data) else {
        return Cow::Borrowed(unit);
    };
    let mut data = Vec::with_capacity(own.video.extra_data.len() + unit.data.len());
    for set in sets.iter() {
        let length = u32::try_from(set.len()).unwrap_or(u32::MAX);
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(set);
    }
    data.extend_from_slice(&unit.data);
    Cow::Owned(MediaUnit {
        data: Bytes::from(data),
        ..unit.clone()
    })
}

//! Clips: MP4, plain or fragmented, and Matroska files with H.264, H.265 and AAC, read into memory as a whole.

mod fragments;
mod matroska;
mod mp4;
mod reader;

use std::path::Path;

use bytes::Bytes;
use re_mp4::{Avc1Box, HevcBox};

/// Larger files are rejected: they are read into memory as a whole.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 30;
/// 18 hours at 30 frames/s.
pub(crate) const MAX_SAMPLES: usize = 2_000_000;
/// RTP clock of video (RFC 6184 section 8.2.1).
const VIDEO_CLOCK_HZ: u32 = 90_000;

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(std::io::Error),
    /// The file is too large.
    #[error("the file has {bytes} bytes, more than the limit of {MAX_FILE_BYTES}: cut it into smaller files")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// Not an MP4 file, or a broken one.
    #[error("the file is not a valid MP4 file: {0}")]
    Malformed(&'static str),
    /// The MP4 reader rejected it.
    #[error("the file is not a valid MP4 file: {0}")]
    Boxes(re_mp4::Error),
    /// The Matroska reader rejected it.
    #[error("the file is not a valid Matroska file: {0}")]
    Matroska(matroska_demuxer::DemuxError),
    /// Neither H.264, H.265 nor AAC.
    #[error(
        "the file has neither H.264 or H.265 video nor AAC audio, the only encodings that the simulator plays"
    )]
    NoUsableTrack,
    /// The reader of the file's format panicked.
    #[error("the file is broken: its reader panicked")]
    Reader,
}

impl From<std::io::Error> for MediaError {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<re_mp4::Error> for MediaError {
    fn from(error: re_mp4::Error) -> Self {
        Self::Boxes(error)
    }
}

impl From<matroska_demuxer::DemuxError> for MediaError {
    fn from(error: matroska_demuxer::DemuxError) -> Self {
        Self::Matroska(error)
    }
}

/// A file in memory, ready to play.
#[derive(Debug)]
pub(crate) struct Clip {
    data: Bytes,
    pub(crate) tracks: Vec<Track>,
}

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) kind: TrackKind,
    pub(crate) timescale: u32,
    /// At least one.
    pub(crate) samples: Vec<Sample>,
    /// Of all samples, in the timescale; at least 1.
    pub(crate) duration: u64,
}

#[derive(Debug)]
pub(crate) enum TrackKind {
    H264 {
        sps: Vec<Vec<u8>>,
        pps: Vec<Vec<u8>>,
        length_bytes: usize,
    },
    H265 {
        vps: Vec<Vec<u8>>,
        sps: Vec<Vec<u8>>,
        pps: Vec<Vec<u8>>,
        length_bytes: usize,
    },
    Aac {
        config: [u8; 2],
        sample_rate_hz: u32,
        channels: u16,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) offset: usize,
    pub(crate) len: usize,
    /// In the track's timescale, from 0.
    pub(crate) decode: u64,
    /// From decoding to presentation.
    pub(crate) composition: i32,
    pub(crate) sync: bool,
}

impl Track {
    /// Ticks a second of this track's RTP timestamps.
    pub(crate) fn clock_rate_hz(&self) -> u32 {
        match &self.kind {
            TrackKind::H264 { .. } | TrackKind::H265 { .. } => VIDEO_CLOCK_HZ,
            TrackKind::Aac { sample_rate_hz, .. } => *sample_rate_hz,
        }
    }

    pub(crate) fn is_video(&self) -> bool {
        self.kind.is_video()
    }
}

impl TrackKind {
    pub(crate) fn is_video(&self) -> bool {
        matches!(self, Self::H264 { .. } | Self::H265 { .. })
    }
}

impl Clip {
    /// Reads a file. Blocks.
    pub(crate) fn read(path: &Path) -> Result<Self, MediaError> {
        let bytes = std::fs::metadata(path)?.len();
        if bytes > MAX_FILE_BYTES {
            return Err(MediaError::TooLarge { bytes });
        }
        Self::parse(Bytes::from(std::fs::read(path)?))
    }

    /// Parses the contents of a file.
    pub(crate) fn parse(data: Bytes) -> Result<Self, MediaError> {
        if matroska::is_matroska(&data) {
            return matroska::read(&data);
        }
        mp4::read(data)
    }

    /// At least one track; `data` holds their samples.
    pub(crate) fn new(data: Bytes, tracks: Vec<Track>) -> Self {
        Self { data, tracks }
    }

    /// The bytes of a sample of this clip.
    pub(crate) fn bytes(&self, sample: &Sample) -> &[u8] {
        self.data
            .get(sample.offset..sample.offset.saturating_add(sample.len))
            .unwrap_or_default()
    }
}

pub(crate) fn h265(hevc: &HevcBox) -> Option<TrackKind> {
    let record = &hevc.hvcc.contents;
    let sets = |nal_unit_type: u8| -> Vec<Vec<u8>> {
        record
            .arrays
            .iter()
            .filter(|array| array.nal_unit_type & 0x3f == nal_unit_type)
            .flat_map(|array| &array.nalus)
            .map(|nal| nal.data.clone())
            .filter(|nal| nal.len() > 2)
            .collect()
    };
    // ITU-T H.265 table 7-1.
    let (vps, sps, pps) = (sets(32), sets(33), sets(34));
    let usable = !vps.is_empty() && !sps.is_empty() && !pps.is_empty();
    usable.then(|| TrackKind::H265 {
        vps,
        sps,
        pps,
        length_bytes: usize::from(record.length_size_minus_one & 3) + 1,
    })
}

pub(crate) fn h264(avc1: &Avc1Box) -> Option<TrackKind> {
    let record = &avc1.avcc.contents;
    let sps: Vec<_> = record
        .sequence_parameter_sets
        .iter()
        .map(|nal| nal.bytes.clone())
        .filter(|b| b.len() >= 4)
        .collect();
    let pps: Vec<_> = record
        .picture_parameter_sets
        .iter()
        .map(|nal| nal.bytes.clone())
        .filter(|b| b.len() >= 2)
        .collect();
    let usable = !sps.is_empty() && !pps.is_empty();
    usable.then(|| TrackKind::H264 {
        sps,
        pps,
        length_bytes: usize::from(record.length_size_minus_one & 3) + 1,
    })
}

/// A plain AAC stream, by the members of its AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1).
pub(crate) fn aac(profile: u8, rate: u8, channels: u8) -> Option<TrackKind> {
    const RATES: [u32; 13] = [
        96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
    ];
    let (profile, rate, channels) = (profile & 31, rate & 15, channels & 15);
    Some(TrackKind::Aac {
        config: [profile << 3 | rate >> 1, rate << 7 | channels << 3],
        sample_rate_hz: *RATES.get(usize::from(rate))?,
        channels: match channels {
            1..=6 => u16::from(channels),
            7 => 8,
            _ => return None,
        },
    })
}

/// The video samples of a file as the simulator reads them, for tests that compare what they received with the file.
/// H.264 and H.265 samples are length-prefixed NAL units.
///
/// Blocks, and reads the whole file into memory.
pub fn video_samples(path: &Path) -> Result<Vec<Vec<u8>>, MediaError> {
    let clip = Clip::read(path)?;
    let Some(track) = clip.tracks.iter().find(|track| track.is_video()) else {
        return Err(MediaError::NoUsableTrack);
    };
    Ok(track
        .samples
        .iter()
        .map(|sample| clip.bytes(sample).to_vec())
        .collect())
}

#[cfg(any(fuzzing, test))]
impl Clip {
    pub(crate) fn for_fuzzing() -> Self {
        let kind = TrackKind::Aac {
            config: [0x11, 0x90],
            sample_rate_hz: 48_000,
            channels: 2,
        };
        let track = Track {
            kind,
            timescale: 1,
            samples: Vec::new(),
            duration: 1,
        };
        Self {
            data: Bytes::new(),
            tracks: vec![track],
        }
    }
}

#[cfg(test)]
impl Clip {
    pub(crate) fn of_tracks(data: Bytes, tracks: Vec<Track>) -> Self {
        Self { data, tracks }
    }
}

#[cfg(test)]
impl Sample {
    pub(crate) fn for_test(decode: u64, sync: bool) -> Self {
        Self {
            offset: 0,
            len: 0,
            decode,
            composition: 0,
            sync,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_files_are_rejected() {
        for data in [
            &b""[..],
            b"12345678",
            b"\0\0\0\x08free",
            b"\xff\xff\xff\xffmoov",
            b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(Clip::parse(Bytes::from_static(data)).is_err(), "{data:?}");
        }
    }

    /// A box of length 0 in a movie box, which its reader would look at for ever.
    #[test]
    fn a_file_whose_structure_leads_round_in_circles_is_rejected() {
        let inner = b"\0\0\0\0free";
        let mut data = 16_u32.to_be_bytes().to_vec();
        data.extend_from_slice(b"moov");
        data.extend_from_slice(inner);
        let error = Clip::parse(Bytes::from(data)).unwrap_err();
        assert!(error.to_string().contains("circles"), "{error}");
    }

    proptest! {
        #[test]
        fn broken_boxes_are_rejected_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut data = (body.len() as u32 + 8).to_be_bytes().to_vec();
            data.extend_from_slice(b"moov");
            data.extend_from_slice(&body);
            // The caller catches panics of the box reader itself.
            let _ = std::panic::catch_unwind(|| Clip::parse(Bytes::from(data)));
        }
    }
}

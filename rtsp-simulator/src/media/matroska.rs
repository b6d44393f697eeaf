//! Matroska files (RFC 9559). The samples are copied one after the other: blocks are laced and scattered.

use std::io::Cursor;

use bytes::Bytes;
use matroska_demuxer::{Frame, MatroskaFile, TrackEntry};
use re_mp4::{Avc1Box, HevcBox, ReadBox};

use super::reader::BoundedReader;
use super::{Clip, MAX_SAMPLES, MediaError, Sample, Track, TrackKind, aac, h264, h265};

/// First bytes of every EBML file (RFC 8794 section 11.2.1).
const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];

/// Nanoseconds per second.
const SECOND: u64 = 1_000_000_000;

pub(crate) fn is_matroska(data: &[u8]) -> bool {
    data.starts_with(&EBML)
}

/// A track that is being read.
struct Reading {
    number: u64,
    kind: TrackKind,
    samples: Vec<Sample>,
    /// Times of presentation in ticks of the file, in decoding order.
    presented: Vec<u64>,
}

pub(crate) fn read(file: &[u8]) -> Result<Clip, MediaError> {
    let mut mkv = MatroskaFile::open(BoundedReader::new(file))?;
    // Nanoseconds per tick, by default a million.
    let tick = mkv.info().timestamp_scale().get();
    let timescale = u32::try_from(SECOND / tick.max(1)).unwrap_or(u32::MAX).max(1);
    let mut tracks: Vec<Reading> = Vec::new();
    for entry in mkv.tracks() {
        let Some(kind) = kind(entry) else { continue };
        // One of each, as a camera offers.
        if tracks
            .iter()
            .any(|track| track.kind.is_video() == kind.is_video())
        {
            continue;
        }
        tracks.push(Reading {
            number: entry.track_number().get(),
            kind,
            samples: Vec::new(),
            presented: Vec::new(),
        });
    }
    let mut data = Vec::with_capacity(file.len());
    let mut frame = Frame::default();
    // A truncated recording ends with an error: what precedes is playable.
    while let Ok(true) = mkv.next_frame(&mut frame) {
        let Some(track) = tracks.iter_mut().find(|track| track.number == frame.track) else {
            continue;
        };
        if track.samples.len() >= MAX_SAMPLES {
            return Err(MediaError::Malformed("a track has too many samples"));
        }
        track.samples.push(Sample {
            offset: data.len(),
            len: frame.data.len(),
            decode: 0,
            composition: 0,
            sync: !track.kind.is_video() || frame.is_keyframe.unwrap_or(false),
        });
        track.presented.push(frame.timestamp);
        data.extend_from_slice(&frame.data);
    }
    let tracks = tracks.into_iter().filter(|track| !track.samples.is_empty());
    let mut tracks: Vec<Track> = tracks.map(|track| track.timed(timescale)).collect();
    if tracks.is_empty() {
        return Err(MediaError::NoUsableTrack);
    }
    tracks.sort_by_key(|track| !track.is_video());
    Ok(Clip::new(Bytes::from(data), tracks))
}

impl Reading {
    /// Matroska has times of presentation, but none of decoding. As many pictures are decoded as are presented, so the
    /// n-th sample is decoded at the n-th of the sorted times, and all are presented later by the stream's reordering
    /// delay.
    fn timed(mut self, timescale: u32) -> Track {
        let mut decoded = self.presented.clone();
        decoded.sort_unstable();
        let first = decoded.first().copied().unwrap_or_default();
        let last = decoded.last().copied().unwrap_or_default() - first;
        let length = last + last / (decoded.len() as u64 - 1).max(1);
        let late = decoded
            .iter()
            .zip(&self.presented)
            .map(|(decoded, presented)| decoded.saturating_sub(*presented));
        let delay = late.max().unwrap_or_default();
        for ((sample, decoded), presented) in self.samples.iter_mut().zip(&decoded).zip(&self.presented) {
            sample.decode = decoded - first;
            let composition = presented.saturating_add(delay).saturating_sub(*decoded);
            sample.composition = i32::try_from(composition).unwrap_or_default();
        }
        Track {
            kind: self.kind,
            timescale,
            samples: self.samples,
            duration: length.max(1),
        }
    }
}

fn kind(entry: &TrackEntry) -> Option<TrackKind> {
    let private = entry.codec_private()?;
    match entry.codec_id() {
        "V_MPEG4/ISO/AVC" => h264(&in_entry(private, *b"avcC", |reader, size| {
            Avc1Box::read_box(reader, size)
        })?),
        "V_MPEGH/ISO/HEVC" => h265(&in_entry(private, *b"hvcC", |reader, size| {
            HevcBox::read_box(reader, size)
        })?),
        "A_AAC" => match private {
            // AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1).
            [first, second, ..] => aac(first >> 3, (first & 7) << 1 | second >> 7, second >> 3 & 15),
            _ => None,
        },
        _ => None,
    }
}

/// Bytes of a visual sample entry before the boxes in it (ISO/IEC 14496-12 section 12.1.3).
const VISUAL_ENTRY: usize = 78;

/// Reads a decoder configuration record as if it were in the sample entry of an MP4 file.
fn in_entry<T>(
    record: &[u8],
    name: [u8; 4],
    read: impl FnOnce(&mut Cursor<Vec<u8>>, u64) -> re_mp4::Result<T>,
) -> Option<T> {
    let inner = u32::try_from(record.len()).ok()?.checked_add(8)?;
    let outer = inner.checked_add(VISUAL_ENTRY as u32 + 8)?;
    let mut bytes = outer.to_be_bytes().to_vec();
    bytes.resize(8 + VISUAL_ENTRY, 0);
    bytes.extend_from_slice(&inner.to_be_bytes());
    bytes.extend_from_slice(&name);
    bytes.extend_from_slice(record);
    let mut reader = Cursor::new(bytes);
    reader.set_position(8);
    read(&mut reader, outer.into()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_of_decoding_follow_from_those_of_presentation() {
        let reading = |presented: &[u64]| Reading {
            number: 1,
            kind: aac(2, 3, 2).unwrap(),
            samples: presented.iter().map(|_| Sample::for_test(0, true)).collect(),
            presented: presented.to_vec(),
        };
        let track = reading(&[100, 220, 140, 180]).timed(1000);
        let times: Vec<(u64, i32)> = track.samples.iter().map(|s| (s.decode, s.composition)).collect();
        assert_eq!(times, [(0, 40), (40, 120), (80, 0), (120, 0)]);
        assert_eq!(track.duration, 160);
        assert_eq!(reading(&[7]).timed(1000).duration, 1);
    }

    proptest! {
        #[test]
        fn broken_files_are_rejected_without_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let data: Vec<u8> = EBML.into_iter().chain(body).collect();
            // The caller catches panics of the reader itself.
            let _ = std::panic::catch_unwind(|| read(&data));
        }
    }
}

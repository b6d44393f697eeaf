//! A range of a recording as one MP4, without re-encoding: fragments as they are, their times counted from the first.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use mp4_atom::{Atom as _, FourCC, Moov};

use super::RecordedFile;

/// Largest header of a file, and largest fragment; a half second of 60 Mbit/s has four megabytes.
const MAX_INIT: u64 = 1 << 20;
const MAX_FRAGMENT: u64 = 64 << 20;
/// Largest `moof` of it.
const MAX_MOOF: u64 = 1 << 20;

/// The times of a track.
#[derive(Debug, Clone, Copy)]
struct Track {
    timescale: u64,
    is_video: bool,
}

/// Reads a range of a recording, a fragment at a time. Its methods block on the disk.
pub(crate) struct RangeReader {
    files: VecDeque<Arc<RecordedFile>>,
    current: Option<Open>,
    tracks: BTreeMap<u32, Track>,
    /// The clock that all files share.
    zero_90k: u64,
    /// Time of the first fragment since then.
    base_90k: u64,
    to_90k: u64,
    init: Option<Bytes>,
}

struct Open {
    file: File,
    position: u64,
    bytes: u64,
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a recording is damaged: {what}"),
    )
}

impl RangeReader {
    /// Opens a run of files, at the newest key frame that is not after `from_90k`.
    pub(crate) fn open(files: Vec<Arc<RecordedFile>>, from_90k: u64, to_90k: u64) -> io::Result<Self> {
        let mut files = VecDeque::from(files);
        let first = files.pop_front().ok_or(io::ErrorKind::NotFound)?;
        let mut reader = Self {
            files,
            current: None,
            tracks: BTreeMap::new(),
            zero_90k: first.zero_90k,
            base_90k: 0,
            to_90k,
            init: None,
        };
        let mut open = Open::new(&first)?;
        reader.read_init(&first)?;
        let key = first.keyframes_90k.iter().rev().find(|key| **key <= from_90k);
        let key = *key.or(first.keyframes_90k.first()).unwrap_or(&first.first_90k);
        let wanted = key.saturating_sub(first.zero_90k);
        // A fragment begins at each key frame.
        let mut nearest: Option<(u64, u64, u64)> = None;
        while let Some(fragment) = open.next_fragment()? {
            let moof = open.read(fragment.start, fragment.moof)?;
            let Some(time) = reader.video_time(&moof) else {
                continue;
            };
            let distance = time.abs_diff(wanted);
            if nearest.is_some_and(|(best, ..)| best < distance) {
                break; // from here on they are farther away
            }
            nearest = Some((distance, fragment.start, time));
        }
        let (_, position, base) = nearest.ok_or_else(|| damaged("it has no pictures"))?;
        open.position = position;
        reader.base_90k = base;
        reader.current = Some(open);
        Ok(reader)
    }

    /// Media time of the first picture.
    pub(crate) fn start_90k(&self) -> u64 {
        self.zero_90k.saturating_add(self.base_90k)
    }

    /// The next part; `None` at the end of the range or of the files.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(init) = self.init.take() {
            return Ok(Some(init));
        }
        loop {
            let Some(open) = &mut self.current else {
                let Some(file) = self.files.pop_front() else {
                    return Ok(None);
                };
                self.current = Some(Open::new(&file)?);
                continue;
            };
            let Some(fragment) = open.next_fragment()? else {
                self.current = None;
                continue;
            };
            let mut bytes = open.read(fragment.start, fragment.size)?;
            let moof = usize::try_from(fragment.moof).unwrap_or(0);
            let time = bytes.get(..moof).and_then(|moof| self.video_time(moof));
            if time.is_some_and(|time| self.zero_90k.saturating_add(time) >= self.to_90k) {
                (self.current, self.files) = (None, VecDeque::new());
                return Ok(None);
            }
            if let Some(moof) = bytes.get_mut(..moof) {
                self.rebase(moof);
            }
            return Ok(Some(bytes.into()));
        }
    }

    fn read_init(&mut self, file: &RecordedFile) -> io::Result<()> {
        if file.init_bytes > MAX_INIT {
            return Err(damaged("its header is too large"));
        }
        let mut open = Open::new(file)?;
        let init = open.read(0, file.init_bytes)?;
        let moov = boxes(&init).find(|(kind, _)| kind == b"moov");
        let (_, mut body) = moov.ok_or_else(|| damaged("it has no header"))?;
        let moov = Moov::decode_body(&mut body).map_err(|_| damaged("its header cannot be read"))?;
        let track = |trak: &mp4_atom::Trak| {
            let track = Track {
                timescale: u64::from(trak.mdia.mdhd.timescale.max(1)),
                is_video: trak.mdia.hdlr.handler == FourCC::new(b"vide"),
            };
            (trak.tkhd.track_id, track)
        };
        self.tracks = moov.trak.iter().map(track).collect();
        self.init = Some(init.into());
        Ok(())
    }

    /// When the video of a fragment begins, in ticks of 1/90000 s of the files' clock.
    fn video_time(&self, moof: &[u8]) -> Option<u64> {
        let mut times = track_times(moof);
        times.find_map(|(id, place)| {
            let track = self.tracks.get(&id).filter(|track| track.is_video)?;
            Some(scaled(read_time(moof, place)?, track.timescale, 90_000))
        })
    }

    /// Counts all times of a fragment from the first one.
    fn rebase(&self, moof: &mut [u8]) {
        let places: Vec<_> = track_times(moof).collect();
        for (id, place) in places {
            if let (Some(track), Some(time)) = (self.tracks.get(&id), read_time(moof, place)) {
                let base = scaled(self.base_90k, 90_000, track.timescale);
                write_time(moof, place, time.saturating_sub(base));
            }
        }
    }
}

/// Where a fragment is in its file.
struct Place {
    start: u64,
    /// Bytes of its `moof`.
    moof: u64,
    /// Bytes of both boxes.
    size: u64,
}

impl Open {
    fn new(recorded: &RecordedFile) -> io::Result<Self> {
        let file = File::open(&recorded.path)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            file,
            position: recorded.init_bytes,
            bytes,
        })
    }

    /// The next `moof` with the box behind it; `None` where there is no complete one.
    fn next_fragment(&mut self) -> io::Result<Option<Place>> {
        while let Some((kind, size)) = self.header(self.position)? {
            let start = self.position;
            self.position = start.saturating_add(size);
            if &kind != b"moof" {
                continue;
            }
            let Some((_, media)) = self.header(self.position)? else {
                return Ok(None);
            };
            self.position = self.position.saturating_add(media);
            let whole = size.saturating_add(media);
            if size > MAX_MOOF || whole > MAX_FRAGMENT {
                return Err(damaged("a fragment is too large"));
            }
            return Ok(Some(Place {
                start,
                moof: size,
                size: whole,
            }));
        }
        Ok(None)
    }

    /// Kind and size of a box that is completely there.
    fn header(&mut self, position: u64) -> io::Result<Option<([u8; 4], u64)>> {
        if self.bytes.saturating_sub(position) < 8 {
            return Ok(None);
        }
        let mut head = [0; 8];
        self.file.seek(SeekFrom::Start(position))?;
        self.file.read_exact(&mut head)?;
        let [a, b, c, d, kind @ ..] = head;
        let size = u64::from(u32::from_be_bytes([a, b, c, d]));
        let is_whole = size >= 8 && size <= self.bytes - position;
        Ok(is_whole.then_some((kind, size)))
    }

    fn read(&mut self, start: u64, size: u64) -> io::Result<Vec<u8>> {
        let size = usize::try_from(size).map_err(|_| damaged("a box is too large"))?;
        let mut bytes = vec![0; size];
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// The boxes one after the other, without their headers.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (head, _) = bytes.split_first_chunk::<8>()?;
        let [a, b, c, d, kind @ ..] = *head;
        let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let body = bytes.get(8..size)?;
        bytes = bytes.get(size..)?;
        Some((kind, body))
    })
}

/// Track, and place of the body of `tfdt` from the beginning of the `moof`, of each track of a fragment.
fn track_times(moof: &[u8]) -> impl Iterator<Item = (u32, usize)> {
    let start = moof.as_ptr() as usize;
    let content = moof.get(8..).unwrap_or_default();
    boxes(content)
        .filter(|(kind, _)| kind == b"traf")
        .filter_map(move |(_, traf)| {
            let header = boxes(traf).find(|(kind, _)| kind == b"tfhd")?.1;
            let id = header.get(4..8)?.try_into().ok().map(u32::from_be_bytes)?;
            let time = boxes(traf).find(|(kind, _)| kind == b"tfdt")?.1;
            Some((id, time.as_ptr() as usize - start))
        })
}

/// Version 1 of the box has eight bytes, version 0 four (ISO/IEC 14496-12, 8.8.12).
fn read_time(moof: &[u8], place: usize) -> Option<u64> {
    let body = moof.get(place..)?;
    let (head, rest) = body.split_first_chunk::<4>()?;
    match head {
        [0, ..] => rest
            .first_chunk()
            .map(|time| u64::from(u32::from_be_bytes(*time))),
        _ => rest.first_chunk().map(|time| u64::from_be_bytes(*time)),
    }
}

fn write_time(moof: &mut [u8], place: usize, time: u64) {
    let Some((head, rest)) = moof.get_mut(place..).and_then(<[u8]>::split_first_chunk_mut::<4>) else {
        return;
    };
    match head {
        [0, ..] => {
            if let (Some(to), Ok(time)) = (rest.first_chunk_mut(), u32::try_from(time)) {
                *to = time.to_be_bytes();
            }
        }
        _ => {
            if let Some(to) = rest.first_chunk_mut() {
                *to = time.to_be_bytes();
            }
        }
    }
}

fn scaled(time: u64, from: u64, to: u64) -> u64 {
    let scaled = u128::from(time) * u128::from(to) / u128::from(from.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// The body of an answer. No thread waits for a reader that is slow. `kept` lives as long.
pub(crate) fn stream<K: Send + 'static>(reader: RangeReader, kept: K) -> Body {
    Body::from_stream(stream::unfold(Some((reader, kept)), |state| async move {
        let (mut reader, kept) = state?;
        let read = tokio::task::spawn_blocking(move || (reader.next(), reader)).await;
        match read {
            Ok((Ok(Some(bytes)), reader)) => Some((Ok(bytes), Some((reader, kept)))),
            Ok((Ok(None), _)) => None,
            Ok((Err(error), _)) => Some((Err(error), None)),
            Err(_panicked) => Some((Err(damaged("reading it panicked")), None)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, content].concat()
    }

    fn traf(id: u32, version: u8, time: &[u8]) -> Vec<u8> {
        let tfhd = boxed(b"tfhd", &[&[0; 4][..], &id.to_be_bytes()].concat());
        let tfdt = boxed(b"tfdt", &[&[version, 0, 0, 0][..], time].concat());
        boxed(b"traf", &[tfhd, tfdt].concat())
    }

    #[test]
    fn times_of_both_versions_are_counted_from_the_first() {
        let content = [
            boxed(b"mfhd", &[0; 8]),
            traf(1, 1, &190_000_u64.to_be_bytes()),
            traf(2, 0, &96_500_u32.to_be_bytes()),
            traf(3, 1, &7_u64.to_be_bytes()),
        ];
        let mut moof = boxed(b"moof", &content.concat());
        let track = |timescale, is_video| Track { timescale, is_video };
        let reader = RangeReader {
            files: VecDeque::new(),
            current: None,
            tracks: BTreeMap::from([(1, track(90_000, true)), (2, track(48_000, false))]),
            zero_90k: 5,
            base_90k: 180_000,
            to_90k: 0,
            init: None,
        };
        assert_eq!(reader.video_time(&moof), Some(190_000));
        reader.rebase(&mut moof);
        let times: Vec<_> = track_times(&moof)
            .map(|(id, place)| (id, read_time(&moof, place).unwrap()))
            .collect();
        assert_eq!(times, [(1, 10_000), (2, 500), (3, 7)]);
    }

    #[test]
    fn damaged_boxes_end_the_walk() {
        let whole = boxed(b"moof", &traf(1, 1, &[0; 8]));
        for cut in 0..whole.len() {
            let _ = track_times(&whole[..cut]).count();
            let _ = boxes(&whole[..cut]).count();
        }
        let mut endless = whole;
        endless[..4].copy_from_slice(&[0; 4]);
        assert_eq!(boxes(&endless).count(), 0);
    }
}

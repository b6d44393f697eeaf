//! HLS playlists (RFC 8216) of recorded segments, for any player.

use std::fmt::Write;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use lva_media_types::MediaTime;

use crate::beneath::{Access, Boundaries};
use crate::error::ClipError;
use crate::index::{IndexedFile, RecordingIndex};
use crate::naming::iso_time;
use crate::sidecar::Sidecar;

/// Name of the playlist in its directory.
pub(crate) const PLAYLIST: &str = "index.m3u8";

const END: &str = "#EXT-X-ENDLIST\n";

/// A comment that marks a playlist as this crate's (players skip lines that begin with `#` and not with `#EXT`).
const MANAGED_TAG: &str = "# recorded by lva-recording";

/// Most that is read of a playlist: those of a year in segments of half a minute have 150 MB.
const MAX_PLAYLIST_BYTES: u64 = 256 << 20;

/// Bytes of a playlist's beginning that contain that line.
const BEGINNING: u64 = 256;

/// Properties of a playlist besides its segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Heading {
    /// Number of evicted segments in front of the first one.
    pub(crate) sequence: u64,
    /// Number of gaps among those.
    pub(crate) discontinuities: u64,
    /// No segment will be removed from the front.
    pub(crate) event: bool,
    /// No segment will be added.
    pub(crate) complete: bool,
}

/// Formats a playlist. Each segment is the part of a file behind its MP4 header. The header of the first segment of each
/// run without a gap serves the whole run, which has one clock and one set of parameters.
pub(crate) fn render<'a>(
    segments: impl Iterator<Item = &'a IndexedFile> + Clone,
    heading: Heading,
) -> String {
    let longest = segments
        .clone()
        .map(IndexedFile::ticks)
        .max()
        .unwrap_or(MediaTime::TICKS_PER_SECOND);
    let mut text = format!("#EXTM3U\n{MANAGED_TAG}\n#EXT-X-VERSION:7\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "#EXT-X-TARGETDURATION:{}",
        longest.div_ceil(MediaTime::TICKS_PER_SECOND).max(1)
    );
    let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{}", heading.sequence);
    if heading.discontinuities > 0 {
        let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", heading.discontinuities);
    }
    if heading.event {
        text.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n");
    }
    text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    let mut run = None;
    for segment in segments {
        if run != Some(segment.zero_90k) {
            if run.is_some() {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            let _ = writeln!(
                text,
                "#EXT-X-MAP:URI=\"{}\",BYTERANGE=\"{}@0\"",
                segment.name, segment.init_bytes
            );
        }
        run = Some(segment.zero_90k);
        let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", iso_time(segment.first_90k));
        let _ = writeln!(
            text,
            "#EXTINF:{:.6},",
            segment.ticks() as f64 / MediaTime::TICKS_PER_SECOND as f64
        );
        let media = segment.bytes.saturating_sub(segment.init_bytes);
        let _ = writeln!(
            text,
            "#EXT-X-BYTERANGE:{media}@{}\n{}",
            segment.init_bytes, segment.name
        );
    }
    if heading.complete {
        text.push_str(END);
    }
    text
}

/// The numbers in an earlier playlist that the existing segments keep.
pub(crate) fn numbers_from(text: &str, segments: &[&IndexedFile]) -> Heading {
    let (mut heading, mut listed) = (Heading::default(), 0u64);
    let mut gaps = 0;
    for line in text.lines() {
        let value = |tag: &str| line.strip_prefix(tag).and_then(|value| value.trim().parse().ok());
        if let Some(number) = value("#EXT-X-MEDIA-SEQUENCE:") {
            heading.sequence = number;
        } else if let Some(number) = value("#EXT-X-DISCONTINUITY-SEQUENCE:") {
            heading.discontinuities = number;
        } else if line == "#EXT-X-PLAYLIST-TYPE:EVENT" {
            heading.event = true;
        } else if line == "#EXT-X-DISCONTINUITY" {
            gaps += 1;
        } else if !line.starts_with('#') && !line.is_empty() {
            if let Some(place) = segments.iter().position(|segment| segment.name == line) {
                let before = segments.get(..=place).unwrap_or_default();
                let own_gaps = before
                    .windows(2)
                    .filter(|pair| pair[0].zero_90k != pair[1].zero_90k);
                heading.sequence = heading
                    .sequence
                    .saturating_add(listed)
                    .saturating_sub(place as u64);
                heading.discontinuities = heading
                    .discontinuities
                    .saturating_add(gaps)
                    .saturating_sub(own_gaps.count() as u64);
                return heading;
            }
            listed += 1;
        }
    }
    heading.sequence = heading.sequence.saturating_add(listed);
    heading.discontinuities = heading.discontinuities.saturating_add(gaps);
    heading
}

/// A playlist of the segments in a directory that overlap a range of media time (`timestamp_90k`). Paths in it are
/// relative to the directory.
///
/// # Errors
///
/// The directory cannot be read.
pub fn playlist_for_range(directory: &Path, span_90k: Range<u64>) -> io::Result<String> {
    let index = RecordingIndex::load(directory, 0, None, &Boundaries::new(vec![directory.to_owned()]))?;
    let segments = index.files().filter(|segment| {
        segment.segment && segment.first_90k < span_90k.end && segment.end_90k > span_90k.start
    });
    let heading = Heading {
        event: true,
        complete: true,
        ..Heading::default()
    };
    Ok(render(segments, heading))
}

/// Whether a playlist is complete. Reads only its end.
pub(crate) fn is_complete(path: &Path, boundaries: &Boundaries) -> bool {
    let mut end = [0; END.len()];
    boundaries
        .open(path, Access::Read)
        .and_then(|mut file| {
            file.seek(SeekFrom::End(-(END.len() as i64)))?;
            file.read_exact(&mut end)
        })
        .is_ok_and(|()| end == END.as_bytes())
}

/// Whether this crate has written a playlist, finished or not, next to segments of this crate.
pub(crate) fn is_managed(path: &Path, boundaries: &Boundaries) -> bool {
    let beside_segments = || {
        path.parent()
            .is_some_and(|directory| holds_segments(directory, boundaries))
    };
    is_tagged(path, boundaries).unwrap_or(false) && beside_segments()
}

fn is_tagged(path: &Path, boundaries: &Boundaries) -> io::Result<bool> {
    let mut beginning = Vec::new();
    boundaries
        .open(path, Access::Read)?
        .take(BEGINNING)
        .read_to_end(&mut beginning)?;
    let mut lines = beginning.split(|byte| *byte == b'\n');
    Ok(lines.any(|line| line == MANAGED_TAG.as_bytes()))
}

/// Whether a directory has a playlist. An empty file, which a power failure may leave, does not count.
///
/// # Errors
///
/// [`ClipError::ForeignPlaylist`] if another kind of file has its name.
fn is_there(path: &Path, boundaries: &Boundaries) -> Result<bool, ClipError> {
    let failed = ClipError::sidecar_io(path);
    // A link belongs to someone else, even if it leads to a playlist of this crate.
    let Some(kind) = boundaries.kind(path).map_err(failed)? else {
        return Ok(false);
    };
    let foreign = ClipError::ForeignPlaylist {
        path: path.to_owned(),
    };
    if !kind.is_file() {
        return Err(foreign);
    }
    let opened = boundaries.open(path, Access::Read);
    if opened.and_then(|file| file.metadata()).map_err(failed)?.len() == 0 {
        return Ok(false);
    }
    if !is_tagged(path, boundaries).map_err(failed)? {
        return Err(foreign);
    }
    Ok(true)
}

/// The content of a directory's playlist, if it exists.
///
/// # Errors
///
/// [`ClipError::ForeignPlaylist`] if another kind of file has its name.
pub(crate) fn own_text(path: &Path, boundaries: &Boundaries) -> Result<Option<String>, ClipError> {
    if !is_there(path, boundaries)? {
        return Ok(None);
    }
    let mut text = String::new();
    let file = boundaries.open(path, Access::Read);
    file.and_then(|file| file.take(MAX_PLAYLIST_BYTES).read_to_string(&mut text))
        .map_err(ClipError::sidecar_io(path))?;
    Ok(Some(text))
}

/// Writes a playlist, unless a file of another origin has its name.
pub(crate) fn write_playlist(path: &Path, text: &str, boundaries: &Boundaries) -> Result<(), ClipError> {
    is_there(path, boundaries)?;
    let replaced = boundaries.replace(path, text.as_bytes());
    replaced.map_err(ClipError::sidecar_io(path))
}

/// Whether a directory contains a sidecar of a segment.
fn holds_segments(directory: &Path, boundaries: &Boundaries) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        path.extension().is_some_and(|extension| extension == "json")
            && Sidecar::read_file(&path, boundaries).is_ok_and(|sidecar| sidecar.segment)
    })
}

/// Completes the playlist of a directory without a running recording.
pub(crate) fn complete_playlist(directory: &Path, boundaries: &Boundaries) -> Result<(), ClipError> {
    let path = directory.join(PLAYLIST);
    let index = RecordingIndex::load(directory, 0, None, boundaries);
    let index = index.map_err(ClipError::sidecar_io(&path))?;
    let segments: Vec<&IndexedFile> = index.files().filter(|segment| segment.segment).collect();
    let old = own_text(&path, boundaries)?;
    let heading = match &old {
        Some(text) => numbers_from(text, &segments),
        None => Heading {
            event: true,
            ..Heading::default()
        },
    };
    let text = render(
        segments.iter().copied(),
        Heading {
            complete: true,
            ..heading
        },
    );
    if old.as_ref() == Some(&text) {
        return Ok(());
    }
    write_playlist(&path, &text, boundaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = MediaTime::TICKS_PER_SECOND;

    fn segment(start: u64, zero: u64) -> IndexedFile {
        IndexedFile {
            name: format!("{start}.mp4"),
            first_90k: start * S,
            end_90k: (start + 30) * S,
            zero_90k: zero * S,
            bytes: 5000,
            init_bytes: 1000,
            segment: true,
        }
    }

    #[test]
    fn gaps_are_marked_and_each_run_has_its_header() {
        let segments = [segment(100, 100), segment(130, 100), segment(190, 190)];
        let heading = Heading {
            event: true,
            ..Heading::default()
        };
        let text = render(segments.iter(), heading);
        let expected = "#EXTM3U\n# recorded by lva-recording\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:30\n#EXT-X-MEDIA-SEQUENCE:0\n\
            #EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-INDEPENDENT-SEGMENTS\n\
            #EXT-X-MAP:URI=\"100.mp4\",BYTERANGE=\"1000@0\"\n\
            #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:01:40.000Z\n#EXTINF:30.000000,\n#EXT-X-BYTERANGE:4000@1000\n100.mp4\n\
            #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:02:10.000Z\n#EXTINF:30.000000,\n#EXT-X-BYTERANGE:4000@1000\n130.mp4\n\
            #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"190.mp4\",BYTERANGE=\"1000@0\"\n\
            #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:03:10.000Z\n#EXTINF:30.000000,\n#EXT-X-BYTERANGE:4000@1000\n190.mp4\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn segments_keep_their_numbers_when_older_ones_are_evicted() {
        let segments = [
            segment(100, 100),
            segment(130, 100),
            segment(190, 190),
            segment(220, 190),
            segment(300, 300),
        ];
        let all = Heading {
            sequence: 7,
            discontinuities: 2,
            ..Heading::default()
        };
        let text = render(segments.iter(), all);
        let left = |from: usize| segments[from..].iter().collect::<Vec<_>>();
        let numbers = |from| {
            let heading = numbers_from(&text, &left(from));
            (heading.sequence, heading.discontinuities)
        };
        assert_eq!(numbers(0), (7, 2));
        assert_eq!(numbers(1), (8, 2));
        assert_eq!(numbers(2), (9, 3));
        assert_eq!(numbers(4), (11, 4));
        assert_eq!(numbers_from(&text, &[]).sequence, 12);
    }
}

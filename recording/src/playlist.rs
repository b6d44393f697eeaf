//! HLS playlists (RFC 8216) over the pieces of recordings, so that any player scrolls through them.

use crate::error::ClipError;
use crate::naming::iso_time;
use crate::shelf::{Shelf, Shelved};
use crate::sidecar::{Sidecar, replace};
use crate::unit::TICKS_PER_SECOND;
use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// The playlist's name in its folder.
pub(crate) const PLAYLIST: &str = "index.m3u8";

const END: &str = "#EXT-X-ENDLIST\n";

/// A comment by which a playlist is known as this crate's (players skip lines that begin with `#` and not with `#EXT`).
const OURS: &str = "# recorded by lva-recording";

/// Bytes of a playlist's beginning in which that line stands.
const BEGINNING: u64 = 256;

/// What a playlist says besides its pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Heading {
    /// Pieces that were in front of the first one and are gone.
    pub(crate) sequence: u64,
    /// Gaps among those.
    pub(crate) discontinuities: u64,
    /// Nothing will be taken away from the front.
    pub(crate) event: bool,
    /// Nothing will be added.
    pub(crate) complete: bool,
}

/// The text of a playlist. Each piece is the part of a file behind its head; the head of the first of each run of pieces
/// without a gap serves the whole run, as they have one clock and one set of parameters.
pub(crate) fn render<'a>(pieces: impl Iterator<Item = &'a Shelved> + Clone, heading: Heading) -> String {
    let longest = pieces
        .clone()
        .map(Shelved::ticks)
        .max()
        .unwrap_or(TICKS_PER_SECOND);
    let mut text = format!("#EXTM3U\n{OURS}\n#EXT-X-VERSION:7\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "#EXT-X-TARGETDURATION:{}",
        longest.div_ceil(TICKS_PER_SECOND).max(1)
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
    for piece in pieces {
        if run != Some(piece.zero_90k) {
            if run.is_some() {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            let _ = writeln!(
                text,
                "#EXT-X-MAP:URI=\"{}\",BYTERANGE=\"{}@0\"",
                piece.name, piece.init_bytes
            );
        }
        run = Some(piece.zero_90k);
        let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", iso_time(piece.first_90k));
        let _ = writeln!(
            text,
            "#EXTINF:{:.6},",
            piece.ticks() as f64 / TICKS_PER_SECOND as f64
        );
        let media = piece.bytes.saturating_sub(piece.init_bytes);
        let _ = writeln!(
            text,
            "#EXT-X-BYTERANGE:{media}@{}\n{}",
            piece.init_bytes, piece.name
        );
    }
    if heading.complete {
        text.push_str(END);
    }
    text
}

/// What an earlier playlist says about the numbers of the pieces that are there now, so that they keep them.
pub(crate) fn numbers_from(text: &str, pieces: &[&Shelved]) -> Heading {
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
            if let Some(place) = pieces.iter().position(|piece| piece.name == line) {
                let before = pieces.get(..=place).unwrap_or_default();
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

/// A playlist of what a folder of segments holds of a span of media time (`timestamp_90k`), for a player that is to see
/// just that: pieces that overlap with it, from the first to the last. The names in it are relative to the folder.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn playlist_of(folder: &Path, span_90k: Range<u64>) -> io::Result<String> {
    let shelf = Shelf::load(folder, 0, None)?;
    let pieces = shelf
        .files()
        .filter(|piece| piece.segment && piece.first_90k < span_90k.end && piece.end_90k > span_90k.start);
    let heading = Heading {
        event: true,
        complete: true,
        ..Heading::default()
    };
    Ok(render(pieces, heading))
}

/// Whether a playlist says that nothing will be added. Only its end is read.
pub(crate) fn is_complete(path: &Path) -> bool {
    let mut end = [0; END.len()];
    File::open(path)
        .and_then(|mut file| {
            file.seek(SeekFrom::End(-(END.len() as i64)))?;
            file.read_exact(&mut end)
        })
        .is_ok_and(|()| end == END.as_bytes())
}

/// Whether a playlist, or its half, was written by this crate, and lies among pieces that were.
pub(crate) fn is_ours(path: &Path) -> bool {
    is_tagged(path).unwrap_or(false) && path.parent().is_some_and(holds_pieces)
}

fn is_tagged(path: &Path) -> io::Result<bool> {
    let mut beginning = Vec::new();
    File::open(path)?.take(BEGINNING).read_to_end(&mut beginning)?;
    let mut lines = beginning.split(|byte| *byte == b'\n');
    Ok(lines.any(|line| line == OURS.as_bytes()))
}

/// Whether a folder has a playlist. An empty file, as a power cut may leave it, is none.
///
/// # Errors
///
/// [`ClipError::ForeignPlaylist`] where something else has its name.
fn is_there(path: &Path) -> Result<bool, ClipError> {
    let failed = |source| ClipError::Beside {
        path: path.to_owned(),
        source,
    };
    // Not even a link to a playlist of ours: it is somebody's. And a pipe is not to be opened.
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found.map_err(failed)?,
    };
    if found.is_file() && found.len() == 0 {
        return Ok(false);
    }
    if !found.is_file() || !is_tagged(path).map_err(failed)? {
        return Err(ClipError::ForeignPlaylist {
            path: path.to_owned(),
        });
    }
    Ok(true)
}

/// The text of a folder's playlist, if there is one.
///
/// # Errors
///
/// [`ClipError::ForeignPlaylist`] where something else has its name.
pub(crate) fn own_text(path: &Path) -> Result<Option<String>, ClipError> {
    if !is_there(path)? {
        return Ok(None);
    }
    let text = fs::read_to_string(path);
    text.map(Some).map_err(|source| ClipError::Beside {
        path: path.to_owned(),
        source,
    })
}

/// Writes a playlist under its name, if nobody else's file has that.
pub(crate) fn write_playlist(path: &Path, text: &str) -> Result<(), ClipError> {
    is_there(path)?;
    replace(path, text.as_bytes()).map_err(|source| ClipError::Beside {
        path: path.to_owned(),
        source,
    })
}

/// Whether a folder holds a sidecar of a piece.
fn holds_pieces(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        path.extension().is_some_and(|extension| extension == "json")
            && Sidecar::read_file(&path).is_ok_and(|sidecar| sidecar.segment)
    })
}

/// Writes the playlist of a folder where nobody records any more.
pub(crate) fn complete_playlist(folder: &Path) -> Result<(), ClipError> {
    let path = folder.join(PLAYLIST);
    let shelf = Shelf::load(folder, 0, None).map_err(|source| ClipError::Beside {
        path: path.clone(),
        source,
    })?;
    let pieces: Vec<&Shelved> = shelf.files().filter(|piece| piece.segment).collect();
    let old = own_text(&path)?;
    let heading = match &old {
        Some(text) => numbers_from(text, &pieces),
        None => Heading {
            event: true,
            ..Heading::default()
        },
    };
    let text = render(
        pieces.iter().copied(),
        Heading {
            complete: true,
            ..heading
        },
    );
    if old.as_ref() == Some(&text) {
        return Ok(());
    }
    write_playlist(&path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = TICKS_PER_SECOND;

    fn piece(start: u64, zero: u64) -> Shelved {
        Shelved {
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
    fn gaps_are_marked_and_each_run_has_its_head() {
        let pieces = [piece(100, 100), piece(130, 100), piece(190, 190)];
        let heading = Heading {
            event: true,
            ..Heading::default()
        };
        let text = render(pieces.iter(), heading);
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
    fn pieces_keep_their_numbers_when_older_ones_go() {
        let pieces = [
            piece(100, 100),
            piece(130, 100),
            piece(190, 190),
            piece(220, 190),
            piece(300, 300),
        ];
        let all = Heading {
            sequence: 7,
            discontinuities: 2,
            ..Heading::default()
        };
        let text = render(pieces.iter(), all);
        let left = |from: usize| pieces[from..].iter().collect::<Vec<_>>();
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

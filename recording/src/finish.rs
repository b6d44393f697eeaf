//! From an unfinished file to a finished clip.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::sync::Once;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::context::{Input, StreamIo};
use lva_media_types::MediaTime;

use crate::annotations::cut_incomplete_line;
use crate::beneath::Boundaries;
use crate::error::ClipError;
use crate::files::{annotations_path, finished, sidecar_path};
use crate::fragments::layout;
use crate::report::ClipReport;
use crate::sidecar::{ClipHeader, HEADER_TAG, Sidecar, TIMESTAMP_TAG};

/// FFmpeg logs to standard error by default.
pub(crate) fn silence_ffmpeg() {
    static SILENCED: Once = Once::new();
    SILENCED.call_once(|| ffmpeg::log::set_level(ffmpeg::log::Level::Fatal));
}

/// Syncs the file to disk, writes the sidecar, and renames the file: **a clip with its final name has a sidecar**;
/// otherwise limits and playlists would miss it. Without space for the sidecar, the clip stays unfinished.
pub(crate) fn publish(
    part: &Path,
    path: &Path,
    file: &mut File,
    sidecar: &mut Sidecar,
    boundaries: &Boundaries,
) -> Result<(), ClipError> {
    let unwritten = ClipError::write(part);
    file.sync_all().map_err(unwritten)?;
    let layout = layout(file).map_err(unwritten)?;
    sidecar.bytes = layout.bytes;
    sidecar.init_bytes = layout.init_bytes;
    let named = sidecar
        .write(path, boundaries)
        .and_then(|()| boundaries.rename(part, path));
    let named = named.and_then(|()| match path.parent() {
        Some(directory) => boundaries.open_directory(directory)?.sync_all(),
        None => Ok(()),
    });
    named.map_err(|cause| {
        if boundaries.exists(part) {
            let _ = boundaries.remove(&sidecar_path(path));
        }
        ClipError::Finish {
            path: part.to_owned(),
            cause,
        }
    })
}

/// Finishes an unfinished file that the caller has locked, or removes it if it contains no media.
pub(crate) fn complete(
    part: &Path,
    path: &Path,
    file: &mut File,
    boundaries: &Boundaries,
) -> Result<Option<ClipReport>, ClipError> {
    let unwritten = ClipError::write(part);
    let found = layout(file).map_err(unwritten)?;
    if found.fragments == 0 {
        remove_empty(part, boundaries).map_err(unwritten)?;
        return Ok(None);
    }
    if boundaries.kind(path).map_err(unwritten)?.is_some() {
        return Err(ClipError::NameTaken {
            path: path.to_owned(),
        });
    }
    if found.whole_bytes < found.bytes {
        file.set_len(found.whole_bytes).map_err(unwritten)?;
    }
    let mut sidecar = describe(file, part)?;
    let _ = cut_incomplete_line(&annotations_path(path), boundaries); // readers skip an incomplete last line
    publish(part, path, file, &mut sidecar, boundaries)?;
    Ok(Some(ClipReport::new(path.to_owned(), sidecar)))
}

fn open(file: &mut File, part: &Path) -> Result<Input, ClipError> {
    silence_ffmpeg();
    let unread = ClipError::write(part);
    file.seek(SeekFrom::Start(0)).map_err(unread)?;
    let file = file.try_clone().map_err(unread)?;
    StreamIo::from_read_seek(file)
        .and_then(|stream| ffmpeg::format::input_from_stream(stream, None, None))
        .map_err(|cause| ClipError::Unreadable {
            path: part.to_owned(),
            cause,
        })
}

fn header_of(input: &Input) -> Option<ClipHeader> {
    let metadata = input.metadata();
    let mut header = ClipHeader::from_tag(metadata.get(HEADER_TAG)?)?;
    if let Some(first) = metadata.get(TIMESTAMP_TAG).and_then(|time| time.parse().ok()) {
        header.first_timestamp_90k = first;
    }
    Some(header)
}

/// Counts the packets of a file.
fn describe(file: &mut File, part: &Path) -> Result<Sidecar, ClipError> {
    let mut input = open(file, part)?;
    let header = header_of(&input).ok_or_else(|| ClipError::Unreadable {
        path: part.to_owned(),
        cause: ffmpeg::Error::InvalidData,
    })?;
    let mut sidecar = Sidecar::new(header);
    let mut first_pts = None;
    for (stream, packet) in input.packets() {
        if stream.parameters().medium() != ffmpeg::media::Type::Video {
            sidecar.audio_packets += 1;
            continue;
        }
        sidecar.video_packets += 1;
        let base = stream.time_base();
        let ticks = |time: i64| {
            let scaled =
                i128::from(time) * i128::from(MediaTime::TICKS_PER_SECOND) * i128::from(base.numerator());
            i64::try_from(scaled / i128::from(base.denominator().max(1))).unwrap_or(0)
        };
        let Some(pts) = packet.pts().map(ticks) else {
            continue;
        };
        let since = pts - *first_pts.get_or_insert(pts);
        let time = sidecar.first_timestamp_90k.saturating_add_signed(since);
        if packet.is_key() {
            sidecar.note_keyframe(time);
        }
        if time >= sidecar.last_timestamp_90k {
            sidecar.last_timestamp_90k = time;
            let duration = ticks(packet.duration()).max(1);
            sidecar.end_timestamp_90k = time.saturating_add_signed(duration);
        }
    }
    Ok(sidecar)
}

/// Removes an unfinished clip without media after the files next to it, which it marks as this crate's.
pub(crate) fn remove_empty(part: &Path, boundaries: &Boundaries) -> io::Result<()> {
    boundaries.remove_if_exists(&annotations_path(&finished(part)))?;
    boundaries.remove(part)
}

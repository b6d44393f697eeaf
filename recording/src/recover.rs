//! From what a killed process left to finished clips.

use crate::clip::{ClipReport, FACTS_TAG, TIMESTAMP_TAG, UNFINISHED, publish, quiet, unfinished};
use crate::error::ClipError;
use crate::fragments::{Layout, layout};
use crate::leftovers::{MAX_DEPTH, visit};
use crate::playlist::{PLAYLIST, complete_playlist, is_complete, is_ours};
use crate::preview;
use crate::sidecar::{Facts, Sidecar, annotations_path, sidecar_path};
use crate::unit::TICKS_PER_SECOND;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::context::StreamIo;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What was found in a folder, and what became of it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// Clips that have their names now. They hold what had come to the disk: all but the last second, about.
    pub recovered: Vec<ClipReport>,
    /// Files that were removed because nothing playable was in them, or because what they belonged to is gone.
    pub removed: Vec<PathBuf>,
    /// Unfinished clips that could not be made into finished ones, and why; they are as they were.
    pub failed: Vec<(PathBuf, ClipError)>,
    /// Unfinished clips that are being written now; nothing was done to them.
    pub busy: Vec<PathBuf>,
    /// Files that look like unfinished clips and were written by something else; nothing was done to them.
    pub foreign: Vec<PathBuf>,
    /// Folders below the given one, or entries of them, that could not be read, and why; what lies there is as it was.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

/// Bytes of a file's head that are searched for the tag.
const HEAD_BYTES: u64 = 1 << 20;

/// Finishes what killed processes left in a folder and those below it. Each unfinished clip is cut after its last whole
/// fragment, gets its name and its sidecar; those without a whole fragment, half written sidecars and playlists are
/// removed, and playlists of folders where nobody records are ended.
///
/// It may be called at any time, while others record into the same folders: files that are being written are locked.
///
/// Of files that this crate has not written nothing is touched. Ours is an unfinished clip with our tag in its head, or an
/// empty one that is called as a piece is; what lies beside a clip, if a sidecar of ours does; and a playlist with our
/// comment among pieces of ours.
///
/// # Errors
///
/// The folder cannot be read. One that does not exist holds nothing; one below it that cannot be read is skipped, and
/// told in [`Recovery::unreadable`].
pub fn recover(folder: &Path) -> io::Result<Recovery> {
    recover_of(folder, None)
}

/// The same for the clips of one writer, in a folder that may belong to others, too; playlists stay as they are.
///
/// # Errors
///
/// As for [`recover`].
pub fn recover_written_by(folder: &Path, writer: &str) -> io::Result<Recovery> {
    recover_of(folder, Some(writer))
}

fn recover_of(folder: &Path, writer: Option<&str>) -> io::Result<Recovery> {
    let mut recovery = Recovery::default();
    let mut files = BTreeSet::new();
    recovery.unreadable = visit(folder, MAX_DEPTH, &mut |path| {
        files.insert(path);
    })?;
    for part in files.iter().filter(|path| ends_with(path, ".mp4.part")) {
        match take(part, writer) {
            Taken::Recovered(report) => recovery.recovered.push(*report),
            Taken::Removed => recovery.removed.push(part.clone()),
            Taken::Failed(error) => recovery.failed.push((part.clone(), error)),
            Taken::Busy => recovery.busy.push(part.clone()),
            Taken::Foreign => recovery.foreign.push(part.clone()),
        }
    }
    let busy_folders: BTreeSet<&Path> = recovery.busy.iter().filter_map(|part| part.parent()).collect();
    let quiet_here = |path: &Path| path.parent().is_none_or(|folder| !busy_folders.contains(folder));
    let strays = files
        .iter()
        .filter(|path| quiet_here(path) && is_stray(path, writer));
    let mut strays: Vec<&PathBuf> = strays.collect();
    // Sidecars last: they tell that the rest is ours, also to who goes on after the next crash.
    strays.sort_by_key(|path| ends_with(path, ".json"));
    for path in strays {
        if fs::remove_file(path).is_ok() {
            recovery.removed.push(path.clone());
        }
    }
    let is_open = |path: &&PathBuf| {
        path.file_name() == Some(OsStr::new(PLAYLIST)) && !is_complete(path) && is_ours(path)
    };
    let playlists = files.iter().filter(is_open);
    let mut folders: BTreeSet<&Path> = playlists.filter_map(|path| path.parent()).collect();
    let segments = recovery.recovered.iter().filter(|report| report.sidecar.segment);
    folders.extend(segments.filter_map(|report| report.path.parent()));
    for folder in folders.difference(&busy_folders) {
        if writer.is_none()
            && let Err(error) = complete_playlist(folder)
        {
            recovery.failed.push((folder.join(PLAYLIST), error));
        }
    }
    Ok(recovery)
}

enum Taken {
    Recovered(Box<ClipReport>),
    Removed,
    Failed(ClipError),
    Busy,
    Foreign,
}

/// Takes hold of an unfinished file that nobody writes.
fn take(part: &Path, writer: Option<&str>) -> Taken {
    let failed = |source| {
        Taken::Failed(ClipError::Write {
            path: part.to_owned(),
            source,
        })
    };
    let mut file = match OpenOptions::new().read(true).write(true).open(part) {
        Ok(file) => file,
        Err(source) => return failed(source),
    };
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Taken::Busy;
    }
    // Its writer may have finished it between the listing and the lock.
    if !part.exists() {
        return Taken::Busy;
    }
    let found = match layout(&mut file) {
        Ok(found) => found,
        Err(source) => return failed(source),
    };
    if found.fragments == 0 && found.head_only && writer.is_none() {
        return match is_our_head(&mut file, part) {
            Ok(true) => match remove_both(part) {
                Ok(()) => Taken::Removed,
                Err(source) => failed(source),
            },
            Ok(false) => Taken::Foreign,
            Err(source) => failed(source),
        };
    }
    match facts(&mut file, part) {
        Ok(facts) if writer.is_none_or(|writer| writer == facts.writer) => {}
        _ => return Taken::Foreign,
    }
    match complete(part, &finished(part), &mut file) {
        Ok(Some(report)) => Taken::Recovered(Box::new(report)),
        Ok(None) => Taken::Removed,
        Err(error) => Taken::Failed(error),
    }
}

/// Whether a file in which no media have come is one of ours: its head says so, or it is empty and called as a piece is.
fn is_our_head(file: &mut File, part: &Path) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(is_piece_name(part));
    }
    let tag = FACTS_TAG.as_bytes();
    Ok(head.windows(tag.len()).any(|bytes| bytes == tag))
}

/// `20200517T175346.062Z.mp4.part`, or the same with `-2` and so on behind the time.
fn is_piece_name(part: &Path) -> bool {
    let name = part.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let stem = name.strip_suffix(".mp4.part").unwrap_or_default();
    let (time, number) = stem.split_once('-').unwrap_or((stem, "2"));
    let form = "00000000T000000.000Z";
    let is_time = time.len() == form.len()
        && time
            .chars()
            .zip(form.chars())
            .all(|(found, wanted)| match wanted {
                '0' => found.is_ascii_digit(),
                _ => found == wanted,
            });
    is_time && number.parse::<u32>().is_ok()
}

/// An unfinished clip goes after what lies beside it: it is what tells that the rest is ours.
fn remove_both(part: &Path) -> io::Result<()> {
    remove_if_there(&annotations_path(&finished(part)))?;
    fs::remove_file(part)
}

/// Makes a finished clip of an unfinished file that is locked by the caller, or removes it if nothing is in it.
pub(crate) fn complete(part: &Path, path: &Path, file: &mut File) -> Result<Option<ClipReport>, ClipError> {
    let unwritten = |source| ClipError::Write {
        path: part.to_owned(),
        source,
    };
    let found: Layout = layout(file).map_err(unwritten)?;
    if found.fragments == 0 {
        remove_both(part).map_err(unwritten)?;
        return Ok(None);
    }
    if path.try_exists().map_err(unwritten)? {
        return Err(ClipError::NameTaken {
            path: path.to_owned(),
        });
    }
    if found.whole_bytes < found.bytes {
        file.set_len(found.whole_bytes).map_err(unwritten)?;
    }
    let mut sidecar = describe(file, part)?;
    let _ = cut_half_line(&annotations_path(path)); // readers skip a last line that is none
    publish(part, path, file, &mut sidecar)?;
    Ok(Some(ClipReport::new(path.to_owned(), sidecar)))
}

fn open(file: &mut File, part: &Path) -> Result<ffmpeg::format::context::Input, ClipError> {
    quiet();
    let unread = |source| ClipError::Write {
        path: part.to_owned(),
        source,
    };
    file.seek(SeekFrom::Start(0)).map_err(unread)?;
    let file = file.try_clone().map_err(unread)?;
    StreamIo::from_read_seek(file)
        .and_then(|stream| ffmpeg::format::input_from_stream(stream, None, None))
        .map_err(|source| ClipError::Unreadable {
            path: part.to_owned(),
            source,
        })
}

/// What the file itself says about its recording.
fn facts(file: &mut File, part: &Path) -> Result<Facts, ClipError> {
    let input = open(file, part)?;
    facts_of(&input).ok_or_else(|| ClipError::Unreadable {
        path: part.to_owned(),
        source: ffmpeg::Error::InvalidData,
    })
}

fn facts_of(input: &ffmpeg::format::context::Input) -> Option<Facts> {
    let metadata = input.metadata();
    let mut facts = Facts::from_tag(metadata.get(FACTS_TAG)?)?;
    if let Some(first) = metadata.get(TIMESTAMP_TAG).and_then(|time| time.parse().ok()) {
        facts.first_timestamp_90k = first;
    }
    Some(facts)
}

/// Counts what is in a file.
fn describe(file: &mut File, part: &Path) -> Result<Sidecar, ClipError> {
    let mut input = open(file, part)?;
    let facts = facts_of(&input).ok_or_else(|| ClipError::Unreadable {
        path: part.to_owned(),
        source: ffmpeg::Error::InvalidData,
    })?;
    let mut sidecar = Sidecar::new(facts);
    let mut first_pts = None;
    for (stream, packet) in input.packets() {
        if stream.parameters().medium() != ffmpeg::media::Type::Video {
            sidecar.audio_packets += 1;
            continue;
        }
        sidecar.video_packets += 1;
        let base = stream.time_base();
        let ticks = |time: i64| {
            let scaled = i128::from(time) * i128::from(TICKS_PER_SECOND) * i128::from(base.numerator());
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

/// What is left of the writing or the removal of a clip.
fn is_stray(path: &Path, writer: Option<&str>) -> bool {
    let ours = |sidecar: &Path| {
        Sidecar::read_file(sidecar).is_ok_and(|found| writer.is_none_or(|writer| writer == found.writer))
    };
    // Asked twice, because the clip may get its name in between.
    let gone = |clip: &Path| !clip.exists() && !unfinished(clip).exists() && !clip.exists();
    let stem = |ending: &str| {
        let name = path.file_name().and_then(OsStr::to_str)?;
        name.strip_suffix(ending)
            .map(|stem| path.with_file_name(format!("{stem}.mp4")))
    };
    if let Some(clip) = stem(".json.part") {
        return ours(&sidecar_path(&clip));
    }
    if path.file_name() == Some(OsStr::new(&format!("{PLAYLIST}{UNFINISHED}"))) {
        return writer.is_none() && is_ours(path);
    }
    for (ending, unfinished) in preview::endings() {
        if let Some(clip) = stem(&ending) {
            return ours(&sidecar_path(&clip)) && (unfinished || gone(&clip) && preview::is_ours(path));
        }
    }
    if let Some(clip) = stem(".inferences.jsonl") {
        return gone(&clip) && ours(&sidecar_path(&clip));
    }
    if let Some(clip) = stem(".json") {
        return gone(&clip) && ours(path);
    }
    false
}

/// `NAME.mp4` of `NAME.mp4.part`.
fn finished(part: &Path) -> PathBuf {
    part.with_extension("")
}

fn ends_with(path: &Path, ending: &str) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(ending))
}

pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Annotations end with a line feed, or the last one is not whole.
fn cut_half_line(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |last| last + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64)?;
    }
    Ok(())
}

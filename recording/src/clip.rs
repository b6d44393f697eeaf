//! One clip: encoded units into an MP4 file, as they are.

mod clock;
mod output;
mod publish;

pub(crate) use output::{FACTS_TAG, TIMESTAMP_TAG, UNFINISHED, quiet, unfinished};
pub(crate) use publish::publish;

use crate::error::ClipError;
use crate::preview::Keyframe;
use crate::recover;
use crate::sidecar::{Facts, Sidecar, annotations_path};
use crate::unit::{MediaUnit, Track, Tracks, VideoTrack};
use bytes::Bytes;
use clock::{Timed, VideoClock};
use ffmpeg_next::format::context::Output;
use ffmpeg_next::{Packet, Rational, packet};
use output::{Failure, TIME_BASE, create_file, open_output};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Bytes of annotations beside a clip, and of one of them.
const ANNOTATION_BYTES: u64 = 16 << 20;
const LONGEST_ANNOTATION: usize = 1 << 20;

/// What is in a finished clip.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClipReport {
    /// The finished file.
    pub path: PathBuf,
    /// Media time of its first picture, a key frame: what its time 0 means in ticks of 1/90000 s since 1970.
    pub first_timestamp_90k: u64,
    /// Media time of its last picture in order of presentation.
    pub last_timestamp_90k: u64,
    /// Pictures in it.
    pub video_packets: u64,
    /// Audio frames in it.
    pub audio_packets: u64,
    /// Units that were left out: audio before the first picture, or out of order.
    pub left_out: u64,
    /// Pictures whose time had to be moved because it contradicted the order of decoding.
    pub retimed: u64,
    /// Size of the file.
    pub bytes: u64,
    /// What is written beside it.
    pub sidecar: Sidecar,
    /// Its newest key frame, for a preview picture; `None` for a file that was finished after a crash or a failure.
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
            left_out: 0,
            retimed: 0,
            bytes: sidecar.bytes,
            sidecar,
            newest_keyframe: None,
        }
    }
}

/// A clock inside files that goes on from one to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    /// From when it counts.
    pub(crate) zero_90k: u64,
    /// Ticks by which the first file's times were moved, so that none is below 0.
    pub(crate) lead: i64,
    /// Distance of pictures, if the stream is known not to reorder them.
    pub(crate) in_order: Option<i64>,
}

/// What a clip is made with besides its tracks.
#[derive(Debug, Default)]
pub(crate) struct ClipSettings<'a> {
    pub(crate) writer: &'a str,
    pub(crate) segment: bool,
    /// `None`: the clip's first picture is its time 0.
    pub(crate) timeline: Option<Timeline>,
}

/// Writes one clip.
///
/// The file is a fragmented MP4 (ISO/IEC 14496-12) with a fragment at every key frame and every half second. It has a name
/// ending in `.part` until it is finished, in the same folder, and is then renamed: **a crash never leaves something that
/// looks like a finished clip**, and the unfinished file is playable up to its last fragment
/// ([`recover`](crate::recover) gives it its name). It is locked (`flock`) while it is written.
///
/// Packets are the units' bytes unchanged. Time 0 of the file is the first picture (later by as much as the stream reorders
/// pictures); its absolute time is in the file as
/// `creation_time` (a MP4 writer rounds it down to seconds in places) and, exactly, as the metadata `timestamp_90k`. The
/// same and more is in the [`Sidecar`].
///
/// Blocks on the disk: use it on a thread for files. Dropping it leaves the unfinished file.
pub struct ClipWriter {
    output: Output,
    failure: Failure,
    /// The same open file as the output's: keeps the lock until the file has its name.
    guard: File,
    part: PathBuf,
    path: PathBuf,
    has_audio: bool,
    time_bases: [Rational; 2],
    /// Added to times relative to the first picture; `None` until it is known how far the stream reorders.
    shift: Option<i64>,
    /// Audio that came before that.
    early_audio: Vec<(i64, Bytes)>,
    start_90k: Option<u64>,
    video: VideoClock,
    last_audio: Option<i64>,
    sidecar: Sidecar,
    left_out: u64,
    retimed: u64,
    track: VideoTrack,
    newest_keyframe: Option<MediaUnit>,
    annotations: Option<File>,
    annotation_bytes: u64,
}

impl ClipWriter {
    /// Creates the file of a clip, and its folder where it is missing. A file of the name is never replaced: the clip
    /// gets `-2`, `-3` and so on behind its name.
    ///
    /// `start_90k` is the time of the first picture that will be written.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written to, or tracks that the MP4 writer refuses.
    pub fn create(path: &Path, tracks: &Tracks, start_90k: u64) -> Result<Self, ClipError> {
        Self::create_with(path, tracks, start_90k, &ClipSettings::default())
    }

    pub(crate) fn create_with(
        path: &Path,
        tracks: &Tracks,
        start_90k: u64,
        settings: &ClipSettings<'_>,
    ) -> Result<Self, ClipError> {
        let (path, part, file) = create_file(path)?;
        Self::on_file(file, path, part, tracks, start_90k, settings)
    }

    fn on_file(
        file: File,
        path: PathBuf,
        part: PathBuf,
        tracks: &Tracks,
        start_90k: u64,
        settings: &ClipSettings<'_>,
    ) -> Result<Self, ClipError> {
        quiet();
        if tracks.video.extra_data.is_empty() {
            let _ = fs::remove_file(&part);
            return Err(ClipError::NoExtraData);
        }
        let mut facts = Facts::new(settings.writer, tracks, start_90k);
        facts.segment = settings.segment;
        let timeline = settings.timeline.as_ref();
        if let Some(timeline) = timeline {
            facts.zero_timestamp_90k = timeline.zero_90k;
        }
        let guard = file.try_clone().map_err(|source| ClipError::Create {
            path: part.clone(),
            source,
        })?;
        let failure = Failure::default();
        let opened = open_output(file, &failure, tracks, &facts);
        let (output, time_bases) = opened.map_err(|source| {
            let error = failure.take_or(&part, source);
            let _ = fs::remove_file(&part); // nothing of use is in it
            error
        })?;
        let shift = timeline.map(|timeline| relative(start_90k, timeline.zero_90k) + timeline.lead);
        let in_order = timeline.and_then(|timeline| timeline.in_order);
        Ok(Self {
            output,
            failure,
            guard,
            part,
            path,
            has_audio: tracks.audio.is_some(),
            time_bases,
            shift,
            early_audio: Vec::new(),
            start_90k: None,
            video: in_order.map_or_else(VideoClock::default, VideoClock::in_order),
            last_audio: None,
            sidecar: Sidecar::new(facts),
            left_out: 0,
            retimed: 0,
            track: tracks.video.clone(),
            newest_keyframe: None,
            annotations: None,
            annotation_bytes: 0,
        })
    }

    /// Where the finished clip will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the unfinished clip is.
    pub fn unfinished_path(&self) -> &Path {
        &self.part
    }

    /// Appends a unit, in the order in which it came.
    ///
    /// # Errors
    ///
    /// A unit that does not belong into the clip, a disk that is full, or a file that somebody has removed. After an
    /// error of the disk the clip is lost beyond what is in the unfinished file: [`salvage`](Self::salvage) it.
    pub fn write(&mut self, unit: &MediaUnit) -> Result<(), ClipError> {
        if unit.data.is_empty() {
            return Err(ClipError::EmptyUnit);
        }
        match unit.track {
            Track::Video => self.write_video(unit),
            Track::Audio => self.write_audio(unit),
        }
    }

    /// Appends a line of JSON to the file beside the clip (`NAME.inferences.jsonl`): what was seen at a time. `false`: it
    /// is about a time before the clip, or as much as may be (16 MiB) lies there already.
    ///
    /// # Errors
    ///
    /// The disk refuses it; the clip itself is not touched.
    pub fn annotate(&mut self, timestamp_90k: u64, json: &str) -> Result<bool, ClipError> {
        if timestamp_90k < self.sidecar.first_timestamp_90k {
            return Ok(false);
        }
        append_annotation(
            &self.path,
            &mut self.annotations,
            &mut self.annotation_bytes,
            json,
        )
    }

    /// Writes what is left, brings the file to the disk and gives it its name.
    ///
    /// # Errors
    ///
    /// A disk that is full or a name that cannot be given: the unfinished file stays.
    pub fn finish(self) -> Result<ClipReport, ClipError> {
        self.finish_at(None)
    }

    /// Finishes it where another file goes on, at the time of that one's first picture.
    pub(crate) fn finish_at(mut self, next_90k: Option<u64>) -> Result<ClipReport, ClipError> {
        let Some(start) = self.start_90k else {
            drop(self.output);
            let _ = fs::remove_file(&self.part);
            return Err(ClipError::NoKeyframe);
        };
        let ready = self.video.learn();
        self.put_all(ready)?;
        let (_, frame) = self.video.learnt();
        let end = next_90k.unwrap_or_else(|| self.sidecar.last_timestamp_90k.saturating_add_signed(frame));
        self.video.last_until(relative(end, start));
        self.sidecar.end_timestamp_90k = end;
        let ready = self.video.end();
        self.put_all(ready)?;
        let result = self.output.write_trailer();
        drop(self.output); // writes what it still holds
        if let Some(error) = self.failure.take(&self.part) {
            return Err(error);
        }
        result.map_err(|source| ClipError::Mux {
            path: self.part.clone(),
            source,
        })?;
        publish(&self.part, &self.path, &mut self.guard, &mut self.sidecar)?;
        let track = self.track;
        Ok(ClipReport {
            left_out: self.left_out,
            retimed: self.retimed,
            newest_keyframe: self.newest_keyframe.map(|unit| Keyframe::new(unit, track)),
            ..ClipReport::new(self.path, self.sidecar)
        })
    }

    /// Gives up writing, after an error, and makes a finished clip of what has come to the disk. `None`: that was
    /// nothing, and the file is gone.
    ///
    /// # Errors
    ///
    /// The disk refuses that, too; the unfinished file stays.
    pub fn salvage(self) -> Result<Option<ClipReport>, ClipError> {
        let Self {
            output,
            mut guard,
            part,
            path,
            ..
        } = self;
        drop(output);
        recover::complete(&part, &path, &mut guard)
    }

    /// How the clock of a next file goes on from this one's.
    pub(crate) fn timeline(&self) -> Timeline {
        let (depth, frame) = self.video.learnt();
        let zero_90k = self.sidecar.zero_timestamp_90k;
        let lead = match self.shift {
            Some(shift) => shift - relative(self.sidecar.first_timestamp_90k, zero_90k),
            None => depth as i64 * frame,
        };
        Timeline {
            zero_90k,
            lead,
            in_order: self.video.known_in_order(),
        }
    }

    fn write_video(&mut self, unit: &MediaUnit) -> Result<(), ClipError> {
        let start = match self.start_90k {
            Some(start) => start,
            None if unit.keyframe => {
                self.sidecar.first_timestamp_90k = unit.timestamp_90k;
                self.sidecar.last_timestamp_90k = unit.timestamp_90k;
                *self.start_90k.insert(unit.timestamp_90k)
            }
            None => return Err(ClipError::NoKeyframe),
        };
        if unit.keyframe {
            self.check_it_is_there()?;
            self.sidecar.note_keyframe(unit.timestamp_90k);
            self.newest_keyframe = Some(unit.clone());
        }
        self.sidecar.last_timestamp_90k = self.sidecar.last_timestamp_90k.max(unit.timestamp_90k);
        self.sidecar.video_packets += 1;
        let pts = relative(unit.timestamp_90k, start);
        let ready = self.video.push(unit.clone(), pts);
        self.put_all(ready)
    }

    /// A removed file takes data without a word, until it cannot be given its name.
    fn check_it_is_there(&self) -> Result<(), ClipError> {
        match fs::metadata(&self.part) {
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Err(ClipError::Removed {
                path: self.part.clone(),
            }),
            _ => Ok(()), // a folder that may not be looked into may still take what is written to its files
        }
    }

    fn write_audio(&mut self, unit: &MediaUnit) -> Result<(), ClipError> {
        if !self.has_audio {
            return Err(ClipError::NoAudioTrack);
        }
        let time = self.start_90k.map(|start| relative(unit.timestamp_90k, start));
        let Some(time) = time.filter(|time| *time >= 0 && self.last_audio.is_none_or(|last| *time > last))
        else {
            self.left_out += 1;
            return Ok(());
        };
        self.last_audio = Some(time);
        self.sidecar.audio_packets += 1;
        match self.shift {
            Some(shift) => self.put_audio(time + shift, &unit.data),
            None => {
                self.early_audio.push((time, unit.data.clone()));
                Ok(())
            }
        }
    }

    fn put_audio(&mut self, time: i64, data: &[u8]) -> Result<(), ClipError> {
        let mut packet = Packet::copy(data);
        packet.set_flags(packet::Flags::KEY);
        packet.set_pts(Some(time));
        packet.set_dts(Some(time));
        self.put(packet, 1)
    }

    /// Writes pictures whose times are known, and at first the audio that waited for it.
    fn put_all(&mut self, ready: Vec<Timed>) -> Result<(), ClipError> {
        if self.shift.is_none() && !self.video.is_learning() {
            // The first picture's time of decoding is 0, and all others' are behind it.
            let (depth, frame) = self.video.learnt();
            let shift = depth as i64 * frame;
            self.shift = Some(shift);
            for (time, data) in std::mem::take(&mut self.early_audio) {
                self.put_audio(time + shift, &data)?;
            }
        }
        ready.iter().try_for_each(|ready| self.put_video(ready))
    }

    fn put_video(&mut self, ready: &Timed) -> Result<(), ClipError> {
        self.retimed += u64::from(ready.retimed);
        let mut packet = Packet::copy(&ready.unit.data);
        if ready.unit.keyframe {
            packet.set_flags(packet::Flags::KEY);
        }
        let shift = self.shift.unwrap_or(0); // known when the first picture is ready
        packet.set_pts(Some(ready.pts + shift));
        packet.set_dts(Some(ready.dts + shift));
        packet.set_duration(ready.duration);
        self.put(packet, 0)
    }

    fn put(&mut self, mut packet: Packet, stream: usize) -> Result<(), ClipError> {
        packet.set_stream(stream);
        let time_base = self.time_bases.get(stream).copied().unwrap_or(TIME_BASE);
        packet.rescale_ts(TIME_BASE, time_base);
        let written = if self.has_audio {
            packet.write_interleaved(&mut self.output)
        } else {
            packet.write(&mut self.output).map(|_| ())
        };
        match (self.failure.take(&self.part), written) {
            (Some(error), _) => Err(error),
            (None, Err(source)) => Err(ClipError::Mux {
                path: self.part.clone(),
                source,
            }),
            (None, Ok(())) => Ok(()),
        }
    }
}

/// Appends to the file beside a clip, which is opened when it is needed. One call is one write, so a killed process
/// leaves at most one half line.
pub(crate) fn append_annotation(
    clip: &Path,
    file: &mut Option<File>,
    bytes: &mut u64,
    json: &str,
) -> Result<bool, ClipError> {
    let path = annotations_path(clip);
    let failed = |source| ClipError::Beside {
        path: path.clone(),
        source,
    };
    if json.len() > LONGEST_ANNOTATION {
        return Ok(false);
    }
    let file = match file {
        Some(file) => file,
        None => {
            let opened = OpenOptions::new().append(true).create(true).open(&path);
            let opened = opened.map_err(failed)?;
            *bytes = opened.metadata().map_err(failed)?.len();
            file.insert(opened)
        }
    };
    if bytes.saturating_add(json.len() as u64) >= ANNOTATION_BYTES {
        return Ok(false);
    }
    // Line feeds in JSON lie between its tokens only.
    let mut line = json.replace(['\n', '\r'], " ");
    line.push('\n');
    file.write_all(line.as_bytes()).map_err(failed)?;
    *bytes += line.len() as u64;
    Ok(true)
}

impl fmt::Debug for ClipWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipWriter")
            .field("path", &self.path)
            .field("video_packets", &self.sidecar.video_packets)
            .finish_non_exhaustive()
    }
}

fn relative(timestamp_90k: u64, start_90k: u64) -> i64 {
    let clamp = |difference: u64| {
        i64::try_from(difference)
            .unwrap_or(i64::MAX / 4)
            .min(i64::MAX / 4)
    };
    if timestamp_90k >= start_90k {
        clamp(timestamp_90k - start_90k)
    } else {
        -clamp(start_90k - timestamp_90k)
    }
}

#[cfg(test)]
mod tests;

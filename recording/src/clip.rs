//! One clip: encoded units written to an MP4 file unchanged.

mod clock;
mod output;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ffmpeg_next::format::context::Output;
use ffmpeg_next::{Packet, Rational, packet};
use lva_media_types::VideoCodec;

use crate::annotations::AnnotationFile;
use crate::beneath::Boundaries;
use crate::error::ClipError;
use crate::finish::{complete, publish, silence_ffmpeg};
use crate::report::ClipReport;
use crate::sidecar::{ClipHeader, Sidecar};
use crate::unit::{AudioCodec, AudioTrack, Keyframe, MediaUnit, Track, Tracks, VideoTrack};
use clock::{Timed, VideoClock};
use output::{Failure, TIME_BASE, create_file, open_output};

/// The clock of a file, continued by the next file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    /// Media time of its zero.
    pub(crate) zero_90k: u64,
    /// Ticks added to the first file's times so that none is negative.
    pub(crate) pts_offset: i64,
    /// Distance between pictures, if the stream is known not to reorder them.
    pub(crate) in_order: Option<i64>,
}

/// Options of a clip besides its tracks.
#[derive(Debug, Default)]
pub(crate) struct ClipSettings<'a> {
    pub(crate) owner: &'a str,
    pub(crate) boundaries: Boundaries,
    pub(crate) segment: bool,
    /// `None`: the first picture is time 0.
    pub(crate) timeline: Option<Timeline>,
}

/// Writes one clip.
///
/// The file is a fragmented MP4 (ISO/IEC 14496-12) with a fragment at every keyframe and every half second. Its name
/// ends in `.part` until it is finished; then it is renamed in the same directory. **A crash never leaves a file that
/// looks like a finished clip**, and the unfinished file is playable up to its last fragment ([`recover`](crate::recover)
/// finishes it). The file is locked (`flock`) while it is written.
///
/// Packets are the units' bytes unchanged. Time 0 of the file is the first picture, later by the reordering depth of the
/// stream. Its absolute time is in the metadata: `creation_time` (rounded down to seconds by MP4 writers) and, exactly,
/// `timestamp_90k`. The [`Sidecar`] has the same and more.
///
/// Blocks on the disk: use it on a thread for files. Dropping it leaves the unfinished file.
pub struct ClipWriter {
    output: Output,
    failure: Failure,
    /// The same open file as the output's: keeps the lock until the file is renamed.
    guard: File,
    part: PathBuf,
    path: PathBuf,
    audio: Option<AudioCodec>,
    time_bases: [Rational; 2],
    /// Added to times relative to the first picture; `None` until the reordering depth is known.
    shift: Option<i64>,
    /// Audio received before that.
    early_audio: Vec<(i64, Bytes)>,
    start_90k: Option<u64>,
    video: VideoClock,
    last_audio: Option<i64>,
    sidecar: Sidecar,
    skipped: u64,
    retimed: u64,
    track: VideoTrack,
    newest_keyframe: Option<MediaUnit>,
    annotations: AnnotationFile,
    boundaries: Boundaries,
}

impl ClipWriter {
    /// Creates the file of a clip, and its directory if it is missing. Never replaces an existing file: the clip's name
    /// gets the suffix `-2`, `-3` and so on.
    ///
    /// `start_90k` is the time of the first picture.
    ///
    /// # Errors
    ///
    /// The directory is not writable, or the MP4 writer rejects the tracks.
    pub fn create(path: &Path, tracks: &Tracks, start_90k: u64) -> Result<Self, ClipError> {
        Self::create_with(path, tracks, start_90k, &ClipSettings::default())
    }

    pub(crate) fn create_with(
        path: &Path,
        tracks: &Tracks,
        start_90k: u64,
        settings: &ClipSettings<'_>,
    ) -> Result<Self, ClipError> {
        let (path, part, file) = create_file(path, &settings.boundaries)?;
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
        silence_ffmpeg();
        if tracks.video.extra_data.is_empty() && tracks.video.codec != VideoCodec::Mjpeg {
            let _ = settings.boundaries.remove(&part);
            return Err(ClipError::NoExtraData);
        }
        let mut header = ClipHeader::new(settings.owner, tracks, start_90k);
        header.segment = settings.segment;
        let timeline = settings.timeline.as_ref();
        if let Some(timeline) = timeline {
            header.zero_timestamp_90k = timeline.zero_90k;
        }
        let guard = file.try_clone().map_err(ClipError::create(&part))?;
        let failure = Failure::default();
        let opened = open_output(file, &failure, tracks, &header);
        let (output, time_bases) = opened.map_err(|cause| {
            let error = failure.take_or(&part, cause);
            let _ = settings.boundaries.remove(&part); // it contains nothing useful
            error
        })?;
        let shift = timeline.map(|timeline| relative(start_90k, timeline.zero_90k) + timeline.pts_offset);
        let in_order = timeline.and_then(|timeline| timeline.in_order);
        let annotations = AnnotationFile::of(&path, &settings.boundaries);
        Ok(Self {
            output,
            failure,
            guard,
            part,
            path,
            audio: tracks.audio.as_ref().map(|track| track.codec),
            time_bases,
            shift,
            early_audio: Vec::new(),
            start_90k: None,
            video: in_order.map_or_else(VideoClock::default, VideoClock::in_order),
            last_audio: None,
            sidecar: Sidecar::new(header),
            skipped: 0,
            retimed: 0,
            track: tracks.video.clone(),
            newest_keyframe: None,
            annotations,
            boundaries: settings.boundaries.clone(),
        })
    }

    /// Path of the finished clip.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the unfinished clip.
    pub fn unfinished_path(&self) -> &Path {
        &self.part
    }

    /// Appends a unit, in the order of arrival.
    ///
    /// # Errors
    ///
    /// The unit does not belong in the clip, the disk is full, or the file was removed. After a disk error the clip is
    /// limited to what the unfinished file contains: call [`salvage`](Self::salvage).
    pub fn write(&mut self, unit: &MediaUnit) -> Result<(), ClipError> {
        if unit.data.is_empty() {
            return Err(ClipError::EmptyUnit);
        }
        match unit.track {
            Track::Video => self.write_video(unit),
            Track::Audio => self.write_audio(unit),
        }
    }

    /// Appends a line of JSON to the clip's metadata file (`NAME.inferences.jsonl`). Returns `false` if its time is
    /// before the clip, or if the file is full (16 MiB).
    ///
    /// # Errors
    ///
    /// The disk rejects it; the clip itself is not affected.
    pub fn annotate(&mut self, timestamp_90k: u64, json: &str) -> Result<bool, ClipError> {
        if timestamp_90k < self.sidecar.first_timestamp_90k {
            return Ok(false);
        }
        self.annotations.append(json)
    }

    /// Writes what is buffered, syncs the file to disk and renames it.
    ///
    /// # Errors
    ///
    /// The disk is full, or the file cannot be renamed: the unfinished file remains.
    pub fn finish(self) -> Result<ClipReport, ClipError> {
        self.finish_at(None)
    }

    /// Finishes the clip at the time of the next file's first picture.
    pub(crate) fn finish_at(mut self, next_90k: Option<u64>) -> Result<ClipReport, ClipError> {
        let Some(start) = self.start_90k else {
            drop(self.output);
            let _ = self.boundaries.remove(&self.part);
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
        drop(self.output); // flushes its buffers
        if let Some(error) = self.failure.take(&self.part) {
            return Err(error);
        }
        result.map_err(|cause| ClipError::Mux {
            path: self.part.clone(),
            cause,
        })?;
        publish(
            &self.part,
            &self.path,
            &mut self.guard,
            &mut self.sidecar,
            &self.boundaries,
        )?;
        let track = self.track;
        Ok(ClipReport {
            skipped: self.skipped,
            retimed: self.retimed,
            newest_keyframe: self.newest_keyframe.map(|unit| Keyframe::new(unit, track)),
            ..ClipReport::new(self.path, self.sidecar)
        })
    }

    /// Stops writing after an error, and finishes the clip with what has reached the disk. Returns `None` if that is
    /// nothing; the file is then removed.
    ///
    /// # Errors
    ///
    /// The disk rejects that, too; the unfinished file remains.
    pub fn salvage(self) -> Result<Option<ClipReport>, ClipError> {
        let Self {
            output,
            mut guard,
            part,
            path,
            boundaries,
            ..
        } = self;
        drop(output);
        complete(&part, &path, &mut guard, &boundaries)
    }

    /// The clock with which the next file continues this one.
    pub(crate) fn timeline(&self) -> Timeline {
        let (depth, frame) = self.video.learnt();
        let zero_90k = self.sidecar.zero_timestamp_90k;
        let pts_offset = match self.shift {
            Some(shift) => shift - relative(self.sidecar.first_timestamp_90k, zero_90k),
            None => depth as i64 * frame,
        };
        Timeline {
            zero_90k,
            pts_offset,
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

    /// A removed file accepts data without an error, until it is renamed.
    fn check_it_is_there(&self) -> Result<(), ClipError> {
        match self.boundaries.kind(&self.part) {
            Ok(None) => Err(ClipError::Removed {
                path: self.part.clone(),
            }),
            _ => Ok(()), // files of a directory without read permission may still be writable
        }
    }

    fn write_audio(&mut self, unit: &MediaUnit) -> Result<(), ClipError> {
        if self.audio.is_none() {
            return Err(ClipError::NoAudioTrack);
        }
        let time = self.start_90k.map(|start| relative(unit.timestamp_90k, start));
        let next = self
            .last_audio
            .map_or(0, |last| last.saturating_add(self.least_audio_ticks()));
        let Some(time) = time.filter(|time| *time >= next) else {
            self.skipped += 1;
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

    /// Two times that are closer are one time for the MP4 writer, which rejects that.
    fn least_audio_ticks(&self) -> i64 {
        let [_, audio] = self.time_bases;
        let ticks = i64::from(TIME_BASE.denominator()) * i64::from(audio.numerator());
        let units = i64::from(audio.denominator().max(1));
        (ticks + units - 1) / units
    }

    fn put_audio(&mut self, time: i64, data: &[u8]) -> Result<(), ClipError> {
        let mut packet = Packet::copy(data);
        packet.set_flags(packet::Flags::KEY);
        packet.set_pts(Some(time));
        packet.set_dts(Some(time));
        let ticks = self.audio.and_then(|codec| AudioTrack::frame_ticks(codec, data));
        packet.set_duration(ticks.unwrap_or(0));
        self.put(packet, 1)
    }

    /// Writes pictures whose times are known, preceded by the audio that waited for them.
    fn put_all(&mut self, ready: Vec<Timed>) -> Result<(), ClipError> {
        if self.shift.is_none() && !self.video.is_learning() {
            // The first picture's decoding time is 0, and all others are later.
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
        let written = if self.audio.is_some() {
            packet.write_interleaved(&mut self.output)
        } else {
            packet.write(&mut self.output).map(|_| ())
        };
        match (self.failure.take(&self.part), written) {
            (Some(error), _) => Err(error),
            (None, Err(cause)) => Err(ClipError::Mux {
                path: self.part.clone(),
                cause,
            }),
            (None, Ok(())) => Ok(()),
        }
    }
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

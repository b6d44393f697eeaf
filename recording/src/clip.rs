//! One clip: encoded units into an MP4 file, as they are.

use crate::error::ClipError;
use crate::naming::utc;
use crate::parameters;
use crate::unit::{MediaUnit, TICKS_PER_SECOND, Track, Tracks};
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::context::{Output, StreamIo};
use ffmpeg_next::{Dictionary, Packet, Rational, codec, packet};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};

/// What an unfinished clip's file name ends with.
pub(crate) const UNFINISHED: &str = ".part";

/// Pictures that are looked at to learn how far the stream reorders them; H.264 and H.265 allow 16.
const REORDER_PROBE: usize = 17;

/// Clips of one name that are told apart by a number.
const MAX_SAME_NAME: u32 = 1000;

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
}

/// Writes one clip.
///
/// The file is a fragmented MP4 (ISO/IEC 14496-12) with a fragment at every key frame and every second. It has a name
/// ending in `.part` until it is finished, in the same folder, and is then renamed: **a crash never leaves something that
/// looks like a finished clip**, and the unfinished file is playable up to its last fragment.
///
/// Packets are the units' bytes unchanged. Time 0 of the file is the first picture; its absolute time is in the file as
/// `creation_time` (a MP4 writer rounds it down to seconds in places) and, exactly, as the metadata `timestamp_90k`.
///
/// Blocks on the disk: use it on a thread for files. Dropping it leaves the unfinished file.
pub struct ClipWriter {
    output: Output,
    failure: Failure,
    part: PathBuf,
    path: PathBuf,
    has_audio: bool,
    time_bases: [Rational; 2],
    start_90k: Option<u64>,
    video: VideoClock,
    last_audio: Option<i64>,
    report: ClipReport,
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
        let (path, part, file) = create_file(path)?;
        Self::on_file(file, path, part, tracks, start_90k)
    }

    fn on_file(
        file: File,
        path: PathBuf,
        part: PathBuf,
        tracks: &Tracks,
        start_90k: u64,
    ) -> Result<Self, ClipError> {
        static QUIET: Once = Once::new();
        QUIET.call_once(|| ffmpeg::log::set_level(ffmpeg::log::Level::Fatal));
        if tracks.video.extra_data.is_empty() {
            let _ = fs::remove_file(&part);
            return Err(ClipError::NoExtraData);
        }
        let failure = Failure::default();
        let opened = open_output(file, &failure, tracks, start_90k);
        let (output, time_bases) = opened.map_err(|source| {
            let error = failure.take_or(&part, source);
            let _ = fs::remove_file(&part); // nothing of use is in it
            error
        })?;
        let report = ClipReport {
            path: path.clone(),
            first_timestamp_90k: start_90k,
            last_timestamp_90k: start_90k,
            video_packets: 0,
            audio_packets: 0,
            left_out: 0,
            retimed: 0,
            bytes: 0,
        };
        Ok(Self {
            output,
            failure,
            part,
            path,
            has_audio: tracks.audio.is_some(),
            time_bases,
            start_90k: None,
            video: VideoClock::default(),
            last_audio: None,
            report,
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
    /// A unit that does not belong into the clip, or a disk that is full. After an error of the disk the clip is lost
    /// beyond what is in the unfinished file; drop it.
    pub fn write(&mut self, unit: &MediaUnit) -> Result<(), ClipError> {
        if unit.data.is_empty() {
            return Err(ClipError::EmptyUnit);
        }
        match unit.track {
            Track::Video => self.write_video(unit),
            Track::Audio => self.write_audio(unit),
        }
    }

    /// Writes what is left, brings the file to the disk and gives it its name.
    ///
    /// # Errors
    ///
    /// A disk that is full or a name that cannot be given: the unfinished file stays.
    pub fn finish(mut self) -> Result<ClipReport, ClipError> {
        if self.start_90k.is_none() {
            drop(self.output);
            let _ = fs::remove_file(&self.part);
            return Err(ClipError::NoKeyframe);
        }
        for ready in self.video.end() {
            self.put_video(&ready)?;
        }
        let result = self.output.write_trailer();
        drop(self.output); // writes what it still holds, and closes the file
        if let Some(error) = self.failure.take(&self.part) {
            return Err(error);
        }
        result.map_err(|source| ClipError::Mux {
            path: self.part.clone(),
            source,
        })?;
        let sync = File::open(&self.part).and_then(|file| {
            file.sync_all()?;
            file.metadata()
        });
        let metadata = sync.map_err(|source| ClipError::Write {
            path: self.part.clone(),
            source,
        })?;
        let renamed = fs::rename(&self.part, &self.path).and_then(|()| match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        });
        renamed.map_err(|source| ClipError::Finish {
            path: self.part.clone(),
            source,
        })?;
        self.report.bytes = metadata.len();
        Ok(self.report)
    }

    fn write_video(&mut self, unit: &MediaUnit) -> Result<(), ClipError> {
        let start = match self.start_90k {
            Some(start) => start,
            None if unit.keyframe => {
                self.report.first_timestamp_90k = unit.timestamp_90k;
                self.report.last_timestamp_90k = unit.timestamp_90k;
                *self.start_90k.insert(unit.timestamp_90k)
            }
            None => return Err(ClipError::NoKeyframe),
        };
        self.report.last_timestamp_90k = self.report.last_timestamp_90k.max(unit.timestamp_90k);
        self.report.video_packets += 1;
        let pts = relative(unit.timestamp_90k, start);
        for ready in self.video.push(unit.clone(), pts) {
            self.put_video(&ready)?;
        }
        Ok(())
    }

    fn write_audio(&mut self, unit: &MediaUnit) -> Result<(), ClipError> {
        if !self.has_audio {
            return Err(ClipError::NoAudioTrack);
        }
        let time = self.start_90k.map(|start| relative(unit.timestamp_90k, start));
        let Some(time) = time.filter(|time| *time >= 0 && self.last_audio.is_none_or(|last| *time > last))
        else {
            self.report.left_out += 1;
            return Ok(());
        };
        self.last_audio = Some(time);
        self.report.audio_packets += 1;
        let mut packet = Packet::copy(&unit.data);
        packet.set_flags(packet::Flags::KEY);
        packet.set_pts(Some(time));
        packet.set_dts(Some(time));
        self.put(packet, 1)
    }

    fn put_video(&mut self, ready: &Timed) -> Result<(), ClipError> {
        self.report.retimed += u64::from(ready.retimed);
        let mut packet = Packet::copy(&ready.unit.data);
        if ready.unit.keyframe {
            packet.set_flags(packet::Flags::KEY);
        }
        packet.set_pts(Some(ready.pts));
        packet.set_dts(Some(ready.dts));
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

impl fmt::Debug for ClipWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipWriter")
            .field("path", &self.path)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

const TIME_BASE: Rational = Rational(1, TICKS_PER_SECOND as i32);

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

/// Creates the unfinished file under a name for which there is neither a finished nor an unfinished one.
fn create_file(wanted: &Path) -> Result<(PathBuf, PathBuf, File), ClipError> {
    let failed = |path: &Path, source| ClipError::Create {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = wanted.parent() {
        fs::create_dir_all(folder).map_err(|source| failed(wanted, source))?;
    }
    for number in 1..=MAX_SAME_NAME {
        let path = if number == 1 {
            wanted.to_owned()
        } else {
            numbered(wanted, number)
        };
        let mut part: OsString = path.clone().into_os_string();
        part.push(UNFINISHED);
        let part = PathBuf::from(part);
        if path.try_exists().map_err(|source| failed(&path, source))? {
            continue;
        }
        match OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&part)
        {
            Ok(file) => return Ok((path, part, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed(&part, source)),
        }
    }
    Err(ClipError::NameTaken {
        path: wanted.to_owned(),
    })
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{number}.mp4"))
}

fn open_output(
    file: File,
    failure: &Failure,
    tracks: &Tracks,
    start_90k: u64,
) -> Result<(Output, [Rational; 2]), ffmpeg::Error> {
    let stream = StreamIo::from_write_seek(PartFile {
        file,
        failure: failure.clone(),
    })?;
    let mut output = ffmpeg::format::output_to_stream(stream, None, Some("mp4"))?;
    add_stream(&mut output, parameters::video(&tracks.video)?)?;
    if let Some(audio) = &tracks.audio {
        add_stream(&mut output, parameters::audio(audio)?)?;
    }
    let mut metadata = Dictionary::new();
    metadata.set("creation_time", &utc(start_90k).to_string());
    metadata.set("timestamp_90k", &start_90k.to_string());
    output.set_metadata(metadata);
    let mut options = Dictionary::new();
    options.set(
        "movflags",
        "frag_keyframe+empty_moov+default_base_moof+use_metadata_tags",
    );
    options.set("frag_duration", "1000000"); // microseconds: what a crash can cost
    output.write_header_with(options)?;
    let time_base = |index| {
        output
            .stream(index)
            .map_or(TIME_BASE, |stream| stream.time_base())
    };
    let time_bases = [time_base(0), time_base(1)];
    Ok((output, time_bases))
}

fn add_stream(output: &mut Output, parameters: codec::Parameters) -> Result<(), ffmpeg::Error> {
    let mut stream = output.add_stream(codec::Id::None)?;
    stream.set_parameters(parameters);
    stream.set_time_base(TIME_BASE);
    Ok(())
}

/// The first error of the file, in the system's own words; FFmpeg passes on a number at best.
#[derive(Clone, Default)]
struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    fn set(&self, error: io::Error) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }

    fn take(&self, part: &Path) -> Option<ClipError> {
        let source = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(ClipError::Write {
            path: part.to_owned(),
            source,
        })
    }

    fn take_or(&self, part: &Path, source: ffmpeg::Error) -> ClipError {
        self.take(part).unwrap_or_else(|| ClipError::Mux {
            path: part.to_owned(),
            source,
        })
    }
}

struct PartFile {
    file: File,
    failure: Failure,
}

impl PartFile {
    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            self.failure.set(error);
            kind.into()
        })
    }
}

impl Write for PartFile {
    /// Writes all of it: FFmpeg takes a short count for the whole.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.file.write_all(bytes).map(|()| bytes.len());
        self.noted(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.flush();
        self.noted(result)
    }
}

impl Seek for PartFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let result = self.file.seek(position);
        self.noted(result)
    }
}

/// A picture with everything that the MP4 writer wants to know.
struct Timed {
    unit: MediaUnit,
    pts: i64,
    dts: i64,
    duration: i64,
    retimed: bool,
}

/// Gives pictures, which come in the order of decoding with times of presentation, their times of decoding.
///
/// The time of decoding of a picture is the time of presentation of the one that many places earlier in order of
/// presentation, as far as the stream reorders at most. How far is learnt from the first pictures; a stream without
/// B-frames has 0, and both times are equal.
#[derive(Default)]
struct VideoClock {
    probe: Vec<(MediaUnit, i64)>,
    depth: Option<usize>,
    times: BinaryHeap<Reverse<i64>>,
    lead: VecDeque<i64>,
    last_dts: Option<i64>,
    held: Option<Timed>,
    frame: i64,
}

impl VideoClock {
    fn push(&mut self, unit: MediaUnit, pts: i64) -> Vec<Timed> {
        if self.depth.is_some() {
            return self.order(unit, pts).into_iter().collect();
        }
        self.probe.push((unit, pts));
        if self.probe.len() < REORDER_PROBE {
            Vec::new()
        } else {
            self.learn()
        }
    }

    /// The rest, at the end of the clip.
    fn end(&mut self) -> Vec<Timed> {
        let mut rest = if self.depth.is_none() {
            self.learn()
        } else {
            Vec::new()
        };
        rest.extend(self.held.take());
        rest
    }

    fn learn(&mut self) -> Vec<Timed> {
        let probe = std::mem::take(&mut self.probe);
        let later_before =
            |index: usize, pts: i64| probe.iter().take(index).filter(|(_, other)| *other > pts).count();
        let depth = probe
            .iter()
            .enumerate()
            .map(|(index, (_, pts))| later_before(index, *pts))
            .max()
            .unwrap_or(0);
        let mut times: Vec<i64> = probe.iter().map(|(_, pts)| *pts).collect();
        times.sort_unstable();
        self.frame = times
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .filter(|step| *step > 0)
            .min()
            .unwrap_or(3000);
        let first = times.first().copied().unwrap_or(0);
        self.depth = Some(depth);
        self.lead = (1..=depth as i64)
            .rev()
            .map(|ahead| first - ahead * self.frame)
            .collect();
        probe
            .into_iter()
            .filter_map(|(unit, pts)| self.order(unit, pts))
            .collect()
    }

    /// Holds each picture back until the next one tells how long it lasts.
    fn order(&mut self, unit: MediaUnit, pts: i64) -> Option<Timed> {
        self.times.push(Reverse(pts));
        let wanted = match self.lead.pop_front() {
            Some(lead) => lead,
            None => self.times.pop().map_or(pts, |Reverse(time)| time),
        };
        let dts = self.last_dts.map_or(wanted, |last| wanted.max(last + 1));
        self.last_dts = Some(dts);
        let timed = Timed {
            unit,
            pts: pts.max(dts),
            dts,
            duration: self.frame,
            retimed: dts > wanted || dts > pts,
        };
        let mut ready = self.held.replace(timed);
        if let Some(ready) = &mut ready {
            ready.duration = dts - ready.dts;
        }
        ready
    }
}

#[cfg(test)]
mod tests;

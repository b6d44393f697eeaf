//! The unfinished file, and FFmpeg's MP4 writer on top of it.

use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::context::{Output, StreamIo};
use ffmpeg_next::{Dictionary, Rational, codec};
use lva_media_types::MediaTime;

use crate::beneath::Boundaries;
use crate::error::ClipError;
use crate::files::{sidecar_path, unfinished};
use crate::naming::utc;
use crate::parameters;
use crate::sidecar::{ClipHeader, HEADER_TAG, TIMESTAMP_TAG};
use crate::unit::Tracks;

/// Most clips of one name, distinguished by a number.
const MAX_SAME_NAME: u32 = 1000;

/// `frag_discont`: the first fragment also has its position in time.
const MOVFLAGS: &str = "frag_keyframe+empty_moov+default_base_moof+use_metadata_tags+frag_discont";

/// Microseconds of media in a fragment, and the largest distance of the tracks: at most this much is lost with a killed
/// process.
const FRAGMENT_MICROSECONDS: &str = "500000";

pub(super) const TIME_BASE: Rational = Rational(1, MediaTime::TICKS_PER_SECOND as i32);

/// Creates the unfinished file under a name that neither a finished nor an unfinished clip has, and locks it, so that
/// recovery leaves it alone.
pub(super) fn create_file(
    wanted: &Path,
    boundaries: &Boundaries,
) -> Result<(PathBuf, PathBuf, File), ClipError> {
    let failed = |path: &Path, cause| ClipError::Create {
        path: path.to_owned(),
        cause,
    };
    if let Some(directory) = wanted.parent() {
        boundaries
            .make_directory(directory)
            .map_err(|cause| failed(wanted, cause))?;
    }
    for number in 1..=MAX_SAME_NAME {
        let path = if number == 1 {
            wanted.to_owned()
        } else {
            numbered(wanted, number)
        };
        let part = unfinished(&path);
        let taken = |path: &Path| {
            let found = boundaries.kind(path).map_err(|cause| failed(path, cause));
            found.map(|kind| kind.is_some())
        };
        if taken(&path)? || taken(&sidecar_path(&path))? {
            continue;
        }
        match boundaries.create_file(&part) {
            // A recovery may have locked it first. Without support for locks, record all the same.
            Ok(file) if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) => {}
            Ok(file) => return Ok((path, part, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(failed(&part, cause)),
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

/// Opens the writer and writes the file header.
pub(super) fn open_output(
    file: File,
    failure: &Failure,
    tracks: &Tracks,
    header: &ClipHeader,
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
    metadata.set("creation_time", &utc(header.first_timestamp_90k).to_string());
    metadata.set(TIMESTAMP_TAG, &header.first_timestamp_90k.to_string());
    metadata.set(HEADER_TAG, &header.to_tag());
    output.set_metadata(metadata);
    let mut options = Dictionary::new();
    options.set("movflags", MOVFLAGS);
    // Write times as given. By default the writer moves the first packet of each track to 0: audio would be early by its
    // distance from the first picture, and segments of a recording would overlap.
    options.set("avoid_negative_ts", "disabled");
    options.set("use_editlist", "0");
    options.set("frag_duration", FRAGMENT_MICROSECONDS);
    options.set("max_interleave_delta", FRAGMENT_MICROSECONDS);
    options.set("flush_packets", "1");
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

/// The first error of the file, as the system reports it; FFmpeg passes on a number at best.
#[derive(Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    fn set(&self, error: io::Error) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }

    pub(super) fn take(&self, part: &Path) -> Option<ClipError> {
        let cause = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(ClipError::Write {
            path: part.to_owned(),
            cause,
        })
    }

    pub(super) fn take_or(&self, part: &Path, cause: ffmpeg::Error) -> ClipError {
        self.take(part).unwrap_or_else(|| ClipError::Mux {
            path: part.to_owned(),
            cause,
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
    /// Writes all bytes: FFmpeg treats a short count as success.
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

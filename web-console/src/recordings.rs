//! What was recorded of a camera, from the sidecars of its files.

mod range;

pub(crate) use self::range::{RangeReader, stream};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lva_recording::{Sidecar, find_finished};
use parking_lot::Mutex;
use serde::Serialize;

/// The directories are looked through again after so long.
const FRESH: Duration = Duration::from_secs(3);

/// Files that are kept in mind: half a year of segments of 30 s. Of more, the newest paths count.
const MAX_FILES: usize = 500_000;

/// Files that follow each other are one span; pictures may be missing for so long.
const GAP_90K: u64 = 90_000;

/// A finished file.
#[derive(Debug, Clone)]
pub(crate) struct RecordedFile {
    path: PathBuf,
    /// `INSTANCE/SINK`.
    owner: String,
    first_90k: u64,
    end_90k: u64,
    zero_90k: u64,
    init_bytes: u64,
    is_segment: bool,
    keyframes_90k: Vec<u64>,
}

/// A time without a gap in one recording.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Span {
    #[serde(rename = "start90k")]
    start_90k: u64,
    #[serde(rename = "end90k")]
    end_90k: u64,
    /// `segment` of a continuous recording, or `clip`.
    kind: &'static str,
    sink: String,
}

/// The recordings below some directories.
#[derive(Default)]
pub(crate) struct Recordings {
    folders: Vec<PathBuf>,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    files: BTreeMap<PathBuf, Arc<RecordedFile>>,
    looked_at: Option<Instant>,
}

impl RecordedFile {
    fn read(path: PathBuf) -> Option<Self> {
        let sidecar = Sidecar::read(&path).ok()?;
        Some(Self {
            path,
            owner: sidecar.owner,
            first_90k: sidecar.first_timestamp_90k,
            end_90k: sidecar.end_timestamp_90k,
            zero_90k: sidecar.zero_timestamp_90k,
            init_bytes: sidecar.init_bytes,
            is_segment: sidecar.segment,
            keyframes_90k: sidecar.keyframes_90k,
        })
    }

    /// Whether a moment is in it.
    pub(crate) fn shows(&self, timestamp_90k: u64) -> bool {
        (self.first_90k..self.end_90k).contains(&timestamp_90k)
    }

    fn camera_and_sink(&self) -> (&str, &str) {
        self.owner.rsplit_once('/').unwrap_or((&self.owner, ""))
    }
}

impl Recordings {
    pub(crate) fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            index: Mutex::default(),
        }
    }

    /// The directories.
    pub(crate) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The files of a camera, oldest first.
    pub(crate) async fn files(self: &Arc<Self>, camera: &str) -> Vec<Arc<RecordedFile>> {
        let own = Arc::clone(self);
        // Reads directories. If it panics, the files of before are there still.
        let _ = tokio::task::spawn_blocking(move || own.look()).await;
        let index = self.index.lock();
        let of_camera = index
            .files
            .values()
            .filter(|file| file.camera_and_sink().0 == camera);
        let mut files: Vec<_> = of_camera.cloned().collect();
        files.sort_by(|a, b| (&a.owner, a.first_90k).cmp(&(&b.owner, b.first_90k)));
        files
    }

    fn look(&self) {
        let known: Vec<PathBuf> = {
            let mut index = self.index.lock();
            if index.looked_at.is_some_and(|at| at.elapsed() < FRESH) {
                return;
            }
            index.looked_at = Some(Instant::now());
            index.files.keys().cloned().collect()
        };
        let mut found = Vec::new();
        for folder in &self.folders {
            match find_finished(folder) {
                Ok(clips) => found.extend(clips),
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "recordings cannot be listed")
                }
            }
        }
        found.sort();
        found.dedup();
        let surplus = found.len().saturating_sub(MAX_FILES);
        found.drain(..surplus);
        // Sidecars are read without the lock.
        let is_new = |path: &&PathBuf| known.binary_search(path).is_err();
        let new = found
            .iter()
            .filter(is_new)
            .cloned()
            .filter_map(RecordedFile::read);
        let new: Vec<_> = new.map(Arc::new).collect();
        let mut index = self.index.lock();
        index.files.retain(|path, _| found.binary_search(path).is_ok());
        index
            .files
            .extend(new.into_iter().map(|file| (file.path.clone(), file)));
    }

    /// The spans of files that are sorted.
    pub(crate) fn spans(files: &[Arc<RecordedFile>]) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        let mut before: Option<&RecordedFile> = None;
        for file in files {
            let continues = before.is_some_and(|before| follows(before, file));
            match spans.last_mut().filter(|_| continues) {
                Some(span) => span.end_90k = span.end_90k.max(file.end_90k),
                None => spans.push(Span {
                    start_90k: file.first_90k,
                    end_90k: file.end_90k,
                    kind: if file.is_segment { "segment" } else { "clip" },
                    sink: file.camera_and_sink().1.to_owned(),
                }),
            }
            before = Some(file);
        }
        spans.sort_by_key(|span| span.start_90k);
        spans
    }

    /// The files to play from a time on without a gap: of continuous recordings first.
    pub(crate) fn run(files: &[Arc<RecordedFile>], from_90k: u64, to_90k: u64) -> Vec<Arc<RecordedFile>> {
        let shows = |file: &RecordedFile| file.end_90k > from_90k && file.first_90k < to_90k;
        let beginnings = files.iter().enumerate().filter(|(_, file)| shows(file));
        // What has the moment itself, then what comes first after it.
        let first = beginnings.min_by_key(|(_, file)| (file.first_90k.max(from_90k), !file.is_segment));
        let Some((start, first)) = first else {
            return Vec::new();
        };
        let mut run = vec![Arc::clone(first)];
        for file in files.iter().skip(start + 1) {
            if !run.last().is_some_and(|before| follows(before, file)) || file.first_90k >= to_90k {
                break;
            }
            run.push(Arc::clone(file));
        }
        run
    }
}

/// Whether a file goes on where another ends, with the same clock and parameters.
fn follows(before: &RecordedFile, file: &RecordedFile) -> bool {
    before.owner == file.owner
        && before.zero_90k == file.zero_90k
        && before.is_segment
        && file.first_90k <= before.end_90k.saturating_add(GAP_90K)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(owner: &str, (first, end): (u64, u64), zero: u64, is_segment: bool) -> Arc<RecordedFile> {
        Arc::new(RecordedFile {
            path: PathBuf::new(),
            owner: owner.to_owned(),
            first_90k: first * 90_000,
            end_90k: end * 90_000,
            zero_90k: zero,
            init_bytes: 0,
            is_segment,
            keyframes_90k: Vec::new(),
        })
    }

    fn files() -> Vec<Arc<RecordedFile>> {
        vec![
            file("a/b/asset", (100, 130), 1, true),
            file("a/b/asset", (130, 160), 1, true),
            file("a/b/asset", (160, 190), 2, true),
            file("a/b/clips", (120, 140), 3, false),
            file("a/b/clips", (300, 310), 4, false),
        ]
    }

    #[test]
    fn files_without_a_gap_are_one_span() {
        let seconds = |span: &Span| (span.start_90k / 90_000, span.end_90k / 90_000, span.kind);
        let spans: Vec<_> = Recordings::spans(&files()).iter().map(seconds).collect();
        let expected = [
            (100, 160, "segment"),
            (120, 140, "clip"),
            (160, 190, "segment"),
            (300, 310, "clip"),
        ];
        assert_eq!(spans, expected);
        assert_eq!(files()[0].camera_and_sink(), ("a/b", "asset"));
    }

    #[test]
    fn what_is_played_has_one_clock_and_begins_where_it_is_asked_to() {
        let run = |from: u64, to: u64| -> Vec<(u64, u64)> {
            let run = Recordings::run(&files(), from * 90_000, to * 90_000);
            run.iter()
                .map(|file| (file.first_90k / 90_000, file.zero_90k))
                .collect()
        };
        assert_eq!(
            run(110, 180),
            [(100, 1), (130, 1)],
            "the third has other parameters"
        );
        assert_eq!(
            run(125, 128),
            [(100, 1)],
            "the continuous recording, not the clip"
        );
        assert_eq!(run(170, 400), [(160, 2)]);
        assert_eq!(run(200, 400), [(300, 4)]);
        assert!(run(400, 500).is_empty());
    }
}

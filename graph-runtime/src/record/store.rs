//! The directories and file names of a sink's recordings.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use lva_graph_model::nodes::FileSink;
use lva_graph_model::{Pattern, PatternPiece, SystemVariable};
use lva_recording::{
    Clip, ClipDirectory, ClipError, ClipReport, ClipStore, ClipWriter, MediaUnit, NewClip, SegmentDirectory,
    SegmentOptions, SegmentedClip, StoreStats, Tracks, clip_path,
};

use lva_media_types::MediaTime;
use lva_rtsp::WallClock;

use crate::plan::{RecordingPlan, RecordingTarget};

/// Characters that asset names must not contain, as published.
const NOT_IN_ASSET_NAMES: &str = r"<>%&:\/?*+.'";
/// Characters of the longest asset name, and bytes of the longest directory name.
const MAX_ASSET_NAME: usize = 260;
const MAX_DIRECTORY_NAME: usize = 255;

/// Fills the patterns of names.
#[derive(Debug, Clone)]
pub(super) struct PatternContext {
    pub(super) topology: String,
    pub(super) instance: String,
    /// As published, the date in a name is when the recording starts, not the event's.
    pub(super) clock: WallClock,
    pub(super) absolute_directories: bool,
}

impl PatternContext {
    fn render(&self, pattern: &Pattern) -> String {
        let now = MediaTime::from_ticks_90k(self.clock.now_90k());
        pattern.render(&self.topology, &self.instance, now.to_system_time())
    }

    /// A directory of files, which stays below the root unless it may leave it.
    fn place(&self, root: &Path, directory: &str) -> PathBuf {
        if self.absolute_directories {
            return root.join(directory);
        }
        let names = Path::new(directory)
            .components()
            .filter(|component| matches!(component, Component::Normal(_)));
        root.join(names.collect::<PathBuf>())
    }
}

/// Logs that a sink does not write to the path in its topology.
pub(super) fn warn_of_moved_directory(plan: &RecordingPlan, context: &PatternContext, root: &Path) {
    let RecordingTarget::Files(sink) = &plan.target else {
        return;
    };
    let (asked, directory) = (
        fixed_directory(&sink.directory, context),
        root_dir(sink, context, root),
    );
    if root.join(&asked) != directory {
        tracing::warn!(
            sink = %plan.sink.name,
            baseDirectoryPath = %asked,
            directory = %directory.display(),
            "files go below the directory of all recordings"
        );
    }
}

/// How long the segments of a sink are; `None` for files.
pub(super) fn segment_length(plan: &RecordingPlan) -> Option<Duration> {
    match &plan.target {
        RecordingTarget::Asset(sink) => Some(sink.segment_length),
        RecordingTarget::Video(sink) => Some(sink.segment_length),
        RecordingTarget::Files(_) => None,
    }
}

/// The files of one sink.
///
/// Assets and videos are directories of segments with a playlist. `localMediaCacheMaximumSizeMiB` does not limit them: it
/// limits what waits for an upload, and nothing is uploaded.
#[derive(Debug)]
pub(super) enum Store {
    Files(ClipDirectory),
    Segments(SegmentDirectory),
}

impl Store {
    pub(super) fn new(plan: &RecordingPlan, context: &PatternContext, root: &Path) -> Self {
        let owner_id = owner_id(plan, context);
        let (context, root) = (context.clone(), root.to_owned());
        match &plan.target {
            RecordingTarget::Files(sink) => {
                let root_dir = root_dir(sink, &context, &root);
                let (sink, cap) = (sink.clone(), sink.maximum_bytes);
                let store = ClipDirectory::with_naming(move |new: &NewClip| {
                    let directory = context.place(&root, &context.render(&sink.directory));
                    clip_path(&directory, &context.render(&sink.file_name), new.start_90k)
                });
                let store = store.with_root(root_dir).with_owner(owner_id);
                Self::Files(match cap {
                    Some(bytes) => store.with_maximum_bytes(bytes),
                    None => store,
                })
            }
            RecordingTarget::Asset(sink) => {
                let options = SegmentOptions::default().with_length(sink.segment_length);
                let name = sink.asset_name.clone();
                let always = plan.gate.is_none();
                // A new asset each time the gate opens; a single one for a continuous recording, whatever interrupts it.
                let mut asset: Option<PathBuf> = None;
                let store = SegmentDirectory::with_naming(options, move |_: &NewClip| match &asset {
                    Some(asset) if always => Ok(asset.clone()),
                    _ => {
                        let directory = root.join(checked(context.render(&name), is_asset_name)?);
                        Ok(asset.insert(directory).clone())
                    }
                });
                Self::Segments(store.with_owner(owner_id))
            }
            RecordingTarget::Video(sink) => {
                let options = SegmentOptions::default().with_length(sink.segment_length);
                let options = match sink.retention {
                    Some(age) => options.with_retention(age),
                    None => options,
                };
                let name = sink.video_name.clone();
                let store = SegmentDirectory::with_naming(options, move |_: &NewClip| {
                    Ok(root.join(checked(context.render(&name), is_directory_name)?))
                });
                Self::Segments(store.with_owner(owner_id))
            }
        }
    }
}

/// Identifies the files of a sink after a restart and among those of other sinks.
pub(super) fn owner_id(plan: &RecordingPlan, context: &PatternContext) -> String {
    format!("{}/{}", context.instance, plan.sink.name)
}

/// The directory that holds all files of a file sink.
pub(super) fn root_dir(sink: &FileSink, context: &PatternContext, root: &Path) -> PathBuf {
    context.place(root, &fixed_directory(&sink.directory, context))
}

/// The directories of a pattern before the first that changes with time.
fn fixed_directory(pattern: &Pattern, context: &PatternContext) -> String {
    let mut fixed = String::new();
    for piece in pattern.pieces() {
        match piece {
            PatternPiece::Text(text) => fixed.push_str(text),
            PatternPiece::Variable(SystemVariable::TopologyName) => fixed.push_str(&context.topology),
            PatternPiece::Variable(SystemVariable::InstanceName) => fixed.push_str(&context.instance),
            PatternPiece::Variable(SystemVariable::DateTime | SystemVariable::PreciseDateTime) => {
                let directory = fixed.rfind('/').map_or(0, |slash| slash + 1);
                fixed.truncate(directory);
                break;
            }
        }
    }
    fixed
}

fn checked(name: String, is_valid: fn(&str) -> bool) -> Result<String, ClipError> {
    if is_valid(&name) {
        return Ok(name);
    }
    let name = name.chars().take(MAX_ASSET_NAME).collect();
    Err(ClipError::Name { name })
}

/// `^[^<>%&:\\\/?*+.']{1,260}$`, and a valid name of a directory.
fn is_asset_name(name: &str) -> bool {
    (1..=MAX_ASSET_NAME).contains(&name.chars().count())
        && !name
            .chars()
            .any(|c| NOT_IN_ASSET_NAMES.contains(c) || c.is_control())
}

/// For names without a published rule: one visible directory.
fn is_directory_name(name: &str) -> bool {
    (1..=MAX_DIRECTORY_NAME).contains(&name.len())
        && !name.starts_with('.')
        && !name.chars().any(|c| matches!(c, '/' | '\\') || c.is_control())
}

/// What is being written.
#[derive(Debug)]
pub(super) enum Open {
    File(Box<ClipWriter>),
    Segments(Box<SegmentedClip>),
}

/// The same call on whichever store it is.
macro_rules! on_store {
    ($self:expr, $store:ident => $call:expr) => {
        match $self {
            Self::Files($store) => $call,
            Self::Segments($store) => $call,
        }
    };
}

impl ClipStore for Store {
    type Clip = Open;

    fn create(&mut self, new: &NewClip, tracks: &Tracks) -> Result<Open, ClipError> {
        match self {
            Self::Files(store) => Ok(Open::File(Box::new(store.create(new, tracks)?))),
            Self::Segments(store) => Ok(Open::Segments(Box::new(store.create(new, tracks)?))),
        }
    }

    fn finished(&mut self, report: &ClipReport) -> Result<(), ClipError> {
        on_store!(self, store => store.finished(report))
    }

    fn ended(&mut self) -> Result<(), ClipError> {
        on_store!(self, store => store.ended())
    }

    fn clip_failed(&mut self, clip: Option<Open>, error: &ClipError) -> Vec<ClipReport> {
        match (self, clip) {
            (Self::Files(store), Some(Open::File(clip))) => store.clip_failed(Some(*clip), error),
            (Self::Segments(store), Some(Open::Segments(clip))) => store.clip_failed(Some(*clip), error),
            (Self::Files(store), _) => store.clip_failed(None, error),
            (Self::Segments(store), _) => store.clip_failed(None, error),
        }
    }

    fn take_recovered(&mut self) -> Vec<ClipReport> {
        on_store!(self, store => store.take_recovered())
    }

    fn annotate(&mut self, report: &ClipReport, json: &str) -> Result<bool, ClipError> {
        on_store!(self, store => store.annotate(report, json))
    }

    fn stats(&self) -> StoreStats {
        on_store!(self, store => store.stats())
    }
}

impl Clip for Open {
    fn path(&self) -> &Path {
        match self {
            Self::File(clip) => clip.path(),
            Self::Segments(clip) => clip.path(),
        }
    }

    fn write(&mut self, unit: &MediaUnit, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        match self {
            Self::File(clip) => Clip::write(clip.as_mut(), unit, finished),
            Self::Segments(clip) => clip.write(unit, finished),
        }
    }

    fn finish(self, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        match self {
            Self::File(clip) => Clip::finish(*clip, finished),
            Self::Segments(clip) => clip.finish(finished),
        }
    }

    fn annotate(&mut self, timestamp_90k: u64, json: &str) -> Result<bool, ClipError> {
        match self {
            Self::File(clip) => Clip::annotate(clip.as_mut(), timestamp_90k, json),
            Self::Segments(clip) => clip.annotate(timestamp_90k, json),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_directory_stays_below_the_root_unless_it_may_leave_it() {
        let place = |absolute_directories, directory| {
            let context = PatternContext {
                topology: "t".to_owned(),
                instance: "i".to_owned(),
                clock: WallClock::default(),
                absolute_directories,
            };
            context.place(Path::new("/root/all"), directory)
        };
        assert_eq!(place(true, "/var/media"), Path::new("/var/media"));
        assert_eq!(place(true, "media"), Path::new("/root/all/media"));
        assert_eq!(place(false, "/var/media"), Path::new("/root/all/var/media"));
        assert_eq!(place(false, "/../../etc"), Path::new("/root/all/etc"));
    }

    #[test]
    fn names_cannot_leave_their_directory() {
        assert!(is_asset_name("sampleAssetFromEVR-LVAEdge-20200517T175346Z"));
        for name in ["", "..", "a/b", "a\\b", "a.b", "a:b", "x\0", &"a".repeat(261)] {
            assert!(!is_asset_name(name), "{name:?}");
        }
        assert!(is_directory_name("front door 2.0"));
        for name in ["", ".", "..", ".hidden", "a/b", "a\\b", "x\0", &"a".repeat(256)] {
            assert!(!is_directory_name(name), "{name:?}");
        }
    }
}

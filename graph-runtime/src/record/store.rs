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
    /// The directory of all recordings, and others that absolute directories may be in.
    pub(super) folders: RecordingFolders,
}

impl PatternContext {
    fn render(&self, pattern: &Pattern) -> String {
        let now = MediaTime::from_ticks_90k(self.clock.now_90k());
        pattern.render(&self.topology, &self.instance, now.to_system_time())
    }
}

/// Where recordings may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordingFolders {
    root: PathBuf,
    /// Absolute.
    allowed: Vec<PathBuf>,
}

impl RecordingFolders {
    pub(crate) fn new(root: PathBuf, allowed: &[PathBuf]) -> Self {
        // An error means that there is no current directory: nothing can be compared with it then.
        let absolute = std::iter::once(&root).chain(allowed);
        let allowed = absolute
            .filter_map(|folder| std::path::absolute(folder).ok())
            .collect();
        Self { root, allowed }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn boundaries(&self) -> Vec<PathBuf> {
        std::iter::once(&self.root)
            .chain(&self.allowed)
            .cloned()
            .collect()
    }

    /// A directory of files: below the root, or at its absolute path if that is below an allowed directory. `..` is refused
    /// with the document, and counts for nothing here.
    fn place(&self, directory: &str) -> PathBuf {
        let asked = Path::new(directory);
        let names = asked
            .components()
            .filter(|component| matches!(component, Component::Normal(_)));
        let names: PathBuf = names.collect();
        let absolute = Path::new("/").join(&names);
        match asked.is_absolute() && self.allowed.iter().any(|folder| absolute.starts_with(folder)) {
            true => absolute,
            false => self.root.join(names),
        }
    }
}

/// Logs that a sink does not write to the path in its topology.
pub(super) fn warn_of_moved_directory(plan: &RecordingPlan, context: &PatternContext) {
    let RecordingTarget::Files(sink) = &plan.target else {
        return;
    };
    let (asked, directory) = (fixed_directory(&sink.directory, context), root_dir(sink, context));
    if context.folders.root().join(&asked) != directory {
        tracing::warn!(
            sink = %plan.sink.name,
            baseDirectoryPath = %asked,
            directory = %directory.display(),
            "files go below the directory of all recordings; --allow-recordings-under DIR allows more"
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
    pub(super) fn new(plan: &RecordingPlan, context: &PatternContext) -> Self {
        let owner_id = owner_id(plan, context);
        let (context, root) = (context.clone(), context.folders.root().to_owned());
        let boundaries = context.folders.boundaries();
        match &plan.target {
            RecordingTarget::Files(sink) => {
                let root_dir = root_dir(sink, &context);
                let (sink, cap) = (sink.clone(), sink.maximum_bytes);
                let store = ClipDirectory::with_naming(move |new: &NewClip| {
                    let directory = context.folders.place(&context.render(&sink.directory));
                    clip_path(&directory, &context.render(&sink.file_name), new.start_90k)
                });
                let store = store
                    .with_root(root_dir)
                    .with_owner(owner_id)
                    .with_boundaries(boundaries);
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
                Self::Segments(store.with_owner(owner_id).with_boundaries(boundaries))
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
                Self::Segments(store.with_owner(owner_id).with_boundaries(boundaries))
            }
        }
    }
}

/// Identifies the files of a sink after a restart and among those of other sinks.
pub(super) fn owner_id(plan: &RecordingPlan, context: &PatternContext) -> String {
    format!("{}/{}", context.instance, plan.sink.name)
}

/// The directory that holds all files of a file sink.
pub(super) fn root_dir(sink: &FileSink, context: &PatternContext) -> PathBuf {
    context.folders.place(&fixed_directory(&sink.directory, context))
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
        let place = |allowed: &str, directory| {
            let allowed: Vec<PathBuf> = allowed.split_whitespace().map(PathBuf::from).collect();
            RecordingFolders::new("/root/all".into(), &allowed).place(directory)
        };
        for allowed in ["/", "/var/media", "/mnt /var"] {
            assert_eq!(place(allowed, "/var/media"), Path::new("/var/media"));
            assert_eq!(place(allowed, "media"), Path::new("/root/all/media"));
        }
        for allowed in ["", "/var/media/deeper", "/var/med", "/mnt"] {
            assert_eq!(place(allowed, "/var/media"), Path::new("/root/all/var/media"));
        }
        assert_eq!(place("", "/../../etc"), Path::new("/root/all/etc"));
        assert_eq!(place("/mnt", "/mnt/../etc"), Path::new("/mnt/etc"));
        assert_eq!(place("/", "../../etc"), Path::new("/root/all/etc"));
        assert_eq!(place("", "/root/all/clips"), Path::new("/root/all/clips"));
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

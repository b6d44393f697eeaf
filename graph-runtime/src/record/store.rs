//! Where a sink's recordings lie below the recordings' folder, and under which names.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lva_graph_model::{FileSink, Pattern, PatternPiece, SystemVariable};
use lva_recording::{
    Clip, ClipDirectory, ClipError, ClipReport, ClipStore, ClipWriter, MediaUnit, NewClip, SegmentDirectory,
    SegmentOptions, SegmentedClip, StoreStats, Tracks, clip_path,
};

use super::Names;
use crate::plan::{Place, RecordingPlan};

/// Letters that no asset name holds, as published.
const NOT_IN_ASSET_NAMES: &str = r"<>%&:\/?*+.'";
/// Letters of the longest name of an asset, and bytes of that of a folder.
const MAX_ASSET_NAME: usize = 260;
const MAX_FOLDER_NAME: usize = 255;

/// The files of one sink.
///
/// Assets and videos are folders of segments with a playlist. `localMediaCacheMaximumSizeMiB` is no cap on them: it
/// bounds what waits for an upload, and here nothing does; what is recorded is what is kept.
#[derive(Debug)]
pub(super) enum Store {
    Files(ClipDirectory),
    Segments(SegmentDirectory),
}

impl Store {
    pub(super) fn new(plan: &RecordingPlan, names: &Names, root: &Path) -> Self {
        let writer = writer(plan, names);
        let (names, root) = (names.clone(), root.to_owned());
        match &plan.place {
            Place::Files(sink) => {
                let home = home(sink, &names, &root);
                let (sink, cap) = (sink.clone(), sink.maximum_bytes);
                let folder = ClipDirectory::with_naming(move |new: &NewClip| {
                    let folder = root.join(now(&sink.directory, &names));
                    clip_path(&folder, &now(&sink.file_name, &names), new.start_90k)
                });
                let folder = folder.with_root(home).with_owner(writer);
                Self::Files(match cap {
                    Some(bytes) => folder.with_maximum_bytes(bytes),
                    None => folder,
                })
            }
            Place::Asset(sink) => {
                let options = SegmentOptions::default().with_length(sink.segment_length);
                let name = sink.asset_name.clone();
                let always = plan.gate.is_none();
                // An asset for each opening of the gate; one for all of a continuous recording, whatever interrupts it.
                let mut asset: Option<PathBuf> = None;
                let folder = SegmentDirectory::with_naming(options, move |_: &NewClip| match &asset {
                    Some(asset) if always => Ok(asset.clone()),
                    _ => {
                        let folder = root.join(checked(now(&name, &names), is_asset_name)?);
                        Ok(asset.insert(folder).clone())
                    }
                });
                Self::Segments(folder.with_owner(writer))
            }
            Place::Video(sink) => {
                let options = SegmentOptions::default().with_length(sink.segment_length);
                let options = match sink.retention {
                    Some(age) => options.with_retention(age),
                    None => options,
                };
                let name = sink.video_name.clone();
                let folder = SegmentDirectory::with_naming(options, move |_: &NewClip| {
                    Ok(root.join(checked(now(&name, &names), is_folder_name)?))
                });
                Self::Segments(folder.with_owner(writer))
            }
        }
    }
}

/// By this a sink knows its files again, after a restart and beside those of others.
pub(super) fn writer(plan: &RecordingPlan, names: &Names) -> String {
    format!("{}/{}", names.instance, plan.sink.name)
}

/// The folder below which all files of a file sink lie.
pub(super) fn home(sink: &FileSink, names: &Names, root: &Path) -> PathBuf {
    root.join(fixed_folder(&sink.directory, names))
}

/// As published: the date in a name is when the sink began, not the event's.
fn now(pattern: &Pattern, names: &Names) -> String {
    pattern.render(&names.topology, &names.instance, SystemTime::now())
}

/// The folders of a pattern before the first that changes with time.
fn fixed_folder(pattern: &Pattern, names: &Names) -> String {
    let mut fixed = String::new();
    for piece in pattern.pieces() {
        match piece {
            PatternPiece::Text(text) => fixed.push_str(text),
            PatternPiece::Variable(SystemVariable::TopologyName) => fixed.push_str(&names.topology),
            PatternPiece::Variable(SystemVariable::InstanceName) => fixed.push_str(&names.instance),
            PatternPiece::Variable(SystemVariable::DateTime | SystemVariable::PreciseDateTime) => {
                let folder = fixed.rfind('/').map_or(0, |slash| slash + 1);
                fixed.truncate(folder);
                break;
            }
        }
    }
    fixed
}

fn checked(name: String, is_good: fn(&str) -> bool) -> Result<String, ClipError> {
    if is_good(&name) {
        return Ok(name);
    }
    let name = name.chars().take(MAX_ASSET_NAME).collect();
    Err(ClipError::Name { name })
}

/// `^[^<>%&:\\\/?*+.']{1,260}$`, and nothing that a folder cannot be called.
fn is_asset_name(name: &str) -> bool {
    (1..=MAX_ASSET_NAME).contains(&name.chars().count())
        && !name
            .chars()
            .any(|c| NOT_IN_ASSET_NAMES.contains(c) || c.is_control())
}

/// For names without a published rule: one visible folder, and no other.
fn is_folder_name(name: &str) -> bool {
    (1..=MAX_FOLDER_NAME).contains(&name.len())
        && !name.starts_with('.')
        && !name.chars().any(|c| matches!(c, '/' | '\\') || c.is_control())
}

/// What is being written.
#[derive(Debug)]
pub(super) enum Open {
    File(Box<ClipWriter>),
    Segments(Box<SegmentedClip>),
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
        match self {
            Self::Files(store) => store.finished(report),
            Self::Segments(store) => store.finished(report),
        }
    }

    fn ended(&mut self) -> Result<(), ClipError> {
        match self {
            Self::Files(store) => store.ended(),
            Self::Segments(store) => store.ended(),
        }
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
        match self {
            Self::Files(store) => store.take_recovered(),
            Self::Segments(store) => store.take_recovered(),
        }
    }

    fn annotate(&mut self, report: &ClipReport, json: &str) -> Result<bool, ClipError> {
        match self {
            Self::Files(store) => store.annotate(report, json),
            Self::Segments(store) => store.annotate(report, json),
        }
    }

    fn stats(&self) -> StoreStats {
        match self {
            Self::Files(store) => store.stats(),
            Self::Segments(store) => store.stats(),
        }
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
    fn names_cannot_leave_their_folder() {
        assert!(is_asset_name("sampleAssetFromEVR-LVAEdge-20200517T175346Z"));
        for name in ["", "..", "a/b", "a\\b", "a.b", "a:b", "x\0", &"a".repeat(261)] {
            assert!(!is_asset_name(name), "{name:?}");
        }
        assert!(is_folder_name("front door 2.0"));
        for name in ["", ".", "..", ".hidden", "a/b", "a\\b", "x\0", &"a".repeat(256)] {
            assert!(!is_folder_name(name), "{name:?}");
        }
    }
}

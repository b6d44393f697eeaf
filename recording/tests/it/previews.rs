//! Preview pictures next to clips: which keyframe they are of, and how long they stay.

use crate::support::{drawn, drawn_tracks, names};
use lva_recording::{
    ClipReport, MediaTime, PreviewSize, Recorder, RecorderEvent, SegmentDirectory, SegmentOptions,
    preview_path, recover, write_preview,
};
use std::fs;
use std::path::Path;
use std::time::Duration;

const S: u64 = MediaTime::TICKS_PER_SECOND;
const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xd9];

/// Half a minute in segments of five seconds.
fn record(directory: &Path, options: SegmentOptions, mut finished: impl FnMut(&ClipReport)) {
    let store = SegmentDirectory::new(directory, options.with_length(Duration::from_secs(5)));
    let mut recorder = Recorder::continuous(drawn_tracks(), store);
    let mut write = |events: Vec<RecorderEvent>| {
        for event in events {
            match event {
                RecorderEvent::Available { report, .. } | RecorderEvent::Extended { report, .. } => {
                    finished(&report);
                }
                _ => {}
            }
        }
    };
    for unit in drawn(1000, 1030, 50) {
        write(recorder.push(unit));
    }
    write(recorder.end());
}

fn put_previews(report: &ClipReport) {
    let keyframe = report.newest_keyframe.as_ref().unwrap();
    for size in PreviewSize::ALL {
        let time = keyframe.unit.timestamp_90k;
        assert!(write_preview(&[], &report.path, size, time, JPEG).unwrap());
    }
}

fn pictures(directory: &Path) -> usize {
    let names = names(directory);
    names.iter().filter(|name| name.ends_with(".jpg")).count()
}

#[test]
fn each_segment_reports_its_newest_keyframe() {
    let directory = tempfile::tempdir().unwrap();
    let mut times = Vec::new();
    record(directory.path(), SegmentOptions::default(), |report| {
        let keyframe = report.newest_keyframe.as_ref().unwrap();
        assert!(keyframe.unit.keyframe);
        assert_eq!(keyframe.video, drawn_tracks().video);
        assert_eq!(
            report.sidecar.keyframes_90k.last(),
            Some(&keyframe.unit.timestamp_90k)
        );
        times.push(keyframe.unit.timestamp_90k / S);
    });
    assert_eq!(times, [1004, 1009, 1014, 1019, 1024, 1029]);
}

#[test]
fn pictures_are_removed_with_their_segments() {
    let directory = tempfile::tempdir().unwrap();
    let options = SegmentOptions::default().with_retention(Duration::from_secs(10));
    record(directory.path(), options, put_previews);
    let videos = names(directory.path());
    let videos = videos.iter().filter(|name| name.ends_with(".mp4")).count();
    assert_eq!((videos, pictures(directory.path())), (2, 2 * 3));
}

#[test]
fn pictures_of_a_killed_process_are_recognised() {
    let directory = tempfile::tempdir().unwrap();
    let mut clips = Vec::new();
    record(directory.path(), SegmentOptions::default(), |report| {
        put_previews(report);
        clips.push(report.path.clone());
    });
    // Killed while the first clip was removed, and while a picture of the second was written.
    fs::remove_file(&clips[0]).unwrap();
    fs::rename(
        preview_path(&clips[1], PreviewSize::Large),
        clips[1].with_extension("large.jpg.part"),
    )
    .unwrap();
    // Pictures of other origin.
    fs::write(directory.path().join("holiday.small.jpg"), JPEG).unwrap();
    fs::write(directory.path().join("holiday.small.jpg.part"), JPEG).unwrap();
    let recovery = recover(directory.path()).unwrap();
    assert_eq!(recovery.removed.len(), 3 + 1 + 1, "{:?}", recovery.removed);
    assert_eq!(recovery.removed.last(), Some(&clips[0].with_extension("json")));
    assert_eq!(pictures(directory.path()), 6 * 3 - 3 - 1 + 1);
    assert!(recover(directory.path()).unwrap().removed.is_empty());
}

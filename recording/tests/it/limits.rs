//! What a directory keeps, and what it evicts.

use crate::support::{drawn, drawn_tracks, names};
use lva_recording::{
    ClipDirectory, ClipError, GateOptions, MediaTime, MediaUnit, PreRollLimits, Recorder, RecorderEvent,
    SegmentDirectory, SegmentOptions, Sidecar, Signal,
};
use std::fs;
use std::path::Path;
use std::time::Duration;

const S: u64 = MediaTime::TICKS_PER_SECOND;

fn videos(directory: &Path) -> Vec<String> {
    let names = names(directory).into_iter();
    names.filter(|name| name.ends_with(".mp4")).collect()
}

#[test]
fn the_oldest_segments_are_evicted_when_the_directory_is_too_large() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = 60_000; // five segments of 10 s of 1 kB pictures are less, six are more
    let options = SegmentOptions::default()
        .with_length(Duration::from_secs(1))
        .with_maximum_bytes(bytes);
    let mut removed = 0;
    for start in [100, 200] {
        let store = SegmentDirectory::new(directory.path(), options);
        let mut recorder = Recorder::continuous(drawn_tracks(), store);
        for unit in drawn(start, start + 10, 1000) {
            let _ = recorder.push(unit);
            let total: u64 = videos(directory.path())
                .iter()
                .map(|name| fs::metadata(directory.path().join(name)).unwrap().len())
                .sum();
            assert!(total <= bytes, "{total}");
        }
        let _ = recorder.end();
        removed += recorder.store_stats().removed_for_size;
        assert!(recorder.store_stats().removed_bytes > 0);
    }
    let left = videos(directory.path());
    assert_eq!(removed + left.len() as u64, 20);
    assert!(
        left.iter().all(|name| name.starts_with("19700101T0003")),
        "{left:?}"
    );
    let playlist = fs::read_to_string(directory.path().join("index.m3u8")).unwrap();
    assert!(!playlist.contains("EVENT"), "segments go from its front");
    assert!(
        playlist.contains(&format!("#EXT-X-MEDIA-SEQUENCE:{removed}\n")),
        "{playlist}"
    );
    assert!(
        playlist.contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"),
        "{playlist}"
    );
    assert!(left.iter().all(|name| playlist.contains(&format!("\n{name}\n"))));
    assert_eq!(
        names(directory.path()).len(),
        2 * left.len() + 1,
        "their sidecars are gone, too"
    );
}

#[test]
fn segments_are_kept_for_the_retention_in_media_time() {
    let directory = tempfile::tempdir().unwrap();
    let options = SegmentOptions::default()
        .with_length(Duration::from_secs(2))
        .with_retention(Duration::from_secs(60));
    for start in [1000, 1030, 1100] {
        let store = SegmentDirectory::new(directory.path(), options);
        let mut recorder = Recorder::continuous(drawn_tracks(), store);
        for unit in drawn(start, start + 10, 10) {
            let _ = recorder.push(unit);
        }
        let _ = recorder.end();
        let removed = recorder.store_stats().removed_for_age;
        // At 1110, what ended by 1050 goes: all of the first two.
        assert_eq!(removed, if start == 1100 { 10 } else { 0 });
    }
    assert_eq!(videos(directory.path()).len(), 5);
}

#[test]
fn through_a_month_a_week_is_kept_and_listed() {
    const DAYS: u64 = 30;
    const WEEK: Duration = Duration::from_secs(7 * 86_400);
    const HOUR: u64 = 3600 * S;
    /// A recording of a minute and a half begins every two hours.
    const A_DAY: u64 = 12;
    const KEPT: u64 = 7 * A_DAY;
    let directory = tempfile::tempdir().unwrap();
    let options = SegmentOptions::default()
        .with_length(Duration::from_secs(300))
        .with_retention(WEEK);
    let start = || {
        let store = SegmentDirectory::new(directory.path(), options);
        Recorder::continuous(drawn_tracks(), store)
    };
    let mut recorder = start();
    let mut removed = 0;
    for day in 0..DAYS {
        // The program is started again now and then.
        if day % 10 == 9 {
            let _ = recorder.end();
            removed += recorder.store_stats().removed_for_age;
            recorder = start();
        }
        for slot in day * A_DAY..(day + 1) * A_DAY {
            for picture in 0..10 {
                let time = slot * 2 * HOUR + picture * 10 * S;
                let events = recorder.push(MediaUnit::video(time, true, vec![7; 500].into()));
                let failed = events.iter().find(|event| {
                    matches!(
                        event,
                        RecorderEvent::Failed { .. } | RecorderEvent::CleanupFailed { .. }
                    )
                });
                assert!(failed.is_none(), "{failed:?}");
            }
        }
        assert!(videos(directory.path()).len() as u64 <= KEPT + 1, "day {day}");
    }
    let _ = recorder.end();
    removed += recorder.store_stats().removed_for_age;
    let left = videos(directory.path());
    assert_eq!(removed + left.len() as u64, DAYS * A_DAY);
    assert_eq!(left.len() as u64, KEPT);
    let oldest = Sidecar::read(&directory.path().join(&left[0])).unwrap();
    assert_eq!(oldest.first_timestamp_90k, (DAYS * A_DAY - KEPT) * 2 * HOUR);
    let playlist = fs::read_to_string(directory.path().join("index.m3u8")).unwrap();
    assert!(left.iter().all(|name| playlist.contains(&format!("\n{name}\n"))));
    assert_eq!(names(directory.path()).len(), 2 * left.len() + 1);
}

fn record_clips(directory: &Path, writer: &str, from: u64, maximum_bytes: u64) -> u64 {
    let store = ClipDirectory::new(directory, "clip-${System.DateTime}")
        .with_owner(writer)
        .with_maximum_bytes(maximum_bytes);
    let gate = GateOptions::new(Duration::from_secs(2), Duration::from_secs(2));
    let limits = PreRollLimits::new(Duration::from_secs(2), 1 << 20);
    let mut recorder = Recorder::new(gate, limits, drawn_tracks(), store).unwrap();
    let mut finished = 0;
    for unit in drawn(from, from + 30, 1000) {
        let time = unit.timestamp_90k;
        let events = recorder.push(unit);
        if time % (10 * S) == 0 {
            recorder.signal(Signal::at(time));
        }
        finished += events
            .iter()
            .filter(|event| matches!(event, RecorderEvent::Available { .. }))
            .count();
    }
    let _ = recorder.end();
    assert_eq!(finished, 3);
    recorder.store_stats().removed_for_size
}

#[test]
fn only_clips_of_the_same_owner_count_and_are_evicted_also_those_of_earlier_runs() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("holiday.mp4"), vec![0; 500_000]).unwrap();
    fs::write(directory.path().join("holiday.json"), b"{\"writer\":\"a\"}").unwrap();
    fs::write(
        directory.path().join("download.mp4.part"),
        b"\0\0\0\x10ftypisom\0\0\0\0",
    )
    .unwrap();
    let bytes = 100_000; // each clip is 23 kB
    assert_eq!(record_clips(directory.path(), "other", 0, bytes), 0);
    assert_eq!(record_clips(directory.path(), "own", 100, bytes), 0);
    assert_eq!(
        record_clips(directory.path(), "own", 200, bytes),
        2,
        "one of this run and those of the last"
    );
    let left = names(directory.path());
    let clips = left
        .iter()
        .filter(|name| name.starts_with("clip-") && name.ends_with("mp4"));
    assert_eq!(clips.count(), 3 + 4, "{left:?}");
    for kept in [
        "holiday.mp4",
        "holiday.json",
        "download.mp4.part",
        "clip-19700101T000000Z.mp4",
    ] {
        assert!(left.iter().any(|name| name == kept), "{kept}: {left:?}");
    }
}

#[test]
fn a_size_limit_that_cannot_be_kept_is_reported_with_each_clip() {
    let directory = tempfile::tempdir().unwrap();
    let no_directory = directory.path().join("file");
    fs::write(&no_directory, b"").unwrap();
    let clips = directory.path().join("clips");
    let store = ClipDirectory::with_naming(move |new| {
        lva_recording::clip_path(&clips, "${System.DateTime}", new.start_90k)
    })
    .with_root(no_directory)
    .with_maximum_bytes(1000);
    let mut recorder = Recorder::continuous(drawn_tracks(), store);
    for unit in drawn(0, 3, 10) {
        let _ = recorder.push(unit);
    }
    let events = recorder.end();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, RecorderEvent::CleanupFailed { .. })),
        "{events:?}"
    );
}

#[test]
fn a_directory_of_another_recording_is_rejected_until_that_ends() {
    let directory = tempfile::tempdir().unwrap();
    let recorder = |writer| {
        let options = SegmentOptions::default().with_length(Duration::from_secs(2));
        let store = SegmentDirectory::new(directory.path(), options).with_owner(writer);
        Recorder::continuous(drawn_tracks(), store)
    };
    let (mut first, mut second) = (recorder("first"), recorder("second"));
    for unit in drawn(0, 10, 10) {
        let _ = first.push(unit);
    }
    let events: Vec<RecorderEvent> = drawn(0, 10, 10).flat_map(|unit| second.push(unit)).collect();
    assert!(
        matches!(
            &events[..],
            [
                RecorderEvent::Failed {
                    error: ClipError::InUse { .. },
                    ..
                },
                ..
            ]
        ),
        "{events:?}"
    );
    let playlist = || fs::read_to_string(directory.path().join("index.m3u8")).unwrap();
    assert!(!playlist().contains("#EXT-X-ENDLIST"));
    let _ = first.end();
    let _ = second.end();
    let mut second = recorder("second");
    for unit in drawn(20, 30, 10) {
        let _ = second.push(unit);
    }
    let _ = second.end();
    assert_eq!(
        playlist().matches("#EXTINF").count(),
        10,
        "one goes on behind the other"
    );
}

#[test]
fn clips_next_to_segments_are_not_evicted_with_them() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(record_clips(directory.path(), "clips", 0, 1 << 30), 0);
    let options = SegmentOptions::default()
        .with_length(Duration::from_secs(1))
        .with_retention(Duration::from_secs(2));
    let mut recorder = Recorder::continuous(drawn_tracks(), SegmentDirectory::new(directory.path(), options));
    for unit in drawn(1000, 1010, 10) {
        let _ = recorder.push(unit);
    }
    let _ = recorder.end();
    assert!(recorder.store_stats().removed_for_age > 0);
    let left = videos(directory.path()).into_iter();
    assert_eq!(left.filter(|name| name.starts_with("clip-")).count(), 3);
}

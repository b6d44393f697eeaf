//! Disks that fail, and recording after they recover.

use crate::support::{PLAIN, START, drawn, drawn_tracks, endless, make_source, names, note, probe, read};
use lva_recording::{
    ClipDirectory, GateOptions, MediaTime, PreRollLimits, Recorder, RecorderEvent, SegmentDirectory,
    SegmentOptions, Sidecar, Signal, find_unfinished,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const S: u64 = MediaTime::TICKS_PER_SECOND;

fn options(seconds: u64) -> SegmentOptions {
    SegmentOptions::default().with_length(Duration::from_secs(seconds))
}

/// A file system of a megabyte, for as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            _ => {
                note("skipped: no tmpfs can be mounted here (it takes root)");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_reported_and_recording_continues_with_space_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&directory.path().join("disk")) else {
        return;
    };
    let Some(made) = make_source(directory.path(), 4, &PLAIN, true) else {
        return;
    };
    let source = read(&made);
    let recordings = disk.0.join("camera");
    fs::write(disk.0.join("filler"), vec![0; 400 << 10]).unwrap();
    let mut recorder = Recorder::continuous(
        source.tracks.clone(),
        SegmentDirectory::new(&recordings, options(2)),
    );
    let (mut failed_at, mut again_at, mut full) = (None, None, 0);
    for unit in endless(&source, START) {
        let time = unit.timestamp_90k;
        for event in recorder.push(unit) {
            match event {
                RecorderEvent::Failed { error, .. } => {
                    assert!(error.is_disk_full(), "{error:?}");
                    full += 1;
                    failed_at.get_or_insert(time);
                }
                RecorderEvent::Started { .. } if again_at.is_none() && full > 0 => again_at = Some(time),
                _ => {}
            }
        }
        // There is space again after five seconds.
        if failed_at.is_some_and(|failed| time > failed + 5 * S) && disk.0.join("filler").exists() {
            fs::remove_file(disk.0.join("filler")).unwrap();
            again_at = None;
        }
        if again_at.is_some_and(|again| time > again + 6 * S) && !disk.0.join("filler").exists() {
            break;
        }
        assert!(time < START + 120 * S, "it never went on: {:?}", recorder.stats());
    }
    let last = recorder.end();
    assert!(
        last.iter()
            .all(|event| !matches!(event, RecorderEvent::Failed { .. })),
        "{last:?}"
    );
    let pause = (again_at.unwrap() - failed_at.unwrap()) as f64 / S as f64;
    note(&format!(
        "disk full {full} times in 5 s, recording went on {pause:.1} s after the first, {:?}",
        recorder.stats()
    ));
    assert!(pause < 5.0 + 30.0 + 2.0);
    assert_eq!(
        find_unfinished(&recordings).unwrap(),
        [],
        "what fitted was finished"
    );
    for name in names(&recordings).iter().filter(|name| name.ends_with(".mp4")) {
        let path = recordings.join(name);
        let Some((packets, _)) = probe(&path) else { return };
        assert_eq!(packets[0], Sidecar::read(&path).unwrap().video_packets, "{name}");
    }
}

#[test]
fn a_directory_deleted_during_a_recording_is_created_again() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = directory.path().join("camera");
    let mut recorder = Recorder::continuous(drawn_tracks(), SegmentDirectory::new(&recordings, options(30)));
    let (mut removed, mut started) = (Vec::new(), Vec::new());
    for unit in drawn(100, 200, 100) {
        let time = unit.timestamp_90k;
        if time == 145 * S {
            fs::remove_dir_all(&recordings).unwrap();
        }
        for event in recorder.push(unit) {
            match event {
                RecorderEvent::Failed { error, .. } => {
                    assert!(error.is_removed(), "{error:?}");
                    removed.push(time / S);
                }
                RecorderEvent::Started { .. } => started.push(time / S),
                _ => {}
            }
        }
    }
    let _ = recorder.end();
    assert_eq!(removed, [145], "noticed with the next keyframe");
    assert_eq!(started, [100, 146]);
    let left = names(&recordings);
    assert_eq!(left.len(), 2 * 2 + 1, "{left:?}");
    let playlist = fs::read_to_string(recordings.join("index.m3u8")).unwrap();
    assert!(
        playlist.contains("\n19700101T000226.000Z.mp4\n") && !playlist.contains("T000140"),
        "{playlist}"
    );
    assert_eq!(recorder.stats().failed, 1);
}

#[test]
fn a_clip_whose_directory_is_deleted_begins_again_while_its_gate_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = directory.path().join("files");
    let gate = GateOptions::new(Duration::from_secs(20), Duration::from_secs(20));
    let limits = PreRollLimits::new(Duration::from_secs(5), 1 << 20);
    let store = ClipDirectory::new(&recordings, "${System.DateTime}");
    let mut recorder = Recorder::new(gate, limits, drawn_tracks(), store).unwrap();
    let mut events = Vec::new();
    for unit in drawn(100, 140, 100) {
        let time = unit.timestamp_90k;
        if time == 115 * S {
            fs::remove_dir_all(&recordings).unwrap();
        }
        events.extend(recorder.push(unit));
        if time == 105 * S {
            recorder.signal(Signal::at(time));
        }
    }
    let available: Vec<(u64, u64)> = events
        .iter()
        .filter_map(|event| match event {
            RecorderEvent::Available {
                recording, report, ..
            } => Some((*recording, report.first_timestamp_90k / S)),
            _ => None,
        })
        .collect();
    assert_eq!(available, [(2, 116)], "{events:?}");
}

/// Runs in a child process without root's rights.
fn lose_permission(directory: &Path) {
    let recordings = directory.join("camera");
    let mut recorder = Recorder::continuous(drawn_tracks(), SegmentDirectory::new(&recordings, options(10)));
    let allow = |mode| fs::set_permissions(&recordings, fs::Permissions::from_mode(mode)).unwrap();
    let (mut denied, mut recovered, mut started) = (Vec::new(), 0, Vec::new());
    for unit in drawn(100, 200, 100) {
        let time = unit.timestamp_90k;
        match time / (S / 10) {
            1150 => allow(0o555),
            1300 => allow(0o755),
            _ => {}
        }
        for event in recorder.push(unit) {
            match event {
                RecorderEvent::Failed { error, .. } => {
                    assert!(error.is_permission_denied(), "{error:?}");
                    denied.push(time / S);
                }
                RecorderEvent::Started { .. } => started.push(time / S),
                RecorderEvent::Recovered { report } => {
                    assert_eq!(report.first_timestamp_90k, 110 * S);
                    recovered += 1;
                }
                _ => {}
            }
        }
    }
    let _ = recorder.end();
    // The open segment could be written, but not renamed; then nothing could be created.
    assert_eq!(denied, [120, 121, 123, 127]);
    assert_eq!(started, [100, 135]);
    assert_eq!(recovered, 1, "the segment got its name later");
    assert_eq!(find_unfinished(&recordings).unwrap(), []);
}

#[test]
fn a_read_only_directory_is_retried_or_skips() {
    if let Some(directory) = std::env::var_os("LVA_TEST_PERMISSION") {
        return lose_permission(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = std::env::current_exe().unwrap();
    // Root may write anywhere.
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups"])
        .arg(program)
        .args(["--exact", "faults::a_read_only_directory_is_retried_or_skips"])
        .env("LVA_TEST_PERMISSION", directory.path())
        .output();
    let Ok(output) = output else {
        return note("skipped: no setpriv");
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    if text.contains("setpriv:") {
        return note(&format!("skipped: {text}"));
    }
    assert!(output.status.success(), "{text}");
}

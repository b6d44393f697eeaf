//! Links that somebody puts into the directories of recordings, before and while they are written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use crate::support::{drawn, drawn_tracks, names};
use lva_recording::{
    MediaTime, PreviewSize, Recorder, RecorderEvent, SegmentDirectory, SegmentOptions, recover, write_preview,
};

const S: u64 = MediaTime::TICKS_PER_SECOND;
const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xd9];

fn store(root: &Path, directory: &Path) -> SegmentDirectory {
    let options = SegmentOptions::default().with_length(Duration::from_secs(5));
    SegmentDirectory::new(directory, options).with_boundaries(vec![root.to_owned()])
}

fn listed(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let content = |name: &String| fs::read(directory.join(name)).unwrap();
    names(directory)
        .iter()
        .map(|name| (name.clone(), content(name)))
        .collect()
}

#[test]
fn a_directory_replaced_by_a_link_while_recording_is_written_to_no_more() {
    let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let camera = root.path().join("camera");
    // What eviction, recovery and the playlist would touch.
    for name in ["index.m3u8", "x.json", "x.mp4.part"] {
        fs::write(elsewhere.path().join(name), b"theirs").unwrap();
    }
    let before = listed(elsewhere.path());
    let mut recorder = Recorder::continuous(drawn_tracks(), store(root.path(), &camera));
    let mut told = String::new();
    let mut note = |events: Vec<RecorderEvent>| {
        for event in events {
            told += &format!("{event:?}\n");
        }
    };
    for unit in drawn(1000, 1030, 50) {
        if unit.timestamp_90k == 1012 * S {
            fs::rename(&camera, root.path().join("moved")).unwrap();
            symlink(elsewhere.path(), &camera).unwrap();
        }
        note(recorder.push(unit));
    }
    note(recorder.end());
    assert_eq!(listed(elsewhere.path()), before);
    assert!(told.contains("--allow-recordings-under"), "{told}");
    let recovery = recover(&root.path().join("moved")).unwrap();
    assert_eq!(
        recovery.recovered.len(),
        1,
        "what was written is found: {recovery:?}"
    );
}

#[test]
fn links_in_the_places_of_sidecars_playlists_and_previews_are_not_followed() {
    let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let theirs = elsewhere.path().join("theirs");
    fs::write(&theirs, b"theirs").unwrap();
    let plant = |name: &str| symlink(&theirs, root.path().join(name)).unwrap();
    // 1000 s after 1970.
    plant("19700101T001640.000Z.json.part");
    plant("index.m3u8.part");
    let mut recorder = Recorder::continuous(drawn_tracks(), store(root.path(), root.path()));
    let mut events = Vec::new();
    for unit in drawn(1000, 1012, 50) {
        events.extend(recorder.push(unit));
    }
    events.extend(recorder.end());
    let clip = events
        .iter()
        .find_map(|event| match event {
            RecorderEvent::Available { report, .. } => Some(report.path.clone()),
            _ => None,
        })
        .unwrap();
    assert!(clip.with_extension("json").is_file() && root.path().join("index.m3u8").is_file());
    let folders = [root.path().to_owned()];
    let name = clip.file_stem().unwrap().to_string_lossy().into_owned();
    plant(&format!("{name}.small.jpg.part"));
    assert!(write_preview(&folders, &clip, PreviewSize::Small, 0, JPEG).unwrap());
    plant(&format!("{name}.large.jpg"));
    assert!(write_preview(&folders, &clip, PreviewSize::Large, 0, JPEG).is_err());
    let other = elsewhere.path().join("a.mp4");
    assert!(write_preview(&folders, &other, PreviewSize::Small, 0, JPEG).is_err());
    assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
    assert_eq!(names(elsewhere.path()), ["theirs"]);
}

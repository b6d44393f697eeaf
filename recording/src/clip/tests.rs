use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};

use bytes::Bytes;
use lva_media_types::VideoCodec;

use super::*;
use crate::unit::VideoTrack;

fn tracks() -> Tracks {
    // The parameter sets of no real stream: the writer copies them unread.
    let avcc = [
        1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 30, 1, 0, 3, 0x68, 4, 5,
    ];
    let video = VideoTrack {
        codec: VideoCodec::H264,
        extra_data: Bytes::copy_from_slice(&avcc),
        width: 64,
        height: 48,
    };
    Tracks { video, audio: None }
}

fn picture(number: u64, bytes: usize) -> MediaUnit {
    MediaUnit::video(
        1_000_000 + number * 3000,
        number.is_multiple_of(10),
        Bytes::from(vec![7; bytes]),
    )
}

#[test]
fn a_full_disk_is_reported_and_nothing_looks_finished() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.mp4");
    let full = || OpenOptions::new().write(true).open("/dev/full");
    let Ok(file) = full() else {
        let _ = writeln!(io::stderr(), "skipped: this system has no /dev/full");
        return;
    };
    let part = directory.path().join("a.mp4.part");
    fs::write(&part, b"").unwrap();
    let made = ClipWriter::on_file(
        file,
        path.clone(),
        part,
        &tracks(),
        1_000_000,
        &ClipSettings::default(),
    );
    let error = match made {
        Err(error) => error,
        Ok(mut clip) => (0..300)
            .find_map(|number| clip.write(&picture(number, 5000)).err())
            .expect("no space for a megabyte"),
    };
    assert!(error.is_disk_full() && !error.is_permission_denied(), "{error:?}");
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(!path.exists());
}

#[test]
fn an_existing_clip_is_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.mp4");
    let write = || {
        let mut clip = ClipWriter::create(&path, &tracks(), 1_000_000).unwrap();
        clip.write(&picture(0, 100)).unwrap();
        clip
    };
    let (first, second) = (write(), write());
    assert_eq!(first.finish().unwrap().path, path);
    assert_eq!(second.finish().unwrap().path, directory.path().join("a-2.mp4"));
    assert_eq!(write().finish().unwrap().path, directory.path().join("a-3.mp4"));
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        6,
        "clips and sidecars, no unfinished file"
    );
}

#[test]
fn a_clip_begins_with_a_keyframe_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.mp4");
    let mut clip = ClipWriter::create(&path, &tracks(), 1_000_000).unwrap();
    assert!(matches!(clip.write(&picture(3, 100)), Err(ClipError::NoKeyframe)));
    assert!(matches!(clip.write(&picture(10, 0)), Err(ClipError::EmptyUnit)));
    let audio = MediaUnit::audio(1_000_000, Bytes::from_static(b"a"));
    assert!(matches!(clip.write(&audio), Err(ClipError::NoAudioTrack)));
    assert!(matches!(clip.finish(), Err(ClipError::NoKeyframe)));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    let mut without = tracks();
    without.video.extra_data = Bytes::new();
    assert!(matches!(
        ClipWriter::create(&path, &without, 0),
        Err(ClipError::NoExtraData)
    ));
    without.video = VideoTrack {
        width: 0,
        ..tracks().video
    };
    assert!(matches!(
        ClipWriter::create(&path, &without, 0),
        Err(ClipError::Mux { .. })
    ));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_that_cannot_be_created_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), b"").unwrap();
    let error = ClipWriter::create(&directory.path().join("file/a.mp4"), &tracks(), 0).unwrap_err();
    assert!(matches!(error, ClipError::Create { .. }), "{error:?}");
}

#[test]
fn decoding_times_follow_the_presentation_order() {
    let ordered = |pts: &[i64]| {
        let mut clock = VideoClock::default();
        let mut out: Vec<Timed> = Vec::new();
        for time in pts {
            out.extend(clock.push(picture(0, 1), *time));
        }
        out.extend(clock.end());
        assert_eq!(out.iter().map(|timed| timed.pts).collect::<Vec<_>>(), pts);
        assert!(
            out.iter()
                .all(|timed| timed.dts <= timed.pts && timed.duration > 0 && !timed.retimed)
        );
        assert!(out.windows(2).all(|pair| pair[0].dts < pair[1].dts));
        out.iter().map(|timed| timed.dts).collect::<Vec<_>>()
    };
    assert_eq!(ordered(&[0, 10, 20, 30]), [0, 10, 20, 30]);
    assert_eq!(
        ordered(&[0, 30, 10, 20, 60, 40, 50]),
        [-10, 0, 10, 20, 30, 40, 50]
    );
    let long: Vec<i64> = (0..60).map(|n| n * 10).collect();
    assert_eq!(ordered(&long), long);
}

#[test]
fn a_slow_camera_is_written_after_a_second_or_five_pictures() {
    let held_back = |step: i64| {
        let mut clock = VideoClock::default();
        let mut count = 0;
        while clock.push(picture(0, 1), count * step).is_empty() {
            count += 1;
        }
        count + 1
    };
    assert_eq!((held_back(3000), held_back(9000), held_back(45_000)), (17, 11, 5));
}

#[test]
fn a_time_that_contradicts_its_order_is_moved_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut clip = ClipWriter::create(&directory.path().join("a.mp4"), &tracks(), 1_000_000).unwrap();
    for number in 0..30 {
        clip.write(&picture(number, 50)).unwrap();
    }
    clip.write(&picture(21, 50)).unwrap();
    clip.write(&picture(31, 50)).unwrap();
    let report = clip.finish().unwrap();
    assert_eq!((report.video_packets, report.retimed), (32, 1));
    assert_eq!(report.last_timestamp_90k, 1_000_000 + 31 * 3000);
}

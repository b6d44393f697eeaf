//! Recordings in segments, and the playlist over them.

use crate::support::{
    PLAIN, START, drawn, drawn_tracks, endless, make_source, names, note, packet_hashes, probe, read, run,
};
use bytes::Bytes;
use lva_recording::{
    ClipError, ClipReport, GateOptions, MediaTime, MediaUnit, PreRollLimits, Recorder, RecorderEvent,
    SegmentDirectory, SegmentOptions, Sidecar, Signal, Track, playlist_for_range, recover,
};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

const S: u64 = MediaTime::TICKS_PER_SECOND;

fn options(seconds: u64) -> SegmentOptions {
    SegmentOptions::default().with_length(Duration::from_secs(seconds))
}

fn files(events: &[RecorderEvent]) -> Vec<&ClipReport> {
    events
        .iter()
        .filter_map(|event| match event {
            RecorderEvent::Available { report, .. } | RecorderEvent::Extended { report, .. } => Some(report),
            _ => None,
        })
        .collect()
}

fn kinds(events: &[RecorderEvent]) -> String {
    let letter = |event: &RecorderEvent| match event {
        RecorderEvent::Started { .. } => 'S',
        RecorderEvent::Stopped { .. } => 's',
        RecorderEvent::Available { .. } => 'A',
        RecorderEvent::Extended { .. } => 'E',
        _ => '?',
    };
    events.iter().map(letter).collect()
}

#[test]
fn no_packet_is_lost_between_segments_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let reordered = ["-c:v", "libx264", "-bf", "3", "-x264-params", "open-gop=0"];
    for (codec, audio) in [(&PLAIN[..], true), (&PLAIN[..], false), (&reordered[..], true)] {
        let Some(made) = make_source(directory.path(), 12, codec, audio) else {
            return;
        };
        let source = read(&made);
        let recordings = directory.path().join(format!("{}{audio}", codec.len()));
        let store = SegmentDirectory::new(&recordings, options(3)).with_owner("test/sink");
        let mut recorder = Recorder::continuous(source.tracks.clone(), store);
        let mut events: Vec<RecorderEvent> = Vec::new();
        for unit in &source.units {
            events.extend(recorder.push(unit.clone()));
        }
        assert_eq!(kinds(&events), "SAEE", "playable while it is recorded");
        events.extend(recorder.end());
        assert_eq!(kinds(&events), "SAEEsE");

        let files = files(&events);
        let firsts: Vec<u64> = files
            .iter()
            .map(|file| file.first_timestamp_90k - START)
            .collect();
        assert_eq!(firsts, [0, 3 * S, 6 * S, 9 * S]);
        for pair in files.windows(2) {
            assert_eq!(pair[0].sidecar.end_timestamp_90k, pair[1].first_timestamp_90k);
        }
        assert_eq!(files[3].sidecar.end_timestamp_90k - START, 12 * S);
        for file in &files {
            let first = file.first_timestamp_90k == START;
            assert!(file.retimed == 0 && file.skipped <= u64::from(first), "{file:?}");
        }
        let skipped = u64::from(audio); // the encoder's silence, which is to be heard before the first picture

        // Each segment plays by itself, and its sidecar is right; together they are the source.
        let mut hashes = [Vec::new(), Vec::new()];
        for file in &files {
            let sidecar = Sidecar::read(&file.path).unwrap();
            assert_eq!(sidecar, file.sidecar);
            assert_eq!(sidecar.keyframes_90k.len(), 3);
            let Some((packets, _)) = probe(&file.path) else {
                return;
            };
            assert_eq!(
                packets.iter().sum::<u64>(),
                sidecar.video_packets + sidecar.audio_packets
            );
            for (stream, hash) in packet_hashes(&file.path).unwrap() {
                hashes[usize::from(stream == "1")].push(hash);
            }
        }
        let own = packet_hashes(&made).unwrap();
        for (stream, found) in ["0", "1"].into_iter().zip(&hashes) {
            let own = own
                .iter()
                .filter(|(number, _)| number == stream)
                .map(|(_, hash)| hash);
            let own: Vec<&String> = own
                .skip(if stream == "1" { skipped as usize } else { 0 })
                .collect();
            assert_eq!(own, found.iter().collect::<Vec<_>>(), "stream {stream}");
        }

        // And the playlist is all of it, on one clock.
        let playlist = recordings.join("index.m3u8");
        let (packets, duration) = probe(&playlist).unwrap();
        let sent = |track| source.units.iter().filter(|unit| unit.track == track).count() as u64;
        assert_eq!(packets[0], sent(Track::Video), "{codec:?}");
        if audio {
            assert_eq!(packets[1], sent(Track::Audio) - skipped);
        }
        assert!((duration - 12.0).abs() < 0.001, "{duration}");
        let shown = times(&playlist, "v");
        let (first, last) = (shown.iter().min().unwrap(), shown.iter().max().unwrap());
        assert_eq!(
            last - first,
            359 * 3000,
            "{codec:?}: to the tick over all segments"
        );
        if audio {
            // Audio keeps its distance from the picture through all segments.
            let audio = times(&playlist, "a");
            let own = source.units.iter().filter(|unit| unit.track == Track::Audio);
            let own: Vec<u64> = own.skip(1).map(|unit| unit.timestamp_90k - START).collect();
            let off = |(audio, own): (&u64, &u64)| (audio - first).abs_diff(*own);
            assert!(audio.iter().zip(&own).map(off).max() <= Some(1), "{codec:?}"); // rounding of microseconds
        }
        let arguments = ["-v", "error", "-i", playlist.to_str().unwrap(), "-f", "null", "-"];
        assert!(run("ffmpeg", &arguments).is_some(), "it decodes to the end");
    }
}

/// Times of presentation of a kind of stream in ticks of 1/90000 s.
fn times(path: &Path, stream: &str) -> Vec<u64> {
    let arguments = [
        "-v",
        "error",
        "-select_streams",
        stream,
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
        path.to_str().unwrap(),
    ];
    let text = run("ffprobe", &arguments).unwrap();
    text.lines()
        .filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok())
        .map(|seconds| (seconds * S as f64).round() as u64)
        .collect()
}

#[test]
fn a_recording_continues_in_its_directory_after_a_gap_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let Some(made) = make_source(directory.path(), 4, &PLAIN, true) else {
        return;
    };
    let source = read(&made);
    let recordings = directory.path().join("front-door");
    for start in [START, START + 100 * S, START + 200 * S] {
        let store = SegmentDirectory::new(&recordings, options(2));
        let mut recorder = Recorder::continuous(source.tracks.clone(), store);
        for unit in endless(&source, start).take(source.units.len() - 1) {
            let _ = recorder.push(unit);
        }
        let _ = recorder.end();
    }
    let playlist = std::fs::read_to_string(recordings.join("index.m3u8")).unwrap();
    assert_eq!(
        playlist.matches("#EXT-X-DISCONTINUITY\n").count(),
        2,
        "{playlist}"
    );
    assert_eq!(playlist.matches("#EXT-X-MAP:").count(), 3);
    assert_eq!(playlist.matches("#EXT-X-PROGRAM-DATE-TIME:").count(), 6);
    assert!(playlist.contains("#EXT-X-PROGRAM-DATE-TIME:2026-03-05T14:05:06.789Z\n"));
    assert!(playlist.contains("#EXT-X-PLAYLIST-TYPE:EVENT\n") && playlist.ends_with("#EXT-X-ENDLIST\n"));
    let Some((packets, duration)) = probe(&recordings.join("index.m3u8")) else {
        return;
    };
    assert_eq!(packets[0], 3 * 120);
    assert!((duration - 12.0).abs() < 0.001, "{duration}");

    // Of a span, the segments that show it.
    let part = playlist_for_range(&recordings, START + 101 * S..START + 103 * S).unwrap();
    assert_eq!(part.matches("#EXTINF:2.000000,").count(), 2, "{part}");
    std::fs::write(recordings.join("part.m3u8"), part).unwrap();
    assert_eq!(probe(&recordings.join("part.m3u8")).unwrap().0[0], 120);
}

#[test]
fn a_short_clip_is_available_after_it_stopped_and_a_long_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let store = SegmentDirectory::new(directory.path(), options(30));
    let gate = GateOptions::new(Duration::from_secs(10), Duration::from_secs(60));
    let limits = PreRollLimits::new(Duration::from_secs(20), 1 << 20);
    let mut recorder = Recorder::new(gate, limits, drawn_tracks(), store).unwrap();
    let mut emitted = Vec::new();
    for unit in drawn(1000, 1200, 50) {
        let time = unit.timestamp_90k;
        emitted.extend(recorder.push(unit));
        if [1010, 1050, 1058, 1066, 1074].contains(&(time / S)) && time % S == 0 {
            recorder.signal(Signal::at(time));
        }
    }
    assert_eq!(kinds(&emitted), "SsASAsE");
    assert_eq!(names(directory.path()).len(), 2 * 3 + 1);
    let playlist = std::fs::read_to_string(directory.path().join("index.m3u8")).unwrap();
    assert!(playlist.ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(
        playlist.matches("#EXT-X-DISCONTINUITY\n").count(),
        1,
        "{playlist}"
    );
}

#[test]
fn a_recording_of_one_segment_is_one_file_despite_an_earlier_keyframe() {
    let directory = tempfile::tempdir().unwrap();
    let store = SegmentDirectory::new(directory.path(), options(30));
    let gate = GateOptions::new(Duration::from_secs(30), Duration::from_secs(30));
    let limits = PreRollLimits::new(Duration::from_secs(20), 1 << 20);
    let mut recorder = Recorder::new(gate, limits, drawn_tracks(), store).unwrap();
    let mut emitted = Vec::new();
    // A keyframe each two seconds; the first event is just before one, the second one with it.
    for mut unit in drawn(1000, 1120, 50) {
        let time = unit.timestamp_90k;
        unit.keyframe &= (time / S).is_multiple_of(2);
        emitted.extend(recorder.push(unit));
        if [1012 * S - 9000, 1060 * S].contains(&time) {
            recorder.signal(Signal::at(time));
        }
    }
    assert_eq!(kinds(&emitted), "SsASsA");
    let spans = files(&emitted);
    let spans = spans
        .iter()
        .map(|report| (report.first_timestamp_90k, report.last_timestamp_90k));
    let wanted = [(1010 * S, 1042 * S - 9000), (1060 * S, 1090 * S)];
    assert_eq!(spans.collect::<Vec<_>>(), wanted);
}

#[test]
fn an_offline_camera_leaves_a_gap_in_the_playlist() {
    let directory = tempfile::tempdir().unwrap();
    let store = SegmentDirectory::new(directory.path(), options(30));
    let mut recorder = Recorder::continuous(drawn_tracks(), store);
    let mut events: Vec<RecorderEvent> = Vec::new();
    for unit in drawn(1000, 1010, 50).chain(drawn(1100, 1110, 50)) {
        events.extend(recorder.push(unit));
    }
    events.extend(recorder.end());
    assert_eq!(kinds(&events), "SAsE");
    let files = files(&events);
    assert_eq!(files[0].sidecar.end_timestamp_90k, 1010 * S, "not the hole");
    assert_ne!(
        files[0].sidecar.zero_timestamp_90k,
        files[1].sidecar.zero_timestamp_90k
    );
    let playlist = std::fs::read_to_string(directory.path().join("index.m3u8")).unwrap();
    assert!(playlist.contains("#EXTINF:10.000000,") && playlist.contains("#EXT-X-DISCONTINUITY\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any groups of pictures: segments begin with keyframes, are as long as asked and at most a group longer, and
    /// together hold every picture once.
    #[test]
    fn segments_have_the_length_and_skip_nothing(
        groups in proptest::collection::vec(1u64..50, 1..40), length in 1u64..6, from in 1u64..1000,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::continuous(drawn_tracks(), SegmentDirectory::new(directory.path(), options(length)));
        let (mut events, mut time, mut pictures) = (Vec::new(), from * S, 0);
        for group in &groups {
            for number in 0..*group {
                events.extend(recorder.push(MediaUnit::video(time, number == 0, Bytes::from_static(b"picture"))));
                time += 9000;
                pictures += 1;
            }
        }
        events.extend(recorder.end());
        let files = files(&events);
        prop_assert_eq!(files.iter().map(|file| file.video_packets).sum::<u64>(), pictures);
        prop_assert_eq!(files[0].first_timestamp_90k, from * S);
        // How long the only picture lasts, nobody knows.
        if pictures > 1 {
            prop_assert_eq!(files[files.len() - 1].sidecar.end_timestamp_90k, time);
        }
        let longest = groups.iter().max().unwrap() * 9000;
        for pair in files.windows(2) {
            let ticks = pair[1].first_timestamp_90k - pair[0].first_timestamp_90k;
            prop_assert_eq!(pair[0].sidecar.end_timestamp_90k, pair[1].first_timestamp_90k);
            prop_assert!(ticks >= length * S && ticks < length * S + longest);
            prop_assert_eq!(pair[0].sidecar.zero_timestamp_90k, pair[1].sidecar.zero_timestamp_90k);
        }
        prop_assert_eq!(names(directory.path()).len(), 2 * files.len() + 1);
    }
}

#[test]
fn a_recording_that_ends_without_a_picture_of_its_new_tracks_unlocks_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let recorder = || {
        Recorder::continuous(
            drawn_tracks(),
            SegmentDirectory::new(directory.path(), options(2)),
        )
    };
    let mut first = recorder();
    for unit in drawn(0, 10, 10) {
        let _ = first.push(unit);
    }
    let mut other = drawn_tracks();
    other.video.width = 32;
    let mut events = first.set_tracks(other);
    events.extend(first.end());
    assert_eq!(kinds(&events), "sE", "{events:?}");
    let playlist = std::fs::read_to_string(directory.path().join("index.m3u8")).unwrap();
    assert!(playlist.ends_with("\n#EXT-X-ENDLIST\n"), "{playlist}");
    let mut second = recorder();
    let events: Vec<RecorderEvent> = drawn(20, 21, 10).flat_map(|unit| second.push(unit)).collect();
    assert_eq!(kinds(&events), "S", "{events:?}");
}

#[test]
fn the_playlist_has_the_expected_content() {
    let directory = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::continuous(
        drawn_tracks(),
        SegmentDirectory::new(directory.path(), options(1)),
    );
    for unit in drawn(0, 2, 5) {
        let _ = recorder.push(unit);
    }
    let live = std::fs::read_to_string(directory.path().join("index.m3u8")).unwrap_or_default();
    let _ = recorder.end();
    let ended = std::fs::read_to_string(directory.path().join("index.m3u8")).unwrap();
    note(&ended);
    assert!(!live.contains("ENDLIST") && ended.ends_with("19700101T000001.000Z.mp4\n#EXT-X-ENDLIST\n"));
}

#[test]
fn a_foreign_playlist_stays_and_is_reported_once_in_each_recording() {
    let directory = tempfile::tempdir().unwrap();
    let playlist = directory.path().join("index.m3u8");
    let text = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:2,\nlive0.ts\n";
    std::fs::write(&playlist, text).unwrap();
    let store = SegmentDirectory::new(directory.path(), options(10));
    let mut recorder = Recorder::continuous(drawn_tracks(), store);
    let record = |recorder: &mut Recorder<SegmentDirectory>, from| {
        let units = drawn(from, from + 35, 50);
        let mut events: Vec<RecorderEvent> = units.flat_map(|unit| recorder.push(unit)).collect();
        events.extend(recorder.end());
        assert_eq!(files(&events).len(), 4);
        let foreign = |event: &&RecorderEvent| match event {
            RecorderEvent::CleanupFailed {
                error: error @ ClipError::ForeignPlaylist { path },
            } => *path == playlist && error.to_string().contains("move it away"),
            _ => false,
        };
        events.iter().filter(foreign).count()
    };
    assert_eq!(record(&mut recorder, 1000), 1);
    assert_eq!(record(&mut recorder, 2000), 1);
    assert!(
        recover(directory.path()).unwrap().failed.is_empty(),
        "nothing was left to do"
    );
    assert_eq!(std::fs::read_to_string(&playlist).unwrap(), text);
    // Once it is out of the way, everything is listed.
    std::fs::rename(&playlist, directory.path().join("theirs.m3u8")).unwrap();
    assert_eq!(record(&mut recorder, 3000), 0);
    let own = std::fs::read_to_string(&playlist).unwrap();
    assert_eq!(own.matches("#EXTINF:").count(), 3 * 4, "{own}");
    assert!(
        own.contains("#EXT-X-MEDIA-SEQUENCE:0\n"),
        "numbers of another list are not ours"
    );
}

#[test]
fn a_link_with_the_playlist_s_name_is_not_followed_and_an_empty_file_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (root, elsewhere) = (directory.path().join("root"), directory.path().join("elsewhere"));
    std::fs::create_dir(&root).unwrap();
    let record = || {
        let store = SegmentDirectory::new(&root, options(10));
        let mut recorder = Recorder::continuous(drawn_tracks(), store);
        let start = if elsewhere.exists() { 2000 } else { 1000 };
        for unit in drawn(start, start + 15, 50) {
            let _ = recorder.push(unit);
        }
        let _ = recorder.end();
    };
    let playlist = root.join("index.m3u8");
    std::fs::write(&playlist, "").unwrap();
    record();
    let own = std::fs::read_to_string(&playlist).unwrap();
    assert!(own.ends_with("#EXT-X-ENDLIST\n"), "{own}");
    std::fs::rename(&playlist, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &playlist).unwrap();
    record();
    assert!(playlist.is_symlink());
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), own);
}

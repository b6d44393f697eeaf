//! A process that is killed: every finished segment plays, the open one is recovered, nothing else is left.

use crate::support::{PLAIN, START, endless, make_source, names, note, probe, read};
use lva_recording::{
    ClipDirectory, GateOptions, MediaTime, PreRollLimits, Recorder, SegmentDirectory, SegmentOptions,
    Sidecar, Signal, find_unfinished, recover, recover_owned_by,
};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const S: u64 = MediaTime::TICKS_PER_SECOND;
const ROUNDS: u64 = 20;

/// The child: records until it is killed, and prints the time of each picture.
fn record_until_killed(directory: &Path, round: u64) {
    let source = read(&directory.join("source.mp4"));
    let start = START + round * 1000 * S;
    let recordings = directory.join("recordings");
    let mut out = std::io::stdout().lock();
    let mut note = |time: u64| {
        let _ = out.write_all(format!("pushed {time}\n").as_bytes());
        let _ = out.flush();
    };
    if round.is_multiple_of(2) {
        let options = SegmentOptions::default().with_length(Duration::from_secs(2));
        let store = SegmentDirectory::new(recordings.join("camera"), options);
        let mut recorder = Recorder::continuous(source.tracks.clone(), store);
        for unit in endless(&source, start) {
            let time = unit.timestamp_90k;
            assert!(recorder.push(unit).iter().all(is_good));
            note(time);
        }
    } else {
        let gate = GateOptions::new(Duration::from_secs(3600), Duration::from_secs(3600));
        let limits = PreRollLimits::new(Duration::from_secs(2), 16 << 20);
        let store = ClipDirectory::new(recordings.join("files"), "${System.PreciseDateTime}");
        let mut recorder = Recorder::new(gate, limits, source.tracks.clone(), store).unwrap();
        recorder.signal(Signal::at(start));
        for unit in endless(&source, start) {
            let time = unit.timestamp_90k;
            assert!(recorder.push(unit).iter().all(is_good));
            note(time);
        }
    }
}

fn is_good(event: &lva_recording::RecorderEvent) -> bool {
    !matches!(
        event,
        lva_recording::RecorderEvent::Failed { .. } | lva_recording::RecorderEvent::CleanupFailed { .. }
    )
}

#[test]
fn a_process_killed_twenty_times_leaves_only_clips_that_play_or_skips() {
    if let (Some(directory), Ok(round)) = (
        std::env::var_os("LVA_TEST_KILLED"),
        std::env::var("LVA_TEST_ROUND").unwrap_or_default().parse(),
    ) {
        return record_until_killed(Path::new(&directory), round);
    }
    let directory = tempfile::tempdir().unwrap();
    let Some(made) = make_source(directory.path(), 3, &PLAIN, true) else {
        return;
    };
    std::fs::rename(&made, directory.path().join("source.mp4")).unwrap();
    let recordings = directory.path().join("recordings");
    let (mut longest, mut recovered_files) = (0, 0);
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "kill::a_process_killed_twenty_times_leaves_only_clips_that_play_or_skips",
            ])
            .arg("--nocapture")
            .env("LVA_TEST_KILLED", directory.path())
            .env("LVA_TEST_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Some units of video and audio, about 75 a second; a different number in each round.
        let kill_at = 90 + 67 * round;
        let (mut seen, mut last) = (0, 0);
        for line in lines {
            let Ok(line) = line else { break };
            let Some(time) = line
                .strip_prefix("pushed ")
                .and_then(|time| time.parse::<u64>().ok())
            else {
                continue;
            };
            seen += 1;
            last = last.max(time);
            if seen == kill_at {
                child.kill().unwrap(); // its output before is still read
            }
        }
        child.wait().unwrap();
        assert!(seen >= kill_at, "the child of round {round} ended by itself");

        let recovery = recover(&recordings).unwrap();
        assert!(
            recovery.failed.is_empty() && recovery.foreign.is_empty(),
            "{recovery:?}"
        );
        assert_eq!(find_unfinished(&recordings).unwrap(), []);
        let ends = newest_end(&recordings, START + round * 1000 * S);
        let lost = last.saturating_sub(ends);
        recovered_files += recovery.recovered.len();
        longest = longest.max(lost);
        assert!(lost <= S, "round {round}: {lost} ticks of {last} are lost");
    }
    note(&format!(
        "killed {ROUNDS} times, {recovered_files} open files recovered, at most {:.3} s lost",
        longest as f64 / S as f64
    ));

    let mut checked = 0;
    for kind in ["camera", "files"] {
        let directory = recordings.join(kind);
        for name in names(&directory) {
            let path = directory.join(&name);
            match name.rsplit_once('.').unwrap() {
                (_, "mp4") => {
                    let sidecar = Sidecar::read(&path).unwrap();
                    let Some((packets, seconds)) = probe(&path) else {
                        return;
                    };
                    assert_eq!(packets, [sidecar.video_packets, sidecar.audio_packets], "{name}");
                    assert!(seconds > 0.1);
                    checked += 1;
                }
                (stem, "json") => assert!(directory.join(format!("{stem}.mp4")).is_file(), "{name}"),
                _ => assert_eq!(name, "index.m3u8"),
            }
        }
    }
    note(&format!("{checked} files play"));
    let playlist = recordings.join("camera/index.m3u8");
    let text = std::fs::read_to_string(&playlist).unwrap();
    assert!(text.ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(
        text.matches("#EXT-X-DISCONTINUITY\n").count() as u64,
        ROUNDS / 2 - 1
    );
    let (packets, _) = probe(&playlist).unwrap();
    let sidecars = names(&recordings.join("camera")).into_iter();
    let all: u64 = sidecars
        .filter(|name| name.ends_with(".mp4"))
        .map(|name| {
            Sidecar::read(&recordings.join("camera").join(name))
                .unwrap()
                .video_packets
        })
        .sum();
    assert_eq!(packets[0], all);
}

/// Until when media from a time on are kept.
fn newest_end(recordings: &Path, from_90k: u64) -> u64 {
    let mut newest = from_90k;
    for kind in ["camera", "files"] {
        let directory = recordings.join(kind);
        if !directory.is_dir() {
            continue;
        }
        for name in names(&directory).iter().filter(|name| name.ends_with(".mp4")) {
            let sidecar = Sidecar::read(&directory.join(name)).unwrap();
            if sidecar.first_timestamp_90k >= from_90k {
                newest = newest.max(sidecar.end_timestamp_90k);
            }
        }
    }
    newest
}

#[test]
fn a_running_recording_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options = SegmentOptions::default().with_length(Duration::from_secs(60));
    let store = SegmentDirectory::new(directory.path(), options);
    let mut recorder = Recorder::continuous(crate::support::drawn_tracks(), store);
    for unit in crate::support::drawn(0, 20, 100) {
        let _ = recorder.push(unit);
        let recovery = recover(directory.path()).unwrap();
        assert_eq!(
            (
                recovery.busy.len(),
                recovery.recovered.len(),
                recovery.removed.len()
            ),
            (1, 0, 0)
        );
    }
    let _ = recorder.end();
    assert_eq!(
        names(directory.path()),
        [
            "19700101T000000.000Z.json",
            "19700101T000000.000Z.mp4",
            "index.m3u8"
        ]
    );
}

/// Where a recording's boxes begin: kind and place, and the end of the file.
fn boxes(bytes: &[u8]) -> Vec<(String, usize)> {
    let (mut boxes, mut at) = (Vec::new(), 0);
    while let Some(head) = bytes.get(at..at + 8) {
        boxes.push((String::from_utf8_lossy(&head[4..]).into_owned(), at));
        at += u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    }
    boxes.push(("end".to_owned(), bytes.len()));
    boxes
}

/// The system ends a write that a kill interrupts at any page. FFmpeg opens no file that ends in some places of a `moof`.
#[test]
fn a_recording_that_ends_at_any_byte_is_recovered_up_to_its_last_whole_fragment() {
    const PICTURES: u64 = 12;
    const NAME: &str = "19700101T000000.000Z.mp4";
    let made = tempfile::tempdir().unwrap();
    let options = SegmentOptions::default().with_length(Duration::from_secs(60));
    let store = SegmentDirectory::new(made.path(), options).with_owner("owner");
    let mut recorder = Recorder::continuous(crate::support::drawn_tracks(), store);
    for unit in crate::support::drawn(0, 2, 100).take(PICTURES as usize) {
        let _ = recorder.push(unit);
    }
    let _ = recorder.end();
    let whole = std::fs::read(made.path().join(NAME)).unwrap();
    let boxes = boxes(&whole);
    let starts: Vec<usize> = boxes
        .iter()
        .filter(|(kind, _)| kind == "moof")
        .map(|(_, at)| *at)
        .collect();
    assert!(starts.len() >= 2, "{boxes:?}");
    let media_end = starts[1];
    // All of the header, both first fragments, and the beginning of what follows.
    let end = starts.get(2).map_or(whole.len(), |third| third + 20);
    for (owner, step) in [(None, 1), (Some("owner"), 7)] {
        for cut in (0..end).step_by(step) {
            let directory = tempfile::tempdir().unwrap();
            let part = directory.path().join(format!("{NAME}.part"));
            std::fs::write(&part, &whole[..cut]).unwrap();
            let recovery = match owner {
                None => recover(directory.path()).unwrap(),
                Some(owner) => recover_owned_by(&[], directory.path(), owner).unwrap(),
            };
            let context = format!("{owner:?}, cut at {cut} of {boxes:?}: {recovery:?}");
            assert!(
                recovery.failed.is_empty() && recovery.busy.is_empty(),
                "{context}"
            );
            if cut >= media_end {
                assert_eq!(recovery.recovered.len(), 1, "{context}");
                assert!(directory.path().join(NAME).is_file(), "{context}");
            } else if cut >= starts[0] || owner.is_none() {
                assert_eq!(recovery.removed, [part], "{context}");
            }
            assert!(owner.is_some() || recovery.foreign.is_empty(), "{context}");
        }
    }
}

#[test]
fn unplayable_clips_are_removed_and_foreign_files_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    // Killed before the first fragment; a foreign download; halves of files that belong to no clip.
    std::fs::write(path("20200517T175346.062Z.mp4.part"), b"").unwrap();
    std::fs::write(path("head.mp4.part"), b"\0\0\0\x10moovlva_clip").unwrap();
    let foreign = [&b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x10mdat"[..], &[0; 8]].concat();
    std::fs::write(path("download.mp4.part"), &foreign).unwrap();
    std::fs::write(path("index.m3u8.part"), b"#EXT").unwrap();
    std::fs::write(path("notes.json"), b"{}").unwrap();
    std::fs::write(path("notes.json.part"), b"{}").unwrap();
    std::fs::write(path("gone.inferences.jsonl"), b"{}").unwrap();
    let recovery = recover(directory.path()).unwrap();
    assert_eq!(recovery.removed.len(), 2, "{recovery:?}");
    assert_eq!(recovery.foreign, [path("download.mp4.part")]);
    assert_eq!(
        names(directory.path()),
        [
            "download.mp4.part",
            "gone.inferences.jsonl",
            "index.m3u8.part",
            "notes.json",
            "notes.json.part"
        ]
    );
    assert!(recover(&path("nowhere")).unwrap().removed.is_empty());
}

#[test]
fn foreign_playlists_and_part_files_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let foreign: [(&str, &[u8]); 7] = [
        ("live/index.m3u8", b"#EXTM3U\n#EXTINF:2,\nlive0.ts\n"),
        ("live/index.m3u8.part", b"#EXTM3U\n"),
        (
            "vod/index.m3u8",
            b"#EXTM3U\r\n#EXTINF:2,\r\na.ts\r\n#EXT-X-ENDLIST\r\n",
        ),
        ("download/film.mp4.part", b"\0\0\0\x10ftypisom\0\0\0\0"),
        ("download/next.mp4.part", b""),
        ("download/film.mp4", b"film"),
        ("download/film.json.part", b"{"),
    ];
    for (name, content) in foreign {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    // Our own, beside them: a playlist that a killed process left open is ended.
    let ours = directory.path().join("ours");
    let mut recorder = Recorder::continuous(
        crate::support::drawn_tracks(),
        SegmentDirectory::new(&ours, SegmentOptions::default()),
    );
    for unit in crate::support::drawn(0, 5, 10) {
        let _ = recorder.push(unit);
    }
    let _ = recorder.end();
    let playlist = ours.join("index.m3u8");
    let text = std::fs::read_to_string(&playlist).unwrap();
    std::fs::write(&playlist, text.replace("#EXT-X-ENDLIST\n", "")).unwrap();
    std::fs::write(ours.join("index.m3u8.part"), &text[..60]).unwrap();

    let recovery = recover(directory.path()).unwrap();
    assert_eq!(recovery.removed, [ours.join("index.m3u8.part")]);
    assert_eq!(recovery.foreign.len(), 2);
    assert_eq!(std::fs::read_to_string(&playlist).unwrap(), text);
    for (name, content) in foreign {
        assert_eq!(
            std::fs::read(directory.path().join(name)).unwrap(),
            content,
            "{name}"
        );
    }
}

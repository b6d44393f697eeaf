//! Files, read back by FFmpeg's own programs.

use crate::support::{PLAIN, START, Source, make_source, note, packet_hashes, read, run};
use lva_recording::{
    AudioTrack, ClipReport, ClipWriter, MediaUnit, Sidecar, Track, VideoCodec, find_unfinished,
};
use std::path::Path;

fn record(source: &Source, units: &[MediaUnit], path: &Path) -> ClipReport {
    let mut clip = ClipWriter::create(path, &source.tracks, START).unwrap();
    for unit in units {
        clip.write(unit).unwrap();
    }
    assert!(
        clip.unfinished_path().exists() && !path.exists(),
        "no finished name before the end"
    );
    clip.finish().unwrap()
}

/// All packets but `skipped` of audio, which lie before the first picture: AAC encoders begin with a frame of silence.
fn same_packets(made: &Path, clip: &Path, skipped: u64) {
    let (Some(before), Some(after)) = (packet_hashes(made), packet_hashes(clip)) else {
        return;
    };
    for (stream, skipped) in [("0", 0), ("1", skipped as usize)] {
        let of = |hashes: &[(String, String)]| -> Vec<String> {
            hashes
                .iter()
                .filter(|(number, _)| number == stream)
                .map(|(_, hash)| hash.clone())
                .collect()
        };
        assert_eq!(of(&before)[skipped..], of(&after), "stream {stream}");
    }
}

#[test]
fn packets_are_byte_equal_and_the_first_is_a_keyframe_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let reordered = ["-c:v", "libx264", "-bf", "3"];
    let h265 = ["-c:v", "libx265", "-x265-params", "log-level=none"];
    for (codec, audio) in [
        (&PLAIN[..], false),
        (&PLAIN[..], true),
        (&reordered[..], true),
        (&h265[..], false),
    ] {
        let Some(made) = make_source(directory.path(), 4, codec, audio) else {
            continue;
        };
        let source = read(&made);
        let path = directory
            .path()
            .join(format!("clip-{}-{audio}.mp4", codec.join("")));
        let report = record(&source, &source.units, &path);
        assert_eq!(
            (report.video_packets, report.retimed, report.skipped),
            (120, 0, u64::from(audio)),
            "{codec:?}"
        );
        assert_eq!(report.audio_packets > 100, audio);
        assert_eq!(
            (report.first_timestamp_90k, report.last_timestamp_90k - START),
            (START, 119 * 3000)
        );
        assert_eq!(report.bytes, std::fs::metadata(&path).unwrap().len());
        same_packets(&made, &path, report.skipped);

        let again = read(&path);
        assert_eq!(again.tracks, source.tracks);
        let first = again
            .units
            .iter()
            .find(|unit| unit.track == Track::Video)
            .unwrap();
        assert!(first.keyframe);
        let times = |units: &[MediaUnit]| -> Vec<u64> {
            let video = units.iter().filter(|unit| unit.track == Track::Video);
            let times: Vec<u64> = video.map(|unit| unit.timestamp_90k).collect();
            times.iter().map(|time| time - times[0]).collect()
        };
        assert_eq!(
            times(&again.units),
            times(&source.units),
            "times are kept to the tick"
        );
    }
}

#[test]
fn every_picture_of_a_clip_decodes_and_its_start_is_in_the_file_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let Some(made) = make_source(directory.path(), 3, &PLAIN, true) else {
        return;
    };
    let source = read(&made);
    let path = directory.path().join("deep/er/clip.mp4");
    record(&source, &source.units, &path);
    let shown = path.to_str().unwrap();
    let arguments = [
        "-v",
        "error",
        "-count_frames",
        "-show_entries",
        "stream=nb_read_frames,codec_tag_string:format_tags",
        "-of",
        "default=nw=1",
        shown,
    ];
    let Some(text) = run("ffprobe", &arguments) else {
        return;
    };
    assert!(text.contains("nb_read_frames=90"), "{text}");
    assert!(text.contains("codec_tag_string=avc1"), "{text}");
    assert!(text.contains(&format!("TAG:timestamp_90k={START}")), "{text}");
    assert!(text.contains("TAG:creation_time=2026-03-05T14:05:06"), "{text}");
}

#[test]
fn mjpeg_and_opus_are_recorded_unchanged_and_decode_without_a_message_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let codec = ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "libopus"];
    let Some(made) = make_source(directory.path(), 3, &codec, true) else {
        return;
    };
    let mut source = read(&made);
    // As a camera describes them.
    assert_eq!(source.tracks.video.codec, VideoCodec::Mjpeg);
    source.tracks.video.extra_data = bytes::Bytes::new();
    source.tracks.audio = Some(AudioTrack::opus(1));
    let path = directory.path().join("clip.mp4");
    let report = record(&source, &source.units, &path);
    assert_eq!((report.video_packets, report.retimed), (90, 0));
    assert!(report.audio_packets >= 150, "{}", report.audio_packets);
    same_packets(&made, &path, report.skipped);
    assert_eq!(Sidecar::read(&path).unwrap().codec, VideoCodec::Mjpeg);
    let shown = path.to_str().unwrap();
    let entries = "stream=codec_name,codec_tag_string,duration";
    let arguments = ["-v", "error", "-show_entries", entries, "-of", "csv", shown];
    let Some(text) = run("ffprobe", &arguments) else {
        return;
    };
    assert!(
        text.contains("mjpeg,mp4v,3.0") && text.contains("opus,Opus,3.0"),
        "{text}"
    );
    let decoded = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i", shown, "-f", "null", "-"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&decoded.stderr), "");
    // Each picture is a keyframe; the sidecar lists few of them.
    assert!((6..=8).contains(&Sidecar::read(&path).unwrap().keyframes_90k.len()));
}

#[test]
fn audio_at_one_time_of_its_clock_is_skipped_and_not_rejected_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let Some(made) = make_source(directory.path(), 3, &PLAIN, true) else {
        return;
    };
    let mut source = read(&made);
    let usual = record(&source, &source.units, &directory.path().join("usual.mp4"));
    let audio = source.units.iter_mut().filter(|unit| unit.track == Track::Audio);
    let times = audio.skip(20).take(6);
    let mut before = None;
    for unit in times {
        unit.timestamp_90k = before.map_or(unit.timestamp_90k, |before| before + 1);
        before = Some(unit.timestamp_90k);
    }
    let path = directory.path().join("clip.mp4");
    let report = record(&source, &source.units, &path);
    assert_eq!(report.video_packets, 90);
    // Those that are a tick of its clock apart are written.
    assert!((1..5).contains(&(report.skipped - usual.skipped)), "{report:?}");
}

#[test]
fn an_interrupted_clip_is_found_and_plays_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let Some(made) = make_source(directory.path(), 5, &PLAIN, false) else {
        return;
    };
    let source = read(&made);
    let recordings = directory.path().join("recordings");
    assert_eq!(find_unfinished(&recordings).unwrap(), []);
    let path = recordings.join("clip.mp4");
    let mut clip = ClipWriter::create(&path, &source.tracks, START).unwrap();
    for unit in &source.units {
        clip.write(unit).unwrap();
    }
    drop(clip);
    assert!(!path.exists());
    let found = find_unfinished(&recordings).unwrap();
    assert_eq!(found.len(), 1);
    let kept = read(&found[0].path);
    note(&format!(
        "kept {} of {} pictures of an interrupted clip",
        kept.units.len(),
        source.units.len()
    ));
    assert!(
        kept.units.len() >= source.units.len() - 60,
        "all but the last fragments: {}",
        kept.units.len()
    );
    for (kept, sent) in kept.units.iter().zip(&source.units) {
        assert_eq!(kept.data, sent.data);
    }
    found.into_iter().next().unwrap().discard().unwrap();
    assert_eq!(find_unfinished(&recordings).unwrap(), []);
}

#[test]
fn a_full_quota_ends_the_clip_with_its_reason_or_skips() {
    // In a child process, because the limit is one for all of its files: the shell sets it, then runs this very test.
    if let Some(path) = std::env::var_os("LVA_TEST_LIMITED_CLIP") {
        let directory = Path::new(&path);
        let source = read(&directory.join("source.mp4"));
        let mut clip = ClipWriter::create(&directory.join("limited.mp4"), &source.tracks, START).unwrap();
        let error = (0..1000)
            .flat_map(|_| source.units.iter())
            .enumerate()
            .find_map(|(number, unit)| {
                let unit = MediaUnit {
                    timestamp_90k: START + number as u64 * 3000,
                    ..unit.clone()
                };
                clip.write(&unit).err()
            })
            .expect("the limit is reached");
        assert!(error.is_disk_full(), "{error:?}");
        drop(clip);
        assert!(!directory.join("limited.mp4").exists());
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let Some(made) = make_source(directory.path(), 2, &PLAIN, false) else {
        return;
    };
    std::fs::rename(&made, directory.path().join("source.mp4")).unwrap();
    let program = std::env::current_exe().unwrap();
    // A process that ignores SIGXFSZ gets the error EFBIG in its place.
    let script = "trap '' XFSZ; ulimit -f 400; exec \"$0\" --exact clips::a_full_quota_ends_the_clip_with_its_reason_or_skips";
    let output = std::process::Command::new("bash")
        .args(["-c", script])
        .arg(program)
        .env("LVA_TEST_LIMITED_CLIP", directory.path())
        .output();
    let Ok(output) = output else {
        return note("skipped: no bash");
    };
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(find_unfinished(directory.path()).unwrap().len(), 1);
}

//! What is recorded of odd cameras: every file begins where decoding can begin, and ffmpeg decodes it without a message.

mod camera;
mod media;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use self::camera::{Burst, OddCamera};
use self::media::{RATE, SECONDS, Sample, Stream};
use crate::recording::everything;
use crate::support::*;

/// Pictures that a camera sends.
const SENT: usize = (RATE * SECONDS) as usize;
/// Pictures from one key frame to the next.
const GROUP: usize = RATE as usize;

const H264: [&str; 4] = ["-c:v", "libx264", "-preset", "ultrafast"];
const H265: [&str; 4] = ["-c:v", "libx265", "-preset", "ultrafast"];

/// User data, as an SEI of H.264 and of H.265.
const SEI: [u8; 24] = *b"\x06\x05\x14ABCDEFGHIJKLMNOPQRST\x80";
const SEI_H265: [u8; 25] = *b"\x4e\x01\x05\x14ABCDEFGHIJKLMNOPQRST\x80";

/// A camera, and what has to come of it.
struct Case {
    name: &'static str,
    /// Pictures that are recorded at least: all, or those from the first usable key frame on.
    least: usize,
    files: usize,
    /// Units that the first picture of each file may have: IDR or IRAP, but for cameras that send none.
    first: &'static [u8],
}

/// The first picture is an IDR picture, of H.265 an IRAP picture.
const IDR: &[u8] = &[5];
const IRAP: &[u8] = &[16, 17, 18, 19, 20, 21];
/// Cameras without key frames: a picture of intra slices with a recovery point.
const RECOVERY_POINT: &[u8] = &[1];

/// The streams that cameras play.
struct Streams {
    plain: Stream,
    large: Stream,
    slices: Stream,
    no_idr: Stream,
    h265: Stream,
    open: Stream,
    audio: Vec<Sample>,
}

impl Streams {
    fn make(at: &Path) -> Option<Self> {
        let with = |codec: &[&'static str], parameters: &[&'static str]| [codec, parameters].concat();
        let closed = "keyint=15:min-keyint=15:scenecut=0:bframes=0:open-gop=0:log-level=none";
        let open = "keyint=15:min-keyint=15:scenecut=0:bframes=2:open-gop=1:log-level=none";
        // x264 has open groups with B-frames alone; this bias leaves them out.
        let no_idr = "keyint=15:min-keyint=15:scenecut=0:open-gop=1:bframes=1:b-adapt=1:b-bias=-100";
        let four = "slices=4:scenecut=0";
        Some(Self {
            plain: media::video(at, "plain", "160x120", &H264)?,
            large: media::video(at, "large", "320x240", &H264)?,
            slices: media::video(at, "slices", "160x128", &with(&H264, &["-x264-params", four]))?,
            no_idr: media::video(at, "no-idr", "160x120", &with(&H264, &["-x264-params", no_idr]))?,
            h265: media::video(at, "h265", "160x120", &with(&H265, &["-x265-params", closed]))?,
            open: media::video(at, "open", "160x120", &with(&H265, &["-x265-params", open]))?,
            audio: media::audio(at)?,
        })
    }
}

/// The burst behind units of its own packets, each with the marker.
fn behind(units: &[&[u8]], burst: Burst) -> Vec<Burst> {
    let alone = units.iter().map(|unit| Burst {
        units: vec![unit.to_vec()],
        ..burst.clone()
    });
    alone.chain([burst.clone()]).collect()
}

fn with_sets(sets: &[Vec<u8>], mut burst: Burst) -> Burst {
    burst.units = [sets, &burst.units].concat();
    burst
}

/// What begins in the midst of a stream.
fn from(mut camera: OddCamera, first: usize) -> OddCamera {
    camera.bursts.drain(..first);
    camera
}

fn cases(streams: &Streams) -> Vec<(Case, OddCamera)> {
    let mut cases = Vec::new();
    let mut add = |name, camera, least, files, first| {
        let case = Case {
            name,
            least,
            files,
            first,
        };
        cases.push((case, camera));
    };
    let Streams { plain, h265, .. } = streams;
    let sets = &plain.sets;
    add("nothing is odd", OddCamera::of(plain), SENT, 1, IDR);
    let sei = OddCamera::bent(plain, |_, key, burst| match key {
        true => behind(&[&SEI], burst),
        false => vec![burst],
    });
    add("SEI with the marker before key frames", sei, SENT, 1, IDR);
    let earlier = OddCamera::bent(plain, |_, key, burst| {
        let mut sent = behind(&[&sets[0], &sets[1], &SEI], burst);
        match key {
            true => {
                for alone in sent.iter_mut().take(3) {
                    alone.ticks = alone.ticks.saturating_sub(90_000 / RATE);
                }
                sent
            }
            false => sent.split_off(3),
        }
    });
    add(
        "sets and SEI with the time of the picture before",
        earlier,
        SENT,
        1,
        IDR,
    );
    let marked = OddCamera::bent(&streams.slices, |_, _, burst| {
        let each = burst.units.iter().map(|unit| Burst {
            units: vec![unit.clone()],
            ..burst.clone()
        });
        each.collect()
    });
    add("slices with a marker each", marked, SENT, 1, IDR);
    let mut in_band = OddCamera::bent(plain, |_, key, burst| match key {
        true => vec![with_sets(sets, burst)],
        false => vec![burst],
    });
    in_band.described.clear();
    add("parameter sets in band only", in_band, SENT, 1, IDR);
    let mut late = OddCamera::bent(plain, |number, key, burst| match key && number > 0 {
        true => vec![with_sets(sets, burst)],
        false => vec![burst],
    });
    late.described.clear();
    add("parameter sets that come late", late, SENT - GROUP, 1, IDR);
    let broken = OddCamera::bent(plain, |number, _, burst| {
        vec![Burst {
            cut_off: number == 0,
            ..burst
        }]
    });
    add("the first group is broken", broken, SENT - GROUP, 1, IDR);
    add(
        "it begins in the midst of a group",
        from(OddCamera::of(plain), 7),
        SENT - GROUP,
        1,
        IDR,
    );
    let resized = OddCamera::bent(plain, |number, key, burst| {
        let in_use = if number / 60 == 1 { &streams.large } else { plain };
        let sample = Burst {
            units: in_use.samples[number].units.clone(),
            ..burst
        };
        vec![if key {
            with_sets(&in_use.sets, sample)
        } else {
            sample
        }]
    });
    add("another size after 4 s", resized, SENT, 2, IDR);
    let levels = OddCamera::bent(plain, |number, key, burst| {
        let mut sets = sets.clone();
        if number / GROUP % 2 == 1 {
            sets[0][3] = 40;
        }
        vec![if key { with_sets(&sets, burst) } else { burst }]
    });
    // At once, and then not again for ten seconds.
    add("other parameter sets at every key frame", levels, SENT, 2, IDR);
    add(
        "no IDR",
        from(OddCamera::of(&streams.no_idr), 7),
        GROUP,
        1,
        RECOVERY_POINT,
    );
    let marks = OddCamera::bent(h265, |_, key, burst| {
        let sets: Vec<&[u8]> = h265.sets.iter().map(Vec::as_slice).collect();
        match key {
            true => behind(&[&sets[..], &[&SEI_H265[..]]].concat(), burst),
            false => vec![burst],
        }
    });
    add("H.265: sets and SEI with a marker each", marks, SENT, 1, IRAP);
    add(
        "H.265: open groups",
        from(OddCamera::of(&streams.open), 7),
        SENT - 2 * GROUP,
        1,
        IRAP,
    );
    let mut sound = OddCamera::of(plain);
    sound.audio.clone_from(&streams.audio);
    add("audio beside it", sound, SENT, 1, IDR);
    cases
}

/// Records until as much came as has to; returns the files.
async fn record(case: &Case, camera: String, recordings: &Path) -> Vec<PathBuf> {
    let (module, _) = module(recordings);
    let mut topology = topology(vec![], vec![]);
    topology["properties"]["processors"] = json!([]);
    topology["properties"]["sinks"] = json!([everything()]);
    activate(&module, topology, instance(&camera, 1)).await;
    until(&module, |stats| stats.received >= case.least as u64).await;
    let stats = deactivate(&module).await;
    let pictures: u64 = stats.newest_clips.iter().map(|clip| clip.video_packets).sum();
    assert_eq!(pictures, stats.received, "{}: {stats:?}", case.name);
    stats.newest_clips.into_iter().map(|clip| clip.path).collect()
}

/// What a program of ffmpeg writes about a file, and that it complains of nothing.
fn output(name: &str, program: &str, before: &[&str], file: &Path, behind: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(["-v", "error"])
        .args(before)
        .arg(file)
        .args(behind)
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{name}: {}: {program}: {complaints}",
        file.display()
    );
    output.stdout
}

/// The types of the units of a file's pictures, parameter sets among them.
fn kinds(name: &str, is_h265: bool, file: &Path) -> Vec<u8> {
    let filter = if is_h265 {
        "hevc_mp4toannexb"
    } else {
        "h264_mp4toannexb"
    };
    // In the clock of the file, too.
    let copy = [
        "-map", "0:v:0", "-c", "copy", "-copytb", "1", "-bsf:v", filter, "-f", "data", "-",
    ];
    let bytes = output(name, "ffmpeg", &["-i"], file, &copy);
    let units = media::units(&bytes);
    units.iter().map(|unit| media::kind(is_h265, unit)).collect()
}

fn assert_decodes(case: &Case, is_h265: bool, file: &Path) {
    let name = case.name;
    // In the clock of the file: by itself ffmpeg counts in frames, and complains where two times become the same.
    let decode = ["-enc_time_base", "-1", "-f", "null", "-"];
    output(name, "ffmpeg", &["-i"], file, &decode);

    let kinds = kinds(name, is_h265, file);
    let is_slice = |kind: &u8| {
        if is_h265 {
            *kind < 32
        } else {
            (1..=5).contains(kind)
        }
    };
    let first = kinds.iter().position(is_slice).unwrap_or(kinds.len());
    let (before, slices) = kinds.split_at(first);
    assert!(
        slices.first().is_some_and(|kind| case.first.contains(kind)),
        "{name}: the first picture is {kinds:?}"
    );
    // ffmpeg writes those of the sample entry in front of IDR and IRAP pictures.
    let sets: &[u8] = if is_h265 { &[32, 33, 34] } else { &[7, 8] };
    assert!(
        case.first == RECOVERY_POINT || sets.iter().all(|set| before.contains(set)),
        "{name}: no parameter sets: {kinds:?}"
    );

    // A picture of every packet, but for those that are shown before the first and refer to one before it: decoders leave
    // them out (RASL, ITU-T H.265 section 3.137). No stream is empty.
    let leading = slices
        .iter()
        .skip(1)
        .take_while(|kind| is_h265 && matches!(kind, 8..=9));
    let leading = leading.count();
    let count = ["-count_packets", "-count_frames", "-of", "csv=p=0"];
    let entries = [
        "-show_entries",
        "stream=codec_type,nb_read_frames,nb_read_packets",
        "-i",
    ];
    let counts = output(name, "ffprobe", &[&count[..], &entries].concat(), file, &[]);
    let counts = String::from_utf8(counts).unwrap();
    for line in counts.lines() {
        let fields: Vec<&str> = line.trim_end_matches(',').split(',').collect();
        let [kind, frames, packets] = fields[..] else {
            panic!("{name}: {counts}");
        };
        let [frames, packets] = [frames, packets].map(|count| count.parse::<usize>().unwrap());
        assert!(
            packets > 0 && (kind != "video" || frames + leading == packets),
            "{name}: {counts} and {leading} leading"
        );
    }
}

async fn check(case: Case, camera: OddCamera, recordings: PathBuf) {
    let is_h265 = camera.is_h265;
    let files = record(&case, camera.start(), &recordings).await;
    assert_eq!(files.len(), case.files, "{}: {files:?}", case.name);
    let decoded = tokio::task::spawn_blocking(move || {
        for file in files {
            assert_decodes(&case, is_h265, &file);
        }
    });
    decoded.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_of_odd_cameras_decode_from_the_first_picture_or_skip() {
    let directory = tempfile::tempdir().unwrap();
    // It says why.
    let Some(streams) = Streams::make(directory.path()) else {
        return;
    };
    let cases = cases(&streams).into_iter().enumerate();
    let tasks: Vec<_> = cases
        .map(|(number, (case, camera))| {
            let recordings = directory.path().join(number.to_string());
            (case.name, tokio::spawn(check(case, camera, recordings)))
        })
        .collect();
    let mut failed = Vec::new();
    for (name, task) in tasks {
        if task.await.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

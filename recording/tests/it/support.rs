//! Streams made for the test, and files read back.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use lva_recording::{AudioCodec, AudioTrack, MediaUnit, Tracks, VideoCodec, VideoTrack};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// 2026-03-05 14:05:06.789 UTC, the time of the first unit of a source.
pub(crate) const START: u64 = 1_772_719_506_789 * 90;

/// A file as a camera session would give it.
pub(crate) struct Source {
    pub(crate) tracks: Tracks,
    pub(crate) units: Vec<MediaUnit>,
}

pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Runs a program; `None`, with a note on standard error, if that is not possible.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            note(&format!(
                "skipped: {program} failed: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
            None
        }
        Err(error) => {
            note(&format!("skipped: no program {program}: {error}"));
            None
        }
    }
}

pub(crate) fn make_source(directory: &Path, seconds: u32, codec: &[&str], audio: bool) -> Option<PathBuf> {
    let path = directory.join(format!("source-{}.mp4", codec.join("")));
    let video = format!("testsrc2=size=160x120:rate=30:duration={seconds}");
    let tone = format!("sine=frequency=440:duration={seconds}");
    let mut arguments = vec!["-v", "error", "-y", "-f", "lavfi", "-i", &video];
    if audio {
        arguments.extend(["-f", "lavfi", "-i", &tone, "-c:a", "aac"]);
    }
    arguments.extend(["-pix_fmt", "yuv420p", "-g", "30"]);
    arguments.extend(codec);
    arguments.push(path.to_str()?);
    run("ffmpeg", &arguments).map(|_| path)
}

pub(crate) const PLAIN: [&str; 4] = ["-c:v", "libx264", "-bf", "0"];

/// Reads a file with its units in the order of the file, times moved to [`START`].
pub(crate) fn read(path: &Path) -> Source {
    let mut input = ffmpeg::format::input(path).unwrap();
    let mut video = None;
    let mut audio = None;
    for stream in input.streams() {
        let parameters = stream.parameters();
        // SAFETY: the parameters live as long as `input`; `extradata` holds `extradata_size` bytes or is null.
        let (raw, extra_data) = unsafe {
            let raw = &*parameters.as_ptr();
            let data = if raw.extradata.is_null() {
                &[][..]
            } else {
                std::slice::from_raw_parts(raw.extradata, raw.extradata_size as usize)
            };
            (raw, Bytes::copy_from_slice(data))
        };
        match parameters.medium() {
            ffmpeg::media::Type::Video => {
                let codec = match parameters.id() {
                    ffmpeg::codec::Id::HEVC => VideoCodec::H265,
                    ffmpeg::codec::Id::MJPEG => VideoCodec::Mjpeg,
                    _ => VideoCodec::H264,
                };
                video = Some(VideoTrack {
                    codec,
                    extra_data,
                    width: raw.width as u32,
                    height: raw.height as u32,
                });
            }
            _ => {
                let channels = raw.ch_layout.nb_channels as u16;
                audio = Some(AudioTrack {
                    codec: match parameters.id() {
                        ffmpeg::codec::Id::OPUS => AudioCodec::Opus,
                        _ => AudioCodec::Aac,
                    },
                    extra_data,
                    sample_rate_hz: raw.sample_rate as u32,
                    channels,
                });
            }
        }
    }
    let units = input
        .packets()
        .map(|(stream, packet)| {
            let rate = stream.time_base();
            let time = packet.pts().unwrap() as i128 * 90_000 * rate.numerator() as i128
                / rate.denominator() as i128;
            let time = (START as i128 + time) as u64;
            let data = Bytes::copy_from_slice(packet.data().unwrap());
            match stream.parameters().medium() {
                ffmpeg::media::Type::Video => MediaUnit::video(time, packet.is_key(), data),
                _ => MediaUnit::audio(time, data),
            }
        })
        .collect();
    Source {
        tracks: Tracks {
            video: video.unwrap(),
            audio,
        },
        units,
    }
}

/// Hashes of a file's packets by FFmpeg: stream, time of presentation in seconds, SHA-256.
pub(crate) fn packet_hashes(path: &Path) -> Option<Vec<(String, String)>> {
    let text = run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-i",
            path.to_str()?,
            "-map",
            "0",
            "-c",
            "copy",
            "-f",
            "framehash",
            "-",
        ],
    )?;
    let hashes = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            (fields[0].to_owned(), fields[5].to_owned())
        })
        .collect();
    Some(hashes)
}

/// A stream of any length: a source again and again, its times moved on.
pub(crate) fn endless(source: &Source, from_90k: u64) -> impl Iterator<Item = MediaUnit> + '_ {
    let end = source
        .units
        .iter()
        .filter(|unit| unit.track == lva_recording::Track::Video);
    let period = end.map(|unit| unit.timestamp_90k - START).max().unwrap_or(0) + 3000;
    (0u64..).flat_map(move |round| {
        let units = source.units.iter().filter(|unit| unit.timestamp_90k >= START);
        units.map(move |unit| MediaUnit {
            timestamp_90k: from_90k + round * period + (unit.timestamp_90k - START),
            ..unit.clone()
        })
    })
}

/// Parameter sets of no real stream: the writer copies them unread.
pub(crate) fn drawn_tracks() -> Tracks {
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

/// Pictures of so many bytes, ten a second, with a keyframe each second.
pub(crate) fn drawn(from_seconds: u64, to_seconds: u64, bytes: usize) -> impl Iterator<Item = MediaUnit> {
    let data = Bytes::from(vec![7; bytes]);
    (from_seconds * 10..to_seconds * 10)
        .map(move |number| MediaUnit::video(number * 9000, number % 10 == 0, data.clone()))
}

/// Names in a directory, in order.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Packets of each stream and the duration in seconds that `ffprobe` finds.
pub(crate) fn probe(path: &Path) -> Option<(Vec<u64>, f64)> {
    let arguments = [
        "-v",
        "error",
        "-count_packets",
        "-show_entries",
        "stream=nb_read_packets:format=duration",
        "-of",
        "default=nw=1",
        path.to_str()?,
    ];
    let text = run("ffprobe", &arguments)?;
    let values = |name: &str| -> Vec<String> {
        let values = text.lines().filter_map(|line| line.strip_prefix(name));
        values.map(str::to_owned).collect()
    };
    let packets = values("nb_read_packets=");
    let duration = values("duration=").first()?.parse().unwrap_or(0.0);
    Some((
        packets.iter().map(|count| count.parse().unwrap_or(0)).collect(),
        duration,
    ))
}

//! Inspection of recorded files.

use std::path::Path;

use anyhow::Context;
use ffmpeg_next as ffmpeg;
use lva_graph_runtime::{ClipInfo, InstanceStats};
use lva_media_types::MediaTime;

const SECOND: f64 = MediaTime::TICKS_PER_SECOND as f64;

/// A recorded file.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Name of the sink.
    pub sink: String,
    /// The file.
    pub path: String,
    /// Media time of its first picture, in seconds since 1970.
    pub begin: f64,
    /// From its first to its last picture.
    pub seconds: f64,
    /// Its contents.
    pub contents: Contents,
}

/// Contents of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Contents {
    /// The file was read to its end.
    Read {
        /// Whether the first video packet is a keyframe.
        first_keyframe: bool,
        /// Longest time from a keyframe to the next one or to the end, in seconds.
        longest_gop: f64,
        /// Number of audio packets.
        audio_packets: u64,
    },
    /// A size limit or the retention has removed the recorded file.
    Removed,
    /// The file cannot be read.
    Unreadable(String),
}

impl Recorded {
    /// Media time of its last picture, in seconds since 1970.
    pub fn end(&self) -> f64 {
        self.begin + self.seconds
    }

    /// Whether it was read and starts with a keyframe.
    pub fn first_keyframe(&self) -> bool {
        matches!(
            self.contents,
            Contents::Read {
                first_keyframe: true,
                ..
            }
        )
    }
}

/// Inspects the files that an instance has recorded, in the order of completion.
pub fn recorded(stats: &InstanceStats) -> Vec<Recorded> {
    stats.newest_clips.iter().map(inspect).collect()
}

fn inspect(clip: &ClipInfo) -> Recorded {
    let found = match clip.path.exists() {
        true => read(&clip.path).map_err(|error| Contents::Unreadable(format!("{error:#}"))),
        false => Err(Contents::Removed),
    };
    let (seconds, contents) = match found {
        Ok((seconds, contents)) => (seconds, contents),
        Err(contents) => (clip.seconds, contents),
    };
    Recorded {
        sink: clip.sink.clone(),
        path: clip.path.display().to_string(),
        begin: clip.first_timestamp_90k as f64 / SECOND,
        seconds,
        contents,
    }
}

/// The length of the video according to its packets, and the contents.
fn read(path: &Path) -> anyhow::Result<(f64, Contents)> {
    let mut input = ffmpeg::format::input(path).with_context(|| format!("cannot read {}", path.display()))?;
    let video = input
        .streams()
        .best(ffmpeg::media::Type::Video)
        .with_context(|| format!("{} has no video", path.display()))?;
    let (index, tick) = (video.index(), f64::from(video.time_base()));
    let audio = input
        .streams()
        .best(ffmpeg::media::Type::Audio)
        .map(|audio| audio.index());
    let mut first_keyframe = None;
    let mut audio_packets = 0;
    let mut shown: Option<(i64, i64)> = None;
    let mut keys = Vec::new();
    for (stream, packet) in input.packets() {
        if Some(stream.index()) == audio {
            audio_packets += 1;
        }
        let Some(time) = packet.pts().filter(|_| stream.index() == index) else {
            continue;
        };
        first_keyframe.get_or_insert(packet.is_key());
        let (first, last) = shown.unwrap_or((time, time));
        shown = Some((first.min(time), last.max(time)));
        if packet.is_key() {
            keys.push(time);
        }
    }
    let (first, last) = shown.with_context(|| format!("{} has no picture", path.display()))?;
    keys.push(last);
    let gops = keys.windows(2).map(|two| two.last().zip(two.first()));
    let longest = gops.flatten().map(|(next, key)| next - key).max();
    let contents = Contents::Read {
        first_keyframe: first_keyframe.unwrap_or_default(),
        longest_gop: longest.unwrap_or_default() as f64 * tick,
        audio_packets,
    };
    Ok(((last - first) as f64 * tick, contents))
}

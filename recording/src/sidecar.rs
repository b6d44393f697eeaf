//! The small file beside each clip that says what is in it, exactly.

use crate::clip::UNFINISHED;
use crate::naming::iso_time;
use crate::unit::{TICKS_PER_SECOND, Tracks, VideoCodec};
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Key frames nearer to the last listed one than this (half a second) are not listed: a player finds them from there.
const KEYFRAME_DISTANCE: u64 = TICKS_PER_SECOND / 2;

/// Largest sidecar that is read: an hour with a key frame each half second is a tenth of it.
const MAX_BYTES: u64 = 1 << 20;

/// What is known of a clip when it begins. It is written into the clip, too, so that a sidecar can be made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) writer: String,
    pub(crate) codec: VideoCodec,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) audio: bool,
    pub(crate) first_timestamp_90k: u64,
    pub(crate) zero_timestamp_90k: u64,
    pub(crate) segment: bool,
}

impl Facts {
    pub(crate) fn new(writer: &str, tracks: &Tracks, first_timestamp_90k: u64) -> Self {
        Self {
            writer: writer.to_owned(),
            codec: tracks.video.codec,
            width: tracks.video.width,
            height: tracks.video.height,
            audio: tracks.audio.is_some(),
            first_timestamp_90k,
            zero_timestamp_90k: first_timestamp_90k,
            segment: false,
        }
    }

    fn members(&self) -> Map<String, Value> {
        let mut all = Map::new();
        all.insert("writer".to_owned(), json!(self.writer));
        all.insert("codec".to_owned(), json!(codec_name(self.codec)));
        all.insert("width".to_owned(), json!(self.width));
        all.insert("height".to_owned(), json!(self.height));
        all.insert("audio".to_owned(), json!(self.audio));
        all.insert("segment".to_owned(), json!(self.segment));
        all.insert(FIRST.to_owned(), json!(self.first_timestamp_90k));
        all.insert(ZERO.to_owned(), json!(self.zero_timestamp_90k));
        all
    }

    /// As the tag in the clip's own metadata.
    pub(crate) fn to_tag(&self) -> String {
        Value::Object(self.members()).to_string()
    }

    pub(crate) fn from_tag(text: &str) -> Option<Self> {
        Self::from_json(&serde_json::from_str(text).ok()?)
    }

    fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let flag = |name: &str| value.get(name).and_then(Value::as_bool);
        Some(Self {
            writer: value.get("writer")?.as_str()?.to_owned(),
            codec: match value.get("codec")?.as_str()? {
                "h264" => VideoCodec::H264,
                "h265" => VideoCodec::H265,
                _ => return None,
            },
            width: u32::try_from(number("width")?).ok()?,
            height: u32::try_from(number("height")?).ok()?,
            audio: flag("audio")?,
            segment: flag("segment")?,
            first_timestamp_90k: number(FIRST)?,
            zero_timestamp_90k: number(ZERO)?,
        })
    }
}

const FIRST: &str = "firstTimestamp90k";
const ZERO: &str = "zeroTimestamp90k";

fn codec_name(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::H264 => "h264",
        VideoCodec::H265 => "h265",
    }
}

/// What is in a finished clip: `NAME.json` beside `NAME.mp4`. All times are ticks of 1/90000 s since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sidecar {
    /// Who recorded it, in the words of whoever set that up; empty where that is nobody's concern.
    pub writer: String,
    /// How the video is encoded.
    pub codec: VideoCodec,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether the file has an audio track.
    pub audio: bool,
    /// Whether it is a piece of a recording in a [`SegmentFolder`](crate::SegmentFolder).
    pub segment: bool,
    /// Time of its first picture, a key frame.
    pub first_timestamp_90k: u64,
    /// Time of its last picture in order of presentation.
    pub last_timestamp_90k: u64,
    /// When that picture is over; where the next file goes on at once, the time of its first picture.
    pub end_timestamp_90k: u64,
    /// From when the clock inside the file counts. Files with equal values play one after the other without a gap.
    pub zero_timestamp_90k: u64,
    /// Pictures in it.
    pub video_packets: u64,
    /// Audio frames in it.
    pub audio_packets: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Size of its head (`ftyp` and `moov`), without which no part of it can be decoded.
    pub init_bytes: u64,
    /// Times of its key frames, half a second apart at least.
    pub keyframes_90k: Vec<u64>,
}

impl Sidecar {
    pub(crate) fn new(facts: Facts) -> Self {
        Self {
            writer: facts.writer,
            codec: facts.codec,
            width: facts.width,
            height: facts.height,
            audio: facts.audio,
            segment: facts.segment,
            first_timestamp_90k: facts.first_timestamp_90k,
            last_timestamp_90k: facts.first_timestamp_90k,
            end_timestamp_90k: facts.first_timestamp_90k,
            zero_timestamp_90k: facts.zero_timestamp_90k,
            video_packets: 0,
            audio_packets: 0,
            bytes: 0,
            init_bytes: 0,
            keyframes_90k: Vec::new(),
        }
    }

    /// The sidecar of a clip.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or ([`io::ErrorKind::InvalidData`]) is none of ours.
    pub fn read(clip: &Path) -> io::Result<Self> {
        Self::read_file(&sidecar_path(clip))
    }

    pub(crate) fn read_file(path: &Path) -> io::Result<Self> {
        let not_ours = || io::Error::new(io::ErrorKind::InvalidData, "not the sidecar of a recording");
        if fs::metadata(path)?.len() > MAX_BYTES {
            return Err(not_ours());
        }
        Self::from_json(&fs::read_to_string(path)?).ok_or_else(not_ours)
    }

    /// Reads a sidecar's text.
    pub fn from_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let facts = Facts::from_json(&value)?;
        let first = facts.first_timestamp_90k;
        let steps = value.get("keyframes")?.as_array()?;
        let keyframes = steps
            .iter()
            .map(|step| step.as_u64().map(|step| first.saturating_add(step)));
        Some(Self {
            last_timestamp_90k: number("lastTimestamp90k")?,
            end_timestamp_90k: number("endTimestamp90k")?,
            video_packets: number("videoPackets")?,
            audio_packets: number("audioPackets")?,
            bytes: number("bytes")?,
            init_bytes: number("initBytes")?,
            keyframes_90k: keyframes.collect::<Option<_>>()?,
            ..Self::new(facts)
        })
    }

    /// Its text: one line of JSON. `keyframes` counts from the first picture; `startTime` and `endTime` are for people.
    pub fn to_json(&self) -> String {
        let facts = Facts {
            writer: self.writer.clone(),
            codec: self.codec,
            width: self.width,
            height: self.height,
            audio: self.audio,
            first_timestamp_90k: self.first_timestamp_90k,
            zero_timestamp_90k: self.zero_timestamp_90k,
            segment: self.segment,
        };
        let steps: Vec<u64> = self
            .keyframes_90k
            .iter()
            .map(|time| time.saturating_sub(self.first_timestamp_90k))
            .collect();
        let mut all = facts.members();
        let more = [
            ("lastTimestamp90k", json!(self.last_timestamp_90k)),
            ("endTimestamp90k", json!(self.end_timestamp_90k)),
            ("startTime", json!(iso_time(self.first_timestamp_90k))),
            ("endTime", json!(iso_time(self.end_timestamp_90k))),
            ("videoPackets", json!(self.video_packets)),
            ("audioPackets", json!(self.audio_packets)),
            ("bytes", json!(self.bytes)),
            ("initBytes", json!(self.init_bytes)),
            ("keyframes", json!(steps)),
        ];
        all.extend(more.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(all).to_string()
    }

    /// Seconds from its first picture to the end of its last.
    pub fn seconds(&self) -> f64 {
        let ticks = self.end_timestamp_90k.saturating_sub(self.first_timestamp_90k);
        ticks as f64 / TICKS_PER_SECOND as f64
    }

    /// The key frame to decode from to see a moment, such as that of an event; `None` if the clip does not show it.
    pub fn keyframe_before(&self, timestamp_90k: u64) -> Option<u64> {
        let shown = (self.first_timestamp_90k
            ..self
                .end_timestamp_90k
                .max(self.last_timestamp_90k.saturating_add(1)))
            .contains(&timestamp_90k);
        let before = self
            .keyframes_90k
            .iter()
            .rev()
            .find(|time| **time <= timestamp_90k);
        before.copied().filter(|_| shown)
    }

    pub(crate) fn note_keyframe(&mut self, timestamp_90k: u64) {
        let far = |last: &u64| timestamp_90k >= last.saturating_add(KEYFRAME_DISTANCE);
        if self.keyframes_90k.last().is_none_or(far) {
            self.keyframes_90k.push(timestamp_90k);
        }
    }

    /// Writes it beside a clip, whole or not at all.
    pub(crate) fn write(&self, clip: &Path) -> io::Result<()> {
        replace(&sidecar_path(clip), format!("{}\n", self.to_json()).as_bytes())
    }
}

/// `NAME.json` of `NAME.mp4`.
pub(crate) fn sidecar_path(clip: &Path) -> PathBuf {
    clip.with_extension("json")
}

/// `NAME.inferences.jsonl` of `NAME.mp4`.
pub(crate) fn annotations_path(clip: &Path) -> PathBuf {
    clip.with_extension("inferences.jsonl")
}

/// A file's new content under its name at once. It is not brought to the disk: it can be made again.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name: OsString = path.to_owned().into_os_string();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    let written = File::create(&unfinished)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sidecar() -> Sidecar {
        let facts = Facts {
            writer: "plaza/\"sink\"".to_owned(),
            codec: VideoCodec::H265,
            width: 1920,
            height: 1080,
            audio: true,
            first_timestamp_90k: 143_039_375_044_290,
            zero_timestamp_90k: 143_039_370_000_000,
            segment: true,
        };
        let mut sidecar = Sidecar::new(facts);
        for step in [0, 90_000, 100_000, 180_000] {
            sidecar.note_keyframe(143_039_375_044_290 + step);
        }
        sidecar.last_timestamp_90k += 267_000;
        sidecar.end_timestamp_90k += 270_000;
        (sidecar.video_packets, sidecar.bytes) = (90, 12_345);
        sidecar
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("20200512T233309.381Z.mp4");
        sidecar().write(&clip).unwrap();
        assert!(folder.path().join("20200512T233309.381Z.json").is_file());
        assert_eq!(Sidecar::read(&clip).unwrap(), sidecar());
        let text = sidecar().to_json();
        assert!(
            text.contains(r#""startTime":"2020-05-12T23:33:09.381Z""#),
            "{text}"
        );
        assert!(text.contains(r#""keyframes":[0,90000,180000]"#), "{text}");
    }

    #[test]
    fn an_event_finds_the_key_frame_to_start_from() {
        let sidecar = sidecar();
        let first = sidecar.first_timestamp_90k;
        assert_eq!(sidecar.keyframe_before(first + 179_999), Some(first + 90_000));
        assert_eq!(sidecar.keyframe_before(first + 269_999), Some(first + 180_000));
        assert_eq!(sidecar.keyframe_before(first + 270_000), None);
        assert_eq!(sidecar.keyframe_before(first - 1), None);
    }

    #[test]
    fn the_largest_times_do_not_overflow() {
        let mut sidecar = sidecar();
        (sidecar.last_timestamp_90k, sidecar.bytes) = (u64::MAX, u64::MAX);
        let sidecar = Sidecar::from_json(&sidecar.to_json()).unwrap();
        assert_eq!(sidecar.keyframe_before(u64::MAX), None);
        assert!(sidecar.keyframe_before(u64::MAX - 1).is_some());
    }

    #[test]
    fn what_is_no_sidecar_is_none() {
        for text in ["", "{}", "[1]", r#"{"writer":"a","codec":"vp9"}"#] {
            assert_eq!(Sidecar::from_json(text), None, "{text}");
        }
        let half = sidecar().to_json().replace("\"bytes\":12345,", "");
        assert_eq!(Sidecar::from_json(&half), None);
    }
}

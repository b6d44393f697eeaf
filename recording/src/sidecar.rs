//! The JSON file next to each clip with its exact content.

use std::io::{self, Read};
use std::path::Path;

use lva_media_types::{MediaTime, VideoCodec};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::beneath::{Access, Boundaries};
use crate::files::sidecar_path;
use crate::naming::iso_time;
use crate::unit::Tracks;

/// The metadata tag of a clip with its [`ClipHeader`].
pub(crate) const HEADER_TAG: &str = "lva_clip";
/// The metadata tag with the time of the first picture.
pub(crate) const TIMESTAMP_TAG: &str = "timestamp_90k";

/// What [`ClipHeader::to_tag`] begins with.
const TAG_START: &[u8] = br#"{"writer":""#;

/// Keyframes closer to the last listed one than this (half a second) are not listed: players find them from there.
const KEYFRAME_DISTANCE: u64 = MediaTime::TICKS_PER_SECOND / 2;

/// Largest sidecar that is read: that of an hour with a keyframe each half second is a tenth of it.
const MAX_BYTES: u64 = 1 << 20;

/// Known facts when a clip begins, stored in its metadata so that recovery can create the sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClipHeader {
    #[serde(rename = "writer")]
    pub(crate) owner: String,
    #[serde(serialize_with = "write_codec", deserialize_with = "read_codec")]
    pub(crate) codec: VideoCodec,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) audio: bool,
    pub(crate) segment: bool,
    pub(crate) first_timestamp_90k: u64,
    pub(crate) zero_timestamp_90k: u64,
}

impl ClipHeader {
    pub(crate) fn new(owner: &str, tracks: &Tracks, first_timestamp_90k: u64) -> Self {
        Self {
            owner: owner.to_owned(),
            codec: tracks.video.codec,
            width: tracks.video.width,
            height: tracks.video.height,
            audio: tracks.audio.is_some(),
            segment: false,
            first_timestamp_90k,
            zero_timestamp_90k: first_timestamp_90k,
        }
    }

    /// As the tag in the clip's own metadata.
    pub(crate) fn to_tag(&self) -> String {
        to_json(self)
    }

    pub(crate) fn from_tag(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The tag in the bytes of an MP4 header, which MP4 writers store as it is.
    pub(crate) fn find_in(head: &[u8]) -> Option<Self> {
        let starts = head.windows(TAG_START.len()).enumerate();
        let mut tags = starts.filter(|(_, bytes)| *bytes == TAG_START);
        tags.find_map(|(at, _)| {
            let rest = serde_json::Deserializer::from_slice(head.get(at..)?);
            rest.into_iter().next()?.ok()
        })
    }
}

fn write_codec<S: Serializer>(codec: &VideoCodec, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match codec {
        VideoCodec::H264 => "h264",
        VideoCodec::H265 => "h265",
        VideoCodec::Mjpeg => "mjpeg",
    })
}

fn read_codec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VideoCodec, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "h264" => Ok(VideoCodec::H264),
        "h265" => Ok(VideoCodec::H265),
        "mjpeg" => Ok(VideoCodec::Mjpeg),
        other => Err(de::Error::unknown_variant(other, &["h264", "h265", "mjpeg"])),
    }
}

/// A sidecar as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(flatten)]
    header: ClipHeader,
    last_timestamp_90k: u64,
    end_timestamp_90k: u64,
    /// For people, like the end time.
    #[serde(skip_deserializing)]
    start_time: String,
    #[serde(skip_deserializing)]
    end_time: String,
    video_packets: u64,
    audio_packets: u64,
    bytes: u64,
    init_bytes: u64,
    /// Ticks from the first picture on.
    keyframes: Vec<u64>,
}

/// Strings, numbers and booleans cannot fail to be written.
fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Content of a finished clip: `NAME.json` next to `NAME.mp4`. All times are ticks of 1/90000 s since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sidecar {
    /// Owner of the recording, as the program names it; may be empty.
    pub owner: String,
    /// How the video is encoded.
    pub codec: VideoCodec,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether the file has an audio track.
    pub audio: bool,
    /// Whether it is a segment in a [`SegmentDirectory`](crate::SegmentDirectory).
    pub segment: bool,
    /// Time of its first picture, a keyframe.
    pub first_timestamp_90k: u64,
    /// Time of its last picture in presentation order.
    pub last_timestamp_90k: u64,
    /// End of that picture; if another file continues without a gap, the time of its first picture.
    pub end_timestamp_90k: u64,
    /// Media time of the file's time 0. Files with equal values play one after the other without a gap.
    pub zero_timestamp_90k: u64,
    /// Number of pictures.
    pub video_packets: u64,
    /// Number of audio frames.
    pub audio_packets: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Size of its MP4 header (`ftyp` and `moov`), which is needed to decode any part of it.
    pub init_bytes: u64,
    /// Times of its keyframes, at least half a second apart.
    pub keyframes_90k: Vec<u64>,
}

impl Sidecar {
    pub(crate) fn new(header: ClipHeader) -> Self {
        Self {
            owner: header.owner,
            codec: header.codec,
            width: header.width,
            height: header.height,
            audio: header.audio,
            segment: header.segment,
            first_timestamp_90k: header.first_timestamp_90k,
            last_timestamp_90k: header.first_timestamp_90k,
            end_timestamp_90k: header.first_timestamp_90k,
            zero_timestamp_90k: header.zero_timestamp_90k,
            video_packets: 0,
            audio_packets: 0,
            bytes: 0,
            init_bytes: 0,
            keyframes_90k: Vec::new(),
        }
    }

    /// Reads the sidecar of a clip.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or this crate has not written it ([`io::ErrorKind::InvalidData`]).
    pub fn read(clip: &Path) -> io::Result<Self> {
        Self::read_file(&sidecar_path(clip), &Boundaries::default())
    }

    pub(crate) fn read_file(path: &Path, boundaries: &Boundaries) -> io::Result<Self> {
        let not_ours = || io::Error::new(io::ErrorKind::InvalidData, "not the sidecar of a recording");
        let mut text = String::new();
        let file = boundaries.open(path, Access::Read)?;
        file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(not_ours());
        }
        Self::from_json(&text).ok_or_else(not_ours)
    }

    /// Reads a sidecar's JSON; `None` if this crate has not written it.
    pub fn from_json(text: &str) -> Option<Self> {
        let stored: Stored = serde_json::from_str(text).ok()?;
        let first = stored.header.first_timestamp_90k;
        let keyframes = stored.keyframes.iter().map(|step| first.saturating_add(*step));
        Some(Self {
            last_timestamp_90k: stored.last_timestamp_90k,
            end_timestamp_90k: stored.end_timestamp_90k,
            video_packets: stored.video_packets,
            audio_packets: stored.audio_packets,
            bytes: stored.bytes,
            init_bytes: stored.init_bytes,
            keyframes_90k: keyframes.collect(),
            ..Self::new(stored.header)
        })
    }

    /// As one line of JSON. `keyframes` counts from the first picture; `startTime` and `endTime` are for people.
    pub fn to_json(&self) -> String {
        let first = self.first_timestamp_90k;
        to_json(&Stored {
            header: ClipHeader {
                owner: self.owner.clone(),
                codec: self.codec,
                width: self.width,
                height: self.height,
                audio: self.audio,
                segment: self.segment,
                first_timestamp_90k: first,
                zero_timestamp_90k: self.zero_timestamp_90k,
            },
            last_timestamp_90k: self.last_timestamp_90k,
            end_timestamp_90k: self.end_timestamp_90k,
            start_time: iso_time(first),
            end_time: iso_time(self.end_timestamp_90k),
            video_packets: self.video_packets,
            audio_packets: self.audio_packets,
            bytes: self.bytes,
            init_bytes: self.init_bytes,
            keyframes: self
                .keyframes_90k
                .iter()
                .map(|time| time.saturating_sub(first))
                .collect(),
        })
    }

    /// Duration in seconds, to the end of the last picture.
    pub fn seconds(&self) -> f64 {
        let ticks = self.end_timestamp_90k.saturating_sub(self.first_timestamp_90k);
        MediaTime::duration_of(ticks).as_secs_f64()
    }

    /// The keyframe at which to start decoding to show a moment, such as that of an event; `None` if the clip does not
    /// contain it.
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

    /// Writes it next to a clip, as a whole.
    pub(crate) fn write(&self, clip: &Path, boundaries: &Boundaries) -> io::Result<()> {
        boundaries.replace(&sidecar_path(clip), format!("{}\n", self.to_json()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> ClipHeader {
        ClipHeader {
            owner: "plaza/\"sink\"".to_owned(),
            codec: VideoCodec::H265,
            width: 1920,
            height: 1080,
            audio: true,
            first_timestamp_90k: 143_039_375_044_290,
            zero_timestamp_90k: 143_039_370_000_000,
            segment: true,
        }
    }

    fn sidecar() -> Sidecar {
        let mut sidecar = Sidecar::new(header());
        for step in [0, 90_000, 100_000, 180_000] {
            sidecar.note_keyframe(143_039_375_044_290 + step);
        }
        sidecar.last_timestamp_90k += 267_000;
        sidecar.end_timestamp_90k += 270_000;
        (sidecar.video_packets, sidecar.bytes) = (90, 12_345);
        sidecar
    }

    #[test]
    fn a_written_sidecar_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let clip = directory.path().join("20200512T233309.381Z.mp4");
        sidecar().write(&clip, &Boundaries::default()).unwrap();
        assert!(directory.path().join("20200512T233309.381Z.json").is_file());
        assert_eq!(Sidecar::read(&clip).unwrap(), sidecar());
        let text = sidecar().to_json();
        assert!(
            text.contains(r#""startTime":"2020-05-12T23:33:09.381Z""#),
            "{text}"
        );
        assert!(text.contains(r#""keyframes":[0,90000,180000]"#), "{text}");
    }

    #[test]
    fn the_tag_is_found_among_other_bytes() {
        let tag = header().to_tag();
        let bytes = [b"\0\0moov{\"writer\":\"\xff", tag.as_bytes(), b"\0\0\0\x10moof"].concat();
        assert_eq!(ClipHeader::find_in(&bytes), Some(header()));
        assert_eq!(ClipHeader::find_in(&bytes[..tag.len()]), None);
    }

    #[test]
    fn the_keyframe_before_an_event_is_found() {
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
    fn other_json_is_rejected() {
        for text in ["", "{}", "[1]", r#"{"writer":"a","codec":"vp9"}"#] {
            assert_eq!(Sidecar::from_json(text), None, "{text}");
        }
        let half = sidecar().to_json().replace("\"bytes\":12345,", "");
        assert_eq!(Sidecar::from_json(&half), None);
    }
}

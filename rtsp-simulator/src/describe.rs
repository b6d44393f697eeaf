//! Session descriptions (RFC 8866) of clips, with the parameters of RFC 6184 section 8.2.1,
//! RFC 7798 section 7.1 and RFC 3640 section 4.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sdp_types::{Attribute, Connection, Media, Origin, Session, Time};

use crate::faults::DescribeFaults;
use crate::media::{Clip, Track, TrackKind};
use crate::packetize::{AUDIO_PAYLOAD_TYPE, VIDEO_PAYLOAD_TYPE};

/// The description of a clip, for `DESCRIBE`. `session` numbers the session (RFC 8866 section 5.2); `in_band` omits the
/// parameter sets.
pub(crate) fn describe(
    clip: &Clip,
    name: &str,
    session: u64,
    in_band: bool,
    faults: &DescribeFaults,
) -> Vec<u8> {
    let description = Session {
        origin: Origin {
            username: None,
            sess_id: session.to_string(),
            sess_version: 1,
            nettype: "IN".into(),
            addrtype: "IP4".into(),
            unicast_address: "127.0.0.1".into(),
        },
        // A line break in a file name must not begin a line of the description.
        session_name: name.replace(char::is_control, " "),
        session_description: None,
        uri: None,
        emails: vec![],
        phones: vec![],
        connection: Some(Connection {
            nettype: "IN".into(),
            addrtype: "IP4".into(),
            connection_address: "0.0.0.0".into(),
        }),
        bandwidths: vec![],
        times: vec![Time {
            start_time: 0,
            stop_time: 0,
            repeats: vec![],
        }],
        time_zones: vec![],
        key: None,
        attributes: vec![
            attribute("tool", concat!("lva-rtsp ", env!("CARGO_PKG_VERSION"))),
            attribute("range", "npt=now-"),
            attribute("control", "*"),
        ],
        medias: clip
            .tracks
            .iter()
            .enumerate()
            .map(|(index, track)| media(index, track, in_band, faults))
            .chain(if faults.foreign_streams {
                foreign_streams(clip.tracks.len())
            } else {
                Vec::new()
            })
            .collect(),
    };
    let mut text = Vec::new();
    // Writing to memory does not fail; any client would reject an empty description.
    let _ = description.write(&mut text);
    text
}

/// Parameter sets for the description: with a wrong level, if that fault is on.
fn described(sets: &[Vec<u8>], faults: &DescribeFaults) -> Vec<Vec<u8>> {
    let mut sets = sets.to_vec();
    if faults.parameter_sets {
        for set in &mut sets {
            // H.264: profile, constraints and level after one byte of header. H.265: header of two bytes, one byte of
            // identifiers, then profile, 4 bytes of compatibility, 6 of constraints, and the level.
            let index = if set.first().is_some_and(|first| first & 0x1f == 7) {
                3
            } else {
                14
            };
            if let Some(level) = set.get_mut(index) {
                *level = if index == 3 { 10 } else { 30 };
            }
        }
    }
    sets
}

/// Streams that few clients can use, as cameras with unusual settings offer them.
fn foreign_streams(first: usize) -> Vec<Media> {
    [
        ("video", "98 VP8/90000"),
        ("audio", "99 OPUS/48000/2"),
        ("application", "107 vnd.onvif.metadata/90000"),
    ]
    .iter()
    .enumerate()
    .map(|(place, (media, rtpmap))| Media {
        media: (*media).into(),
        port: 0,
        num_ports: None,
        proto: "RTP/AVP".into(),
        fmt: rtpmap.split(' ').next().unwrap_or_default().into(),
        media_title: None,
        connections: vec![],
        bandwidths: vec![],
        key: None,
        attributes: vec![
            attribute("rtpmap", rtpmap),
            attribute("control", &format!("trackID={}", first + place)),
        ],
    })
    .collect()
}

fn media(index: usize, track: &Track, in_band: bool, faults: &DescribeFaults) -> Media {
    let (media, payload_type, rtpmap, fmtp) = match &track.kind {
        TrackKind::H264 { sps, pps, .. } => {
            let sps = &described(sps, faults);
            let sets: Vec<_> = sps.iter().chain(pps).map(|set| STANDARD.encode(set)).collect();
            let profile: String = sps
                .first()
                .and_then(|s| s.get(1..4))
                .unwrap_or_default()
                .iter()
                .map(|b| format!("{b:02X}"))
                .collect();
            let sets = if in_band {
                String::new()
            } else {
                format!(";sprop-parameter-sets={}", sets.join(","))
            };
            let fmtp = format!("packetization-mode=1;profile-level-id={profile}{sets}");
            ("video", VIDEO_PAYLOAD_TYPE, "H264/90000".to_owned(), fmtp)
        }
        TrackKind::H265 { vps, sps, pps, .. } => {
            let list = |sets: &[Vec<u8>]| {
                let sets: Vec<_> = sets.iter().map(|set| STANDARD.encode(set)).collect();
                sets.join(",")
            };
            let fmtp = if in_band {
                String::new()
            } else {
                format!(
                    "sprop-vps={};sprop-sps={};sprop-pps={}",
                    list(vps),
                    list(&described(sps, faults)),
                    list(pps)
                )
            };
            ("video", VIDEO_PAYLOAD_TYPE, "H265/90000".to_owned(), fmtp)
        }
        TrackKind::Aac {
            config: [first, second],
            sample_rate_hz,
            channels,
        } => {
            let fmtp = format!(
                "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;\
                 config={first:02X}{second:02X}"
            );
            (
                "audio",
                AUDIO_PAYLOAD_TYPE,
                format!("MPEG4-GENERIC/{sample_rate_hz}/{channels}"),
                fmtp,
            )
        }
    };
    Media {
        media: media.into(),
        port: 0,
        num_ports: None,
        proto: "RTP/AVP".into(),
        fmt: payload_type.to_string(),
        media_title: None,
        connections: vec![],
        bandwidths: vec![],
        key: None,
        attributes: [("rtpmap", rtpmap), ("fmtp", fmtp)]
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| attribute(name, &format!("{payload_type} {value}")))
            .chain([attribute("control", &format!("trackID={index}"))])
            .collect(),
    }
}

fn attribute(name: &str, value: &str) -> Attribute {
    Attribute {
        attribute: name.into(),
        value: Some(value.into()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_description_is_parsed_back() {
        let video = TrackKind::H264 {
            sps: vec![vec![0x67, 0x4d, 0x40, 0x1e, 1]],
            pps: vec![vec![0x68, 2]],
            length_bytes: 4,
        };
        let audio = TrackKind::Aac {
            config: [0x11, 0x90],
            sample_rate_hz: 48_000,
            channels: 2,
        };
        let track = |kind| Track {
            kind,
            timescale: 1,
            samples: vec![],
            duration: 1,
        };
        let clip = Clip::of_tracks(Bytes::new(), vec![track(video), track(audio)]);
        let text = describe(&clip, "plaza\r\na=evil:1", 7, false, &DescribeFaults::default());
        let session = Session::parse(&text).unwrap();
        assert!(!session.has_attribute("evil"));
        let fmtp = session.medias[0]
            .get_first_attribute_value("fmtp")
            .unwrap()
            .unwrap();
        assert_eq!(
            fmtp,
            "96 packetization-mode=1;profile-level-id=4D401E;sprop-parameter-sets=Z01AHgE=,aAI="
        );
        let rtpmap = session.medias[1]
            .get_first_attribute_value("rtpmap")
            .unwrap()
            .unwrap();
        assert_eq!(rtpmap, "97 MPEG4-GENERIC/48000/2");
    }
}

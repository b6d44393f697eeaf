//! Session descriptions (RFC 8866) as cameras write them: what is needed to play is sought, everything else skipped.
//!
//! `sdp-types` reads the grammar, and cameras leave out `v=`, `o=` and `t=`, write them twice, or in another encoding.

use std::net::IpAddr;

use super::repairs::{Repair, Repairs};
use crate::{Codec, MediaKind};

/// Tracks of a description beyond this number are not listed.
const MAX_TRACKS: usize = 64;
/// Payload types of a medium.
const MAX_FORMATS: usize = 64;
/// Attributes of one track beyond this number are ignored.
const MAX_ATTRIBUTES: usize = 256;

/// The parts of a description that are needed to play it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Description {
    /// `a=control` of the session.
    pub(crate) control: Option<String>,
    pub(crate) tracks: Vec<Track>,
}

/// One medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) media: MediaKind,
    pub(crate) codec: Codec,
    /// In lower case; empty if the description does not have it.
    pub(crate) encoding: String,
    pub(crate) payload_type: u8,
    pub(crate) clock_rate_hz: u32,
    pub(crate) channels: Option<u16>,
    /// The format's parameters, without the payload type.
    pub(crate) fmtp: Option<String>,
    pub(crate) control: Option<String>,
    /// The camera wants to be sent this: talk-back (ONVIF Streaming section 5.3).
    pub(crate) send_only: bool,
    /// The multicast group that it is sent to, and its port.
    pub(crate) group: Option<IpAddr>,
    pub(crate) port: Option<u16>,
}

/// A medium while its lines are read.
#[derive(Default)]
struct Lines<'a> {
    media: &'a str,
    port: &'a str,
    connection: &'a str,
    formats: Vec<&'a str>,
    rtpmaps: Vec<(&'a str, &'a str)>,
    fmtps: Vec<(&'a str, &'a str)>,
    control: Option<&'a str>,
    send_only: bool,
    attributes: usize,
}

impl Description {
    pub(crate) fn parse(body: &[u8], repairs: &mut Repairs) -> Self {
        let text = String::from_utf8_lossy(body);
        // Of a description that was written in an editor.
        let text = text.trim_start_matches('\u{feff}');
        let mut description = Self::default();
        let mut current: Option<Lines<'_>> = None;
        let mut connection = "";
        let mut odd = false;
        for line in text
            .split(['\n', '\r', '\0'])
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            let Some((kind, value)) = line.split_once('=') else {
                odd = true;
                continue;
            };
            match kind.trim() {
                "m" | "M" => {
                    description.add(current.take(), &mut odd);
                    let mut words = value.split_ascii_whitespace();
                    current = Some(Lines {
                        media: words.next().unwrap_or_default(),
                        // It and the protocol behind it are often absurd.
                        port: words.next().unwrap_or_default(),
                        connection,
                        formats: words.skip(1).take(MAX_FORMATS).collect(),
                        ..Lines::default()
                    });
                }
                "c" | "C" => match &mut current {
                    Some(lines) => lines.connection = value,
                    None => connection = value,
                },
                "a" | "A" => {
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    match &mut current {
                        Some(lines) => lines.attribute(name.trim(), value.trim()),
                        None if name.trim().eq_ignore_ascii_case("control") => {
                            description.control = Some(value.trim().to_owned());
                        }
                        None => {}
                    }
                }
                _ => {}
            }
        }
        description.add(current.take(), &mut odd);
        if odd {
            repairs.add(Repair::Description);
        }
        description
    }

    fn add(&mut self, lines: Option<Lines<'_>>, odd: &mut bool) {
        if let Some(lines) = lines
            && self.tracks.len() < MAX_TRACKS
        {
            self.tracks.push(lines.track(odd));
        }
    }
}

impl<'a> Lines<'a> {
    fn attribute(&mut self, name: &'a str, value: &'a str) {
        self.attributes += 1;
        if self.attributes > MAX_ATTRIBUTES {
            return;
        }
        let (first, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        match name.to_ascii_lowercase().as_str() {
            "rtpmap" => self.rtpmaps.push((first, rest.trim())),
            "fmtp" => self.fmtps.push((first, rest.trim())),
            "control" => self.control = Some(value),
            "sendonly" => self.send_only = true,
            _ => {}
        }
    }

    fn track(self, odd: &mut bool) -> Track {
        let media = match self.media.to_ascii_lowercase().as_str() {
            "video" | "image" => MediaKind::Video,
            "audio" => MediaKind::Audio,
            _ => MediaKind::Application,
        };
        // A camera may forget the payload types, or name others than it describes.
        let described = self.rtpmaps.iter().map(|(format, _)| format);
        let others = described.filter(|format| !self.formats.contains(*format));
        let mut offers = self
            .formats
            .iter()
            .chain(others)
            .filter_map(|format| Some((*format, self.offer(media, format)?)));
        // The first that is usable: a camera may list others before it.
        let first = offers.next();
        let best = match first {
            Some(first) if !first.1.codec.is_supported() => offers
                .find(|(_, offer)| offer.codec.is_supported())
                .or(Some(first)),
            other => other,
        };
        if best.as_ref().map(|(_, best)| best.payload_type)
            != self.formats.first().and_then(|format| format.parse().ok())
        {
            *odd = true;
        }
        let fmtp = best.as_ref().and_then(|(format, _)| self.parameters(format));
        let offer = best.map(|(_, offer)| offer).unwrap_or_else(|| {
            let name = self.rtpmaps.first().and_then(|(_, map)| map.split('/').next());
            Track {
                media,
                codec: Codec::Unsupported,
                encoding: name.unwrap_or_default().trim().to_ascii_lowercase(),
                payload_type: 0,
                clock_rate_hz: 90_000,
                channels: None,
                fmtp: None,
                control: None,
                send_only: false,
                group: None,
                port: None,
            }
        });
        // `IN IP4 239.1.2.3/127`
        let address = self.connection.split_ascii_whitespace().nth(2);
        let address = address.and_then(|address| address.split('/').next()?.parse().ok());
        let port = self.port.split('/').next().and_then(|port| port.parse().ok());
        Track {
            group: address.filter(IpAddr::is_multicast),
            port: port.filter(|port| *port != 0),
            control: self.control.map(str::to_owned),
            send_only: self.send_only,
            fmtp,
            ..offer
        }
    }

    /// The value of an attribute for one payload type.
    fn of(&self, values: &[(&'a str, &'a str)], format: &str) -> Option<&'a str> {
        let named = values.iter().find(|(number, _)| *number == format);
        // Under another number, but the only one there is.
        let only = values
            .first()
            .filter(|_| self.formats.len() == 1 && values.len() == 1);
        named.or(only).map(|(_, value)| *value)
    }

    /// The parameters of one payload type. Some cameras spread them over several lines.
    fn parameters(&self, format: &str) -> Option<String> {
        let own = self.fmtps.iter().filter(|(number, _)| *number == format);
        let own: Vec<_> = own.map(|(_, parameters)| *parameters).collect();
        if own.is_empty() {
            return self.of(&self.fmtps, format).map(str::to_owned);
        }
        Some(own.join(";"))
    }

    /// What one payload type of the medium is, without its `a=fmtp`.
    fn offer(&self, media: MediaKind, format: &str) -> Option<Track> {
        let payload_type: u8 = format.parse().ok().filter(|number| *number < 128)?;
        let map = self.of(&self.rtpmaps, format).filter(|map| !map.is_empty());
        let (encoding, clock_rate_hz, channels) = match map {
            Some(map) => {
                let mut parts = map.split('/').map(str::trim);
                let encoding = parts.next().unwrap_or_default().to_ascii_lowercase();
                let rate = parts
                    .next()
                    .and_then(|rate| rate.parse().ok())
                    .filter(|rate| *rate > 0);
                let channels = parts.next().and_then(|channels| channels.parse().ok());
                let rate = rate.unwrap_or(if media == MediaKind::Audio { 8_000 } else { 90_000 });
                (encoding, rate, channels.filter(|channels| *channels > 0))
            }
            None => {
                let (encoding, rate) = static_payload_type(payload_type)?;
                (encoding.to_owned(), rate, None)
            }
        };
        let kind = match media {
            MediaKind::Video => "video",
            MediaKind::Audio => "audio",
            MediaKind::Application => "application",
        };
        Some(Track {
            media,
            codec: Codec::from_names(kind, &encoding),
            encoding,
            payload_type,
            clock_rate_hz,
            channels,
            fmtp: None,
            control: None,
            send_only: false,
            group: None,
            port: None,
        })
    }
}

/// Encoding and clock rate of the static payload types that cameras use (RFC 3551 section 6).
fn static_payload_type(number: u8) -> Option<(&'static str, u32)> {
    Some(match number {
        0 => ("pcmu", 8_000),
        3 => ("gsm", 8_000),
        4 => ("g723", 8_000),
        8 => ("pcma", 8_000),
        9 => ("g722", 8_000),
        14 => ("mpa", 90_000),
        26 => ("jpeg", 90_000),
        31 => ("h261", 90_000),
        32 => ("mpv", 90_000),
        33 => ("mp2t", 90_000),
        34 => ("h263", 90_000),
        _ => return None,
    })
}

/// A parameter of a format: `packetization-mode=1; sprop-parameter-sets=…`. Names come in any case.
pub(crate) fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|part| {
        let (known, value) = part.split_once('=')?;
        known
            .trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> (Description, Repairs) {
        let mut repairs = Repairs::default();
        (Description::parse(text.as_bytes(), &mut repairs), repairs)
    }

    const VIDEO: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=\r\na=control:trackID=0\r\n";

    #[test]
    fn a_description_is_read_without_any_line_that_is_not_needed() {
        for head in [
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\na=control:*\r\n",
            "",
            "o=-2208 IN\r\ns=\r\ns=again\r\nc=IN\r\nb=AS:-1\r\nt=0\r\nz=?\r\n",
        ] {
            let (description, repairs) = parse(&format!("{head}{VIDEO}"));
            let [track] = description.tracks.as_slice() else {
                panic!("{head}")
            };
            assert_eq!(
                (track.codec, track.payload_type, track.clock_rate_hz),
                (Codec::H264, 96, 90_000)
            );
            assert_eq!(track.control.as_deref(), Some("trackID=0"));
            assert_eq!(
                parameter(track.fmtp.as_ref().unwrap(), "SPROP-parameter-sets"),
                Some("Z0I=,aM4=")
            );
            assert!(repairs.is_empty());
        }
    }

    #[test]
    fn line_ends_zeros_and_other_encodings_do_not_matter() {
        let text = VIDEO.replace("\r\n", "\n");
        let mut bytes = b"s=\xe4\xf6\n".to_vec();
        bytes.extend(text.as_bytes());
        bytes.extend(b"\r\n\0\0");
        let marked = format!("\u{feff}{VIDEO}");
        assert_eq!(parse(&marked).0.tracks, parse(VIDEO).0.tracks);
        assert_eq!(
            Description::parse(&bytes, &mut Repairs::default()).tracks,
            parse(VIDEO).0.tracks
        );
    }

    #[test]
    fn the_usable_format_counts_though_it_is_not_the_first() {
        let (description, repairs) = parse(
            "m=video 0 RTP/AVP 35 97 98\r\na=rtpmap:97 VP8/90000\r\na=rtpmap:98 H265/90000\r\na=fmtp:98 sprop-vps=x\r\n",
        );
        let track = &description.tracks[0];
        assert_eq!(
            (track.codec, track.payload_type, track.fmtp.as_deref()),
            (Codec::H265, 98, Some("sprop-vps=x"))
        );
        assert_eq!(repairs.count(Repair::Description), 1);
    }

    #[test]
    fn parameters_under_another_number_count_if_they_are_the_only_ones() {
        let one = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=fmtp:104 config=1408\r\n";
        assert_eq!(parse(one).0.tracks[0].fmtp.as_deref(), Some("config=1408"));
        let two = format!("{one}a=fmtp:105 config=9999\r\n");
        assert_eq!(parse(&two).0.tracks[0].fmtp, None);
    }

    #[test]
    fn parameters_on_several_lines_are_joined() {
        let (description, repairs) = parse(
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n\
             a=fmtp:96 sprop-parameter-sets=\"Z0I=,aM4=\";\r\na=fmtp:96 profile-level-id=420029\r\n",
        );
        let fmtp = description.tracks[0].fmtp.as_deref().unwrap();
        let names = ["packetization-mode", "sprop-parameter-sets", "profile-level-id"];
        let values = names.map(|name| parameter(fmtp, name).unwrap());
        assert_eq!(values, ["1", "Z0I=,aM4=", "420029"]);
        assert!(repairs.is_empty());
    }

    #[test]
    fn payload_types_that_the_medium_does_not_name_count_where_no_other_is_usable() {
        for types in ["", " 0 35"] {
            let (description, repairs) = parse(&format!(
                "m=video 0 RTP/AVP{types}\r\na=rtpmap:98 H264/90000\r\na=control:x\r\n"
            ));
            let track = &description.tracks[0];
            assert_eq!((track.codec, track.payload_type), (Codec::H264, 98), "{types}");
            assert_eq!(repairs.count(Repair::Description), 1);
        }
    }

    #[test]
    fn static_types_talk_back_and_nonsense_are_told_apart() {
        let (description, _) = parse(
            "m=audio 0 RTP/AVP 8\r\na=recvonly\r\nm=audio 0 RTP/AVP 0\r\na=sendonly\r\nm=video 0 RTP/AVP 26\r\n\
             m=audio 0 RTP/AVP (null)\r\na=rtpmap\r\nm=application/tp-link 0 RTP/AVP smart/0/25000\r\nm=\r\n",
        );
        let codecs: Vec<_> = description
            .tracks
            .iter()
            .map(|t| (t.codec, t.send_only))
            .collect();
        use Codec::{Jpeg, PcmAlaw, PcmMulaw, Unsupported};
        assert_eq!(
            codecs,
            [
                (PcmAlaw, false),
                (PcmMulaw, true),
                (Jpeg, false),
                (Unsupported, false),
                (Unsupported, false),
                (Unsupported, false)
            ]
        );
    }

    #[test]
    fn a_multicast_group_is_that_of_the_medium_or_of_the_session() {
        let (description, _) = parse(&format!(
            "c=IN IP4 239.1.2.3/127\r\n{}c=IN IP4 10.0.0.1\r\n{}",
            VIDEO.replace("video 0", "video 5000/2"),
            VIDEO.replace("video 0", "video 70000"),
        ));
        let groups: Vec<_> = description.tracks.iter().map(|t| (t.group, t.port)).collect();
        // The second `c=` is of the first medium.
        assert_eq!(groups, [(None, Some(5000)), ("239.1.2.3".parse().ok(), None)]);
    }

    #[test]
    fn tracks_and_attributes_are_bounded() {
        let (description, _) = parse(&VIDEO.repeat(1000));
        assert_eq!(description.tracks.len(), MAX_TRACKS);
        let (description, _) = parse(&format!("{VIDEO}{}a=sendonly\r\n", "a=x\r\n".repeat(1000)));
        assert!(!description.tracks[0].send_only);
    }

    proptest! {
        #[test]
        fn any_description_is_read(
            lines in proptest::collection::vec("(m|a|v|o)?=?(video|audio)?[ :/=a-z0-9;,-]{0,30}", 0..12),
        ) {
            parse(&lines.join("\n"));
        }
    }
}

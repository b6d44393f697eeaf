//! What devices report of themselves. Values that are missing or absurd are `None` or empty.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most devices that one discovery returns.
pub const MAX_FOUND_DEVICES: usize = 200;

/// Of these, most that answered from one address: a recorder answers for the cameras behind it.
pub const MAX_FOUND_DEVICES_OF_ONE: usize = 64;

/// A device that answered a discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDevice {
    /// Its unique identifier, mostly `urn:uuid:…`.
    pub identifier: Option<String>,
    /// The address it answered from.
    pub address: IpAddr,
    /// URIs that describe it, such as `onvif://www.onvif.org/name/yard`.
    pub scopes: Vec<String>,
    /// Addresses of its device service for [`describe`](crate::describe), those on [`address`](Self::address) first.
    pub service_urls: Vec<String>,
}

/// What a device is and streams.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeviceDescription {
    /// Its host name.
    pub host_name: Option<HostName>,
    /// Its clock.
    pub clock: Option<DeviceClock>,
    /// Its name servers.
    pub name_servers: Option<NameServers>,
    /// What it streams. Empty for a device without the media service of version 1.
    pub profiles: Vec<Profile>,
}

/// Pictures of at least this height are large enough to find people in, as long as they fill a tenth of it.
const ENOUGH_HEIGHT: u32 = 360;

impl DeviceDescription {
    /// The stream to record: that with the most pixels, of those whose address and size are known.
    pub fn main_stream(&self) -> Option<&Profile> {
        first_largest(self.sized_streams()).map(|(profile, ..)| profile)
    }

    /// The stream to analyse while the main one is recorded: that with the fewest pixels of at least 360 rows, or else the
    /// largest below the main one. `None` where no stream is smaller than that one.
    pub fn sub_stream(&self) -> Option<&Profile> {
        let (_, most, _) = first_largest(self.sized_streams())?;
        let smaller = || self.sized_streams().filter(|(_, pixels, _)| *pixels < most);
        let enough = smaller().filter(|(_, _, height)| *height >= ENOUGH_HEIGHT);
        let chosen = enough.min_by_key(|(_, pixels, _)| *pixels);
        chosen
            .or_else(|| first_largest(smaller()))
            .map(|(profile, ..)| profile)
    }

    /// Profiles with an address and a size.
    fn sized_streams(&self) -> impl Iterator<Item = SizedProfile<'_>> {
        let streams = self
            .profiles
            .iter()
            .filter(|profile| profile.stream_uri.is_some());
        streams.filter_map(|profile| {
            let encoder = profile.encoder.as_ref()?;
            let (width, height) = encoder.resolution?;
            let decodable = encoder.encoding != VideoEncoding::Mpeg4;
            decodable.then(|| (profile, u64::from(width) * u64::from(height), height))
        })
    }
}

/// A profile, its pixels and rows.
type SizedProfile<'a> = (&'a Profile, u64, u32);

fn first_largest<'a>(streams: impl Iterator<Item = SizedProfile<'a>>) -> Option<SizedProfile<'a>> {
    streams.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// A host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// Whether it comes from DHCP.
    pub from_dhcp: bool,
    /// The name; may be empty.
    pub name: String,
}

/// A device's clock at the moment of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceClock {
    /// `Ntp`, `Manual`, or a word of the device's.
    pub source: String,
    /// The time in RFC 3339, with `Z` where the device reports UTC, without an offset where it reports local time only.
    /// Empty where it is not a time.
    pub time: String,
    /// The time zone in the form of POSIX, as the device writes it.
    pub time_zone: String,
}

/// A device's name servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServers {
    /// Whether they come from DHCP.
    pub from_dhcp: bool,
    /// Addresses of IPv4.
    pub ipv4: Vec<Ipv4Addr>,
    /// Addresses of IPv6.
    pub ipv6: Vec<Ipv6Addr>,
}

/// One way in which a device streams.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its stream, on the host that was asked and without user information. `None` where the device reports no usable one.
    pub stream_uri: Option<String>,
    /// How its video is encoded. `None` for a profile without video.
    pub encoder: Option<VideoEncoder>,
}

/// How a stream is encoded. Numbers are those of ONVIF, in its units.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoEncoder {
    /// The codec.
    pub encoding: VideoEncoding,
    /// Relative quality.
    pub quality: Option<f64>,
    /// Width and height in pixels.
    pub resolution: Option<(u32, u32)>,
    /// Limits of its rate.
    pub rate: Option<RateLimits>,
    /// Frames from one keyframe to the next. Not for JPEG.
    pub gov_length: Option<f64>,
    /// Profile of the codec, such as `Main`. `None` for JPEG, and where the device reports no details.
    pub codec_profile: Option<String>,
}

/// The codecs of the media service of version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoEncoding {
    /// Motion JPEG.
    Jpeg,
    /// H.264.
    H264,
    /// MPEG-4 part 2.
    Mpeg4,
}

/// Limits of a stream's rate.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RateLimits {
    /// Kilobits per second.
    pub kilobits_per_second: Option<f64>,
    /// One frame of so many is encoded.
    pub encoding_interval: Option<f64>,
    /// Frames per second.
    pub frames_per_second: Option<f64>,
    /// Whether the device keeps the frame rate even at the cost of quality.
    pub guaranteed_frame_rate: Option<bool>,
}

/// `Sub: 640x360 H264, at most 15 frames a second, rtsp://192.168.1.20/sub`
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        match &self.encoder {
            None => f.write_str(" no video")?,
            Some(encoder) => {
                if let Some((width, height)) = encoder.resolution {
                    write!(f, " {width}x{height}")?;
                }
                write!(f, " {}", encoder.encoding)?;
                if let Some(rate) = encoder.rate.and_then(|rate| rate.frames_per_second) {
                    write!(f, ", at most {rate} frames a second")?;
                }
            }
        }
        write!(
            f,
            ", {}",
            self.stream_uri.as_deref().unwrap_or("no stream address")
        )
    }
}

impl fmt::Display for VideoEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::H264 => "H264",
            Self::Mpeg4 => "MPEG4",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str, size: Option<(u32, u32)>, encoding: VideoEncoding) -> Profile {
        Profile {
            name: name.to_owned(),
            stream_uri: Some(format!("rtsp://camera/{name}")),
            encoder: Some(VideoEncoder {
                encoding,
                quality: None,
                resolution: size,
                rate: Some(RateLimits {
                    frames_per_second: Some(15.0),
                    ..RateLimits::default()
                }),
                gov_length: None,
                codec_profile: None,
            }),
        }
    }

    /// Names of the main stream and the sub-stream.
    fn chosen(profiles: Vec<Profile>) -> [Option<String>; 2] {
        let device = DeviceDescription {
            profiles,
            ..DeviceDescription::default()
        };
        [device.main_stream(), device.sub_stream()].map(|found| found.map(|profile| profile.name.clone()))
    }

    #[test]
    fn the_largest_stream_is_recorded_and_the_smallest_that_is_large_enough_analysed() {
        use VideoEncoding::{H264, Jpeg, Mpeg4};
        let of = |name, width, height| profile(name, Some((width, height)), H264);
        let four = vec![
            of("third", 352, 240),
            of("sub", 640, 360),
            of("main", 2560, 1440),
            of("second", 1280, 720),
        ];
        assert_eq!(chosen(four), [Some("main".into()), Some("sub".into())]);
        let small = vec![of("a", 1920, 1080), of("b", 320, 240), of("c", 176, 144)];
        assert_eq!(chosen(small), [Some("a".into()), Some("b".into())]);
        let mut unreachable = of("sub", 640, 360);
        unreachable.stream_uri = None;
        let odd = vec![
            unreachable,
            profile("still", Some((640, 480)), Jpeg),
            profile("old", Some((640, 400)), Mpeg4),
            profile("unknown", None, H264),
            of("main", 1920, 1080),
            of("copy", 1920, 1080),
        ];
        assert_eq!(chosen(odd)[1], Some("still".into()));
        assert_eq!(chosen(vec![of("only", 1920, 1080)])[1], None);
        assert_eq!(chosen(Vec::new()), [None, None]);
    }

    #[test]
    fn a_profile_is_shown_with_its_size_and_address() {
        let shown = profile("Sub", Some((640, 360)), VideoEncoding::H264).to_string();
        assert_eq!(
            shown,
            "Sub: 640x360 H264, at most 15 frames a second, rtsp://camera/Sub"
        );
        let audio = Profile {
            name: "Audio".to_owned(),
            stream_uri: None,
            encoder: None,
        };
        assert_eq!(audio.to_string(), "Audio: no video, no stream address");
    }
}

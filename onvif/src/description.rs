//! What devices report of themselves. Values that are missing or absurd are `None` or empty.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most devices that one discovery returns.
pub const MAX_FOUND_DEVICES: usize = 200;

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

//! Answers of `onvifDeviceDiscover` and `onvifDeviceGet` (Video Analyzer 1.1). Members that are absent are left out.

use serde::{Deserialize, Serialize};

/// Most devices that one discovery answers with.
pub const MAX_DISCOVERED_DEVICES: usize = 200;

/// A device that answered a discovery.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveredDevice {
    /// Its unique name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_identifier: Option<String>,
    /// Its address.
    #[serde(default, rename = "remoteIPAddress", skip_serializing_if = "Option::is_none")]
    pub remote_ip_address: Option<String>,
    /// Its scopes: URIs that describe it.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The addresses of its services, for `onvifDeviceGet`.
    #[serde(default)]
    pub endpoints: Vec<String>,
}

/// A device's description of itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnvifDevice {
    /// Its host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<OnvifHostName>,
    /// Its clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_date_time: Option<OnvifDateTime>,
    /// Its name servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<OnvifDns>,
    /// What it streams. Profiles in H.265 are left out, as the original did.
    #[serde(default)]
    pub media_profiles: Vec<MediaProfile>,
}

/// A host name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnvifHostName {
    /// Whether DHCP gave it.
    #[serde(default)]
    pub from_dhcp: bool,
    /// The name.
    #[serde(default)]
    pub hostname: String,
}

/// A device's clock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnvifDateTime {
    /// `Ntp` or `Manual`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The time as a string.
    #[serde(default)]
    pub time: String,
    /// The time zone as a string.
    #[serde(default)]
    pub time_zone: String,
}

/// A device's name servers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnvifDns {
    /// Whether DHCP gave them.
    #[serde(default)]
    pub from_dhcp: bool,
    /// Their addresses.
    #[serde(default)]
    pub ipv4_address: Vec<String>,
    /// Their addresses.
    #[serde(default)]
    pub ipv6_address: Vec<String>,
}

/// One way in which a device streams.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaProfile {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_uri: Option<MediaUri>,
    /// How it is encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_encoder_configuration: Option<VideoEncoderConfiguration>,
}

/// An address of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MediaUri {
    /// `rtsp://…`
    #[serde(default)]
    pub uri: String,
}

/// How a stream is encoded. Numbers are those of ONVIF, in its units.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoEncoderConfiguration {
    /// `JPEG`, `H264` or `MPEG4`.
    #[serde(default)]
    pub encoding: String,
    /// Relative quality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// Size in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<VideoResolution>,
    /// Limits of its rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_control: Option<RateControl>,
    /// For `H264`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h264: Option<CodecConfiguration>,
    /// For `MPEG4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mpeg4: Option<CodecConfiguration>,
}

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VideoResolution {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// Limits of a stream's rate.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateControl {
    /// Kilobits a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_rate_limit: Option<f64>,
    /// Every how many frames one is encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding_interval: Option<f64>,
    /// Frames a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate_limit: Option<f64>,
    /// Whether the rate is kept whatever it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guaranteed_frame_rate: Option<bool>,
}

/// Details of a codec.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodecConfiguration {
    /// Frames between two independent ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gov_length: Option<f64>,
    /// `Baseline`, `Main`, `Extended` or `High` of H.264, `SP` or `ASP` of MPEG-4.
    #[serde(default)]
    pub profile: String,
}

/// Why `onvifDeviceDiscover` or `onvifDeviceGet` has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceFault {
    /// The endpoint cannot be asked: status 400, the caller must fix it.
    InvalidEndpoint,
    /// The device refuses the credentials, or wants some: status 403.
    Refused,
    /// Something on this side: status 500.
    Internal,
    /// The device cannot be reached, or what it answers is not ONVIF: status 502.
    BadAnswer,
    /// The device was too slow: status 504. A retry may help.
    TimedOut,
}

impl DeviceFault {
    /// Every fault.
    pub const ALL: [Self; 5] = [
        Self::InvalidEndpoint,
        Self::Refused,
        Self::Internal,
        Self::BadAnswer,
        Self::TimedOut,
    ];

    /// Status in the manner of HTTP.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidEndpoint => 400,
            Self::Refused => 403,
            Self::Internal => 500,
            Self::BadAnswer => 502,
            Self::TimedOut => 504,
        }
    }

    /// The top-level `code`.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidEndpoint => "BadRequest",
            Self::Refused => "Forbidden",
            Self::Internal => "InternalServerError",
            Self::BadAnswer => "BadGateway",
            Self::TimedOut => "GatewayTimeout",
        }
    }
}

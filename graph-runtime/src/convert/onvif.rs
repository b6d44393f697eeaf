//! An endpoint of `onvifDeviceGet` as `lva-onvif` asks its device, and its answers in the contract's JSON.

use lva_client_transport::ClientTlsError;
use lva_client_transport::http::HttpCredentials;
use lva_graph_model::methods::DeviceFault;
use lva_graph_model::nodes::{Endpoint, EndpointCredentials};
use lva_graph_model::onvif::{
    CodecConfiguration, DiscoveredDevice, MediaProfile, MediaUri, OnvifDateTime, OnvifDevice, OnvifDns,
    OnvifHostName, RateControl, VideoEncoderConfiguration, VideoResolution,
};
use lva_onvif::{
    AddressError, DeviceDescription, DeviceEndpoint, DeviceUrl, FoundDevice, OnvifError, OnvifErrorKind,
    Profile, VideoEncoder, VideoEncoding,
};

use crate::convert::tls::client_tls;

/// Why an ONVIF method failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OnvifCallError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("the endpoint is a TlsEndpoint, so its url must begin with https://")]
    NotTls,
    #[error(
        "the endpoint's credentials cannot be used with an ONVIF device: use UsernamePasswordCredentials, or \
         HttpHeaderCredentials with a header's name and a value of one line"
    )]
    Credentials,
    #[error("{0}: correct the endpoint's trustedCertificates")]
    Certificates(ClientTlsError),
    #[error(transparent)]
    Onvif(#[from] OnvifError),
}

impl OnvifCallError {
    /// The status to answer with.
    pub(crate) fn fault(&self) -> DeviceFault {
        match self {
            Self::Address(_) | Self::NotTls | Self::Credentials | Self::Certificates(_) => {
                DeviceFault::InvalidEndpoint
            }
            Self::Onvif(error) => match error.kind() {
                OnvifErrorKind::Unauthorized => DeviceFault::Refused,
                OnvifErrorKind::Local => DeviceFault::Internal,
                OnvifErrorKind::BadResponse => DeviceFault::BadAnswer,
                OnvifErrorKind::TimedOut => DeviceFault::TimedOut,
            },
        }
    }
}

/// Address, credentials and trusted certificates.
pub(crate) fn onvif_device(endpoint: &Endpoint) -> Result<DeviceEndpoint, OnvifCallError> {
    let tls = endpoint.tls.as_ref().map(client_tls).transpose();
    let tls = tls.map_err(OnvifCallError::Certificates)?.unwrap_or_default();
    let url: DeviceUrl = endpoint.url.as_str().parse()?;
    if endpoint.tls.is_some() && !url.is_tls() {
        return Err(OnvifCallError::NotTls);
    }
    let device = DeviceEndpoint::new(url).with_tls(tls);
    match &endpoint.credentials {
        None => Ok(device),
        Some(given) => Ok(device.with_credentials(credentials(given)?)),
    }
}

fn credentials(credentials: &EndpointCredentials) -> Result<HttpCredentials, OnvifCallError> {
    let usable = match credentials {
        EndpointCredentials::UsernamePassword(credentials) => Some(HttpCredentials::password(
            credentials.username(),
            credentials.password(),
        )),
        EndpointCredentials::HttpHeader { name, value } => {
            HttpCredentials::header(name.as_str(), value.expose())
        }
        EndpointCredentials::SymmetricKey(_) => None,
    };
    usable.ok_or(OnvifCallError::Credentials)
}

/// Devices of a discovery.
pub(crate) fn discovered(devices: Vec<FoundDevice>) -> Vec<DiscoveredDevice> {
    let converted = devices.into_iter().map(|device| DiscoveredDevice {
        service_identifier: device.identifier,
        remote_ip_address: Some(device.address.to_string()),
        scopes: device.scopes,
        endpoints: device.service_urls,
    });
    converted.collect()
}

/// A device's description.
pub(crate) fn described(device: DeviceDescription) -> OnvifDevice {
    OnvifDevice {
        hostname: device.host_name.map(|host| OnvifHostName {
            from_dhcp: host.from_dhcp,
            hostname: host.name,
        }),
        system_date_time: device.clock.map(|clock| OnvifDateTime {
            kind: clock.source,
            time: clock.time,
            time_zone: clock.time_zone,
        }),
        dns: device.name_servers.map(|servers| OnvifDns {
            from_dhcp: servers.from_dhcp,
            ipv4_address: servers.ipv4.iter().map(ToString::to_string).collect(),
            ipv6_address: servers.ipv6.iter().map(ToString::to_string).collect(),
        }),
        media_profiles: device.profiles.into_iter().map(profile).collect(),
    }
}

fn profile(profile: Profile) -> MediaProfile {
    MediaProfile {
        name: profile.name,
        media_uri: profile.stream_uri.map(|uri| MediaUri { uri }),
        video_encoder_configuration: profile.encoder.map(encoder),
    }
}

fn encoder(encoder: VideoEncoder) -> VideoEncoderConfiguration {
    let codec = encoder.codec_profile.map(|profile| CodecConfiguration {
        gov_length: encoder.gov_length,
        profile,
    });
    let (encoding, h264, mpeg4) = match encoder.encoding {
        VideoEncoding::Jpeg => ("JPEG", None, None),
        VideoEncoding::H264 => ("H264", codec, None),
        VideoEncoding::Mpeg4 => ("MPEG4", None, codec),
    };
    VideoEncoderConfiguration {
        encoding: encoding.to_owned(),
        quality: encoder.quality,
        resolution: encoder
            .resolution
            .map(|(width, height)| VideoResolution { width, height }),
        rate_control: encoder.rate.map(|rate| RateControl {
            bit_rate_limit: rate.kilobits_per_second,
            encoding_interval: rate.encoding_interval,
            frame_rate_limit: rate.frames_per_second,
            guaranteed_frame_rate: rate.guaranteed_frame_rate,
        }),
        h264,
        mpeg4,
    }
}

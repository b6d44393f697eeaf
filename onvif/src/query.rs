//! The requests that describe a device, in order, and what its responses add to the description. Without socket or clock.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri};
use lva_client_transport::http::HttpCredentials;
use lva_media_types::BasicAuthentication;
use quick_xml::escape::escape;

use crate::address::DeviceUrl;
use crate::auth::Authenticator;
use crate::description::{DeviceDescription, Profile};
use crate::error::OnvifError;
use crate::parse;
use crate::soap::{self, Message, envelope};
use crate::token::ClockOffset;
use crate::xml::{Element, MAX_BYTES};

/// Most profiles of one device: a recorder with 64 cameras has about 200.
const MAX_PROFILES: usize = 256;
/// Most bytes of a response other than the list of profiles.
const MAX_SMALL_BYTES: usize = 256 * 1024;

/// A request to send.
pub(crate) struct OnvifRequest {
    /// Path and query on the device's origin.
    pub(crate) target: Uri,
    /// The content type with the SOAP action.
    pub(crate) content_type: HeaderValue,
    /// The header that authenticates the caller.
    pub(crate) credentials: Option<(HeaderName, HeaderValue)>,
    /// The envelope.
    pub(crate) body: String,
    /// Most bytes of the response.
    pub(crate) max_body_bytes: usize,
}

/// A complete response.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnvifResponse {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) challenges: Vec<String>,
    pub(crate) body: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Clock,
    Hostname,
    Dns,
    Services,
    Capabilities,
    Profiles,
    Stream(usize),
    Done,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Clock => "GetSystemDateAndTime",
            Self::Hostname => "GetHostname",
            Self::Dns => "GetDNS",
            Self::Services => "GetServices",
            Self::Capabilities => "GetCapabilities",
            Self::Profiles => "GetProfiles",
            Self::Stream(_) => "GetStreamUri",
            Self::Done => "",
        }
    }

    fn is_media(self) -> bool {
        matches!(self, Self::Profiles | Self::Stream(_))
    }

    /// Whether a device that rejects this request is still described.
    fn is_optional(self) -> bool {
        !matches!(self, Self::Capabilities | Self::Profiles)
    }
}

/// Describes one device: send what [`next`](Self::next) returns and give the response to
/// [`on_response`](Self::on_response), until `next` returns `None`.
#[derive(Debug)]
pub(crate) struct DeviceQuery {
    url: DeviceUrl,
    auth: Authenticator,
    step: Step,
    /// Whether the request for the clock carries credentials. The first one does not.
    authenticates_clock: bool,
    offset: ClockOffset,
    media: Option<PathAndQuery>,
    tokens: Vec<String>,
    device: DeviceDescription,
}

impl DeviceQuery {
    pub(crate) fn new(
        url: DeviceUrl,
        credentials: Option<HttpCredentials>,
        basic: BasicAuthentication,
    ) -> Self {
        Self {
            auth: Authenticator::new(credentials, basic.allows(url.is_tls())),
            url,
            step: Step::Clock,
            authenticates_clock: false,
            offset: ClockOffset::default(),
            media: None,
            tokens: Vec::new(),
            device: DeviceDescription::default(),
        }
    }

    /// The next request; `None` when the description is complete.
    pub(crate) fn next(&mut self, now: SystemTime, nonce: [u8; 16]) -> Option<OnvifRequest> {
        let step = self.step;
        let inner = match step {
            Step::Done => return None,
            Step::Services => "<t:IncludeCapability>false</t:IncludeCapability>".to_owned(),
            Step::Capabilities => "<t:Category>Media</t:Category>".to_owned(),
            Step::Stream(index) => stream_setup(self.tokens.get(index)?),
            Step::Clock | Step::Hostname | Step::Dns | Step::Profiles => String::new(),
        };
        let service = if step.is_media() { "media" } else { "device" };
        let namespace = format!("http://www.onvif.org/ver10/{service}/wsdl");
        let name = step.name();
        let target = match &self.media {
            Some(media) if step.is_media() => media.clone(),
            _ => self.url.path_and_query().clone(),
        };
        let authenticates = step != Step::Clock || self.authenticates_clock;
        let security = match authenticates {
            true => self.auth.security(self.offset, now, nonce),
            false => String::new(),
        };
        let body = envelope(
            &security,
            &format!("<t:{name} xmlns:t=\"{namespace}\">{inner}</t:{name}>"),
        );
        let credentials = match authenticates {
            true => self.auth.header(target.as_str(), body.as_bytes()),
            false => None,
        };
        let content_type = format!("application/soap+xml; charset=utf-8; action=\"{namespace}/{name}\"");
        Some(OnvifRequest {
            target: Uri::from(target),
            content_type: content_type.parse().ok()?,
            credentials,
            body,
            max_body_bytes: match step {
                Step::Profiles => MAX_BYTES,
                _ => MAX_SMALL_BYTES,
            },
        })
    }

    /// Takes the response to the last request. `peer` is the address that it came from.
    pub(crate) fn on_response(
        &mut self,
        response: &OnvifResponse,
        peer: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<(), OnvifError> {
        if (300..400).contains(&response.status) {
            return Err(OnvifError::Redirected {
                status: response.status,
            });
        }
        let message = match response.body.len() {
            0 => None,
            _ => Some(soap::parse(&response.body)),
        };
        let unauthorized = matches!(response.status, 401 | 403);
        match message {
            Some(Ok(Message::Fault(fault))) if unauthorized || fault.not_authorized => {
                self.rejected(response, &fault.reason)
            }
            _ if unauthorized => self.rejected(response, ""),
            Some(Ok(Message::Body(body))) if response.status < 300 => {
                self.auth.accepted();
                self.add(&body, peer, now)
            }
            Some(Ok(Message::Fault(fault))) => self.unsupported(&fault.reason),
            Some(Ok(Message::Body(_))) => self.unsupported(&format!("status {}", response.status)),
            // Devices without an optional request respond as web servers do.
            Some(Err(_)) | None
                if response.status >= 400 && self.step != Step::Clock && self.step.is_optional() =>
            {
                self.unsupported(&format!("status {}", response.status))
            }
            Some(Err(cause)) => Err(OnvifError::NotSoap {
                status: response.status,
                content_type: self
                    .auth
                    .redact(response.content_type.as_deref().unwrap_or("nothing")),
                cause: Some(cause),
            }),
            None => Err(OnvifError::NotSoap {
                status: response.status,
                content_type: "nothing".to_owned(),
                cause: None,
            }),
        }
    }

    /// The device wants credentials for this request, or other ones.
    fn rejected(&mut self, response: &OnvifResponse, reason: &str) -> Result<(), OnvifError> {
        let again = match self.step == Step::Clock && !self.authenticates_clock && self.auth.has_credentials()
        {
            // The same request again: with the answer to the challenge, or with a token after a fault.
            true => {
                self.authenticates_clock = true;
                response.challenges.is_empty() || self.auth.rejected(&response.challenges)
            }
            false => self.auth.rejected(&response.challenges),
        };
        if again {
            if self.auth.sends_password() && !self.url.is_tls() {
                tracing::warn!(device = %self.url, "the password is sent in clear text: use https, or enable Digest on the device");
            }
            return Ok(());
        }
        if self.auth.wants_basic() {
            return Err(OnvifError::BasicNotAllowed);
        }
        Err(OnvifError::Unauthorized {
            with_credentials: self.auth.has_credentials(),
            reason: self.auth.redact(reason),
        })
    }

    /// The device does not support this request.
    fn unsupported(&mut self, reason: &str) -> Result<(), OnvifError> {
        self.auth.accepted();
        let reason = self.auth.redact(reason);
        tracing::debug!(
            request = self.step.name(),
            reason,
            "an ONVIF device does not support a request"
        );
        if !self.step.is_optional() {
            return Err(OnvifError::Fault {
                request: self.step.name(),
                reason,
            });
        }
        self.step = match self.step {
            Step::Services => Step::Capabilities,
            step => self.after(step),
        };
        Ok(())
    }

    fn after(&self, step: Step) -> Step {
        let stream = |index: usize| match index < self.tokens.len() {
            true => Step::Stream(index),
            false => Step::Done,
        };
        match step {
            Step::Clock => Step::Hostname,
            Step::Hostname => Step::Dns,
            Step::Dns => Step::Services,
            Step::Services | Step::Capabilities => match self.media {
                Some(_) => Step::Profiles,
                None => Step::Done,
            },
            Step::Profiles => stream(0),
            Step::Stream(index) => stream(index + 1),
            Step::Done => Step::Done,
        }
    }

    fn add(&mut self, body: &Element, peer: Option<IpAddr>, now: SystemTime) -> Result<(), OnvifError> {
        let expected = format!("{}Response", self.step.name());
        if body.name() != expected {
            return Err(OnvifError::WrongResponse {
                request: self.step.name(),
                response: self.auth.redact(body.name()),
            });
        }
        match self.step {
            Step::Clock => {
                if let Some((clock, moment)) = parse::clock(body) {
                    self.device.clock = Some(clock);
                    self.offset = moment.map_or(self.offset, |moment| ClockOffset::new(moment, now));
                }
            }
            Step::Hostname => self.device.host_name = parse::host_name(body),
            Step::Dns => self.device.name_servers = parse::name_servers(body),
            Step::Services => self.media(parse::media_of_services(body)),
            Step::Capabilities => self.media(parse::media_of_capabilities(body)),
            Step::Profiles => {
                let found = parse::profiles(body, MAX_PROFILES);
                (self.tokens, self.device.profiles) = found.into_iter().unzip();
            }
            Step::Stream(index) => {
                let uri = parse::stream(body).and_then(|uri| self.url.stream(uri, peer));
                if let Some(profile) = self.device.profiles.get_mut(index) {
                    set_stream(profile, uri);
                }
            }
            Step::Done => {}
        }
        self.step = self.after(self.step);
        Ok(())
    }

    fn media(&mut self, address: Option<&str>) {
        let Some((target, is_elsewhere)) = address.and_then(|address| self.url.service(address)) else {
            tracing::info!(device = %self.url, "an ONVIF device has no media service of version 1, so no profiles");
            return;
        };
        if is_elsewhere {
            tracing::debug!(
                device = %self.url,
                "the device reports its media service on another origin; the endpoint's is used"
            );
        }
        self.media = Some(target);
    }

    /// The description so far.
    pub(crate) fn finish(self) -> DeviceDescription {
        self.device
    }
}

fn set_stream(profile: &mut Profile, uri: Option<(String, bool)>) {
    let Some((uri, moved)) = uri else { return };
    if moved {
        tracing::warn!(
            profile = profile.name,
            "the device reports a stream on another host, which is replaced by the device's own"
        );
    }
    profile.stream_uri = Some(uri);
}

fn stream_setup(token: &str) -> String {
    format!(
        "<t:StreamSetup><c:Stream xmlns:c=\"http://www.onvif.org/ver10/schema\">RTP-Unicast</c:Stream>\
         <c:Transport xmlns:c=\"http://www.onvif.org/ver10/schema\"><c:Protocol>RTSP</c:Protocol></c:Transport>\
         </t:StreamSetup><t:ProfileToken>{}</t:ProfileToken>",
        escape(token)
    )
}

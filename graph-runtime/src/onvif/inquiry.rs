//! What a device is asked, in which order, and what is made of its answers: no socket, no clock.

use std::net::IpAddr;
use std::time::SystemTime;

use hyper::header::{HeaderName, HeaderValue};
use lva_graph_model::onvif::{MediaProfile, MediaUri, OnvifDevice};
use quick_xml::escape::escape;

use super::address::DeviceUrl;
use super::answers;
use super::error::OnvifError;
use super::login::{Credentials, Login};
use super::soap::{Message, envelope, read};
use super::token::ClockOffset;
use super::xml::{Element, MAX_BYTES};

/// Most profiles that are asked for: a recorder with 64 cameras has about 200.
const MAX_PROFILES: usize = 256;
/// Most bytes of an answer other than the list of profiles.
const SMALL: usize = 256 * 1024;

/// A request to send.
pub(super) struct Call {
    /// Path and query, at the device's own address.
    pub(super) path: String,
    /// The action for the content type.
    pub(super) action: String,
    /// What proves who asks.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// The envelope.
    pub(super) body: String,
    /// Most bytes that the answer may have.
    pub(super) largest: usize,
}

/// An answer, whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) challenges: Vec<String>,
    pub(super) body: Vec<u8>,
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

    /// Whether a device that does not answer this is described all the same.
    fn is_optional(self) -> bool {
        !matches!(self, Self::Capabilities | Self::Profiles)
    }
}

/// A device on its way to be described: [`next`](Self::next) is sent, [`answered`](Self::answered) takes what came,
/// until there is nothing more to send.
#[derive(Debug)]
pub(super) struct Inquiry {
    url: DeviceUrl,
    login: Login,
    step: Step,
    /// Whether credentials go with the question for the clock, which is asked without them first.
    insists: bool,
    offset: ClockOffset,
    media: Option<String>,
    tokens: Vec<String>,
    device: OnvifDevice,
}

impl Inquiry {
    pub(super) fn new(url: DeviceUrl, credentials: Option<Credentials>) -> Self {
        Self {
            url,
            login: Login::new(credentials),
            step: Step::Clock,
            insists: false,
            offset: ClockOffset::default(),
            media: None,
            tokens: Vec::new(),
            device: OnvifDevice::default(),
        }
    }

    /// The next request; `None` when everything was asked.
    pub(super) fn next(&mut self, now: SystemTime, nonce: [u8; 16]) -> Option<Call> {
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
        let own = self.url.path_and_query();
        let path = if step.is_media() {
            self.media.clone().unwrap_or(own)
        } else {
            own
        };
        let proves = step != Step::Clock || self.insists;
        let security = match proves {
            true => self.login.security(self.offset, now, nonce),
            false => String::new(),
        };
        let body = envelope(
            &security,
            &format!("<t:{name} xmlns:t=\"{namespace}\">{inner}</t:{name}>"),
        );
        let header = match proves {
            true => self.login.header(&path, body.as_bytes()),
            false => None,
        };
        Some(Call {
            action: format!("{namespace}/{name}"),
            largest: if step == Step::Profiles { MAX_BYTES } else { SMALL },
            path,
            header,
            body,
        })
    }

    /// Takes the answer to what [`next`](Self::next) gave last. `peer` is the address that it came from.
    pub(super) fn answered(
        &mut self,
        reply: &Reply,
        peer: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<(), OnvifError> {
        if (300..400).contains(&reply.status) {
            return Err(OnvifError::Redirected { status: reply.status });
        }
        let message = match reply.body.len() {
            0 => None,
            _ => Some(read(&reply.body)),
        };
        let unauthorized = matches!(reply.status, 401 | 403);
        match message {
            Some(Ok(Message::Fault(fault))) if unauthorized || fault.not_authorized => {
                self.refused(reply, &fault.reason)
            }
            _ if unauthorized => self.refused(reply, ""),
            Some(Ok(Message::Body(body))) if reply.status < 300 => {
                self.login.accepted();
                self.take(&body, peer, now)
            }
            Some(Ok(Message::Fault(fault))) => self.lacks(&fault.reason),
            Some(Ok(Message::Body(_))) => self.lacks(&format!("status {}", reply.status)),
            // Devices that do not know an optional question answer as web servers do.
            Some(Err(_)) | None
                if reply.status >= 400 && self.step != Step::Clock && self.step.is_optional() =>
            {
                self.lacks(&format!("status {}", reply.status))
            }
            Some(Err(source)) => Err(OnvifError::NotSoap {
                status: reply.status,
                content_type: self
                    .login
                    .words(reply.content_type.as_deref().unwrap_or("nothing")),
                source: Some(source),
            }),
            None => Err(OnvifError::NotSoap {
                status: reply.status,
                content_type: "nothing".to_owned(),
                source: None,
            }),
        }
    }

    /// The device does not do this without (other) credentials.
    fn refused(&mut self, reply: &Reply, reason: &str) -> Result<(), OnvifError> {
        let again = match self.step == Step::Clock && !self.insists && self.login.has_credentials() {
            // A challenge is answered at once, a fault by a token; both with the same request again.
            true => {
                self.insists = true;
                reply.challenges.is_empty() || self.login.refused(&reply.challenges)
            }
            false => self.login.refused(&reply.challenges),
        };
        if again {
            if self.login.is_basic() && !self.url.is_tls() {
                tracing::warn!(device = %self.url, "the device is told the password in the clear: use https, or its Digest");
            }
            return Ok(());
        }
        Err(OnvifError::Refused {
            with_credentials: self.login.has_credentials(),
            reason: self.login.words(reason),
        })
    }

    /// The device has no answer to this question.
    fn lacks(&mut self, reason: &str) -> Result<(), OnvifError> {
        self.login.accepted();
        let reason = self.login.words(reason);
        tracing::debug!(
            question = self.step.name(),
            reason,
            "an ONVIF device does not answer a question"
        );
        if !self.step.is_optional() {
            return Err(OnvifError::Fault {
                question: self.step.name(),
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

    fn take(&mut self, body: &Element, peer: Option<IpAddr>, now: SystemTime) -> Result<(), OnvifError> {
        let expected = format!("{}Response", self.step.name());
        if body.name() != expected {
            return Err(OnvifError::OtherAnswer {
                question: self.step.name(),
                answer: self.login.words(body.name()),
            });
        }
        match self.step {
            Step::Clock => {
                if let Some((clock, moment)) = answers::clock(body) {
                    self.device.system_date_time = Some(clock);
                    self.offset = moment.map_or(self.offset, |moment| ClockOffset::new(moment, now));
                }
            }
            Step::Hostname => self.device.hostname = answers::hostname(body),
            Step::Dns => self.device.dns = answers::dns(body),
            Step::Services => self.media(answers::media_of_services(body)),
            Step::Capabilities => self.media(answers::media_of_capabilities(body)),
            Step::Profiles => {
                let found = answers::profiles(body, MAX_PROFILES);
                (self.tokens, self.device.media_profiles) = found.into_iter().unzip();
            }
            Step::Stream(index) => {
                let uri = answers::stream(body).and_then(|uri| self.url.stream(uri, peer));
                if let Some(profile) = self.device.media_profiles.get_mut(index) {
                    stream_of(profile, uri);
                }
            }
            Step::Done => {}
        }
        self.step = self.after(self.step);
        Ok(())
    }

    fn media(&mut self, address: Option<&str>) {
        let Some((path, elsewhere)) = address.and_then(|address| self.url.service(address)) else {
            tracing::info!(device = %self.url, "an ONVIF device has no media service of the first version");
            return;
        };
        if elsewhere {
            tracing::debug!(
                device = %self.url,
                "the media service is asked at the endpoint's address, not where the device says"
            );
        }
        self.media = Some(path);
    }

    /// What was learnt.
    pub(super) fn finish(self) -> OnvifDevice {
        self.device
    }
}

fn stream_of(profile: &mut MediaProfile, uri: Option<(String, bool)>) {
    let Some((uri, moved)) = uri else { return };
    if moved {
        tracing::warn!(
            profile = profile.name,
            "a stream's address was on another host and is answered on the device's"
        );
    }
    profile.media_uri = Some(MediaUri { uri });
}

fn stream_setup(token: &str) -> String {
    format!(
        "<t:StreamSetup><c:Stream xmlns:c=\"http://www.onvif.org/ver10/schema\">RTP-Unicast</c:Stream>\
         <c:Transport xmlns:c=\"http://www.onvif.org/ver10/schema\"><c:Protocol>RTSP</c:Protocol></c:Transport>\
         </t:StreamSetup><t:ProfileToken>{}</t:ProfileToken>",
        escape(token)
    )
}

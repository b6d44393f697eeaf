//! The RTSP session of one connection: sans-I/O (RFC 2326).
//!
//! States: not set up → set up (`SessionSetup`) → playing ⇄ paused → torn down. One session per connection, as with
//! cameras.

use std::path::PathBuf;
use std::sync::Arc;

use rtsp_types::{Method, Request, Response, StatusCode, Url, Version, headers};

use crate::auth::Challenge;
use crate::describe::describe;
use crate::faults::DescribeFaults;
use crate::files::Resource;
use crate::media::{Clip, MediaError};
use crate::packetize::Packetizer;
use lva_media_types::Credentials;

const PUBLIC: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";
const SERVER: &str = concat!("lva-rtsp simulator/", env!("CARGO_PKG_VERSION"));
/// Announced to clients. A session ends with its connection, so clients need not keep it alive.
const SESSION_TIMEOUT_SECONDS: u32 = 60;

/// What to do after the response was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Nothing,
    Play,
    Pause,
    Teardown,
}

/// The result of looking up [`ServerSession::file_of`].
#[derive(Debug)]
pub(crate) enum Lookup {
    NotRequested,
    Missing,
    Broken(MediaError),
    Found(Arc<Clip>),
}

/// How packets reach the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Interleaved channel of RTP; RTCP has the next one.
    Interleaved(u8),
    /// Ports of RTP and RTCP at both ends.
    Udp { client: (u16, u16), server: (u16, u16) },
}

/// The transport that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestedTransport {
    /// A certain channel, or any.
    Interleaved(Option<u8>),
    /// The client's ports of RTP and RTCP.
    Udp(u16, u16),
}

/// A track that was set up.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) track: usize,
    pub(crate) route: Route,
    pub(crate) packetizer: Packetizer,
    control: String,
}

#[derive(Debug)]
struct SessionSetup {
    file: PathBuf,
    clip: Arc<Clip>,
    channels: Vec<Channel>,
    played: bool,
}

#[derive(Debug)]
pub(crate) struct ServerSession {
    credentials: Option<Credentials>,
    challenge: Challenge,
    /// The number in the session identifier and in descriptions.
    number: u64,
    setup: Option<SessionSetup>,
    rejected: u64,
    /// Whether descriptions omit the parameter sets.
    in_band: bool,
    faults: DescribeFaults,
}

impl SessionSetup {
    /// The wanted interleaved channel if it and the next one are free, otherwise the first free pair.
    fn free_channel(&self, wanted: Option<u8>) -> Result<u8, StatusCode> {
        let free = |rtp: u8| {
            self.channels.iter().all(|channel| match channel.route {
                Route::Interleaved(taken) => taken.abs_diff(rtp) > 1,
                Route::Udp { .. } => true,
            })
        };
        wanted
            .filter(|rtp| *rtp < u8::MAX && free(*rtp))
            .or_else(|| (0..u8::MAX).step_by(2).find(|rtp| free(*rtp)))
            .ok_or(StatusCode::NotEnoughBandwidth)
    }
}

impl ServerSession {
    pub(crate) fn new(
        credentials: Option<Credentials>,
        challenge: Challenge,
        number: u64,
        in_band: bool,
        faults: DescribeFaults,
    ) -> Self {
        Self {
            credentials,
            challenge,
            number,
            setup: None,
            rejected: 0,
            in_band,
            faults,
        }
    }

    /// Requests with credentials that were answered 401.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected
    }

    /// The clip and the tracks that are set up.
    pub(crate) fn setup_parts(&mut self) -> Option<(&Arc<Clip>, &mut [Channel])> {
        self.setup
            .as_mut()
            .map(|setup| (&setup.clip, &mut *setup.channels))
    }

    /// The file to look up before [`answer`](Self::answer), relative to the media directory. Only for authenticated
    /// requests that need one.
    pub(crate) fn file_of(&self, request: &Request<Vec<u8>>) -> Option<PathBuf> {
        let asks = matches!(request.method(), Method::Describe | Method::Setup);
        (asks && self.is_allowed(request))
            .then(|| resource(request))
            .flatten()
            .map(|resource| resource.file)
    }

    /// Whether [`answer`](Self::answer) needs a pair of UDP ports for this request.
    pub(crate) fn wants_ports(&self, request: &Request<Vec<u8>>) -> bool {
        *request.method() == Method::Setup
            && self.is_allowed(request)
            && request.header(&headers::TRANSPORT).is_some_and(|transport| {
                matches!(
                    requested_transport(transport.as_str(), true),
                    Some(RequestedTransport::Udp(..))
                )
            })
    }

    /// The response to a request. `ports` are the server's ports of RTP and RTCP, if bound.
    pub(crate) fn answer(
        &mut self,
        request: &Request<Vec<u8>>,
        file: Lookup,
        ports: Option<(u16, u16)>,
    ) -> (Response<Vec<u8>>, Action) {
        let cseq = request
            .header(&headers::CSEQ)
            .and_then(|value| value.as_str().trim().parse::<u32>().ok());
        let (mut response, action) = match cseq {
            None => (status(StatusCode::BadRequest), Action::Nothing),
            Some(_) if request.version() != Version::V1_0 => {
                (status(StatusCode::RTSPVersionNotSupported), Action::Nothing)
            }
            Some(_) if !self.is_allowed(request) => {
                self.rejected += u64::from(request.header(&headers::AUTHORIZATION).is_some());
                let mut response = status(StatusCode::Unauthorized);
                response.insert_header(headers::WWW_AUTHENTICATE, self.challenge.header());
                (response, Action::Nothing)
            }
            Some(_) => self
                .dispatch(request, file, ports)
                .unwrap_or_else(|code| (status(code), Action::Nothing)),
        };
        if let Some(cseq) = cseq {
            response.insert_header(headers::CSEQ, cseq.to_string());
        }
        response.insert_header(headers::SERVER, SERVER);
        (response, action)
    }

    fn dispatch(
        &mut self,
        request: &Request<Vec<u8>>,
        file: Lookup,
        ports: Option<(u16, u16)>,
    ) -> Result<(Response<Vec<u8>>, Action), StatusCode> {
        let plain = |response| Ok((response, Action::Nothing));
        match request.method() {
            Method::Options => {
                let mut response = status(StatusCode::Ok);
                response.insert_header(headers::PUBLIC, PUBLIC);
                plain(response)
            }
            Method::Describe => plain(self.describe(request, file)?),
            Method::Setup => plain(self.setup(request, file, ports)?),
            Method::Play => {
                self.require_session(request)?;
                Ok((self.play()?, Action::Play))
            }
            Method::Pause => {
                self.require_session(request)?;
                Ok((self.in_session(StatusCode::Ok), Action::Pause))
            }
            Method::Teardown => {
                self.require_session(request)?;
                self.setup = None;
                Ok((status(StatusCode::Ok), Action::Teardown))
            }
            // Keep-alives: parameters are not supported.
            Method::GetParameter | Method::SetParameter if request.body().is_empty() => {
                plain(self.in_session(StatusCode::Ok))
            }
            Method::GetParameter | Method::SetParameter => Err(StatusCode::ParameterNotUnderstood),
            Method::Announce | Method::Record | Method::Redirect | Method::PlayNotify => {
                Err(StatusCode::MethodNotAllowed)
            }
            Method::Extension(_) => Err(StatusCode::NotImplemented),
        }
    }

    fn describe(&self, request: &Request<Vec<u8>>, file: Lookup) -> Result<Response<Vec<u8>>, StatusCode> {
        let (url, resource) = request
            .request_uri()
            .zip(resource(request))
            .ok_or(StatusCode::NotFound)?;
        let clip = found(file)?;
        let name = resource.file.to_string_lossy();
        let mut response = Response::builder(Version::V1_0, StatusCode::Ok).build(describe(
            &clip,
            &name,
            self.number,
            self.in_band,
            &self.faults,
        ));
        response.insert_header(headers::CONTENT_TYPE, "application/sdp");
        if !self.faults.no_content_base {
            response.insert_header(headers::CONTENT_BASE, base(url));
        }
        Ok(response)
    }

    fn setup(
        &mut self,
        request: &Request<Vec<u8>>,
        file: Lookup,
        ports: Option<(u16, u16)>,
    ) -> Result<Response<Vec<u8>>, StatusCode> {
        let (url, resource) = request
            .request_uri()
            .zip(resource(request))
            .ok_or(StatusCode::NotFound)?;
        let clip = found(file)?;
        if self.setup.is_some() && request.header(&headers::SESSION).is_some() {
            self.require_session(request)?;
        }
        // RFC 2326 section C.3: the control URL of a single stream may be the aggregate URL.
        let index = match resource.track {
            Some(index) => index,
            None if clip.tracks.len() == 1 => 0,
            None => return Err(StatusCode::OnlyAggregateOperationAllowed),
        };
        let track = clip.tracks.get(index).ok_or(StatusCode::NotFound)?;
        let transport = request
            .header(&headers::TRANSPORT)
            .ok_or(StatusCode::BadRequest)?;
        let requested = requested_transport(transport.as_str(), ports.is_some())
            .ok_or(StatusCode::UnsupportedTransport)?;

        let setup = self.setup.get_or_insert_with(|| SessionSetup {
            file: resource.file.clone(),
            clip: Arc::clone(&clip),
            channels: Vec::new(),
            played: false,
        });
        if setup.played || setup.file != resource.file {
            return Err(StatusCode::MethodNotValidInThisState);
        }
        setup.channels.retain(|channel| channel.track != index);
        let route = match (requested, ports) {
            (RequestedTransport::Udp(rtp, rtcp), Some(server)) => Route::Udp {
                client: (rtp, rtcp),
                server,
            },
            (RequestedTransport::Udp(..), None) => return Err(StatusCode::UnsupportedTransport),
            (RequestedTransport::Interleaved(wanted), _) => Route::Interleaved(setup.free_channel(wanted)?),
        };
        let packetizer = Packetizer::new(&track.kind).map_err(|_| StatusCode::InternalServerError)?;
        let ssrc = packetizer.ssrc;
        let transport = match route {
            Route::Interleaved(rtp) => {
                format!(
                    "RTP/AVP/TCP;unicast;interleaved={rtp}-{};ssrc={ssrc:08X}",
                    rtp + 1
                )
            }
            Route::Udp { client, server } => format!(
                "RTP/AVP;unicast;client_port={}-{};server_port={}-{};ssrc={ssrc:08X}",
                client.0, client.1, server.0, server.1
            ),
        };
        setup.channels.push(Channel {
            track: index,
            route,
            packetizer,
            control: url.to_string(),
        });

        let mut response = self.in_session(StatusCode::Ok);
        response.insert_header(headers::TRANSPORT, transport);
        Ok(response)
    }

    fn play(&mut self) -> Result<Response<Vec<u8>>, StatusCode> {
        let setup = self.setup.as_mut().ok_or(StatusCode::MethodNotValidInThisState)?;
        let first = !std::mem::replace(&mut setup.played, true);
        let info: Vec<_> = setup
            .channels
            .iter()
            .map(
                |Channel {
                     packetizer, control, ..
                 }| {
                    let start = if first {
                        format!(";rtptime={}", packetizer.base)
                    } else {
                        String::new()
                    };
                    format!("url={control};seq={}{start}", packetizer.sequence)
                },
            )
            .collect();
        let mut response = self.in_session(StatusCode::Ok);
        // Whatever the requested range: a camera plays live.
        response.insert_header(headers::RANGE, "npt=now-");
        if !self.faults.no_rtp_info {
            response.insert_header(headers::RTP_INFO, info.join(","));
        }
        Ok(response)
    }

    fn is_allowed(&self, request: &Request<Vec<u8>>) -> bool {
        // Clients send OPTIONS first, and cameras answer it without authentication.
        let (Some(known), false) = (&self.credentials, *request.method() == Method::Options) else {
            return true;
        };
        let authorization = request.header(&headers::AUTHORIZATION);
        authorization
            .zip(request.request_uri())
            .is_some_and(|(authorization, url)| {
                self.challenge
                    .accepts(authorization.as_str(), request.method().into(), url, known)
            })
    }

    fn session_id(&self) -> String {
        format!("{:016X}", self.number)
    }

    fn require_session(&self, request: &Request<Vec<u8>>) -> Result<(), StatusCode> {
        let given = request.header(&headers::SESSION).map(|value| value.as_str());
        let given = given.and_then(|value| value.split(';').next()).map(str::trim);
        match (given, &self.setup) {
            (None, None) => Err(StatusCode::MethodNotValidInThisState),
            (Some(given), Some(_)) if given == self.session_id() => Ok(()),
            _ => Err(StatusCode::SessionNotFound),
        }
    }

    fn in_session(&self, code: StatusCode) -> Response<Vec<u8>> {
        let mut response = status(code);
        if self.setup.is_some() {
            let value = format!("{};timeout={SESSION_TIMEOUT_SECONDS}", self.session_id());
            response.insert_header(headers::SESSION, value);
        }
        response
    }
}

fn status(code: StatusCode) -> Response<Vec<u8>> {
    Response::builder(Version::V1_0, code).build(Vec::new())
}

fn resource(request: &Request<Vec<u8>>) -> Option<Resource> {
    Resource::parse(request.request_uri()?.path())
}

fn found(file: Lookup) -> Result<Arc<Clip>, StatusCode> {
    match file {
        Lookup::Found(clip) => Ok(clip),
        Lookup::Broken(error) => {
            // Its reader may quote the file.
            let error = lva_media_types::clean_text(&error.to_string(), 500);
            tracing::warn!(%error, "cannot play a file of the media directory");
            Err(StatusCode::UnsupportedMediaType)
        }
        Lookup::Missing | Lookup::NotRequested => Err(StatusCode::NotFound),
    }
}

/// The base URL of the description's control attributes.
fn base(url: &Url) -> String {
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    let base = String::from(base);
    if base.ends_with('/') { base } else { base + "/" }
}

/// The first supported choice of a `Transport` header (RFC 2326 section 12.39).
fn requested_transport(transport: &str, udp: bool) -> Option<RequestedTransport> {
    transport.split(',').find_map(|choice| {
        let mut parts = choice.split(';').map(str::trim);
        let spec = parts.next()?;
        if parts.clone().any(|part| part.eq_ignore_ascii_case("multicast")) {
            return None;
        }
        if spec.eq_ignore_ascii_case("RTP/AVP/TCP") {
            let channels = parts.find_map(|part| part.strip_prefix("interleaved="));
            return Some(RequestedTransport::Interleaved(
                channels.and_then(|c| c.split('-').next()?.trim().parse().ok()),
            ));
        }
        if !udp || !(spec.eq_ignore_ascii_case("RTP/AVP") || spec.eq_ignore_ascii_case("RTP/AVP/UDP")) {
            return None;
        }
        // Packets go to the address that the requests come from, and `destination` is ignored.
        let ports = parts.find_map(|part| part.strip_prefix("client_port="))?;
        let (rtp, rtcp) = ports.split_once('-').unwrap_or((ports, ""));
        let rtp: u16 = rtp.trim().parse().ok().filter(|port| *port > 0)?;
        let rtcp = if rtcp.is_empty() {
            rtp.checked_add(1)?
        } else {
            rtcp.trim().parse().ok()?
        };
        Some(RequestedTransport::Udp(rtp, rtcp))
    })
}

#[cfg(any(fuzzing, test))]
pub(crate) fn fuzz(data: &[u8]) {
    use crate::auth::AuthScheme;
    use crate::media::Clip;
    use crate::request::{Incoming, take};

    let clip = Arc::new(Clip::for_fuzzing());
    for credentials in [None, Some(Credentials::new("u", "p"))] {
        let challenge = Challenge::new(AuthScheme::Digest, "nonce".into());
        let mut session = ServerSession::new(credentials, challenge, 42, false, DescribeFaults::default());
        let mut buffer = data.to_vec();
        loop {
            match take(&mut buffer) {
                Incoming::Request(request) => {
                    let file = match session.file_of(&request) {
                        Some(_) => Lookup::Found(Arc::clone(&clip)),
                        None => Lookup::NotRequested,
                    };
                    let ports = session.wants_ports(&request).then_some((5000, 5001));
                    let (response, _) = session.answer(&request, file, ports);
                    // Writing to memory does not fail.
                    let _ = response.write(&mut Vec::new());
                }
                Incoming::Ignored => {}
                Incoming::Incomplete | Incoming::Malformed => break,
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! DESCRIBE, SETUP of the wanted streams, PLAY.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use lva_media_types::{clean_text, masked_address};
use tokio::time::Instant as TokioInstant;
use tracing::debug;

use super::channels::Channels;
use super::keepalive::KeepAlive;
use super::link::{Answer, Link, TeardownTracker};
use super::udp::UdpPorts;
use super::{Interleaved, LiveSession};
use crate::media::receiver::Delivery;
use crate::media::track::Track;
use crate::secrets::Secrets;
use crate::url::CameraUrl;
use crate::wire::description::Description;
use crate::wire::exchange::Method;
use crate::wire::headers;
use crate::wire::repairs::Repair;
use crate::{CameraError, CameraOptions, Codec, MediaKind, StreamInfo, Transport};

/// What the description contains, before anything is set up.
struct Described {
    base: String,
    control: Option<String>,
    sdp: String,
    tracks: Vec<Option<Track>>,
    controls: Vec<Option<String>>,
    streams: Vec<StreamInfo>,
    optional: Vec<bool>,
    payload_types: Vec<u8>,
    /// The group and port of each stream, where it is multicast.
    groups: Vec<(Option<IpAddr>, Option<u16>)>,
}

impl LiveSession {
    /// DESCRIBE, SETUP of all wanted streams, PLAY. Dropping the future closes the connection. `wants_other_transport` is set
    /// where an error may be due to the transport.
    pub(crate) async fn open(
        options: &CameraOptions,
        teardowns: &TeardownTracker,
        wants_other_transport: &mut bool,
    ) -> Result<Self, CameraError> {
        let mut link = Link::open(options, teardowns).await?;
        let answer = describe(&mut link).await?;
        let answer = match redirect(&link, &answer) {
            Some(Ok(url)) => {
                let mut options = link.options.clone();
                options.url = url;
                link = Link::open(&options, teardowns).await?;
                let answer = describe(&mut link).await?;
                if let Some(again) = redirect(&link, &answer) {
                    return Err(
                        again.map_or_else(|error| error, |url| redirected(&link, &answer, url.to_string()))
                    );
                }
                answer
            }
            Some(Err(error)) => return Err(error),
            None => answer,
        };
        check(&link, &answer)?;
        let mut described = read_description(&mut link, &answer);
        if described.streams.is_empty() {
            return Err(CameraError::Protocol {
                url: options.url.clone(),
                message: "its session description has no media".to_owned(),
            });
        }
        select_streams(&mut described, options.audio, options.metadata);
        if !described.streams.iter().any(|stream| stream.playing) {
            return Err(CameraError::NoUsableStream {
                url: options.url.clone(),
                offered: offered(&link.secrets, &described.streams),
            });
        }
        let control = described.control.as_deref().unwrap_or("*");
        link.aggregate = headers::join(&described.base, control);
        let setup = set_up(&mut link, &mut described).await;
        *wants_other_transport = setup.as_ref().is_err_and(refuses_transport);
        let setup = setup?;
        play(&mut link, &setup).await?;

        let early = std::mem::take(&mut link.early);
        let now = TokioInstant::now();
        let keepalive = KeepAlive::new(setup.timeout, now);
        let mut session = Self {
            keepalive_timer: Box::pin(tokio::time::sleep_until(keepalive.next_at())),
            keepalive,
            hold_until: None,
            link,
            tracks: described.tracks,
            channels: setup.channels,
            interleaved: 0,
            udp: setup.udp,
            ready: std::collections::VecDeque::new(),
            early_sound: std::collections::VecDeque::new(),
            pictures_began: false,
            units: Vec::new(),
            datagram: Vec::new(),
            closed: false,
            wall: options.wall.clone(),
            began: Instant::now(),
            streams: described.streams,
            sdp: described.sdp,
        };
        for (channel, bytes) in early {
            session.interleaved(channel, Interleaved::Early(bytes));
        }
        Ok(session)
    }
}

async fn describe(link: &mut Link) -> Result<Answer, CameraError> {
    let uri = link.options.url.to_wire().to_string();
    link.request(Method::Describe, &uri, "Accept: application/sdp\r\n")
        .await
}

/// Where the camera redirects to. Only another address of the same host is followed, and
/// never without the TLS that was asked for: credentials go nowhere else.
fn redirect(link: &Link, answer: &Answer) -> Option<Result<CameraUrl, CameraError>> {
    let status = answer
        .message
        .status()
        .filter(|status| (300..400).contains(status))?;
    let location = answer.message.header("location").unwrap_or_default();
    let own = &link.options.url;
    let target = headers::join(own.to_wire().as_str(), location);
    match CameraUrl::parse(&target) {
        Ok(url)
            if status != 304
                && !location.is_empty()
                && (url.is_tls() || !own.is_tls())
                && url.host().eq_ignore_ascii_case(own.host()) =>
        {
            Some(Ok(url))
        }
        _ => Some(Err(redirected(link, answer, location.to_owned()))),
    }
}

fn redirected(link: &Link, answer: &Answer, location: String) -> CameraError {
    let location = if location.is_empty() {
        "nowhere".to_owned()
    } else {
        // Without a scheme it is one, too.
        clean_text(&link.secrets.mask(&masked_address(&location)), 256)
    };
    CameraError::Redirect {
        url: link.options.url.clone(),
        status: answer.message.status().unwrap_or(0),
        location,
    }
}

/// The error of an answer that is none of success.
fn check(link: &Link, answer: &Answer) -> Result<(), CameraError> {
    let status = answer.message.status().unwrap_or(0);
    if (200..300).contains(&status) {
        return Ok(());
    }
    let url = link.options.url.clone();
    if status == 0 {
        return Err(CameraError::Protocol {
            url,
            message: "its answer is not RTSP: is this its RTSP port?".to_owned(),
        });
    }
    Err(CameraError::Status {
        url,
        status,
        login: answer.login.clone(),
    })
}

fn read_description(link: &mut Link, answer: &Answer) -> Described {
    let request = link.options.url.to_wire().to_string();
    let repairs = &mut link.exchange.repairs;
    let description = Description::parse(&answer.message.body, repairs);
    let base = headers::base(&answer.message, &request, repairs);
    let sdp = link.secrets.mask(&String::from_utf8_lossy(&answer.message.body));
    debug!(url = %link.options.url, tracks = description.tracks.len(), repairs = %link.exchange.repairs, "described");
    let mut described = Described {
        base,
        control: description.control,
        sdp,
        tracks: Vec::new(),
        controls: Vec::new(),
        streams: Vec::new(),
        optional: Vec::new(),
        payload_types: Vec::new(),
        groups: Vec::new(),
    };
    let delivery = match link.options.transport {
        Transport::Udp | Transport::Multicast => Delivery::Datagrams,
        _ => Delivery::InOrder,
    };
    for (index, track) in description.tracks.iter().enumerate() {
        let (own, mut info) = Track::new(index, track, delivery);
        info.encoding_name = link.secrets.mask_name(&info.encoding_name);
        // Audio that it wants to be sent; of video the word is a mistake.
        info.playing = own.is_some() && !(track.send_only && track.media == MediaKind::Audio);
        described.tracks.push(own);
        described.streams.push(info);
        described.controls.push(track.control.clone());
        described.optional.push(track.media != MediaKind::Video);
        described.payload_types.push(track.payload_type);
        described.groups.push((track.group, track.port));
    }
    described
}

/// Leaves the first usable video and audio stream playing: a camera that offers main and sub stream in one session would
/// send both for nothing. ONVIF metadata where they are wanted.
fn select_streams(described: &mut Described, audio: bool, metadata: bool) {
    let (mut video, mut audio, mut metadata) = (false, !audio, !metadata);
    // Recordings hold AAC and Opus, so G.711 is second choice.
    let is_audio = |stream: &StreamInfo| stream.playing && stream.media == MediaKind::Audio;
    let better = |stream: &StreamInfo| matches!(stream.codec, Codec::Aac | Codec::Opus);
    if described
        .streams
        .iter()
        .any(|stream| is_audio(stream) && better(stream))
    {
        for stream in &mut described.streams {
            stream.playing &= stream.media != MediaKind::Audio || better(stream);
        }
    }
    for stream in &mut described.streams {
        let taken = match stream.media {
            MediaKind::Video => &mut video,
            MediaKind::Audio => &mut audio,
            MediaKind::Application => &mut metadata,
        };
        stream.playing &= !*taken;
        *taken |= stream.playing;
    }
    // Audio alone is wanted where there are no pictures.
    for (stream, optional) in described.streams.iter().zip(&mut described.optional) {
        *optional &= video || stream.media != MediaKind::Audio;
    }
}

/// Whether SETUP was refused for the transport. Cameras that only know UDP answer 461, or anything else that has no better
/// reason.
fn refuses_transport(error: &CameraError) -> bool {
    match error {
        CameraError::Transport { .. } => true,
        CameraError::Status { status, .. } => {
            (400..600).contains(status) && !matches!(status, 401 | 403 | 404 | 453 | 454 | 503)
        }
        _ => false,
    }
}

/// What SETUP brought.
struct SetUp {
    channels: Channels,
    udp: Option<UdpPorts>,
    timeout: Duration,
    /// The address of the first stream.
    first: String,
}

async fn set_up(link: &mut Link, described: &mut Described) -> Result<SetUp, CameraError> {
    let mut setup = SetUp {
        channels: Channels::default(),
        udp: matches!(link.options.transport, Transport::Udp | Transport::Multicast).then(UdpPorts::default),
        timeout: Duration::from_secs(60),
        first: String::new(),
    };
    let mut next_channel = 0_u8;
    for (index, stream) in described
        .streams
        .iter_mut()
        .enumerate()
        .filter(|(_, stream)| stream.playing)
    {
        let control = described.controls.get(index).cloned().flatten();
        let uri = control.map_or_else(
            || link.aggregate.clone(),
            |control| headers::join(&described.base, &control),
        );
        let optional = described.optional.get(index).copied().unwrap_or(true);
        let details = Details {
            uri: &uri,
            channel: next_channel,
            payload_type: described.payload_types.get(index).copied().unwrap_or_default(),
            group: described.groups.get(index).copied().unwrap_or_default(),
        };
        match set_up_one(link, &mut setup, index, details).await {
            Ok(()) => {
                next_channel = next_channel.saturating_add(2);
                if setup.first.is_empty() {
                    setup.first = uri;
                }
            }
            // A refused audio costs the audio.
            Err(error)
                if optional && !matches!(error, CameraError::Broken { .. } | CameraError::Closed { .. }) =>
            {
                debug!(%error, stream = index, "a stream is left out");
                link.exchange.repairs.add(Repair::TrackRefused);
                stream.playing = false;
            }
            Err(error) => return Err(error),
        }
    }
    if !described.streams.iter().any(|stream| stream.playing) {
        return Err(CameraError::NoUsableStream {
            url: link.options.url.clone(),
            offered: offered(&link.secrets, &described.streams),
        });
    }
    for (stream, track) in described.streams.iter().zip(&mut described.tracks) {
        if !stream.playing {
            *track = None;
        }
    }
    Ok(setup)
}

/// What one stream is asked for with.
struct Details<'a> {
    uri: &'a str,
    /// The first interleaved channel.
    channel: u8,
    payload_type: u8,
    group: (Option<IpAddr>, Option<u16>),
}

async fn set_up_one(
    link: &mut Link,
    setup: &mut SetUp,
    index: usize,
    details: Details<'_>,
) -> Result<(), CameraError> {
    let channel = details.channel;
    let asked = link.options.transport;
    let header = match &mut setup.udp {
        Some(_) if asked == Transport::Multicast => "Transport: RTP/AVP;multicast\r\n".to_owned(),
        Some(udp) => {
            let (local, peer) = link
                .connection()
                .map_or((None, None), |connection| connection.addresses());
            let local = local.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
            let port = udp
                .add(index, local, peer)
                .await
                .map_err(|error| CameraError::Network {
                    url: link.options.url.clone(),
                    message: format!("no pair of UDP ports is free here ({error})"),
                    source: None,
                })?;
            format!("Transport: RTP/AVP;unicast;client_port={port}-{}\r\n", port + 1)
        }
        None => format!(
            "Transport: RTP/AVP/TCP;unicast;interleaved={channel}-{}\r\n",
            channel.saturating_add(1)
        ),
    };
    let answer = link.request(Method::Setup, details.uri, &header).await;
    let checked = match answer {
        Ok(answer) => check(link, &answer).map(|()| answer),
        Err(error) => Err(error),
    };
    let answer = match checked {
        Ok(answer) => answer.message,
        Err(error) => {
            if let Some(udp) = &mut setup.udp
                && asked == Transport::Udp
            {
                udp.forget_last();
            }
            return Err(error);
        }
    };
    let repairs = &mut link.exchange.repairs;
    match headers::session(&answer, repairs) {
        Some((id, timeout)) => {
            setup.timeout = timeout;
            if link.exchange.session() != Some(id.as_str()) && !link.other_sessions.contains(&id) {
                link.other_sessions.push(id);
            }
        }
        None => link.exchange.repairs.add(Repair::HeaderValue),
    }
    let transport = headers::transport(&answer, &mut link.exchange.repairs);
    let answered = match (transport.tcp, transport.multicast) {
        (Some(true), _) => Some(Transport::Tcp),
        (_, true) => Some(Transport::Multicast),
        (Some(false), false) => Some(Transport::Udp),
        (None, false) => None,
    };
    let is_tcp = |transport| matches!(transport, Transport::Tcp | Transport::Http);
    if let Some(instead) = answered
        && instead != asked
        && !(is_tcp(instead) && is_tcp(asked))
    {
        return Err(CameraError::Transport {
            url: link.options.url.clone(),
            asked,
            instead,
        });
    }
    match &mut setup.udp {
        Some(udp) if asked == Transport::Multicast => {
            let (described_group, described_port) = details.group;
            let group = transport.destination.or(described_group);
            let port = transport.port.or(described_port);
            let (Some(group), Some(port)) = (group.filter(IpAddr::is_multicast), port) else {
                return Err(CameraError::Protocol {
                    url: link.options.url.clone(),
                    message: "it names no multicast group and port: use the transport tcp".to_owned(),
                });
            };
            let (local, peer) = link
                .connection()
                .map_or((None, None), |connection| connection.addresses());
            udp.join(index, (group, port), local, peer, transport.source)
                .map_err(|error| CameraError::Network {
                    url: link.options.url.clone(),
                    message: format!("cannot join the multicast group {group}, port {port} ({error})"),
                    source: None,
                })?;
        }
        Some(udp) => {
            if transport.server_port.is_none() {
                link.exchange.repairs.add(Repair::HeaderValue);
            }
            udp.answered(transport.source, transport.server_port).await;
        }
        None => {
            let own = transport
                .channel
                .filter(|channel| setup.channels.is_free(*channel))
                .unwrap_or_else(|| {
                    link.exchange.repairs.add(Repair::HeaderValue);
                    channel
                });
            setup.channels.agree(own, index, details.payload_type);
            for channel in [own, own.saturating_add(1)] {
                link.exchange.deframer.expect_channel(channel);
            }
        }
    }
    Ok(())
}

/// PLAY of everything that was set up, in whichever way the camera takes it.
async fn play(link: &mut Link, setup: &SetUp) -> Result<(), CameraError> {
    const RANGE: &str = "Range: npt=0.000-\r\n";
    let aggregate = link.aggregate.clone();
    let mut answer = link.request(Method::Play, &aggregate, RANGE).await?;
    // "Only aggregate operation allowed" and the like: the address of the stream itself is understood more often.
    if matches!(answer.message.status(), Some(404 | 405 | 455 | 459)) && setup.first != aggregate {
        debug!(
            status = answer.message.status(),
            "PLAY of the whole was refused; trying its first stream"
        );
        answer = link.request(Method::Play, &setup.first, RANGE).await?;
    }
    check(link, &answer)?;
    // Some cameras open a session for each stream, and play only the one that is named.
    let first = link.exchange.session().map(str::to_owned);
    for other in link.other_sessions.clone() {
        link.exchange.repairs.add(Repair::HeaderValue);
        link.exchange.set_session(Some(other));
        let refused = link
            .request(Method::Play, &aggregate, RANGE)
            .await
            .and_then(|answer| check(link, &answer));
        if let Err(error) = refused {
            debug!(%error, "PLAY of another session was refused");
        }
    }
    link.exchange.set_session(first);
    Ok(())
}

fn offered(secrets: &Secrets, streams: &[StreamInfo]) -> String {
    if streams.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = streams
        .iter()
        .map(|stream| {
            let media = match stream.media {
                MediaKind::Video => "video",
                MediaKind::Audio => "audio",
                MediaKind::Application => "application",
            };
            format!("{media}/{}", secrets.mask_name(&stream.encoding_name))
        })
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_video_stream_and_one_wanted_audio_stream_are_chosen() {
        let offer = [
            (MediaKind::Application, Codec::OnvifMetadata),
            (MediaKind::Video, Codec::Unsupported),
            (MediaKind::Video, Codec::H264),
            (MediaKind::Video, Codec::H265),
            (MediaKind::Audio, Codec::PcmAlaw),
            (MediaKind::Audio, Codec::Aac),
            (MediaKind::Audio, Codec::Unsupported),
        ];
        for audio in [true, false] {
            let mut described = Described {
                base: String::new(),
                control: None,
                sdp: String::new(),
                tracks: Vec::new(),
                controls: Vec::new(),
                streams: offer
                    .iter()
                    .enumerate()
                    .map(|(i, (m, c))| StreamInfo::new(i, *m, *c, 90_000))
                    .collect(),
                optional: offer
                    .iter()
                    .map(|(media, _)| *media != MediaKind::Video)
                    .collect(),
                payload_types: Vec::new(),
                groups: Vec::new(),
            };
            // As `Track::new` makes them: metadata can be received too.
            described.streams[0].playing = true;
            let metadata = !audio;
            select_streams(&mut described, audio, metadata);
            let playing: Vec<_> = described.streams.iter().map(|s| s.playing).collect();
            assert_eq!(playing, [metadata, false, true, false, false, audio, false]);
        }
    }
}

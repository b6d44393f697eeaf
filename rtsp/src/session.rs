//! One session with the client library: which streams to set up, and the items they deliver.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use retina::client::{
    Demuxed, InitialTimestampPolicy, PlayOptions, Session, SessionGroup, SessionOptions, SetupOptions,
    Stream, TeardownPolicy, Transport as RetinaTransport,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef};

use crate::proxy::{self, LoopbackProxy, TeardownTracker};
use crate::{CameraError, CameraOptions, Codec, MediaKind, StreamInfo, Transport, WallClock};

const USER_AGENT: &str = concat!("lva-rtsp/", env!("CARGO_PKG_VERSION"));

/// A session after PLAY.
pub(crate) struct LiveSession {
    demuxed: Demuxed,
    /// For cameras behind TLS or in an HTTP tunnel.
    proxy: Option<LoopbackProxy>,
    wall: WallClock,
    pub(crate) streams: Vec<StreamInfo>,
    /// The session description as the camera sent it.
    pub(crate) sdp: String,
}

/// Sessions that have ended on this side, and perhaps not yet at the camera.
#[derive(Default)]
pub(crate) struct ClosingSessions {
    group: Arc<SessionGroup>,
    teardowns: TeardownTracker,
}

impl ClosingSessions {
    /// Waits until the TEARDOWN of each of them was answered or failed.
    pub(crate) async fn torn_down(&self) {
        // A camera that does not answer is gone, and its sessions with it.
        let _ = self.group.await_teardown().await;
        self.teardowns.wait_all().await;
    }
}

/// One item of a session.
pub(crate) enum Item {
    Unit(RawUnit),
    /// A sender report: NTP time and RTP time in ticks, extended to 64 bits.
    Report {
        stream: usize,
        ntp: u64,
        rtp_ticks: i64,
        arrival_90k: u64,
    },
    /// Ignored.
    Other,
}

/// A unit without a media time yet.
pub(crate) struct RawUnit {
    pub(crate) stream: usize,
    pub(crate) media: MediaKind,
    pub(crate) rtp_ticks: i64,
    pub(crate) arrival_90k: u64,
    pub(crate) received_at: Instant,
    pub(crate) lost: u32,
    pub(crate) random_access: bool,
    pub(crate) disposable: bool,
    /// The stream's new description, if this unit changed it.
    pub(crate) changed: Option<StreamInfo>,
    pub(crate) data: Bytes,
}

impl LiveSession {
    /// DESCRIBE, SETUP of all wanted streams, PLAY. Dropping the future closes the connection.
    pub(crate) async fn open(
        options: &CameraOptions,
        closing: &ClosingSessions,
    ) -> Result<Self, CameraError> {
        let proxy = match proxy::is_needed(options) {
            true => Some(LoopbackProxy::start(options, &closing.teardowns).await?),
            false => None,
        };
        // The parser of session descriptions panics on some malformed ones, and a camera may send anything.
        let opened = AssertUnwindSafe(Self::open_by(options, closing, proxy.as_ref())).catch_unwind();
        let opened = opened.await.unwrap_or_else(|_panicked| {
            Err(CameraError::Protocol {
                url: options.url.clone(),
                message: "its session description cannot be parsed".to_owned(),
                source: None,
            })
        });
        opened.map(|(demuxed, streams, sdp)| Self {
            demuxed,
            proxy,
            wall: options.wall.clone(),
            streams,
            sdp,
        })
    }

    async fn open_by(
        options: &CameraOptions,
        closing: &ClosingSessions,
        proxy: Option<&LoopbackProxy>,
    ) -> Result<(Demuxed, Vec<StreamInfo>, String), CameraError> {
        let had_credentials = options.credentials.is_some();
        // The proxy's own error is closer to the cause than "the connection closed".
        let failed = |error| {
            proxy
                .and_then(LoopbackProxy::take_failure)
                .unwrap_or_else(|| CameraError::from_retina(&options.url, had_credentials, error))
        };

        let session_options = SessionOptions::default().user_agent(USER_AGENT.to_owned());
        let (url, session_options) = match proxy {
            // The proxy authenticates and sends TEARDOWN.
            Some(proxy) => (
                proxy.local.clone(),
                session_options.teardown(TeardownPolicy::Never),
            ),
            None => {
                let credentials = options.credentials.as_ref().map(|c| retina::client::Credentials {
                    username: c.username().to_owned(),
                    password: c.password().to_owned(),
                });
                (
                    options.url.to_wire(),
                    session_options
                        .creds(credentials)
                        .session_group(Arc::clone(&closing.group)),
                )
            }
        };
        let mut session = Session::describe(url, session_options).await.map_err(failed)?;
        let sdp = String::from_utf8_lossy(session.sdp()).into_owned();

        let mut streams: Vec<_> = session
            .streams()
            .iter()
            .enumerate()
            .map(|(i, s)| describe(i, s))
            .collect();
        select_streams(&mut streams, options.audio);
        if !streams.iter().any(|stream| stream.playing) {
            return Err(CameraError::NoUsableStream {
                url: options.url.clone(),
                offered: offered(session.streams()),
            });
        }
        for stream in streams.iter().filter(|stream| stream.playing) {
            let transport = match options.transport {
                Transport::Tcp | Transport::Http => RetinaTransport::Tcp(Default::default()),
                Transport::Udp => RetinaTransport::Udp(Default::default()),
            };
            let setup = SetupOptions::default()
                .transport(transport)
                .frame_format(FrameFormat::MP4);
            session.setup(stream.index, setup).await.map_err(failed)?;
        }
        // `MediaClock` handles jumps of RTP time, so the library enforces nothing. `Permissive`, because cameras
        // omit `rtptime`; sender reports align the streams instead.
        let play = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
        let demuxed = session
            .play(play)
            .await
            .and_then(Session::demuxed)
            .map_err(failed)?;
        Ok((demuxed, streams, sdp))
    }

    /// Why the session ended, where the proxy knows more than the client library.
    pub(crate) fn take_failure(&self) -> Option<CameraError> {
        self.proxy.as_ref().and_then(LoopbackProxy::take_failure)
    }

    /// The next item. `None`: the camera closed the connection.
    pub(crate) async fn next(&mut self) -> Option<Result<Item, retina::Error>> {
        let item = match self.demuxed.next().await? {
            Ok(item) => item,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(match item {
            CodecItem::VideoFrame(frame) => {
                let stream = frame.stream_id();
                let jpeg = self.streams.get(stream).is_some_and(|s| s.codec == Codec::Jpeg);
                let context = *frame.start_ctx();
                Item::Unit(RawUnit {
                    stream,
                    media: MediaKind::Video,
                    rtp_ticks: frame.timestamp().timestamp(),
                    arrival_90k: self.wall.at_90k(SystemTime::from(context.received_wall())),
                    received_at: context.received(),
                    lost: u32::from(frame.loss()),
                    random_access: jpeg || frame.is_random_access_point(),
                    disposable: frame.is_disposable(),
                    changed: if frame.has_new_parameters() {
                        self.changed(stream)
                    } else {
                        None
                    },
                    data: Bytes::from(frame.into_data()),
                })
            }
            CodecItem::AudioFrame(frame) => Item::Unit(RawUnit {
                stream: frame.stream_id(),
                media: MediaKind::Audio,
                rtp_ticks: frame.timestamp().timestamp(),
                arrival_90k: self.wall.at_90k(SystemTime::from(frame.ctx().received_wall())),
                received_at: frame.ctx().received(),
                lost: u32::from(frame.loss()),
                random_access: true,
                disposable: false,
                changed: None,
                data: Bytes::copy_from_slice(frame.data()),
            }),
            CodecItem::Rtcp(packet) => {
                let report = packet
                    .pkts()
                    .next()
                    .and_then(|first| first.as_sender_report().ok().flatten());
                match (report, packet.rtp_timestamp()) {
                    (Some(report), Some(rtp)) => Item::Report {
                        stream: packet.stream_id(),
                        ntp: report.ntp_timestamp().0,
                        rtp_ticks: rtp.timestamp(),
                        arrival_90k: self.wall.at_90k(SystemTime::from(packet.ctx().received_wall())),
                    },
                    _ => Item::Other,
                }
            }
            _ => Item::Other,
        }))
    }

    /// The description of a stream whose parameters came with its last unit, if it differs from the previous one.
    fn changed(&mut self, stream: usize) -> Option<StreamInfo> {
        let known = self.streams.get_mut(stream)?;
        let mut now = describe(stream, self.demuxed.streams().get(stream)?);
        now.playing = known.playing;
        if *known == now {
            return None;
        }
        known.clone_from(&now);
        Some(now)
    }
}

/// Marks all supported streams but a second video stream as playing: a camera that offers main and sub stream in one
/// session would send both for nothing.
fn select_streams(streams: &mut [StreamInfo], audio: bool) {
    let mut video_found = false;
    for stream in streams {
        stream.playing = stream.codec.is_supported()
            && match stream.media {
                MediaKind::Video => !std::mem::replace(&mut video_found, true),
                MediaKind::Audio => audio,
                MediaKind::Application => false,
            };
    }
}

fn describe(index: usize, stream: &Stream) -> StreamInfo {
    let media = match stream.media() {
        "video" | "image" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        _ => MediaKind::Application,
    };
    let codec = Codec::from_names(stream.media(), stream.encoding_name());
    let mut info = StreamInfo::new(index, media, codec, stream.clock_rate_hz());
    info.encoding_name = stream.encoding_name().to_owned();
    match stream.parameters() {
        Some(ParametersRef::Video(video)) => {
            info.codec_name = Some(video.rfc6381_codec().to_owned());
            info.extra_data = Bytes::copy_from_slice(video.extra_data());
            info.size = Some(video.pixel_dimensions());
        }
        Some(ParametersRef::Audio(audio)) => {
            info.codec_name = audio.rfc6381_codec().map(str::to_owned);
            info.extra_data = Bytes::copy_from_slice(audio.extra_data());
            info.sample_rate_hz = Some(audio.clock_rate());
            info.channels = Some(audio.channels().get());
        }
        Some(ParametersRef::Message(_)) => {}
        // A malformed stream description would end the whole session at PLAY.
        None if has_depacketizer_error(stream) => info.codec = Codec::Unsupported,
        // Video may carry its parameters in band. Audio cannot, so its description was not understood.
        None if media == MediaKind::Audio => info.codec = Codec::Unsupported,
        None => {}
    }
    info
}

/// Whether the client library rejected the stream's description. Only its `Debug` output shows that; a camera that puts
/// the same words into a name loses only that stream.
fn has_depacketizer_error(stream: &Stream) -> bool {
    format!("{stream:?}").contains("depacketizer: Err(")
}

fn offered(streams: &[Stream]) -> String {
    if streams.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = streams
        .iter()
        .map(|s| format!("{}/{}", s.media(), s.encoding_name()))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_video_stream_and_the_wanted_audio_are_chosen() {
        let offer = [
            (MediaKind::Application, Codec::OnvifMetadata),
            (MediaKind::Video, Codec::Unsupported),
            (MediaKind::Video, Codec::H264),
            (MediaKind::Video, Codec::H265),
            (MediaKind::Audio, Codec::Aac),
            (MediaKind::Audio, Codec::Unsupported),
        ];
        for audio in [true, false] {
            let mut streams: Vec<_> = offer
                .iter()
                .enumerate()
                .map(|(i, (m, c))| StreamInfo::new(i, *m, *c, 90_000))
                .collect();
            select_streams(&mut streams, audio);
            let playing: Vec<_> = streams.iter().map(|s| s.playing).collect();
            assert_eq!(playing, [false, false, true, false, audio, false]);
        }
    }
}

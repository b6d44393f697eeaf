//! One session with the client library: what is offered, what is chosen, and what comes.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use retina::client::{
    Demuxed, InitialTimestampPolicy, PlayOptions, Session, SessionGroup, SessionOptions, SetupOptions,
    Stream, Transport as RetinaTransport,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef};

use crate::clock::wall_90k;
use crate::{CameraError, CameraOptions, Codec, MediaKind, StreamInfo, Transport};

const USER_AGENT: &str = concat!("lva-rtsp/", env!("CARGO_PKG_VERSION"));

/// A session after PLAY.
pub(crate) struct LiveSession {
    demuxed: Demuxed,
    pub(crate) streams: Vec<StreamInfo>,
    /// The session description as the camera sent it.
    pub(crate) sdp: String,
}

/// What came.
pub(crate) enum Item {
    Unit(RawUnit),
    /// A sender report: NTP time and RTP time in ticks, extended to 64 bits.
    Report {
        stream: usize,
        ntp: u64,
        rtp_ticks: i64,
        arrival_90k: u64,
    },
    /// Nothing of use.
    Other,
}

/// A unit before it has a time.
pub(crate) struct RawUnit {
    pub(crate) stream: usize,
    pub(crate) rtp_ticks: i64,
    pub(crate) arrival_90k: u64,
    pub(crate) received_at: Instant,
    pub(crate) lost: u32,
    pub(crate) random_access: bool,
    pub(crate) disposable: bool,
    /// The stream as it is from this unit on, where that changed.
    pub(crate) changed: Option<StreamInfo>,
    pub(crate) data: Bytes,
}

impl LiveSession {
    /// DESCRIBE, SETUP of everything that can be used, PLAY. Dropping the future gives the connection up.
    pub(crate) async fn open(
        options: &CameraOptions,
        group: &Arc<SessionGroup>,
    ) -> Result<Self, CameraError> {
        let had_credentials = options.credentials.is_some();
        let failed = |error| CameraError::from_retina(&options.url, had_credentials, error);

        let credentials = options.credentials.as_ref().map(|c| retina::client::Credentials {
            username: c.username().to_owned(),
            password: c.password().to_owned(),
        });
        let session_options = SessionOptions::default()
            .creds(credentials)
            .user_agent(USER_AGENT.to_owned())
            .session_group(Arc::clone(group));
        let mut session = Session::describe(options.url.to_wire(), session_options)
            .await
            .map_err(failed)?;
        let sdp = String::from_utf8_lossy(session.sdp()).into_owned();

        let mut streams: Vec<_> = session
            .streams()
            .iter()
            .enumerate()
            .map(|(i, s)| describe(i, s))
            .collect();
        choose(&mut streams, options.audio);
        if !streams.iter().any(|stream| stream.playing) {
            return Err(CameraError::NoUsableStream {
                url: options.url.clone(),
                offered: offered(session.streams()),
            });
        }
        for stream in streams.iter().filter(|stream| stream.playing) {
            let transport = match options.transport {
                Transport::Tcp => RetinaTransport::Tcp(Default::default()),
                Transport::Udp => RetinaTransport::Udp(Default::default()),
            };
            let setup = SetupOptions::default()
                .transport(transport)
                .frame_format(FrameFormat::MP4);
            session.setup(stream.index, setup).await.map_err(failed)?;
        }
        // Jumps of RTP time are the clock's business, so the library enforces nothing. `Permissive`, because cameras
        // leave `rtptime` out; streams are put on one time line by their sender reports, not by it.
        let play = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
        let demuxed = session
            .play(play)
            .await
            .and_then(Session::demuxed)
            .map_err(failed)?;
        Ok(Self {
            demuxed,
            streams,
            sdp,
        })
    }

    /// What comes next. `None`: the camera closed the connection.
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
                    rtp_ticks: frame.timestamp().timestamp(),
                    arrival_90k: wall_90k(SystemTime::from(context.received_wall())),
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
                rtp_ticks: frame.timestamp().timestamp(),
                arrival_90k: wall_90k(SystemTime::from(frame.ctx().received_wall())),
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
                        arrival_90k: wall_90k(SystemTime::from(packet.ctx().received_wall())),
                    },
                    _ => Item::Other,
                }
            }
            _ => Item::Other,
        }))
    }

    /// The description of a stream whose parameters came with its last unit, if it differs from the one before.
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

/// Everything that is supported, but a second video stream: a camera that offers main and sub stream in one session
/// would send both for nothing.
fn choose(streams: &mut [StreamInfo], audio: bool) {
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
        // Video may bring its parameters in band. Audio cannot: without them its description was not understood.
        None if media == MediaKind::Audio => info.codec = Codec::Unsupported,
        None => {}
    }
    info
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
            choose(&mut streams, audio);
            let playing: Vec<_> = streams.iter().map(|s| s.playing).collect();
            assert_eq!(playing, [false, false, true, false, audio, false]);
        }
    }
}

//! One session with a camera: DESCRIBE, SETUP of the wanted streams, PLAY, and what they deliver. Thin I/O around
//! [`wire`](crate::wire) and [`media`](crate::media).

mod channels;
pub(crate) mod choice;
mod keepalive;
mod link;
mod open;
mod udp;

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{Instant as TokioInstant, Sleep};
use tracing::debug;

use self::channels::{Channels, Route};
use self::keepalive::KeepAlive;
use self::link::Link;
pub(crate) use self::link::TeardownTracker;
use self::udp::UdpPorts;
use crate::diagnosis::VideoProgress;
use crate::media::track::Track;
use crate::media::unit::{Arrival, Unit};
use crate::wire::deframer::Deframer;
use crate::wire::exchange::Event;
use crate::wire::repairs::{Repair, Repairs};
use crate::{CameraError, MediaKind, StreamInfo, WallClock};

/// What waits for the next packet is handed out when none has come for so long.
const HOLD: Duration = Duration::from_millis(200);
/// Audio units that wait for the first picture: more than a second.
const MAX_EARLY_SOUND: usize = 64;
/// Datagrams that are taken before the connection and the timers have their turn.
const MAX_BURST: usize = 64;

/// A session after PLAY.
pub(crate) struct LiveSession {
    link: Link,
    /// By the position of their streams in the description; `None` for those that are not played.
    tracks: Vec<Option<Track>>,
    channels: Channels,
    /// RTP packets that came interleaved.
    interleaved: u64,
    udp: Option<UdpPorts>,
    keepalive: KeepAlive,
    keepalive_timer: Pin<Box<Sleep>>,
    /// When what waits is handed out; packets of other streams do not postpone it.
    hold_until: Option<TokioInstant>,
    ready: VecDeque<Item>,
    /// Audio that came while the first picture waited for the packet behind it: it follows the picture.
    early_sound: VecDeque<Item>,
    pictures_began: bool,
    units: Vec<Unit>,
    /// Where datagrams are read into, once it is needed.
    datagram: Vec<u8>,
    closed: bool,
    wall: WallClock,
    began: Instant,
    pub(crate) streams: Vec<StreamInfo>,
    /// The session description, secrets masked.
    pub(crate) sdp: String,
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
    /// What was repaired since the last time.
    Repairs(Repairs),
}

/// A unit without a media time yet.
pub(crate) struct RawUnit {
    pub(crate) stream: usize,
    pub(crate) media: MediaKind,
    pub(crate) rtp_ticks: i64,
    pub(crate) arrival_90k: u64,
    pub(crate) received_at: Instant,
    pub(crate) lost: u32,
    pub(crate) keyframe: bool,
    pub(crate) disposable: bool,
    /// The stream's new description, if this unit changed it.
    pub(crate) changed: Option<StreamInfo>,
    pub(crate) data: Bytes,
}

impl LiveSession {
    /// The next item. `None`: the camera closed the connection. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Result<Item, CameraError>> {
        #[cfg(test)]
        crate::panics::failpoint(&self.link.aggregate);
        let mut datagram = std::mem::take(&mut self.datagram);
        if self.udp.is_some() {
            datagram.resize(udp::MAX_DATAGRAM, 0);
        }
        let item = self.next_by(&mut datagram).await;
        self.datagram = datagram;
        item
    }

    async fn next_by(&mut self, datagram: &mut [u8]) -> Option<Result<Item, CameraError>> {
        loop {
            if let Some(item) = self.next_ready() {
                return Some(Ok(item));
            }
            self.take_frames();
            self.report_repairs();
            if !self.ready.is_empty() {
                continue;
            }
            if self.closed {
                return None;
            }
            if let Err(error) = self.link.flush().await {
                return Some(Err(error));
            }
            let holding = self.tracks.iter().flatten().any(Track::is_holding);
            let hold_until = if holding {
                *self.hold_until.get_or_insert_with(|| TokioInstant::now() + HOLD)
            } else {
                self.hold_until = None;
                TokioInstant::now()
            };
            let deadline = self.keepalive.next_at();
            if self.keepalive_timer.deadline() != deadline {
                self.keepalive_timer.as_mut().reset(deadline);
            }
            let udp = async {
                match &self.udp {
                    Some(udp) => udp.receive(datagram).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                read = self.link.read() => match read {
                    Ok(true) => {}
                    Ok(false) => {
                        self.flush_tracks();
                        self.closed = true;
                    }
                    Err(error) => return Some(Err(error)),
                },
                (stream, rtcp, len) = udp => {
                    self.packet(stream, rtcp, datagram.get(..len).unwrap_or_default(), Arrival::now());
                    // Datagrams come in bursts.
                    for _ in 1..MAX_BURST {
                        let more = self.udp.as_ref().and_then(|udp| udp.try_receive(datagram));
                        let Some((stream, rtcp, len)) = more else { break };
                        self.packet(stream, rtcp, datagram.get(..len).unwrap_or_default(), Arrival::now());
                    }
                }
                () = &mut self.keepalive_timer => self.keep_alive(),
                () = tokio::time::sleep_until(hold_until), if holding => self.flush_tracks(),
            }
        }
    }

    /// The next item in the order of arrival.
    fn next_ready(&mut self) -> Option<Item> {
        let waits = !self.pictures_began && self.is_holding_picture();
        while let Some(item) = self.ready.pop_front() {
            match &item {
                Item::Unit(unit) if unit.media == MediaKind::Video => {
                    self.pictures_began = true;
                    while let Some(unit) = self.early_sound.pop_back() {
                        self.ready.push_front(unit);
                    }
                }
                Item::Unit(_) if waits && self.early_sound.len() < MAX_EARLY_SOUND => {
                    self.early_sound.push_back(item);
                    continue;
                }
                Item::Unit(_) if !self.early_sound.is_empty() => {
                    self.early_sound.push_back(item);
                    break;
                }
                Item::Unit(_) | Item::Report { .. } | Item::Repairs(_) => {}
            }
            return Some(item);
        }
        if waits && self.early_sound.len() <= MAX_EARLY_SOUND {
            return None;
        }
        self.early_sound.pop_front()
    }

    fn is_holding_picture(&self) -> bool {
        let mut tracks = self.tracks.iter().zip(&self.streams);
        tracks.any(|(track, info)| {
            info.media == MediaKind::Video && track.as_ref().is_some_and(Track::is_holding)
        })
    }

    /// What has come of a stream, key frames aside.
    pub(crate) fn video_progress(&self, stream: usize) -> Option<VideoProgress> {
        let track = self.tracks.get(stream)?.as_ref()?;
        let info = self.streams.get(stream)?;
        Some(VideoProgress {
            packets: track.packets,
            whole: track.units,
            damaged: track.damaged(),
            keyframes: 0,
            has_parameters: !info.codec.has_parameter_sets() || !info.extra_data.is_empty(),
        })
    }

    /// Packets of all streams so far.
    pub(crate) fn packets(&self) -> u64 {
        self.tracks.iter().flatten().map(|track| track.packets).sum()
    }

    /// Pictures dropped because a part of them was missing, of all streams.
    pub(crate) fn damaged(&self) -> u64 {
        self.tracks.iter().flatten().map(Track::damaged).sum()
    }

    fn take_frames(&mut self) {
        while let Some(event) = self.link.exchange.next() {
            match event {
                Event::Packet { channel, at } => self.interleaved(channel, Interleaved::Read(at)),
                Event::Answer {
                    method,
                    message,
                    login,
                } => {
                    let refused = login.is_some() || message.status().is_none_or(|status| status >= 300);
                    if refused {
                        debug!(
                            method = method.name(),
                            status = message.status(),
                            "the camera refused a request while it plays"
                        );
                        self.link.exchange.repairs.add(Repair::KeepAlive);
                    }
                    self.keepalive.answered(method, &message, refused);
                }
            }
        }
    }

    /// Takes an interleaved packet.
    fn interleaved(&mut self, channel: u8, packet: Interleaved) {
        let exchange = &mut self.link.exchange;
        let bytes = packet.bytes(&exchange.deframer);
        let mut arrival = self.link.arrival;
        match self.channels.route(channel, bytes) {
            Route::Kept => {}
            Route::Unknown => exchange.repairs.add(Repair::UnknownChannel),
            Route::To { stream, rtcp, agreed } => {
                if !agreed {
                    exchange.repairs.add(Repair::OtherChannel);
                }
                self.interleaved += u64::from(!rtcp);
                arrival.number = self.interleaved;
                // Split borrows: the packet lies in the exchange.
                Tracks {
                    tracks: &mut self.tracks,
                    streams: &mut self.streams,
                    ready: &mut self.ready,
                    units: &mut self.units,
                    wall: &self.wall,
                    began: self.began,
                    repairs: &mut exchange.repairs,
                }
                .take(stream, rtcp, bytes, arrival);
                self.postpone_hold(stream, rtcp);
            }
            Route::Found {
                stream,
                packets,
                agreed,
            } => {
                debug!(
                    channel,
                    stream, agreed, "packets that were kept are of this stream"
                );
                exchange.deframer.expect_channel(channel);
                for bytes in packets {
                    if !agreed {
                        self.link.exchange.repairs.add(Repair::OtherChannel);
                    }
                    self.interleaved += 1;
                    arrival.number = self.interleaved;
                    self.packet(stream, false, &bytes, arrival);
                }
            }
        }
    }

    /// Takes a packet of a stream.
    fn packet(&mut self, stream: usize, rtcp: bool, bytes: &[u8], arrival: Arrival) {
        Tracks {
            tracks: &mut self.tracks,
            streams: &mut self.streams,
            ready: &mut self.ready,
            units: &mut self.units,
            wall: &self.wall,
            began: self.began,
            repairs: &mut self.link.exchange.repairs,
        }
        .take(stream, rtcp, bytes, arrival);
        self.postpone_hold(stream, rtcp);
    }

    /// A packet came for a stream that waits for one.
    fn postpone_hold(&mut self, stream: usize, rtcp: bool) {
        let track = self.tracks.get(stream).and_then(Option::as_ref);
        if !rtcp && track.is_some_and(Track::is_holding) {
            self.hold_until = None;
        }
    }

    fn flush_tracks(&mut self) {
        self.hold_until = None;
        let now = self.began.elapsed();
        let Self {
            link,
            tracks,
            streams,
            ready,
            units,
            wall,
            ..
        } = self;
        for (stream, track) in tracks.iter_mut().enumerate() {
            if let Some(track) = track {
                track.flush(now, &mut link.exchange.repairs, units);
                hand_out(units, track, stream, streams, ready, wall);
            }
        }
    }

    fn keep_alive(&mut self) {
        let method = self.keepalive.method();
        if self.link.exchange.is_open(method) {
            // Not answered: another one may be.
            self.link.exchange.forget(method);
            self.link.exchange.repairs.add(Repair::KeepAlive);
            self.keepalive.unanswered();
        }
        let method = self.keepalive.sent();
        self.link.send_for_each_session(method);
    }

    fn report_repairs(&mut self) {
        let repairs = &mut self.link.exchange.repairs;
        if !repairs.is_empty() {
            let mut taken = Repairs::default();
            taken.take_from(repairs);
            self.ready.push_back(Item::Repairs(taken));
        }
    }
}

/// An interleaved packet.
enum Interleaved {
    /// In the buffer of the connection.
    Read(Range<usize>),
    /// Kept since before PLAY was answered.
    Early(Vec<u8>),
}

impl Interleaved {
    fn bytes<'a>(&'a self, deframer: &'a Deframer) -> &'a [u8] {
        match self {
            Self::Read(at) => deframer.bytes(at.clone()),
            Self::Early(bytes) => bytes,
        }
    }
}

/// The parts of a session that a packet concerns.
struct Tracks<'a> {
    tracks: &'a mut [Option<Track>],
    streams: &'a mut [StreamInfo],
    ready: &'a mut VecDeque<Item>,
    units: &'a mut Vec<Unit>,
    wall: &'a WallClock,
    began: Instant,
    repairs: &'a mut Repairs,
}

impl Tracks<'_> {
    /// Takes one packet of a stream.
    fn take(self, stream: usize, rtcp: bool, bytes: &[u8], arrival: Arrival) {
        let Some(track) = self.tracks.get_mut(stream).and_then(Option::as_mut) else {
            return self.repairs.add(Repair::UnknownChannel);
        };
        if rtcp {
            if let Some(report) = track.rtcp(bytes, self.repairs) {
                self.ready.push_back(Item::Report {
                    stream,
                    ntp: report.ntp,
                    rtp_ticks: report.ticks,
                    arrival_90k: self.wall.at_90k(arrival.wall),
                });
            }
            return;
        }
        let now = arrival.at.saturating_duration_since(self.began);
        track.rtp(bytes, now, arrival, self.repairs, self.units);
        hand_out(self.units, track, stream, self.streams, self.ready, self.wall);
    }
}

/// Queues finished units with what changed about their stream.
fn hand_out(
    units: &mut Vec<Unit>,
    track: &Track,
    stream: usize,
    streams: &mut [StreamInfo],
    ready: &mut VecDeque<Item>,
    wall: &WallClock,
) {
    for unit in units.drain(..) {
        let Some(known) = streams.get_mut(stream) else {
            return;
        };
        let changed = unit.parameters_changed.then(|| {
            let mut now = known.clone();
            track.describe(&mut now);
            now
        });
        let changed = changed.filter(|now| now != known);
        if let Some(now) = &changed {
            known.clone_from(now);
        }
        ready.push_back(Item::Unit(RawUnit {
            stream,
            media: known.media,
            rtp_ticks: unit.ticks,
            arrival_90k: wall.at_90k(unit.arrival.wall),
            received_at: unit.arrival.at,
            lost: unit.lost,
            keyframe: unit.keyframe,
            disposable: unit.disposable,
            changed,
            data: Bytes::from(unit.data),
        }));
    }
}

//! The I/O of one session: reads requests, sends what is due.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lva_server_transport::{Connection, RequestInProgress};
use rtsp_types::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use crate::auth::Challenge;
use crate::faults::{FaultInjector, Faults, PacketFate, reset_offset};
use crate::media::MediaError;
use crate::playback::Playback;
use crate::ports::PortPair;
use crate::request::{Incoming, MAX_REQUEST_BYTES, take};
use crate::session::{Action, Channel, Lookup, Route, ServerSession};
use crate::state::{Control, Shared};

pub(crate) type BoxedReader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type BoxedWriter = Box<dyn AsyncWrite + Send + Unpin>;

/// A client that reads nothing for this long is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that neither plays nor sends requests is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Least interval of RFC 3550 section 6.2.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Both ends of a connection.
pub(crate) struct Ends {
    pub(crate) local: IpAddr,
    pub(crate) peer: IpAddr,
    pub(crate) connection: Connection,
}

/// The connection is over.
struct End;

struct Playing {
    playback: Playback,
    began: Instant,
    began_unix_nanos: u128,
    next_report: Duration,
    was_stalled: bool,
    /// The number of this session, for faults.
    number: u64,
    /// By track.
    injectors: HashMap<usize, FaultInjector>,
    /// Added to RTP time by [`Faults::with_timestamp_reset_after`] and at run time.
    rtp_offset: u32,
    resets_done: u64,
    planned_reset_done: bool,
    /// A connection that plays is in use.
    _in_use: RequestInProgress,
}

pub(crate) struct Client {
    shared: Arc<Shared>,
    control: watch::Receiver<Control>,
    session: ServerSession,
    writer: BoxedWriter,
    faults: Faults,
    playing: Option<Playing>,
    datagrams: bool,
    ends: Ends,
    /// By the port of RTP.
    ports: HashMap<u16, PortPair>,
}

impl Client {
    /// Serves a connection until it ends. `buffer` holds the bytes already read from it; `datagrams` allows RTP over UDP.
    pub(crate) async fn serve(
        (mut reader, writer): (BoxedReader, BoxedWriter),
        mut buffer: Vec<u8>,
        ends: Ends,
        datagrams: bool,
        shared: Arc<Shared>,
        control: watch::Receiver<Control>,
    ) {
        let (Ok(first), Ok(second), Ok(number)) = (getrandom::u64(), getrandom::u64(), getrandom::u64())
        else {
            warn!("connection closed: the operating system gives no random numbers for its nonce");
            return;
        };
        let challenge = Challenge::new(shared.options.scheme, format!("{first:016x}{second:016x}"));
        let faults = shared.faults();
        // With wrong parameter sets in the description, the right ones are sent in band.
        let session = ServerSession::new(
            shared.options.credentials.clone(),
            challenge,
            number,
            shared.options.in_band && !faults.describe.parameter_sets,
            faults.describe,
        );
        let mut client = Self {
            datagrams: datagrams && shared.options.udp,
            shared,
            control,
            session,
            writer,
            faults,
            playing: None,
            ends,
            ports: HashMap::new(),
        };

        let mut idle_until = Instant::now() + IDLE_TIMEOUT;
        loop {
            match take(&mut buffer) {
                Incoming::Request(request) => {
                    if client.request(&request).await.is_err() {
                        return;
                    }
                    idle_until = Instant::now() + IDLE_TIMEOUT;
                    continue;
                }
                Incoming::Ignored => continue,
                Incoming::Malformed => return,
                Incoming::Incomplete => {}
            }
            let mut chunk = [0; 2048];
            let idle = client.playing.is_none();
            tokio::select! {
                read = reader.read(&mut chunk) => match read {
                    Ok(len @ 1..) if buffer.len() < MAX_REQUEST_BYTES => {
                        buffer.extend_from_slice(chunk.get(..len).unwrap_or_default());
                    }
                    _ => return,
                },
                woken = client.until_due() => {
                    if woken.is_err() || client.send_due().await.is_err() {
                        return;
                    }
                }
                () = sleep_until(idle_until), if idle => return,
            }
        }
    }

    async fn request(&mut self, request: &rtsp_types::Request<Vec<u8>>) -> Result<(), End> {
        let _in_progress = self.ends.connection.begin_request();
        let file = match self.session.file_of(request) {
            None => Lookup::NotRequested,
            Some(file) => {
                let shared = Arc::clone(&self.shared);
                let turn = shared.library.turn(&file).lock_owned().await;
                // On a blocking thread: reading blocks, and the box reader may panic on a broken file.
                let reading = move || {
                    let _turn = turn;
                    shared.library.load(&file)
                };
                match tokio::task::spawn_blocking(reading).await {
                    Ok(None) => Lookup::Missing,
                    Ok(Some(Ok(clip))) => Lookup::Found(clip),
                    Ok(Some(Err(error))) => Lookup::Broken(error),
                    Err(_panicked) => Lookup::Broken(MediaError::Reader),
                }
            }
        };
        let before = self.session.rejected();
        let pair = match self.datagrams && self.session.wants_ports(request) {
            true => PortPair::bind(self.ends.local).await,
            false => None,
        };
        let ports = pair.as_ref().map(PortPair::numbers);
        let (response, action) = self.session.answer(request, file, ports);
        self.ports.extend(pair.map(|pair| (pair.numbers().0, pair)));
        // Close those of tracks that were not set up after all, or set up again.
        let channels = self
            .session
            .setup_parts()
            .map_or(&[][..], |(_, channels)| &*channels);
        self.ports.retain(|port, _| {
            channels
                .iter()
                .any(|c| matches!(c.route, Route::Udp { server, .. } if server.0 == *port))
        });
        let rejected = self.session.rejected() - before;
        // OPTIONS is answered without credentials too.
        let shows_credentials =
            self.shared.options.credentials.is_none() || *request.method() != rtsp_types::Method::Options;
        match rejected {
            0 if response.status() == StatusCode::Ok && shows_credentials => self.ends.connection.vouch(),
            0 => {}
            _ => self.ends.connection.refuse(),
        }
        self.shared
            .count(|counters| counters.rejected_credentials += rejected);
        let mut bytes = Vec::new();
        if response.write(&mut bytes).is_err() {
            return Err(End);
        }
        // Counted before the response: a client that has read it sees the count.
        if matches!(action, Action::Teardown) {
            self.playing = None;
            self.shared.count(|counters| counters.teardowns += 1);
        }
        self.write(&bytes).await?;
        match action {
            Action::Nothing | Action::Teardown => {}
            Action::Play => self.play(),
            Action::Pause => {
                if let Some(playing) = &mut self.playing {
                    playing.playback.pause(playing.began.elapsed());
                }
            }
        }
        Ok(())
    }

    fn play(&mut self) {
        if let Some(playing) = &mut self.playing {
            playing.playback.resume(playing.began.elapsed());
            return;
        }
        let Some((clip, channels)) = self.session.setup_parts() else {
            return;
        };
        let tracks: Vec<_> = channels.iter().map(|channel| channel.track).collect();
        let mut number = 0;
        self.shared.count(|counters| {
            number = counters.plays;
            counters.plays += 1;
        });
        let injectors = tracks
            .iter()
            .map(|track| (*track, FaultInjector::new(&self.faults, number, *track)))
            .collect();
        self.playing = Some(Playing {
            playback: Playback::new(Arc::clone(clip), &tracks),
            began: Instant::now(),
            began_unix_nanos: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_nanos(),
            next_report: Duration::ZERO,
            was_stalled: false,
            number,
            injectors,
            rtp_offset: 0,
            resets_done: self.control.borrow().resets,
            planned_reset_done: false,
            _in_use: self.ends.connection.begin_request(),
        });
    }

    /// Waits until something may be due. Cancel safe.
    async fn until_due(&mut self) -> Result<(), End> {
        let Some(playing) = &mut self.playing else {
            return std::future::pending().await;
        };
        let stalled = self.control.borrow_and_update().stalled;
        let due = match (stalled, self.faults.stall) {
            (true, _) => None,
            // During a planned stall only its end is due.
            (false, Some((after, lasting))) if in_window(playing.began.elapsed(), after, lasting) => {
                Some(after.saturating_add(lasting))
            }
            (false, _) => playing
                .playback
                .next_due()
                .map(|due| due.min(playing.next_report)),
        };
        let due = match (due, self.faults.close_after) {
            (Some(due), Some(end)) => Some(due.min(end)),
            (None, end) => end,
            (due, None) => due,
        };
        tokio::select! {
            biased;
            changed = self.control.changed() => changed.map_err(|_| End),
            () = async {
                match due {
                    Some(due) => sleep_until(playing.began + due).await,
                    None => std::future::pending().await,
                }
            } => Ok(()),
        }
    }

    /// Sends what is due, reports first, so that the client knows the time of the first unit.
    async fn send_due(&mut self) -> Result<(), End> {
        loop {
            let Some(playing) = &mut self.playing else {
                return Ok(());
            };
            let Some((clip, channels)) = self.session.setup_parts() else {
                return Ok(());
            };
            let now = playing.began.elapsed();
            if self.faults.close_after.is_some_and(|end| now >= end) {
                return Err(End);
            }
            let Control { stalled, resets, .. } = *self.control.borrow();
            let planned = self.faults.stall;
            if stalled || planned.is_some_and(|(after, lasting)| in_window(now, after, lasting)) {
                playing.was_stalled = true;
                return Ok(());
            }
            if std::mem::take(&mut playing.was_stalled) {
                playing.playback.skip_to(now);
            }
            let planned = self.faults.reset_after.is_some_and(|at| now >= at);
            if resets != playing.resets_done || (planned && !playing.planned_reset_done) {
                playing.resets_done = resets;
                playing.planned_reset_done |= planned;
                let moved = reset_offset(&self.faults, playing.number ^ resets);
                playing.rtp_offset = playing.rtp_offset.wrapping_add(moved);
            }
            let mut out = Vec::new();
            if now >= playing.next_report {
                playing.next_report = now + REPORT_INTERVAL;
                let channels = if self.faults.no_reports {
                    &[][..]
                } else {
                    &*channels
                };
                for channel in channels {
                    let rtp = playing
                        .playback
                        .rtp_at(channel.track, now)
                        .wrapping_add(playing.rtp_offset);
                    let unix_nanos = (playing.began_unix_nanos + now.as_nanos())
                        .saturating_add_signed(i128::from(self.faults.clock_offset_ms) * 1_000_000);
                    let report = channel.packetizer.report(unix_nanos, rtp);
                    match channel.route {
                        Route::Interleaved(rtp) => interleave(&mut out, rtp + 1, &report),
                        Route::Udp { client, server } => {
                            if let Some(pair) = self.ports.get(&server.0) {
                                pair.send_rtcp(&report, (self.ends.peer, client.1).into());
                            }
                        }
                    }
                }
            }
            let due = playing.playback.pop(now);
            if let Some(due) = &due
                && let Some(track) = clip.tracks.get(due.track)
                && let Some(Channel {
                    route, packetizer, ..
                }) = channels.iter_mut().find(|channel| channel.track == due.track)
            {
                self.shared.count(|counters| counters.units += 1);
                let in_band =
                    (self.shared.options.in_band || self.faults.describe.parameter_sets) && due.sample.sync;
                let rtp = due.rtp.wrapping_add(playing.rtp_offset);
                let mut injector = playing.injectors.get_mut(&due.track);
                packetizer.unit(&track.kind, clip.bytes(&due.sample), in_band, rtp, |packet| {
                    let mut unsent = 0;
                    let mut send = |packet: &[u8]| match *route {
                        Route::Interleaved(rtp) => interleave(&mut out, rtp, packet),
                        Route::Udp { client, server } => {
                            let sent = self
                                .ports
                                .get(&server.0)
                                .is_some_and(|pair| pair.send_rtp(packet, (self.ends.peer, client.0).into()));
                            unsent += u64::from(!sent);
                        }
                    };
                    let passed = match &mut injector {
                        _ if self.shared.take_packet_to_drop() => PacketFate::Lost,
                        Some(injector) => injector.pass(packet, &mut send),
                        None => {
                            send(packet);
                            PacketFate::Sent
                        }
                    };
                    let lost = unsent.max(u64::from(passed == PacketFate::Lost));
                    self.shared.count(|counters| {
                        counters.dropped_packets += lost;
                        counters.packets += 1 - lost.min(1);
                    });
                });
            }
            self.write(&out).await?;
            if due.is_none() {
                return Ok(());
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = timeout(WRITE_TIMEOUT, async {
            self.writer.write_all(bytes).await?;
            // TLS buffers.
            self.writer.flush().await
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End),
        }
    }
}

fn in_window(now: Duration, after: Duration, lasting: Duration) -> bool {
    now >= after && now < after.saturating_add(lasting)
}

/// RFC 2326 section 10.12.
fn interleave(out: &mut Vec<u8>, channel: u8, packet: &[u8]) {
    // Packets are far below 64 KiB: see `MAX_PAYLOAD`.
    let Ok(len) = u16::try_from(packet.len()) else {
        return;
    };
    out.extend_from_slice(&[b'$', channel]);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(packet);
}

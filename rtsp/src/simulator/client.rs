//! The shell of one connection: reads requests, sends what is due.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::auth::Challenge;
use super::conversation::{Action, Channel, Conversation, Lookup, Route};
use super::media::MediaError;
use super::playback::Playback;
use super::ports::PortPair;
use super::request::{Incoming, MAX_REQUEST_BYTES, take};
use super::{Control, Shared};
use crate::random::random_u64;

/// A client that takes nothing for this long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that neither plays nor asks is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Least interval of RFC 3550 section 6.2.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// The connection is over.
struct End;

struct Playing {
    playback: Playback,
    began: Instant,
    began_unix_nanos: u128,
    next_report: Duration,
    was_stalled: bool,
}

pub(super) struct Client {
    shared: Arc<Shared>,
    control: watch::Receiver<Control>,
    conversation: Conversation,
    writer: OwnedWriteHalf,
    playing: Option<Playing>,
    /// Both ends' addresses, for UDP.
    local: IpAddr,
    peer: IpAddr,
    /// By the port of RTP.
    ports: HashMap<u16, PortPair>,
}

impl Client {
    /// Serves a connection until it is over.
    pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, control: watch::Receiver<Control>) {
        // Media in small writes should leave at once. A socket that cannot be told so works too.
        let _ = stream.set_nodelay(true);
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
            return;
        };
        let (mut reader, writer) = stream.into_split();
        let nonce = format!("{:016x}{:016x}", random_u64(), random_u64());
        let challenge = Challenge::new(shared.scheme, nonce);
        let conversation = Conversation::new(
            shared.credentials.clone(),
            challenge,
            random_u64(),
            shared.in_band,
        );
        let mut client = Self {
            shared,
            control,
            conversation,
            writer,
            playing: None,
            local: local.ip(),
            peer: peer.ip(),
            ports: HashMap::new(),
        };

        let mut buffer = Vec::new();
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
        let file = match self.conversation.file_of(request) {
            None => Lookup::NotAsked,
            Some(file) => {
                let shared = Arc::clone(&self.shared);
                // On a thread of its own: reading blocks, and the box reader may panic on a broken file.
                match tokio::task::spawn_blocking(move || shared.library.load(&file)).await {
                    Ok(None) => Lookup::Missing,
                    Ok(Some(Ok(clip))) => Lookup::Found(clip),
                    Ok(Some(Err(error))) => Lookup::Broken(error),
                    Err(_panicked) => Lookup::Broken(MediaError::Reader),
                }
            }
        };
        let refused = self.conversation.refused();
        let pair = match self.shared.udp && self.conversation.wants_ports(request) {
            true => PortPair::bind(self.local).await,
            false => None,
        };
        let ports = pair.as_ref().map(PortPair::numbers);
        let (response, action) = self.conversation.answer(request, file, ports);
        self.ports.extend(pair.map(|pair| (pair.numbers().0, pair)));
        // Those of tracks that were not set up after all, or set up anew.
        let channels = self
            .conversation
            .chosen()
            .map_or(&[][..], |(_, channels)| &*channels);
        self.ports.retain(|port, _| {
            channels
                .iter()
                .any(|c| matches!(c.route, Route::Udp { server, .. } if server.0 == *port))
        });
        self.shared
            .counters
            .refused
            .fetch_add(self.conversation.refused() - refused, Ordering::Relaxed);
        let mut bytes = Vec::new();
        if response.write(&mut bytes).is_err() {
            return Err(End);
        }
        self.write(&bytes).await?;
        match action {
            Action::Nothing => {}
            Action::Play => self.play(),
            Action::Pause => {
                if let Some(playing) = &mut self.playing {
                    playing.playback.pause(playing.began.elapsed());
                }
            }
            Action::Teardown => self.playing = None,
        }
        Ok(())
    }

    fn play(&mut self) {
        if let Some(playing) = &mut self.playing {
            playing.playback.resume(playing.began.elapsed());
            return;
        }
        let Some((clip, channels)) = self.conversation.chosen() else {
            return;
        };
        let tracks: Vec<_> = channels.iter().map(|channel| channel.track).collect();
        self.playing = Some(Playing {
            playback: Playback::new(Arc::clone(clip), &tracks),
            began: Instant::now(),
            began_unix_nanos: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_nanos(),
            next_report: Duration::ZERO,
            was_stalled: false,
        });
        self.shared.counters.plays.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until something may have to be sent. Nothing is lost when the future is dropped.
    async fn until_due(&mut self) -> Result<(), End> {
        let Some(playing) = &mut self.playing else {
            return std::future::pending().await;
        };
        let due = match self.control.borrow_and_update().stalled {
            true => None,
            false => playing
                .playback
                .next_due()
                .map(|due| due.min(playing.next_report)),
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

    /// Sends what is due: reports first, so that a client knows the time of the first unit.
    async fn send_due(&mut self) -> Result<(), End> {
        loop {
            let Some(playing) = &mut self.playing else {
                return Ok(());
            };
            let Some((clip, channels)) = self.conversation.chosen() else {
                return Ok(());
            };
            let now = playing.began.elapsed();
            if self.control.borrow().stalled {
                playing.was_stalled = true;
                return Ok(());
            }
            if std::mem::take(&mut playing.was_stalled) {
                playing.playback.skip_to(now);
            }
            let mut out = Vec::new();
            if now >= playing.next_report {
                playing.next_report = now + REPORT_INTERVAL;
                for channel in channels.iter() {
                    let rtp = playing.playback.rtp_at(channel.track, now);
                    let report = channel
                        .packetizer
                        .report(playing.began_unix_nanos + now.as_nanos(), rtp);
                    match channel.route {
                        Route::Interleaved(rtp) => interleave(&mut out, rtp + 1, &report),
                        Route::Udp { client, server } => {
                            if let Some(pair) = self.ports.get(&server.0) {
                                pair.send_rtcp(&report, (self.peer, client.1).into());
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
                let counters = &self.shared.counters;
                counters.units.fetch_add(1, Ordering::Relaxed);
                let in_band = self.shared.in_band && due.sample.sync;
                packetizer.unit(&track.kind, clip.bytes(&due.sample), in_band, due.rtp, |packet| {
                    let sent = !self.shared.take_packet_to_drop()
                        && match *route {
                            Route::Interleaved(rtp) => {
                                interleave(&mut out, rtp, packet);
                                true
                            }
                            Route::Udp { client, server } => self
                                .ports
                                .get(&server.0)
                                .is_some_and(|pair| pair.send_rtp(packet, (self.peer, client.0).into())),
                        };
                    let counter = if sent {
                        &counters.packets
                    } else {
                        &counters.dropped_packets
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                });
            }
            self.write(&out).await?;
            if due.is_none() {
                return Ok(());
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        match timeout(WRITE_TIMEOUT, self.writer.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End),
        }
    }
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

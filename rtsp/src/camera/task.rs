//! The task of a camera: does what the supervisor decides, and gives units their times.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::{CameraEvent, RESERVED_EVENTS, Shared, StopReason};
use crate::clock::MediaClock;
use crate::random::random_u64;
use crate::session::{Item, LiveSession, OldSessions, RawUnit};
use crate::{
    AccessUnit, CameraError, CameraOptions, ClockCounters, ErrorKind, MediaKind, Phase, Supervisor,
    TimeoutKind, Verdict,
};

/// How long a session that ended may take to say goodbye.
const FAREWELL: Duration = Duration::from_millis(450);

pub(super) struct CameraTask {
    options: CameraOptions,
    supervisor: Supervisor,
    old: Arc<OldSessions>,
    sender: mpsc::Sender<CameraEvent>,
    stopped: watch::Receiver<bool>,
    shared: Arc<Shared>,
    /// Over all sessions, so that media time goes on.
    clocks: BTreeMap<usize, MediaClock>,
    began: Instant,
}

/// Stop was asked for, or the handle is gone.
struct Stop;

/// What a stream needs besides its clock, from the session's beginning.
#[derive(Default)]
struct Gate {
    /// Audio can go on anywhere, video only at a random access point.
    video: bool,
    /// A random access point is waited for.
    waits: bool,
    /// Lost packets of units that were dropped.
    lost: u32,
    /// The next unit does not continue the last one.
    broken: bool,
}

impl CameraTask {
    pub(super) fn new(
        options: CameraOptions,
        sender: mpsc::Sender<CameraEvent>,
        stopped: watch::Receiver<bool>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            supervisor: Supervisor::new(options.reconnect, options.timeouts, Duration::ZERO),
            options,
            old: Arc::default(),
            sender,
            stopped,
            shared,
            clocks: BTreeMap::new(),
            began: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) {
        let reason = match self.sessions().await {
            Ok(()) => StopReason::GaveUp,
            Err(Stop) => StopReason::Asked,
        };
        self.supervisor.stop();
        self.publish_phase();
        // So that a program which ends now leaves no session behind.
        let _ = timeout(FAREWELL, self.old.torn_down()).await;
        // A consumer that no longer reads must not keep the task.
        let _ = timeout(FAREWELL, self.sender.send(CameraEvent::Stopped { reason })).await;
        debug!(url = %self.options.url, ?reason, "camera stopped");
    }

    /// Session after session, until the camera is given up.
    async fn sessions(&mut self) -> Result<(), Stop> {
        loop {
            let error = match self.attempt().await? {
                Ok(session) => {
                    let error = self.play(session).await?;
                    self.shared.update(|s| s.counters.lost_sessions += 1);
                    error
                }
                Err(error) => {
                    self.shared.update(|s| s.counters.failed_attempts += 1);
                    error
                }
            };
            warn!(error = %error, "camera session lost or not had");
            let refused = error.kind() == ErrorKind::Authentication;
            self.say(CameraEvent::Lost { error }).await?;
            let now = self.now();
            match self.supervisor.failed(now, refused, random_u64()) {
                Verdict::GiveUp => return Ok(()),
                Verdict::Retry { delay } => {
                    self.publish_phase();
                    self.say(CameraEvent::Waiting { delay }).await?;
                }
            }
            while self.supervisor.phase() == Phase::Waiting {
                let deadline = self.deadline();
                self.or_stop(async { tokio::time::sleep_until(deadline).await })
                    .await?;
                let now = self.now();
                self.supervisor.expired(now);
            }
            self.publish_phase();
        }
    }

    async fn attempt(&mut self) -> Result<Result<LiveSession, CameraError>, Stop> {
        // Cameras with few sessions refuse a new one while the old one lives.
        let old = Arc::clone(&self.old);
        self.or_stop(async { timeout(FAREWELL, old.torn_down()).await.is_ok() })
            .await?;

        let options = self.options.clone();
        let deadline = self.deadline();
        let opened = self
            .or_stop(async move { timeout_at(deadline, LiveSession::open(&options, &old)).await })
            .await?;
        Ok(opened.unwrap_or_else(|_| Err(self.timed_out(TimeoutKind::Attempt))))
    }

    /// Plays a session until it is lost.
    async fn play(&mut self, mut session: LiveSession) -> Result<CameraError, Stop> {
        let now = self.now();
        self.supervisor.established(now);
        self.publish_phase();
        self.shared.update(|s| s.counters.sessions += 1);
        info!(url = %self.options.url, streams = session.streams.len(), "camera session established");

        let mut gates: BTreeMap<usize, Gate> = BTreeMap::new();
        // Sound alone does not make a live camera when there should be pictures.
        let watched = session
            .streams
            .iter()
            .find(|s| s.playing && s.media == MediaKind::Video);
        let watched = watched.map(|s| s.index);
        for stream in session.streams.iter().filter(|s| s.playing) {
            let clock = self.clocks.entry(stream.index);
            clock
                .or_insert_with(|| MediaClock::new(self.options.clock, stream.clock_rate_hz))
                .begin_session(stream.clock_rate_hz);
            let video = stream.media == MediaKind::Video;
            gates.insert(
                stream.index,
                Gate {
                    video,
                    waits: video,
                    ..Gate::default()
                },
            );
        }
        let event = CameraEvent::Established {
            streams: session.streams.clone(),
            sdp: session.sdp.clone(),
        };
        self.say(event).await?;

        loop {
            let deadline = self.deadline();
            let item = match self.or_stop(timeout_at(deadline, session.next())).await? {
                Err(_elapsed) => return Ok(self.timed_out(TimeoutKind::Stall)),
                Ok(None) => {
                    return Ok(session.take_failure().unwrap_or_else(|| CameraError::Closed {
                        url: self.options.url.clone(),
                    }));
                }
                Ok(Some(Err(error))) => {
                    if let Some(failure) = session.take_failure() {
                        return Ok(failure);
                    }
                    let had_credentials = self.options.credentials.is_some();
                    return Ok(CameraError::from_retina(
                        &self.options.url,
                        had_credentials,
                        error,
                    ));
                }
                Ok(Some(Ok(item))) => item,
            };
            match item {
                Item::Unit(unit) => {
                    if watched.is_none_or(|stream| stream == unit.stream) {
                        let now = self.now();
                        self.supervisor.unit(now);
                    }
                    if let Some(gate) = gates.get_mut(&unit.stream) {
                        self.unit(unit, gate).await?;
                    }
                }
                Item::Report {
                    stream,
                    ntp,
                    rtp_ticks,
                    arrival_90k,
                } => {
                    if let Some(clock) = self.clocks.get_mut(&stream) {
                        let believed = clock.sender_report(ntp, rtp_ticks, arrival_90k);
                        if !believed {
                            debug!(url = %self.options.url, stream, "sender report is not plausible");
                        }
                        self.publish_clocks();
                    }
                }
                Item::Other => {}
            }
            // Reports are no sign of life: a camera whose encoder hangs sends them on.
            let now = self.now();
            if let Some(kind) = self.supervisor.expired(now) {
                return Ok(self.timed_out(kind));
            }
        }
    }

    async fn unit(&mut self, unit: RawUnit, gate: &mut Gate) -> Result<(), Stop> {
        if let Some(stream) = unit.changed {
            self.say(CameraEvent::StreamChanged(stream)).await?;
        }
        if unit.lost > 0 {
            self.shared
                .update(|s| s.counters.lost_packets += u64::from(unit.lost));
            gate.lost = gate.lost.saturating_add(unit.lost);
        }
        let Some(clock) = self.clocks.get_mut(&unit.stream) else {
            return Ok(());
        };
        let before = clock.counters();
        clock.allow_steps(unit.random_access);
        let stamp = clock.unit(unit.rtp_ticks, unit.arrival_90k);
        let clocks_changed = clock.counters() != before;
        gate.broken |= stamp.discontinuity;
        if clocks_changed {
            self.publish_clocks();
        }
        if gate.waits && !unit.random_access {
            gate.broken = true;
            self.shared.update(|s| s.counters.dropped_no_random_access += 1);
            return Ok(());
        }
        let len = unit.data.len();
        let queued = self.shared.queued_bytes.load(Ordering::Relaxed);
        let room = self.sender.capacity() > RESERVED_EVENTS
            && (queued == 0 || queued.saturating_add(len) <= self.options.queue.bytes);
        if !room {
            gate.waits = gate.video;
            gate.broken = true;
            self.shared.update(|s| s.counters.dropped_queue_full += 1);
            return Ok(());
        }
        gate.waits = false;
        let lost_before = std::mem::take(&mut gate.lost);
        let broken = std::mem::take(&mut gate.broken);
        self.shared.queued_bytes.fetch_add(len, Ordering::Relaxed);
        self.shared.units.fetch_add(1, Ordering::Relaxed);
        self.shared.bytes.fetch_add(len as u64, Ordering::Relaxed);
        self.say(CameraEvent::Unit(AccessUnit {
            stream: unit.stream,
            timestamp_90k: stamp.timestamp_90k,
            clock: stamp.source,
            random_access: unit.random_access,
            disposable: unit.disposable,
            lost_before,
            discontinuity: broken || lost_before > 0,
            received_at: unit.received_at,
            data: unit.data,
        }))
        .await
    }

    /// Queues an event; `Stop` also when nobody listens any more.
    async fn say(&mut self, event: CameraEvent) -> Result<(), Stop> {
        match self.sender.try_send(event) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Stop),
            Err(mpsc::error::TrySendError::Full(event)) => {
                let sender = self.sender.clone();
                self.or_stop(async move { sender.send(event).await })
                    .await?
                    .map_err(|_| Stop)
            }
        }
    }

    /// The future's outcome, unless stop comes first.
    async fn or_stop<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => Err(Stop),
            outcome = future => Ok(outcome),
        }
    }

    fn timed_out(&self, kind: TimeoutKind) -> CameraError {
        let after = match kind {
            TimeoutKind::Attempt => self.options.timeouts.attempt,
            TimeoutKind::Stall => self.options.timeouts.stall,
        };
        CameraError::Timeout {
            url: self.options.url.clone(),
            kind,
            after,
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The supervisor's deadline on tokio's clock.
    fn deadline(&self) -> Instant {
        const FAR: Duration = Duration::from_secs(86_400 * 365);
        self.began + self.supervisor.deadline().unwrap_or(FAR).min(self.now() + FAR)
    }

    fn publish_phase(&self) {
        let phase = self.supervisor.phase();
        self.shared.update(|s| s.phase = phase);
    }

    fn publish_clocks(&self) {
        let mut sum = ClockCounters::default();
        for counters in self.clocks.values().map(MediaClock::counters) {
            sum.reports += counters.reports;
            sum.reports_refused += counters.reports_refused;
            sum.jumps += counters.jumps;
            sum.reordered += counters.reordered;
            sum.held += counters.held;
        }
        self.shared.update(|s| s.counters.clock = sum);
    }
}

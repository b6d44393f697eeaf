//! The task of a camera: carries out the supervisor's decisions and timestamps units.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::{CameraEvent, CameraStopReason, RESERVED_EVENTS, Shared};
use crate::clock::MediaClock;
use crate::diagnosis;
use crate::panics::contain;
use crate::session::choice::TransportChoice;
use crate::session::{Item, LiveSession, RawUnit, TeardownTracker};
use crate::supervisor::{RetryDecision, Supervisor};
use crate::{
    AccessUnit, CameraError, CameraOptions, ClockCounters, ErrorKind, MediaKind, Phase, StreamInfo,
    TimeoutKind,
};

/// How long the TEARDOWN of an ended session may take.
const TEARDOWN_TIMEOUT: Duration = Duration::from_millis(450);
/// Nothing by UDP for so long, and another transport is tried where none was asked for.
const UDP_SILENCE: Duration = Duration::from_secs(5);

pub(super) struct CameraTask {
    options: CameraOptions,
    supervisor: Supervisor,
    teardowns: TeardownTracker,
    sender: mpsc::Sender<CameraEvent>,
    stopped: watch::Receiver<bool>,
    shared: Arc<Shared>,
    /// Kept across sessions, so that media time continues.
    clocks: BTreeMap<usize, MediaClock>,
    transport: TransportChoice,
    /// The longest time between two key frames so far.
    longest_gop: Duration,
    began: Instant,
}

/// The camera was asked to stop, or its handle is gone.
struct Stop;

/// Opens a session, by the first transport that the camera takes.
async fn open(
    options: &CameraOptions,
    choice: &mut TransportChoice,
    teardowns: &TeardownTracker,
) -> Result<LiveSession, CameraError> {
    let mut refusal = None;
    loop {
        let options = options.clone().with_transport(choice.current());
        let mut refused = false;
        match LiveSession::open(&options, teardowns, &mut refused).await {
            Err(error) if refused => {
                debug!(%error, transport = %choice.current(), "the camera wants another transport");
                let first = refusal.get_or_insert(error);
                if !choice.refused() {
                    return Err(first.clone());
                }
            }
            opened => return opened,
        }
    }
}

/// Whether the parameter sets of a stream are known, if it has any.
fn is_decodable(stream: &StreamInfo) -> bool {
    !stream.codec.has_parameter_sets() || !stream.extra_data.is_empty()
}

/// The state of one stream within a session, besides its clock.
#[derive(Default)]
struct StreamState {
    /// Audio can continue anywhere, video only at a keyframe.
    video: bool,
    /// Units are dropped until a keyframe.
    waiting: bool,
    /// All parameters that a decoder needs are known.
    decodable: bool,
    /// At least one unit was delivered.
    delivered: bool,
    keyframes: u64,
    /// When the last key frame came.
    last_keyframe: Option<std::time::Instant>,
    /// Packets lost before or in units that were dropped.
    lost: u32,
    /// The next unit does not continue the last one.
    discontinuity: bool,
}

impl CameraTask {
    pub(super) fn new(
        options: CameraOptions,
        sender: mpsc::Sender<CameraEvent>,
        stopped: watch::Receiver<bool>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            transport: TransportChoice::new(options.transport, options.tls.is_some() || options.url.is_tls()),
            longest_gop: Duration::ZERO,
            supervisor: Supervisor::new(options.reconnect, options.timeouts, Duration::ZERO),
            options,
            teardowns: TeardownTracker::default(),
            sender,
            stopped,
            shared,
            clocks: BTreeMap::new(),
            began: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) {
        let reason = match self.sessions().await {
            Ok(()) => CameraStopReason::GaveUp,
            Err(Stop) => CameraStopReason::Asked,
        };
        self.supervisor.stop();
        self.publish_phase();
        // A program that exits now must not leave a session open.
        let _ = timeout(TEARDOWN_TIMEOUT, self.teardowns.wait_all()).await;
        // A consumer that no longer reads must not keep the task.
        let _ = timeout(
            TEARDOWN_TIMEOUT,
            self.sender.send(CameraEvent::Stopped { reason }),
        )
        .await;
        debug!(url = %self.options.url, ?reason, "camera stopped");
    }

    /// Runs one session after the other until the supervisor gives up.
    async fn sessions(&mut self) -> Result<(), Stop> {
        loop {
            let error = match self.attempt().await? {
                Ok(session) => {
                    let error = match contain(self.play(session)).await {
                        Ok(played) => played?,
                        Err(message) => self.internal(message),
                    };
                    self.shared.update(|s| s.counters.lost_sessions += 1);
                    error
                }
                Err(error) => {
                    self.shared.update(|s| s.counters.failed_attempts += 1);
                    error
                }
            };
            warn!(error = %error, "camera session failed");
            let rejected = error.kind() == ErrorKind::Authentication;
            self.emit(CameraEvent::Lost { error }).await?;
            let now = self.now();
            // Without random numbers the wait is the shortest one: jitter is a courtesy, not a need.
            let random = getrandom::u64().unwrap_or_default();
            match self.supervisor.failed(now, rejected, random) {
                RetryDecision::GiveUp => return Ok(()),
                RetryDecision::Retry { delay } => {
                    self.publish_phase();
                    self.emit(CameraEvent::Waiting { delay }).await?;
                }
            }
            while self.supervisor.phase() == Phase::Waiting {
                let deadline = self.deadline();
                self.until_stopped(async { tokio::time::sleep_until(deadline).await })
                    .await?;
                let now = self.now();
                self.supervisor.expired(now);
            }
            self.publish_phase();
        }
    }

    async fn attempt(&mut self) -> Result<Result<LiveSession, CameraError>, Stop> {
        // Cameras that allow few sessions reject a new one while the old one is open.
        let teardowns = self.teardowns.clone();
        self.until_stopped(async { timeout(TEARDOWN_TIMEOUT, teardowns.wait_all()).await.is_ok() })
            .await?;

        let (options, mut choice) = (self.options.clone(), self.transport);
        let deadline = self.deadline();
        let opened = self
            .until_stopped(async {
                let opening = contain(open(&options, &mut choice, &teardowns));
                let opened = timeout_at(deadline, opening).await;
                (opened, choice)
            })
            .await;
        let (opened, choice) = opened?;
        self.transport = choice;
        Ok(match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(message)) => Err(self.internal(message)),
            Err(_elapsed) => Err(self.timed_out(TimeoutKind::Attempt)),
        })
    }

    /// Plays a session until it is lost.
    async fn play(&mut self, mut session: LiveSession) -> Result<CameraError, Stop> {
        let now = self.now();
        self.supervisor.established(now);
        self.publish_phase();
        self.shared.update(|s| s.counters.sessions += 1);
        info!(url = %self.options.url, streams = session.streams.len(), "camera session established");

        let mut states: BTreeMap<usize, StreamState> = BTreeMap::new();
        // Audio alone does not count as a sign of life when there should be pictures.
        let watched = session
            .streams
            .iter()
            .find(|s| s.playing && s.media == MediaKind::Video);
        let watched = watched.map(|s| s.index);
        for stream in session.streams.iter().filter(|s| s.playing) {
            let clock = self.clocks.entry(stream.index);
            clock
                .or_insert_with(|| {
                    let clock = MediaClock::new(self.options.clock, stream.clock_rate_hz);
                    if stream.media != MediaKind::Video {
                        clock.without_reordering()
                    } else {
                        clock
                    }
                })
                .begin_session(stream.clock_rate_hz);
            let video = stream.media == MediaKind::Video;
            states.insert(
                stream.index,
                StreamState {
                    video,
                    waiting: video,
                    decodable: is_decodable(stream),
                    ..StreamState::default()
                },
            );
        }
        let event = CameraEvent::Established {
            streams: session.streams.clone(),
            sdp: session.sdp.clone(),
        };
        self.emit(event).await?;

        let established = Instant::now();
        let mut diagnosis = watched.map(|stream| (stream, established + diagnosis::FIRST_LOOK));
        let mut falls_back_at = self
            .transport
            .may_fall_back()
            .then_some(established + UDP_SILENCE);
        let mut damaged = 0;
        loop {
            if let Some((stream, at)) = diagnosis
                && Instant::now() >= at
            {
                let state = states.get(&stream);
                let silent = state.is_some_and(|state| !state.delivered);
                diagnosis = silent.then(|| (stream, Instant::now() + diagnosis::NEXT_LOOK));
                if silent && let Some(mut seen) = session.video_progress(stream) {
                    seen.keyframes = state.map_or(0, |state| state.keyframes);
                    if let Some(cause) = seen.diagnose(established.elapsed(), self.longest_gop) {
                        diagnosis = None;
                        warn!(url = %self.options.url, stream, %cause, "no pictures");
                        self.emit(CameraEvent::NoPictures { stream, cause }).await?;
                    }
                }
            }
            if let Some(at) = falls_back_at
                && Instant::now() >= at
            {
                falls_back_at = None;
                if session.packets() == 0 {
                    let error = self.stalled(UDP_SILENCE);
                    self.transport.silent();
                    return Ok(error);
                }
            }
            let stalls_at = self.deadline();
            let looks_at = [diagnosis.map(|(_, at)| at), falls_back_at];
            let deadline = looks_at.into_iter().flatten().fold(stalls_at, Instant::min);
            let next = timeout_at(deadline, session.next());
            let item = match self.until_stopped(next).await? {
                Err(_elapsed) if Instant::now() < stalls_at => continue,
                Err(_elapsed) => {
                    let error = self.timed_out(TimeoutKind::Stall);
                    self.transport.silent();
                    return Ok(error);
                }
                Ok(None) => {
                    return Ok(CameraError::Closed {
                        url: self.options.url.clone(),
                    });
                }
                Ok(Some(Err(error))) => return Ok(error),
                Ok(Some(Ok(item))) => item,
            };
            let damaged_now = session.damaged();
            if damaged_now != damaged {
                self.shared
                    .update(|s| s.counters.dropped_damaged += damaged_now - damaged);
                damaged = damaged_now;
            }
            match item {
                Item::Unit(unit) => {
                    if watched.is_none_or(|stream| stream == unit.stream) {
                        let now = self.now();
                        self.supervisor.unit(now);
                    }
                    if let Some(state) = states.get_mut(&unit.stream) {
                        self.unit(unit, state).await?;
                    }
                }
                Item::Report {
                    stream,
                    ntp,
                    rtp_ticks,
                    arrival_90k,
                } => {
                    if let Some(clock) = self.clocks.get_mut(&stream) {
                        let accepted = clock.sender_report(ntp, rtp_ticks, arrival_90k);
                        if !accepted {
                            debug!(url = %self.options.url, stream, "sender report rejected: its clock is not plausible");
                        }
                        self.publish_clocks();
                    }
                }
                Item::Repairs(mut repairs) => {
                    debug!(url = %self.options.url, %repairs, "repaired");
                    self.shared.update(|s| s.counters.repairs.take_from(&mut repairs));
                }
            }
            // Reports are not a sign of life: a camera whose encoder hangs keeps sending them.
            let now = self.now();
            if let Some(kind) = self.supervisor.expired(now) {
                return Ok(self.timed_out(kind));
            }
        }
    }

    async fn unit(&mut self, unit: RawUnit, state: &mut StreamState) -> Result<(), Stop> {
        if let Some(stream) = unit.changed {
            state.decodable = is_decodable(&stream);
            self.emit(CameraEvent::StreamChanged(stream)).await?;
        }
        if unit.lost > 0 {
            self.shared
                .update(|s| s.counters.lost_packets += u64::from(unit.lost));
            state.lost = state.lost.saturating_add(unit.lost);
        }
        if state.video && unit.keyframe {
            state.keyframes += 1;
            if let Some(last) = state.last_keyframe.replace(unit.received_at) {
                let gop = unit.received_at.saturating_duration_since(last);
                self.longest_gop = self.longest_gop.max(gop);
            }
        }
        let Some(clock) = self.clocks.get_mut(&unit.stream) else {
            return Ok(());
        };
        let before = clock.counters();
        clock.allow_steps(unit.keyframe);
        let time = clock.unit(unit.rtp_ticks, unit.arrival_90k);
        let clocks_changed = clock.counters() != before;
        state.discontinuity |= time.discontinuity;
        if clocks_changed {
            self.publish_clocks();
        }
        if !state.decodable {
            state.discontinuity = true;
            self.shared.update(|s| s.counters.dropped_no_parameter_sets += 1);
            return Ok(());
        }
        if state.waiting && !unit.keyframe {
            state.discontinuity = true;
            self.shared.update(|s| s.counters.dropped_no_keyframe += 1);
            return Ok(());
        }
        let len = unit.data.len();
        let queued = self.shared.queued_bytes.load(Ordering::Relaxed);
        let fits = self.sender.capacity() > RESERVED_EVENTS
            && (queued == 0 || queued.saturating_add(len) <= self.options.queue.bytes);
        if !fits {
            state.waiting = state.video;
            state.discontinuity = true;
            self.shared.update(|s| s.counters.dropped_queue_full += 1);
            return Ok(());
        }
        state.waiting = false;
        state.delivered = true;
        let lost_before = std::mem::take(&mut state.lost);
        let discontinuity = std::mem::take(&mut state.discontinuity);
        self.shared.queued_bytes.fetch_add(len, Ordering::Relaxed);
        self.shared.units.fetch_add(1, Ordering::Relaxed);
        self.shared.bytes.fetch_add(len as u64, Ordering::Relaxed);
        self.emit(CameraEvent::Unit(AccessUnit {
            stream: unit.stream,
            media: unit.media,
            timestamp_90k: time.timestamp_90k,
            clock: time.source,
            keyframe: unit.keyframe,
            disposable: unit.disposable,
            lost_before,
            discontinuity: discontinuity || lost_before > 0,
            received_at: unit.received_at,
            data: unit.data,
        }))
        .await
    }

    /// Queues an event; `Stop` also when the receiver is gone.
    async fn emit(&mut self, event: CameraEvent) -> Result<(), Stop> {
        match self.sender.try_send(event) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Stop),
            Err(mpsc::error::TrySendError::Full(event)) => {
                let sender = self.sender.clone();
                self.until_stopped(async move { sender.send(event).await })
                    .await?
                    .map_err(|_| Stop)
            }
        }
    }

    /// Runs a future unless the camera is stopped first.
    async fn until_stopped<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => Err(Stop),
            output = future => Ok(output),
        }
    }

    fn internal(&self, message: String) -> CameraError {
        CameraError::Internal {
            url: self.options.url.clone(),
            message,
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
            transport: self.transport.current(),
        }
    }

    /// No media in this time.
    fn stalled(&self, after: Duration) -> CameraError {
        CameraError::Timeout {
            url: self.options.url.clone(),
            kind: TimeoutKind::Stall,
            after,
            transport: self.transport.current(),
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
            sum.reports_rejected += counters.reports_rejected;
            sum.jumps += counters.jumps;
            sum.reordered += counters.reordered;
            sum.clamped += counters.clamped;
            sum.outliers += counters.outliers;
            sum.off_rate += counters.off_rate;
        }
        self.shared.update(|s| s.counters.clock = sum);
    }
}

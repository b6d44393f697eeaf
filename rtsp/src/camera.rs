//! The handle of a camera, and the task behind it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use retina::client::SessionGroup;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, info, warn};

use crate::clock::MediaClock;
use crate::random::random_u64;
use crate::session::{Item, LiveSession, RawUnit};
use crate::{
    AccessUnit, CameraError, CameraOptions, ClockCounters, ErrorKind, MediaKind, Phase, StreamInfo,
    Supervisor, TimeoutKind, Verdict,
};

/// Places in the queue that units never take, so that what else there is to say finds room.
const RESERVED_EVENTS: usize = 16;
/// How long a session that ended may take to say goodbye.
const FAREWELL: Duration = Duration::from_millis(500);

/// What a camera says.
#[derive(Debug)]
#[non_exhaustive]
pub enum CameraEvent {
    /// A session began: PLAY was answered. Comes once for each session, before its units.
    Established {
        /// All that the camera offers, in the order of its description; [`StreamInfo::playing`] tells what comes.
        streams: Vec<StreamInfo>,
        /// The session description as the camera sent it, with its own line ends. The event
        /// `MediaSessionEstablished` carries it behind `SDP:` and a line feed.
        sdp: String,
    },
    /// Parameters of a stream came in band, or changed: they hold from the next unit of this stream on.
    StreamChanged(StreamInfo),
    /// A unit.
    Unit(AccessUnit),
    /// An attempt failed, or the session was lost.
    Lost {
        /// Why.
        error: CameraError,
    },
    /// The next attempt comes after a wait.
    Waiting {
        /// The wait.
        delay: Duration,
    },
    /// Nothing more comes.
    Stopped {
        /// Why.
        reason: StopReason,
    },
}

/// Why a camera stopped for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// [`Camera::stop`], [`Camera::close`], or the handle was dropped.
    Asked,
    /// [`Timeouts::give_up`](crate::Timeouts::give_up) has passed.
    GaveUp,
}

/// What a camera has done; all of them only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CameraCounters {
    /// Sessions that were established.
    pub sessions: u64,
    /// Attempts that led to no session.
    pub failed_attempts: u64,
    /// Sessions that were lost.
    pub lost_sessions: u64,
    /// Units that were handed out or wait in the queue.
    pub units: u64,
    /// Bytes of these units.
    pub bytes: u64,
    /// RTP packets that never came.
    pub lost_packets: u64,
    /// Units dropped because the queue was full.
    pub dropped_queue_full: u64,
    /// Video units dropped because decoding could not start there: before a session's first random access point, and
    /// between a full queue and the next one.
    pub dropped_no_random_access: u64,
    /// What the clocks met, summed over streams.
    pub clock: ClockCounters,
}

/// A supervised camera: connects, plays, and comes back after every loss until it is stopped.
///
/// Each camera is a task of its own, so a dead one delays no other. Dropping the handle stops it.
#[derive(Debug)]
pub struct Camera {
    events: mpsc::Receiver<CameraEvent>,
    monitor: CameraMonitor,
}

/// A second handle for looking and stopping, cheap to clone. It does not keep the camera alive.
#[derive(Debug, Clone)]
pub struct CameraMonitor {
    shared: Arc<Shared>,
    stop: Arc<watch::Sender<bool>>,
}

#[derive(Debug)]
struct Shared {
    queued_bytes: AtomicUsize,
    units: AtomicU64,
    bytes: AtomicU64,
    /// What changes rarely.
    status: Mutex<Status>,
}

#[derive(Debug, Clone, Copy)]
struct Status {
    phase: Phase,
    counters: CameraCounters,
}

impl Shared {
    fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Camera {
    /// Begins to connect, in a task of the current tokio runtime, and returns at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled, as [`tokio::spawn`] does.
    pub fn connect(options: CameraOptions) -> Self {
        let (sender, events) = mpsc::channel(options.queue.units.max(1).saturating_add(RESERVED_EVENTS));
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            queued_bytes: AtomicUsize::new(0),
            units: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            status: Mutex::new(Status {
                phase: Phase::Connecting,
                counters: CameraCounters::default(),
            }),
        });
        let task = CameraTask {
            supervisor: Supervisor::new(options.reconnect, options.timeouts, Duration::ZERO),
            options,
            group: Arc::new(SessionGroup::default()),
            sender,
            stopped,
            shared: Arc::clone(&shared),
            clocks: BTreeMap::new(),
            began: Instant::now(),
        };
        tokio::spawn(task.run());
        Self {
            events,
            monitor: CameraMonitor {
                shared,
                stop: Arc::new(stop),
            },
        }
    }

    /// What the camera says next; `None` after [`CameraEvent::Stopped`]. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<CameraEvent> {
        let event = self.events.recv().await;
        if let Some(CameraEvent::Unit(unit)) = &event {
            self.monitor
                .shared
                .queued_bytes
                .fetch_sub(unit.data.len(), Ordering::Relaxed);
        }
        event
    }

    /// Asks the camera to stop; what is queued and [`CameraEvent::Stopped`] still come. It wins within a second, also
    /// over an attempt to connect.
    pub fn stop(&self) {
        self.monitor.stop();
    }

    /// Stops, and waits until the task has ended.
    pub async fn close(mut self) {
        self.stop();
        while self.next().await.is_some() {}
    }

    /// What the camera is doing.
    pub fn phase(&self) -> Phase {
        self.monitor.phase()
    }

    /// What it has done.
    pub fn counters(&self) -> CameraCounters {
        self.monitor.counters()
    }

    /// A second handle, for looking and stopping.
    pub fn monitor(&self) -> CameraMonitor {
        self.monitor.clone()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.stop();
    }
}

impl CameraMonitor {
    /// Asks the camera to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// What the camera is doing.
    pub fn phase(&self) -> Phase {
        self.shared
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .phase
    }

    /// What it has done.
    pub fn counters(&self) -> CameraCounters {
        let counters = self
            .shared
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .counters;
        CameraCounters {
            units: self.shared.units.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
            ..counters
        }
    }
}

struct CameraTask {
    options: CameraOptions,
    supervisor: Supervisor,
    group: Arc<SessionGroup>,
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
    async fn run(mut self) {
        let reason = match self.sessions().await {
            Ok(()) => StopReason::GaveUp,
            Err(Stop) => StopReason::Asked,
        };
        self.supervisor.stop();
        self.publish_phase();
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
        let group = Arc::clone(&self.group);
        self.or_stop(async { timeout(FAREWELL, group.await_teardown()).await.is_ok() })
            .await?;

        let options = self.options.clone();
        let deadline = self.deadline();
        let opened = self
            .or_stop(async move { timeout_at(deadline, LiveSession::open(&options, &group)).await })
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
                    return Ok(CameraError::Closed {
                        url: self.options.url.clone(),
                    });
                }
                Ok(Some(Err(error))) => {
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
                // Reports count as no sign of life: a camera whose encoder hangs sends them on.
                Item::Other => {}
            }
            // Items without units must not keep a stalled session.
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
            sum.held += counters.held;
        }
        self.shared.update(|s| s.counters.clock = sum);
    }
}

//! The handle of a camera, and what it says.

mod task;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use self::task::CameraTask;
use crate::{AccessUnit, CameraError, CameraOptions, ClockCounters, Phase, StreamInfo};

/// Places in the queue that units never take, so that what else there is to say finds room.
const RESERVED_EVENTS: usize = 16;

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
        let task = CameraTask::new(options, sender, stopped, Arc::clone(&shared));
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

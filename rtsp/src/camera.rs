//! The handle of a camera, and the events it emits.

mod task;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use self::task::CameraTask;
use crate::wire::repairs::Repairs;
use crate::{
    AccessUnit, CameraError, CameraOptions, ClockCounters, NoPictures, Phase, StreamInfo, VideoParameters,
};

/// Queue slots that units never take, so that other events always fit.
const RESERVED_EVENTS: usize = 16;

/// An event of a camera.
#[derive(Debug)]
#[non_exhaustive]
pub enum CameraEvent {
    /// A session began: the camera answered PLAY. Comes once per session, before its units.
    Established {
        /// Every stream that the camera offers, in the order of its description; units come from those that are
        /// [`playing`](StreamInfo::playing).
        streams: Vec<StreamInfo>,
        /// The session description as the camera sent it, line ends included and secrets masked. The event
        /// `MediaSessionEstablished` carries it after `SDP:` and a line feed.
        sdp: String,
    },
    /// Parameters of a stream arrived in band or changed. They apply from the stream's next unit on.
    StreamChanged(StreamInfo),
    /// An encoded picture or audio frame.
    Unit(AccessUnit),
    /// Packets of a video stream come, but for some seconds no picture that could be decoded. Comes once per session.
    NoPictures {
        /// [`StreamInfo::index`] of the stream.
        stream: usize,
        /// Why.
        cause: NoPictures,
    },
    /// An attempt failed, or the session was lost.
    Lost {
        /// Why.
        error: CameraError,
    },
    /// The camera waits before the next attempt.
    Waiting {
        /// How long.
        delay: Duration,
    },
    /// The last event.
    Stopped {
        /// Why.
        reason: CameraStopReason,
    },
}

impl CameraEvent {
    /// What a decoder and a recording have to know of the video whose units come from here on, where the event has it: a
    /// session began, or parameters changed. Where a camera sends them with its pictures, that is the second.
    pub fn video(&self) -> Option<VideoParameters> {
        let streams = match self {
            Self::Established { streams, .. } => streams.as_slice(),
            Self::StreamChanged(stream) => std::slice::from_ref(stream),
            _ => return None,
        };
        let mut streams = streams.iter().filter(|stream| stream.is_playing_video());
        streams.find_map(StreamInfo::video_parameters)
    }
}

/// Why a camera stopped for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CameraStopReason {
    /// [`Camera::stop`], [`Camera::close`], or the handle was dropped.
    Asked,
    /// [`Timeouts::give_up`](crate::Timeouts::give_up) elapsed without a healthy session.
    GaveUp,
}

/// Monotonic counters of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct CameraCounters {
    /// Established sessions.
    pub sessions: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Lost sessions.
    pub lost_sessions: u64,
    /// Units delivered or waiting in the queue.
    pub units: u64,
    /// Bytes of these units.
    pub bytes: u64,
    /// RTP packets that never arrived.
    pub lost_packets: u64,
    /// Units dropped because the queue was full.
    pub dropped_queue_full: u64,
    /// Video units dropped because decoding cannot start at them: those before a session's first keyframe,
    /// and those between a full queue and the next keyframe.
    pub dropped_no_keyframe: u64,
    /// Video units dropped because no parameter sets had come that a decoder needs.
    pub dropped_no_parameter_sets: u64,
    /// Pictures dropped because a part of them was lost or damaged.
    pub dropped_damaged: u64,
    /// What the session layer repaired, summed over all sessions.
    pub repairs: Repairs,
    /// The counters of all streams' clocks, summed.
    pub clock: ClockCounters,
}

/// A supervised camera: connects, plays, and reconnects after every loss until it is stopped.
///
/// Each camera runs in its own task, so one that hangs does not delay the others. Dropping the handle stops it.
#[derive(Debug)]
pub struct Camera {
    events: mpsc::Receiver<CameraEvent>,
    monitor: CameraMonitor,
}

/// A second handle that reads counters and stops the camera, cheap to clone. It does not keep the camera alive.
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
    /// Starts to connect in a new task of the current tokio runtime, and returns at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled, like [`tokio::spawn`].
    #[track_caller]
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

    /// The next event; `None` after [`CameraEvent::Stopped`]. Cancel safe: no event is lost when the future is dropped.
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

    /// Asks the camera to stop. Queued events and [`CameraEvent::Stopped`] still arrive. Takes effect within a second,
    /// even during an attempt to connect.
    pub fn stop(&self) {
        self.monitor.stop();
    }

    /// Stops the camera and waits until its task has ended.
    pub async fn close(mut self) {
        self.stop();
        while self.next().await.is_some() {}
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        self.monitor.phase()
    }

    /// The counters so far.
    pub fn counters(&self) -> CameraCounters {
        self.monitor.counters()
    }

    /// A second handle that reads counters and stops the camera.
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

    /// The current phase.
    pub fn phase(&self) -> Phase {
        self.shared
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .phase
    }

    /// The counters so far.
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

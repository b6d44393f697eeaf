//! What a run is observed to do, for programs that show it: the camera's pictures as they come, and the answers of extensions.
//!
//! An instance that nobody observes does nothing for it but look at one flag for each unit and answer. An observer that is too
//! slow loses observations, and delays nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lva_inference_schema::Inference;
use lva_rtsp::{AccessUnit, StreamInfo};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Observations that wait for one observer: eight seconds of a camera of 30 pictures a second.
const QUEUE: usize = 256;

/// Something that a run received or found. Pictures are those of the topology's first source.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RunObservation {
    /// The camera's streams: first of all where they are known, then whenever a session begins or parameters change.
    Streams(Arc<[StreamInfo]>),
    /// An encoded picture or audio frame, as the camera sent it. After a gap, video starts with a key frame.
    Unit(AccessUnit),
    /// The camera is disconnected; it is reconnected in the background.
    Lost,
    /// The answer of an analysis node to a frame, empty answers included.
    Results {
        /// The node's name.
        node: String,
        /// Media time of the frame.
        timestamp_90k: u64,
        /// What the node found, with that of the nodes upstream. Boxes are fractions of the camera's picture.
        found: Arc<[Inference]>,
    },
}

/// Receives the observations of one run, from [`InstanceHandle::observe`](crate::InstanceHandle::observe).
#[derive(Debug)]
pub struct Observer {
    receiver: mpsc::Receiver<RunObservation>,
    missed: Arc<AtomicU64>,
}

impl Observer {
    /// The next observation; `None` after the end of the run.
    pub async fn next(&mut self) -> Option<RunObservation> {
        self.receiver.recv().await
    }

    /// Observations that were dropped because 256 others were waiting.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// The observers of one run. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    watched: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    streams: Option<Arc<[StreamInfo]>>,
    taps: Vec<Tap>,
    ended: bool,
}

#[derive(Debug)]
struct Tap {
    sender: mpsc::Sender<RunObservation>,
    missed: Arc<AtomicU64>,
    /// Pictures were missed: those up to the next key frame are of no use.
    waits_for_key: bool,
    /// Streams that found the queue full.
    due: Option<Arc<[StreamInfo]>>,
}

impl Observers {
    pub(crate) fn observe(&self) -> Observer {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let missed = Arc::new(AtomicU64::new(0));
        let mut state = self.0.state.lock();
        if !state.ended {
            let due = state.streams.clone();
            state.taps.push(Tap {
                sender,
                missed: Arc::clone(&missed),
                waits_for_key: true,
                due,
            });
            self.0.watched.store(true, Ordering::Release);
        }
        Observer { receiver, missed }
    }

    /// Whether anybody looks.
    pub(crate) fn are_present(&self) -> bool {
        self.0.watched.load(Ordering::Acquire)
    }

    pub(crate) fn streams(&self, streams: &[StreamInfo]) {
        let streams: Arc<[StreamInfo]> = streams.into();
        let mut state = self.0.state.lock();
        for tap in &mut state.taps {
            tap.due = Some(Arc::clone(&streams));
            tap.announce();
        }
        state.streams = Some(streams);
    }

    pub(crate) fn unit(&self, unit: &AccessUnit) {
        if self.are_present() {
            self.each(|tap| tap.unit(unit));
        }
    }

    pub(crate) fn lost(&self) {
        if self.are_present() {
            self.each(|tap| {
                tap.waits_for_key = true;
                tap.give(RunObservation::Lost);
            });
        }
    }

    pub(crate) fn results(&self, node: &str, timestamp_90k: u64, found: &Arc<[Inference]>) {
        if self.are_present() {
            self.each(|tap| {
                tap.give(RunObservation::Results {
                    node: node.to_owned(),
                    timestamp_90k,
                    found: Arc::clone(found),
                });
            });
        }
    }

    /// The run has ended.
    pub(crate) fn end(&self) {
        let mut state = self.0.state.lock();
        state.ended = true;
        state.taps.clear();
        self.0.watched.store(false, Ordering::Release);
    }

    fn each(&self, give: impl Fn(&mut Tap)) {
        let mut state = self.0.state.lock();
        state.taps.retain_mut(|tap| {
            give(tap);
            !tap.sender.is_closed()
        });
        if state.taps.is_empty() {
            self.0.watched.store(false, Ordering::Release);
        }
    }
}

impl Tap {
    fn announce(&mut self) -> bool {
        let Some(streams) = self.due.take() else {
            return true;
        };
        let is_given = self
            .sender
            .try_send(RunObservation::Streams(Arc::clone(&streams)))
            .is_ok();
        if !is_given {
            self.due = Some(streams);
        }
        is_given
    }

    fn give(&mut self, observation: RunObservation) -> bool {
        let is_given = self.sender.try_send(observation).is_ok();
        if !is_given {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        is_given
    }

    fn unit(&mut self, unit: &AccessUnit) {
        let is_video = unit.media == lva_rtsp::MediaKind::Video;
        if is_video && self.waits_for_key && !unit.keyframe {
            return;
        }
        let is_given = self.announce() && self.give(RunObservation::Unit(unit.clone()));
        if is_video {
            self.waits_for_key = !is_given;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lva_rtsp::{Codec, MediaKind};

    use super::*;

    fn unit(time: u64, is_key: bool) -> AccessUnit {
        AccessUnit::new(0, time, is_key, Bytes::from_static(&[0, 0, 0, 1, 0x65]))
    }

    fn stream() -> [StreamInfo; 1] {
        [StreamInfo::new(0, MediaKind::Video, Codec::H264, 90_000)]
    }

    fn received(observer: &mut Observer) -> Vec<String> {
        std::iter::from_fn(|| observer.receiver.try_recv().ok())
            .map(|observation| match observation {
                RunObservation::Streams(streams) => format!("{} streams", streams.len()),
                RunObservation::Unit(unit) => unit.timestamp_90k.to_string(),
                RunObservation::Lost => "lost".to_owned(),
                RunObservation::Results { node, found, .. } => format!("{node} found {}", found.len()),
            })
            .collect()
    }

    #[test]
    fn who_comes_later_gets_the_streams_and_starts_at_a_key_frame() {
        let observers = Observers::default();
        observers.streams(&stream());
        let mut observer = observers.observe();
        for (time, is_key) in [(1, false), (2, true), (3, false)] {
            observers.unit(&unit(time, is_key));
        }
        observers.results("ext", 3, &Arc::default());
        observers.lost();
        observers.unit(&unit(4, false));
        assert_eq!(
            received(&mut observer),
            ["1 streams", "2", "3", "ext found 0", "lost"]
        );
    }

    #[test]
    fn a_slow_observer_misses_whole_groups_and_delays_nobody() {
        let observers = Observers::default();
        observers.streams(&stream());
        let (mut slow, mut quick) = (observers.observe(), observers.observe());
        let mut seen = 0;
        for time in 0..QUEUE as u64 + 10 {
            observers.unit(&unit(time, time == 0));
            seen += received(&mut quick).len();
        }
        assert_eq!(seen, QUEUE + 11);
        assert_eq!((slow.missed(), received(&mut slow).len()), (1, QUEUE));
        observers.unit(&unit(1000, false));
        observers.unit(&unit(1001, true));
        assert_eq!(received(&mut slow), ["1001"]);
    }

    #[test]
    fn without_observers_there_is_nothing_to_do_and_the_end_reaches_all() {
        let observers = Observers::default();
        assert!(!observers.are_present());
        let observer = observers.observe();
        assert!(observers.are_present());
        drop(observer);
        observers.unit(&unit(0, true));
        assert!(!observers.are_present());
        let mut last = observers.observe();
        observers.end();
        for observer in [&mut last, &mut observers.observe()] {
            assert!(matches!(
                observer.receiver.try_recv(),
                Err(mpsc::error::TryRecvError::Disconnected)
            ));
        }
    }
}

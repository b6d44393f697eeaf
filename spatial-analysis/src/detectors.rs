//! Detectors for the sessions of an extension.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use lva_extension_protocol::BoxError;
use lva_inference::{DetectError, Detection, Detector, DetectorInfo, Frame};

/// A detector that several sessions share, one frame at a time.
///
/// The longest waiting session comes first. A session has at most one frame in progress, so each of *n* busy sessions gets
/// every *n*-th turn, however fast its camera is; further frames wait at their sender. Preparing a frame is part of a turn.
/// The model is in memory once.
#[derive(Clone)]
pub struct SharedDetector {
    info: DetectorInfo,
    shared: Arc<Shared>,
}

impl SharedDetector {
    /// Shares this detector; clones are handles to the same one.
    pub fn new(detector: impl Detector + 'static) -> Self {
        Self {
            info: detector.info().clone(),
            shared: Arc::new(Shared {
                turns: Mutex::default(),
                next: Condvar::new(),
                detector: Mutex::new(Box::new(detector)),
            }),
        }
    }
}

impl fmt::Debug for SharedDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedDetector").field(&self.info).finish()
    }
}

impl Detector for SharedDetector {
    fn info(&self) -> &DetectorInfo {
        &self.info
    }

    fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        let _turn = self.shared.wait_for_turn();
        lock(&self.shared.detector).detect(frames)
    }
}

/// A mutex alone would not be fair: a busy session could take it again before a waiting one wakes.
struct Shared {
    turns: Mutex<Turns>,
    next: Condvar,
    detector: Mutex<Box<dyn Detector>>,
}

/// Turns are numbered in the order in which sessions ask.
#[derive(Default)]
struct Turns {
    asked: u64,
    ended: u64,
}

impl Shared {
    fn wait_for_turn(&self) -> Turn<'_> {
        let mut turns = lock(&self.turns);
        let mine = turns.asked;
        turns.asked += 1;
        let waited = self.next.wait_while(turns, |turns| turns.ended != mine);
        drop(waited);
        Turn(self)
    }
}

/// Ends the turn when it is dropped, after a panic of the detector too.
struct Turn<'a>(&'a Shared);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.0.turns).ended += 1;
        self.0.next.notify_all();
    }
}

/// A detector that panics reports it by itself on the next call, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Load = dyn Fn() -> Result<Box<dyn Detector>, BoxError> + Send + Sync;

/// Whether sessions share a detector or have one each.
#[derive(Clone)]
pub struct Detectors(Source);

#[derive(Clone)]
enum Source {
    Each(Arc<Load>),
    Shared(SharedDetector),
}

impl Detectors {
    /// One detector for all sessions. Right for expensive models (memory, a GPU) and low frame rates.
    pub fn shared(detector: impl Detector + 'static) -> Self {
        Self(Source::Shared(SharedDetector::new(detector)))
    }

    /// One detector for each session. `load` runs on the session's thread when it starts, while the client waits (usually
    /// not longer than ten seconds). Right where cores are free: sessions do not wait for each other.
    ///
    /// Memory and threads are those of one detector times
    /// [`ServerOptions::with_max_sessions`](lva_extension_protocol::server::ServerOptions::with_max_sessions).
    pub fn each<D, E>(load: impl Fn() -> Result<D, E> + Send + Sync + 'static) -> Self
    where
        D: Detector + 'static,
        E: Into<BoxError>,
    {
        Self(Source::Each(Arc::new(move || {
            let detector = load().map_err(Into::into)?;
            Ok(Box::new(detector) as Box<dyn Detector>)
        })))
    }

    pub(crate) fn for_session(&self) -> Result<Box<dyn Detector>, BoxError> {
        match &self.0 {
            Source::Each(load) => load(),
            Source::Shared(detector) => Ok(Box::new(detector.clone())),
        }
    }
}

impl fmt::Debug for Detectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Each(_) => f.write_str("Detectors::each"),
            Source::Shared(shared) => f.debug_tuple("Detectors::shared").field(&shared.info).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    use lva_inference::{ImageView, PixelFormat};

    use super::*;

    /// Reports each frame by its width, then waits for permission to continue, or for the order to panic.
    struct Slow {
        info: DetectorInfo,
        begun: Sender<u32>,
        permits: Receiver<bool>,
    }

    impl Detector for Slow {
        fn info(&self) -> &DetectorInfo {
            &self.info
        }

        fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
            if let [Frame::Host(view)] = frames {
                self.begun.send(view.width()).unwrap();
            }
            assert!(self.permits.recv().unwrap(), "the test asks for it");
            Ok(vec![Vec::new(); frames.len()])
        }
    }

    fn slow() -> (SharedDetector, Receiver<u32>, Sender<bool>) {
        let (begun, turns) = channel();
        let (permits, allowed) = channel();
        let detector = SharedDetector::new(Slow {
            info: DetectorInfo::new("slow", 8, 8),
            begun,
            permits: allowed,
        });
        (detector, turns, permits)
    }

    fn detect(detector: &mut SharedDetector, width: u32) {
        let pixels = vec![0; width as usize * 3];
        let view = ImageView::packed(&pixels, width, 1, PixelFormat::Bgr24).unwrap();
        assert_eq!(detector.detect(&[view.into()]).unwrap().len(), 1);
    }

    /// Waits until sessions have asked for this many turns.
    fn wait_for_asked(detector: &SharedDetector, turns: u64) {
        while lock(&detector.shared.turns).asked < turns {
            thread::yield_now();
        }
    }

    #[test]
    fn busy_sessions_take_turns_and_idle_ones_cost_nothing() {
        let (shared, turns, permits) = slow();
        assert_eq!(shared.info().model, "slow");
        thread::scope(|scope| {
            // Each session shows its next frame as soon as it has an answer; number 3 has only one.
            for (asked, (width, frames)) in [(1, 5), (2, 5), (3, 1)].into_iter().enumerate() {
                let mut detector = shared.clone();
                scope.spawn(move || (0..frames).for_each(|_| detect(&mut detector, width)));
                wait_for_asked(&shared, asked as u64 + 1);
            }
            let mut order = Vec::new();
            for turn in 0..11 {
                order.push(turns.recv().unwrap());
                // Before it may end, every other session with frames left asks for its next turn.
                let sessions = if turn < 3 { 3 } else { 2 };
                wait_for_asked(&shared, (turn + sessions).min(11));
                permits.send(true).unwrap();
            }
            assert_eq!(order, [1, 2, 3, 1, 2, 1, 2, 1, 2, 1, 2]);
        });
    }

    #[test]
    fn a_session_whose_turn_panics_does_not_hold_up_the_others() {
        let (shared, turns, permits) = slow();
        let mut failing = shared.clone();
        let failed = thread::spawn(move || detect(&mut failing, 1));
        turns.recv().unwrap();
        let mut staying = shared.clone();
        let waiting = thread::spawn(move || detect(&mut staying, 2));
        wait_for_asked(&shared, 2);
        permits.send(false).unwrap();
        assert!(failed.join().is_err());
        permits.send(true).unwrap();
        waiting.join().unwrap();
    }
}

//! Detectors for async code.

use std::fmt;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use futures_channel::oneshot;

use crate::{DetectError, Detector, DetectorInfo};

type Job = Box<dyn FnOnce(&mut dyn Detector) + Send>;

/// A [`Detector`] on its own thread, for async code. Needs no particular runtime.
///
/// Frames are borrowed and cannot go to another thread, so a job takes their owner along:
///
/// ```
/// # use lva_inference::*;
/// type AnyError = Box<dyn std::error::Error + Send + Sync>;
///
/// async fn count(detector: &mut AsyncDetector, pixels: Vec<u8>) -> Result<usize, AnyError> {
///     let found = detector.run(move |detector| -> Result<usize, AnyError> {
///         let view = ImageView::packed(&pixels, 640, 360, PixelFormat::Bgr24)?;
///         Ok(detector.detect(&[view.into()])?[0].len())
///     });
///     found.await?
/// }
/// ```
///
/// Dropping it closes the thread after the job under way, without waiting.
pub struct AsyncDetector {
    info: DetectorInfo,
    jobs: SyncSender<Job>,
    /// Closes when the job under way ends. It stays here when the caller's future is dropped.
    under_way: Option<oneshot::Receiver<()>>,
}

impl AsyncDetector {
    /// Moves the detector to a thread named `lva-inference`.
    ///
    /// # Errors
    ///
    /// The operating system has no thread to give. May pass.
    pub fn new(mut detector: impl Detector + 'static) -> io::Result<Self> {
        let info = detector.info().clone();
        // At most one job is under way, so sending never blocks.
        let (jobs, queue) = sync_channel::<Job>(1);
        thread::Builder::new()
            .name("lva-inference".to_owned())
            .spawn(move || {
                for job in queue {
                    job(&mut detector);
                }
            })?;
        Ok(Self {
            info,
            jobs,
            under_way: None,
        })
    }

    /// What the detector is and what it runs on.
    pub fn info(&self) -> &DetectorInfo {
        &self.info
    }

    /// Runs a job on the detector's thread and returns its result.
    ///
    /// The future may be dropped: the job goes on, its result is lost, and the next call waits for its end. Jobs
    /// never pile up.
    ///
    /// # Errors
    ///
    /// [`DetectError::Panicked`] if this job or an earlier one panicked.
    pub async fn run<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut dyn Detector) -> T + Send + 'static,
    ) -> Result<T, DetectError> {
        self.idle().await;
        let (reply, answer) = oneshot::channel();
        let (done, under_way) = oneshot::channel();
        let job: Job = Box::new(move |detector| {
            let result = job(detector);
            // Fails when the caller's future was dropped.
            let _ = reply.send(result);
            drop(done);
        });
        if self.jobs.try_send(job).is_ok() {
            self.under_way = Some(under_way);
        }
        answer.await.map_err(|_| DetectError::Panicked {
            model: self.info.model.clone(),
        })
    }

    /// Waits for the job of an earlier call.
    async fn idle(&mut self) {
        if let Some(under_way) = &mut self.under_way {
            // Nothing is ever sent: the channel closes when the job returns or panics.
            let _ = under_way.await;
            self.under_way = None;
        }
    }
}

impl fmt::Debug for AsyncDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncDetector")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc::channel;
    use std::task::Poll;

    use pollster::block_on;

    use super::*;
    use crate::{Detection, Frame};

    struct Blind(DetectorInfo);

    impl Detector for Blind {
        fn info(&self) -> &DetectorInfo {
            &self.0
        }

        fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
            Ok(vec![Vec::new(); frames.len()])
        }
    }

    fn detector() -> AsyncDetector {
        AsyncDetector::new(Blind(DetectorInfo::new("blind", 8, 8))).unwrap()
    }

    /// Polls once and drops.
    fn poll_and_drop<F: Future>(future: F) {
        let mut future = Box::pin(future);
        block_on(poll_fn(|context| {
            assert!(future.as_mut().poll(context).is_pending());
            Poll::Ready(())
        }));
    }

    #[test]
    fn a_dropped_future_leaves_the_detector_usable() {
        let mut detector = detector();
        let (steps, gate) = channel::<()>();
        let mut gate = Some(gate);
        for _ in 0..3 {
            // The first call starts a job that waits; the others wait for its end.
            let gate = gate.take();
            poll_and_drop(detector.run(move |_| gate.map(|gate| gate.recv())));
        }
        steps.send(()).unwrap();
        let found = block_on(detector.run(|detector| detector.detect(&[])));
        assert!(found.unwrap().unwrap().is_empty());
        // Dropped with a job under way, whose result no caller wants.
        let ((steps, gate), (begins, has_begun)) = (channel::<()>(), channel());
        poll_and_drop(detector.run(move |_| {
            begins.send(()).unwrap();
            gate.recv()
        }));
        has_begun.recv().unwrap();
        drop(detector);
        steps.send(()).unwrap();
    }

    #[test]
    fn a_panic_is_reported_every_time() {
        let mut detector = detector();
        let failed = block_on(detector.run(|_| -> () { panic!("the test asks for it") }));
        assert!(matches!(failed, Err(DetectError::Panicked { model }) if model == "blind"));
        let failed = block_on(detector.run(|_| ()));
        assert!(matches!(failed, Err(DetectError::Panicked { .. })));
        assert_eq!(detector.info().model, "blind");
    }
}

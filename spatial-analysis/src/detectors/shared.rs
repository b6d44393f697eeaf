//! One detector for several sessions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lva_inference::{
    ColorSpace, DetectError, Detection, Detector, DetectorInfo, Frame, ImageView, PixelFormat,
};

use super::batches::{Batches, Turn};

/// The longest that a frame waits for others, whatever is asked for: longer waits cost more than batches gain.
const MOST_WAIT: Duration = Duration::from_secs(1);

/// A detector that several sessions share: one frame at a time, or batches of frames of several sessions.
///
/// The longest waiting session comes first. A session has at most one frame in progress, so each of *n* busy sessions gets
/// every *n*-th turn, however fast its camera is; further frames wait at their sender. The model is in memory once.
pub struct SharedDetector {
    info: DetectorInfo,
    shared: Arc<Shared>,
    /// It has shown a frame, and counts as a session.
    is_session: bool,
    /// Reused from frame to frame where frames are copied.
    buffer: Vec<u8>,
}

/// What a shared detector ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BatchStats {
    /// Calls of the detector.
    pub batches: u64,
    /// Frames in them.
    pub frames: u64,
}

impl SharedDetector {
    /// Shares this detector, one frame at a time; clones are handles to the same one. Preparing a frame is part of a turn.
    pub fn new(detector: impl Detector + 'static) -> Self {
        Self::of(detector, 1, Duration::ZERO)
    }

    /// Shares this detector in batches of up to [`DetectorInfo::largest_batch`] frames, one of each session. A batch runs as soon
    /// as it is full or has a frame of every session, and `wait` (at most a second) after its first frame came at the latest.
    /// While the model runs, frames collect: with a wait of zero nothing waits longer than without batches.
    ///
    /// Right where a batch takes less time than its frames one by one: on a GPU, and on a server. Each frame is copied once, since
    /// its session owns it. If a batch fails, its frames run one by one, so that only the one at fault has an error.
    pub fn in_batches(detector: impl Detector + 'static, wait: Duration) -> Self {
        let largest = detector.info().largest_batch;
        Self::of(detector, largest, wait.min(MOST_WAIT))
    }

    fn of(detector: impl Detector + 'static, largest: usize, wait: Duration) -> Self {
        Self {
            info: detector.info().clone(),
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    batches: Batches::new(largest, wait),
                    inputs: BTreeMap::new(),
                    answers: BTreeMap::new(),
                    stats: BatchStats::default(),
                }),
                changed: Condvar::new(),
                detector: Mutex::new(Box::new(detector)),
            }),
            is_session: false,
            buffer: Vec::new(),
        }
    }

    /// What the detector ran for all sessions.
    pub fn batch_stats(&self) -> BatchStats {
        lock(&self.shared.state).stats
    }
}

impl Clone for SharedDetector {
    fn clone(&self) -> Self {
        Self {
            info: self.info.clone(),
            shared: Arc::clone(&self.shared),
            is_session: false,
            buffer: Vec::new(),
        }
    }
}

impl Drop for SharedDetector {
    fn drop(&mut self) {
        if self.is_session {
            lock(&self.shared.state).batches.close_session();
            // A batch may be complete without it.
            self.shared.changed.notify_all();
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
        let mut state = lock(&self.shared.state);
        if !self.is_session {
            state.batches.open_session();
            self.is_session = true;
        }
        let joins = state.batches.joins_frames();
        drop(state);
        let input = match frames {
            [Frame::Host(view)] if joins => Some(CopiedFrame::of(view, std::mem::take(&mut self.buffer))),
            _ => None,
        };
        let model = || self.info.model.clone();
        let answer = match self.shared.ask(input) {
            Waited::Answered(answer) => answer,
            Waited::Leads { tickets, inputs } => {
                let mut lead = Lead {
                    shared: &self.shared,
                    model: model(),
                    others: tickets,
                };
                match inputs.is_empty() {
                    true => return lead.run_alone(frames),
                    false => lead.run(inputs),
                }
            }
        };
        self.buffer = answer.buffer;
        // A detector that does not answer gives no answer here either.
        answer.found.map(|found| found.into_iter().collect())
    }
}

/// A mutex alone would not be fair: a busy session could take it again before a waiting one wakes.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    detector: Mutex<Box<dyn Detector>>,
}

/// At most one frame of each session, so no more than there are sessions.
struct State {
    batches: Batches,
    /// Frames that wait, by ticket.
    inputs: BTreeMap<u64, CopiedFrame>,
    /// Answers that their sessions have not yet taken, by ticket.
    answers: BTreeMap<u64, Answer>,
    stats: BatchStats,
}

/// What was found in one frame; `None` where the detector left it out.
type Found = Result<Option<Vec<Detection>>, DetectError>;

/// The answer to one frame, with the buffer that held it.
struct Answer {
    found: Found,
    buffer: Vec<u8>,
}

enum Waited {
    /// Another session has run the frame.
    Answered(Answer),
    /// This session runs a batch: the tickets of the others in it, and all frames, its own first; no frames for a call that
    /// joins nobody.
    Leads {
        tickets: Vec<u64>,
        inputs: Vec<CopiedFrame>,
    },
}

impl Shared {
    /// Waits for the answer to a frame, or for the turn to run it.
    fn ask(&self, input: Option<CopiedFrame>) -> Waited {
        let mut state = lock(&self.state);
        let ticket = state.batches.ask(Instant::now(), input.is_some());
        if let Some(input) = input {
            state.inputs.insert(ticket, input);
            // The one who runs the next batch may have waited for this frame.
            self.changed.notify_all();
        }
        loop {
            if let Some(answer) = state.answers.remove(&ticket) {
                return Waited::Answered(answer);
            }
            let now = Instant::now();
            state = match state.batches.turn(ticket, now) {
                Turn::Runs(frames) => {
                    let tickets = state.batches.begin(frames);
                    let inputs: Vec<_> = tickets.iter().filter_map(|of| state.inputs.remove(of)).collect();
                    state.stats.batches += 1;
                    state.stats.frames += frames as u64;
                    let tickets = tickets.into_iter().skip(1).collect();
                    return Waited::Leads { tickets, inputs };
                }
                Turn::Waits => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Turn::WaitsUntil(due) => {
                    let wait = due.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// Ends a batch when it is dropped, after a panic of the detector too: then the others in it have an error.
struct Lead<'a> {
    shared: &'a Shared,
    model: String,
    /// Tickets of the other sessions that have no answer yet.
    others: Vec<u64>,
}

impl Lead<'_> {
    fn run_alone(&self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        lock(&self.shared.detector).detect(frames)
    }

    /// Runs a batch, and answers the others. Returns the answer to the first frame.
    fn run(&mut self, inputs: Vec<CopiedFrame>) -> Answer {
        let found = detect_each(&mut **lock(&self.shared.detector), &inputs);
        let mut answers = found.into_iter().zip(inputs).map(|(found, input)| Answer {
            found,
            buffer: input.bytes,
        });
        let own = answers.next();
        let mut state = lock(&self.shared.state);
        for (ticket, answer) in std::mem::take(&mut self.others).into_iter().zip(answers) {
            state.answers.insert(ticket, answer);
        }
        drop(state);
        own.unwrap_or(Answer {
            found: Ok(None),
            buffer: Vec::new(),
        })
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        for ticket in self.others.drain(..) {
            let found = Err(DetectError::Panicked {
                model: self.model.clone(),
            });
            let buffer = Vec::new();
            state.answers.insert(ticket, Answer { found, buffer });
        }
        state.batches.end();
        drop(state);
        self.shared.changed.notify_all();
    }
}

/// One result for each frame.
fn detect_each(detector: &mut dyn Detector, inputs: &[CopiedFrame]) -> Vec<Found> {
    let views: Vec<Frame<'_>> = inputs.iter().filter_map(CopiedFrame::frame).collect();
    match detector.detect(&views) {
        Ok(found) => {
            let mut found = found.into_iter();
            inputs.iter().map(|_| Ok(found.next())).collect()
        }
        Err(error) if views.len() == 1 => vec![Err(error)],
        Err(_) => {
            let alone = views.iter().map(|frame| detector.detect(&[*frame]));
            alone
                .map(|found| found.map(|found| found.into_iter().next()))
                .collect()
        }
    }
}

/// A frame that another session's thread may run.
struct CopiedFrame {
    bytes: Vec<u8>,
    size: (u32, u32),
    stride: usize,
    format: PixelFormat,
    color_space: ColorSpace,
}

impl CopiedFrame {
    fn of(view: &ImageView<'_>, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.extend_from_slice(view.bytes());
        Self {
            bytes: buffer,
            size: (view.width(), view.height()),
            stride: view.stride(),
            format: view.format(),
            color_space: view.color_space(),
        }
    }

    /// It was a view, so it is one again.
    fn frame(&self) -> Option<Frame<'_>> {
        let (width, height) = self.size;
        let view = ImageView::new(&self.bytes, width, height, self.stride, self.format).ok()?;
        Some(Frame::Host(view.with_color_space(self.color_space)))
    }
}

/// A detector that panics reports it by itself on the next call, so a poisoned lock is as good as any.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

//! A running session: slots, sent frames, answers.

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use lva_inference_schema::Inference;
use lva_media_types::clean_text;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};
use tokio::time::Instant;
use tonic::Streaming;

use super::error::{NoSlot, PeerStatus, SendError, SentForm, SessionError};
use super::in_flight::{Acknowledged, InFlightWindow, Limits, Overdue};
use super::stats::{Counters, SessionStats};
use super::store::{Memory, SentMemory, Store};
use crate::counters::{count, count_many};
use crate::shared_memory::Region;
use crate::slots::TakeError;
use crate::wire::media_stream_descriptor::StreamIdentifier;
use crate::wire::media_stream_message::Payload;
use crate::wire::{self, MediaStreamMessage};
use crate::{bounds, convert};

/// An open session. Its two halves may be used from different tasks and threads.
#[derive(Debug)]
#[non_exhaustive]
pub struct Session<C> {
    /// Sends frames. Dropping it half-closes the session: answers still arrive.
    pub frames: FrameSender<C>,
    /// Receives answers. Must be polled, or no slot is released; dropping it ends the session.
    pub answers: Answers<C>,
    /// The extension's description of itself.
    pub peer: PeerDescription,
}

/// An extension's description of itself. Both members are optional in practice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PeerDescription {
    /// Its name, at most 200 characters of it; often empty.
    pub identifier: String,
    /// Its ticks per second; 0 if absent.
    pub timescale: u32,
}

impl PeerDescription {
    pub(super) fn from_wire(descriptor: wire::MediaStreamDescriptor) -> Self {
        let identifier = match descriptor.stream_identifier {
            Some(StreamIdentifier::ExtensionIdentifier(name)) => clean_text(&name, 200),
            Some(StreamIdentifier::GraphIdentifier(_)) | None => String::new(),
        };
        Self {
            identifier,
            timescale: descriptor.media_descriptor.map_or(0, |media| media.timescale),
        }
    }
}

/// What a frame holds until it is acknowledged. Dropping it reopens the window.
#[derive(Debug)]
struct Held {
    memory: SentMemory,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct PendingFrame<C> {
    timestamp_90k: u64,
    context: C,
}

struct Shared<C> {
    state: Mutex<State<C>>,
    window: Arc<Semaphore>,
    window_size: usize,
    frame_limit: usize,
    store: Store,
    counters: Counters,
    sent_form: SentForm,
}

struct State<C> {
    in_flight: InFlightWindow<PendingFrame<C>, Held>,
    /// `None` after the half-close and after the end.
    outgoing: Option<mpsc::Sender<MediaStreamMessage>>,
    /// Frames in flight when the session ended.
    unanswered: Vec<Unanswered<C>>,
}

impl<C> Shared<C> {
    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock()
    }

    /// Stops sending. Frames in flight may still be answered.
    fn finish(&self) {
        let mut state = self.state();
        state.outgoing = None;
        state.in_flight.finish(Instant::now().into_std());
        drop(state);
        self.window.close();
    }

    /// Stops sending and receiving.
    fn end(&self) {
        self.window.close();
        let mut state = self.state();
        state.outgoing = None;
        let left = state.in_flight.drain().into_iter().map(Unanswered::new);
        let left: Vec<_> = left.collect();
        count_many(&self.counters.abandoned, left.len() as u64);
        state.unanswered.extend(left);
    }
}

impl<C> fmt::Debug for Shared<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("window_size", &self.window_size)
            .field("frame_limit", &self.frame_limit)
            .finish_non_exhaustive()
    }
}

impl<C: Send + 'static> Session<C> {
    /// Without `inbound`, no message ever arrives.
    pub(super) fn new(
        store: Store,
        limits: Limits,
        frame_limit: usize,
        sent_form: SentForm,
        peer: PeerDescription,
        outgoing: mpsc::Sender<MediaStreamMessage>,
        inbound: Option<Streaming<MediaStreamMessage>>,
    ) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                in_flight: InFlightWindow::new(limits),
                outgoing: Some(outgoing),
                unanswered: Vec::new(),
            }),
            window: Arc::new(Semaphore::new(limits.window)),
            window_size: limits.window,
            frame_limit,
            store,
            counters: Counters::default(),
            sent_form,
        });
        Self {
            frames: FrameSender {
                shared: Arc::clone(&shared),
            },
            answers: Answers { inbound, shared },
            peer,
        }
    }
}

/// The sending half of a session. No method blocks, so rendering threads and async tasks may both use it.
#[derive(Debug)]
pub struct FrameSender<C> {
    shared: Arc<Shared<C>>,
}

impl<C> FrameSender<C> {
    /// A slot with the exact size of a raw frame or the largest size of an encoded one; empty in a session without frames.
    ///
    /// # Errors
    ///
    /// [`NoSlot`]; each reason has a counter.
    pub fn slot(&self) -> Result<FrameSlot<C>, NoSlot> {
        self.slot_with_size(self.shared.frame_limit)
    }

    /// A slot for an encoded frame of known size.
    ///
    /// # Errors
    ///
    /// [`NoSlot`]; each reason has a counter.
    pub fn slot_with_size(&self, bytes: usize) -> Result<FrameSlot<C>, NoSlot> {
        let shared = &self.shared;
        if bytes > shared.frame_limit {
            count(&shared.counters.refused_too_large);
            return Err(NoSlot::TooLarge {
                bytes,
                limit: shared.frame_limit,
            });
        }
        let permit = match Arc::clone(&shared.window).try_acquire_owned() {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits) => {
                count(&shared.counters.refused_window_full);
                return Err(NoSlot::WindowFull);
            }
            Err(TryAcquireError::Closed) => {
                count(&shared.counters.refused_ended);
                return Err(NoSlot::Ended);
            }
        };
        let memory = match shared.store.take(bytes) {
            Ok(memory) => memory,
            Err(TakeError::NoSpace) => {
                count(&shared.counters.refused_no_space);
                return Err(NoSlot::NoSpace);
            }
            Err(TakeError::TooLarge) => {
                count(&shared.counters.refused_too_large);
                let limit = shared.store.region().map_or(shared.frame_limit, Region::length);
                return Err(NoSlot::TooLarge { bytes, limit });
            }
        };
        Ok(FrameSlot {
            shared: Arc::clone(shared),
            memory,
            permit,
        })
    }

    /// Waits until the window is open or the session has ended. [`slot`](Self::slot) may still fail: another caller may
    /// take the slot first, and encoded frames of different sizes may find no free range.
    pub async fn ready(&self) {
        let _ = self.shared.window.acquire().await;
    }

    /// Half-closes the session: no more frames are sent, and frames in flight are still answered. Servers that hold back
    /// the last answer send it now.
    pub fn finish(&self) {
        self.shared.finish();
    }

    /// Frames in flight: sent and not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.shared.state().in_flight.len()
    }

    /// Most frames in flight.
    pub fn window(&self) -> usize {
        self.shared.window_size
    }

    /// The counters now.
    pub fn stats(&self) -> SessionStats {
        self.shared.counters.snapshot()
    }
}

impl<C> Drop for FrameSender<C> {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Memory for one frame: render into it, then send it. Dropping it unsent releases it.
///
/// It still contains its previous bytes: an older frame, or zeros.
#[derive(Debug)]
pub struct FrameSlot<C> {
    shared: Arc<Shared<C>>,
    memory: Memory,
    permit: OwnedSemaphorePermit,
}

impl<C> FrameSlot<C> {
    /// Keeps the first `bytes` bytes, for an encoded frame that is smaller than expected. At least 1 remains.
    pub fn truncate(&mut self, bytes: usize) {
        self.memory.truncate(bytes);
    }

    /// Sends the frame with its `upstream` inferences, and returns the number that its answer will acknowledge.
    /// `timestamp_90k`: ticks of 1/90000 s since 1970. `context` is returned with the answer.
    ///
    /// # Errors
    ///
    /// The session has ended or is half-closed; the error contains the context.
    pub fn send(self, timestamp_90k: u64, upstream: &[Inference], context: C) -> Result<u64, SendError<C>> {
        let Self {
            shared,
            memory,
            permit,
        } = self;
        let (content, memory) = memory.into_sent();
        let embedded = matches!(memory, SentMemory::Embedded(_));
        let sample = wire::MediaSample {
            timestamp: timestamp_90k,
            inferences: convert::inferences_to_wire(upstream),
            content,
        };
        let mut state = shared.state();
        // Before the frame is on its way: the answer may come before this thread runs again.
        let sent_at = Instant::now().into_std();
        // The channel has capacity for the whole window, so it is full only after the connection died.
        let sent = state.outgoing.as_ref().is_some_and(|outgoing| {
            let message = MediaStreamMessage {
                sequence_number: state.in_flight.next_sequence(),
                ack_sequence_number: 0,
                payload: Some(Payload::MediaSample(sample)),
            };
            outgoing.try_send(message).is_ok()
        });
        if !sent {
            drop(state);
            count(&shared.counters.refused_ended);
            return Err(SendError { context });
        }
        let held = Held {
            memory,
            _permit: permit,
        };
        let sequence = state.in_flight.on_sent(
            PendingFrame {
                timestamp_90k,
                context,
            },
            held,
            sent_at,
        );
        // Under the lock, which an answer waits for: no more frames are answered than sent.
        count(&shared.counters.sent);
        drop(state);
        count_many(&shared.counters.frame_copies, embedded.into());
        Ok(sequence)
    }
}

impl<C> Deref for FrameSlot<C> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.bytes()
    }
}

impl<C> DerefMut for FrameSlot<C> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut()
    }
}

/// An event of a session.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SessionEvent<C> {
    /// The extension answered a frame.
    Answered(Answer<C>),
    /// The extension skipped a frame: later ones were answered, this one was not in time. No answer to it is delivered
    /// any more; its memory stays allocated, because the extension may still read it.
    Skipped(Unanswered<C>),
    /// The extension sent results apart from its answers: they acknowledge no frame, or one that it had acknowledged before.
    /// Such an acknowledgement and its results are one answer.
    Results(SeparateResults),
}

/// Results that came apart from an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SeparateResults {
    /// The number of the frame that they name; `None` where they name none.
    pub sequence: Option<u64>,
    /// The time that the extension gave them, in ticks of 1/90000 s since 1970; real servers leave it at 0.
    pub timestamp_90k: u64,
    /// The inferences, at least one.
    pub inferences: Vec<Inference>,
}

/// An extension's answer to one frame.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer<C> {
    /// The number that sending the frame returned.
    pub sequence: u64,
    /// The frame's own time, not the one in the answer: real servers leave that at 0.
    pub timestamp_90k: u64,
    /// The caller's value.
    pub context: C,
    /// The inferences; empty for a plain acknowledgement. Boxes are fractions of the frame as sent: a caller that padded
    /// the frame maps them back.
    pub inferences: Vec<Inference>,
    /// From sending to this answer.
    pub round_trip: Duration,
}

/// A frame that was sent and not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unanswered<C> {
    /// The number that sending the frame returned.
    pub sequence: u64,
    /// The frame's time.
    pub timestamp_90k: u64,
    /// The caller's value.
    pub context: C,
}

impl<C> Unanswered<C> {
    fn new((sequence, frame): (u64, PendingFrame<C>)) -> Self {
        Self {
            sequence,
            timestamp_90k: frame.timestamp_90k,
            context: frame.context,
        }
    }
}

/// The receiving half of a session.
#[derive(Debug)]
pub struct Answers<C> {
    /// Before `shared`, so that the stream is cancelled before the region's file goes away. `None` after the end.
    inbound: Option<Streaming<MediaStreamMessage>>,
    shared: Arc<Shared<C>>,
}

impl<C> Answers<C> {
    /// The next answer, in the order of arrival. `None` once both sides have closed the session, and after any end.
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// The session ended in another way; returned once. [`take_unanswered`](Self::take_unanswered) returns the frames
    /// that were in flight.
    pub async fn next(&mut self) -> Result<Option<SessionEvent<C>>, SessionError> {
        loop {
            let Some(inbound) = &mut self.inbound else {
                return Ok(None);
            };
            let now = Instant::now().into_std();
            let overdue = self.shared.state().in_flight.take_overdue(now);
            match overdue {
                Some(Overdue::Frame { sequence, context }) => {
                    count(&self.shared.counters.unanswered);
                    return Ok(Some(SessionEvent::Skipped(Unanswered::new((sequence, context)))));
                }
                Some(Overdue::PeerStalled { sequence, waited }) => {
                    return self.end(Err(SessionError::AnswerTimeout { sequence, waited }));
                }
                None => {}
            }
            let wake_at = self.shared.state().in_flight.wake_at(now);
            let message = tokio::select! {
                biased;
                message = inbound.message() => message,
                () = tokio::time::sleep_until(wake_at.into()) => continue,
            };
            match message {
                Ok(Some(message)) => {
                    if let Some(event) = self.read(message) {
                        return Ok(Some(event));
                    }
                }
                Ok(None) => {
                    let finished = self.shared.state().in_flight.is_finished();
                    return self.end(if finished {
                        Ok(None)
                    } else {
                        Err(SessionError::ClosedByPeer)
                    });
                }
                Err(status) => {
                    let status = PeerStatus::new(&status, self.shared.sent_form);
                    return self.end(Err(SessionError::Status(status)));
                }
            }
        }
    }

    /// The frames that were in flight when the session ended, oldest first; each once.
    pub fn take_unanswered(&mut self) -> Vec<Unanswered<C>> {
        std::mem::take(&mut self.shared.state().unanswered)
    }

    /// Ends the session if it has not ended, and returns what [`take_unanswered`](Self::take_unanswered) would. A frame that
    /// was [`Skipped`](SessionEvent::Skipped) is not among them.
    pub fn abandon(&mut self) -> Vec<Unanswered<C>> {
        self.inbound = None;
        self.shared.end();
        self.take_unanswered()
    }

    /// The counters now.
    pub fn stats(&self) -> SessionStats {
        self.shared.counters.snapshot()
    }

    fn end<T>(&mut self, how: Result<T, SessionError>) -> Result<T, SessionError> {
        self.inbound = None;
        self.shared.end();
        how
    }

    fn read(&self, message: MediaStreamMessage) -> Option<SessionEvent<C>> {
        let counters = &self.shared.counters;
        let (own_time, found) = match message.payload {
            Some(Payload::MediaSample(sample)) => (sample.timestamp, sample.inferences),
            None => (0, Vec::new()),
            Some(Payload::MediaStreamDescriptor(_)) => {
                count(&counters.unexpected_descriptors);
                return None;
            }
        };
        let now = Instant::now().into_std();
        let acknowledged = self
            .shared
            .state()
            .in_flight
            .acknowledge(message.ack_sequence_number, now);
        match acknowledged {
            Acknowledged::Frame {
                sequence,
                context,
                memory,
                round_trip,
            } => {
                self.shared.store.release(memory.memory);
                let inferences = self.inferences(found);
                count(&counters.answered);
                let PendingFrame {
                    timestamp_90k,
                    context,
                } = context;
                return Some(SessionEvent::Answered(Answer {
                    sequence,
                    timestamp_90k,
                    context,
                    inferences,
                    round_trip,
                }));
            }
            Acknowledged::Late { memory } => {
                self.shared.store.release(memory.memory);
                count(&counters.late_answers);
            }
            Acknowledged::Nothing => {
                count(&counters.zero_acks);
                return self.separate(None, own_time, found);
            }
            Acknowledged::Repeated => {
                count(&counters.repeated_acks);
                return self.separate(Some(message.ack_sequence_number), own_time, found);
            }
            Acknowledged::Unknown => count(&counters.unknown_acks),
        }
        None
    }

    fn separate(
        &self,
        sequence: Option<u64>,
        timestamp_90k: u64,
        found: Vec<wire::Inference>,
    ) -> Option<SessionEvent<C>> {
        let inferences = self.inferences(found);
        (!inferences.is_empty()).then_some(SessionEvent::Results(SeparateResults {
            sequence,
            timestamp_90k,
            inferences,
        }))
    }

    fn inferences(&self, found: Vec<wire::Inference>) -> Vec<Inference> {
        let counters = &self.shared.counters;
        let (mut inferences, without_value) = convert::inferences_from_wire(found);
        let left_out = bounds::bound(&mut inferences);
        count_many(&counters.inferences_left_out, left_out.inferences);
        count_many(&counters.parts_left_out, left_out.parts);
        count_many(&counters.inferences, inferences.len() as u64);
        count_many(&counters.inferences_without_value, without_value);
        let outside = inferences.iter().filter(|found| is_out_of_bounds(found)).count();
        count_many(&counters.boxes_out_of_range, outside as u64);
        inferences
    }
}

impl<C> Drop for Answers<C> {
    fn drop(&mut self) {
        self.inbound = None;
        self.shared.end();
    }
}

/// Whether a box leaves the picture by more than rounding.
fn is_out_of_bounds(found: &Inference) -> bool {
    const ROUNDING: f64 = 1e-3;
    let Some(bbox) = found.bounding_box() else {
        return false;
    };
    let inside = |value: f64| (-ROUNDING..=1.0 + ROUNDING).contains(&value);
    let (l, t, w, h) = (bbox.l.get(), bbox.t.get(), bbox.w.get(), bbox.h.get());
    !(inside(l) && inside(t) && inside(l + w) && inside(t + h) && w >= 0.0 && h >= 0.0)
}

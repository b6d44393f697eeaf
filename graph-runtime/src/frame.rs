//! Decoded pictures on their way from node to node, and where the newest one waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use lva_framing::{Pacer, Picture};
use lva_inference_schema::Inference;
use tokio::sync::Notify;

use crate::extension::Entrance;
use crate::extension::WayOut;
use crate::stats::{Counters, DropReason};

/// A decoded picture on its way to an extension.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) picture: Picture,
    pub(crate) about: About,
}

/// What is known about a picture, with and without its pixels. Places are fractions of the camera's picture.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) timestamp_90k: u64,
    /// Width by height.
    pub(crate) aspect: f64,
    /// When the first packet of its unit arrived.
    pub(crate) received_at: Instant,
    /// Number of the media session that it belongs to; rises when the camera was lost for long.
    pub(crate) epoch: u64,
    /// What moves in it, where it came past a motion node.
    pub(crate) motion: Arc<[Inference]>,
    /// What the extensions before have found.
    pub(crate) results: Arc<[Inference]>,
    /// Held until the extension is done with it, where other extensions are behind that one.
    turn: Option<Turn>,
}

/// A picture that an extension node is done with, or that is on its way to the extension: the pixels are only kept where
/// another extension wants them.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) about: About,
    picture: Option<Picture>,
}

impl Frame {
    pub(crate) fn new(picture: Picture, received_at: Instant, epoch: u64, motion: Arc<[Inference]>) -> Self {
        let about = About {
            timestamp_90k: picture.timestamp_90k(),
            aspect: f64::from(picture.width()) / f64::from(picture.height().max(1)),
            received_at,
            epoch,
            motion,
            results: Arc::default(),
            turn: None,
        };
        Self { picture, about }
    }

    /// The pixels for now, and what stays when they are rendered.
    pub(crate) fn split(self) -> (Picture, Leaving) {
        let kept = self.about.turn.is_some().then(|| self.picture.clone());
        let leaving = Leaving {
            about: self.about,
            picture: kept,
        };
        (self.picture, leaving)
    }

    /// It leaves as it is.
    pub(crate) fn leaving(self) -> Leaving {
        self.split().1
    }
}

impl About {
    fn is_annotated(&self) -> bool {
        !self.motion.is_empty() || !self.results.is_empty()
    }

    /// Everything that was found before.
    pub(crate) fn found(&self) -> Arc<[Inference]> {
        match (self.motion.is_empty(), self.results.is_empty()) {
            (_, true) => Arc::clone(&self.motion),
            (true, false) => Arc::clone(&self.results),
            (false, false) => self.motion.iter().chain(self.results.iter()).cloned().collect(),
        }
    }

    /// The same for another node. Not its turn, which is this node's.
    fn copy(&self) -> Self {
        Self {
            timestamp_90k: self.timestamp_90k,
            aspect: self.aspect,
            received_at: self.received_at,
            epoch: self.epoch,
            motion: Arc::clone(&self.motion),
            results: Arc::clone(&self.results),
            turn: None,
        }
    }
}

/// Where the newest picture waits for one extension. A newer one takes its place.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    inner: Mutex<Slot>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Slot {
    frame: Option<Frame>,
    closed: bool,
}

impl Mailbox {
    /// Puts a picture in; returns the one that it replaces.
    pub(crate) fn put(&self, frame: Frame) -> Option<Frame> {
        let mut slot = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = slot.frame.replace(frame);
        drop(slot);
        self.changed.notify_one();
        replaced
    }

    /// The newest picture, if one waits.
    pub(crate) fn take(&self) -> Option<Frame> {
        let mut slot = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        slot.frame.take()
    }

    /// No more pictures come.
    pub(crate) fn close(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    /// Waits until a picture was put in or the mailbox was closed, since the last wait. For one waiter.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The newest picture, as soon as there is one; `None` when no more come.
    pub(crate) async fn next(&self) -> Option<Frame> {
        loop {
            if self.is_closed() {
                return None;
            }
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            self.changed().await;
        }
    }

    /// Until no more pictures come.
    pub(crate) async fn closed(&self) {
        while !self.is_closed() {
            self.changed().await;
        }
    }
}

/// What becomes of a picture at an extension node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// A filter before the node holds it back: it goes nowhere.
    Held,
    /// The extension is not shown it; it goes on to the nodes behind.
    PassedBy,
    /// The extension is shown it.
    Shown,
}

/// The way into one extension node.
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) node: String,
    /// Place of the motion node before it.
    pub(crate) motion: Option<usize>,
    /// Filters before the node.
    pub(crate) filters: Vec<Pacer>,
    /// The node's own limit, where what exceeds it goes on to other extensions; otherwise it is one of the filters.
    pub(crate) own: Option<Pacer>,
    pub(crate) annotated_only: bool,
    pub(crate) entrance: Entrance,
    /// Extensions behind this one.
    pub(crate) passage: Option<Arc<Passage>>,
    /// By which results of extensions before leave, where the node's own extension is not shown the frame.
    pub(crate) way_out: WayOut,
}

impl Tap {
    /// Every filter counts what reaches it, so a later one is not asked about what an earlier one holds back.
    pub(crate) fn admits(&mut self, time: u64, annotated: bool) -> Admission {
        if !self.filters.iter_mut().all(|pacer| pacer.admit(time)) {
            return Admission::Held;
        }
        if self.annotated_only && !annotated {
            return Admission::PassedBy;
        }
        match self.own.as_mut().is_none_or(|own| own.admit(time)) {
            true => Admission::Shown,
            false => Admission::PassedBy,
        }
    }

    /// Time between pictures at the slowest of its filters; `None` for every picture.
    pub(crate) fn interval_90k(&self) -> Option<u64> {
        self.filters.iter().map(|pacer| pacer.rate().interval_90k()).max()
    }

    /// No picture before this time gets past its filters; `None` where the next one may.
    pub(crate) fn not_before_90k(&self) -> Option<u64> {
        self.filters.iter().filter_map(Pacer::not_before_90k).max()
    }

    /// Takes a picture in, as was decided about it.
    pub(crate) fn take(&self, mut frame: Frame, admission: Admission, counters: &Counters) {
        match admission {
            Admission::Held => counters.extension(&self.node, |stats| stats.filtered += 1),
            Admission::PassedBy => {
                counters.extension(&self.node, |stats| stats.filtered += 1);
                self.way_out.leave(&frame.about);
                if let Some(passage) = &self.passage {
                    passage.pass_by(&frame.picture, &frame.about);
                }
            }
            Admission::Shown => {
                counters.extension(&self.node, |stats| stats.offered += 1);
                frame.about.turn = self.passage.as_ref().map(Passage::turn);
                if let Some(replaced) = self.entrance.mailbox.put(frame) {
                    self.replaced(&replaced, counters);
                }
            }
        }
    }

    /// No more pictures come.
    pub(crate) fn close(&self) {
        self.entrance.mailbox.close();
    }

    fn replaced(&self, frame: &Frame, counters: &Counters) {
        counters.dropped(&self.node, self.entrance.why_replaced(), 1);
        self.way_out.leave(&frame.about);
        if let Some(passage) = &self.passage {
            passage.pass_replaced(&frame.picture, &frame.about);
        }
    }
}

/// The way out of an extension node to the extensions behind it. Pictures leave in the order of their times: while the
/// extension has one, those that it is not shown would overtake it, and are dropped instead of being kept.
#[derive(Debug)]
pub(crate) struct Passage {
    taps: Mutex<Vec<Tap>>,
    /// Pictures that the extension has, or that wait for it.
    busy: AtomicUsize,
    /// Session and time of the latest picture that has passed.
    latest: Mutex<(u64, u64)>,
    counters: Counters,
}

/// An extension has a picture. Dropped when it is done with it.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Passage>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Passage {
    pub(crate) fn new(taps: Vec<Tap>, counters: Counters) -> Self {
        Self {
            taps: Mutex::new(taps),
            busy: AtomicUsize::new(0),
            latest: Mutex::default(),
            counters,
        }
    }

    fn turn(self: &Arc<Self>) -> Turn {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Turn(Arc::clone(self))
    }

    /// A picture that the extension is not shown.
    fn pass_by(&self, picture: &Picture, about: &About) {
        self.pass_unless_busy(0, picture, about);
    }

    /// A picture that a newer one has replaced where it waited: both have their turns.
    fn pass_replaced(&self, picture: &Picture, about: &About) {
        self.pass_unless_busy(2, picture, about);
    }

    fn pass_unless_busy(&self, own: usize, picture: &Picture, about: &About) {
        if self.busy.load(Ordering::Acquire) <= own {
            self.pass(picture, about);
        } else {
            self.drop_for_all();
        }
    }

    /// It would overtake a picture, or comes after a later one. Filters are not asked, so that a picture that does come is
    /// not held back for it.
    fn drop_for_all(&self) {
        for tap in self.taps.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.counters.extension(&tap.node, |stats| stats.offered += 1);
            self.counters.dropped(&tap.node, DropReason::UpstreamBusy, 1);
        }
    }

    /// What an extension is done with goes on, if it has its pixels still.
    pub(crate) fn leave(&self, frame: &Leaving) {
        if let Some(picture) = &frame.picture {
            self.pass(picture, &frame.about);
        }
    }

    /// Gives a picture to every extension behind.
    fn pass(&self, picture: &Picture, about: &About) {
        let now = (about.epoch, about.timestamp_90k);
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if now <= *latest {
            drop(latest);
            return self.drop_for_all();
        }
        *latest = now;
        drop(latest);
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        for tap in taps.iter_mut() {
            let admission = tap.admits(about.timestamp_90k, about.is_annotated());
            let frame = Frame {
                picture: picture.clone(),
                about: about.copy(),
            };
            tap.take(frame, admission, &self.counters);
        }
    }

    /// No more pictures come.
    pub(crate) fn close(&self) {
        for tap in self.taps.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            tap.close();
        }
    }
}

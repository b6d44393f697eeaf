//! The recording of an open gate, and its current clip.

use std::sync::Arc;

use crate::store::NewClip;
use crate::unit::Tracks;

/// End of a recording without a gate.
pub(super) const NEVER: u64 = u64::MAX;

/// A recording while the gate is open.
pub(super) struct Active<C> {
    pub(super) number: u64,
    pub(super) event_90k: u64,
    pub(super) start_90k: u64,
    pub(super) end_90k: u64,
    /// Correlation ids of its events, in order.
    pub(super) ids: Vec<String>,
    /// Whether a file of it was reported as available.
    pub(super) available: bool,
    /// The parameters with which its current clip began.
    pub(super) tracks: Option<Arc<Tracks>>,
    /// Pictures come that the current clip cannot hold.
    pub(super) suspended: bool,
    pub(super) clip: ClipState<C>,
}

pub(super) enum ClipState<C> {
    /// No picture has arrived, or none since the tracks changed.
    Waiting { wrote_before: bool },
    /// The clip is being written.
    Writing(C),
    /// The disk rejected it. It begins again with a keyframe at or after this time.
    Paused { until_90k: u64, wrote_before: bool },
}

impl<C> Active<C> {
    /// A recording without a clip.
    pub(super) fn new(number: u64, event_90k: u64, start_90k: u64, end_90k: u64, id: Option<String>) -> Self {
        Self {
            number,
            event_90k,
            start_90k,
            end_90k,
            ids: id.into_iter().collect(),
            available: false,
            tracks: None,
            suspended: false,
            clip: ClipState::Waiting { wrote_before: false },
        }
    }

    /// Adds an event.
    pub(super) fn extend(&mut self, end_90k: u64, id: Option<String>) {
        self.end_90k = end_90k;
        self.ids.extend(id);
    }

    /// Whether its clip may begin, given the time of the newest picture.
    pub(super) fn is_due(&self, newest_90k: u64) -> bool {
        self.is_waiting() && newest_90k >= self.start_90k
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.clip, ClipState::Waiting { .. })
    }

    pub(super) fn is_writing(&self) -> bool {
        matches!(self.clip, ClipState::Writing(_))
    }

    /// The clip being written.
    pub(super) fn writing(&mut self) -> Option<&mut C> {
        match &mut self.clip {
            ClipState::Writing(clip) => Some(clip),
            _ => None,
        }
    }

    /// The clip that would begin with the keyframe of this time.
    pub(super) fn new_clip(&self, keyframe_90k: u64) -> NewClip {
        let mut new = NewClip::new(keyframe_90k, self.start_90k, self.event_90k);
        new.closes = self.end_90k != NEVER;
        new
    }

    /// Takes the state of its clip. A recording that continues waits for another one.
    pub(super) fn take_state(&mut self) -> ClipState<C> {
        std::mem::replace(&mut self.clip, ClipState::Waiting { wrote_before: true })
    }

    /// At a keyframe, a recording that the disk rejected may begin again, under this number. Returns `false` if there is
    /// no delay, or it has not elapsed.
    pub(super) fn end_pause(&mut self, keyframe_90k: u64, number: u64) -> bool {
        let ClipState::Paused {
            until_90k,
            wrote_before,
        } = self.clip
        else {
            return false;
        };
        if keyframe_90k < until_90k {
            return false;
        }
        self.number = number;
        if wrote_before {
            self.start_90k = keyframe_90k;
        }
        self.clip = ClipState::Waiting { wrote_before };
        true
    }
}

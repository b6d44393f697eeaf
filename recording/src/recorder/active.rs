//! The recording that is made while the gate is open, and the clip in which it is just now.

use crate::store::NewClip;

/// The end of a recording that no gate will end.
pub(super) const NEVER: u64 = u64::MAX;

/// A recording while the gate is open.
pub(super) struct Active<C> {
    pub(super) number: u64,
    pub(super) event_90k: u64,
    pub(super) start_90k: u64,
    pub(super) end_90k: u64,
    /// Correlation ids of its events, in their order.
    pub(super) ids: Vec<String>,
    /// A file of its clip was told.
    pub(super) available: bool,
    pub(super) clip: ClipState<C>,
}

pub(super) enum ClipState<C> {
    /// No picture of it has come, or none since the tracks changed.
    Waiting { wrote_before: bool },
    /// It is being written.
    Writing(C),
    /// The disk refused it. It begins again with a key frame from then on.
    Paused { until_90k: u64, wrote_before: bool },
}

impl<C> Active<C> {
    /// A recording of which nothing is written.
    pub(super) fn new(number: u64, event_90k: u64, start_90k: u64, end_90k: u64, id: Option<String>) -> Self {
        Self {
            number,
            event_90k,
            start_90k,
            end_90k,
            ids: id.into_iter().collect(),
            available: false,
            clip: ClipState::Waiting { wrote_before: false },
        }
    }

    /// Another event belongs to it.
    pub(super) fn extend(&mut self, end_90k: u64, id: Option<String>) {
        self.end_90k = end_90k;
        self.ids.extend(id);
    }

    /// Whether its clip may begin now that the newest picture is that of this time.
    pub(super) fn is_due(&self, newest_90k: u64) -> bool {
        self.is_waiting() && newest_90k >= self.start_90k
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.clip, ClipState::Waiting { .. })
    }

    pub(super) fn is_writing(&self) -> bool {
        matches!(self.clip, ClipState::Writing(_))
    }

    /// The clip that is being written.
    pub(super) fn writing(&mut self) -> Option<&mut C> {
        match &mut self.clip {
            ClipState::Writing(clip) => Some(clip),
            _ => None,
        }
    }

    /// The clip that would begin with the key frame of a time.
    pub(super) fn new_clip(&self, keyframe_90k: u64) -> NewClip {
        let mut new = NewClip::new(keyframe_90k, self.start_90k, self.event_90k);
        new.closes = self.end_90k != NEVER;
        new
    }

    /// Ends what is done with its clip. If the recording goes on, it waits for another one.
    pub(super) fn take_state(&mut self) -> ClipState<C> {
        std::mem::replace(&mut self.clip, ClipState::Waiting { wrote_before: true })
    }

    /// A key frame is here: what the disk refused may begin again, as another recording of this number. `false`: there is no
    /// pause, or it is not over.
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

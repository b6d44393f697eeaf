use std::fmt;

use strum::VariantArray;

/// Why something was dropped. Each drop is counted for the node where it happens.
///
/// The label of a reason is its name in camel case, unless the table gives another one.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::IntoStaticStr,
    strum::VariantArray
)]
#[strum(serialize_all = "camelCase")]
#[non_exhaustive]
pub enum DropReason {
    /// The camera's queue was full; encoded units.
    CameraQueueFull,
    /// Decoding cannot start at the unit: it precedes a session's first key frame, or follows a loss or a panic.
    NoKeyFrame,
    /// The decoder was behind; encoded units until the next key frame.
    DecoderBusy,
    /// The decoder concealed errors in the picture after a loss.
    DamagedPicture,
    /// A newer picture replaced it while the extension was busy.
    ReplacedByNewer,
    /// The extension was not connected, or the custom node was stalled or waiting for a restart.
    ExtensionUnavailable,
    /// It would have overtaken an earlier frame at the extension upstream.
    UpstreamBusy,
    /// It was in flight when the session with the extension ended.
    SessionLost,
    /// The extension answered later frames and not this one, or a custom node exceeded its time-out.
    Unanswered,
    /// It could not be rendered or written in the format of the extension.
    NotRendered,
    /// A custom node failed on it, panicked, or could not be created again.
    NodeFailed,
    /// A panic of this program interrupted the work on it.
    #[strum(serialize = "defect")]
    InternalError,
    /// The instance was stopped while it waited.
    Stopped,
    /// The recorder was behind; encoded units until the next key frame.
    RecorderBusy,
    /// The instance held as much encoded media as it may; encoded units until the next key frame. Analysis is shed first.
    OverBudget,
    /// The pre-roll was shortened to free memory; encoded units, counted for the gate.
    PreRollShrunk,
    /// The camera's media cannot be recorded, are not selected, or have no known parameters yet: encoded pictures, and
    /// signals for a gate without anything to record.
    NotRecordable,
    /// The disk rejected the recording that it belongs to; encoded units, as in [`RecordingStats`](super::RecordingStats).
    NotWritten,
    /// A gate's clip without any picture: the event came after they were evicted, or the camera was disconnected.
    ClipMissed,
    /// The queue of a gate had no space for a signal.
    SignalQueueFull,
    /// A signal for a gate was older than the gate's last decision.
    SignalLate,
    /// A signal for a gate was more than a minute ahead of the media.
    SignalAhead,
    /// An extension reported it to an object tracker with a box that has no area or is not in fractions of the frame, or with a
    /// score that is not a number; objects.
    InvalidObject,
}

impl DropReason {
    /// Every reason.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Whether it is about signals for gates or results of extensions, and not about media.
    pub fn is_of_events(self) -> bool {
        match self {
            Self::SignalQueueFull | Self::SignalLate | Self::SignalAhead | Self::InvalidObject => true,
            Self::CameraQueueFull
            | Self::NoKeyFrame
            | Self::DecoderBusy
            | Self::DamagedPicture
            | Self::ReplacedByNewer
            | Self::ExtensionUnavailable
            | Self::UpstreamBusy
            | Self::SessionLost
            | Self::Unanswered
            | Self::NotRendered
            | Self::NodeFailed
            | Self::InternalError
            | Self::Stopped
            | Self::RecorderBusy
            | Self::OverBudget
            | Self::PreRollShrunk
            | Self::NotRecordable
            | Self::NotWritten
            | Self::ClipMissed => false,
        }
    }

    /// As a label of a metric.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_reasons_are_distinct() {
        let labels: std::collections::BTreeSet<_> = DropReason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(labels.len(), DropReason::ALL.len());
        assert!(labels.contains("replacedByNewer") && labels.contains("defect"));
    }
}

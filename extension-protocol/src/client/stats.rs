//! Counters of a session. Every dropped frame is counted.

use crate::counters::counters;

counters! {
    /// Counters of one session since its start.
    SessionStats {
        /// Frames sent.
        sent,
        /// Frames answered in time.
        answered,
        /// Inferences in those answers.
        inferences,
        /// Whole-frame copies between the slot and the transport: none with shared memory, one per embedded frame.
        frame_copies,
        /// Frames skipped by the extension: later ones were answered. Reason `unanswered`.
        unanswered,
        /// Frames without an answer when the session ended. Reason `session_ended`.
        abandoned,
        /// Slots refused because the window was full. A caller that keeps the newest frame loses only older ones.
        refused_window_full,
        /// Slots refused because the shared memory had no free range.
        refused_no_space,
        /// Slots refused because the frame is larger than what fits.
        refused_too_large,
        /// Slots refused, and slots that could not be sent, because the session had ended.
        refused_ended,
        /// Answers to frames that were reported as skipped; not delivered.
        late_answers,
        /// Messages that acknowledge no frame (number 0); delivered where they have results.
        zero_acks,
        /// Messages that acknowledge a frame that was never sent; not delivered.
        unknown_acks,
        /// Messages that acknowledge a frame again; delivered where they have results.
        repeated_acks,
        /// Inferences without a value; ignored.
        inferences_without_value,
        /// Inferences beyond the first 2,000 of a message; not delivered.
        inferences_left_out,
        /// Texts and lists in inferences that were too long; their beginnings were delivered.
        parts_left_out,
        /// Boxes outside the frame; delivered unchanged.
        boxes_out_of_range,
        /// Descriptors after the first message; ignored.
        unexpected_descriptors,
    }
}

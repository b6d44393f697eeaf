//! Counters of a server.

use std::sync::Arc;

use lva_server_transport::{ConnectionStats, ConnectionStatsReader};

use crate::counters::counters;

counters! {
    /// Counters over all streams of a server since its start.
    ServerStats {
        /// Streams that the extension accepted.
        sessions_opened,
        /// Of those, streams that have ended.
        sessions_closed,
        /// Streams that were refused: credentials, limits, descriptors, or by the extension.
        sessions_refused,
        /// Streams that ended because of a fault of the client.
        sessions_failed,
        /// Samples received.
        samples,
        /// Answers sent.
        answers,
        /// Inferences in those answers.
        inferences,
        /// Samples on which the extension failed; answered without inferences.
        process_failures,
        /// Samples on which the extension ended the stream ([`StreamError`](crate::server::StreamError)).
        samples_refused,
        /// Whole-frame copies out of shared memory: one per frame of untrusted peers, none of trusted ones.
        frame_copies,
        /// Samples after missing numbers.
        sequence_gaps,
        /// Samples whose number is not above all previous ones.
        sequence_repeats,
        /// Messages with neither descriptor nor sample; ignored.
        empty_messages,
        /// Upstream inferences without a value; ignored.
        inferences_without_value,
        /// Upstream inferences beyond the first 2,000 of a sample; not shown to the extension.
        inferences_left_out,
        /// Texts and lists in upstream inferences that were too long; their beginnings are shown.
        parts_left_out,
    }
}

/// Reads a server's counters at any time, also while it runs.
#[derive(Debug, Clone)]
pub struct StatsReader(pub(super) Arc<Counters>, pub(super) ConnectionStatsReader);

impl StatsReader {
    /// The counters now.
    pub fn read(&self) -> ServerStats {
        self.0.snapshot()
    }

    /// The counts of its connections now: how many were admitted, refused, and closed for which reason.
    pub fn connections(&self) -> ConnectionStats {
        self.1.read()
    }
}

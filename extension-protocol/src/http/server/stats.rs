use std::sync::Arc;

use crate::counters::counters;

counters! {
    /// Counts over all requests of a server. Each request counts as answered or under one of the reasons.
    HttpServerStats {
    /// Requests whose headers arrived.
    requests,
    /// Answered pictures, with or without inferences.
    answers,
    /// Inferences in those answers.
    inferences,
    /// Sessions that the extension opened.
    sessions_opened,
    /// Of those, sessions that ended.
    sessions_closed,
    /// Requests without the right credentials.
    unauthorized,
    /// Requests without a supported picture: 400, 404, 405 and 408.
    refused,
    /// Requests over the limit of bytes: 413.
    too_large,
    /// Requests and connections beyond a limit: 503.
    busy,
    /// Failures of the extension on a picture or while opening a session: 500.
    failures,
    /// Of the refused requests, those whose client disconnected before the picture was complete.
    left,
    }
}

/// Reads a server's counts, also while it runs.
#[derive(Debug, Clone)]
pub struct HttpStatsReader(pub(super) Arc<Counters>);

impl HttpStatsReader {
    /// The counts now.
    pub fn read(&self) -> HttpServerStats {
        self.0.snapshot()
    }
}

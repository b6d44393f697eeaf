use super::error::HttpError;
use crate::counters::{count, counters};

counters! {
    /// Counts of one client. Each request counts as answered or under one of the reasons.
    HttpClientStats {
    /// Pictures whose request was started.
    sent,
    /// Pictures with an answer.
    answered,
    /// Of those, answers without a result.
    empty,
    /// Pictures rejected because another request was in flight for too long.
    refused_busy,
    /// Pictures rejected during a pause.
    refused_paused,
    /// Pictures without bytes.
    refused_empty,
    /// Requests answered by 503 or 429.
    overloaded,
    /// Requests answered by 401 or 403.
    unauthorized,
    /// Requests answered by a redirection.
    redirected,
    /// Requests answered by another status without a result, including 400 and 500.
    rejected,
    /// Unusable answers: invalid JSON, too large, compressed.
    unusable,
    /// Inferences beyond the first 2,000 of an answer; not delivered.
    inferences_left_out,
    /// Texts and lists in inferences that were too long; their beginnings were delivered.
    parts_left_out,
    /// Requests not answered in time.
    timed_out,
    /// Requests for which the server could not be reached or was not trusted.
    unreachable,
    /// Requests whose connection broke.
    broken,
    /// Connections that brought an answer.
    connections,
    /// Challenges (401) received.
    challenges,
    }
}

impl Counters {
    pub(super) fn failed(&self, error: &HttpError) {
        count(match error {
            HttpError::Busy => &self.refused_busy,
            HttpError::Paused { .. } => &self.refused_paused,
            HttpError::EmptyPicture => &self.refused_empty,
            HttpError::Overloaded { .. } => &self.overloaded,
            HttpError::Unauthorized { .. } => &self.unauthorized,
            HttpError::Redirected { .. } => &self.redirected,
            HttpError::Rejected { .. } => &self.rejected,
            HttpError::NotJson { .. } | HttpError::TooLarge { .. } | HttpError::ContentEncoding { .. } => {
                &self.unusable
            }
            HttpError::TimedOut { .. } => &self.timed_out,
            HttpError::Unreachable { .. } | HttpError::Untrusted { .. } => &self.unreachable,
            HttpError::Broken { .. } => &self.broken,
        });
    }
}

//! Attempts to deliver an event, with pauses between, up to a limit of time.

use std::time::Duration;

use tokio::time::Instant;

/// Pause before the first retry; doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Another one may succeed.
    Again(String),
    /// The receiver will not take this event.
    Final(String),
}

/// Why an event was not delivered.
#[derive(Debug, thiserror::Error)]
#[error("{sink} did not take an event: {message}")]
pub(super) struct Undelivered {
    sink: &'static str,
    message: String,
}

/// The attempts for one event.
#[derive(Debug)]
pub(super) struct Retries {
    sink: &'static str,
    until: Instant,
    pause: Duration,
}

impl Retries {
    /// For as long; `sink` is what errors and the log call the receiver.
    pub(super) fn new(sink: &'static str, retry_for: Duration) -> Self {
        Self {
            sink,
            until: Instant::now() + retry_for,
            pause: MIN_PAUSE,
        }
    }

    /// Waits until the next attempt is due.
    ///
    /// # Errors
    ///
    /// There will be none, as the receiver refuses the event, or the time is over.
    pub(super) async fn after(&mut self, failed: Attempt) -> Result<(), Undelivered> {
        let sink = self.sink;
        let message = match failed {
            Attempt::Again(message) if Instant::now() + self.pause <= self.until => message,
            Attempt::Again(message) | Attempt::Final(message) => return Err(Undelivered { sink, message }),
        };
        tracing::debug!(message, pause = ?self.pause, "{sink} is tried again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_bound_and_end_with_the_time() {
        let begun = Instant::now();
        let mut retries = Retries::new("a test", Duration::from_secs(100));
        let mut pauses = Vec::new();
        let error = loop {
            let before = Instant::now();
            match retries.after(Attempt::Again("busy".to_owned())).await {
                Ok(()) => pauses.push((Instant::now() - before).as_secs()),
                Err(error) => break error,
            }
        };
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert!(begun.elapsed() < Duration::from_secs(100));
        assert_eq!(error.to_string(), "a test did not take an event: busy");
        let mut refused = Retries::new("a test", Duration::MAX / 4);
        let refused = refused.after(Attempt::Final("too large".to_owned()));
        assert!(refused.await.is_err());
    }
}

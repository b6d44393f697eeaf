use super::record::StoredEvent;
use super::worker::Consumer;
use crate::message::OutputMessage;

/// The end of an [`Outbox`](super::Outbox) that delivers, for a transport that is not of this crate.
///
/// **Messages come in order, and each must be settled**: by [`delivered`](Self::delivered) once the receiver has it, or by
/// [`refused`](Self::refused). One that was not comes again after the next start, with the same message id. While the outbox drops
/// messages at a bound, those that were taken are not called back.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// use lva_hub::{Outbox, OutboxOptions, OutputMessage};
///
/// let outbox = Outbox::open(directory.path(), OutboxOptions::default())?;
/// outbox.push(OutputMessage::json("events", "{}"))?;
/// let mut receiver = outbox.receiver();
/// for taken in receiver.take(64).await {
///     // Send `taken.message`, and wait until the receiver has stored it. Then:
///     receiver.delivered(&taken);
/// }
/// assert!(outbox.emptied().await);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Debug)]
pub struct OutboxReceiver {
    consumer: Consumer,
}

/// A message out of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakenMessage {
    /// The message; it has a message id.
    pub message: OutputMessage,
    sequence: u64,
}

impl From<StoredEvent> for TakenMessage {
    fn from(stored: StoredEvent) -> Self {
        Self {
            message: stored.event,
            sequence: stored.sequence,
        }
    }
}

impl OutboxReceiver {
    pub(super) fn new(consumer: Consumer) -> Self {
        Self { consumer }
    }

    /// Waits for a message, and takes it with those that follow it at once, up to `most` and at least one. Cancel safe. Pending for
    /// ever where the outbox has [failed](super::Outbox::failed).
    pub async fn take(&mut self, most: usize) -> Vec<TakenMessage> {
        self.consumer.want(most.max(1));
        let mut taken = vec![self.consumer.next().await.into()];
        while taken.len() < most
            && let Some(stored) = self.consumer.try_next()
        {
            taken.push(stored.into());
        }
        taken
    }

    /// The receiver has the message: it is removed.
    pub fn delivered(&self, taken: &TakenMessage) {
        self.consumer.acknowledge(taken.sequence);
    }

    /// The receiver will never take the message: it is removed, and counted as
    /// [`Refused`](super::OutboxDropReason::Refused).
    pub fn refused(&self, taken: &TakenMessage) {
        self.consumer.refuse(taken.sequence);
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::outbox::{Outbox, OutboxDropReason, OutboxOptions};

    #[tokio::test]
    async fn messages_are_taken_in_order_and_come_again_unless_they_were_settled() {
        let directory = TempDir::new().unwrap();
        let open = || Outbox::open(directory.path(), OutboxOptions::default()).unwrap();
        let outbox = open();
        for id in 0..10 {
            let message = OutputMessage::json("out", "{}").with_message_id(id.to_string());
            outbox.push(message).unwrap();
        }
        outbox.flush().await;
        let mut receiver = outbox.receiver();
        let mut taken = Vec::new();
        while taken.len() < 6 {
            let more = receiver.take(6 - taken.len()).await;
            assert!(!more.is_empty());
            taken.extend(more);
        }
        let ids = |taken: &[TakenMessage]| -> Vec<String> {
            let ids = taken.iter().map(|taken| taken.message.message_id.clone());
            ids.map(Option::unwrap).collect()
        };
        assert_eq!(ids(&taken), ["0", "1", "2", "3", "4", "5"]);
        receiver.delivered(&taken[0]);
        receiver.refused(&taken[1]);
        receiver.delivered(&taken[3]);
        outbox.flush().await;
        let stats = outbox.stats();
        assert_eq!(
            (
                stats.delivered,
                stats.dropped_for(OutboxDropReason::Refused),
                stats.waiting
            ),
            (2, 1, 8)
        );
        drop(outbox);
        // In order, and at most what was acknowledged out of order comes twice.
        let outbox = open();
        let mut receiver = outbox.receiver();
        let mut again = ids(&receiver.take(1).await);
        while again.last().is_none_or(|id| id != "9") {
            again.extend(ids(&receiver.take(3).await));
        }
        again.retain(|id| id != "3");
        assert_eq!(again, ["2", "4", "5", "6", "7", "8", "9"]);
    }
}

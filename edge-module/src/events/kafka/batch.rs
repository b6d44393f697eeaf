//! Which events are written together, and what becomes of each.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use lva_hub::{OutputMessage, TakenMessage};

use crate::events::delivery::Failure;

/// Most bytes that are written at once: brokers take a megabyte by default. One event has 256 KiB at most.
const MAX_BYTES: usize = 512 << 10;

/// A topic that can be written.
#[async_trait]
pub(super) trait Topic: Send {
    fn partition(&self, message: &OutputMessage) -> i32;

    /// Writes messages into a partition: all, or none.
    async fn produce(&mut self, partition: i32, messages: &[&OutputMessage]) -> Result<(), Failure>;
}

/// Writes events, and returns what became of each. **In each partition they stand in this order.**
pub(super) async fn write(topic: &mut dyn Topic, events: &[TakenMessage]) -> Vec<Result<(), Failure>> {
    let mut outcomes = HashMap::new();
    // Partitions that failed: what follows in them waits.
    let mut blocked: BTreeMap<i32, Failure> = BTreeMap::new();
    for (partition, members) in batches(topic, events) {
        for (place, outcome) in write_batch(topic, &mut blocked, partition, &members).await {
            outcomes.insert(place, outcome);
        }
    }
    let missing = || Err(Failure::Again("it was not written".to_owned()));
    (0..events.len())
        .map(|place| outcomes.remove(&place).unwrap_or_else(missing))
        .collect()
}

/// An event and its place.
type Member<'a> = (usize, &'a OutputMessage);

async fn write_batch(
    topic: &mut dyn Topic,
    blocked: &mut BTreeMap<i32, Failure>,
    partition: i32,
    members: &[Member<'_>],
) -> Vec<(usize, Result<(), Failure>)> {
    let outcome = produce(topic, blocked, partition, members).await;
    if !matches!(outcome, Err(Failure::Refused(_))) || members.len() == 1 {
        return members
            .iter()
            .map(|(place, _)| (*place, outcome.clone()))
            .collect();
    }
    // One that is refused must not take the others with it.
    let mut outcomes = Vec::new();
    for member in members {
        let outcome = produce(topic, blocked, partition, std::slice::from_ref(member)).await;
        outcomes.push((member.0, outcome));
    }
    outcomes
}

async fn produce(
    topic: &mut dyn Topic,
    blocked: &mut BTreeMap<i32, Failure>,
    partition: i32,
    members: &[Member<'_>],
) -> Result<(), Failure> {
    if let Some(failure) = blocked.get(&partition) {
        return Err(failure.clone());
    }
    let messages: Vec<_> = members.iter().map(|(_, message)| *message).collect();
    let outcome = topic.produce(partition, &messages).await;
    if let Err(failure @ Failure::Again(_)) = &outcome {
        blocked.insert(partition, failure.clone());
    }
    outcome
}

/// The events that are written together, and their partition.
fn batches<'a>(topic: &dyn Topic, events: &'a [TakenMessage]) -> Vec<(i32, Vec<Member<'a>>)> {
    let mut batches: Vec<(i32, Vec<Member<'a>>, usize)> = Vec::new();
    for (place, taken) in events.iter().enumerate() {
        let message = &taken.message;
        let (partition, size) = (topic.partition(message), message.size());
        // The last one of the partition, so that the order holds.
        match batches.iter_mut().rfind(|(own, ..)| *own == partition) {
            Some((_, members, bytes)) if *bytes + size <= MAX_BYTES => {
                members.push((place, message));
                *bytes += size;
            }
            _ => batches.push((partition, vec![(place, message)], size)),
        }
    }
    let batches = batches.into_iter();
    batches
        .map(|(partition, members, _)| (partition, members))
        .collect()
}

#[cfg(test)]
mod tests {
    use lva_hub::{Outbox, OutboxOptions};

    use super::*;

    /// Partition and size of an event are in its name, as in `1:20`; each call fails by the next entry of `failures`.
    #[derive(Default)]
    struct Fake {
        failures: Vec<Option<Failure>>,
        calls: Vec<(i32, usize)>,
        stored: Vec<String>,
    }

    #[async_trait]
    impl Topic for Fake {
        fn partition(&self, message: &OutputMessage) -> i32 {
            let id = message.message_id.as_deref().unwrap();
            id.split(':').next().unwrap().parse().unwrap()
        }

        async fn produce(&mut self, partition: i32, messages: &[&OutputMessage]) -> Result<(), Failure> {
            self.calls.push((partition, messages.len()));
            if messages
                .iter()
                .any(|message| message.message_id.as_deref() == Some("1:large"))
            {
                return Err(Failure::Refused("too large".to_owned()));
            }
            match (!self.failures.is_empty())
                .then(|| self.failures.remove(0))
                .flatten()
            {
                Some(failure) => Err(failure),
                None => {
                    let ids = messages.iter().map(|message| message.message_id.clone().unwrap());
                    self.stored.extend(ids);
                    Ok(())
                }
            }
        }
    }

    async fn taken(events: &[(&str, usize)]) -> Vec<TakenMessage> {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(directory.path(), OutboxOptions::default()).unwrap();
        for (id, bytes) in events {
            let message = OutputMessage::json("", vec![b' '; *bytes]).with_message_id(*id);
            outbox.push(message).unwrap();
        }
        let mut receiver = outbox.receiver();
        let mut taken = Vec::new();
        while taken.len() < events.len() {
            taken.extend(receiver.take(events.len() - taken.len()).await);
        }
        taken
    }

    #[tokio::test]
    async fn events_of_a_partition_are_written_together_up_to_a_size() {
        let events = taken(&[
            ("1:a", 200_000),
            ("2:b", 10),
            ("1:c", 200_000),
            ("1:d", 200_000),
            ("2:e", 10),
        ])
        .await;
        let mut fake = Fake::default();
        assert_eq!(write(&mut fake, &events).await, vec![Ok(()); 5]);
        assert_eq!(fake.calls, [(1, 2), (2, 2), (1, 1)]);
        assert_eq!(fake.stored, ["1:a", "1:c", "2:b", "2:e", "1:d"]);
    }

    #[tokio::test]
    async fn what_follows_a_failure_in_its_partition_waits_and_other_partitions_do_not() {
        let events = taken(&[("1:a", 200_000), ("2:b", 10), ("1:c", 200_000), ("1:d", 200_000)]).await;
        let again = Failure::Again("no leader".to_owned());
        let mut fake = Fake {
            failures: vec![Some(again.clone())],
            ..Fake::default()
        };
        let failed = || Err(again.clone());
        assert_eq!(
            write(&mut fake, &events).await,
            [failed(), Ok(()), failed(), failed()]
        );
        assert_eq!(fake.stored, ["2:b"]);
    }

    #[tokio::test]
    async fn an_event_that_is_refused_does_not_take_others_with_it() {
        let events = taken(&[("1:a", 10), ("1:large", 10), ("1:c", 10)]).await;
        let mut fake = Fake::default();
        let outcomes = write(&mut fake, &events).await;
        assert!(
            matches!(&*outcomes, [Ok(()), Err(Failure::Refused(_)), Ok(())]),
            "{outcomes:?}"
        );
        assert_eq!(fake.stored, ["1:a", "1:c"]);
    }
}

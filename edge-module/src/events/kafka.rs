mod batch;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use lva_client_transport::ClientTls;
use lva_hub::{OutputMessage, TakenMessage};
use lva_media_types::Credentials;
use rskafka::BackoffConfig;
use rskafka::chrono::DateTime;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials as SaslCredentials, SaslConfig};
use rskafka::record::Record;
use tokio::time::timeout;

use super::delivery::{EventBroker, Failure, SUBJECT};

/// How long a broker may take to connect, or to store events, before the attempt counts as failed.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);
/// Largest answer of a broker that is read.
const MAX_ANSWER: usize = 4 << 20;
/// Most events that are taken from the outbox together.
const BATCH: usize = 64;

/// Writes events into a topic of Kafka, and waits until all in-sync replicas have them.
///
/// The key is the event's subject, so that the events of a node stay in order; the partition is that which librdkafka chooses for
/// the key (CRC32). Events of one partition are written together, which succeeds or fails as a whole. The header `messageId` is that
/// of the outbox: consumers recognise by it what was written twice because an acknowledgement was lost.
pub(crate) struct Kafka {
    cluster: KafkaCluster,
    topic: String,
    /// `None` before the first event, and after a failure.
    connected: Option<Connected>,
}

/// How a cluster is connected to.
#[derive(Debug, Clone)]
pub(crate) struct KafkaCluster {
    /// `HOST:PORT` of brokers to ask for the others.
    pub(crate) brokers: Vec<String>,
    /// Without it, TLS is not used.
    pub(crate) tls: Option<ClientTls>,
    /// User and password of SASL PLAIN.
    pub(crate) credentials: Option<Credentials>,
}

struct Connected {
    client: Client,
    topic: String,
    /// In the order of their numbers.
    partitions: Vec<i32>,
    open: BTreeMap<i32, PartitionClient>,
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("cluster", &self.cluster)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Kafka {
    /// Events go to this topic, which has to exist.
    pub(crate) fn new(cluster: KafkaCluster, topic: &str) -> Self {
        Self {
            cluster,
            topic: topic.to_owned(),
            connected: None,
        }
    }

    async fn write(&mut self, events: &[TakenMessage]) -> Vec<Result<(), Failure>> {
        // After a failure, leaders and partitions may be others: they are asked for again.
        let mut connected = match self.connected.take() {
            Some(connected) => connected,
            None => match within(connect(&self.cluster, &self.topic)).await {
                Ok(connected) => connected,
                Err(failure) => return vec![Err(failure); events.len()],
            },
        };
        let outcomes = batch::write(&mut connected, events).await;
        let is_sound = |outcome: &Result<(), Failure>| !matches!(outcome, Err(Failure::Again(_)));
        if outcomes.iter().all(is_sound) {
            self.connected = Some(connected);
        }
        outcomes
    }
}

#[async_trait]
impl batch::Topic for Connected {
    fn partition(&self, message: &OutputMessage) -> i32 {
        partition(key(message).as_bytes(), &self.partitions)
    }

    async fn produce(&mut self, partition: i32, messages: &[&OutputMessage]) -> Result<(), Failure> {
        let records = messages.iter().map(|message| record(message)).collect();
        within(async {
            if !self.open.contains_key(&partition) {
                let opened = self
                    .client
                    .partition_client(&*self.topic, partition, UnknownTopicHandling::Error)
                    .await
                    .map_err(failed)?;
                self.open.insert(partition, opened);
            }
            let Some(open) = self.open.get(&partition) else {
                return Err(Failure::Again("the partition is not open".to_owned()));
            };
            let offsets = open.produce(records, Compression::NoCompression).await;
            offsets.map(drop).map_err(failed)
        })
        .await
    }
}

async fn within<T>(attempt: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match timeout(ATTEMPT_LIMIT, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::Again(format!(
            "it did not answer within {} s",
            ATTEMPT_LIMIT.as_secs()
        ))),
    }
}

async fn connect(cluster: &KafkaCluster, topic: &str) -> Result<Connected, Failure> {
    // The pauses are ours: an attempt that fails reports why.
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
        deadline: Some(ATTEMPT_LIMIT / 2),
    };
    let mut builder = ClientBuilder::new(cluster.brokers.clone())
        .client_id("lva-edge")
        .max_message_size(MAX_ANSWER)
        .backoff_config(backoff);
    if let Some(tls) = &cluster.tls {
        let config = tls.config(&[]);
        builder = builder.tls_config(config.map_err(|error| Failure::Again(error.to_string()))?);
    }
    if let Some(own) = &cluster.credentials {
        let (user, password) = (own.username().to_owned(), own.password().to_owned());
        builder = builder.sasl_config(SaslConfig::Plain(SaslCredentials::new(user, password)));
    }
    let client = builder.build().await.map_err(failed)?;
    let topics = client.list_topics().await.map_err(failed)?;
    let partitions = topics.into_iter().find(|found| found.name == topic);
    let partitions: Vec<i32> =
        partitions.map_or_else(Vec::new, |found| found.partitions.into_iter().collect());
    if partitions.is_empty() {
        return Err(Failure::Again(format!("it has no topic '{topic}': create it")));
    }
    Ok(Connected {
        client,
        topic: topic.to_owned(),
        partitions,
        open: BTreeMap::new(),
    })
}

fn key(message: &OutputMessage) -> &str {
    message.properties.get(SUBJECT).map_or("", String::as_str)
}

/// The partition of a key, as librdkafka's partitioner `consistent` has it.
fn partition(key: &[u8], partitions: &[i32]) -> i32 {
    let index = crc32fast::hash(key) as usize % partitions.len().max(1);
    partitions.get(index).copied().unwrap_or_default()
}

fn record(message: &OutputMessage) -> Record {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    Record {
        key: Some(key(message).as_bytes().to_vec()),
        value: Some(message.body.to_vec()),
        headers: BTreeMap::from([
            header("messageId", message.message_id.as_deref().unwrap_or_default()),
            header("contentType", "application/json"),
        ]),
        // Not the event's: a camera's clock decides nothing about how long a topic keeps it.
        timestamp: DateTime::from_timestamp_millis(now.as_millis().try_into().unwrap_or(i64::MAX))
            .unwrap_or_default(),
    }
}

fn failed(error: Error) -> Failure {
    let message = error.to_string();
    match error {
        Error::ServerError {
            protocol_error:
                ProtocolError::MessageTooLarge | ProtocolError::RecordListTooLarge | ProtocolError::InvalidRecord,
            ..
        } => Failure::Refused(message),
        _ => Failure::Again(message),
    }
}

#[async_trait]
impl EventBroker for Kafka {
    fn name(&self) -> &'static str {
        "Kafka"
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn deliver(&mut self, events: &[TakenMessage]) -> Vec<Result<(), Failure>> {
        self.write(events).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_partition_of_librdkafka() {
        // CRC32 as zlib has it, which librdkafka uses; 0xCBF43926 is its published check value.
        let partitions = [0, 1, 2, 3, 4, 5, 6];
        assert_eq!(partition(b"123456789", &partitions), (0xCBF4_3926_u32 % 7) as i32);
        assert_eq!(partition(b"123456789", &[3]), 3);
        assert_eq!(partition(b"123456789", &[]), 0);
    }
}

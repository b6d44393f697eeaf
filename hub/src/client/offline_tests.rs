//! A month without any network, on simulated clocks, and what the hub gets of it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rumqttc::mqttbytes::Error;
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet, PubAck, SubAck, SubscribeReasonCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use super::{Client, HubOptions, runtime_now};
use crate::dial::{Dial, MqttStream};
use crate::message::OutputMessage;
use crate::outbox::simulated::SimulatedMachine;
use crate::outbox::{Outbox, OutboxDropReason, OutboxOptions, OutboxStats};
use crate::{Identity, properties};

const DAYS: u64 = 30;
const HOUR: Duration = Duration::from_secs(3600);
/// One event a minute.
const EVENTS_AN_HOUR: u64 = 60;
const EVENTS: u64 = DAYS * 24 * EVENTS_AN_HOUR;
/// The program is started again after so many hours.
const RESTARTS: [u64; 2] = [200, 500];
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(40);

/// A network that is not there, and later is.
#[derive(Default)]
struct Network {
    is_up: AtomicBool,
    attempts: Mutex<Vec<Instant>>,
    received: Arc<Mutex<Vec<u64>>>,
}

#[async_trait::async_trait]
impl Dial for Network {
    async fn dial(&self) -> io::Result<Box<dyn MqttStream>> {
        self.attempts.lock().unwrap().push(runtime_now());
        if !self.is_up.load(SeqCst) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        tokio::spawn(serve(theirs, Arc::clone(&self.received)));
        Ok(Box::new(ours))
    }
}

/// A broker that acknowledges everything, and notes the events' ids.
async fn serve(mut stream: DuplexStream, received: Arc<Mutex<Vec<u64>>>) {
    let mut input = BytesMut::new();
    loop {
        let answer = match Packet::read(&mut input, 1 << 20) {
            Err(Error::InsufficientBytes(_)) => match stream.read_buf(&mut input).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            },
            Err(error) => panic!("{error}"),
            Ok(Packet::Connect(_)) => Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)),
            Ok(Packet::Subscribe(asked)) => {
                let granted = asked
                    .filters
                    .iter()
                    .map(|filter| SubscribeReasonCode::Success(filter.qos));
                Packet::SubAck(SubAck::new(asked.pkid, granted.collect()))
            }
            Ok(Packet::Publish(publish)) => {
                if let Some((_, bag)) = publish.topic.split_once("/messages/events/") {
                    let bag = properties::decode_bag(bag).unwrap();
                    let id = bag.into_iter().find(|(name, _)| name == "$.mid").unwrap().1;
                    received.lock().unwrap().push(id.unwrap().parse().unwrap());
                }
                match publish.pkid {
                    0 => continue,
                    id => Packet::PubAck(PubAck::new(id)),
                }
            }
            Ok(Packet::PingReq) => Packet::PingResp,
            Ok(_) => continue,
        };
        let mut output = BytesMut::new();
        answer.write(&mut output, 1 << 20).unwrap();
        if stream.write_all(&output).await.is_err() {
            return;
        }
    }
}

fn start(machine: &SimulatedMachine, network: &Arc<Network>, path: &Path, options: OutboxOptions) -> Client {
    let outbox = Outbox::open_by(machine, path, options).unwrap();
    let identity = Identity::module("hub.example", "dev1", "lva").unwrap();
    let hub = HubOptions::hub_on_broker(identity, "nowhere").with_dialer(network.clone());
    Client::start(hub, outbox).0
}

/// Real time, for which the simulated one has to be stopped.
async fn end(client: Client) {
    tokio::time::resume();
    client.shutdown().await;
    drop(client);
    tokio::time::pause();
}

/// Until the outbox has taken in what it was given. The runtime must not be idle meanwhile, or its time would pass.
fn settle(client: &Client) {
    let flush = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(client.flush());
    };
    std::thread::scope(|scope| scope.spawn(flush).join().unwrap());
}

/// Lives through the month, and returns the counts at its end and what the hub got then.
async fn month(options: OutboxOptions) -> (OutboxStats, u64, Vec<u64>) {
    let directory = TempDir::new().unwrap();
    let machine = SimulatedMachine::new();
    let network = Arc::<Network>::default();
    let mut client = start(&machine, &network, directory.path(), options);
    let (mut dropped_before, mut most_bytes) = (0, 0);
    for hour in 0..DAYS * 24 {
        if RESTARTS.contains(&hour) {
            dropped_before += client.outbox_stats().dropped_total();
            end(client).await;
            client = start(&machine, &network, directory.path(), options);
        }
        for id in hour * EVENTS_AN_HOUR..(hour + 1) * EVENTS_AN_HOUR {
            let filler = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let event = OutputMessage::json("out", format!(r#"{{"number":{id},"filler":"{filler}"}}"#));
            client.send(event.with_message_id(id.to_string())).unwrap();
        }
        settle(&client);
        machine.pass(HOUR);
        // All attempts of the hour.
        tokio::time::sleep(HOUR).await;
        settle(&client);
        most_bytes = most_bytes.max(client.outbox_stats().bytes);
    }
    let stats = client.outbox_stats();
    assert!(most_bytes <= options.max_bytes(), "{most_bytes} bytes");
    assert_eq!(
        stats.waiting + dropped_before + stats.dropped_total(),
        EVENTS,
        "nothing is uncounted"
    );

    // It never gave up, and never waited so long that it would find the network late.
    let attempts = std::mem::take(&mut *network.attempts.lock().unwrap());
    let least = DAYS * 86_400 / LONGEST_PAUSE.as_secs();
    assert!(attempts.len() as u64 >= least, "{} attempts", attempts.len());
    let longest = attempts.windows(2).map(|two| two[1] - two[0]).max().unwrap();
    assert!(longest <= LONGEST_PAUSE + Duration::from_secs(1), "{longest:?}");

    network.is_up.store(true, SeqCst);
    let delivered = async {
        while client.outbox_stats().waiting > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Simulated hours, in which the thread of the outbox has its real milliseconds.
    timeout(1000 * HOUR, delivered).await.unwrap();
    end(client).await;
    let received = std::mem::take(&mut *network.received.lock().unwrap());
    (stats, dropped_before, received)
}

#[tokio::test(start_paused = true)]
async fn after_a_month_without_a_network_the_hub_gets_the_last_14_days_in_order() {
    let (stats, dropped_before, received) = month(OutboxOptions::default()).await;
    let kept = 14 * 24 * EVENTS_AN_HOUR;
    assert_eq!(stats.waiting, kept);
    assert_eq!(
        dropped_before + stats.dropped_for(OutboxDropReason::TooOld),
        EVENTS - kept
    );
    assert_eq!(received, (EVENTS - kept..EVENTS).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn after_a_month_without_a_network_a_full_outbox_has_the_newest_events() {
    let options = OutboxOptions::default()
        .with_max_bytes(1 << 20)
        .with_segment_bytes(64 << 10);
    let options = options.with_max_age(Duration::from_secs(365 * 86_400));
    let (stats, dropped_before, received) = month(options).await;
    let dropped = dropped_before + stats.dropped_for(OutboxDropReason::Full);
    assert_eq!(received, (dropped..EVENTS).collect::<Vec<_>>());
    assert!(
        stats.bytes <= 1 << 20 && stats.bytes > 1 << 19,
        "{} bytes",
        stats.bytes
    );
    assert!(dropped > EVENTS / 10, "{dropped} dropped");
}

//! Another client of the broker: plays the hub, or listens.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, Publish, QoS};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::within;

pub(crate) struct Peer {
    client: AsyncClient,
    messages: mpsc::UnboundedReceiver<Publish>,
    subscribed: mpsc::UnboundedReceiver<()>,
    task: JoinHandle<()>,
}

impl Peer {
    /// Connected and subscribed.
    pub(crate) async fn start(port: u16, id: &str, filters: &[&str]) -> Self {
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options.set_max_packet_size(400_000, 400_000);
        options.set_clean_session(false);
        let (client, mut events) = AsyncClient::new(options, 1000);
        let (sender, messages) = mpsc::unbounded_channel();
        let (ready, subscribed) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        if sender.send(publish).is_err() {
                            return;
                        }
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        let _ = ready.send(());
                    }
                    Ok(_) => {}
                    // The broker is down: it reconnects, and need not do so without a breath.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        let mut peer = Self {
            client,
            messages,
            subscribed,
            task,
        };
        for filter in filters {
            peer.subscribe(filter).await;
        }
        peer
    }

    /// Until the broker has acknowledged it; again where a dying connection took the request along.
    pub(crate) async fn subscribe(&mut self, filter: &str) {
        // Answers to requests that were thought lost.
        while self.subscribed.try_recv().is_ok() {}
        loop {
            self.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
            if timeout(Duration::from_secs(5), self.subscribed.recv())
                .await
                .is_ok()
            {
                return;
            }
        }
    }

    pub(crate) async fn publish(&self, topic: &str, body: impl Into<Vec<u8>>) {
        self.client
            .publish(topic, QoS::AtLeastOnce, false, body)
            .await
            .unwrap();
    }

    /// As soon as possible.
    pub(crate) fn publish_soon(&self, topic: &str, body: impl Into<Vec<u8>>) {
        self.client
            .try_publish(topic, QoS::AtLeastOnce, false, body)
            .unwrap();
    }

    pub(crate) async fn publish_retained(&self, topic: &str, body: impl Into<Vec<u8>>) {
        self.client
            .publish(topic, QoS::AtLeastOnce, true, body)
            .await
            .unwrap();
    }

    /// A message that is there.
    pub(crate) fn try_next(&mut self) -> Option<Publish> {
        self.messages.try_recv().ok()
    }

    /// The next message on a topic that begins so; others are dropped.
    pub(crate) async fn next(&mut self, prefix: &str) -> Publish {
        let wait = async {
            loop {
                let publish = self.messages.recv().await.unwrap();
                if publish.topic.starts_with(prefix) {
                    return publish;
                }
            }
        };
        within(prefix, wait).await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

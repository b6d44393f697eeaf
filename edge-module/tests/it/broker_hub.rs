//! mosquitto with TLS in the place of edgeHub, and a client of it that plays the hub.

use std::path::Path;
use std::time::Instant;

use tokio::net::TcpListener;

use crate::broker::Broker;
use crate::edge_hub::{Behaviour, PATH, Seen};
use crate::line::Line;
use crate::peer::Peer;
use crate::site::{Hub, desired, twin};

const FILTERS: [&str; 4] = [
    "$iothub/twin/GET/#",
    "$iothub/twin/PATCH/properties/reported/#",
    "$iothub/methods/res/#",
    "devices/+/modules/+/messages/events/#",
];
/// The module's name at the broker.
pub(crate) const CLIENT_ID: &str = "dev1/lva=Edge";

pub(crate) struct BrokerHub {
    pub(crate) broker: Broker,
    /// The module's way to the broker.
    pub(crate) line: Line,
    pub(crate) behaviour: Behaviour,
    peer: Peer,
    tls: String,
}

impl BrokerHub {
    /// Whose clients come by this listener; certificate and key are in PEM.
    pub(crate) async fn start(
        listener: TcpListener,
        directory: &Path,
        (certificate, key): (String, String),
    ) -> Option<Self> {
        let mut tls = "listener SECOND_PORT 127.0.0.1\n".to_owned();
        for (name, pem) in [("certfile", certificate), ("keyfile", key)] {
            let path = directory.join(name);
            std::fs::write(&path, pem).unwrap();
            tls.push_str(&format!("{name} {}\n", path.display()));
        }
        let broker = Broker::start(&tls)?;
        let peer = Peer::start(broker.port, "hub", &FILTERS).await;
        let behaviour = Behaviour {
            twin: twin(3, desired()),
            ..Behaviour::default()
        };
        Some(Self {
            line: Line::serve(listener, broker.second_port),
            broker,
            behaviour,
            peer,
            tls,
        })
    }

    /// From now on a client that names a user is refused with CONNACK 5, or not any more.
    pub(crate) fn refuse(&self, directory: &Path, refuses: bool) {
        let passwords = directory.join("passwords");
        std::fs::write(&passwords, "").unwrap();
        let option = match refuses {
            true => format!("password_file {}", passwords.display()),
            false => String::new(),
        };
        self.broker.configure(&format!("{}{option}", self.tls));
    }

    /// After a `kill -9` of the broker, which forgets all. The module's way should be closed until this returns, or events are
    /// acknowledged that have no subscriber.
    pub(crate) async fn restart(&mut self) {
        self.broker.restart();
        for filter in FILTERS {
            self.peer.subscribe(filter).await;
        }
    }

    /// What the broker keeps for the module is gone.
    pub(crate) async fn forget_session(&self) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", self.broker.port))
            .await
            .unwrap();
        let length = u8::try_from(CLIENT_ID.len()).unwrap();
        // CONNECT of MQTT 3.1.1 with clean session and a keep-alive of 60 s.
        let mut connect = vec![
            0x10,
            12 + length,
            0,
            4,
            b'M',
            b'Q',
            b'T',
            b'T',
            4,
            2,
            0,
            60,
            0,
            length,
        ];
        connect.extend_from_slice(CLIENT_ID.as_bytes());
        socket.write_all(&connect).await.unwrap();
        let mut accepted = [0; 4];
        socket.read_exact(&mut accepted).await.unwrap();
        assert_eq!(accepted, [0x20, 2, 0, 0]);
        socket.write_all(&[0xe0, 0]).await.unwrap();
        assert_eq!(socket.read(&mut accepted).await.unwrap(), 0);
    }

    /// What it is, and what the hub answers.
    fn on_publish(&mut self, publish: rumqttc::Publish) -> Option<Seen> {
        let rumqttc::Publish {
            topic, payload, dup, ..
        } = publish;
        let body = payload.to_vec();
        if topic.starts_with(&format!("{PATH}/messages/events/")) {
            let duplicate = dup;
            return Some(Seen::Event {
                topic,
                body,
                duplicate,
            });
        }
        if let Some(rid) = topic.strip_prefix("$iothub/twin/GET/?$rid=") {
            if self.behaviour.throttle_twin > 0 {
                self.behaviour.throttle_twin -= 1;
                self.publish(&format!("$iothub/twin/res/429/?$rid={rid}"), "");
            } else if self.behaviour.answer_twin {
                let answer = self.behaviour.twin.to_string();
                self.publish(&format!("$iothub/twin/res/200/?$rid={rid}"), &answer);
            }
            return Some(Seen::TwinGet(Instant::now()));
        }
        if let Some(rid) = topic.strip_prefix("$iothub/twin/PATCH/properties/reported/?$rid=") {
            self.publish(&format!("$iothub/twin/res/204/?$rid={rid}&$version=2"), "");
            return Some(Seen::Report(body));
        }
        let is_answer = topic.starts_with("$iothub/methods/res/");
        is_answer.then_some(Seen::Answer { topic, body })
    }
}

impl Hub for BrokerHub {
    async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(Seen) -> Option<T>) -> T {
        let wait = async {
            loop {
                let publish = self.peer.next("").await;
                if let Some(picked) = self.on_publish(publish).and_then(&mut pick) {
                    return picked;
                }
            }
        };
        crate::within(what, wait).await
    }

    fn publish(&self, topic: &str, body: &str) {
        self.peer.publish_soon(topic, body);
    }
}

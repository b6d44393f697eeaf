use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, Event};
use async_trait::async_trait;
use lva_client_transport::ClientTls;
use lva_hub::{OutputMessage, TakenMessage};
use lva_media_types::Credentials;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::sync::Notify;

use super::delivery::{CLASS, EventBroker, Failure, INSTANCE};

/// How long the server may take to store an event before it is published again.
const ACK_LIMIT: Duration = Duration::from_secs(10);
/// What cannot stand in a level of a subject.
const LEVEL: &AsciiSet = &CONTROLS.add(b' ').add(b'.').add(b'*').add(b'>').add(b'%');
/// Level of events without an instance.
const NO_INSTANCE: &str = "_";

/// Publishes each event to a stream of NATS JetStream, at the subject `PREFIX.CLASS.INSTANCE` (`CLASS` is `analytics`, `diagnostics`
/// or `operational`), and waits until the stream has stored it.
///
/// One event is on its way at a time, so that the order holds: the client sends what is on its way again by itself after it
/// connected anew. An event is published again with the same `Nats-Msg-Id`: the stream leaves out duplicates within its window (two
/// minutes by default), and consumers recognise later ones.
#[derive(Debug)]
pub(crate) struct Nats {
    server: NatsServer,
    subject: String,
    connection: Option<Connection>,
}

/// How a server is connected to.
#[derive(Debug, Clone)]
pub(crate) struct NatsServer {
    /// `nats://HOST:PORT` or `tls://HOST:PORT`.
    pub(crate) url: String,
    /// TLS is used where the address or the server asks for it.
    pub(crate) tls: ClientTls,
    /// User and password; a token is a password without a user.
    pub(crate) credentials: Option<Credentials>,
}

#[derive(Debug, Clone)]
struct Connection {
    context: Context,
    /// Notified whenever the connection is lost.
    lost: Arc<Notify>,
}

impl Nats {
    /// Events go to subjects that begin so.
    pub(crate) fn new(server: NatsServer, subject: &str) -> Self {
        Self {
            server,
            subject: subject.to_owned(),
            connection: None,
        }
    }

    /// The connection, which the client makes anew by itself after the first time.
    async fn connection(&mut self) -> Result<Connection, Failure> {
        let connection = match &self.connection {
            Some(connection) => connection.clone(),
            None => self.connection.insert(connect(&self.server).await?).clone(),
        };
        match connection.context.client().connection_state() {
            State::Connected => Ok(connection),
            _ => Err(Failure::Again("there is no connection to it".to_owned())),
        }
    }

    async fn publish(&mut self, message: &OutputMessage) -> Result<(), Failure> {
        let connection = self.connection().await?;
        let id = message.message_id.as_deref().unwrap_or_default();
        let publish = PublishMessage::build()
            .payload(message.body.clone())
            .message_id(id)
            .header("Content-Type", "application/json");
        let subject = subject(&self.subject, message);
        // Not the word of a connection that was lost before.
        let lost = connection.lost.notified();
        let store = async {
            let acknowledgement = connection.context.send_publish(subject.clone(), publish).await?;
            acknowledgement.await
        };
        let stored = tokio::select! {
            stored = store => stored,
            () = lost => return Err(Failure::Again("the connection was lost".to_owned())),
        };
        let Err(error) = stored else { return Ok(()) };
        Err(match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => Failure::Refused(error.to_string()),
            PublishErrorKind::StreamNotFound => Failure::Again(format!(
                "no stream has the subject '{subject}': make one for '{}.>'",
                self.subject
            )),
            _ => Failure::Again(error.to_string()),
        })
    }
}

async fn connect(server: &NatsServer) -> Result<Connection, Failure> {
    let tls = server
        .tls
        .config(&[])
        .map_err(|error| Failure::Again(error.to_string()))?;
    let lost = Arc::new(Notify::new());
    let told = Arc::clone(&lost);
    let mut options = ConnectOptions::new()
        .name("lva-edge")
        .tls_client_config((*tls).clone())
        .max_reconnects(None)
        .event_callback(move |event| {
            let told = Arc::clone(&told);
            async move {
                match event {
                    Event::Disconnected => told.notify_waiters(),
                    // The client itself logs the others.
                    Event::ServerError(_) | Event::ClientError(_) => tracing::warn!("NATS: {event}"),
                    _ => {}
                }
            }
        });
    if let Some(own) = &server.credentials {
        let password = own.password().to_owned();
        options = match own.username() {
            "" => options.token(password),
            user => options.user_and_password(user.to_owned(), password),
        };
    }
    let client = options.connect(&server.url).await;
    let client = client.map_err(|error| Failure::Again(format!("no connection: {error}")))?;
    let mut context = jetstream::new(client);
    context.set_timeout(ACK_LIMIT);
    Ok(Connection { context, lost })
}

#[async_trait]
impl EventBroker for Nats {
    fn name(&self) -> &'static str {
        "NATS"
    }

    fn batch(&self) -> usize {
        1
    }

    async fn deliver(&mut self, events: &[TakenMessage]) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(events.len());
        for taken in events {
            outcomes.push(self.publish(&taken.message).await);
        }
        outcomes
    }
}

fn subject(prefix: &str, message: &OutputMessage) -> String {
    let property = |name: &str| message.properties.get(name).map_or("", String::as_str);
    let instance = match property(INSTANCE) {
        "" => NO_INSTANCE,
        instance => instance,
    };
    format!(
        "{prefix}.{}.{}",
        property(CLASS),
        utf8_percent_encode(instance, LEVEL)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_one_level_of_a_subject() {
        let of = |prefix: &str, class: &str, instance: &str| {
            let message = OutputMessage::default()
                .with_property(CLASS, class)
                .with_property(INSTANCE, instance);
            subject(prefix, &message)
        };
        assert_eq!(
            of("lva", "analytics", "Sample-Graph-1"),
            "lva.analytics.Sample-Graph-1"
        );
        assert_eq!(
            of("site.7", "operational", "a.b *>%"),
            "site.7.operational.a%2Eb%20%2A%3E%25"
        );
        assert_eq!(of("lva", "diagnostics", ""), "lva.diagnostics._");
    }
}

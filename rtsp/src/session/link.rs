//! A connection with the state of its requests. Tears its session down when it is dropped.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::media::unit::Arrival;
use crate::secrets::Secrets;
use crate::wire::authentication::LoginFailure;
use crate::wire::exchange::{Event, Exchange, Method};
use crate::wire::message::Message;
use crate::{CameraError, CameraOptions};

/// How long the camera may take to answer TEARDOWN.
const TEARDOWN_TIMEOUT: Duration = Duration::from_millis(400);
/// Media that come before the answer to PLAY: some cameras are that eager.
const MAX_EARLY_PACKETS: usize = 512;
/// So much that is not RTSP, and the peer is not a camera.
const MAX_GARBAGE_BEFORE_ANSWER: u64 = 64 * 1024;

/// Counts connections that still have to send TEARDOWN, so that a new session can wait for the end of the old one.
#[derive(Debug, Clone, Default)]
pub(crate) struct TeardownTracker(watch::Sender<usize>);

struct TeardownGuard(watch::Sender<usize>);

impl TeardownTracker {
    fn register(&self) -> TeardownGuard {
        self.0.send_modify(|count| *count += 1);
        TeardownGuard(self.0.clone())
    }

    /// Waits until none is left.
    pub(crate) async fn wait_all(&self) {
        // `self` keeps the channel open, so this ends only with the condition.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for TeardownGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The answer to a request.
pub(super) struct Answer {
    pub(super) message: Message,
    pub(super) login: Option<LoginFailure>,
}

pub(crate) struct Link {
    /// Taken only by `drop`.
    connection: Option<Connection>,
    pub(super) exchange: Exchange,
    /// The address of PLAY, to which keep-alives and TEARDOWN go too.
    pub(super) aggregate: String,
    pub(super) options: CameraOptions,
    pub(super) secrets: Secrets,
    /// Of the bytes that were read last.
    pub(super) arrival: Arrival,
    /// Sessions that the camera opened beside the first: one for each stream.
    pub(super) other_sessions: Vec<String>,
    /// Packets that came before the answer to PLAY.
    pub(super) early: Vec<(u8, Vec<u8>)>,
    /// This is the second connection.
    reopened: bool,
    teardowns: TeardownTracker,
}

impl Link {
    pub(super) async fn open(
        options: &CameraOptions,
        teardowns: &TeardownTracker,
    ) -> Result<Self, CameraError> {
        let (connection, early) = Connection::open(options).await?;
        let mut exchange = Exchange::new(options.credentials.clone(), options.allows_basic());
        exchange.deframer.push(&early);
        let address = options.url.to_wire().to_string();
        Ok(Self {
            connection: Some(connection),
            exchange,
            secrets: Secrets::new(&address, options.credentials.as_ref()),
            aggregate: address,
            options: options.clone(),
            arrival: Arrival::now(),
            other_sessions: Vec::new(),
            early: Vec::new(),
            reopened: false,
            teardowns: teardowns.clone(),
        })
    }

    pub(super) fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }

    /// Sends a request and waits for its answer. Packets that come meanwhile are kept in [`early`](Self::early).
    pub(super) async fn request(
        &mut self,
        method: Method,
        uri: &str,
        headers: &str,
    ) -> Result<Answer, CameraError> {
        self.exchange.send(method, uri, headers);
        loop {
            self.flush().await?;
            while let Some(event) = self.exchange.next() {
                match event {
                    Event::Answer {
                        method: answered,
                        message,
                        login,
                    } if answered == method => return Ok(Answer { message, login }),
                    Event::Answer { .. } => {}
                    Event::Packet { channel, at } => {
                        if self.early.len() < MAX_EARLY_PACKETS {
                            let bytes = self.exchange.bytes(at).to_vec();
                            self.early.push((channel, bytes));
                        }
                    }
                }
            }
            // A new nonce may have to be answered first.
            let read = match self.flush().await {
                Ok(()) => self.read_or_settle().await,
                Err(error) => Err(error),
            };
            let garbage = self.exchange.deframer.garbage();
            match read {
                Ok(true) if garbage <= MAX_GARBAGE_BEFORE_ANSWER => {}
                Ok(false) | Err(CameraError::Broken { .. }) if self.reopen().await? => {}
                Err(error) => return Err(error),
                Ok(_) if garbage > 0 => return Err(self.not_rtsp()),
                Ok(_) => return Err(self.closed()),
            }
        }
    }

    /// Some cameras close the connection with their challenge: the answer goes by another one.
    async fn reopen(&mut self) -> Result<bool, CameraError> {
        if self.reopened || !self.exchange.resume() {
            return Ok(false);
        }
        self.reopened = true;
        let (connection, early) = Connection::open(&self.options).await?;
        self.exchange.deframer.push(&early);
        self.connection = Some(connection);
        Ok(true)
    }

    /// Sends a request to every session of this connection.
    pub(super) fn send_for_each_session(&mut self, method: Method) {
        send_for_each_session(&mut self.exchange, &self.other_sessions, method, &self.aggregate);
    }

    /// Sends what is to be sent.
    pub(super) async fn flush(&mut self) -> Result<(), CameraError> {
        if !self.exchange.has_output() {
            return Ok(());
        }
        let bytes = self.exchange.take_output();
        match &mut self.connection {
            Some(connection) => connection.send(&bytes).await,
            None => Ok(()),
        }
    }

    /// Reads what has come; false at the end. Cancel safe.
    pub(super) async fn read(&mut self) -> Result<bool, CameraError> {
        let Some(connection) = &mut self.connection else {
            return Ok(false);
        };
        let len = connection.read(self.exchange.deframer.space()).await?;
        self.exchange.deframer.filled(len);
        self.arrival = Arrival::now();
        Ok(len > 0)
    }

    /// Reads what has come. A body of which the end is uncertain ends with silence, or with the connection.
    async fn read_or_settle(&mut self) -> Result<bool, CameraError> {
        let Some(silence) = self.exchange.deframer.settles_after() else {
            return self.read().await;
        };
        match timeout(silence, self.read()).await {
            Ok(Ok(false)) | Err(_) => {
                self.exchange.deframer.settle();
                Ok(true)
            }
            Ok(read) => read,
        }
    }

    fn closed(&self) -> CameraError {
        CameraError::Closed {
            url: self.options.url.clone(),
        }
    }

    fn not_rtsp(&self) -> CameraError {
        CameraError::Protocol {
            url: self.options.url.clone(),
            message: "its answer is not RTSP: is this its RTSP port?".to_owned(),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let Some(mut connection) = self
            .connection
            .take()
            .filter(|_| self.exchange.session().is_some())
        else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let guard = self.teardowns.register();
        let mut exchange = std::mem::replace(&mut self.exchange, Exchange::new(None, false));
        send_for_each_session(
            &mut exchange,
            &self.other_sessions,
            Method::Teardown,
            &self.aggregate,
        );
        let sessions = 1 + self.other_sessions.len();
        // Without TEARDOWN the camera would keep the session and count it against its limit.
        runtime.spawn(async move {
            let _guard = guard;
            let torn_down = tear_down(&mut connection, &mut exchange, sessions);
            let _ = timeout(TEARDOWN_TIMEOUT, torn_down).await;
        });
    }
}

fn send_for_each_session(exchange: &mut Exchange, others: &[String], method: Method, uri: &str) {
    let first = exchange.session().map(str::to_owned);
    exchange.send(method, uri, "");
    for other in others {
        exchange.set_session(Some(other.clone()));
        exchange.send(method, uri, "");
    }
    exchange.set_session(first);
}

/// Sends what is to be sent, and waits for the answers of so many sessions.
async fn tear_down(
    connection: &mut Connection,
    exchange: &mut Exchange,
    mut sessions: usize,
) -> Result<(), CameraError> {
    loop {
        let bytes = exchange.take_output();
        if !bytes.is_empty() {
            connection.send(&bytes).await?;
        }
        while let Some(event) = exchange.next() {
            if matches!(
                event,
                Event::Answer {
                    method: Method::Teardown,
                    ..
                }
            ) {
                sessions = sessions.saturating_sub(1);
                if sessions == 0 {
                    connection.shut_down().await;
                    return Ok(());
                }
            }
        }
        if exchange.has_output() {
            continue;
        }
        let len = connection.read(exchange.deframer.space()).await?;
        if len == 0 {
            return Ok(());
        }
        exchange.deframer.filled(len);
    }
}

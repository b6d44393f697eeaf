//! The task that keeps the connection.

mod receive;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::answers::Answers;
use super::attempt::{Attempt, Established, Failed};
use super::in_flight::InFlight;
use super::options::{Authentication, HubOptions};
use super::subscriptions::Subscriptions;
use super::{Answer, ConnectionState, IncomingCall, Shared, runtime_now};
use crate::dial::Dial;
use crate::dialect::Dialect;
use crate::message::InputMessage;
use crate::method::PendingCalls;
use crate::mqtt::{CodecError, Connection, Incoming, Lost, MqttVersion, Outgoing, Publish, Qos};
use crate::outbox::record::StoredEvent;
use crate::outbox::{Consumer, Outbox};
use crate::session::{Loss, SessionPolicy};
use crate::twin::Desired;

/// How long a clean end waits for what is under way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Most packets without acknowledgement where the broker names no limit.
const MAX_PACKETS: usize = 1000;
/// Most messages that wait for its acknowledgements.
const MAX_OUTBOUND: usize = 10_000;
/// Bytes that a broker may leave untaken. More than the events under way, and than answers to all calls.
const MAX_QUEUED_BYTES: usize = 64 << 20;

/// The task's ends of the channels to the application.
pub(super) struct Ends {
    pub(super) methods: mpsc::Sender<IncomingCall>,
    pub(super) inputs: mpsc::Sender<InputMessage>,
    pub(super) desired: watch::Sender<Option<Desired>>,
    pub(super) state: watch::Sender<ConnectionState>,
    pub(super) shutdown: watch::Receiver<bool>,
}

pub(super) struct Task {
    dialect: Box<dyn Dialect>,
    authentication: Authentication,
    dialer: Arc<dyn Dial>,
    version: MqttVersion,
    keep_alive: Duration,
    connect_timeout: Duration,
    max_in_flight: usize,
    session: SessionPolicy,
    methods: PendingCalls,
    shared: Arc<Shared>,
    consumer: Consumer,
    outbox_failed: watch::Receiver<bool>,
    ends: Ends,
    answers_in: mpsc::UnboundedSender<Answer>,
    answers: mpsc::UnboundedReceiver<Answer>,
    in_flight: InFlight,
    unsent: Answers,
    /// What waits until the broker takes more, for this connection.
    outbound: VecDeque<(Publish, Sent)>,
    /// What the packet ids of this connection stand for.
    packets: HashMap<u16, Sent>,
    /// Most packets without acknowledgement that the broker allows.
    max_packets: usize,
    subscriptions: Subscriptions,
    /// The failure that was logged last.
    reported: Option<Loss>,
}

enum Sent {
    /// By sequence number.
    Event(u64),
    /// By number of the call.
    Answer(u64),
    State(String),
    Announcement,
    Subscription,
    Other,
}

/// Why serving a connection ends.
enum End {
    Shutdown,
    Renewal,
    Lost(Lost),
    OutboxFailed,
}

enum Step {
    Packet(Result<Incoming, Lost>),
    Event(StoredEvent),
    Answer(Answer),
    Changed,
    Shutdown,
    OutboxFailed,
    Tick,
}

impl Task {
    pub(super) fn new(options: HubOptions, shared: Arc<Shared>, outbox: &Outbox, ends: Ends) -> Self {
        let dialer = options.dialer();
        let (answers_in, answers) = mpsc::unbounded_channel();
        Self {
            dialect: options.dialect,
            authentication: options.authentication,
            dialer,
            version: options.version,
            keep_alive: options.keep_alive,
            connect_timeout: options.connect_timeout,
            max_in_flight: options.max_in_flight,
            subscriptions: Subscriptions::new(&options.session),
            session: SessionPolicy::new(options.session, runtime_now()),
            methods: PendingCalls::new(options.methods),
            shared,
            consumer: outbox.consumer(),
            outbox_failed: outbox.failed(),
            ends,
            answers_in,
            answers,
            in_flight: InFlight::default(),
            unsent: Answers::default(),
            outbound: VecDeque::new(),
            packets: HashMap::new(),
            max_packets: MAX_PACKETS,
            reported: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let connect_at = self.session.connect_at().unwrap_or_else(runtime_now);
            if self
                .while_offline(tokio::time::sleep_until(connect_at.into()))
                .await
                .is_none()
            {
                break;
            }
            self.session.on_connecting();
            self.ends.state.send_replace(ConnectionState::Connecting);
            let attempt = Attempt {
                client_id: self.dialect.client_id(),
                will: self.dialect.will(),
                authentication: self.authentication.clone(),
                dialer: Arc::clone(&self.dialer),
                version: self.version,
                keep_alive: self.keep_alive,
                timeout: self.connect_timeout,
            };
            match self.while_offline(attempt.run()).await {
                None => break,
                Some(Err(failed)) => {
                    self.shared.counters.connect_failures.increment();
                    if failed.loss == Loss::NotAuthorized {
                        self.shared.counters.not_authorized.increment();
                    }
                    self.on_lost(failed);
                }
                Some(Ok(established)) => match self.serve(established).await {
                    End::Shutdown | End::OutboxFailed => break,
                    End::Renewal => {
                        self.shared.counters.tokens_renewed.increment();
                        self.session.on_renewal(runtime_now());
                    }
                    End::Lost(lost) => {
                        self.shared.counters.connections_lost.increment();
                        self.on_lost(Failed {
                            loss: Loss::Closed,
                            reason: lost.to_string(),
                        });
                    }
                },
            }
        }
        let end = match *self.outbox_failed.borrow() && !*self.ends.shutdown.borrow() {
            true => ConnectionState::Failed {
                reason: "the outbox has failed".to_owned(),
            },
            false => ConnectionState::Stopped,
        };
        self.ends.state.send_replace(end);
    }

    /// Waits for something without a connection. `None` when the client is to end.
    async fn while_offline<T>(&mut self, wait: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(wait);
        loop {
            if *self.ends.shutdown.borrow() {
                return None;
            }
            let deadline = self.methods.next_deadline();
            tokio::select! {
                done = &mut wait => return Some(done),
                Some(answer) = self.answers.recv() => self.on_answer(answer),
                () = sleep_until(deadline) => self.expire_methods(),
                changed = self.ends.shutdown.changed() => if changed.is_err() { return None },
                () = has_failed(&mut self.outbox_failed) => return None,
            }
        }
    }

    fn on_lost(&mut self, failed: Failed) {
        let jitter = f64::from(random_u32()) / f64::from(u32::MAX);
        let retry_in = self.session.on_lost(failed.loss, jitter, runtime_now());
        let Failed { loss, reason } = failed;
        // Once for each kind of failure, until there is a connection again.
        if self.reported != Some(loss) {
            self.reported = Some(loss);
            let hint = match loss {
                Loss::NotAuthorized => {
                    "; check the key or the module's registration, and this machine's clock"
                }
                _ if self.session.seems_displaced() => "; another client seems to use the same identity",
                _ => "",
            };
            tracing::warn!(%reason, ?retry_in, "no connection to the hub{hint}");
        } else {
            tracing::debug!(%reason, ?retry_in, "still no connection to the hub");
        }
        self.ends
            .state
            .send_replace(ConnectionState::Waiting { reason, retry_in });
    }

    /// Uses a connection until it ends.
    async fn serve(&mut self, established: Established) -> End {
        let Established {
            mut connection,
            accepted,
            token_life,
        } = established;
        self.shared.counters.connected.increment();
        self.session.on_connected(token_life, runtime_now());
        self.max_packets = accepted.receive_maximum.map_or(MAX_PACKETS, usize::from).max(1);
        let end = match self.begin(&mut connection, accepted.session_present) {
            Ok(()) => {
                tracing::info!(session_present = accepted.session_present, "connected to the hub");
                self.exchange(&mut connection).await
            }
            Err(error) => End::Lost(error.into()),
        };
        self.shared.twin().on_disconnected();
        if !matches!(end, End::Lost(_)) {
            connection.close().await;
        }
        end
    }

    /// Subscribes, whatever the broker remembers, and sends again what was not acknowledged.
    fn begin(&mut self, connection: &mut Connection, session_present: bool) -> Result<(), CodecError> {
        self.packets.clear();
        self.outbound.clear();
        let now = runtime_now();
        self.subscriptions.on_connected(self.dialect.filters(), now);
        self.subscribe(connection, now)?;
        for publish in self.dialect.after_connect() {
            self.outbound.push_back((publish, Sent::Other));
        }
        self.in_flight.on_connected();
        self.queue_events(session_present, now);
        self.unsent.on_connected();
        self.shared.states().refresh();
        Ok(())
    }

    /// Asks for what is not granted yet, when that is due.
    fn subscribe(&mut self, connection: &mut Connection, now: Instant) -> Result<(), CodecError> {
        if let Some(filters) = self.subscriptions.take_due(now) {
            let packet_id = connection.subscribe(filters)?;
            self.packets.insert(packet_id, Sent::Subscription);
        }
        Ok(())
    }

    async fn exchange(&mut self, connection: &mut Connection) -> End {
        let mut leaving: Option<(Instant, End)> = None;
        loop {
            let now = runtime_now();
            let ticked = self.tick(now);
            if let Err(lost) = ticked.and_then(|()| Ok(self.subscribe(connection, now)?)) {
                return End::Lost(lost);
            }
            if leaving.is_none() && self.session.is_renewal_due(self.methods.in_progress() > 0, now) {
                leaving = Some((now + DRAIN_TIMEOUT, End::Renewal));
            }
            if let Some((_, end)) = leaving.take_if(|(until, _)| self.is_idle() || now >= *until) {
                if matches!(end, End::Shutdown) {
                    let last = self.dialect.before_disconnect();
                    self.outbound
                        .extend(last.into_iter().map(|publish| (publish, Sent::Other)));
                }
                self.pump(connection);
                return end;
            }
            self.pump(connection);
            let has_room = self.in_flight.len() < self.max_in_flight && leaving.is_none();
            if has_room {
                self.consumer.want(self.max_in_flight - self.in_flight.len());
            }
            let wakeup = match &leaving {
                Some((until, _)) => Some(*until),
                None => self.wakeup(now),
            };
            let is_ending = matches!(leaving, Some((_, End::Shutdown)));
            let step = tokio::select! {
                packet = connection.next() => Step::Packet(packet),
                stored = self.consumer.next(), if has_room => Step::Event(stored),
                Some(answer) = self.answers.recv() => Step::Answer(answer),
                () = self.shared.changed.notified() => Step::Changed,
                _ = self.ends.shutdown.changed(), if !is_ending => Step::Shutdown,
                () = has_failed(&mut self.outbox_failed), if !is_ending => Step::OutboxFailed,
                () = sleep_until(wakeup) => Step::Tick,
            };
            match step {
                Step::Packet(Ok(packet)) => {
                    if let Err(error) = self.on_packet(connection, packet) {
                        return End::Lost(error.into());
                    }
                }
                Step::Packet(Err(lost)) => return End::Lost(lost),
                Step::Event(stored) => {
                    self.in_flight.push(stored);
                    self.queue_events(false, runtime_now());
                }
                Step::Answer(answer) => self.on_answer(answer),
                Step::OutboxFailed => return End::OutboxFailed,
                Step::Shutdown => leaving = Some((runtime_now() + DRAIN_TIMEOUT, End::Shutdown)),
                Step::Changed | Step::Tick => {}
            }
            if connection.queued_bytes() > MAX_QUEUED_BYTES || self.outbound.len() > MAX_OUTBOUND {
                return End::Lost(CodecError("it sends much and takes nothing".to_owned()).into());
            }
        }
    }

    /// What the clock and the application ask for.
    fn tick(&mut self, now: Instant) -> Result<(), Lost> {
        self.expire_methods();
        for _ in 0..self.unsent.expire(now) {
            self.shared.counters.answers_dropped.increment();
        }
        loop {
            // Bound outside of the body, which takes the lock again.
            let request = self.shared.twin().poll(now);
            let Some(request) = request else { break };
            let publish = self.dialect.twin(&request);
            let is_done = publish.is_none() || !self.dialect.is_twin_answered();
            self.outbound
                .extend(publish.map(|publish| (publish, Sent::Other)));
            if is_done {
                self.shared.twin().settle(&request);
            }
        }
        match self.overdue_at().is_some_and(|at| now >= at) {
            true => Err(Lost::Disconnected {
                reason: "by us: it does not acknowledge what we send".to_owned(),
            }),
            false => Ok(()),
        }
    }

    /// Hands to the connection what the broker may get now.
    fn pump(&mut self, connection: &mut Connection) {
        while self.packets.len() < self.max_packets {
            let next = self.next_answer().or_else(|| self.outbound.pop_front());
            let Some((publish, sent)) = next.or_else(|| self.next_state()) else {
                return;
            };
            match connection.publish(publish) {
                Ok(0) => {}
                Ok(packet_id) => {
                    if let Sent::Event(sequence) = sent {
                        self.in_flight.on_sent(sequence);
                    }
                    self.packets.insert(packet_id, sent);
                }
                // It would not fit next time either.
                Err(error) => self.on_settled(sent, Some(error.to_string())),
            }
        }
    }

    fn next_answer(&mut self) -> Option<(Publish, Sent)> {
        let answer = self.unsent.take_next()?;
        Some((self.dialect.answer(answer), Sent::Answer(answer.call)))
    }

    fn next_state(&mut self) -> Option<(Publish, Sent)> {
        let mut states = self.shared.states();
        while let Some((path, value)) = states.take_changed() {
            if let Some(publish) = self.dialect.state(&path, value.as_deref()) {
                return Some((publish, Sent::State(path)));
            }
        }
        let components = states.take_announcement()?;
        let mut components = components
            .iter()
            .map(|(id, component)| (id.as_str(), component.as_ref()));
        let publish = self.dialect.announcement(&mut components)?;
        Some((publish, Sent::Announcement))
    }

    /// Whether nothing is under way.
    fn is_idle(&self) -> bool {
        let waits = self.in_flight.len() + self.unsent.len() + self.outbound.len() + self.packets.len();
        waits == 0 && !self.shared.twin().is_reporting()
    }

    fn wakeup(&self, now: Instant) -> Option<Instant> {
        let wakeups = [
            self.methods.next_deadline(),
            self.shared.twin().wakeup(now),
            self.session.renewal_at(self.methods.in_progress() > 0),
            self.unsent.next_expiry(),
            self.subscriptions.retry_at(),
            self.overdue_at(),
        ];
        wakeups.into_iter().flatten().min()
    }

    /// When the broker is late with an acknowledgement.
    fn overdue_at(&self) -> Option<Instant> {
        let overdue = [self.in_flight.overdue_at(), self.subscriptions.overdue_at()];
        overdue.into_iter().flatten().min()
    }

    /// Queues the events that this connection has not had.
    fn queue_events(&mut self, session_present: bool, now: Instant) {
        while let Some(next) = self.in_flight.take_next(now) {
            if next.was_sent {
                self.shared.counters.events_resent.increment();
            }
            let mut publish = self.dialect.event(next.event);
            publish.duplicate = session_present && next.was_sent;
            self.outbound.push_back((publish, Sent::Event(next.sequence)));
        }
    }

    fn on_packet(&mut self, connection: &mut Connection, packet: Incoming) -> Result<(), CodecError> {
        match packet {
            Incoming::Publish(publish) => {
                let (packet_id, qos) = (publish.packet_id, publish.qos);
                self.on_message(publish);
                if qos == Qos::AtLeastOnce {
                    connection.send(Outgoing::Acknowledge(packet_id))?;
                }
            }
            Incoming::TooLarge => {
                self.shared.counters.malformed_messages.increment();
                tracing::warn!("a message is too large, and skipped");
            }
            Incoming::Acknowledged { packet_id, refused } => {
                if let Some(sent) = self.packets.remove(&packet_id) {
                    self.in_flight.on_acknowledged(runtime_now());
                    self.on_settled(sent, refused);
                }
            }
            Incoming::Subscribed { packet_id, refused } => self.on_subscribed(packet_id, &refused),
            // These are handled where the connection is opened, or read.
            Incoming::Accepted(_)
            | Incoming::Refused { .. }
            | Incoming::Pong
            | Incoming::Disconnected { .. } => {
                return Err(CodecError(
                    "a packet that belongs to the beginning of a connection".to_owned(),
                ));
            }
        }
        Ok(())
    }
}

/// Sleeps until then; without a time, for ever.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits until the outbox has failed.
async fn has_failed(failed: &mut watch::Receiver<bool>) {
    // Without the outbox, nothing can fail any more.
    if failed.wait_for(|failed| *failed).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// For jitter alone; half-way where the system has no randomness.
fn random_u32() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

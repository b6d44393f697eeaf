//! What the broker sends, and what becomes of it.

use super::{Sent, Task};
use crate::client::{Answer, ConnectionState, IncomingCall, runtime_now};
use crate::dialect::Received;
use crate::method::{MethodAnswer, Received as MethodReceived};
use crate::mqtt::Publish;
use crate::twin::TwinOutcome;

impl Task {
    pub(super) fn on_subscribed(&mut self, packet_id: u16, refused: &[usize]) {
        let Some(Sent::Subscription) = self.packets.remove(&packet_id) else {
            return;
        };
        let answered = self.subscriptions.on_answer(refused, runtime_now());
        for filter in answered.refused {
            self.shared.counters.subscriptions_refused.increment();
            if answered.is_first {
                tracing::warn!(
                    filter,
                    "the broker refuses a subscription, which is asked for again: what comes over it is missing"
                );
            } else {
                tracing::debug!(filter, "the broker still refuses a subscription");
            }
        }
        if answered.is_first {
            self.reported = None;
            self.ends.state.send_replace(ConnectionState::Connected);
        } else if answered.has_granted {
            tracing::info!("the broker grants a subscription that it refused before");
        }
        if answered.is_first || answered.has_granted {
            // What came before a filter was granted is missing.
            self.shared.twin().on_connected();
        }
    }

    /// The broker has it, or will never take it.
    pub(super) fn on_settled(&mut self, sent: Sent, refused: Option<String>) {
        match sent {
            Sent::Event(sequence) => {
                if let Some(reason) = refused {
                    self.shared.counters.events_refused.increment();
                    tracing::error!(%reason, "an event is refused, and lost");
                }
                self.in_flight.settle(sequence);
                self.consumer.acknowledge(sequence);
            }
            Sent::Answer(call) => self.unsent.settle(call),
            Sent::State(path) => self.shared.states().on_published(&path),
            Sent::Announcement => self.shared.states().on_announced(),
            Sent::Subscription | Sent::Other => {}
        }
    }

    pub(super) fn on_message(&mut self, publish: Publish) {
        let counters = &self.shared.counters;
        let received = match self.dialect.read(publish) {
            Ok(received) => received,
            Err(error) => {
                counters.malformed_messages.increment();
                tracing::debug!(%error, "a message is ignored");
                return;
            }
        };
        match received {
            Received::Method {
                name,
                request_id,
                body,
            } => self.on_method(name, request_id, &body),
            Received::MalformedMethod { request_id } => {
                counters.methods_received.increment();
                counters.methods_refused.increment();
                self.forget_answers(&request_id);
                let answer = self.methods.on_malformed(request_id, runtime_now());
                self.queue_answer(answer);
            }
            Received::TwinAnswer {
                request_id,
                status,
                body,
            } => {
                let outcome = self
                    .shared
                    .twin()
                    .on_answer(&request_id, status, &body, runtime_now());
                self.on_twin(outcome);
            }
            Received::DesiredPatch { version, body } => {
                let outcome = self.shared.twin().on_notice(version, &body);
                self.on_twin(outcome);
            }
            Received::DesiredDocument { body } => {
                let outcome = self.shared.twin().on_desired(&body);
                self.on_twin(outcome);
            }
            Received::Reannounce => self.shared.states().announce_again(),
            Received::Input(message) => {
                counters.inputs_received.increment();
                if self.ends.inputs.try_send(message).is_err() {
                    counters.inputs_dropped.increment();
                    tracing::debug!(
                        "a message for an input is dropped: the application does not take them in time"
                    );
                }
            }
            Received::OwnEvent => counters.echoes_ignored.increment(),
            Received::Unknown => counters.unknown_messages.increment(),
        }
    }

    fn on_twin(&mut self, outcome: TwinOutcome) {
        match outcome {
            TwinOutcome::Unchanged | TwinOutcome::Reported => {}
            TwinOutcome::DesiredChanged => {
                let desired = self.shared.twin().desired().cloned();
                self.ends.desired.send_replace(desired);
            }
            TwinOutcome::ReportRefused { status } => {
                self.shared.counters.reports_refused.increment();
                tracing::error!(status, "the hub refuses reported properties, which are dropped");
            }
        }
    }

    fn on_method(&mut self, name: String, request_id: String, body: &[u8]) {
        self.shared.counters.methods_received.increment();
        let received = self
            .methods
            .on_request(name, request_id.clone(), body, runtime_now());
        if received != MethodReceived::Duplicate {
            self.forget_answers(&request_id);
        }
        match received {
            MethodReceived::Call(request) => {
                let call = IncomingCall {
                    request,
                    answers: Some(self.answers_in.clone()),
                };
                // A call that is not taken answers for itself when it is dropped.
                if let Err(error) = self.ends.methods.try_send(call) {
                    tracing::debug!(%error, request_id, "a method call is not taken");
                }
            }
            MethodReceived::Answer(answer) => {
                self.shared.counters.methods_refused.increment();
                self.queue_answer(answer);
            }
            MethodReceived::Duplicate => {}
        }
    }

    pub(super) fn on_answer(&mut self, answer: Answer) {
        match self
            .methods
            .on_answer(answer.call, answer.status, &answer.payload)
        {
            Some(answer) => self.queue_answer(answer),
            None => self.shared.counters.answers_dropped.increment(),
        }
    }

    pub(super) fn expire_methods(&mut self) {
        for late in self.methods.expire(runtime_now()) {
            self.shared.counters.methods_late.increment();
            self.queue_answer(late);
        }
    }

    fn queue_answer(&mut self, answer: MethodAnswer) {
        if !self.unsent.push(answer) {
            self.shared.counters.answers_dropped.increment();
        }
    }

    /// A new call has this id.
    fn forget_answers(&mut self, request_id: &str) {
        for _ in 0..self.unsent.forget(request_id) {
            self.shared.counters.answers_dropped.increment();
        }
    }
}

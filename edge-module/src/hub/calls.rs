//! Methods and inputs, from the hub to the module.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lva_graph_runtime::{HubMessage, Module};
use lva_hub::{IncomingCall, InputMessage};
use tokio::sync::mpsc;

use crate::hub_stats::InputCounts;
use crate::methods::Methods;

/// The client itself answers after 24 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(23);

/// Answers calls, each in a task of its own, so that a slow one holds up no other. The client bounds their number.
pub(super) async fn serve_methods(mut calls: mpsc::Receiver<IncomingCall>, methods: Methods) {
    while let Some(call) = calls.recv().await {
        let methods = methods.clone();
        tokio::spawn(async move {
            let answer = methods
                .invoke(call.name(), call.payload().clone(), ANSWER_LIMIT)
                .await;
            call.answer(i32::from(answer.status), answer.payload);
        });
    }
}

/// Opens the gates that listen to the inputs.
pub(super) async fn serve_inputs(
    mut inputs: mpsc::Receiver<InputMessage>,
    module: Module,
    counts: Arc<InputCounts>,
) {
    while let Some(input) = inputs.recv().await {
        // A message from the cloud to a device names no input, and no graph listens to it.
        let name = input.input.clone().unwrap_or_default();
        let count = match module.deliver(&name, &message(input)) {
            Ok(0) => {
                tracing::debug!(input = name, "no running graph listens to this input");
                &counts.without_listener
            }
            Ok(gates) => {
                tracing::debug!(input = name, gates, "a message was delivered");
                &counts.delivered
            }
            Err(error) => {
                tracing::warn!(input = name, %error, "a message for an input is invalid");
                &counts.invalid
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn message(input: InputMessage) -> HubMessage {
    let mut message = HubMessage::new();
    if let Some(id) = input.message_id {
        message = message.with_id(id);
    }
    for (name, value) in input.properties {
        // Null is a property that is not there.
        if let Some(value) = value {
            message = message.with_property(name, value);
        }
    }
    match input.correlation_id {
        Some(id) => message.with_property("correlationId", id),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_without_a_value_is_not_there() {
        let bag = vec![
            ("$.mid".to_owned(), Some("m-1".to_owned())),
            ("eventTime".to_owned(), None),
            ("eventTarget".to_owned(), Some("/graphInstances/one".to_owned())),
        ];
        let input = InputMessage::new(Some("trigger".to_owned()), bag, bytes::Bytes::new());
        let expected = HubMessage::new()
            .with_id("m-1")
            .with_property("eventTarget", "/graphInstances/one");
        assert_eq!(message(input), expected);
    }
}

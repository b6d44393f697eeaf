//! The module at its hub: an IoT Hub, an edgeHub, or a plain MQTT broker.

mod calls;
mod states;
mod target;

use std::sync::Arc;
use std::time::Duration;

use lva_hub::{Client, ConnectionState, FromHub, Outbox, OutboxError};
use tokio::task::JoinSet;

pub use target::HubError;
pub(crate) use target::{Target, target};

use crate::config::HubConfig;
use crate::data::DataDirectory;
use crate::events::{HubSink, RefusedEvents, Topic, ZoneCounts};
use crate::hub_stats::{HubStats, InputCounts};
use crate::methods::Methods;
use crate::settings::LiveSettings;
use crate::twin::ModuleTwin;

/// How long a stop waits until the hub has the last events.
pub(crate) const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Directory of the outbox in the data directory.
pub(crate) const OUTBOX: &str = "outbox";

/// A connection before the module runs: events are taken already, methods wait.
#[derive(Debug)]
pub(crate) struct Connecting {
    client: Client,
    from_hub: FromHub,
    twin: ModuleTwin,
    is_broker: bool,
    refused: RefusedEvents,
    zones: ZoneCounts,
}

/// The connection of a running module. Ends when it is dropped; [`stop`](Self::stop) delivers what is left.
#[derive(Debug)]
pub(crate) struct HubConnection {
    client: Client,
    /// Methods, inputs, twin, states.
    tasks: JoinSet<()>,
    inputs: Arc<InputCounts>,
    refused: RefusedEvents,
}

impl Connecting {
    /// Connects in the background.
    pub(crate) fn start(
        target: Target,
        config: &HubConfig,
        data: &DataDirectory,
        twin: ModuleTwin,
    ) -> Result<Self, OutboxError> {
        let outbox = Outbox::open(data.file(OUTBOX), config.outbox())?;
        let (client, from_hub) = Client::start(target.options, outbox);
        twin.connect(client.clone());
        Ok(Self {
            client,
            from_hub,
            twin,
            is_broker: target.is_broker,
            refused: RefusedEvents::default(),
            zones: ZoneCounts::default(),
        })
    }

    /// The sink of the module's events.
    pub(crate) fn sink(&self, settings: LiveSettings) -> HubSink {
        HubSink::new(
            self.client.clone(),
            Topic::live(settings.clone()),
            settings,
            self.refused.clone(),
            self.is_broker.then(|| self.zones.clone()),
        )
    }

    /// Ends what a module does not need that cannot start.
    pub(crate) async fn abandon(self) {
        self.client.shutdown().await;
    }

    /// Serves methods and inputs.
    pub(crate) fn run(self, methods: &Methods) -> HubConnection {
        let mut tasks = JoinSet::new();
        let inputs = Arc::new(InputCounts::default());
        tasks.spawn(calls::serve_methods(self.from_hub.methods, methods.clone()));
        tasks.spawn(calls::serve_inputs(
            self.from_hub.inputs,
            methods.module().clone(),
            Arc::clone(&inputs),
        ));
        tasks.spawn(self.twin.follow());
        if self.is_broker {
            tasks.spawn(states::keep(self.client.clone(), methods.clone(), self.zones));
        }
        HubConnection {
            client: self.client,
            tasks,
            inputs,
            refused: self.refused,
        }
    }
}

/// Waits until a connection has ended for good, by its own word or because its task is gone.
pub(crate) async fn ended(mut state: tokio::sync::watch::Receiver<ConnectionState>) {
    let _ = state.wait_for(ConnectionState::has_ended).await;
}

impl HubConnection {
    pub(crate) fn stats(&self) -> HubStats {
        HubStats {
            client: self.client.clone(),
            inputs: Arc::clone(&self.inputs),
            refused: self.refused.clone(),
        }
    }

    /// The connection and its changes.
    pub(crate) fn state(&self) -> tokio::sync::watch::Receiver<ConnectionState> {
        self.client.state()
    }

    /// Takes no more calls; those in progress are answered.
    pub(crate) fn close(&mut self) {
        self.tasks.abort_all();
    }

    /// Delivers the last events while there is a connection, and disconnects. What is not delivered stays on disk; returns
    /// false where the disk did not take it in time.
    pub(crate) async fn stop(mut self) -> bool {
        self.close();
        if !self.client.drain(DRAIN_LIMIT).await {
            let waiting = self.client.outbox_stats().waiting;
            tracing::info!(waiting, "events stay in the outbox until the next start");
        }
        self.client.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_whose_task_is_gone_has_ended_and_one_that_waits_has_not() {
        let (state, seen) = tokio::sync::watch::channel(ConnectionState::Connecting);
        let end = tokio::spawn(ended(seen));
        state.send_replace(ConnectionState::Connected);
        tokio::task::yield_now().await;
        assert!(!end.is_finished());
        drop(state);
        end.await.unwrap();
    }
}

//! Direct methods, as every transport carries them out: run, saved, answered in time.

use std::sync::Arc;
use std::time::Duration;

use lva_graph_model::methods::Method;
use lva_graph_runtime::Module;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::data::DataDirectory;
use crate::metrics::MethodCounts;
use crate::settings::{LiveSettings, Problem};
use crate::state;

/// A caller is answered within this time: a hub's callers wait 30 s at most by default.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(25);

/// The answer to a method.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct MethodResponse {
    /// Status, as of HTTP.
    pub status: u16,
    /// The answer's body, or `{"error": …}`.
    pub payload: Value,
}

/// Carries out the methods of a module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Methods {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    module: Module,
    data: Arc<DataDirectory>,
    settings: LiveSettings,
    /// One save at a time, so that the newest state is the last one written.
    saving: Mutex<()>,
    counts: MethodCounts,
    /// A method has changed something.
    changed: Notify,
}

impl Methods {
    pub(crate) fn new(module: Module, data: Arc<DataDirectory>, settings: LiveSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                module,
                data,
                settings,
                saving: Mutex::new(()),
                counts: MethodCounts::default(),
                changed: Notify::new(),
            }),
        }
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.shared.module
    }

    /// Waits until a method has changed something since the last wait. There is one waiter.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    pub(crate) fn counts(&self) -> &MethodCounts {
        &self.shared.counts
    }

    /// Runs a method, unless the hub's twin is wrong; saves the state that it changed, and answers within `limit`, at most [`ANSWER_LIMIT`].
    ///
    /// A method that takes longer, such as a deactivation with long clips to complete, is answered by 202 without a body and
    /// goes on. Dropping the future does not interrupt it either.
    pub async fn invoke(&self, method: &str, payload: Value, limit: Duration) -> MethodResponse {
        let started = std::time::Instant::now();
        tracing::info!("Request started: Method name: '{}'.", printable(method));
        let (shared, name) = (Arc::clone(&self.shared), method.to_owned());
        let running = tokio::spawn(async move { shared.run(&name, &payload).await });
        let answer = match timeout(limit.min(ANSWER_LIMIT), running).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_panicked)) => {
                failed("a fault of this program interrupted the method; see the log".to_owned())
            }
            Err(_) => MethodResponse {
                status: 202,
                payload: Value::Null,
            },
        };
        let known = Method::from_name(method).map(|(family, method)| method.name(family));
        self.shared
            .counts
            .count(known.unwrap_or("unknown"), answer.status);
        let elapsed = started.elapsed().as_millis();
        tracing::info!("Request completed: Status={} Elapsed={elapsed}ms.", answer.status);
        answer
    }
}

impl Shared {
    async fn run(self: Arc<Self>, method: &str, payload: &Value) -> MethodResponse {
        let known = Method::from_name(method);
        let problems = self.settings.problems();
        if known.is_some() && !problems.is_empty() {
            return configuration_required(&problems);
        }
        let (status, payload) = self.module.invoke(method, payload).await;
        if status >= 300 || !known.is_some_and(|(_, method)| method.changes_state()) {
            return MethodResponse { status, payload };
        }
        self.changed.notify_one();
        let saved = tokio::task::spawn_blocking(move || {
            let _one = self.saving.lock();
            state::save(&self.data, self.module.save())
        });
        match saved.await {
            Ok(Ok(())) => MethodResponse { status, payload },
            Ok(Err(error)) => {
                tracing::error!("the state cannot be saved: {error}");
                failed(format!("done, but a restart will forget it: {error}"))
            }
            Err(_panicked) => failed("done, but a restart will forget it; see the log".to_owned()),
        }
    }
}

/// The contract's answer of a module whose twin is wrong.
fn configuration_required(problems: &[Problem]) -> MethodResponse {
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let message = format!("The module is not configured: {}.", messages.join("; "));
    let details: Vec<_> = problems
        .iter()
        .map(|problem| {
            json!({"code": "ModuleConfigurationRequired", "target": problem.property, "message": problem.message})
        })
        .collect();
    MethodResponse {
        status: 403,
        payload: json!({"error": {"code": "Forbidden", "message": message, "details": details}}),
    }
}

fn failed(message: String) -> MethodResponse {
    MethodResponse {
        status: 500,
        payload: json!({"error": {"code": "InternalServerError", "message": message}}),
    }
}

/// A caller's text for the log: without control characters, and short.
fn printable(text: &str) -> String {
    lva_media_types::clean_text(text, 100)
}

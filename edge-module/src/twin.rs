//! The module's twin: what is desired of it, saved and put into force, and what it reports.

mod change;
mod saved;
mod view;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use lva_graph_runtime::Module;
use lva_hub::twin::{Desired, merge_patch};
use lva_hub::{Client, ConnectionState};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

pub(crate) use change::{DesiredChange, Precondition, TwinChangeError};

use crate::data::DataDirectory;
use crate::logs::LogControl;
use crate::settings::{DEBUG_LOGS, LiveSettings, Problem, Settings};

/// `ProductInfo` of the reported properties.
pub(crate) const PRODUCT: &str = concat!("Live Video Analytics:", env!("CARGO_PKG_VERSION"));

/// Whose the desired properties are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TwinOwner {
    /// This module's.
    Module,
    /// This module's, with a copy on a plain broker that its clients may write too.
    Broker,
    /// This hub's.
    Hub(String),
}

/// Carries out what desired properties ask for. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ModuleTwin {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    data: Arc<DataDirectory>,
    settings: LiveSettings,
    log: Option<LogControl>,
    owner: TwinOwner,
    /// Held while the desired properties change, so that file, settings and reports are of the same ones.
    changing: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
    /// Once it runs.
    module: OnceLock<Module>,
    /// Where there is a hub or broker.
    client: OnceLock<Client>,
}

#[derive(Debug)]
struct Known {
    /// `None` until a hub has sent them once.
    desired: Option<Desired>,
    /// The broker does not have them yet, and had these before.
    unpublished: Option<Option<Desired>>,
    /// What the module wrote before that and the broker had not sent back, the newest last.
    superseded: VecDeque<Desired>,
    outcome: Outcome,
    reported: Map<String, Value>,
    reported_version: u64,
}

/// What became of the desired properties in force.
#[derive(Debug)]
struct Outcome {
    problems: Vec<Problem>,
    /// Whether methods are served.
    is_served: bool,
}

impl ModuleTwin {
    /// With what was saved in force, until a hub sends it again. A file that cannot be read never stops the start.
    pub(crate) fn restored(
        data: Arc<DataDirectory>,
        settings: LiveSettings,
        log: Option<LogControl>,
        owner: TwinOwner,
    ) -> Self {
        let none = match owner {
            TwinOwner::Hub(_) => None,
            // The version of a new twin.
            _ => Some(Desired::new(Map::new(), 1)),
        };
        let twin = Self {
            shared: Arc::new(Shared {
                data,
                settings,
                log,
                owner,
                changing: tokio::sync::Mutex::default(),
                known: Mutex::new(Known {
                    desired: none,
                    unpublished: None,
                    superseded: VecDeque::new(),
                    outcome: Outcome {
                        problems: Vec::new(),
                        is_served: true,
                    },
                    reported: Map::from_iter([("ProductInfo".to_owned(), PRODUCT.into())]),
                    reported_version: 1,
                }),
                module: OnceLock::new(),
                client: OnceLock::new(),
            }),
        };
        if let Some(saved) = twin.shared.load() {
            twin.shared.put_into_force(&saved.desired);
            let mut known = twin.shared.known.lock();
            known.desired = Some(saved.desired);
            known.unpublished = saved.unpublished;
        }
        twin
    }

    /// There is a hub or broker, which hears what is reported.
    pub(crate) fn connect(&self, client: Client) {
        let (reported, to_publish) = {
            let known = self.shared.known.lock();
            let to_publish = known.desired.clone().zip(known.unpublished.clone());
            (known.reported.clone(), to_publish)
        };
        // Small constants, which no hub refuses.
        if let Err(error) = client.report(Value::Object(reported)) {
            tracing::error!(%error, "the product cannot be reported");
        }
        if let Some((desired, replaced)) = to_publish {
            publish(&client, desired, replaced);
        }
        let _ = self.shared.client.set(client);
    }

    /// The module runs, and hears what changes.
    pub(crate) fn run(&self, module: Module) {
        let _ = self.shared.module.set(module);
        if self.shared.owner == TwinOwner::Module {
            self.shared.report_state();
        }
    }

    /// Follows the hub's or broker's desired properties until its client ends.
    pub(crate) async fn follow(self) {
        let Some(client) = self.shared.client.get() else {
            return;
        };
        let mut desired = client.desired();
        loop {
            let now = desired.borrow_and_update().clone();
            if let Some(now) = now {
                self.shared.take(now).await;
            }
            if desired.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Shared {
    /// These came from the hub or broker.
    async fn take(&self, now: Desired) {
        let _one = self.changing.lock().await;
        if self.known.lock().superseded.contains(&now) {
            // It comes back from the broker while a newer one is on its way there.
            return;
        }
        self.put_into_force(&now);
        {
            let mut known = self.known.lock();
            known.desired = Some(now.clone());
            known.unpublished = None;
            known.superseded.clear();
        }
        // What is reported holds after a restart too.
        if let Err(error) = self.save(now, None).await {
            tracing::error!("the twin cannot be saved: {error}");
        }
        self.report_state();
    }

    /// A hub's module cannot do without some properties.
    fn is_required(&self) -> bool {
        matches!(self.owner, TwinOwner::Hub(_))
    }

    fn put_into_force(&self, desired: &Desired) {
        let (settings, problems) = Settings::read(&desired.properties, self.is_required());
        let mut outcome = Outcome {
            // Without a hub nothing is required, and a wrong value is ignored.
            is_served: !self.is_required() || problems.is_empty(),
            problems,
        };
        let refused = match outcome.is_served {
            true => Vec::new(),
            false => outcome.problems.clone(),
        };
        if let Some(log) = &self.log {
            log.set(settings.log_level, settings.log_categories);
            if let Err(error) = log.set_debug(settings.debug_logs.as_deref().map(Path::new)) {
                // Deployments name directories of their containers: methods are served without it.
                outcome.problems.push(Problem {
                    property: DEBUG_LOGS,
                    message: format!("'{DEBUG_LOGS}' cannot be written: {error}"),
                });
            }
        }
        for problem in &outcome.problems {
            tracing::error!(
                property = problem.property,
                "the twin is wrong: {}",
                problem.message
            );
        }
        self.settings.apply(settings, refused);
        if let Some(module) = self.module.get() {
            module.allow_unsecured_endpoints(self.settings.allows_unsecured_endpoints());
        }
        self.known.lock().outcome = outcome;
    }

    /// What the module made of the desired properties.
    fn report_state(&self) {
        let patch = {
            let mut known = self.known.lock();
            let patch = known.state();
            merge_patch(&mut known.reported, &patch);
            known.reported_version += 1;
            patch
        };
        if let Some(client) = self.client.get()
            && let Err(error) = client.report(Value::Object(patch))
        {
            tracing::error!(%error, "the state cannot be reported");
        }
    }

    /// Whether callers over the hub or broker reach the module; callers of its own server do.
    fn is_connected(&self) -> bool {
        match self.client.get() {
            Some(client) => *client.state().borrow() == ConnectionState::Connected,
            None => true,
        }
    }
}

impl Known {
    /// Reported properties, as a merge patch.
    fn state(&self) -> Map<String, Value> {
        let wrong = self.outcome.problems.iter();
        let wrong: Map<String, Value> = wrong
            .map(|problem| (problem.property.to_owned(), json!(problem.message)))
            .collect();
        let state = match self.outcome.is_served {
            true => "Running",
            false => "ModuleConfigurationRequired",
        };
        // As text, since a merge patch would keep the problems of an earlier twin.
        let wrong = match wrong.is_empty() {
            true => Value::Null,
            false => json!(Value::Object(wrong).to_string()),
        };
        let version = self.desired.as_ref().map_or(0, |desired| desired.version);
        Map::from_iter([
            ("State".to_owned(), json!(state)),
            ("DesiredVersion".to_owned(), json!(version)),
            ("Problems".to_owned(), wrong),
        ])
    }
}

/// Replaces what a plain broker keeps.
fn publish(client: &Client, desired: Desired, replaced: Option<Desired>) {
    // They were checked when they were written.
    if let Err(error) = client.set_desired(desired, replaced) {
        tracing::error!(%error, "the desired properties are not published");
    }
}

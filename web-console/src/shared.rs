//! What all requests share.

use std::sync::Arc;

use axum::extract::State;
use lva_graph_runtime::Module;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::cameras::Cameras;
use crate::events::{self, Events};
use crate::graphs::Rates;
use crate::options::{ConsoleOptions, MethodInvoker, Receivers};
use crate::recordings::Recordings;

/// Recordings that are played at the same time.
const MAX_DOWNLOADS: usize = 32;

/// Scenes that are tried on the last minutes at the same time.
const MAX_REPLAYS: usize = 2;

pub(crate) struct Shared {
    pub(crate) module: Module,
    pub(crate) cameras: Arc<Cameras>,
    pub(crate) events: Arc<Events>,
    pub(crate) access: Arc<Access>,
    pub(crate) rates: Rates,
    pub(crate) recordings: Arc<Recordings>,
    /// Places of viewers.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) downloads: Arc<Semaphore>,
    pub(crate) replays: Semaphore,
    methods: Option<Arc<dyn MethodInvoker>>,
    /// Where events go.
    pub(crate) receivers: Receivers,
}

pub(crate) type Shares = State<Arc<Shared>>;

impl Shared {
    pub(crate) fn new(module: Module, options: ConsoleOptions) -> Self {
        let events = Arc::new(Events::default());
        let cameras = Arc::new(Cameras::new(module.clone(), Arc::clone(&events)));
        module.add_sink(Box::new(events::Receiver::new(&events)));
        Self {
            cameras,
            events,
            access: Arc::new(Access::new(&options)),
            rates: Rates::default(),
            recordings: Arc::new(Recordings::new(options.recordings)),
            places: Arc::new(Semaphore::new(options.max_viewers)),
            downloads: Arc::new(Semaphore::new(MAX_DOWNLOADS)),
            replays: Semaphore::new(MAX_REPLAYS),
            methods: options.methods,
            receivers: options.receivers,
            module,
        }
    }

    /// Looks for instances that have been activated, and forgets those that are gone.
    pub(crate) fn look(&self) {
        let instances = self.cameras.look();
        let is_there = |name: &str| instances.iter().any(|instance| instance.name == name);
        self.events.retain(is_there);
        self.rates.retain(is_there);
    }

    /// Runs a direct method as an operator asks.
    pub(crate) async fn invoke(&self, method: &str, payload: Value) -> (u16, Value) {
        match &self.methods {
            Some(methods) => methods.invoke(method, payload).await,
            None => self.module.invoke(method, &payload).await,
        }
    }
}

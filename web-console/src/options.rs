//! The options of a console.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use lva_media_types::SecretString;
use serde::Serialize;
use serde_json::Value;

/// Shorter tokens could be guessed.
const SHORTEST_TOKEN: usize = 16;

/// A token that is too short to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token of the console needs at least {SHORTEST_TOKEN} characters: take 32 random ones")]
pub struct WeakConsoleToken;

/// Carries out the direct methods that people call on the page, where [`Module::invoke`](lva_graph_runtime::Module::invoke) is not
/// enough: a program that saves the module's state does it after each method.
#[async_trait]
pub trait MethodInvoker: Send + Sync + 'static {
    /// Runs a direct method; returns the status and the payload of the answer.
    async fn invoke(&self, method: &str, payload: Value) -> (u16, Value);
}

/// A hub, broker or server that events go to, as the page shows it among the module's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventReceiver {
    /// What people call it: `hub`, `nats`.
    pub name: String,
    /// Whether there is a connection to it, or the last attempt to deliver succeeded.
    pub connected: bool,
    /// Events that it does not have yet.
    pub waiting: u64,
    /// Bytes of these events on disk.
    pub bytes: u64,
    /// Events that it has acknowledged.
    pub delivered: u64,
    /// Events that it never gets.
    pub dropped: u64,
}

pub(crate) type Receivers = Arc<dyn Fn() -> Vec<EventReceiver> + Send + Sync>;

/// What somebody with a token may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything.
    Operator,
    /// Look: at all cameras, or at these.
    Viewer(Option<Arc<BTreeSet<String>>>),
}

#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) token: SecretString,
    pub(crate) role: Role,
}

/// The options of a [`Console`](crate::Console). By default it serves browsers on the same machine, without a token, and nobody else.
#[derive(Clone)]
pub struct ConsoleOptions {
    pub(crate) grants: Vec<Grant>,
    pub(crate) trusts_loopback: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) secure_cookies: bool,
    pub(crate) max_viewers: usize,
    pub(crate) recordings: Vec<PathBuf>,
    pub(crate) methods: Option<Arc<dyn MethodInvoker>>,
    pub(crate) receivers: Receivers,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ConsoleOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles: Vec<_> = self.grants.iter().map(|grant| &grant.role).collect();
        f.debug_struct("ConsoleOptions")
            .field("tokens_of", &roles)
            .field("trusts_loopback", &self.trusts_loopback)
            .field("hosts", &self.hosts)
            .field("secure_cookies", &self.secure_cookies)
            .field("max_viewers", &self.max_viewers)
            .finish_non_exhaustive()
    }
}

impl ConsoleOptions {
    /// The default options.
    pub fn new() -> Self {
        Self {
            grants: Vec::new(),
            trusts_loopback: true,
            hosts: Vec::new(),
            secure_cookies: false,
            max_viewers: 256,
            recordings: Vec::new(),
            methods: None,
            receivers: Arc::new(Vec::new),
        }
    }

    /// Who knows this token may do everything: log in on the page with it, or send it as `Authorization: Bearer`.
    ///
    /// # Errors
    ///
    /// [`WeakConsoleToken`] for fewer than 16 characters.
    pub fn with_token(self, token: SecretString) -> Result<Self, WeakConsoleToken> {
        self.with_grant(token, Role::Operator)
    }

    /// Who knows this token may look at all cameras, or at the given ones alone, and change nothing.
    ///
    /// # Errors
    ///
    /// [`WeakConsoleToken`] for fewer than 16 characters.
    pub fn with_viewer(
        self,
        token: SecretString,
        cameras: Option<BTreeSet<String>>,
    ) -> Result<Self, WeakConsoleToken> {
        self.with_grant(token, Role::Viewer(cameras.map(Arc::new)))
    }

    fn with_grant(mut self, token: SecretString, role: Role) -> Result<Self, WeakConsoleToken> {
        if token.expose().chars().count() < SHORTEST_TOKEN {
            return Err(WeakConsoleToken);
        }
        self.grants.push(Grant { token, role });
        Ok(self)
    }

    /// Whether callers on this machine may do everything without a token; default true. Only they: for this, the server has to give
    /// the router the address of each caller, as `ConnectInfo<SocketAddr>` of axum. Turn it off behind a proxy, whose
    /// callers all seem to be on this machine.
    #[must_use]
    pub fn with_loopback_trusted(mut self, trusted: bool) -> Self {
        self.trusts_loopback = trusted;
        self
    }

    /// A host name under which browsers reach the console, besides `localhost` and addresses. May be called several times. Requests
    /// with another name are refused, since any site can give this machine a name of its own.
    #[must_use]
    pub fn with_host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// Whether the cookie of a login is sent over TLS alone; default false. Turn it on where the server speaks TLS.
    #[must_use]
    pub fn with_secure_cookies(mut self, secure: bool) -> Self {
        self.secure_cookies = secure;
        self
    }

    /// Live pictures that are watched at the same time, over all cameras and people; default 256. Further ones are refused. A viewer
    /// that is slow holds up to 16 MiB of pictures, which it shares with the others of its camera.
    #[must_use]
    pub fn with_max_viewers(mut self, viewers: usize) -> Self {
        self.max_viewers = viewers;
        self
    }

    /// A directory with recordings to show: that of [`RuntimeOptions::new`](lva_graph_runtime::RuntimeOptions::new), and others that
    /// sinks write to. May be called several times.
    #[must_use]
    pub fn with_recordings(mut self, directory: impl Into<PathBuf>) -> Self {
        self.recordings.push(directory.into());
        self
    }

    /// Who carries out the methods that people call on the page. Default: the module itself.
    #[must_use]
    pub fn with_methods(mut self, methods: impl MethodInvoker) -> Self {
        self.methods = Some(Arc::new(methods));
        self
    }

    /// Where events go, asked each time that the page shows the module's health. Default: nowhere.
    #[must_use]
    pub fn with_receivers(
        mut self,
        receivers: impl Fn() -> Vec<EventReceiver> + Send + Sync + 'static,
    ) -> Self {
        self.receivers = Arc::new(receivers);
        self
    }
}

//! Who may call: no page of another site, no name that is not ours, and nobody else without a token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};

use crate::answer;
use crate::options::{ConsoleOptions, Role};
use crate::session::Sessions;

/// The rules of access.
pub(crate) struct Access {
    pub(crate) sessions: Sessions,
    hosts: Vec<String>,
    trusts_loopback: bool,
    has_tokens: bool,
}

/// A caller that may see something.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Role);

impl Caller {
    /// Whether it may see a camera.
    pub(crate) fn sees(&self, camera: &str) -> bool {
        match &self.0 {
            Role::Operator | Role::Viewer(None) => true,
            Role::Viewer(Some(cameras)) => cameras.contains(camera),
        }
    }

    /// Whether it may see what is not about one camera.
    pub(crate) fn sees_all(&self) -> bool {
        matches!(self.0, Role::Operator | Role::Viewer(None))
    }

    /// Whether it may change something.
    pub(crate) fn changes(&self) -> bool {
        self.0 == Role::Operator
    }
}

impl Access {
    pub(crate) fn new(options: &ConsoleOptions) -> Self {
        Self {
            sessions: Sessions::new(options),
            hosts: options.hosts.clone(),
            trusts_loopback: options.trusts_loopback,
            has_tokens: !options.grants.is_empty(),
        }
    }

    /// Whether a `Host` names this server: an address, `localhost`, or a name of the options.
    fn is_own(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The role of a caller, by its token, its cookie, or its place.
    pub(crate) fn role(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<Role> {
        let is_here = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
        match self.sessions.role(headers) {
            None if self.trusts_loopback && is_here => Some(Role::Operator),
            role => role,
        }
    }
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Refuses requests under a foreign name, and those of other sites' pages.
pub(crate) async fn own_pages_only(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let host = text(headers, header::HOST).unwrap_or_default();
    // Without this, a site whose name resolves to this machine could call with the browser's help.
    if !access.is_own(host) {
        tracing::warn!(host, "a request under a foreign host name was refused");
        return answer::error(
            StatusCode::MISDIRECTED_REQUEST,
            "ForeignHost",
            "the console does not answer to that host name: add it to the hosts of its options",
        );
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let own = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        if own.is_none_or(|(_, from)| from != host) {
            tracing::warn!(?origin, "a request of another site's page was refused");
            return foreign_page();
        }
    }
    next.run(request).await
}

/// The same for requests that no link leads to; and a caller without a role gets nothing.
pub(crate) async fn known_callers_only(
    State(access): State<Arc<Access>>,
    peer: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    // Sent by browsers alone: pictures of another site's page come without an origin.
    if text(headers, "sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return foreign_page();
    }
    let peer = peer.map(|axum::Extension(ConnectInfo(peer))| peer);
    let Some(role) = access.role(peer, headers) else {
        let message = match access.has_tokens {
            true => "log in: the console asks for a token",
            false => {
                "without a token, the console serves browsers on its own machine alone: set one in its options"
            }
        };
        return answer::error(StatusCode::UNAUTHORIZED, "LoginRequired", message);
    };
    request.extensions_mut().insert(Caller(role));
    next.run(request).await
}

/// Refuses callers that may only look.
pub(crate) async fn operators_only(
    axum::Extension(caller): axum::Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    if !caller.changes() {
        return answer::error(
            StatusCode::FORBIDDEN,
            "ReadOnly",
            "this login may look and change nothing: log in with the operator's token",
        );
    }
    next.run(request).await
}

fn foreign_page() -> Response {
    answer::error(
        StatusCode::FORBIDDEN,
        "ForeignPage",
        "requests of other sites' pages are refused",
    )
}

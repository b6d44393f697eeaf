//! Who the caller is, logging in and out.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer;
use crate::options::Role;
use crate::shared::Shares;

pub(super) async fn session(State(shared): Shares, request: Request) -> Json<Value> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| *peer);
    let role = shared.access.role(peer, request.headers());
    let (name, cameras) = match &role {
        None => (None, None),
        Some(Role::Operator) => (Some("operator"), None),
        Some(Role::Viewer(cameras)) => (Some("viewer"), cameras.as_deref()),
    };
    Json(json!({
        "needsLogin": role.is_none(),
        "loggedIn": shared.access.sessions.role(request.headers()).is_some(),
        "role": name,
        "cameras": cameras,
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

#[derive(Deserialize)]
pub(super) struct Login {
    token: String,
}

pub(super) async fn log_in(State(shared): Shares, Json(login): Json<Login>) -> Response {
    match shared.access.sessions.log_in(login.token.trim()) {
        Some(cookie) => (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response(),
        None => {
            tracing::warn!("a login with a wrong token was refused");
            answer::error(
                StatusCode::UNAUTHORIZED,
                "WrongToken",
                "this is not a token of the console",
            )
        }
    }
}

pub(super) async fn log_out(State(shared): Shares) -> Response {
    match shared.access.sessions.log_out() {
        Some(cookie) => (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

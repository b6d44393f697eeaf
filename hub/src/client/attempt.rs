//! One attempt to connect.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::options::Authentication;
use super::runtime_now;
use crate::dial::Dial;
use crate::mqtt::{Accepted, Connect, ConnectFailure, Connection, MqttVersion, Publish};
use crate::sas::UnsignedToken;
use crate::session::Loss;

/// All that an attempt needs, apart from the client, which goes on meanwhile.
pub(super) struct Attempt {
    pub(super) client_id: String,
    pub(super) will: Option<Publish>,
    pub(super) authentication: Authentication,
    pub(super) dialer: Arc<dyn Dial>,
    pub(super) version: MqttVersion,
    pub(super) keep_alive: Duration,
    pub(super) timeout: Duration,
}

/// An accepted connection.
pub(super) struct Established {
    pub(super) connection: Connection,
    pub(super) accepted: Accepted,
    /// What is left of the token's life; `None` without a token.
    pub(super) token_life: Option<Duration>,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) loss: Loss,
    pub(super) reason: String,
}

impl Failed {
    fn unreachable(reason: impl ToString) -> Self {
        Self {
            loss: Loss::Unreachable,
            reason: reason.to_string(),
        }
    }
}

impl Attempt {
    pub(super) async fn run(self) -> Result<Established, Failed> {
        let seconds = self.timeout.as_secs();
        match tokio::time::timeout(self.timeout, self.connect()).await {
            Ok(result) => result,
            Err(_) => Err(Failed::unreachable(format!("no connection within {seconds} s"))),
        }
    }

    async fn connect(self) -> Result<Established, Failed> {
        // The network first: a token that is signed last is the freshest.
        let stream = self.dialer.dial().await.map_err(Failed::unreachable)?;
        let signed_at = runtime_now();
        let mut life = None;
        let (username, password) = match self.authentication {
            Authentication::None => (None, None),
            Authentication::Password(credentials) => (
                Some(credentials.username().to_owned()),
                Some(credentials.password().into()),
            ),
            Authentication::Certificate(identity) => (Some(identity.username()), None),
            Authentication::Token {
                identity,
                signer,
                life: token_life,
            } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let expires_unix_s = (now + token_life).as_secs();
                let token = UnsignedToken::new(&identity.resource(), expires_unix_s);
                let signature = signer
                    .sign(token.text_to_sign())
                    .await
                    .map_err(Failed::unreachable)?;
                life = Some(Duration::from_secs(expires_unix_s).saturating_sub(now));
                (Some(identity.username()), Some(token.with_signature(&signature)))
            }
        };
        let connect = Connect {
            client_id: self.client_id,
            username,
            password,
            clean_session: false,
            keep_alive_s: u16::try_from(self.keep_alive.as_secs()).unwrap_or(u16::MAX),
            will: self.will,
        };
        let opened = Connection::open(stream, self.version, connect).await;
        let (connection, accepted) = opened.map_err(|failure| Failed {
            loss: match &failure {
                ConnectFailure::Refused {
                    is_authorization: true,
                    ..
                } => Loss::NotAuthorized,
                ConnectFailure::Refused { .. } => Loss::Refused,
                ConnectFailure::Lost(_) => Loss::Unreachable,
            },
            reason: failure.to_string(),
        })?;
        Ok(Established {
            connection,
            accepted,
            token_life: life.map(|life| life.saturating_sub(runtime_now() - signed_at)),
        })
    }
}

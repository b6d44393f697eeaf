use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use lva_client_transport::http::{HttpConnection, HttpLimits, Origin};
use lva_client_transport::{ClientTls, ClientTlsError};
use lva_hub::TakenMessage;
use ring::hmac;
use tokio::time::Instant;

use super::delivery::{EventBroker, Failure};

/// Posts each event as JSON to one address, signed as [Standard Webhooks](https://www.standardwebhooks.com) asks:
/// `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,BASE64` with HMAC-SHA256 of `ID.TIMESTAMP.BODY`.
///
/// An event is posted again, with its id, while the server cannot be reached. While it answers 408, 429 or 5xx, up to a limit of
/// time, so that an event on which the server always fails does not hold up the others for good.
pub(crate) struct Webhook {
    connection: HttpConnection,
    path: String,
    key: Option<hmac::Key>,
    retry_for: Duration,
    /// The id of the event that the server last answered with an error, and since when it does.
    failing: Option<(String, Instant)>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("origin", self.connection.origin())
            .finish_non_exhaustive()
    }
}

impl Webhook {
    /// Events go to `path` of this server. With a key, they are signed.
    ///
    /// # Errors
    ///
    /// [`ClientTlsError`] when the trusted certificates cannot be read.
    pub(crate) fn new(
        origin: Origin,
        path: &str,
        tls: &ClientTls,
        key: Option<&[u8]>,
        retry_for: Duration,
    ) -> Result<Self, ClientTlsError> {
        let limits = HttpLimits {
            max_body_bytes: 64 * 1024,
            ..HttpLimits::default()
        };
        Ok(Self {
            connection: HttpConnection::new(origin, tls, limits)?,
            path: path.to_owned(),
            key: key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)),
            retry_for,
            failing: None,
        })
    }

    fn request(&self, id: &str, body: &Bytes) -> Result<Request<Bytes>, http::Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = now.as_secs().to_string();
        let mut request = Request::post(&self.path)
            .header(header::HOST, self.connection.origin().authority())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", id)
            .header("webhook-timestamp", &timestamp);
        if let Some(key) = &self.key {
            request = request.header("webhook-signature", signature(key, id, &timestamp, body));
        }
        request.body(body.clone())
    }

    async fn post(&mut self, id: &str, body: &Bytes) -> Result<(), Failure> {
        let request = self
            .request(id, body)
            .map_err(|error| Failure::Refused(error.to_string()))?;
        let response = self.connection.exchange(request).await;
        let status = response
            .map_err(|error| Failure::Again(error.to_string()))?
            .status;
        let is_busy = matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        );
        let message = format!("it answered {status}");
        match status {
            _ if status.is_success() => Ok(()),
            _ if is_busy || status.is_server_error() => Err(self.failed(id, message)),
            _ => Err(Failure::Refused(message)),
        }
    }

    /// Of an event that the server may take later.
    fn failed(&mut self, id: &str, message: String) -> Failure {
        let now = Instant::now();
        let since = match &self.failing {
            Some((failing, since)) if failing == id => *since,
            _ => {
                self.failing = Some((id.to_owned(), now));
                now
            }
        };
        match now.duration_since(since) < self.retry_for {
            true => Failure::Again(message),
            false => Failure::Refused(message),
        }
    }
}

#[async_trait]
impl EventBroker for Webhook {
    fn name(&self) -> &'static str {
        "the webhook"
    }

    fn batch(&self) -> usize {
        1
    }

    async fn deliver(&mut self, events: &[TakenMessage]) -> Vec<Result<(), Failure>> {
        let mut outcomes = Vec::with_capacity(events.len());
        for taken in events {
            let id = taken.message.message_id.as_deref().unwrap_or_default();
            outcomes.push(self.post(id, &taken.message.body).await);
        }
        outcomes
    }
}

fn signature(key: &hmac::Key, id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_event_on_which_the_server_always_fails_is_given_up_and_the_next_one_has_its_own_time() {
        let origin = Origin::http("127.0.0.1", 1);
        let retry_for = Duration::from_secs(60);
        let mut webhook = Webhook::new(origin, "/", &ClientTls::platform(), None, retry_for).unwrap();
        let mut failed = |id: &str| webhook.failed(id, "it answered 500".to_owned());
        assert!(matches!(failed("a"), Failure::Again(_)));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(matches!(failed("a"), Failure::Again(_)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(matches!(failed("a"), Failure::Refused(_)));
        assert!(matches!(failed("b"), Failure::Again(_)));
    }

    /// The vector that the specification publishes.
    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use lva_client_transport::http::{HttpConnection, HttpLimits, Origin};
use lva_client_transport::{ClientTls, ClientTlsError};
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
use ring::hmac;
use uuid::Uuid;

use super::Topic;
use super::retries::{Attempt, Retries};

/// Posts each event as JSON to one address, signed as [Standard Webhooks](https://www.standardwebhooks.com) asks:
/// `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,BASE64` with HMAC-SHA256 of `ID.TIMESTAMP.BODY`.
///
/// An event is posted again, with its id, while the server cannot be reached or answers 408, 429 or 5xx, up to a limit of
/// time. The events after it wait in the sink's queue meanwhile.
pub struct Webhook {
    connection: HttpConnection,
    path: String,
    key: Option<hmac::Key>,
    retry_for: Duration,
    topic: Topic,
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
    pub fn new(
        origin: Origin,
        path: &str,
        tls: &ClientTls,
        key: Option<&[u8]>,
        retry_for: Duration,
        topic: Topic,
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
            topic,
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

    /// One attempt.
    async fn post(&mut self, id: &str, body: &Bytes) -> Result<(), Attempt> {
        let request = self
            .request(id, body)
            .map_err(|error| Attempt::Final(error.to_string()))?;
        let response = self.connection.exchange(request).await;
        let status = response
            .map_err(|error| Attempt::Again(error.to_string()))?
            .status;
        let message = format!("it answered {status}");
        match status {
            _ if status.is_success() => Ok(()),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Attempt::Again(message)),
            _ if status.is_server_error() => Err(Attempt::Again(message)),
            _ => Err(Attempt::Final(message)),
        }
    }
}

#[async_trait]
impl MessageSink for Webhook {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let body = Bytes::from(event.envelope(&self.topic.of(event)).to_string());
        let id = Uuid::new_v4().to_string();
        let mut retries = Retries::new("the webhook", self.retry_for);
        loop {
            match self.post(&id, &body).await {
                Ok(()) => return Ok(()),
                Err(attempt) => retries.after(attempt).await?,
            }
        }
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

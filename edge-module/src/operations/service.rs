//! Method calls by the service API of IoT Hub, over HTTP.
//!
//! Source: the REST reference of `modules/invoke-method`, version 2021-04-12.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use lva_client_transport::http::{HttpConnection, HttpLimits, HttpTransportError, Origin};
use lva_client_transport::{ClientTls, ClientTlsError, peer_has_no_tls, tls_advice};
use lva_media_types::SecretString;
use percent_encoding::utf8_percent_encode;
use serde_json::{Value, json};
use url::{Host, Url};

use super::settings::{RESERVED, ServiceConnectionString, Settings};

/// `responseTimeoutInSeconds` of the tutorial's console.
const RESPONSE_SECONDS: u64 = 30;
/// How long the hub may take beyond that, as the original waits.
const EXTRA_SECONDS: u64 = 15;
/// Life of a token; one is made for each call.
const TOKEN_SECONDS: u64 = 3600;

/// Address of a module's own server: `http://HOST[:PORT]` or `https://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl(Origin);

impl ServiceUrl {
    /// Scheme, host and port.
    pub fn origin(&self) -> &Origin {
        &self.0
    }
}

/// An address that is not of this form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write http://HOST:PORT or https://HOST:PORT without a user, a path or a query, such as http://127.0.0.1:8580"
)]
pub struct ServiceUrlError;

impl std::str::FromStr for ServiceUrl {
    type Err = ServiceUrlError;

    fn from_str(text: &str) -> Result<Self, ServiceUrlError> {
        let url = Url::parse(text.trim()).map_err(|_| ServiceUrlError)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        match origin(&url) {
            Some(origin) if bare && anonymous => Ok(Self(origin)),
            _ => Err(ServiceUrlError),
        }
    }
}

/// Scheme, host and port; `None` for schemes other than `http` and `https`.
pub(super) fn origin(url: &Url) -> Option<Origin> {
    let host = match url.host()? {
        Host::Ipv6(address) => address.to_string(),
        other => other.to_string(),
    };
    match url.scheme() {
        "http" => Some(Origin::http(&host, url.port_or_known_default()?)),
        "https" => Some(Origin::https(&host, url.port_or_known_default()?)),
        _ => None,
    }
}

/// What a module answered.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServiceResponse {
    /// Status, as of HTTP.
    pub status: i64,
    /// The answer's body.
    pub payload: Value,
}

/// Why a call has no answer of the module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The server cannot be reached, or its answer not be read.
    #[error("{origin}: {cause}{}", transport_advice(cause))]
    Transport {
        /// The server.
        origin: String,
        /// What failed.
        cause: HttpTransportError,
    },
    /// The hub or the module's server refused the call.
    #[error("{origin} refused the call with status {status}: {message}{}", refusal_advice(*status))]
    Refused {
        /// The server.
        origin: String,
        /// HTTP's status.
        status: u16,
        /// The error message of its body.
        message: String,
    },
    /// An answer of another form.
    #[error("{origin} does not speak the service API of IoT Hub: {message}; check the address")]
    Foreign {
        /// The server.
        origin: String,
        /// What was found instead.
        message: String,
    },
}

fn transport_advice(error: &HttpTransportError) -> String {
    match error {
        HttpTransportError::Unreachable(_) => "; check the address, and that the module runs".to_owned(),
        HttpTransportError::Untrusted(error) => {
            let remedy = if peer_has_no_tls(error) {
                ""
            } else {
                " (--trust FILE)"
            };
            tls_advice(error)
                .map(|advice| format!("; {advice}{remedy}"))
                .unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn refusal_advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "; check the connection string, or give the module's token by --token-file",
        404 => "; check deviceId and moduleId, and that the module is connected",
        _ => "",
    }
}

enum Authorization {
    None,
    Bearer(SecretString),
    Key(Box<ServiceConnectionString>),
}

/// A module behind the service API.
pub struct Service {
    connection: HttpConnection,
    path: String,
    authorization: Authorization,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("connection", &self.connection)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// The module of these settings, through its hub.
    ///
    /// # Errors
    ///
    /// [`ClientTlsError`] when the machine trusts no authority, or the host cannot be one.
    pub fn of(settings: &Settings, tls: &ClientTls) -> Result<Self, ClientTlsError> {
        let origin = Origin::https(settings.service.host(), settings.service.port());
        let authorization = Authorization::Key(Box::new(settings.service.clone()));
        Self::new(origin, &settings.device, &settings.module, authorization, tls)
    }

    /// A module's own server. Off loopback it asks for `token`.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn at(
        url: &ServiceUrl,
        device: &str,
        module: &str,
        token: Option<SecretString>,
        tls: &ClientTls,
    ) -> Result<Self, ClientTlsError> {
        let authorization = token.map_or(Authorization::None, Authorization::Bearer);
        Self::new(url.0.clone(), device, module, authorization, tls)
    }

    fn new(
        origin: Origin,
        device: &str,
        module: &str,
        authorization: Authorization,
        tls: &ClientTls,
    ) -> Result<Self, ClientTlsError> {
        let limits = HttpLimits {
            exchange_timeout: Duration::from_secs(RESPONSE_SECONDS + EXTRA_SECONDS),
            ..HttpLimits::default()
        };
        let encode = |name| utf8_percent_encode(name, RESERVED).to_string();
        let (device, module) = (encode(device), encode(module));
        Ok(Self {
            connection: HttpConnection::new(origin, tls, limits)?,
            path: format!("/twins/{device}/modules/{module}/methods?api-version=2021-04-12"),
            authorization,
        })
    }

    /// Calls a method.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] when the module gave no answer.
    pub async fn invoke(&mut self, method: &str, payload: &Value) -> Result<ServiceResponse, ServiceError> {
        let origin = self.connection.origin().to_string();
        let body = json!({
            "methodName": method, "responseTimeoutInSeconds": RESPONSE_SECONDS, "payload": payload,
        });
        let mut request = Request::new(Bytes::from(body.to_string()));
        *request.method_mut() = http::Method::POST;
        let foreign = |message: String| ServiceError::Foreign {
            origin: origin.clone(),
            message,
        };
        *request.uri_mut() = self
            .path
            .parse()
            .map_err(|error: http::uri::InvalidUri| foreign(error.to_string()))?;
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(mut value) = self.authorization() {
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let response = self.connection.exchange(request).await;
        let response = response.map_err(|cause| ServiceError::Transport {
            origin: origin.clone(),
            cause,
        })?;
        let body: Result<Value, _> = serde_json::from_slice(&response.body);
        match (response.status, body) {
            (StatusCode::OK, Ok(body)) => match body.get("status").and_then(Value::as_i64) {
                Some(status) => Ok(ServiceResponse {
                    status,
                    payload: body.get("payload").cloned().unwrap_or_default(),
                }),
                None => Err(foreign("its answer has no 'status'".to_owned())),
            },
            (StatusCode::OK, Err(error)) => Err(foreign(format!("its answer is not JSON ({error})"))),
            (status, body) => Err(ServiceError::Refused {
                origin,
                status: status.as_u16(),
                message: body
                    .ok()
                    .and_then(|body| message(&body))
                    .unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason").to_owned()),
            }),
        }
    }

    fn authorization(&self) -> Option<HeaderValue> {
        let text = match &self.authorization {
            Authorization::None => return None,
            Authorization::Bearer(token) => format!("Bearer {}", token.expose().trim()),
            Authorization::Key(service) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                service.token(now.as_secs() + TOKEN_SECONDS).expose().to_owned()
            }
        };
        HeaderValue::from_str(&text).ok()
    }
}

/// The message of an error: the hub's is JSON in a member of JSON.
fn message(body: &Value) -> Option<String> {
    let text = ["Message", "message"]
        .into_iter()
        .find_map(|name| body.get(name)?.as_str())
        .or_else(|| body.pointer("/error/message")?.as_str())?;
    let inner: Option<Value> = serde_json::from_str(text).ok();
    let inner = inner.as_ref().and_then(|inner| {
        let message = inner.get("message")?.as_str()?;
        Some(match inner.get("errorCode").and_then(Value::as_i64) {
            Some(code) => format!("{message} ({code})"),
            None => message.to_owned(),
        })
    });
    let text = inner.unwrap_or_else(|| text.to_owned());
    Some(lva_media_types::clean_text(&text, 500))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_a_server_alone() {
        for (text, expected) in [
            ("http://127.0.0.1:8580", "http://127.0.0.1:8580"),
            (" https://cam.example/ ", "https://cam.example"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(
                text.parse::<ServiceUrl>().unwrap().0.to_string(),
                expected,
                "{text}"
            );
        }
        for text in [
            "127.0.0.1:8580",
            "rtsp://h:1",
            "http://u:p@h:1",
            "http://h:1/twins",
            "http://h?x=1",
            "",
        ] {
            assert_eq!(text.parse::<ServiceUrl>(), Err(ServiceUrlError), "{text}");
        }
    }

    #[test]
    fn errors_of_both_forms_are_read() {
        let hub =
            json!({"Message": "{\"errorCode\":404103,\"message\":\"not online\"}", "ExceptionMessage": ""});
        assert_eq!(message(&hub).unwrap(), "not online (404103)");
        assert_eq!(
            message(&json!({"error": {"message": "no token"}})).unwrap(),
            "no token"
        );
        assert_eq!(message(&json!({"message": "gone"})).unwrap(), "gone");
        assert_eq!(message(&json!([])), None);
    }
}

//! The workload API of IoT Edge: a module's key, its trusted certificates, and a certificate for a server of its own.

use std::fmt;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lva_client_transport::http::{HttpConnection, HttpLimits, HttpResponse, HttpTransportError, Origin};
use lva_client_transport::{ClientTls, ClientTlsError, TrustedRoots};
use lva_media_types::SecretString;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::dial::TrustSource;
use crate::environment::EdgeEnvironment;
use crate::properties::encode;
use crate::signer::{SignError, Signer};

/// The service closes the socket without an answer when it has too much to do.
const ATTEMPTS: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(250);
const LIMITS: HttpLimits = HttpLimits {
    connect_timeout: Duration::from_secs(3),
    exchange_timeout: Duration::from_secs(6),
    max_header_bytes: 64 * 1024,
    max_body_bytes: 1024 * 1024,
};

/// A client of the workload API, for one module. One request is under way at a time.
pub struct Workload {
    origin: Origin,
    connection: Mutex<HttpConnection>,
    /// `/modules/{m}/genid/{gen}`.
    module_path: String,
    api_version: String,
}

impl Workload {
    /// For the module that the environment describes.
    ///
    /// # Errors
    ///
    /// [`WorkloadError::Uri`].
    pub fn new(environment: &EdgeEnvironment) -> Result<Self, WorkloadError> {
        let origin = parse_uri(&environment.workload_uri)?;
        let module = environment.identity.module_id().unwrap_or_default();
        let connection = HttpConnection::new(origin.clone(), &ClientTls::platform(), LIMITS)?;
        Ok(Self {
            origin,
            connection: Mutex::new(connection),
            module_path: format!(
                "/modules/{}/genid/{}",
                encode(module),
                encode(&environment.generation_id)
            ),
            api_version: environment.api_version.clone(),
        })
    }

    /// HMAC-SHA256 of a string with the module's key, in base64.
    ///
    /// # Errors
    ///
    /// [`WorkloadError`].
    pub async fn sign(&self, text: &str) -> Result<String, WorkloadError> {
        let body = json!({ "keyId": "primary", "algo": "HMACSHA256", "data": STANDARD.encode(text) });
        let path = format!("{}/sign", self.module_path);
        let answer = self.call("POST", &path, Some(body)).await?;
        string_member(&answer, "digest")
    }

    /// The certificates that the gateway's certificate is signed by, and no others. Those in the bundle that cannot be used
    /// are left out.
    ///
    /// # Errors
    ///
    /// [`WorkloadError`], also for a bundle without a usable certificate.
    pub async fn trust_bundle(&self) -> Result<ClientTls, WorkloadError> {
        let answer = self.call("GET", "/trust-bundle", None).await?;
        let bundle = string_member(&answer, "certificate")?;
        let (roots, left_out) = TrustedRoots::from_pem_bundle(bundle)?;
        if left_out > 0 {
            tracing::warn!(
                left_out,
                "certificates of the trust bundle cannot be used: check the device's configuration"
            );
        }
        Ok(ClientTls::new(roots))
    }

    /// A certificate, signed by the gateway's authority, for a server that this module runs under `common_name`.
    ///
    /// # Errors
    ///
    /// [`WorkloadError`].
    pub async fn server_certificate(&self, common_name: &str) -> Result<ServerCertificate, WorkloadError> {
        let path = format!("{}/certificate/server", self.module_path);
        let body = json!({ "commonName": common_name });
        let answer = self.call("POST", &path, Some(body)).await?;
        let key = answer.get("privateKey").unwrap_or(&Value::Null);
        Ok(ServerCertificate {
            private_key_pem: string_member(key, "bytes")?.into(),
            certificate_pem: string_member(&answer, "certificate")?,
            expiration: string_member(&answer, "expiration")?,
        })
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, WorkloadError> {
        let uri = format!("{path}?api-version={}", encode(&self.api_version));
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let mut connection = self.connection.lock().await;
        let mut attempt = 1;
        let response = loop {
            let request = http::Request::builder()
                .method(method)
                .uri(&uri)
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(body.clone())?;
            match connection.exchange(request).await {
                Ok(response) => break response,
                Err(HttpTransportError::Broken(_)) if attempt < ATTEMPTS => {
                    tokio::time::sleep(RETRY_PAUSE * attempt).await;
                    attempt += 1;
                }
                Err(cause) => {
                    let uri = self.origin.to_string();
                    return Err(WorkloadError::Unreachable { uri, cause });
                }
            }
        };
        read(path, &response)
    }
}

fn read(path: &str, response: &HttpResponse) -> Result<Value, WorkloadError> {
    let body: Option<Value> = serde_json::from_slice(&response.body).ok();
    if !response.status.is_success() {
        let message = body.as_ref().and_then(|body| body.get("message")?.as_str());
        return Err(WorkloadError::Status {
            call: path.rsplit('/').next().unwrap_or(path).to_owned(),
            status: response.status.as_u16(),
            message: message.unwrap_or("without a reason").chars().take(200).collect(),
        });
    }
    body.ok_or(WorkloadError::Answer { member: "JSON" })
}

fn string_member(object: &Value, member: &'static str) -> Result<String, WorkloadError> {
    let value = object.get(member).and_then(Value::as_str);
    value.map(str::to_owned).ok_or(WorkloadError::Answer { member })
}

fn parse_uri(uri: &str) -> Result<Origin, WorkloadError> {
    let invalid = || WorkloadError::Uri { uri: uri.to_owned() };
    if let Some(path) = uri.strip_prefix("unix://") {
        return match path.starts_with('/') {
            true => Ok(Origin::unix(path)),
            false => Err(invalid()),
        };
    }
    let parsed: http::Uri = uri.parse().map_err(|_| invalid())?;
    match (parsed.scheme_str(), parsed.host()) {
        (Some("http"), Some(host)) => Ok(Origin::http(host, parsed.port_u16().unwrap_or(80))),
        _ => Err(invalid()),
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload")
            .field("origin", &self.origin)
            .field("module_path", &self.module_path)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Signer for Workload {
    async fn sign(&self, text: &str) -> Result<String, SignError> {
        Self::sign(self, text).await.map_err(SignError::new)
    }
}

#[async_trait]
impl TrustSource for Workload {
    async fn trust(&self) -> io::Result<ClientTls> {
        self.trust_bundle().await.map_err(io::Error::other)
    }
}

/// A certificate for a server of this module's.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerCertificate {
    /// The private key, in PEM.
    pub private_key_pem: SecretString,
    /// The certificate and those that signed it, in PEM.
    pub certificate_pem: String,
    /// Until when it is valid, as an ISO 8601 time.
    pub expiration: String,
}

/// Why the workload API did not give what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// An address of another kind.
    #[error("IOTEDGE_WORKLOADURI '{uri}' is neither unix:///PATH nor http://HOST:PORT")]
    Uri {
        /// The address.
        uri: String,
    },
    /// The socket is missing, or its server does not answer. A retry may help.
    #[error(
        "the workload API at {uri} does not answer ({cause}): is the IoT Edge daemon running, and its socket mounted?"
    )]
    Unreachable {
        /// The address.
        uri: String,
        /// What happened.
        cause: HttpTransportError,
    },
    /// The service refuses.
    #[error(
        "the workload API answers '{call}' with {status} ({message}){}",
        if *status == 403 { ": it knows a module by its process, so only the module's own container may ask" } else { "" }
    )]
    Status {
        /// Last part of the call's path.
        call: String,
        /// As in HTTP.
        status: u16,
        /// The reason that it gives.
        message: String,
    },
    /// A member of the answer is missing.
    #[error("the answer of the workload API has no {member}")]
    Answer {
        /// Its name.
        member: &'static str,
    },
    /// The trust bundle cannot be used.
    #[error("the trust bundle of IoT Edge: {0}")]
    Trust(ClientTlsError),
    /// A name that cannot stand in a request.
    #[error("the request to the workload API cannot be made ({0})")]
    Request(http::Error),
}

impl From<ClientTlsError> for WorkloadError {
    fn from(error: ClientTlsError) -> Self {
        Self::Trust(error)
    }
}

impl From<http::Error> for WorkloadError {
    fn from(error: http::Error) -> Self {
        Self::Request(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unix_sockets_or_http() {
        assert_eq!(
            parse_uri("unix:///var/run/iotedge/workload.sock").unwrap(),
            Origin::unix("/var/run/iotedge/workload.sock")
        );
        assert_eq!(
            parse_uri("http://10.0.0.1:15581").unwrap(),
            Origin::http("10.0.0.1", 15581)
        );
        for wrong in [
            "",
            "unix://relative",
            "https://host",
            "ftp://host",
            "/var/run/x.sock",
        ] {
            assert!(
                matches!(parse_uri(wrong), Err(WorkloadError::Uri { .. })),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_refusal_explains_what_403_means() {
        let error = WorkloadError::Status {
            call: "sign".into(),
            status: 403,
            message: "forbidden".into(),
        };
        assert!(error.to_string().contains("own container"), "{error}");
    }
}

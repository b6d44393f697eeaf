//! One device over HTTP, and the two functions of this crate.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, header};
use lva_client_transport::ClientTls;
use lva_client_transport::http::{
    HttpConnection, HttpCredentials, HttpLimits, HttpResponse, HttpTransportError,
};
use lva_media_types::BasicAuthentication;

use crate::address::DeviceUrl;
use crate::description::{DeviceDescription, FoundDevice};
use crate::error::OnvifError;
use crate::multicast;
use crate::options::OnvifOptions;
use crate::query::{DeviceQuery, OnvifRequest, OnvifResponse};

/// Most bytes of a response's headers.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// A device to ask.
#[derive(Debug, Clone)]
pub struct DeviceEndpoint {
    url: DeviceUrl,
    credentials: Option<HttpCredentials>,
    basic: BasicAuthentication,
    tls: ClientTls,
}

impl DeviceEndpoint {
    /// Without credentials, trusting the authorities of this machine.
    pub fn new(url: DeviceUrl) -> Self {
        Self {
            url,
            credentials: None,
            basic: BasicAuthentication::default(),
            tls: ClientTls::platform(),
        }
    }

    /// Identifies the caller by a username token, Digest or Basic, whichever the device asks for.
    #[must_use]
    pub fn with_password(self, user: &str, password: &str) -> Self {
        self.with_credentials(HttpCredentials::password(user, password))
    }

    /// A password, or a header that goes with every request for a gateway in front of the device.
    #[must_use]
    pub fn with_credentials(mut self, credentials: HttpCredentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// When the password may be sent as it is, to a device that offers neither tokens nor Digest. Default
    /// [`BasicAuthentication::Allowed`], with a warning in the log where there is no TLS.
    #[must_use]
    pub fn with_basic_authentication(mut self, basic: BasicAuthentication) -> Self {
        self.basic = basic;
        self
    }

    /// How an `https` device's certificate is checked.
    #[must_use]
    pub fn with_tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls;
        self
    }
}

/// Looks for devices until the time is over, or [`MAX_FOUND_DEVICES`](crate::MAX_FOUND_DEVICES) are found. Of one sender
/// at most [`MAX_FOUND_DEVICES_OF_ONE`](crate::MAX_FOUND_DEVICES_OF_ONE) are listed.
///
/// # Errors
///
/// [`OnvifError::NoInterface`] when no socket can be opened, [`OnvifError::Random`].
///
/// # Panics
///
/// Outside a tokio runtime with I/O and time enabled.
pub async fn discover(duration: Duration, options: OnvifOptions) -> Result<Vec<FoundDevice>, OnvifError> {
    multicast::discover(duration, &options.targets, random()?).await
}

/// Asks a device what it is and what it streams. What the device does not know is left out.
///
/// # Errors
///
/// [`OnvifError`], when the device cannot be reached, is not ONVIF, or wants other credentials.
///
/// # Panics
///
/// Outside a tokio runtime with I/O and time enabled.
pub async fn describe(
    device: DeviceEndpoint,
    options: OnvifOptions,
) -> Result<DeviceDescription, OnvifError> {
    let limits = HttpLimits {
        // The request's own time ends first, so that a device that does not even connect is late like any other.
        connect_timeout: options.request_timeout + options.total_timeout,
        exchange_timeout: options.request_timeout,
        max_header_bytes: MAX_HEADER_BYTES,
        ..HttpLimits::default()
    };
    let connection = HttpConnection::new(device.url.origin(), &device.tls, limits);
    let mut connection = connection.map_err(OnvifError::Tls)?;
    let url = device.url.to_string();
    let mut query = DeviceQuery::new(device.url, device.credentials, device.basic);
    let asking = async {
        while let Some(request) = query.next(SystemTime::now(), random()?) {
            let max_body_bytes = request.max_body_bytes;
            let response = connection.exchange_bounded(post(request), max_body_bytes).await;
            let response = response.map_err(|error| failed(error, &url))?;
            let peer = response.peer;
            query.on_response(&read(response), peer, SystemTime::now())?;
        }
        Ok(query.finish())
    };
    let waited = options.total_timeout;
    let described = tokio::time::timeout(waited, asking).await;
    described.unwrap_or(Err(OnvifError::TimedOut { waited }))
}

fn random() -> Result<[u8; 16], OnvifError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| OnvifError::Random)?;
    Ok(bytes)
}

fn post(request: OnvifRequest) -> Request<Bytes> {
    let mut post = Request::new(Bytes::from(request.body));
    *post.method_mut() = http::Method::POST;
    *post.uri_mut() = request.target;
    let headers = post.headers_mut();
    headers.insert(header::CONTENT_TYPE, request.content_type);
    let accepted = http::HeaderValue::from_static("application/soap+xml, text/xml");
    headers.insert(header::ACCEPT, accepted);
    headers.extend(request.credentials);
    post
}

fn read(response: HttpResponse) -> OnvifResponse {
    OnvifResponse {
        status: response.status.as_u16(),
        content_type: response.header(header::CONTENT_TYPE).map(str::to_owned),
        challenges: response.challenges().map(str::to_owned).collect(),
        body: response.body,
    }
}

fn failed(error: HttpTransportError, url: &str) -> OnvifError {
    match error {
        HttpTransportError::Unreachable(cause) => OnvifError::Unreachable {
            url: url.to_owned(),
            cause,
        },
        HttpTransportError::Untrusted(cause) => OnvifError::Untrusted(cause),
        HttpTransportError::TooLarge { limit } => OnvifError::TooLarge { limit },
        HttpTransportError::TimedOut { waited } => OnvifError::TimedOut { waited },
        broken => OnvifError::Broken(broken),
    }
}

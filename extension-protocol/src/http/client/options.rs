use std::time::Duration;

use lva_client_transport::ClientTls;
use lva_client_transport::http::HttpCredentials;

use crate::http::HttpUrl;
use crate::{BackoffPolicy, FrameEncoding};

/// How an HTTP extension is asked.
#[derive(Debug, Clone)]
pub struct HttpClientOptions {
    pub(super) url: HttpUrl,
    pub(super) encoding: FrameEncoding,
    pub(super) credentials: Option<HttpCredentials>,
    pub(super) tls: ClientTls,
    pub(super) user_agent: String,
    pub(super) turn_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) answer_timeout: Duration,
    pub(super) max_answer_bytes: usize,
    pub(super) backoff: BackoffPolicy,
    pub(super) max_pause: Duration,
}

impl HttpClientOptions {
    /// Pictures of one encoding to one address, without credentials.
    pub fn new(url: HttpUrl, encoding: FrameEncoding) -> Self {
        Self {
            url,
            encoding,
            credentials: None,
            tls: ClientTls::platform(),
            user_agent: "Azure Media Services".to_owned(),
            turn_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            max_answer_bytes: 4 << 20,
            backoff: BackoffPolicy::default(),
            max_pause: Duration::from_secs(600),
        }
    }

    /// The credentials of the requests. Default: none.
    #[must_use]
    pub fn with_credentials(mut self, credentials: HttpCredentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// How the certificate of an `https` server is checked. Default: [`ClientTls::platform`]. Ignored for `http`.
    #[must_use]
    pub fn with_tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls;
        self
    }

    /// The `User-Agent` header. Default `Azure Media Services`, as in the modules that extensions were written for; some
    /// servers check it. A string that cannot stand in a header is left out.
    #[must_use]
    pub fn with_user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// How long a request waits for the previous one. Default 1 s. With 0, it fails at once; long waits make results late,
    /// because a picture waits here in place of a newer one.
    #[must_use]
    pub fn with_turn_timeout(mut self, timeout: Duration) -> Self {
        self.turn_timeout = timeout;
        self
    }

    /// Time to resolve, reach and, with TLS, check the server. Default 10 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Time for one request once its turn has come: connecting, challenges, the whole answer. Default 30 s. With a short
    /// time, slow servers work in vain; with a long one, a stalled server delays the camera's analysis.
    #[must_use]
    pub fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Most bytes of an answer's body. Default 4 MiB.
    #[must_use]
    pub fn with_largest_answer(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// Pauses after a 503 without `Retry-After`, and while the server cannot be reached. Default:
    /// [`BackoffPolicy::default`] (250 ms to 15 s, doubling, with jitter). Any answer except 503 and 429 resets it.
    #[must_use]
    pub fn with_backoff(mut self, policy: BackoffPolicy) -> Self {
        self.backoff = policy;
        self
    }

    /// Longest pause that a server may ask for; longer ones are shortened to it. Default 10 minutes.
    #[must_use]
    pub fn with_longest_pause(mut self, max: Duration) -> Self {
        self.max_pause = max;
        self
    }

    /// The address.
    pub fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// The encoding of the pictures.
    pub fn encoding(&self) -> FrameEncoding {
        self.encoding
    }
}

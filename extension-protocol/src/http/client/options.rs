//! What a client has to know before it asks.

use std::time::Duration;

use crate::http::{HttpCredentials, HttpTls, HttpUrl};
use crate::{BackoffPolicy, FrameEncoding};

/// Everything about the requests to an HTTP extension but their pictures.
#[derive(Debug, Clone)]
pub struct HttpClientOptions {
    pub(super) url: HttpUrl,
    pub(super) encoding: FrameEncoding,
    pub(super) credentials: Option<HttpCredentials>,
    pub(super) tls: HttpTls,
    pub(super) user_agent: String,
    pub(super) turn_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) answer_timeout: Duration,
    pub(super) largest_answer: usize,
    pub(super) backoff: BackoffPolicy,
    pub(super) longest_pause: Duration,
}

impl HttpClientOptions {
    /// Pictures of one encoding to one address.
    pub fn new(url: HttpUrl, encoding: FrameEncoding) -> Self {
        Self {
            url,
            encoding,
            credentials: None,
            tls: HttpTls::platform(),
            user_agent: "Azure Media Services".to_owned(),
            turn_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            largest_answer: 4 << 20,
            backoff: BackoffPolicy::default(),
            longest_pause: Duration::from_secs(600),
        }
    }

    /// As whom it asks. Default: as nobody.
    #[must_use]
    pub fn with_credentials(mut self, credentials: HttpCredentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// How an `https` server is checked. Default: [`HttpTls::platform`]. Without meaning for `http`.
    #[must_use]
    pub fn with_tls(mut self, tls: HttpTls) -> Self {
        self.tls = tls;
        self
    }

    /// What it calls itself. Default `Azure Media Services`, as the modules that extensions were written for do; there
    /// are servers that look. A text that cannot stand in a header is left out.
    #[must_use]
    pub fn with_user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// How long a request waits for the one before it. Default 1 s. Nought refuses at once; long waits make results late,
    /// because a picture waits here in place of a newer one.
    #[must_use]
    pub fn with_turn_timeout(mut self, timeout: Duration) -> Self {
        self.turn_timeout = timeout;
        self
    }

    /// Time for finding, reaching and, with TLS, checking the server. Default 10 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Time for everything about one request once its turn has come: connecting, challenges, the whole answer. Default
    /// 30 s. Too short a time gives up on a server that is merely slow, and it does the work in vain; a long one holds
    /// the camera's analysis back by a hung one.
    #[must_use]
    pub fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Largest body of an answer in bytes. Default 4 MiB.
    #[must_use]
    pub fn with_largest_answer(mut self, bytes: usize) -> Self {
        self.largest_answer = bytes;
        self
    }

    /// Pauses after a 503 without `Retry-After`, and while the server cannot be reached. Default:
    /// [`BackoffPolicy::default`] (250 ms to 15 s, doubling, with jitter). Any answer but 503 and 429 starts anew.
    #[must_use]
    pub fn with_backoff(mut self, policy: BackoffPolicy) -> Self {
        self.backoff = policy;
        self
    }

    /// Longest pause that a server may ask for; longer ones are cut. Default 10 minutes.
    #[must_use]
    pub fn with_longest_pause(mut self, longest: Duration) -> Self {
        self.longest_pause = longest;
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

use std::time::Duration;

use lva_client_transport::ClientTls;
use lva_client_transport::http::HttpCredentials;

use crate::http::HttpUrl;
use crate::setters::setters;
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

    setters! {
        /// The credentials of the requests. Default: none.
        with_credentials(credentials: HttpCredentials) credentials = Some(credentials);
        /// How the certificate of an `https` server is checked. Default: [`ClientTls::platform`]. Ignored for `http`.
        with_tls(tls: ClientTls) tls = tls;
        /// The `User-Agent` header. Default `Azure Media Services`, as in the modules that extensions were written for; some
        /// servers check it. A string that cannot stand in a header is left out.
        with_user_agent(name: impl Into<String>) user_agent = name.into();
        /// How long a request waits for the previous one. Default 1 s. With 0, it fails at once; long waits make results late,
        /// because a picture waits here in place of a newer one.
        with_turn_timeout(timeout: Duration) turn_timeout = timeout;
        /// Time to resolve, reach and, with TLS, check the server. Default 10 s.
        with_connect_timeout(timeout: Duration) connect_timeout = timeout;
        /// Time for one request once its turn has come: connecting, challenges, the whole answer. Default 30 s. With a short
        /// time, slow servers work in vain; with a long one, a stalled server delays the camera's analysis.
        with_answer_timeout(timeout: Duration) answer_timeout = timeout;
        /// Most bytes of an answer's body. Default 4 MiB.
        with_largest_answer(bytes: usize) max_answer_bytes = bytes;
        /// Pauses after a 503 without `Retry-After`, and while the server cannot be reached. Default:
        /// [`BackoffPolicy::default`] (250 ms to 15 s, doubling, with jitter). Any answer except 503 and 429 resets it.
        with_backoff(policy: BackoffPolicy) backoff = policy;
        /// Longest pause that a server may ask for; longer ones are shortened to it. Default 10 minutes.
        with_longest_pause(max: Duration) max_pause = max;
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

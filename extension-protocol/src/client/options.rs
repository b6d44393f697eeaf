//! Options of a client.

use std::time::Duration;

use lva_client_transport::TrustedRoots;

use crate::setters::setters;
use crate::{Credentials, ExtensionUrl, FrameFormat, GraphIdentity, SharedMemoryOptions};

/// Default number of frames in flight.
pub const DEFAULT_WINDOW: usize = 4;

/// Largest number of frames in flight.
pub const MAX_WINDOW: usize = 64;

/// Smallest number of frames in flight: some servers answer a frame only when the next one arrives.
pub const MIN_WINDOW: usize = 2;

/// How frames reach the extension.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transfer {
    /// Inside the messages. Works everywhere; each side copies each frame at least once.
    Embedded,
    /// In shared memory, by reference. Both sides need the same `/dev/shm`.
    SharedMemory(SharedMemoryOptions),
}

/// Everything a session with an extension needs, except its frames.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    pub(crate) url: ExtensionUrl,
    /// `None`: samples carry only inferences.
    pub(crate) format: Option<FrameFormat>,
    pub(crate) tls: Option<TrustedRoots>,
    pub(crate) largest_frame: Option<usize>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) identity: GraphIdentity,
    pub(crate) configuration: Option<String>,
    pub(crate) transfer: Transfer,
    pub(crate) window: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) first_answer_timeout: Duration,
    pub(crate) largest_answer: usize,
    pub(crate) preview: bool,
}

impl ClientOptions {
    /// Frames of one format to one extension, embedded in the messages.
    pub fn new(url: ExtensionUrl, format: FrameFormat) -> Self {
        Self::with_format(url, Some(format))
    }

    /// Samples without frames: only upstream inferences are sent, and every slot is empty.
    pub fn without_frames(url: ExtensionUrl) -> Self {
        Self::with_format(url, None)
    }

    fn with_format(url: ExtensionUrl, format: Option<FrameFormat>) -> Self {
        Self {
            url,
            format,
            tls: None,
            largest_frame: None,
            credentials: None,
            identity: GraphIdentity::default(),
            configuration: None,
            transfer: Transfer::Embedded,
            window: DEFAULT_WINDOW,
            handshake_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            first_answer_timeout: Duration::from_secs(60),
            largest_answer: 4 << 20,
            preview: false,
        }
    }

    /// TLS with these roots, whatever the scheme of the URL (not for Unix sockets): topologies write `tcp://` into TLS
    /// endpoints too. Default: no TLS for `tcp://`, the platform's roots for `https://` and `tls://`.
    ///
    /// The certificate is always checked, and must hold the URL's host as a DNS name or an address.
    #[must_use]
    pub fn with_tls(mut self, tls: TrustedRoots) -> Self {
        self.url = self.url.with_tls();
        self.tls = Some(tls);
        self
    }

    setters! {
        /// How frames are transferred. Default: [`Transfer::Embedded`].
        with_transfer(transfer: Transfer) transfer = transfer;
        /// Frames in flight, [`MIN_WINDOW`] to [`MAX_WINDOW`]; other values are clamped. Default: [`DEFAULT_WINDOW`]. Each
        /// takes the memory of a frame. A small window leaves a slow extension idle between frames; a large one makes
        /// results late, because frames wait at the extension instead of being replaced by newer ones here.
        with_window(frames: usize) window = frames.clamp(MIN_WINDOW, MAX_WINDOW);
        /// Largest encoded frame in bytes. Default: three bytes per pixel plus 64 KiB. Ignored for raw pixels, whose size is
        /// exact.
        with_largest_frame(bytes: usize) largest_frame = Some(bytes);
        /// User name and password. Default: none.
        with_credentials(credentials: Credentials) credentials = Some(credentials);
        /// The graph node that sends the frames. Default: all names empty.
        with_identity(identity: GraphIdentity) identity = identity;
        /// A configuration string that is passed to the extension unchanged. Default: none.
        with_configuration(configuration: impl Into<String>) configuration = Some(configuration.into());
        /// Time to connect and exchange descriptors. Default 10 s. An extension that loads its model first needs more; with
        /// a large value, a server without a free worker is noticed late.
        with_handshake_timeout(timeout: Duration) handshake_timeout = timeout;
        /// Time for an answer, measured from when the *next* frame was sent. Default 30 s. Too short a time ends sessions
        /// of slow extensions; with a long one, a stalled extension is noticed late.
        with_answer_timeout(timeout: Duration) answer_timeout = timeout;
        /// The same before the first answer of a session. Default 60 s: extensions warm up.
        with_first_answer_timeout(timeout: Duration) first_answer_timeout = timeout;
        /// Asks for what is only to be looked at: entities of every frame, marked as preview, and reasons of events (see
        /// `lva_inference_schema::Inference::is_preview`). Default: false. Extensions that do not know this convention answer
        /// as ever.
        with_preview(preview: bool) preview = preview;
        /// Largest answer in bytes. Default 4 MiB. Larger ones end the session.
        with_largest_answer(bytes: usize) largest_answer = bytes;
    }

    /// Exact size of raw frames or largest size of encoded ones; 0 without frames.
    pub(crate) fn frame_limit(&self) -> usize {
        let Some(format) = &self.format else { return 0 };
        format.frame_bytes().or(self.largest_frame).unwrap_or_else(|| {
            let pixels = format.width() as usize * format.height() as usize;
            pixels.saturating_mul(3).saturating_add(64 << 10)
        })
    }
}

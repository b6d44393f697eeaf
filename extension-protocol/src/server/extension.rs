//! The traits that an author implements, and what they are shown.

use async_trait::async_trait;
use bytes::Bytes;
use lva_inference_schema::Inference;
use lva_media_types::MediaTime;
use tonic::Code;

use crate::convert::TIMESCALE;
use crate::{BoxError, FrameFormat, GraphIdentity};

/// A program that looks at frames. One value serves all streams.
///
/// Code that blocks (most models do) belongs into a [`BlockingExtension`](crate::server::BlockingExtension), which gets a
/// thread for each stream.
#[async_trait]
pub trait Extension: Send + Sync + 'static {
    /// Name that clients are told; free text.
    fn identifier(&self) -> &str {
        ""
    }

    /// A client wants to open a stream. Its handshake waits for this, usually not longer than ten seconds.
    ///
    /// # Errors
    ///
    /// [`ExtensionOpenError`]: the stream is refused with the status that fits.
    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError>;
}

/// One stream of frames. Dropped when the stream ends, however it ends.
#[async_trait]
pub trait ExtensionSession: Send {
    /// Looks at one frame. The samples of a stream come one after the other, in the order in which they were sent; the
    /// next one is not read before this returns. No inferences is a good answer: the frame is acknowledged.
    ///
    /// # Errors
    ///
    /// An [`StreamError`] ends the stream at once with the status that it names: the client's frames are at fault.
    /// After any other error the frame is answered empty and counted as failed; after three of those in a row the
    /// stream ends with `INTERNAL`.
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError>;
}

/// What a client announced about its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Number of the stream in this server, from 1; for logs.
    pub number: u64,
    /// Which node of which graph it comes from. Every member may be empty.
    pub identity: GraphIdentity,
    /// The text of the topology; empty when there is none. Real clients send `{}` or nothing at all.
    pub configuration: String,
    /// What every frame looks like. `None`: samples carry inferences only.
    pub format: Option<FrameFormat>,
    /// Ticks a second of its timestamps. 90000 from media graphs, and in place of 0.
    pub timescale: u32,
    /// Whether frames come in shared memory.
    pub shared_memory: bool,
}

impl SessionInfo {
    /// A stream of frames with nothing else known: for tests of an extension.
    pub fn new(format: FrameFormat) -> Self {
        Self {
            number: 0,
            identity: GraphIdentity::default(),
            configuration: String::new(),
            format: Some(format),
            timescale: TIMESCALE,
            shared_memory: false,
        }
    }

    /// With this configuration text.
    #[must_use]
    pub fn with_configuration(mut self, text: impl Into<String>) -> Self {
        self.configuration = text.into();
        self
    }
}

/// One frame, and what is known about it.
#[derive(Debug)]
pub struct Sample<'a> {
    data: &'a Bytes,
    timestamp: u64,
    timestamp_90k: u64,
    sequence: u64,
    upstream: &'a [Inference],
}

impl<'a> Sample<'a> {
    pub(crate) fn new(
        data: &'a Bytes,
        timestamp: u64,
        timescale: u32,
        sequence: u64,
        upstream: &'a [Inference],
    ) -> Self {
        Self {
            data,
            timestamp,
            timestamp_90k: MediaTime::from_ticks_at(timestamp, timescale).ticks_90k(),
            sequence,
            upstream,
        }
    }

    /// A sample outside of any stream: for tests of an extension.
    pub fn detached(data: &'a Bytes, timestamp_90k: u64) -> Self {
        Self::new(data, timestamp_90k, TIMESCALE, 0, &[])
    }

    /// The bytes of the frame. Bare frames have exactly the size of their format; empty where the stream has no frames.
    ///
    /// From a trusted peer they lie in its shared memory; they must not be looked at after the answer, which the
    /// borrow sees to.
    pub fn data(&self) -> &[u8] {
        self.data
    }

    /// When the frame was taken, in ticks of 1/90000 s since 1970. Always 0 from some clients; not necessarily rising.
    pub fn timestamp_90k(&self) -> u64 {
        self.timestamp_90k
    }

    /// The same as the client wrote it, in ticks of [`SessionInfo::timescale`].
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// Number of the message; for logs.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What nodes before this one found in the frame.
    pub fn upstream(&self) -> &[Inference] {
        self.upstream
    }

    /// A handle to the same bytes for another thread. Its user must be through with it before the answer is given.
    pub(crate) fn shared_data(&self) -> Bytes {
        self.data.clone()
    }
}

/// Why an extension does not take a stream. The texts reach the client: tell what would be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionOpenError {
    /// Encoding, pixel format or size: status `OUT_OF_RANGE`.
    #[error("{0}")]
    UnsupportedFormat(String),
    /// The configuration text makes no sense: status `INVALID_ARGUMENT`.
    #[error("the extension's configuration cannot be used: {0}")]
    Configuration(String),
    /// Another time: status `RESOURCE_EXHAUSTED`.
    #[error("{0}")]
    Busy(String),
    /// The extension is broken: status `INTERNAL`. The client is not told more than that; the log is.
    #[error("the extension failed to begin")]
    Failed(#[source] BoxError),
}

/// The client's frames are at fault, and more of them would not help: returned as the error of
/// [`ExtensionSession::process`], it ends the stream at once, without an answer to that frame.
///
/// It has to be the error itself, not the source of another one. The text reaches the client, up to 1000 characters of
/// it: tell what was wrong and what would be taken, and nothing about the inside of the extension.
///
/// ```
/// use lva_extension_protocol::{BoxError, server::StreamError};
///
/// fn first_byte(picture: &[u8]) -> Result<u8, BoxError> {
///     let first = picture.first().ok_or_else(|| StreamError::BadFrame("the picture is empty".into()))?;
///     Ok(*first)
/// }
/// assert!(first_byte(&[]).unwrap_err().is::<StreamError>());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The bytes are not what the stream announced, such as a picture that cannot be decoded or has another size:
    /// status `INVALID_ARGUMENT`, as the Python servers have it.
    #[error("{0}")]
    BadFrame(String),
    /// The frame is sound, but of a kind that only now turns out not to be taken: status `OUT_OF_RANGE`. What is known
    /// from the descriptor is better refused by [`ExtensionOpenError::UnsupportedFormat`].
    #[error("{0}")]
    UnsupportedFormat(String),
}

impl StreamError {
    /// The gRPC status that the stream ends with.
    pub fn code(&self) -> Code {
        match self {
            Self::BadFrame(_) => Code::InvalidArgument,
            Self::UnsupportedFormat(_) => Code::OutOfRange,
        }
    }
}

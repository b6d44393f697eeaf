//! The traits to implement, and what they receive.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use lva_inference_schema::Inference;
use lva_media_types::MediaTime;
use tonic::Code;

use crate::convert::TIMESCALE;
use crate::{BoxError, FrameFormat, GraphIdentity};

/// A program that analyses frames. One value serves all streams.
///
/// Blocking code (most models) belongs in a [`BlockingExtension`](crate::server::BlockingExtension), which gets one thread
/// per stream.
#[async_trait]
pub trait Extension: Send + Sync + 'static {
    /// The name that is sent to clients.
    fn identifier(&self) -> &str {
        ""
    }

    /// Opens a stream. The client's handshake waits for this, usually at most ten seconds.
    ///
    /// # Errors
    ///
    /// [`ExtensionOpenError`]: the stream is refused with the matching status.
    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError>;
}

/// One stream of frames. Dropped when the stream ends.
#[async_trait]
pub trait ExtensionSession: Send {
    /// Processes one frame. The samples of a stream arrive one at a time in the order they were sent; the next one is not
    /// read before this returns. An answer without inferences acknowledges the frame.
    ///
    /// # Errors
    ///
    /// A [`StreamError`] ends the stream at once with its status: the client's frames are at fault. After any other error
    /// the frame gets an empty answer and is counted as failed; three of those in a row end the stream with `INTERNAL`.
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError>;
}

/// A client's announcement of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Number of the stream or HTTP session, for logs: from 1, and given once in a process, whichever listener it came to.
    pub number: u64,
    /// The graph node that sends it. Every name may be empty.
    pub identity: GraphIdentity,
    /// The extension configuration of the topology, or an empty string. Real clients send `{}` or nothing.
    pub configuration: String,
    /// The format of every frame. `None`: samples carry only inferences.
    pub format: Option<FrameFormat>,
    /// Ticks per second of its timestamps. 90000 from media graphs, and if the client sends 0.
    pub timescale: u32,
    /// Whether frames are in shared memory.
    pub shared_memory: bool,
    /// Whether the client shows answers to people: entities of every frame are welcome if they are marked
    /// ([`Inference::as_preview`](lva_inference_schema::Inference::as_preview)), and reasons of events.
    pub preview: bool,
}

/// The number of the last stream of this process. Listeners share an extension and a log, so they share it.
static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);

/// A number that no other stream or session of this process has.
pub(crate) fn next_number() -> u64 {
    LAST_NUMBER.fetch_add(1, Ordering::Relaxed) + 1
}

impl SessionInfo {
    /// A stream of frames with defaults for everything else, for tests of an extension.
    pub fn new(format: FrameFormat) -> Self {
        Self {
            number: 0,
            identity: GraphIdentity::default(),
            configuration: String::new(),
            format: Some(format),
            timescale: TIMESCALE,
            shared_memory: false,
            preview: false,
        }
    }

    /// For a client that shows answers to people.
    #[must_use]
    pub fn with_preview(mut self) -> Self {
        self.preview = true;
        self
    }

    /// With this configuration.
    #[must_use]
    pub fn with_configuration(mut self, configuration: impl Into<String>) -> Self {
        self.configuration = configuration.into();
        self
    }
}

/// One frame with its metadata.
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

    /// A sample without a stream, for tests of an extension.
    pub fn detached(data: &'a Bytes, timestamp_90k: u64) -> Self {
        Self::new(data, timestamp_90k, TIMESCALE, 0, &[])
    }

    /// The bytes of the frame; empty in a stream without frames. Raw frames have exactly the size of their format.
    ///
    /// Frames of a trusted peer are borrowed from its shared memory until the answer.
    pub fn data(&self) -> &[u8] {
        self.data
    }

    /// The time of the frame in ticks of 1/90000 s since 1970. Some clients always send 0; times need not increase.
    pub fn timestamp_90k(&self) -> u64 {
        self.timestamp_90k
    }

    /// The time as the client sent it, in ticks of [`SessionInfo::timescale`].
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// Number of the message; for logs.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The inferences of upstream nodes on this frame.
    pub fn upstream(&self) -> &[Inference] {
        self.upstream
    }

    /// A handle to the same bytes for another thread, which must drop it before the answer is sent.
    pub(crate) fn shared_data(&self) -> Bytes {
        self.data.clone()
    }
}

/// Why an extension refuses a stream. The message is sent to the client: name what the extension supports.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionOpenError {
    /// Encoding, pixel format or size: status `OUT_OF_RANGE`.
    #[error("{0}")]
    UnsupportedFormat(String),
    /// The configuration is invalid: status `INVALID_ARGUMENT`.
    #[error("invalid extension configuration: {0}")]
    Configuration(String),
    /// No capacity now: status `RESOURCE_EXHAUSTED`.
    #[error("{0}")]
    Busy(String),
    /// The extension failed: status `INTERNAL`. The cause is logged and not sent to the client.
    #[error("the extension failed to start the stream: {0}")]
    Failed(BoxError),
}

/// The client's frames are at fault, or the stream is over. Returned by [`ExtensionSession::process`], it ends the stream at
/// once, without an answer to that frame.
///
/// It must be the error itself, not the source of another one. Up to 1000 characters of its message are sent to the
/// client: name the fault and what the extension supports, and nothing internal.
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
    /// The bytes do not match the announced format, such as a picture that cannot be decoded or has another size: status
    /// `INVALID_ARGUMENT`, as Python servers send it.
    #[error("{0}")]
    BadFrame(String),
    /// The frame is valid, but the extension does not support it: status `OUT_OF_RANGE`. Formats that the descriptor
    /// announces are refused by [`ExtensionOpenError::UnsupportedFormat`] instead.
    #[error("{0}")]
    UnsupportedFormat(String),
    /// There is nothing to do for the stream any more, such as after its configuration was withdrawn: status `UNAVAILABLE`. The
    /// frames are not at fault, and a client may well try again.
    #[error("{0}")]
    Withdrawn(String),
}

impl StreamError {
    /// The gRPC status that the stream ends with.
    pub fn code(&self) -> Code {
        match self {
            Self::BadFrame(_) => Code::InvalidArgument,
            Self::UnsupportedFormat(_) => Code::OutOfRange,
            Self::Withdrawn(_) => Code::Unavailable,
        }
    }
}

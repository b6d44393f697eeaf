//! The whole as an extension that a server of `lva-extension-protocol` hosts.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use lva_extension_protocol::BoxError;
use lva_extension_protocol::server::{
    BlockingExtension, BlockingSession, Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo,
    StreamError, ThreadPerStream,
};
use lva_inference::Detector;
use lva_inference_schema::Inference;

use crate::configuration::OperationConfig;
use crate::detectors::Detectors;
use crate::frames::FrameReader;
use crate::options::AnalysisOptions;
use crate::session::{BeginError, ProcessError, SpatialAnalysis};
use crate::stats::{AnalysisStats, AnalysisStatsReader};

/// Name that clients are told unless another is given.
pub const DEFAULT_IDENTIFIER: &str = "lva-spatial-analysis";

/// Spatial analysis for any number of streams.
///
/// Each stream has a thread of its own, named `extension-N`: the model runs there, never on the
/// workers of tokio. A stream's configuration text, if there
/// is any, says what that stream watches; otherwise it is what the extension was made with.
///
/// Frames without a time (0, as some clients send always) get that of their arrival, so that speeds and holds still mean
/// something; answers carry the client's own time all the same.
///
/// | what | becomes |
/// |---|---|
/// | a configuration that cannot be used | the stream is refused, `INVALID_ARGUMENT`, with name and remedy |
/// | frames that no detector takes, or none at all | refused, `OUT_OF_RANGE` |
/// | no detector | refused, `INTERNAL`; the log says why |
/// | a picture that cannot be read, or of another size than announced | that stream ends, `INVALID_ARGUMENT`, with what was wrong |
/// | a failing detector | the frame is answered empty and counted; three in a row end the stream, `INTERNAL` |
///
/// Other streams see nothing of either.
pub struct SpatialExtension {
    streams: ThreadPerStream<Streams>,
    stats: AnalysisStatsReader,
}

impl SpatialExtension {
    /// An extension that watches `config` with default options.
    pub fn new(config: OperationConfig, detectors: Detectors) -> Self {
        Self::with_options(config, detectors, AnalysisOptions::default())
    }

    /// An extension that watches `config` with these options.
    pub fn with_options(config: OperationConfig, detectors: Detectors, options: AnalysisOptions) -> Self {
        let stats = AnalysisStatsReader::default();
        let streams = ThreadPerStream::new(Streams {
            config,
            detectors,
            options,
            stats: stats.clone(),
        });
        Self { streams, stats }
    }

    /// Reads what is counted, over all streams.
    pub fn stats(&self) -> AnalysisStatsReader {
        self.stats.clone()
    }
}

impl fmt::Debug for SpatialExtension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpatialExtension")
            .field("stats", &self.stats.read())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Extension for SpatialExtension {
    fn identifier(&self) -> &str {
        self.streams.identifier()
    }

    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        self.streams.open(session).await
    }
}

/// What all streams begin with.
struct Streams {
    config: OperationConfig,
    detectors: Detectors,
    options: AnalysisOptions,
    stats: AnalysisStatsReader,
}

impl BlockingExtension for Streams {
    fn identifier(&self) -> &str {
        DEFAULT_IDENTIFIER
    }

    fn open(&self, info: &SessionInfo) -> Result<Box<dyn BlockingSession>, ExtensionOpenError> {
        let format = info.format.ok_or_else(|| {
            ExtensionOpenError::UnsupportedFormat(
                "this extension looks at frames: announce their format".to_owned(),
            )
        })?;
        let reader =
            FrameReader::new(format).map_err(|e| ExtensionOpenError::UnsupportedFormat(e.to_string()))?;
        let own = OperationConfig::from_descriptor(&info.configuration)
            .map_err(|error| ExtensionOpenError::Configuration(error.to_string()))?;
        for finding in own.iter().flat_map(OperationConfig::findings) {
            tracing::info!(stream = info.number, %finding, "in the stream's configuration");
        }
        let config = own.as_ref().unwrap_or(&self.config);
        let detector = self.detectors.for_session().map_err(ExtensionOpenError::Failed)?;
        let size = (format.width(), format.height());
        // Ids of two streams must not meet; the standard library's hash keys differ from stream to stream.
        let seed = RandomState::new().hash_one((info.number, SystemTime::now()));
        let analysis =
            SpatialAnalysis::new(detector, config, size, self.options, seed).map_err(
                |error| match error {
                    BeginError::FrameSize { .. } => ExtensionOpenError::UnsupportedFormat(error.to_string()),
                    BeginError::Configuration(_) => ExtensionOpenError::Configuration(error.to_string()),
                    BeginError::NoPersonClass { .. } | BeginError::CameraAspect { .. } => {
                        ExtensionOpenError::Failed(error.into())
                    }
                },
            )?;
        tracing::info!(
            stream = info.number,
            instance = %info.identity.graph_instance_name,
            node = %info.identity.graph_node_name,
            frames = %format,
            own_configuration = own.is_some(),
            "watching"
        );
        self.stats.add(analysis.stats());
        Ok(Box::new(Stream {
            counted: analysis.stats(),
            analysis,
            reader,
            clock: ArrivalClock::start(),
            stats: self.stats.clone(),
        }))
    }
}

/// One stream on its thread.
struct Stream {
    analysis: SpatialAnalysis<Box<dyn Detector>>,
    reader: FrameReader,
    clock: ArrivalClock,
    stats: AnalysisStatsReader,
    /// What of the session's counts is in those of all streams already.
    counted: AnalysisStats,
}

impl BlockingSession for Stream {
    fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        let read = match self.reader.read(sample.data()) {
            Ok(read) => read,
            Err(error) => {
                self.stats.add(AnalysisStats {
                    frames: 1,
                    unreadable_frames: 1,
                    ..AnalysisStats::default()
                });
                return Err(StreamError::BadFrame(with_causes(&error)).into());
            }
        };
        let time = match sample.timestamp_90k() {
            0 => self.clock.now_90k(),
            time => time,
        };
        let answer = self.analysis.process(read.frame(), time);
        let counts = self.analysis.stats();
        self.stats.add(counts.since(self.counted));
        self.counted = counts;
        answer.map_err(|error| match error {
            ProcessError::FrameSize { .. } => StreamError::BadFrame(error.to_string()).into(),
            error => with_causes(&error).into(),
        })
    }
}

/// An error in one line with what caused it: the log of the server prints no sources.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Times of arrival that never run backwards, whatever happens to the system's clock.
#[derive(Debug)]
struct ArrivalClock {
    began: Instant,
    began_90k: u64,
}

impl ArrivalClock {
    fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            began: Instant::now(),
            began_90k: ticks(since_1970.as_micros()),
        }
    }

    fn now_90k(&self) -> u64 {
        self.began_90k
            .saturating_add(ticks(self.began.elapsed().as_micros()))
    }
}

fn ticks(microseconds: u128) -> u64 {
    u64::try_from(microseconds * 9 / 100).unwrap_or(u64::MAX)
}

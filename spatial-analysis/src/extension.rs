//! The extension that a server of `lva-extension-protocol` hosts.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use lva_extension_protocol::server::{
    BlockingExtension, BlockingSession, Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo,
    StreamError, ThreadPerStream,
};
use lva_extension_protocol::{BoxError, GraphIdentity};
use lva_inference::Detector;
use lva_inference_schema::Inference;
use lva_media_types::MediaTime;

use crate::detectors::Detectors;
use crate::frames::FrameReader;
use crate::operation::{Operation, camera_alone};
use crate::options::{AnalysisOptions, Entities};
use crate::session::{BeginError, ProcessError, SpatialAnalysis};
use crate::source::{Fixed, NoOperation, OperationSource, StreamOperation};
use crate::stats::{AnalysisStats, AnalysisStatsReader};

/// The extension's name for clients.
pub const DEFAULT_IDENTIFIER: &str = "lva-spatial-analysis";

/// Spatial analysis for any number of streams.
///
/// Each stream has its own thread, named `extension-N`: frames are read, prepared, tracked and evaluated there, never on
/// tokio's workers, and the model runs where its detector runs it. A stream's configuration, if it has one, replaces the
/// extension's operation, whatever happens to that one; `{"VIDEO_SOURCE_ID": …}` alone names one of the [`OperationSource`].
///
/// Frames without a time (0, which some clients always send) get the time of their arrival, so that speeds and holds work;
/// answers carry the client's time.
///
/// | problem | consequence |
/// |---|---|
/// | an invalid configuration, or one with classes that are not detected | the stream is rejected with `INVALID_ARGUMENT`, member and remedy |
/// | a frame format that detectors do not take, or none | rejected with `OUT_OF_RANGE` |
/// | no detector | rejected with `INTERNAL`; the log has the reason |
/// | no operation in its [`OperationSource`] | rejected with `INVALID_ARGUMENT`; one that runs ends with `UNAVAILABLE` |
/// | a picture that cannot be read, or of another size than announced | the stream ends with `INVALID_ARGUMENT` and the reason |
/// | a failing detector | an empty, counted answer; three in a row end the stream with `INTERNAL` |
///
/// Other streams are not affected.
pub struct SpatialExtension {
    streams: ThreadPerStream<Streams>,
    stats: AnalysisStatsReader,
}

impl SpatialExtension {
    /// An extension for an operation, with default options.
    pub fn new(operation: Operation, detectors: Detectors) -> Self {
        Self::with_options(operation, detectors, AnalysisOptions::default())
    }

    /// An extension for an operation.
    pub fn with_options(operation: Operation, detectors: Detectors, options: AnalysisOptions) -> Self {
        let fixed = Fixed(StreamOperation::new(operation));
        Self::with_source(Arc::new(fixed), detectors, options)
    }

    /// An extension whose streams get their operations from this source, and follow its changes.
    pub fn with_source(
        source: Arc<dyn OperationSource>,
        detectors: Detectors,
        options: AnalysisOptions,
    ) -> Self {
        let stats = AnalysisStatsReader::default();
        let streams = ThreadPerStream::new(Streams {
            source,
            detectors,
            options,
            stats: stats.clone(),
        });
        Self { streams, stats }
    }

    /// The counts of all streams.
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

/// What all streams start with.
struct Streams {
    source: Arc<dyn OperationSource>,
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
                "this extension needs frames: announce their format".to_owned(),
            )
        })?;
        let reader =
            FrameReader::new(format).map_err(|e| ExtensionOpenError::UnsupportedFormat(e.to_string()))?;
        let named = camera_alone(&info.configuration);
        let configured = match &named {
            Some(_) => None,
            None => Operation::from_descriptor(&info.configuration)
                .map_err(|error| ExtensionOpenError::Configuration(error.to_string()))?,
        };
        for finding in configured.iter().flat_map(Operation::findings) {
            tracing::info!(stream = info.number, %finding, "the stream's configuration has a member without effect");
        }
        let (operation, following) = match configured {
            Some(own) => (Arc::new(own), None),
            None => {
                let following = Following::begin(&self.source, &info.identity, named)?;
                (Arc::clone(&following.current.operation), Some(following))
            }
        };
        let detector = self.detectors.for_session().map_err(ExtensionOpenError::Failed)?;
        let size = (format.width(), format.height());
        let seed = id_seed(info.number);
        let options = match (info.preview, self.options.entities) {
            // What is sent for every frame already needs no mark.
            (true, Entities::OfEvents) => self.options.with_entities(Entities::Preview),
            _ => self.options,
        };
        let analysis = SpatialAnalysis::new(detector, &operation, options, seed)
            .and_then(|analysis| analysis.with_frame_size(size))
            .map_err(|error| match error {
                BeginError::FrameSize { .. } => ExtensionOpenError::UnsupportedFormat(error.to_string()),
                BeginError::Operation(_) => ExtensionOpenError::Configuration(error.to_string()),
                // Who brought the operation chose its classes.
                BeginError::NoClass { .. } | BeginError::ClassLeftOut { .. } if following.is_none() => {
                    ExtensionOpenError::Configuration(error.to_string())
                }
                BeginError::NoClass { .. }
                | BeginError::ClassLeftOut { .. }
                | BeginError::CameraAspect { .. } => ExtensionOpenError::Failed(error.into()),
            })?;
        tracing::info!(
            stream = info.number,
            instance = %info.identity.graph_instance_name,
            node = %info.identity.graph_node_name,
            frames = %format,
            configured = following.is_none(),
            "a stream has started"
        );
        self.stats.add(analysis.stats());
        if let Some(following) = &following {
            following.current.stats.add(analysis.stats());
        }
        Ok(Box::new(Stream {
            number: info.number,
            following,
            counted: analysis.stats(),
            analysis,
            reader,
            clock: ArrivalClock::start(),
            stats: self.stats.clone(),
        }))
    }
}

/// Ids of two streams must differ; so do the standard library's hash keys.
fn id_seed(stream: u64) -> u64 {
    RandomState::new().hash_one((stream, SystemTime::now()))
}

fn find(
    source: &dyn OperationSource,
    node: &GraphIdentity,
    source_id: Option<&str>,
) -> Result<StreamOperation, NoOperation> {
    match source_id {
        Some(source_id) => source.operation_of_camera(source_id),
        None => source.operation(node),
    }
}

/// A stream whose operation is that of the source.
struct Following {
    source: Arc<dyn OperationSource>,
    node: GraphIdentity,
    /// The camera that its configuration names.
    source_id: Option<String>,
    revision: u64,
    current: StreamOperation,
}

impl Following {
    fn begin(
        source: &Arc<dyn OperationSource>,
        node: &GraphIdentity,
        source_id: Option<String>,
    ) -> Result<Self, ExtensionOpenError> {
        // Before the operation: a change after it is seen with the first frame.
        let revision = source.revision();
        let current = find(&**source, node, source_id.as_deref())
            .map_err(|none| ExtensionOpenError::Configuration(none.to_string()))?;
        Ok(Self {
            source: Arc::clone(source),
            node: node.clone(),
            source_id,
            revision,
            current,
        })
    }

    /// The operation to change to, if it is another one now.
    fn changed(&mut self) -> Result<Option<Arc<Operation>>, StreamError> {
        let revision = self.source.revision();
        if revision == self.revision {
            return Ok(None);
        }
        let found = find(&*self.source, &self.node, self.source_id.as_deref());
        let found = found.map_err(|none| StreamError::Withdrawn(none.to_string()))?;
        let is_equal = found.operation == self.current.operation;
        self.revision = revision;
        self.current = found;
        Ok((!is_equal).then(|| Arc::clone(&self.current.operation)))
    }
}

/// A stream on its thread.
struct Stream {
    number: u64,
    /// `None` for one that brought its own operation.
    following: Option<Following>,
    analysis: SpatialAnalysis<Box<dyn Detector>>,
    reader: FrameReader,
    clock: ArrivalClock,
    stats: AnalysisStatsReader,
    /// The part of the session's counts that is already in those of all streams.
    counted: AnalysisStats,
}

impl Stream {
    fn follow(&mut self) -> Result<(), StreamError> {
        let Some(following) = &mut self.following else {
            return Ok(());
        };
        if let Some(operation) = following.changed()? {
            self.analysis
                .set_operation(&operation, id_seed(self.number))
                .map_err(|error| StreamError::Withdrawn(error.to_string()))?;
            tracing::info!(
                stream = self.number,
                instance = %following.node.graph_instance_name,
                node = %following.node.graph_node_name,
                "the stream's operation has changed: people and counts begin anew"
            );
        }
        Ok(())
    }

    fn count(&self, counts: AnalysisStats) {
        self.stats.add(counts);
        if let Some(following) = &self.following {
            following.current.stats.add(counts);
        }
    }
}

impl BlockingSession for Stream {
    fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        self.follow()?;
        let read = match self.reader.read(sample.data()) {
            Ok(read) => read,
            Err(error) => {
                self.count(AnalysisStats {
                    frames: 1,
                    unreadable_frames: 1,
                    ..AnalysisStats::default()
                });
                return Err(StreamError::BadFrame(error.to_string()).into());
            }
        };
        let time = match sample.timestamp_90k() {
            0 => self.clock.now_90k(),
            time => time,
        };
        let answer = self.analysis.process(read.frame(), time);
        let counts = self.analysis.stats();
        self.count(counts.since(self.counted));
        self.counted = counts;
        answer.map_err(|error| match error {
            ProcessError::FrameSize { .. } => StreamError::BadFrame(error.to_string()).into(),
            error => error.into(),
        })
    }
}

/// Arrival times that never run backwards, whatever happens to the system clock.
#[derive(Debug)]
struct ArrivalClock {
    began: Instant,
    began_90k: u64,
}

impl ArrivalClock {
    fn start() -> Self {
        Self {
            began: Instant::now(),
            began_90k: MediaTime::from_system_time(SystemTime::now()).ticks_90k(),
        }
    }

    fn now_90k(&self) -> u64 {
        self.began_90k
            .saturating_add(MediaTime::ticks_in(self.began.elapsed()))
    }
}

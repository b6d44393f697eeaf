//! Where the streams of an extension get their operations from.

use std::sync::Arc;

use lva_extension_protocol::GraphIdentity;

use crate::operation::Operation;
use crate::stats::AnalysisStatsReader;

/// The operations of an extension, which may change while streams run.
///
/// A stream that brings no configuration of its own asks for its operation when it opens, and again before the first frame
/// after each change. **After a change, each stream has what a new stream of the same node would get**: an equal operation
/// changes nothing; another one is watched from that frame on, and people, visits and counts begin anew; where there is none any
/// more, the stream ends.
pub trait OperationSource: Send + Sync + 'static {
    /// A number that is another one after each change. It is read before each frame.
    fn revision(&self) -> u64;

    /// The operation of a node's stream.
    ///
    /// # Errors
    ///
    /// [`NoOperation`]: the stream is refused, or ends.
    fn operation(&self, node: &GraphIdentity) -> Result<StreamOperation, NoOperation>;

    /// The operation of a camera, for a stream whose configuration is `{"VIDEO_SOURCE_ID": …}` alone. Default: the one whose
    /// graph instance has this name.
    ///
    /// # Errors
    ///
    /// [`NoOperation`]: the stream is refused, or ends.
    fn operation_of_camera(&self, source_id: &str) -> Result<StreamOperation, NoOperation> {
        self.operation(&GraphIdentity::new(source_id, ""))
    }
}

/// The operation of a stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamOperation {
    /// What is watched.
    pub operation: Arc<Operation>,
    /// What the streams of this operation count; sessions count where they begin.
    pub stats: AnalysisStatsReader,
}

impl StreamOperation {
    /// An operation whose streams have counted nothing.
    pub fn new(operation: Operation) -> Self {
        Self {
            operation: Arc::new(operation),
            stats: AnalysisStatsReader::default(),
        }
    }
}

/// There is no operation for a stream. The message goes to the client: name what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoOperation(pub String);

/// One operation for all streams, for ever.
pub(crate) struct Fixed(pub(crate) StreamOperation);

impl OperationSource for Fixed {
    fn revision(&self) -> u64 {
        0
    }

    fn operation(&self, _node: &GraphIdentity) -> Result<StreamOperation, NoOperation> {
        Ok(self.0.clone())
    }
}

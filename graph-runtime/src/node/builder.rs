//! Creates custom nodes, and catches the panics of their factories.

use std::fmt;
use std::sync::Arc;

use lva_graph_model::nodes::CustomProcessor;

use super::{CustomNode, NodeContext, NodeError, NodeFactory};
use crate::panics::{Panicked, catch_panic};

/// Creates one node, as often as needed.
#[derive(Clone)]
pub(crate) struct NodeBuilder {
    pub(crate) factory: Arc<dyn NodeFactory>,
    pub(crate) topology: String,
    pub(crate) instance: String,
    pub(crate) name: String,
    pub(crate) processor: CustomProcessor,
}

/// A node, and how to create another one after a panic.
pub(crate) struct CustomNodePlan {
    pub(crate) builder: NodeBuilder,
    pub(crate) node: Box<dyn CustomNode>,
}

impl fmt::Debug for CustomNodePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomNodePlan")
            .field(&self.builder.processor)
            .finish()
    }
}

/// Why a node could not be created.
#[derive(Debug)]
pub(crate) enum NodeBuildError {
    Failed(NodeError),
    Panicked(Panicked),
}

impl NodeBuilder {
    pub(crate) fn create(&self) -> Result<Box<dyn CustomNode>, NodeBuildError> {
        let context = NodeContext {
            topology: &self.topology,
            instance: &self.instance,
            name: &self.name,
            processor: &self.processor,
        };
        catch_panic(|| self.factory.create(&context))
            .map_err(NodeBuildError::Panicked)?
            .map_err(NodeBuildError::Failed)
    }
}

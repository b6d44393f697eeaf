//! Creates nodes that process frames in this process, and catches the panics of their factories.

use std::fmt;
use std::sync::Arc;

use lva_graph_model::Graph;
use lva_graph_model::nodes::CustomProcessor;

use super::{CustomNode, NodeContext, NodeError, NodeFactory};
use crate::panics::{Panicked, catch_panic};

/// Creates one node, as often as needed.
pub(crate) struct NodeBuilder {
    pub(crate) name: String,
    create: Box<dyn Fn() -> Result<Box<dyn CustomNode>, NodeError> + Send>,
}

/// A node, and how to create another one after a panic.
pub(crate) struct InProcessPlan {
    pub(crate) builder: NodeBuilder,
    pub(crate) node: Box<dyn CustomNode>,
}

impl fmt::Debug for InProcessPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InProcessPlan").field(&self.builder.name).finish()
    }
}

/// Why a node could not be created.
#[derive(Debug)]
pub(crate) enum NodeBuildError {
    Failed(NodeError),
    Panicked(Panicked),
}

impl NodeBuilder {
    pub(crate) fn new(
        name: &str,
        create: impl Fn() -> Result<Box<dyn CustomNode>, NodeError> + Send + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            create: Box::new(create),
        }
    }

    /// Creates a custom node of a graph by the factory of its type.
    pub(crate) fn custom(
        factory: Arc<dyn NodeFactory>,
        graph: &Graph,
        name: &str,
        processor: CustomProcessor,
    ) -> Self {
        let (topology, instance) = (graph.topology_name().to_owned(), graph.instance_name().to_owned());
        let own_name = name.to_owned();
        Self::new(name, move || {
            factory.create(&NodeContext::new(&topology, &instance, &own_name, &processor))
        })
    }

    pub(crate) fn create(&self) -> Result<Box<dyn CustomNode>, NodeBuildError> {
        catch_panic(|| (self.create)())
            .map_err(NodeBuildError::Panicked)?
            .map_err(NodeBuildError::Failed)
    }
}

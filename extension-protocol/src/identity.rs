//! Which graph node a stream belongs to.

/// The graph node that sends a stream. All names may be empty; real clients leave the first one empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphIdentity {
    /// Resource name of the media account.
    pub media_services_arm_id: String,
    /// Name of the graph instance.
    pub graph_instance_name: String,
    /// Name of the extension node.
    pub graph_node_name: String,
}

impl GraphIdentity {
    /// A node of a graph instance, without a media account.
    pub fn new(graph_instance_name: impl Into<String>, graph_node_name: impl Into<String>) -> Self {
        Self {
            media_services_arm_id: String::new(),
            graph_instance_name: graph_instance_name.into(),
            graph_node_name: graph_node_name.into(),
        }
    }
}

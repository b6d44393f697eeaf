//! What a graph has that this runtime's libraries refuse: addresses and certificates. Everything else about a graph was checked
//! when it was resolved.

use lva_graph_model::{Diagnostic, DiagnosticCode, DocumentKind, Graph, GraphNode, Node, Severity};

use crate::convert::Unsupported;
use crate::convert::camera::camera_options;
use crate::convert::extension::ClientPlan;
use crate::convert::picture::FrameSpec;

/// Why an activation of a graph would be refused, without activating it: an error for each node with an address or a
/// certificate that cannot be used. Nothing is connected, and no custom node is created.
///
/// A graph without such errors is activated, unless the machine has no thread left, a custom node refuses its settings, or
/// the module [forbids](crate::Module::allow_unsecured_endpoints) unsecured endpoints.
///
/// ```
/// use lva_graph_model::{Instance, Strictness, Topology, resolve};
/// use lva_graph_runtime::check_graph;
///
/// let topology = Topology::from_json(r##"{
///     "@apiVersion": "2.0", "name": "t", "properties": {
///         "sources": [{
///             "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
///             "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "rtsp://cam[1]/"}
///         }]
///     }
/// }"##)?;
/// let graph = resolve(&topology, &Instance::new("i", "t", []), Strictness::Open)?.graph;
/// assert_eq!(check_graph(&graph)[0].pointer, "/properties/sources/0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_graph(graph: &Graph) -> Vec<Diagnostic> {
    let nodes = graph.nodes().iter();
    nodes
        .filter_map(|node| Some(diagnostic(node, refused(graph, node)?)))
        .collect()
}

fn refused(graph: &Graph, node: &GraphNode) -> Option<Unsupported> {
    match &node.kind {
        Node::RtspSource(source) => camera_options(source).err(),
        Node::Extension(extension) => {
            let encoding = FrameSpec::new(&extension.image).encoding();
            ClientPlan::new(extension, encoding, graph.instance_name(), &node.name).err()
        }
        Node::MessageSource(_)
        | Node::MotionDetection(_)
        | Node::FrameRateFilter(_)
        | Node::SignalGate(_)
        | Node::ObjectTracking(_)
        | Node::LineCrossing(_)
        | Node::Custom(_)
        | Node::MessageSink(_)
        | Node::AssetSink(_)
        | Node::FileSink(_)
        | Node::VideoSink(_) => None,
    }
}

fn diagnostic(node: &GraphNode, unsupported: Unsupported) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: DiagnosticCode::NotSupported,
        document: DocumentKind::Topology,
        pointer: node.pointer.clone(),
        message: format!(
            "'{}' cannot run: {}; {}",
            node.name, unsupported.reason, unsupported.remedy
        ),
    }
}

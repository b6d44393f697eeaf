//! Sources.

use super::endpoint::Peer;
use super::members::Members;
use super::{Presence, Reader};
use crate::graph::{MessageSource, Node, RtspSource};
use crate::kind::NodeKind;

impl Reader<'_> {
    /// Reads a source of a kind.
    pub(crate) fn source(&mut self, kind: NodeKind, node: &mut Members<'_>) -> Option<Node> {
        match kind {
            NodeKind::RtspSource => self.rtsp_source(node),
            NodeKind::MessageSource => self.message_source(node),
            // Not a source.
            _ => None,
        }
    }

    fn rtsp_source(&mut self, node: &mut Members<'_>) -> Option<Node> {
        let endpoint = self.endpoint(node, Peer::Camera);
        let transport = self.string_enum(node, "transport", Presence::Optional);
        Some(Node::RtspSource(RtspSource {
            endpoint: endpoint?,
            transport,
        }))
    }

    fn message_source(&mut self, node: &mut Members<'_>) -> Option<Node> {
        let hub_input_name = self.display_string(node, "hubInputName", Presence::Optional);
        Some(Node::MessageSource(MessageSource { hub_input_name }))
    }
}

//! What runtimes work through by recursion or multiply, counted before one of them sees the file.
//!
//! They visit nodes from the outputs back to the inputs, and types and graphs inside of each other, with a stack frame for each
//! step, and write functions out wherever they are called.

use std::collections::HashMap;
use std::fmt;

use super::wire::{Field, WireError};

/// Nodes of a model, functions written out. Detectors have some hundreds, with suppression unrolled some thousands.
const MAX_NODES: usize = 32_768;
/// Nodes of one graph inside of a node, which runs on threads with small stacks.
const MAX_NESTED_NODES: usize = 2048;
/// Messages inside of messages. A graph in a node in a graph takes three.
const MAX_DEPTH: usize = 64;
/// Functions of a file, and functions that call functions.
const MAX_FUNCTIONS: usize = 4096;
const MAX_CALLS: usize = 32;

/// A limit that a file is beyond, to be said after "has".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelLimit {
    /// Nodes as a whole.
    Nodes,
    /// Nodes of a graph inside of a node.
    NestedNodes,
    /// Graphs, types and attributes inside of each other.
    Depth,
    /// Functions, or functions that call each other.
    Functions,
}

impl fmt::Display for ModelLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes => write!(f, "more than {MAX_NODES} nodes"),
            Self::NestedNodes => {
                write!(
                    f,
                    "a graph of more than {MAX_NESTED_NODES} nodes inside of a node"
                )
            }
            Self::Depth => write!(f, "graphs or types more than {MAX_DEPTH} levels deep"),
            Self::Functions => write!(
                f,
                "more than {MAX_FUNCTIONS} functions, or functions that call each other more than {MAX_CALLS} deep or in a circle"
            ),
        }
    }
}

/// Why a file is not counted to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Wire(WireError),
    Limit(ModelLimit),
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<ModelLimit> for Refusal {
    fn from(limit: ModelLimit) -> Self {
        Self::Limit(limit)
    }
}

/// Messages that may hold others of their own kind, by their names in `onnx.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    ValueInfo,
    Type,
    /// Sequences, maps and optionals of a type.
    TypeOf,
}

impl Message {
    fn child(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Node, 5) | (Self::Function, 11) => Some(Self::Attribute),
            (Self::Graph, 11..=13) | (Self::Function, 12) => Some(Self::ValueInfo),
            (Self::ValueInfo, 2) | (Self::Attribute, 14 | 15) | (Self::TypeOf, 1 | 2) => Some(Self::Type),
            (Self::Type, 4 | 5 | 9) => Some(Self::TypeOf),
            _ => None,
        }
    }
}

/// The domain and name of a function.
type Name<'a> = (&'a str, &'a str);

/// Nodes that stand together, those of graphs inside of them included.
#[derive(Debug, Default)]
struct Body<'a> {
    nodes: usize,
    /// Kinds of nodes, any of which may be a function, and how often each is there.
    kinds: HashMap<Name<'a>, usize>,
}

/// The counts of a file.
#[derive(Debug, Default)]
pub(super) struct Counts<'a> {
    main: Body<'a>,
    functions: HashMap<Name<'a>, Body<'a>>,
}

impl<'a> Counts<'a> {
    /// Counts a field of the model.
    pub(super) fn add(&mut self, field: Field<'a>) -> Result<(), Refusal> {
        match field.number {
            7 => self.main.add(Message::Graph, field, 0),
            20 => self.main.add(Message::Training, field, 0),
            25 => {
                let (mut name, mut domain) = ("", "");
                for part in field.fields() {
                    let part = part?;
                    match part.number {
                        1 => name = part.text(),
                        10 => domain = part.text(),
                        _ => {}
                    }
                }
                if self.functions.len() >= MAX_FUNCTIONS {
                    return Err(ModelLimit::Functions.into());
                }
                // Overloads of one name count as one function with the nodes of all.
                let body = self.functions.entry((domain, name)).or_default();
                body.add(Message::Function, field, 0)
            }
            _ => Ok(()),
        }
    }

    /// Checks the whole, functions written out.
    pub(super) fn check(&self) -> Result<(), ModelLimit> {
        if self.functions.is_empty() {
            return Ok(());
        }
        if self.written_out(&self.main, 0, &mut HashMap::new())? > MAX_NODES {
            return Err(ModelLimit::Nodes);
        }
        Ok(())
    }

    fn written_out(
        &self,
        body: &Body<'a>,
        calls: usize,
        known: &mut HashMap<Name<'a>, usize>,
    ) -> Result<usize, ModelLimit> {
        if calls > MAX_CALLS {
            return Err(ModelLimit::Functions);
        }
        let mut nodes = body.nodes;
        for (kind, &times) in &body.kinds {
            let Some(function) = self.functions.get(kind) else {
                continue;
            };
            let each = match known.get(kind) {
                Some(&each) => each,
                None => {
                    let each = self.written_out(function, calls + 1, known)?;
                    known.insert(*kind, each);
                    each
                }
            };
            nodes = nodes.saturating_add(each.saturating_mul(times));
        }
        Ok(nodes)
    }
}

impl<'a> Body<'a> {
    fn add(&mut self, message: Message, field: Field<'a>, depth: usize) -> Result<(), Refusal> {
        if depth > MAX_DEPTH {
            return Err(ModelLimit::Depth.into());
        }
        if message == Message::Node {
            self.add_kind(field)?;
        }
        let mut nodes = 0;
        for part in field.fields() {
            let part = part?;
            let Some(child) = message.child(part.number) else {
                continue;
            };
            if child == Message::Node {
                nodes += 1;
                if depth > 0 && message == Message::Graph && nodes > MAX_NESTED_NODES {
                    return Err(ModelLimit::NestedNodes.into());
                }
            }
            self.add(child, part, depth + 1)?;
        }
        Ok(())
    }

    fn add_kind(&mut self, node: Field<'a>) -> Result<(), Refusal> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(ModelLimit::Nodes.into());
        }
        let (mut name, mut domain) = ("", "");
        for part in node.fields() {
            let part = part?;
            match part.number {
                4 => name = part.text(),
                7 => domain = part.text(),
                _ => {}
            }
        }
        *self.kinds.entry((domain, name)).or_default() += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::writer::{FLOAT, Writer, message};
    use super::super::{ModelGraph, OnnxError};
    use super::*;

    fn refused(model: &[u8]) -> ModelLimit {
        match ModelGraph::read(model) {
            Err(OnnxError::Beyond(limit)) => limit,
            other => panic!("{other:?}"),
        }
    }

    /// A message in a message, so many times. Built from the inside: each one's length is that of the rest.
    fn nested(fields: &[u64], times: usize) -> Vec<u8> {
        let mut inner = Vec::new();
        for &field in fields.iter().rev().cycle().take(times * fields.len()) {
            // Backwards, so that a file of megabytes is not copied once a level.
            let mut header = Vec::new();
            message(&mut header, field, &[]);
            header.pop();
            super::super::wire::put_varint(&mut header, inner.len() as u64);
            header.reverse();
            inner.extend(header);
        }
        inner.reverse();
        inner
    }

    fn model_of(graph: &[u8]) -> Vec<u8> {
        let mut model = vec![8, 8];
        message(&mut model, 7, graph);
        model
    }

    #[test]
    fn as_many_nodes_as_allowed_are_read_and_more_are_refused() {
        let chain = |nodes| {
            Writer::new()
                .input("image", FLOAT, &[1])
                .chain("Identity", "image", nodes)
        };
        let graph = ModelGraph::read(&chain(MAX_NODES).bytes()).unwrap();
        assert!(graph.has_operator("Identity"));
        assert_eq!(refused(&chain(MAX_NODES + 1).bytes()), ModelLimit::Nodes);
        assert_eq!(refused(&chain(100_000).bytes()), ModelLimit::Nodes);
    }

    #[test]
    fn a_graph_inside_of_a_node_has_fewer() {
        let inside = |nodes| {
            let mut attribute = Vec::new();
            message(&mut attribute, 6, &[[10, 0]].repeat(nodes).concat());
            let mut node = Vec::new();
            message(&mut node, 5, &attribute);
            let mut graph = Vec::new();
            message(&mut graph, 1, &node);
            model_of(&graph)
        };
        ModelGraph::read(&inside(MAX_NESTED_NODES)).unwrap();
        assert_eq!(refused(&inside(MAX_NESTED_NODES + 1)), ModelLimit::NestedNodes);
    }

    #[test]
    fn what_is_inside_of_each_other_without_end_is_refused() {
        // A graph in an attribute in a node; the type of an input that is a sequence of sequences, or a map of optionals.
        for (fields, repeated) in [
            (&[][..], &[1, 5, 6][..]),
            (&[], &[1, 5, 11]),
            (&[11, 2], &[4, 1]),
            (&[13, 2], &[5, 2]),
            (&[1, 5, 15], &[9, 1]),
        ] {
            for times in [100, 100_000] {
                let mut graph = nested(repeated, times);
                for &field in fields.iter().rev() {
                    let mut outer = Vec::new();
                    message(&mut outer, field, &graph);
                    graph = outer;
                }
                assert_eq!(refused(&model_of(&graph)), ModelLimit::Depth, "{repeated:?}");
            }
        }
    }

    /// Functions of which each calls the next one so many times; the last one has a node of another kind.
    fn functions(count: usize, times: usize, circle: bool) -> Vec<u8> {
        let node = |name: &str| {
            let mut node = Vec::new();
            message(&mut node, 4, name.as_bytes());
            message(&mut node, 7, b"own");
            node
        };
        let mut graph = Vec::new();
        message(&mut graph, 1, &node("f0"));
        let mut model = model_of(&graph);
        for number in 0..count {
            let mut function = Vec::new();
            message(&mut function, 1, format!("f{number}").as_bytes());
            message(&mut function, 10, b"own");
            let next = if circle { (number + 1) % count } else { number + 1 };
            for _ in 0..times {
                message(&mut function, 7, &node(&format!("f{next}")));
            }
            message(&mut model, 25, &function);
        }
        model
    }

    #[test]
    fn functions_are_counted_where_they_are_called() {
        ModelGraph::read(&functions(10, 2, false)).unwrap();
        assert_eq!(refused(&functions(20, 2, false)), ModelLimit::Nodes);
        assert_eq!(refused(&functions(30, 10, false)), ModelLimit::Nodes);
        assert_eq!(refused(&functions(40, 1, false)), ModelLimit::Functions);
        for count in [1, 2, 3] {
            assert_eq!(refused(&functions(count, 1, true)), ModelLimit::Functions);
        }
    }

    #[test]
    fn the_number_of_a_field_has_one_reading() {
        // 7 in the lower bits, where other readers look.
        let mut model = vec![8, 8];
        let tag = (1u64 << 32 | 7) << 3 | 2;
        super::super::wire::put_varint(&mut model, tag);
        model.push(0);
        assert_eq!(ModelGraph::read(&model), Err(OnnxError::Damaged { at: 2 }));
    }
}

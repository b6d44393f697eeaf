//! How an ONNX file describes itself: inputs, outputs, operators, metadata. Weights are skipped, not copied.
//!
//! Field numbers are those of `onnx.proto` (github.com/onnx/onnx, IR versions 3 to 12).

mod embed;
mod limits;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

pub(crate) use embed::{Location, Weights, embed};
pub use limits::ModelLimit;
use limits::{Counts, Refusal};
pub(crate) use wire::WireError;
use wire::{Field, Fields};

/// Entries of metadata, and bytes of one, that are kept.
const MAX_METADATA: usize = 256;
const MAX_METADATA_BYTES: usize = 1 << 20;
/// Bytes of a name that are kept.
const MAX_NAME: usize = 512;
/// Dimensions of a tensor that are kept.
const MAX_RANK: usize = 16;

/// How an ONNX file describes its network, without the weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelGraph {
    pub(crate) inputs: Vec<TensorInfo>,
    pub(crate) outputs: Vec<TensorInfo>,
    pub(crate) operators: BTreeSet<Operator>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) has_external_data: bool,
}

/// Kind of a node: a name within a domain, which is empty for ONNX's own operators.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operator {
    pub(crate) domain: String,
    pub(crate) name: String,
}

/// One input or output of a network, as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub element: ElementType,
    /// Size of each dimension, `None` where the file leaves it open; `None` as a whole if the file has no shape.
    pub shape: Option<Vec<Option<usize>>>,
}

/// Types of a tensor's elements. Displayed by their usual names, as in `float32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementType {
    /// 32-bit floats.
    Float32,
    /// 16-bit floats (IEEE 754 binary16).
    Float16,
    /// 64-bit floats.
    Float64,
    /// The upper half of 32-bit floats.
    Bfloat16,
    /// Bytes, 0..=255.
    Uint8,
    /// Bytes, -128..=127.
    Int8,
    /// 32-bit integers.
    Int32,
    /// 64-bit integers.
    Int64,
    /// Truth values.
    Bool,
    /// Any other type, by its number in `onnx.proto`; 0 if the file states none.
    Other(u32),
}

impl ElementType {
    fn of(number: u64) -> Self {
        match number {
            1 => Self::Float32,
            2 => Self::Uint8,
            3 => Self::Int8,
            6 => Self::Int32,
            7 => Self::Int64,
            9 => Self::Bool,
            10 => Self::Float16,
            11 => Self::Float64,
            16 => Self::Bfloat16,
            other => Self::Other(u32::try_from(other).unwrap_or(u32::MAX)),
        }
    }

    /// Bytes of one element; `None` for those that are packed or unknown.
    fn bytes(self) -> Option<u64> {
        match self {
            Self::Uint8 | Self::Int8 | Self::Bool => Some(1),
            Self::Float16 | Self::Bfloat16 | Self::Other(4 | 5) => Some(2),
            Self::Float32 | Self::Int32 | Self::Other(12) => Some(4),
            Self::Float64 | Self::Int64 | Self::Other(13 | 14) => Some(8),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Float64 => "float64",
            Self::Bfloat16 => "bfloat16",
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::Other(4) => "uint16",
            Self::Other(5) => "int16",
            Self::Other(8) => "text",
            Self::Other(0) => "an unstated type",
            Self::Other(number) => return write!(f, "type {number}"),
        })
    }
}

impl TensorInfo {
    /// Dimensions, if the file has a shape.
    pub(crate) fn dims(&self) -> &[Option<usize>] {
        self.shape.as_deref().unwrap_or_default()
    }

    pub(crate) fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// Size of a dimension; `None` if it is open or absent.
    pub(crate) fn dim(&self, index: usize) -> Option<usize> {
        self.dims().get(index).copied().flatten()
    }

    /// Size of the last dimension.
    pub(crate) fn last(&self) -> Option<usize> {
        self.dims().last().copied().flatten()
    }
}

/// As in `images float32 [1, 3, ?, ?]`.
impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.element)?;
        let Some(shape) = &self.shape else {
            return f.write_str(" without a shape");
        };
        for (i, size) in shape.iter().enumerate() {
            f.write_str(if i == 0 { " [" } else { ", " })?;
            match size {
                Some(size) => write!(f, "{size}")?,
                None => f.write_str("?")?,
            }
        }
        f.write_str(if shape.is_empty() { " []" } else { "]" })
    }
}

/// Why bytes are not an ONNX model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnnxError {
    /// It does not begin like one.
    Other,
    /// It begins like one, and is cut off.
    Truncated { missing: u64 },
    /// It begins like one, and is damaged there.
    Damaged { at: usize },
    /// It holds no graph.
    NoGraph,
    /// It is larger or deeper than runtimes are given.
    Beyond(ModelLimit),
}

impl ModelGraph {
    /// Inputs that have to be given: those that no weight of the file fills.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// Outputs, in the file's order.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// An entry of the file's metadata, such as `license`.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Whether some node, of any nested graph, is this operator of ONNX.
    pub(crate) fn has_operator(&self, name: &str) -> bool {
        self.operators
            .iter()
            .any(|o| o.name == name && (o.domain.is_empty() || o.domain == "ai.onnx"))
    }

    pub(crate) fn output(&self, name: &str) -> Option<&TensorInfo> {
        self.outputs.iter().find(|o| o.name == name)
    }

    /// Reads a file. Time grows with the number of nodes and weights, not with their sizes.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, OnnxError> {
        let mut graph = Self::default();
        let mut found = false;
        let mut begins = false;
        let mut counts = Counts::default();
        for (i, field) in Fields::new(bytes, 0).enumerate() {
            let field = field.map_err(|error| match error {
                WireError::Ends { missing } if begins || is_graph_header(bytes) => {
                    OnnxError::Truncated { missing }
                }
                WireError::Malformed { at } if begins => OnnxError::Damaged { at },
                _ => OnnxError::Other,
            })?;
            // Every known exporter writes the version of the format, a varint, first; its order is not guaranteed.
            if i == 0 {
                begins = matches!((field.number, field.value), (1, wire::Value::Varint(1..=1000)))
                    || (field.number == 7 && !field.bytes().is_empty());
                if !begins && !(2..=25).contains(&field.number) {
                    return Err(OnnxError::Other);
                }
            }
            counts.add(field).map_err(|refusal| match refusal {
                Refusal::Wire(error) => damaged(error, field),
                Refusal::Limit(limit) => OnnxError::Beyond(limit),
            })?;
            match field.number {
                7 => {
                    found = true;
                    graph
                        .read_graph(field, true)
                        .map_err(|error| damaged(error, field))?;
                }
                14 => graph
                    .read_metadata(field)
                    .map_err(|error| damaged(error, field))?,
                _ => {}
            }
        }
        counts.check().map_err(OnnxError::Beyond)?;
        match (found, begins) {
            (true, _) => Ok(graph),
            (false, true) => Err(OnnxError::NoGraph),
            (false, false) => Err(OnnxError::Other),
        }
    }

    fn read_metadata(&mut self, entry: Field<'_>) -> Result<(), WireError> {
        let (mut key, mut value) = ("", "");
        for field in entry.fields() {
            let field = field?;
            match field.number {
                1 => key = field.text(),
                2 => value = field.text(),
                _ => {}
            }
        }
        let fits = key.len() <= MAX_NAME && value.len() <= MAX_METADATA_BYTES;
        if fits && self.metadata.len() < MAX_METADATA {
            self.metadata.insert(key.to_owned(), value.to_owned());
        }
        Ok(())
    }

    /// Reads a graph: the outermost one, or one inside of a node. [`Counts`] bounds how deep they lie.
    fn read_graph(&mut self, graph: Field<'_>, outermost: bool) -> Result<(), WireError> {
        let mut weights = HashSet::new();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for field in graph.fields() {
            let field = field?;
            match field.number {
                1 => self.read_node(field)?,
                5 => {
                    weights.insert(self.read_weight(field)?);
                }
                11 if outermost => inputs.push(tensor_info(field)?),
                12 if outermost => outputs.push(tensor_info(field)?),
                _ => {}
            }
        }
        if outermost {
            // Old files list their weights among the inputs.
            inputs.retain(|input| !weights.contains(input.name.as_str()));
            self.inputs = inputs;
            self.outputs = outputs;
        }
        Ok(())
    }

    /// The name of a weight.
    fn read_weight<'a>(&mut self, weight: Field<'a>) -> Result<&'a str, WireError> {
        let mut name = "";
        for field in weight.fields() {
            let field = field?;
            match field.number {
                8 => name = field.text(),
                14 => self.has_external_data |= field.number() == 1,
                _ => {}
            }
        }
        Ok(name)
    }

    fn read_node(&mut self, node: Field<'_>) -> Result<(), WireError> {
        let (mut name, mut domain) = ("", "");
        for field in node.fields() {
            let field = field?;
            match field.number {
                4 => name = field.text(),
                7 => domain = field.text(),
                5 => {
                    for field in field.fields() {
                        let field = field?;
                        match field.number {
                            5 | 10 => {
                                self.read_weight(field)?;
                            }
                            6 | 11 => self.read_graph(field, false)?,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let operator = Operator {
            domain: short(domain),
            name: short(name),
        };
        if !self.operators.contains(&operator) {
            self.operators.insert(operator);
        }
        Ok(())
    }
}

/// Damage inside of a field that lies in the file as a whole.
fn damaged(error: WireError, field: Field<'_>) -> OnnxError {
    match error {
        WireError::Malformed { at } => OnnxError::Damaged { at },
        WireError::Ends { .. } => OnnxError::Damaged { at: field.at },
    }
}

/// Whether a file begins with a graph that is longer than the file.
fn is_graph_header(bytes: &[u8]) -> bool {
    bytes.first() == Some(&(7 << 3 | 2))
}

fn short(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

/// `ValueInfoProto`.
fn tensor_info(info: Field<'_>) -> Result<TensorInfo, WireError> {
    let mut found = TensorInfo {
        name: String::new(),
        element: ElementType::Other(0),
        shape: None,
    };
    for field in info.fields() {
        let field = field?;
        match field.number {
            1 => found.name = short(field.text()),
            2 => {
                for kind in field.fields() {
                    let kind = kind?;
                    // Only tensors; sequences and maps stay without type and shape.
                    if kind.number == 1 {
                        read_tensor_type(kind, &mut found)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// `TypeProto.Tensor`.
fn read_tensor_type(kind: Field<'_>, found: &mut TensorInfo) -> Result<(), WireError> {
    for field in kind.fields() {
        let field = field?;
        match field.number {
            1 => found.element = ElementType::of(field.number()),
            2 => {
                let mut shape = Vec::new();
                for dimension in field.fields() {
                    let dimension = dimension?;
                    if dimension.number == 1 && shape.len() < MAX_RANK {
                        shape.push(size_of(dimension)?);
                    }
                }
                found.shape = Some(shape);
            }
            _ => {}
        }
    }
    Ok(())
}

/// `TensorShapeProto.Dimension`: a number, or a name for one that is open. Some exporters write 0 or -1 for open.
fn size_of(dimension: Field<'_>) -> Result<Option<usize>, WireError> {
    let mut size = None;
    for field in dimension.fields() {
        let field = field?;
        if field.number == 1 {
            let positive = i64::try_from(field.number()).ok().filter(|&size| size > 0);
            size = positive.and_then(|size| usize::try_from(size).ok());
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod writer;

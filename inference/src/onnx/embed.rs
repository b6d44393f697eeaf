//! Puts weights that are in separate files back into the model: afterwards it is one message in memory, whatever
//! the runtime thinks of external data.

use super::ElementType;
use super::wire::{Field, WireError, header_len, put_header};

/// `TensorProto.raw_data`.
const RAW_DATA: u64 = 9;

/// Where the values of a weight lie (`TensorProto.external_data`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Location {
    /// The file as the model names it.
    pub(crate) file: String,
    /// Bytes in front of the values.
    pub(crate) offset: u64,
    /// Bytes of the values, as declared or by shape and type.
    pub(crate) len: u64,
}

/// The files with the weights.
pub(crate) trait Weights {
    /// What keeps them from being read.
    type Error: From<WireError>;

    /// Checks that the values are there.
    fn check(&mut self, location: &Location) -> Result<(), Self::Error>;

    /// Appends the values.
    fn append(&mut self, location: &Location, out: &mut Vec<u8>) -> Result<(), Self::Error>;

    /// Fails for a model that is too large as a whole.
    fn check_total(&mut self, bytes: u64) -> Result<(), Self::Error>;
}

/// A copy of a model that [`ModelGraph::read`](super::ModelGraph::read) accepted, with the values of all weights.
pub(crate) fn embed<W: Weights>(model: &[u8], weights: &mut W) -> Result<Vec<u8>, W::Error> {
    let whole = Field {
        number: 0,
        value: super::wire::Value::Bytes(model),
        whole: model,
        at: 0,
    };
    let total = size(Message::Model, whole, weights)?;
    weights.check_total(total)?;
    let mut out = Vec::with_capacity(usize::try_from(total).unwrap_or_default());
    write(Message::Model, whole, weights, &mut out)?;
    Ok(out)
}

/// Messages that may hold weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
}

impl Message {
    /// What a field of this message holds, if that may hold weights.
    fn child(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Graph, 1) => Some(Self::Node),
            (Self::Node, 5) => Some(Self::Attribute),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Some(Self::Tensor),
            _ => None,
        }
    }
}

/// Bytes of the message with its weights.
fn size<W: Weights>(kind: Message, message: Field<'_>, weights: &mut W) -> Result<u64, W::Error> {
    if kind == Message::Tensor {
        let Some(location) = location(message)? else {
            return Ok(message.bytes().len() as u64);
        };
        weights.check(&location)?;
        let mut total = header_len(RAW_DATA, location.len).saturating_add(location.len);
        for field in kept(message) {
            total = total.saturating_add(field?.whole.len() as u64);
        }
        return Ok(total);
    }
    let mut total = 0u64;
    for field in message.fields() {
        let field = field?;
        total = total.saturating_add(match kind.child(field.number) {
            Some(child) => {
                let len = size(child, field, weights)?;
                header_len(field.number, len).saturating_add(len)
            }
            None => field.whole.len() as u64,
        });
    }
    Ok(total)
}

fn write<W: Weights>(
    kind: Message,
    message: Field<'_>,
    weights: &mut W,
    out: &mut Vec<u8>,
) -> Result<(), W::Error> {
    if kind == Message::Tensor {
        let Some(location) = location(message)? else {
            out.extend_from_slice(message.bytes());
            return Ok(());
        };
        for field in kept(message) {
            out.extend_from_slice(field?.whole);
        }
        put_header(out, RAW_DATA, location.len);
        return weights.append(&location, out);
    }
    for field in message.fields() {
        let field = field?;
        match kind.child(field.number) {
            Some(child) => {
                put_header(out, field.number, size(child, field, weights)?);
                write(child, field, weights, out)?;
            }
            None => out.extend_from_slice(field.whole),
        }
    }
    Ok(())
}

/// The fields of a weight but those about its values, which `raw_data` replaces.
fn kept(tensor: Field<'_>) -> impl Iterator<Item = Result<Field<'_>, WireError>> {
    tensor
        .fields()
        .filter(|field| !matches!(field, Ok(field) if matches!(field.number, RAW_DATA | 13 | 14)))
}

/// Where the values lie; `None` if they are in the message.
fn location(tensor: Field<'_>) -> Result<Option<Location>, WireError> {
    let damaged = WireError::Malformed { at: tensor.at };
    let (mut external, mut found, mut declared) = (false, Location::default(), None);
    let (mut elements, mut element) = (1u64, ElementType::Other(0));
    for field in tensor.fields() {
        let field = field?;
        match field.number {
            1 => {
                for side in field.numbers() {
                    elements = elements.checked_mul(side).ok_or(damaged)?;
                }
            }
            2 => element = ElementType::of(field.number()),
            13 => {
                let (mut key, mut value) = ("", "");
                for field in field.fields() {
                    let field = field?;
                    match field.number {
                        1 => key = field.text(),
                        2 => value = field.text(),
                        _ => {}
                    }
                }
                match key {
                    "location" => value.clone_into(&mut found.file),
                    "offset" => found.offset = value.parse().map_err(|_| damaged)?,
                    "length" => declared = Some(value.parse().map_err(|_| damaged)?),
                    _ => {}
                }
            }
            14 => external = field.number() == 1,
            _ => {}
        }
    }
    let by_shape = element.bytes().and_then(|bytes| elements.checked_mul(bytes));
    found.len = declared.or(by_shape).ok_or(damaged)?;
    Ok(external.then_some(found))
}

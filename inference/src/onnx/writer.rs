//! Writes small ONNX files for tests: declared inputs, outputs of constants. Nothing but the standard library, so that the
//! integration tests include it too.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "which of it is used depends on the test"
)]

/// Numbers of element types in `onnx.proto`.
pub const FLOAT: u64 = 1;
pub const UINT8: u64 = 2;
pub const INT32: u64 = 6;
pub const INT64: u64 = 7;
pub const FLOAT16: u64 = 10;

/// A model whose outputs are constants.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    nodes: Vec<u8>,
    initializers: Vec<u8>,
    inputs: Vec<u8>,
    outputs: Vec<u8>,
    metadata: Vec<u8>,
}

/// One side of a declared shape: 0 is open.
pub type Side = u64;

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn input(mut self, name: &str, element: u64, shape: &[Side]) -> Self {
        message(&mut self.inputs, 11, &value_info(name, element, shape));
        self
    }

    /// An output that is this constant, whatever the input. `declared` is its shape as the file states it.
    pub fn constant(
        mut self,
        name: &str,
        element: u64,
        shape: &[u64],
        declared: &[Side],
        values: &[f64],
    ) -> Self {
        assert_eq!(shape.iter().product::<u64>(), values.len() as u64, "{name}");
        let value = format!("{name}_value");
        message(
            &mut self.initializers,
            5,
            &tensor(&value, element, shape, &raw(element, values)),
        );
        self = self.node("Identity", "", &[&value], &[name]);
        message(&mut self.outputs, 12, &value_info(name, element, declared));
        self
    }

    /// As [`Writer::constant`], declared as it is.
    pub fn floats(self, name: &str, shape: &[u64], values: &[f64]) -> Self {
        self.constant(name, FLOAT, shape, shape, values)
    }

    pub fn zeros(self, name: &str, shape: &[u64]) -> Self {
        let values = vec![0.0; shape.iter().product::<u64>() as usize];
        self.floats(name, shape, &values)
    }

    pub fn output(mut self, name: &str, element: u64, shape: &[Side]) -> Self {
        message(&mut self.outputs, 12, &value_info(name, element, shape));
        self
    }

    pub fn node(mut self, operator: &str, domain: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let mut node = Vec::new();
        inputs
            .iter()
            .for_each(|name| message(&mut node, 1, name.as_bytes()));
        outputs
            .iter()
            .for_each(|name| message(&mut node, 2, name.as_bytes()));
        message(&mut node, 4, operator.as_bytes());
        if !domain.is_empty() {
            message(&mut node, 7, domain.as_bytes());
        }
        message(&mut self.nodes, 1, &node);
        self
    }

    /// Nodes of one input one after the other, from a value to the output `out`.
    pub fn chain(mut self, operator: &str, from: &str, nodes: usize) -> Self {
        let mut last = from.to_owned();
        for number in 1..=nodes {
            let next = match number == nodes {
                true => "out".to_owned(),
                false => format!("v{number}"),
            };
            self = self.node(operator, "", &[&last], &[&next]);
            last = next;
        }
        self
    }

    /// A weight in the file.
    pub fn weight(mut self, name: &str, element: u64, shape: &[u64], values: &[f64]) -> Self {
        message(
            &mut self.initializers,
            5,
            &tensor(name, element, shape, &raw(element, values)),
        );
        self
    }

    /// A weight of 32-bit floats in another file.
    pub fn external(mut self, name: &str, shape: &[u64], entries: &[(&str, &str)]) -> Self {
        let mut weight = Vec::new();
        shape.iter().for_each(|&side| number(&mut weight, 1, side));
        number(&mut weight, 2, FLOAT);
        message(&mut weight, 8, name.as_bytes());
        for entry in entries {
            message(&mut weight, 13, &pair(*entry));
        }
        number(&mut weight, 14, 1);
        message(&mut self.initializers, 5, &weight);
        self
    }

    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        message(&mut self.metadata, 14, &pair((key, value)));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut graph = self.nodes.clone();
        message(&mut graph, 2, b"graph");
        graph.extend(&self.initializers);
        graph.extend(&self.inputs);
        graph.extend(&self.outputs);
        let mut model = Vec::new();
        number(&mut model, 1, 8);
        message(&mut model, 7, &graph);
        let mut operators = Vec::new();
        number(&mut operators, 2, 13);
        message(&mut model, 8, &operators);
        model.extend(&self.metadata);
        model
    }
}

/// Values as they lie in a file.
pub fn raw(element: u64, values: &[f64]) -> Vec<u8> {
    let each = |value: &f64| match element {
        FLOAT => (*value as f32).to_le_bytes().to_vec(),
        UINT8 => vec![*value as u8],
        INT32 => (*value as i32).to_le_bytes().to_vec(),
        INT64 => (*value as i64).to_le_bytes().to_vec(),
        FLOAT16 => half(*value).to_le_bytes().to_vec(),
        other => panic!("element type {other}"),
    };
    values.iter().flat_map(each).collect()
}

/// The bits of a 16-bit float; exact for what tests use: 0 and normal numbers of at most 11 bits.
fn half(value: f64) -> u16 {
    let bits = (value as f32).to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    if value == 0.0 {
        return sign;
    }
    let exponent = (bits >> 23 & 0xff) as i32 - 127 + 15;
    assert!(
        (1..31).contains(&exponent),
        "{value} is not a normal 16-bit float"
    );
    sign | (exponent as u16) << 10 | (bits >> 13 & 0x3ff) as u16
}

fn tensor(name: &str, element: u64, shape: &[u64], values: &[u8]) -> Vec<u8> {
    let mut tensor = Vec::new();
    shape.iter().for_each(|&side| number(&mut tensor, 1, side));
    number(&mut tensor, 2, element);
    message(&mut tensor, 8, name.as_bytes());
    message(&mut tensor, 9, values);
    tensor
}

fn value_info(name: &str, element: u64, shape: &[Side]) -> Vec<u8> {
    let mut sides = Vec::new();
    for (i, &side) in shape.iter().enumerate() {
        let mut dimension = Vec::new();
        match side {
            0 => message(&mut dimension, 2, format!("open{i}").as_bytes()),
            side => number(&mut dimension, 1, side),
        }
        message(&mut sides, 1, &dimension);
    }
    let mut tensor = Vec::new();
    number(&mut tensor, 1, element);
    message(&mut tensor, 2, &sides);
    let mut kind = Vec::new();
    message(&mut kind, 1, &tensor);
    let mut info = Vec::new();
    message(&mut info, 1, name.as_bytes());
    message(&mut info, 2, &kind);
    info
}

fn pair((key, value): (&str, &str)) -> Vec<u8> {
    let mut entry = Vec::new();
    message(&mut entry, 1, key.as_bytes());
    message(&mut entry, 2, value.as_bytes());
    entry
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

pub fn message(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend(content);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

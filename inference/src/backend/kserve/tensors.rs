//! Tensors of the protocol: types by name, values as bytes.

use half::f16;

use super::messages::{Contents, Tensor, TensorMetadata};
use crate::backend::{OutputTensor, OutputTypeError, Pixels, RuntimeFailure, Wiring};
use crate::model::image_input::{ExtraInput, ImageElement};
use crate::onnx::{ElementType, TensorInfo};

/// Values of one output that are accepted: more than any family has.
const MAX_VALUES: usize = 1 << 26;

/// A tensor as a model's metadata declares it.
pub(super) fn info(tensor: TensorMetadata) -> TensorInfo {
    TensorInfo {
        element: element(&tensor.datatype),
        shape: Some(
            tensor
                .shape
                .iter()
                .map(|&size| usize::try_from(size).ok())
                .collect(),
        ),
        name: tensor.name,
    }
}

fn element(name: &str) -> ElementType {
    match name {
        "FP32" => ElementType::Float32,
        "FP16" => ElementType::Float16,
        "FP64" => ElementType::Float64,
        "BF16" => ElementType::Bfloat16,
        "UINT8" => ElementType::Uint8,
        "INT8" => ElementType::Int8,
        "INT32" => ElementType::Int32,
        "INT64" => ElementType::Int64,
        "BOOL" => ElementType::Bool,
        _ => ElementType::Other(0),
    }
}

/// The inputs of a run, and their values.
pub(super) fn inputs(wiring: &Wiring, pixels: Pixels<'_>, rows: usize) -> (Vec<Tensor>, Vec<Vec<u8>>) {
    let (datatype, raw) = match pixels {
        Pixels::Bytes(values) => ("UINT8", values.to_vec()),
        Pixels::Floats(values) if wiring.image.element == ImageElement::Float16 => {
            ("FP16", bytes(values, |value| f16::from_f32(value).to_le_bytes()))
        }
        Pixels::Floats(values) => ("FP32", bytes(values, f32::to_le_bytes)),
    };
    let mut tensors = vec![tensor(&wiring.image.name, datatype, &wiring.image_shape(rows))];
    let mut contents = vec![raw];
    for extra in &wiring.extras {
        let (tensor, raw) = extra_input(extra, rows);
        tensors.push(tensor);
        contents.push(raw);
    }
    (tensors, contents)
}

fn extra_input(extra: &ExtraInput, rows: usize) -> (Tensor, Vec<u8>) {
    let rows = extra.rows.unwrap_or(rows);
    let shape: Vec<_> = std::iter::once(rows).chain(extra.sides.iter().copied()).collect();
    let values = extra.values.repeat(rows);
    let (datatype, raw) = match extra.element {
        ElementType::Int64 => ("INT64", bytes(&values, |value| (value as i64).to_le_bytes())),
        ElementType::Int32 => ("INT32", bytes(&values, |value| (value as i32).to_le_bytes())),
        _ => ("FP32", bytes(&values, f32::to_le_bytes)),
    };
    (tensor(&extra.name, datatype, &shape), raw)
}

fn tensor(name: &str, datatype: &str, shape: &[usize]) -> Tensor {
    Tensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        // Sizes of a tensor that is in memory.
        shape: shape.iter().map(|&size| size as i64).collect(),
        contents: None,
    }
}

fn bytes<const N: usize>(values: &[f32], convert: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| convert(value)).collect()
}

/// Why an output of a server cannot be read.
#[derive(Debug, thiserror::Error)]
enum OutputError {
    #[error("the server gave no output '{name}'")]
    Absent { name: String },
    #[error("the server gave output '{name}' with the shape {shape:?}, but with {values} values")]
    Values {
        name: String,
        shape: Vec<i64>,
        values: usize,
    },
}

/// Reads the output of this name, with its raw values where the server sent them apart. `rank` is the declared one: MLServer
/// makes columns of rows, `[N, 1]` of `[N]`.
pub(super) fn read(
    name: &str,
    rank: Option<usize>,
    outputs: &[Tensor],
    raw: &[Vec<u8>],
    to: &mut OutputTensor,
) -> Result<(), RuntimeFailure> {
    let position = outputs.iter().position(|output| output.name == name);
    let found = position.and_then(|at| Some((outputs.get(at)?, raw.get(at))));
    let (tensor, raw) = found.ok_or_else(|| OutputError::Absent {
        name: name.to_owned(),
    })?;
    let values = match (&tensor.contents, raw) {
        (_, Some(raw)) if !raw.is_empty() => from_raw(&tensor.datatype, raw),
        (Some(contents), _) => from_contents(&tensor.datatype, contents),
        // No values, as of a model that found nothing.
        (None, _) => Some(Vec::new()),
    };
    let values = values.ok_or_else(|| OutputTypeError {
        name: name.to_owned(),
        found: tensor.datatype.clone(),
    })?;
    let sides: Option<Vec<usize>> = tensor.shape.iter().map(|&side| side.try_into().ok()).collect();
    let product = |sides: &Vec<usize>| {
        let len = sides.iter().try_fold(1usize, |len, &side| len.checked_mul(side));
        len.is_some_and(|len| len == values.len() && len <= MAX_VALUES)
    };
    match sides.filter(product) {
        Some(mut sides) => {
            if rank.is_some_and(|rank| sides.len() == rank + 1) && sides.last() == Some(&1) {
                sides.pop();
            }
            to.fill(sides, values);
            Ok(())
        }
        None => Err(OutputError::Values {
            name: name.to_owned(),
            shape: tensor.shape.clone(),
            values: values.len(),
        }
        .into()),
    }
}

fn from_raw(datatype: &str, raw: &[u8]) -> Option<Vec<f32>> {
    Some(match datatype {
        "FP32" => numbers(raw, f32::from_le_bytes),
        "FP16" => numbers(raw, |bytes| f16::from_le_bytes(bytes).to_f32()),
        "FP64" => numbers(raw, |bytes| f64::from_le_bytes(bytes) as f32),
        "INT64" => numbers(raw, |bytes| i64::from_le_bytes(bytes) as f32),
        "INT32" => numbers(raw, |bytes| i32::from_le_bytes(bytes) as f32),
        "UINT8" => raw.iter().copied().map(f32::from).collect(),
        _ => return None,
    })
}

/// A rest that makes no number shows in the count of values.
fn numbers<const N: usize>(raw: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, rest) = raw.as_chunks::<N>();
    let cut = (!rest.is_empty()).then_some(f32::NAN);
    chunks.iter().map(|&bytes| convert(bytes)).chain(cut).collect()
}

fn from_contents(datatype: &str, contents: &Contents) -> Option<Vec<f32>> {
    Some(match datatype {
        "FP32" => contents.fp32.clone(),
        "FP64" => contents.fp64.iter().map(|&value| value as f32).collect(),
        "INT64" => contents.int64.iter().map(|&value| value as f32).collect(),
        "INT32" | "INT16" | "INT8" => contents.int.iter().map(|&value| value as f32).collect(),
        "UINT32" | "UINT16" | "UINT8" => contents.uint.iter().map(|&value| value as f32).collect(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(datatype: &str, shape: &[i64], contents: Option<Contents>) -> Tensor {
        Tensor {
            name: "output".to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
            contents,
        }
    }

    fn read_one(tensor: Tensor, raw: &[Vec<u8>]) -> Result<OutputTensor, String> {
        let mut read_to = OutputTensor::default();
        match read("output", Some(2), &[tensor], raw, &mut read_to) {
            Ok(()) => Ok(read_to),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn values_are_read_raw_and_by_type() {
        let halves: Vec<u8> = [0.5, -2.0].map(|v| f16::from_f32(v).to_le_bytes()).concat();
        let typed = Contents {
            int64: vec![3, -1],
            ..Contents::default()
        };
        for (tensor, raw, expected) in [
            (
                output("FP32", &[1, 2], None),
                vec![[1.5f32, 2.5].map(f32::to_le_bytes).concat()],
                [1.5, 2.5],
            ),
            (output("FP16", &[2], None), vec![halves], [0.5, -2.0]),
            (output("INT64", &[2, 1], Some(typed)), vec![], [3.0, -1.0]),
        ] {
            let read = read_one(tensor, &raw).unwrap();
            assert_eq!(read.view().data, expected);
        }
        let column = output("FP32", &[1, 1, 1], None);
        let column = read_one(column, &[1f32.to_le_bytes().to_vec()]).unwrap();
        assert_eq!(column.view().shape, [1, 1]);
        let empty = read_one(output("FP32", &[0, 7], None), &[vec![]]).unwrap();
        assert_eq!(empty.view().shape, [0, 7]);
    }

    #[test]
    fn outputs_that_contradict_themselves_are_errors() {
        let four = vec![vec![0; 4]];
        for (tensor, raw, part) in [
            (output("FP32", &[2], None), four.clone(), "with 1 values"),
            (output("FP32", &[1], None), vec![vec![0; 7]], "with 2 values"),
            (output("FP32", &[-1], None), four.clone(), "with 1 values"),
            (
                output("FP32", &[i64::MAX, 4], None),
                four.clone(),
                "with 1 values",
            ),
            (output("BYTES", &[1], None), four.clone(), "BYTES"),
        ] {
            let error = read_one(tensor, &raw).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let mut other = output("FP32", &[1], None);
        other.name = "boxes".to_owned();
        assert!(read_one(other, &four).unwrap_err().contains("no output 'output'"));
    }
}

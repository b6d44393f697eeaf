//! The reader on files made here, cut and bent.

use proptest::prelude::*;

use super::writer::{FLOAT, FLOAT16, INT64, UINT8, Writer};
use super::*;

fn sample() -> Writer {
    Writer::new()
        .input("images", FLOAT16, &[0, 3, 32, 64])
        .input("orig_target_sizes", INT64, &[1, 2])
        .input("kernel", FLOAT, &[8, 3, 3, 3])
        .weight("kernel", FLOAT, &[1, 3], &[0.0, 1.0, 2.0])
        .node("EfficientNMS_TRT", "TRT", &["images"], &["x"])
        .zeros("output0", &[1, 5])
        .metadata("task", "detect")
        .metadata("names", "{0: 'person'}")
}

#[test]
fn inputs_outputs_operators_and_metadata() {
    let graph = ModelGraph::read(&sample().bytes()).unwrap();
    let inputs: Vec<_> = graph.inputs().iter().map(ToString::to_string).collect();
    assert_eq!(
        inputs,
        ["images float16 [?, 3, 32, 64]", "orig_target_sizes int64 [1, 2]"],
        "weights that are listed as inputs are none"
    );
    assert_eq!(graph.outputs()[0].to_string(), "output0 float32 [1, 5]");
    assert!(graph.has_operator("Identity") && !graph.has_operator("EfficientNMS_TRT"));
    assert!(graph.operators.iter().any(|o| o.domain == "TRT"));
    assert_eq!(graph.metadata("task"), Some("detect"));
    assert!(!graph.has_external_data);
}

#[test]
fn a_shape_may_be_absent_or_empty() {
    let writer = Writer::new().input("image", UINT8, &[]).zeros("o", &[1]);
    let graph = ModelGraph::read(&writer.bytes()).unwrap();
    assert_eq!(graph.inputs()[0].to_string(), "image uint8 []");
}

#[test]
fn every_cut_is_an_error_that_names_it() {
    let whole = sample().bytes();
    for len in 2..whole.len() {
        match ModelGraph::read(&whole[..len]) {
            Err(OnnxError::Truncated { .. } | OnnxError::NoGraph | OnnxError::Damaged { .. }) => {}
            // A cut between two fields behind the graph leaves a model without its last metadata.
            Ok(graph) => assert!(graph.metadata.len() < 2, "{len}"),
            Err(OnnxError::Other | OnnxError::Beyond(_)) => panic!("{len}"),
        }
    }
    let graph_cut = &whole[..whole.len() / 2];
    assert!(matches!(
        ModelGraph::read(graph_cut),
        Err(OnnxError::Truncated { .. })
    ));
}

#[test]
fn what_is_no_onnx_file_is_not_called_damaged() {
    for other in [
        &b"ERROR 404"[..],
        b"\x0a\x03abc\x0a\x02de",
        b"",
        &[0xff; 64],
        b"\x00\x00\x00\x18ftypmp42",
    ] {
        assert_eq!(ModelGraph::read(other), Err(OnnxError::Other), "{other:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = ModelGraph::read(&bytes);
    }

    #[test]
    fn bent_files_are_read_or_refused(at in any::<proptest::sample::Index>(), with in any::<u8>(), cut in any::<proptest::sample::Index>()) {
        let mut bytes = sample().bytes();
        let at = at.index(bytes.len());
        bytes[at] = with;
        let cut = cut.index(bytes.len());
        let _ = ModelGraph::read(&bytes);
        let _ = ModelGraph::read(&bytes[..cut]);
    }
}

/// Weights that count upwards from their offset.
struct Counting;

#[derive(Debug, PartialEq)]
enum CountingError {
    Wire(WireError),
    TooLarge(u64),
}

impl From<WireError> for CountingError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl Weights for Counting {
    type Error = CountingError;

    fn check(&mut self, _: &Location) -> Result<(), CountingError> {
        Ok(())
    }

    fn append(&mut self, location: &Location, out: &mut Vec<u8>) -> Result<(), CountingError> {
        out.extend((0..location.len).map(|i| (location.offset + i) as u8));
        Ok(())
    }

    fn check_total(&mut self, bytes: u64) -> Result<(), CountingError> {
        if bytes > 1 << 20 {
            Err(CountingError::TooLarge(bytes))
        } else {
            Ok(())
        }
    }
}

#[test]
fn weights_of_other_files_are_put_where_they_belong() {
    let values: Vec<f64> = [0x0403_0201u32, 0x0807_0605]
        .map(|bits| f64::from(f32::from_bits(bits)))
        .to_vec();
    let inside = Writer::new()
        .input("i", FLOAT, &[1])
        .weight("w", FLOAT, &[2], &values);
    for entries in [
        &[("location", "w.bin"), ("offset", "1"), ("length", "8")][..],
        &[("location", "w.bin"), ("offset", "1"), ("checksum", "?")],
    ] {
        let outside = Writer::new().input("i", FLOAT, &[1]).external("w", &[2], entries);
        assert!(ModelGraph::read(&outside.bytes()).unwrap().has_external_data);
        assert_eq!(embed(&outside.bytes(), &mut Counting).unwrap(), inside.bytes());
    }
    let whole = sample().bytes();
    assert_eq!(embed(&whole, &mut Counting).unwrap(), whole, "nothing to do");
    let huge = Writer::new().external("w", &[u64::MAX / 4], &[("location", "w.bin")]);
    assert!(matches!(
        embed(&huge.bytes(), &mut Counting),
        Err(CountingError::TooLarge(_) | CountingError::Wire(_))
    ));
}

//! Networks whose nodes stand one behind the other, which runtimes visit by recursion.

use lva_inference::{
    Detector, Frame, ImageView, LoadError, ModelFile, ModelFileError, ModelLimit, ModelSpec, PixelFormat,
    RtenDetector, RtenOptions,
};

use crate::families::writer::{FLOAT, Writer};

/// As many as are allowed, but for a few.
const ALLOWED: usize = 32_000;
const TOO_MANY: usize = 100_000;
/// Less than threads have by default.
const STACK_BYTES: usize = 512 << 10;

fn spec() -> ModelSpec {
    ModelSpec::person_grid("deep", 8, 8)
}

/// A grid with one box, behind so many nodes that all depend on the picture.
fn behind(nodes: usize) -> Vec<u8> {
    let sides = [1, 5, 1, 1];
    Writer::new()
        .input("image", FLOAT, &[1, 3, 8, 8])
        .weight("zero", FLOAT, &[1, 1, 1, 1], &[0.0])
        .weight("grid", FLOAT, &sides, &[0.9, 0.5, 0.5, 0.5, 0.5])
        .node("ReduceMean", "", &["image"], &["mean"])
        .node("Mul", "", &["mean", "zero"], &["nothing"])
        .node("Add", "", &["nothing", "grid"], &["all"])
        .chain("Abs", "all", nodes)
        .output("out", FLOAT, &sides)
        .bytes()
}

fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    thread.unwrap().join().unwrap()
}

/// Loads, runs and drops a detector.
fn finds_the_box<D: Detector>(load: impl FnOnce(Vec<u8>) -> Result<D, LoadError> + Send + 'static) {
    on_a_small_stack(|| {
        let mut detector = load(behind(ALLOWED)).unwrap();
        let grey = ImageView::packed(&[114; 3 * 64], 8, 8, PixelFormat::Rgb24).unwrap();
        assert_eq!(detector.detect(&[Frame::Host(grey)]).unwrap()[0].len(), 1);
    });
}

#[test]
fn a_hundred_thousand_nodes_are_refused_with_a_remedy() {
    on_a_small_stack(|| {
        let error = ModelFile::from_bytes(behind(TOO_MANY)).unwrap_err();
        let beyond = matches!(
            error,
            ModelFileError::Beyond {
                limit: ModelLimit::Nodes,
                ..
            }
        );
        assert!(beyond, "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("32768 nodes") && text.contains("simplify"),
            "{text}"
        );
    });
}

#[test]
fn rten_loads_runs_and_drops_as_many_nodes_as_are_allowed() {
    finds_the_box(|model| RtenDetector::from_bytes(model, spec(), RtenOptions::default()));
}

#[cfg(feature = "ort")]
#[test]
fn onnx_runtime_loads_runs_and_drops_as_many_nodes_as_are_allowed_or_skips() {
    use lva_inference::{OrtDetector, OrtOptions};

    if let Some(library) = crate::support::onnx_runtime_library() {
        finds_the_box(|model| {
            OrtDetector::from_bytes(model, spec(), OrtOptions::default().with_library(library))
        });
    }
}

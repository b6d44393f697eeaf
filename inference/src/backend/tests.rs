//! The shared part of all backends, tested with artificial backends.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::detector::{DetectError, Frame};
use crate::device::Device;
use crate::image_view::ImageView;
use crate::model::ModelSpec;
use crate::onnx::ModelGraph;
use crate::onnx::writer::{FLOAT, INT64, UINT8, Writer};
use lva_media_types::PixelFormat;

/// A person grid of 8 × 8 pixels, one cell: the score is the first value of the frame's red plane.
struct Echo {
    /// Rows of each run.
    runs: Sender<usize>,
    /// When set, each run after the trial waits for a step from the test.
    gate: Option<Receiver<Step>>,
    trials: usize,
    leak_between_rows: bool,
}

enum Step {
    Go,
    Fail,
    Panic,
}

impl Backend for Echo {
    fn run(
        &mut self,
        _wiring: &Wiring,
        pixels: Pixels<'_>,
        rows: usize,
        outputs: &mut Vec<OutputTensor>,
    ) -> Result<(), RuntimeFailure> {
        let Pixels::Floats(input) = pixels else {
            return Err("floats were expected".into());
        };
        self.runs.send(rows)?;
        if self.trials > 0 {
            self.trials -= 1;
        } else if let Some(gate) = &self.gate {
            match gate.recv()? {
                Step::Go => {}
                Step::Fail => return Err("out of memory".into()),
                Step::Panic => panic!("the test asks for it"),
            }
        }
        let last = input.last().copied().unwrap_or_default();
        let mut values = Vec::new();
        for frame in input.chunks_exact(3 * 64).take(rows) {
            let score = if self.leak_between_rows { last } else { frame[0] };
            values.extend([score, 0.25, 0.25, 0.25, 0.25]);
        }
        outputs.resize_with(1, OutputTensor::default);
        outputs[0].fill([rows, 5, 1, 1], values);
        Ok(())
    }
}

fn spec() -> ModelSpec {
    ModelSpec::person_grid("echo", 8, 8).with_score_threshold(0.0)
}

/// A file with this input and one output.
fn graph(element: u64, shape: &[u64]) -> ModelGraph {
    let writer = Writer::new()
        .input("images", element, shape)
        .output("grid", FLOAT, &[0, 5, 1, 1]);
    ModelGraph::read(&writer.bytes()).unwrap()
}

struct Setup {
    spec: ModelSpec,
    batch: Option<usize>,
    /// What the backend reports that it can run at once.
    most: Option<usize>,
    gate: Option<Receiver<Step>>,
    leak_between_rows: bool,
}

impl Setup {
    fn new(spec: ModelSpec, batch: Option<usize>) -> Self {
        Self {
            spec,
            batch,
            most: None,
            gate: None,
            leak_between_rows: false,
        }
    }

    fn load(self) -> (Result<Engine, LoadError>, Receiver<usize>) {
        let (runs, ran) = channel();
        let trials = if self.batch.is_none() && self.spec.largest_batch() > 1 {
            2
        } else {
            1
        };
        let backend = Echo {
            runs,
            gate: self.gate,
            trials,
            leak_between_rows: self.leak_between_rows,
        };
        let batch = self.batch.map_or(0, |batch| batch as u64);
        let engine = Engine::load(
            self.spec,
            &graph(FLOAT, &[batch, 3, 8, 8]),
            Device::Cpu,
            |_, _| {
                Ok(Loaded {
                    backend,
                    runtime: "echo".to_owned(),
                    largest_batch: self.most,
                })
            },
        );
        (engine, ran)
    }
}

fn frames(greys: &[[u8; 3]]) -> Vec<Frame<'_>> {
    greys
        .iter()
        .map(|g| Frame::Host(ImageView::packed(g, 1, 1, PixelFormat::Rgb24).unwrap()))
        .collect()
}

fn scores(engine: &mut Engine, greys: &[u8]) -> Vec<f32> {
    let pixels: Vec<_> = greys.iter().map(|&g| [g; 3]).collect();
    let found = engine.detect(&frames(&pixels)).unwrap();
    found
        .iter()
        .map(|detections| (detections[0].score * 255.0).round())
        .collect()
}

#[test]
fn results_follow_the_frames_through_batches() {
    for (batch, trial, runs) in [
        (Some(1), vec![1], vec![1; 7]),
        (Some(3), vec![3], vec![3, 3, 3]),
        (None, vec![1, 4], vec![4, 3]),
    ] {
        let (engine, ran) = Setup::new(spec().with_largest_batch(4), batch).load();
        let mut engine = engine.unwrap();
        let greys = [10, 20, 30, 40, 50, 60, 70];
        assert_eq!(scores(&mut engine, &greys), greys.map(f32::from));
        assert!(scores(&mut engine, &[]).is_empty());
        assert_eq!(engine.info().largest_batch, batch.unwrap_or(4));
        drop(engine);
        assert_eq!(ran.iter().collect::<Vec<_>>(), [trial, runs].concat());
    }
}

#[test]
fn a_failed_run_is_reported_and_the_next_may_work() {
    let (steps, gate) = channel();
    let (engine, _ran) = Setup {
        gate: Some(gate),
        ..Setup::new(spec(), None)
    }
    .load();
    let mut engine = engine.unwrap();
    steps.send(Step::Fail).unwrap();
    let error = engine.detect(&frames(&[[1; 3]])).unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.to_string(), "the model 'echo' failed to run: out of memory");
    steps.send(Step::Go).unwrap();
    assert_eq!(scores(&mut engine, &[7]), [7.0]);
}

#[test]
fn a_detector_that_panicked_reports_it_every_time() {
    let (steps, gate) = channel();
    let (engine, _ran) = Setup {
        gate: Some(gate),
        ..Setup::new(spec(), None)
    }
    .load();
    let mut engine = engine.unwrap();
    steps.send(Step::Panic).unwrap();
    for _ in 0..2 {
        let error = engine.detect(&frames(&[[1; 3]])).unwrap_err();
        assert!(matches!(error, DetectError::Panicked { .. }), "{error}");
        assert!(!error.is_transient());
    }
}

#[test]
fn a_panic_while_loading_is_an_error() {
    let graph = graph(FLOAT, &[1, 3, 8, 8]);
    let engine = Engine::load::<Echo>(spec(), &graph, Device::Cpu, |_, _| panic!("the test asks for it"));
    assert!(matches!(engine.unwrap_err(), LoadError::Panicked));
}

#[test]
fn a_model_that_mixes_its_batch_is_refused() {
    let mixing = Setup {
        leak_between_rows: true,
        ..Setup::new(spec().with_largest_batch(4), None)
    };
    assert!(matches!(
        mixing.load().0.unwrap_err(),
        LoadError::BatchMixes { rows: 4, .. }
    ));
    let single = Setup {
        leak_between_rows: true,
        ..Setup::new(spec(), None)
    };
    assert!(single.load().0.is_ok());
}

#[test]
fn a_runtime_that_mixes_batches_gets_single_frames() {
    let limited = |batch| Setup {
        most: Some(1),
        ..Setup::new(spec().with_largest_batch(4), batch)
    };
    let (engine, _ran) = Setup { ..limited(Some(1)) }.load();
    assert_eq!(engine.unwrap().info().largest_batch, 1);
    let error = limited(Some(3)).load().0.unwrap_err();
    assert!(
        matches!(error, LoadError::BatchNotRunRightly { rows: 3, .. }),
        "{error}"
    );
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let load = |graph: ModelGraph| {
        let never = |_: &ModelSpec, _: &Wiring| -> Result<Loaded<Echo>, LoadError> { panic!("not loaded") };
        Engine::load(spec(), &graph, Device::Cpu, never).unwrap_err()
    };
    let error = load(graph(FLOAT, &[0, 3, 16, 8]));
    assert_eq!(
        error.to_string(),
        "the input of the model 'echo' is images float32 [?, 3, 16, 8], but its description expects pictures of \
         8x8 pixels: configure the size that it was exported with"
    );
    let error = load(graph(FLOAT, &[3, 8, 8]));
    assert!(
        matches!(error, LoadError::Input { .. }) && error.to_string().contains("NHWC"),
        "{error}"
    );
    let error = load(graph(INT64, &[0, 3, 8, 8]));
    assert!(error.to_string().contains("int64"), "{error}");
    // Bytes cannot be scaled to 0..=1.
    let error = load(graph(UINT8, &[0, 3, 8, 8]));
    assert!(
        matches!(error, LoadError::ByteInput { .. }) && error.to_string().contains("uint8"),
        "{error}"
    );
}

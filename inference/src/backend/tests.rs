//! The shared part of all backends, tested with artificial backends.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::detector::{DetectError, Device, Frame};
use crate::image_view::ImageView;
use crate::model::ModelSpec;
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
        input: &[f32],
        rows: usize,
        outputs: &mut Vec<OutputTensor>,
    ) -> Result<(), RuntimeFailure> {
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

struct Setup {
    spec: ModelSpec,
    batch: Option<usize>,
    gate: Option<Receiver<Step>>,
    leak_between_rows: bool,
}

impl Setup {
    fn new(spec: ModelSpec, batch: Option<usize>) -> Self {
        Self {
            spec,
            batch,
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
        let inputs = vec![InputInfo {
            shape: vec![self.batch, Some(3), Some(8), Some(8)],
            is_f32: true,
        }];
        let engine = Engine::load(self.spec, Device::Cpu, |_| {
            Ok(Loaded {
                backend,
                inputs,
                runtime: "echo".to_owned(),
            })
        });
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
    let engine = Engine::load::<Echo>(spec(), Device::Cpu, |_| panic!("the test asks for it"));
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
fn inputs_that_do_not_fit_are_named() {
    let load = |inputs: Vec<InputInfo>| {
        let (runs, _ran) = channel();
        let backend = Echo {
            runs,
            gate: None,
            trials: 0,
            leak_between_rows: false,
        };
        let loaded = Loaded {
            backend,
            inputs,
            runtime: String::new(),
        };
        Engine::load(spec(), Device::Cpu, move |_| Ok(loaded)).unwrap_err()
    };
    let input_info = |shape: &[Option<usize>]| InputInfo {
        shape: shape.to_vec(),
        is_f32: true,
    };
    let error = load(vec![input_info(&[None, Some(3), Some(16), Some(8)])]);
    assert_eq!(
        error.to_string(),
        "the model 'echo' takes an input of float32 [?, 3, 16, 8], but its description expects float32 \
         [frames, 3, 8, 8]: configure the size that it was exported with"
    );
    assert!(matches!(
        load(vec![input_info(&[Some(3), Some(8), Some(8)])]),
        LoadError::InputShape { .. }
    ));
    assert!(matches!(
        load(vec![input_info(&[Some(0), None, None, None])]),
        LoadError::InputShape { .. }
    ));
    let bytes = InputInfo {
        is_f32: false,
        ..input_info(&[None, Some(3), Some(8), Some(8)])
    };
    assert!(matches!(load(vec![bytes]), LoadError::InputShape { .. }));
    assert!(matches!(load(vec![]), LoadError::InputCount { found: 0, .. }));
    assert!(matches!(
        load(vec![input_info(&[]), input_info(&[])]),
        LoadError::InputCount { found: 2, .. }
    ));
}

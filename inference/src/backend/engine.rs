//! The detector that every backend becomes: load checks, batches, preprocessing, decoding.

use super::block_on::block_on;
use super::load_error::LoadError;
use super::worker::{Answer, Buffers, Ended, Worker};
use super::{Backend, InputFacts, Loaded, OutputTensor};
use crate::decode::{Decoder, OutputView};
use crate::detection::Detection;
use crate::detector::{DetectError, DetectorInfo, Device, Frame};
use crate::fit::Placement;
use crate::image_view::{ImageView, PixelFormat};
use crate::model::ModelSpec;
use crate::preprocess::{InputSpec, Preprocessor};

/// A loaded, tried model on its thread.
#[derive(Debug)]
pub(crate) struct Engine {
    info: DetectorInfo,
    batch: Batch,
    preprocessor: Preprocessor,
    decoder: Decoder,
    placements: Vec<Placement>,
    /// At home between jobs, away with the worker during one.
    buffers: Buffers,
    worker: Worker,
}

/// How many frames a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    /// The file fixes it; missing frames are filled with what the tensor held.
    Fixed(usize),
    /// Any number up to this.
    UpTo(usize),
}

impl Batch {
    fn largest(self) -> usize {
        match self {
            Self::Fixed(rows) | Self::UpTo(rows) => rows.max(1),
        }
    }

    fn rows(self, frames: usize) -> usize {
        match self {
            Self::Fixed(rows) => rows.max(frames),
            Self::UpTo(_) => frames,
        }
    }
}

impl Engine {
    /// Loads a backend on a thread of its own and tries it on a grey frame. Blocks for as long as that takes:
    /// milliseconds to seconds, minutes where TensorRT builds an engine.
    pub(crate) fn load<B, F>(spec: ModelSpec, device: Device, load: F) -> Result<Self, LoadError>
    where
        B: Backend,
        F: FnOnce(&ModelSpec) -> Result<Loaded<B>, LoadError> + Send + 'static,
    {
        let decoder = Decoder::new(&spec)?;
        let for_worker = spec.clone();
        let (worker, facts) = Worker::start(move || load(&for_worker))?;
        let batch = batch_of(&spec, &facts.inputs)?;
        let info = DetectorInfo {
            model: spec.name,
            input_width: spec.input.width,
            input_height: spec.input.height,
            largest_batch: batch.largest(),
            runtime: facts.runtime,
            device,
            class_names: spec.class_names,
        };
        let mut engine = Self {
            info,
            batch,
            preprocessor: Preprocessor::new(spec.input),
            decoder,
            placements: Vec::new(),
            buffers: Buffers::default(),
            worker,
        };
        block_on(engine.try_out())?;
        Ok(engine)
    }

    pub(crate) fn info(&self) -> &DetectorInfo {
        &self.info
    }

    /// See [`Detector::detect`](crate::Detector::detect).
    pub(crate) async fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        let mut found = Vec::with_capacity(frames.len());
        for (chunk, frames) in frames.chunks(self.batch.largest()).enumerate() {
            // The run of an earlier call whose future was dropped comes first: its buffers are wanted.
            if let Some(Answer { buffers, .. }) = self.worker.answer().await.map_err(|_| self.ended())? {
                self.buffers = buffers;
            }
            let rows = self.batch.rows(frames.len());
            self.fill(frames, rows, chunk * self.batch.largest())?;
            self.run(rows).await?;
            let outputs = views(&self.buffers.outputs);
            let result = self.decoder.decode(&outputs, &self.placements);
            found.extend(result.map_err(|source| DetectError::Output {
                model: self.info.model.clone(),
                source,
            })?);
        }
        Ok(found)
    }

    /// As [`Engine::detect`], for threads that may block.
    pub(crate) fn detect_blocking(
        &mut self,
        frames: &[Frame<'_>],
    ) -> Result<Vec<Vec<Detection>>, DetectError> {
        block_on(self.detect(frames))
    }

    /// Writes frames into the input tensor.
    ///
    /// This happens on the caller's thread because frames are borrowed, often from memory that a peer wants
    /// back, and cannot go to a thread that outlives the call; a copy of each for the worker's sake would break
    /// the rule that finished frames are never copied.
    fn fill(&mut self, frames: &[Frame<'_>], rows: usize, first_index: usize) -> Result<(), DetectError> {
        let len = self.preprocessor.spec().tensor_len();
        let input = &mut self.buffers.input;
        input.resize(len * rows, 0.0);
        self.placements.clear();
        for (i, (frame, tensor)) in frames.iter().zip(input.chunks_exact_mut(len)).enumerate() {
            let Frame::Host(view) = frame;
            let placement = self.preprocessor.write(view, tensor);
            // The tensor has the right length: chunks of `len` were made of it.
            let placement = placement.map_err(|_| DetectError::UnsupportedFrame {
                index: first_index + i,
            })?;
            self.placements.push(placement);
        }
        Ok(())
    }

    /// Runs the input tensor; the outputs lie in the buffers afterwards.
    async fn run(&mut self, rows: usize) -> Result<(), DetectError> {
        self.worker
            .submit(&mut self.buffers, rows)
            .map_err(|_| self.ended())?;
        let answer = self.worker.answer().await.and_then(|answer| answer.ok_or(Ended));
        let Answer { buffers, result } = answer.map_err(|_| self.ended())?;
        self.buffers = buffers;
        result.map_err(|source| DetectError::Run {
            model: self.info.model.clone(),
            source,
        })
    }

    fn ended(&self) -> DetectError {
        DetectError::WorkerEnded {
            model: self.info.model.clone(),
        }
    }

    /// A grey frame has to give finite numbers in the family's shape; then it has to give the same among
    /// other frames.
    async fn try_out(&mut self) -> Result<(), LoadError> {
        let grey = ImageView::packed(&[114; 3], 1, 1, PixelFormat::Rgb24)
            .ok()
            .map(Frame::Host);
        let grey: Vec<_> = grey.into_iter().collect();
        let rows = self.batch.rows(1);
        self.trial(&grey, rows).await?;
        let alone = self.outputs_of_first_row();

        let rows = self.batch.largest();
        if self.batch == Batch::UpTo(rows) && rows > 1 {
            // Whatever lies in the other rows must not matter; a ramp is as unlike grey as can be.
            let len = self.preprocessor.spec().tensor_len();
            self.buffers.input.resize(len * rows, 0.0);
            for (i, value) in self.buffers.input.iter_mut().enumerate().skip(len) {
                *value = (i % 97) as f32 / 97.0;
            }
            self.trial(&grey, rows).await?;
            let together = self.outputs_of_first_row();
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-3 * (1.0 + a.abs());
            if alone.len() != together.len() || !alone.iter().zip(&together).all(close) {
                return Err(LoadError::BatchMixes {
                    model: self.info.model.clone(),
                    rows,
                });
            }
        }
        Ok(())
    }

    async fn trial(&mut self, frames: &[Frame<'_>], rows: usize) -> Result<(), LoadError> {
        let filled = self.fill(frames, rows, 0);
        let ran = match filled {
            Ok(()) => self.run(rows).await,
            Err(error) => Err(error),
        };
        match ran {
            Ok(()) => {}
            Err(DetectError::Run { model, source }) => return Err(LoadError::Trial { model, source }),
            Err(_) => return Err(LoadError::Panicked),
        }
        let checked = self.decoder.check_values(&views(&self.buffers.outputs), rows);
        checked.map_err(|source| LoadError::Output {
            model: self.info.model.clone(),
            source,
        })
    }

    fn outputs_of_first_row(&self) -> Vec<f32> {
        let first = |output: &OutputTensor| {
            let rows = output.shape.first().copied().unwrap_or(1).max(1);
            output
                .data
                .iter()
                .take(output.data.len() / rows)
                .copied()
                .collect::<Vec<_>>()
        };
        self.buffers.outputs.iter().flat_map(first).collect()
    }
}

fn views(outputs: &[OutputTensor]) -> Vec<OutputView<'_>> {
    outputs.iter().map(OutputTensor::view).collect()
}

/// Compares the file's input with the description and learns the batch from it.
fn batch_of(spec: &ModelSpec, inputs: &[InputFacts]) -> Result<Batch, LoadError> {
    let [facts] = inputs else {
        return Err(LoadError::InputCount {
            model: spec.name.clone(),
            found: inputs.len(),
        });
    };
    let InputSpec { width, height, .. } = spec.input;
    let wrong = || LoadError::InputShape {
        model: spec.name.clone(),
        expected: [height, width],
        found: facts.describe(),
    };
    if !facts.is_f32 {
        return Err(wrong());
    }
    // A file that says nothing about its input is judged by the trial alone.
    if facts.shape.is_empty() {
        return Ok(Batch::UpTo(spec.largest_batch));
    }
    let &[batch, channels, rows, columns] = facts.shape.as_slice() else {
        return Err(wrong());
    };
    let fits = |found: Option<usize>, expected: usize| found.is_none_or(|found| found == expected);
    if !(fits(channels, 3) && fits(rows, height as usize) && fits(columns, width as usize)) {
        return Err(wrong());
    }
    match batch {
        None => Ok(Batch::UpTo(spec.largest_batch)),
        Some(rows) if (1..=crate::MAX_BATCH).contains(&rows) => Ok(Batch::Fixed(rows)),
        Some(_) => Err(wrong()),
    }
}

impl InputFacts {
    fn describe(&self) -> String {
        let sizes: Vec<_> = self
            .shape
            .iter()
            .map(|s| s.map_or("?".to_owned(), |s| s.to_string()))
            .collect();
        let kind = if self.is_f32 {
            "float32"
        } else {
            "another type than float32"
        };
        format!("{kind} [{}]", sizes.join(", "))
    }
}

//! The detector that every backend becomes: load checks, batches, preprocessing, decoding.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::load_error::LoadError;
use super::{Backend, InputInfo, Loaded, OutputTensor};
use crate::decode::{OutputDecoder, OutputView};
use crate::detector::{DetectError, DetectorInfo, Device, Frame};
use crate::image_view::ImageView;
use crate::letterbox::LetterboxTransform;
use crate::model::ModelSpec;
use crate::preprocess::{InputSpec, Preprocessor};
use lva_media_types::{Detection, PixelFormat};

/// A loaded model that gave usable output for a grey frame.
pub(crate) struct Engine {
    info: DetectorInfo,
    batch: Batch,
    preprocessor: Preprocessor,
    decoder: OutputDecoder,
    transforms: Vec<LetterboxTransform>,
    /// Input tensor and outputs, reused from run to run.
    input: Vec<f32>,
    outputs: Vec<OutputTensor>,
    backend: Box<dyn Backend>,
    /// The backend panicked, so its state cannot be trusted.
    panicked: bool,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("info", &self.info)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
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
    /// Loads a backend and runs it on a grey frame. Blocks for as long as that takes: milliseconds to seconds,
    /// minutes where TensorRT builds an engine.
    ///
    /// Runtimes may panic on a damaged file; that is an error like any other.
    pub(crate) fn load<B: Backend + 'static>(
        spec: ModelSpec,
        device: Device,
        load: impl FnOnce(&ModelSpec) -> Result<Loaded<B>, LoadError>,
    ) -> Result<Self, LoadError> {
        let decoder = OutputDecoder::new(&spec)?;
        let loaded = catch_unwind(AssertUnwindSafe(|| load(&spec))).map_err(|_| LoadError::Panicked)??;
        let batch = batch_of(&spec, &loaded.inputs)?;
        let info = DetectorInfo {
            model: spec.name,
            input_width: spec.input.width,
            input_height: spec.input.height,
            largest_batch: batch.largest(),
            runtime: loaded.runtime,
            device,
            class_names: spec.class_names,
        };
        let mut engine = Self {
            info,
            batch,
            preprocessor: Preprocessor::new(spec.input),
            decoder,
            transforms: Vec::new(),
            input: Vec::new(),
            outputs: Vec::new(),
            backend: Box::new(loaded.backend),
            panicked: false,
        };
        engine.try_out()?;
        Ok(engine)
    }

    pub(crate) fn info(&self) -> &DetectorInfo {
        &self.info
    }

    /// See [`Detector::detect`](crate::Detector::detect).
    pub(crate) fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        let mut found = Vec::with_capacity(frames.len());
        for (chunk, frames) in frames.chunks(self.batch.largest()).enumerate() {
            let rows = self.batch.rows(frames.len());
            self.fill(frames, rows, chunk * self.batch.largest())?;
            self.run(rows)?;
            let result = self.decoder.decode(&views(&self.outputs), &self.transforms);
            found.extend(result.map_err(|cause| DetectError::Output {
                model: self.info.model.clone(),
                cause,
            })?);
        }
        Ok(found)
    }

    /// Writes frames into the input tensor.
    fn fill(&mut self, frames: &[Frame<'_>], rows: usize, first_index: usize) -> Result<(), DetectError> {
        let len = self.preprocessor.spec().tensor_len();
        self.input.resize(len * rows, 0.0);
        self.transforms.clear();
        for (i, (frame, tensor)) in frames.iter().zip(self.input.chunks_exact_mut(len)).enumerate() {
            let Frame::Host(view) = frame;
            let transform = self.preprocessor.write(view, tensor);
            let transform = transform.map_err(|cause| DetectError::Input {
                index: first_index + i,
                cause,
            })?;
            self.transforms.push(transform);
        }
        Ok(())
    }

    /// Runs the input tensor and stores the outputs.
    fn run(&mut self, rows: usize) -> Result<(), DetectError> {
        let model = || self.info.model.clone();
        if self.panicked {
            return Err(DetectError::Panicked { model: model() });
        }
        let (backend, input, outputs) = (&mut self.backend, &self.input, &mut self.outputs);
        match catch_unwind(AssertUnwindSafe(|| backend.run(input, rows, outputs))) {
            Ok(ran) => ran.map_err(|cause| DetectError::Run {
                model: model(),
                cause,
            }),
            Err(_) => {
                self.panicked = true;
                Err(DetectError::Panicked { model: model() })
            }
        }
    }

    /// A grey frame must give finite numbers in the family's shape, and the same numbers in a batch with other
    /// frames.
    fn try_out(&mut self) -> Result<(), LoadError> {
        let grey = ImageView::packed(&[114; 3], 1, 1, PixelFormat::Rgb24)
            .ok()
            .map(Frame::Host);
        let grey: Vec<_> = grey.into_iter().collect();
        let rows = self.batch.rows(1);
        self.trial(&grey, rows)?;
        let alone = self.outputs_of_first_row();

        let rows = self.batch.largest();
        if self.batch == Batch::UpTo(rows) && rows > 1 {
            // The other rows must not matter; a ramp differs from grey as much as possible.
            let len = self.preprocessor.spec().tensor_len();
            self.input.resize(len * rows, 0.0);
            for (i, value) in self.input.iter_mut().enumerate().skip(len) {
                *value = (i % 97) as f32 / 97.0;
            }
            self.trial(&grey, rows)?;
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

    fn trial(&mut self, frames: &[Frame<'_>], rows: usize) -> Result<(), LoadError> {
        let filled = self.fill(frames, rows, 0);
        let ran = match filled {
            Ok(()) => self.run(rows),
            Err(error) => Err(error),
        };
        match ran {
            Ok(()) => {}
            Err(DetectError::Run { model, cause }) => return Err(LoadError::Trial { model, cause }),
            Err(_) => return Err(LoadError::Panicked),
        }
        let checked = self.decoder.check_values(&views(&self.outputs), rows);
        checked.map_err(|cause| LoadError::Output {
            model: self.info.model.clone(),
            cause,
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
        self.outputs.iter().flat_map(first).collect()
    }
}

fn views(outputs: &[OutputTensor]) -> Vec<OutputView<'_>> {
    outputs.iter().map(OutputTensor::view).collect()
}

/// Compares the file's input with the description and determines the batch.
fn batch_of(spec: &ModelSpec, inputs: &[InputInfo]) -> Result<Batch, LoadError> {
    let [input] = inputs else {
        return Err(LoadError::InputCount {
            model: spec.name.clone(),
            found: inputs.len(),
        });
    };
    let InputSpec { width, height, .. } = spec.input;
    let wrong = || LoadError::InputShape {
        model: spec.name.clone(),
        expected: [height, width],
        found: input.describe(),
    };
    if !input.is_f32 {
        return Err(wrong());
    }
    // If the file declares no shape, only the trial run checks it.
    if input.shape.is_empty() {
        return Ok(Batch::UpTo(spec.largest_batch));
    }
    let &[batch, channels, rows, columns] = input.shape.as_slice() else {
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

impl InputInfo {
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

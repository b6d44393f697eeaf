//! The detector that every backend becomes: load checks, batches, preprocessing, decoding.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::load_error::LoadError;
use super::pack::Packing;
use super::wiring::{Batch, Wiring};
use super::{Backend, Loaded, OutputTensor};
use crate::decode::{Candidate, OutputDecoder, OutputView};
use crate::detector::{DetectError, DetectorInfo, Frame};
use crate::device::Device;
use crate::image_view::ImageView;
use crate::letterbox::LetterboxTransform;
use crate::model::ModelSpec;
use crate::onnx::ModelGraph;
use crate::preprocess::Preprocessor;
use lva_media_types::{Detection, PixelFormat};

/// Stack of the thread that loads a model and runs it first, which is when runtimes visit its nodes by recursion: two KiB for each
/// of as many as a file may have, four times what rten takes. Only what is used takes memory.
const LOADING_STACK_BYTES: usize = 64 << 20;

/// A loaded model that gave usable output for a grey frame.
pub(crate) struct Engine {
    info: DetectorInfo,
    wiring: Wiring,
    preprocessor: Preprocessor,
    decoder: OutputDecoder,
    transforms: Vec<LetterboxTransform>,
    /// Input tensor and outputs, reused from run to run.
    input: Vec<f32>,
    packing: Packing,
    outputs: Vec<OutputTensor>,
    backend: Box<dyn Backend>,
    /// The backend panicked, so its state cannot be trusted.
    panicked: bool,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("info", &self.info)
            .field("batch", &self.wiring.batch)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads a backend and runs it on a grey frame. Blocks for as long as that takes: milliseconds to seconds,
    /// minutes where TensorRT builds an engine.
    ///
    /// Runtimes may panic on a damaged file; that is an error like any other.
    pub(crate) fn load<B: Backend + 'static>(
        spec: ModelSpec,
        graph: &ModelGraph,
        device: Device,
        load: impl FnOnce(&ModelSpec, &Wiring) -> Result<Loaded<B>, LoadError> + Send,
    ) -> Result<Self, LoadError> {
        thread::scope(|scope| {
            thread::Builder::new()
                .name("model-loader".to_owned())
                .stack_size(LOADING_STACK_BYTES)
                .spawn_scoped(scope, || Self::load_here(spec, graph, device, load))
                .map_err(|cause| LoadError::Thread { cause })?
                .join()
                .unwrap_or(Err(LoadError::Panicked))
        })
    }

    fn load_here<B: Backend + 'static>(
        spec: ModelSpec,
        graph: &ModelGraph,
        device: Device,
        load: impl FnOnce(&ModelSpec, &Wiring) -> Result<Loaded<B>, LoadError>,
    ) -> Result<Self, LoadError> {
        let decoder = OutputDecoder::new(&spec)?;
        let mut wiring = Wiring::new(&spec, graph)?;
        let loaded = load(&spec, &wiring)?;
        if let Some(most) = loaded.largest_batch {
            wiring.batch = match wiring.batch {
                Batch::UpTo(rows) => Batch::UpTo(rows.min(most)),
                Batch::Fixed(rows) if rows <= most => Batch::Fixed(rows),
                Batch::Fixed(rows) => {
                    return Err(LoadError::BatchNotRunRightly {
                        model: spec.name,
                        runtime: loaded.runtime,
                        rows,
                    });
                }
            };
        }
        let classes_kept = spec.classes_kept_by_index()?;
        let info = DetectorInfo {
            model: spec.name,
            input_width: spec.input.width,
            input_height: spec.input.height,
            largest_batch: wiring.batch.largest(),
            runtime: loaded.runtime,
            device,
            class_names: spec.class_names,
            classes_kept,
        };
        let mut engine = Self {
            info,
            wiring,
            preprocessor: Preprocessor::new(spec.input),
            decoder,
            transforms: Vec::new(),
            input: Vec::new(),
            packing: Packing::default(),
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
        for (chunk, frames) in frames.chunks(self.wiring.batch.largest()).enumerate() {
            let rows = self.wiring.batch.rows(frames.len());
            self.fill(frames, rows, chunk * self.wiring.batch.largest())?;
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
        let (backend, outputs) = (&mut self.backend, &mut self.outputs);
        let pixels = self.packing.pack(&self.wiring, &self.input);
        let wiring = &self.wiring;
        match catch_unwind(AssertUnwindSafe(|| backend.run(wiring, pixels, rows, outputs))) {
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
        let rows = self.wiring.batch.rows(1);
        let alone = self.trial(&grey, rows)?;

        let rows = self.wiring.batch.largest();
        if self.wiring.batch == Batch::UpTo(rows) && rows > 1 {
            // The other rows must not matter; a ramp differs from grey as much as possible.
            let len = self.preprocessor.spec().tensor_len();
            self.input.resize(len * rows, 0.0);
            for (i, value) in self.input.iter_mut().enumerate().skip(len) {
                *value = (i % 97) as f32 / 97.0;
            }
            let together = self.trial(&grey, rows)?;
            if alone.len() != together.len() || !alone.iter().zip(&together).all(alike) {
                return Err(LoadError::BatchMixes {
                    model: self.info.model.clone(),
                    rows,
                });
            }
        }
        Ok(())
    }

    /// All boxes of the first frame.
    fn trial(&mut self, frames: &[Frame<'_>], rows: usize) -> Result<Vec<Candidate>, LoadError> {
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
}

/// Whether two boxes are the same but for rounding.
fn alike((a, b): (&Candidate, &Candidate)) -> bool {
    let close = |a: f32, b: f32| (a - b).abs() <= 1e-3 * (1.0 + a.abs());
    a.class == b.class && close(a.score, b.score) && a.edges.iter().zip(b.edges).all(|(&a, b)| close(a, b))
}

fn views(outputs: &[OutputTensor]) -> Vec<OutputView<'_>> {
    outputs.iter().map(OutputTensor::view).collect()
}

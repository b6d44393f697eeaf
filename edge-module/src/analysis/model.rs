//! Flags that select a detector.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lva_inference::{Detector, LoadError, ModelSpec, OrtDetector, OrtOptions, RtenDetector, RtenOptions};

use crate::flags::parse_size;

/// The model and its backend.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// ONNX file. Default: the embedded model, which detects the people of the sample world.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// ModelFamilyArg of the model, which defines its outputs.
    #[arg(long, value_enum, default_value_t = ModelFamilyArg::PersonGrid)]
    pub family: ModelFamilyArg,
    /// Size of the model's input if it is not 640x384 (person-grid only).
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    pub input: Option<(u32, u32)>,
    /// Backend: rten is built in, ort loads ONNX Runtime.
    #[arg(long, value_enum, default_value_t = Backend::Rten)]
    pub backend: Backend,
    /// ONNX Runtime's shared library for --backend ort. Default: the environment variable ORT_DYLIB_PATH.
    #[arg(long, value_name = "FILE")]
    pub library: Option<PathBuf>,
    /// Threads of the model.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Ignore detections below this score, 0 to 1. Default: the model's own threshold.
    #[arg(long)]
    pub score: Option<f32>,
    /// Of two boxes that overlap by more than this (intersection over union), keep the one with the higher score.
    /// Default: the model's own threshold.
    #[arg(long)]
    pub overlap: Option<f32>,
}

/// Families of models, by the meaning of their outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModelFamilyArg {
    /// This project's detector: one class, 640x384.
    PersonGrid,
    /// FastestDet, 80 classes of COCO, of which `person` is kept.
    FastestDet,
}

/// Backends that run a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// Pure Rust.
    Rten,
    /// ONNX Runtime.
    Ort,
}

/// Why a detector cannot be loaded; for the operator to fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelArgsError {
    /// The file cannot be read.
    #[error("cannot read the model {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// A family without an embedded model.
    #[error("--family {family:?} requires --model FILE: only person-grid is built in")]
    NoModel {
        /// The family.
        family: ModelFamilyArg,
    },
    /// The model or ONNX Runtime cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl ModelArgs {
    /// Whether the model is the embedded one.
    pub fn is_embedded(&self) -> bool {
        self.model.is_none()
    }

    /// Loads the model. Blocks.
    ///
    /// # Errors
    ///
    /// [`ModelArgsError`].
    pub fn load(&self) -> Result<Box<dyn Detector>, ModelArgsError> {
        let mut spec = match (self.family, self.input) {
            (ModelFamilyArg::PersonGrid, None) => ModelSpec::plaza_person(),
            (ModelFamilyArg::PersonGrid, Some((width, height))) => {
                ModelSpec::person_grid("person-grid", width, height)
            }
            (ModelFamilyArg::FastestDet, _) => ModelSpec::fastest_det().with_classes_kept(["person"]),
        };
        if let Some(score) = self.score {
            spec = spec.with_score_threshold(score);
        }
        if let Some(overlap) = self.overlap {
            spec = spec.with_nms_threshold(overlap);
        }
        let bytes = match (&self.model, self.family) {
            (Some(path), _) => std::fs::read(path).map_err(|cause| ModelArgsError::Read {
                path: path.clone(),
                cause,
            })?,
            (None, ModelFamilyArg::PersonGrid) => lva_inference::PLAZA_PERSON_ONNX.to_vec(),
            (None, family) => return Err(ModelArgsError::NoModel { family }),
        };
        Ok(match self.backend {
            Backend::Rten => {
                let options = RtenOptions::default().with_threads(self.threads);
                Box::new(RtenDetector::from_bytes(bytes, spec, options)?)
            }
            Backend::Ort => {
                let mut options = OrtOptions::default().with_threads(self.threads);
                if let Some(library) = &self.library {
                    options = options.with_library(library);
                }
                Box::new(OrtDetector::from_bytes(bytes, spec, options)?)
            }
        })
    }
}

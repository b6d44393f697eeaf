//! Flags that select a detector.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use lva_inference::{
    Detection, Detector, Frame, ModelSpec, OrtDetector, OrtOptions, RtenDetector, RtenOptions,
};
use std::path::PathBuf;

/// The model and its backend.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// ONNX file. Default: the embedded model, which detects the people of the sample world.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Family of the model, which defines its outputs.
    #[arg(long, value_enum, default_value_t = Family::PersonGrid)]
    pub family: Family,
    /// Size of the model's input if it is not 640x384 (person-grid only).
    #[arg(long, value_parser = crate::parse_size)]
    pub input: Option<(u32, u32)>,
    /// Backend: rten is built in, ort loads ONNX Runtime.
    #[arg(long, value_enum, default_value_t = Backend::Rten)]
    pub backend: Backend,
    /// ONNX Runtime's shared library for --backend ort. Default: the environment variable ORT_DYLIB_PATH.
    #[arg(long)]
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
pub enum Family {
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

impl ModelArgs {
    /// Loads the model.
    ///
    /// # Errors
    ///
    /// The model or the library cannot be loaded.
    pub fn load(&self) -> anyhow::Result<Box<dyn Detector>> {
        let mut spec = match self.family {
            Family::PersonGrid => ModelSpec::plaza_person(),
            Family::FastestDet => ModelSpec::fastest_det().with_classes_kept(["person"]),
        };
        if let (Some((width, height)), Family::PersonGrid) = (self.input, self.family) {
            spec = ModelSpec::person_grid("person-grid", width, height);
        }
        if let Some(score) = self.score {
            spec = spec.with_score_threshold(score);
        }
        if let Some(overlap) = self.overlap {
            spec = spec.with_nms_threshold(overlap);
        }
        let bytes = match (&self.model, self.family) {
            (Some(path), _) => {
                std::fs::read(path).with_context(|| format!("cannot read the model {}", path.display()))?
            }
            (None, Family::PersonGrid) => lva_inference::PLAZA_PERSON_ONNX.to_vec(),
            (None, family) => {
                bail!("--family {family:?} requires --model FILE: only person-grid is built in")
            }
        };
        let rten = RtenOptions::default().with_threads(self.threads);
        let mut ort = OrtOptions::default().with_threads(self.threads);
        if let Some(library) = &self.library {
            ort = ort.with_library(library);
        }
        Ok(match self.backend {
            Backend::Rten => Box::new(RtenDetector::from_bytes(bytes, spec, rten)?),
            Backend::Ort => Box::new(OrtDetector::from_bytes(bytes, spec, ort)?),
        })
    }
}

/// Detects in one frame.
///
/// # Errors
///
/// The detector's error.
pub fn detect_one(detector: &mut dyn Detector, frame: Frame<'_>) -> anyhow::Result<Vec<Detection>> {
    let mut found = detector.detect(&[frame])?;
    found.pop().context("the detector returned no result")
}

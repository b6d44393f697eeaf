//! Models that a server runs, by the Open Inference Protocol of KServe: Triton, OpenVINO Model Server, MLServer and others.

mod address;
mod client;
mod messages;
mod tensors;

use std::fmt;
use std::time::Duration;

pub use address::{KserveAddress, KserveAddressError};
use client::Client;
use messages::{
    ModelInferRequest, ModelInferResponse, ModelMetadataResponse, ModelReadyResponse, ModelRequest,
    RequestedOutput, ServerMetadataRequest, ServerMetadataResponse,
};

use super::{Backend, Engine, KserveError, LoadError, Loaded, OutputTensor, Pixels, RuntimeFailure, Wiring};
use crate::detector::{DetectError, Detector, DetectorInfo, Frame};
use crate::device::Device;
use crate::model::{ModelFamily, ModelSpec};
use crate::onnx::{ModelGraph, TensorInfo};
use crate::recognise::{Described, ModelOverrides, Recognition, RecognitionError};
use lva_media_types::Detection;

/// How a server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KserveOptions {
    timeout: Duration,
}

impl Default for KserveOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
        }
    }
}

impl KserveOptions {
    /// Longest wait for an answer, 10 ms to 10 minutes, values outside count as the nearest. Default: 10 s. Too short,
    /// and the first frames fail while the server warms up; too long, and a lost server is noticed late.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.clamp(Duration::from_millis(10), Duration::from_secs(600));
        self
    }
}

/// A model on a server, as the server describes it.
pub struct ServedModel {
    client: Client,
    graph: ModelGraph,
    runtime: String,
}

impl fmt::Debug for ServedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedModel")
            .field("address", self.client.address())
            .field("graph", &self.graph)
            .field("runtime", &self.runtime)
            .finish()
    }
}

impl ServedModel {
    /// Asks the server whether the model is ready, and for its inputs and outputs. Blocks.
    ///
    /// # Errors
    ///
    /// [`KserveError`].
    pub fn connect(address: KserveAddress, options: &KserveOptions) -> Result<Self, KserveError> {
        let client = Client::new(address, options.timeout)?;
        let model = || ModelRequest {
            name: client.address().model().to_owned(),
            version: client.address().version().unwrap_or_default().to_owned(),
        };
        // First, since servers name an absent model here, and not all of them when they are asked whether it is ready.
        let described: ModelMetadataResponse =
            client.call("/inference.GRPCInferenceService/ModelMetadata", model())?;
        let ready: ModelReadyResponse = client.call("/inference.GRPCInferenceService/ModelReady", model())?;
        if !ready.ready {
            return Err(KserveError::NotReady {
                address: client.address().to_string(),
            });
        }
        let server: ServerMetadataResponse = client.call(
            "/inference.GRPCInferenceService/ServerMetadata",
            ServerMetadataRequest {},
        )?;
        let infos = |tensors: Vec<_>| {
            tensors
                .into_iter()
                .map(tensors::info)
                .collect::<Vec<TensorInfo>>()
        };
        let graph = ModelGraph {
            inputs: infos(described.inputs),
            outputs: infos(described.outputs),
            ..ModelGraph::default()
        };
        let runtime = format!("{} {} (KServe)", server.name, server.version);
        Ok(Self {
            client,
            graph,
            runtime,
        })
    }

    /// Where it is.
    pub fn address(&self) -> &KserveAddress {
        self.client.address()
    }

    /// The model's inputs and outputs. A server reports neither operators nor metadata.
    pub fn graph(&self) -> &ModelGraph {
        &self.graph
    }

    /// As [`ModelFile::recognise`](crate::ModelFile::recognise), from what the server reports.
    ///
    /// # Errors
    ///
    /// [`RecognitionError`].
    pub fn recognise(&self, overrides: &ModelOverrides) -> Result<Recognition, RecognitionError> {
        let described = Described {
            graph: &self.graph,
            path: None,
            name: self.client.address().model().to_owned(),
        };
        let recognition = described.recognise(overrides)?;
        let note = (overrides.family.is_none() && recognition.spec().family() == ModelFamily::YoloX).then(|| {
            "a server does not tell whether YOLOX decodes its boxes: give the family yolox-decoded for exports with \
             --decode_in_inference"
                .to_owned()
        });
        Ok(recognition.with_notes(note))
    }
}

/// A detector whose model a server runs: preparing frames and reading boxes happens here, with the same families as for
/// files.
#[derive(Debug)]
pub struct KserveDetector {
    engine: Engine,
}

impl KserveDetector {
    /// Tries the model on a grey frame. Blocks.
    ///
    /// # Errors
    ///
    /// [`LoadError`], naming what was expected and found where the model does not fit its description.
    pub fn load(model: ServedModel, spec: ModelSpec) -> Result<Self, LoadError> {
        let ServedModel {
            client,
            graph,
            runtime,
        } = model;
        let engine = Engine::load(spec, &graph, Device::Server, |_, wiring| {
            let ranks = wiring.outputs.iter().map(|name| graph.output(name)?.rank());
            Ok(Loaded {
                backend: KserveBackend {
                    client,
                    ranks: ranks.collect(),
                },
                runtime,
                largest_batch: None,
            })
        })?;
        Ok(Self { engine })
    }
}

impl Detector for KserveDetector {
    fn info(&self) -> &DetectorInfo {
        self.engine.info()
    }

    fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        self.engine.detect(frames)
    }
}

struct KserveBackend {
    client: Client,
    /// Declared numbers of dimensions, in the order of the wired outputs.
    ranks: Vec<Option<usize>>,
}

impl Backend for KserveBackend {
    fn run(
        &mut self,
        wiring: &Wiring,
        pixels: Pixels<'_>,
        rows: usize,
        outputs: &mut Vec<OutputTensor>,
    ) -> Result<(), RuntimeFailure> {
        let (inputs, raw_input_contents) = tensors::inputs(wiring, pixels, rows);
        let requested = wiring
            .outputs
            .iter()
            .map(|name| RequestedOutput { name: name.clone() });
        let request = ModelInferRequest {
            model_name: self.client.address().model().to_owned(),
            model_version: self.client.address().version().unwrap_or_default().to_owned(),
            inputs,
            outputs: requested.collect(),
            raw_input_contents,
        };
        let answer: ModelInferResponse = self
            .client
            .call("/inference.GRPCInferenceService/ModelInfer", request)?;
        outputs.resize_with(wiring.outputs.len(), OutputTensor::default);
        for ((name, output), &rank) in wiring.outputs.iter().zip(outputs).zip(&self.ranks) {
            tensors::read(name, rank, &answer.outputs, &answer.raw_output_contents, output)?;
        }
        Ok(())
    }
}

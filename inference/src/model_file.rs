//! A model's file: read whole, understood as far as a detector needs it, and refused by cause.

mod beside;
mod kind;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::onnx::{ModelGraph, ModelLimit, OnnxError, embed};
use beside::Beside;
pub use kind::ForeignFile;

/// Largest model, weights included, in bytes: the limit of the format (2 GiB).
pub const MAX_MODEL_BYTES: u64 = (1 << 31) - 1;

/// An ONNX model in memory, with its weights, and how it describes itself.
///
/// Weights in other files are read from the directory of the model only, and put into the model, so that every runtime
/// takes it.
#[derive(Clone)]
pub struct ModelFile {
    bytes: Cow<'static, [u8]>,
    graph: ModelGraph,
    path: Option<PathBuf>,
    name: Option<String>,
}

impl ModelFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`ModelFileError`] names what the file is instead of a model, or what it lacks.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelFileError> {
        let path = path.as_ref();
        let read = |cause| ModelFileError::Read {
            path: path.to_owned(),
            cause,
        };
        let about = std::fs::metadata(path).map_err(read)?;
        // Not a pipe or a device, which may never end.
        if !about.is_file() {
            return Err(ModelFileError::NoFile {
                path: path.to_owned(),
            });
        }
        if about.len() > MAX_MODEL_BYTES {
            return Err(ModelFileError::TooLarge {
                path: path.to_owned(),
                bytes: about.len(),
            });
        }
        let bytes = std::fs::read(path).map_err(read)?;
        let graph = read_graph(&bytes, Some(path))?;
        let bytes = if graph.has_external_data {
            embed(&bytes, &mut Beside::new(path)?)?
        } else {
            bytes
        };
        Ok(Self {
            bytes: Cow::Owned(bytes),
            graph,
            path: Some(path.to_owned()),
            name: None,
        })
    }

    /// A model in memory: owned, or part of the program (`include_bytes!`).
    ///
    /// # Errors
    ///
    /// As for [`ModelFile::open`]; weights in other files are an error.
    pub fn from_bytes(model: impl Into<Cow<'static, [u8]>>) -> Result<Self, ModelFileError> {
        let bytes = model.into();
        let graph = read_graph(&bytes, None)?;
        if graph.has_external_data {
            return Err(ModelFileError::WeightsElsewhere);
        }
        Ok(Self {
            bytes,
            graph,
            path: None,
            name: None,
        })
    }

    /// How the file describes its network.
    pub fn graph(&self) -> &ModelGraph {
        &self.graph
    }

    /// Where it was read from.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Another name for logs and messages.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Its name: that of the file without its extension, or `model` for one in memory.
    pub fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let stem = self.path.as_deref().and_then(Path::file_stem);
        stem.map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }

    /// The file's description, and the model as one message, weights included.
    #[cfg(any(feature = "rten", feature = "ort", feature = "kserve"))]
    pub(crate) fn into_parts(self) -> (ModelGraph, Cow<'static, [u8]>) {
        (self.graph, self.bytes)
    }
}

impl fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelFile")
            .field("path", &self.path)
            .field("bytes", &self.bytes.len())
            .field("graph", &self.graph)
            .finish()
    }
}

fn read_graph(bytes: &[u8], path: Option<&Path>) -> Result<ModelGraph, ModelFileError> {
    let path = path.map(Path::to_owned);
    let foreign = |path, found| Err(ModelFileError::NoModel { path, found });
    if let Some(found) = ForeignFile::of(bytes) {
        return foreign(path, found);
    }
    let graph = match ModelGraph::read(bytes) {
        Ok(graph) => graph,
        Err(OnnxError::Other | OnnxError::NoGraph) => return foreign(path, ForeignFile::Unknown),
        Err(OnnxError::Truncated { missing }) => {
            return Err(ModelFileError::Truncated {
                path,
                found: bytes.len() as u64,
                missing,
            });
        }
        Err(OnnxError::Damaged { at }) => return Err(ModelFileError::Damaged { path, at }),
        Err(OnnxError::Beyond(limit)) => return Err(ModelFileError::Beyond { path, limit }),
    };
    match graph.operators.iter().find(|o| of_tensorrt(&o.domain, &o.name)) {
        Some(operator) => Err(ModelFileError::TensorRtOperator {
            path,
            operator: operator.name.clone(),
        }),
        None => Ok(graph),
    }
}

/// Plug-ins of TensorRT, which exporters write as operators: `EfficientNMS_TRT`, `BatchedNMSDynamic_TRT`, `TRTBatchedNMS`.
fn of_tensorrt(domain: &str, name: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    name.ends_with("_TRT")
        || name.starts_with("TRT")
        || domain == "trt"
        || domain.contains("tensorrt")
        || domain.starts_with("trt.")
}

/// `the model file 'x.onnx'`, or `the model` for one in memory.
fn label(path: &Option<PathBuf>) -> String {
    match path {
        Some(path) => format!("the model file '{}'", path.display()),
        None => "the model".to_owned(),
    }
}

/// Why a file is not a usable model. The operator has to act; a retry with the same file does not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// The file could not be read.
    #[error("cannot read the model file '{}': {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// A directory, pipe or device.
    #[error("'{}' is not a regular file: name the .onnx file itself", path.display())]
    NoFile {
        /// The path as given.
        path: PathBuf,
    },
    /// Above [`MAX_MODEL_BYTES`].
    #[error("the model '{}' has {bytes} bytes with its weights, but at most {MAX_MODEL_BYTES} are read: use a smaller model", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        bytes: u64,
    },
    /// Something else than an ONNX model.
    #[error("{} {}", label(path), found.explain())]
    NoModel {
        /// The file, unless it was in memory.
        path: Option<PathBuf>,
        /// What it is.
        found: ForeignFile,
    },
    /// An ONNX model whose end is missing.
    #[error(
        "{} is truncated: it has {found} bytes, and at least {missing} more are missing: copy or download it again",
        label(path)
    )]
    Truncated {
        /// The file, unless it was in memory.
        path: Option<PathBuf>,
        /// Bytes that it has.
        found: u64,
        /// Bytes that are missing at least.
        missing: u64,
    },
    /// An ONNX model with bytes that mean nothing.
    #[error("{} is damaged at byte {at}: copy or download it again", label(path))]
    Damaged {
        /// The file, unless it was in memory.
        path: Option<PathBuf>,
        /// Where it makes no sense.
        at: usize,
    },
    /// An ONNX model that is larger or deeper than a runtime is given, since it would end the program.
    #[error(
        "{} has {limit}: simplify it (onnxsim), or export it without unrolled loops",
        label(path)
    )]
    Beyond {
        /// The file, unless it was in memory.
        path: Option<PathBuf>,
        /// What there is too much of.
        limit: ModelLimit,
    },
    /// A node that runs in TensorRT only.
    #[error(
        "{} has the operator '{operator}', which only TensorRT runs: export it for ONNX Runtime, without TensorRT's plug-ins \
         (without --end2end, or with non-maximum suppression outside of the model)",
        label(path)
    )]
    TensorRtOperator {
        /// The file, unless it was in memory.
        path: Option<PathBuf>,
        /// The operator.
        operator: String,
    },
    /// The model's weights are in a file that cannot be read.
    #[error(
        "the weights of the model '{}' are in '{weights}' next to it, which cannot be read: {cause}: copy both files into one directory",
        path.display()
    )]
    Weights {
        /// The model.
        path: PathBuf,
        /// The file as the model names it.
        weights: String,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The model names a file outside of its directory. It is not read.
    #[error(
        "the model '{}' names '{weights}' for its weights, which is outside of its own directory and therefore not read: \
         save the weights beside the model, or inside of it",
        path.display()
    )]
    WeightsOutside {
        /// The model.
        path: PathBuf,
        /// The file as the model names it.
        weights: String,
    },
    /// The file with the weights is too short.
    #[error(
        "the weights of the model '{}' in '{weights}' are truncated: they end at byte {needed}, but the file has {found}: copy both files again",
        path.display()
    )]
    WeightsShort {
        /// The model.
        path: PathBuf,
        /// The file as the model names it.
        weights: String,
        /// Bytes that it must have at least.
        needed: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// A model in memory whose weights are in a file.
    #[error("the weights of the model are in another file: load the model by its path")]
    WeightsElsewhere,
}

#[cfg(test)]
mod tests;

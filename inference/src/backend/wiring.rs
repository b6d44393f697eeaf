//! What goes into a network and which of its outputs are read: the description of a model compared with its file.

use super::LoadError;
use crate::model::ModelSpec;
use crate::model::image_input::{ExtraInput, ImageElement, ImageInput, list};
use crate::onnx::ModelGraph;

/// The inputs and outputs of a network that a detector uses.
#[derive(Debug, Clone)]
pub(crate) struct Wiring {
    pub(crate) image: ImageInput,
    pub(crate) extras: Vec<ExtraInput>,
    /// Names, in the order in which they are decoded.
    pub(crate) outputs: Vec<String>,
    pub(crate) batch: Batch,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// How many frames a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// The file fixes it; missing frames are filled with what the tensor held.
    Fixed(usize),
    /// Any number up to this.
    UpTo(usize),
}

impl Batch {
    pub(crate) fn largest(self) -> usize {
        match self {
            Self::Fixed(rows) | Self::UpTo(rows) => rows.max(1),
        }
    }

    pub(crate) fn rows(self, frames: usize) -> usize {
        match self {
            Self::Fixed(rows) => rows.max(frames),
            Self::UpTo(_) => frames,
        }
    }
}

impl Wiring {
    /// Compares the description with the file.
    pub(crate) fn new(spec: &ModelSpec, graph: &ModelGraph) -> Result<Self, LoadError> {
        let model = || spec.name().to_owned();
        let input = |cause| LoadError::Input {
            model: model(),
            cause,
        };
        let image = ImageInput::find(graph).map_err(input)?;
        let (width, height) = (spec.input().width(), spec.input().height());
        let fits = |found: Option<u32>, expected| found.is_none_or(|found| found == expected);
        if !(fits(image.width, width) && fits(image.height, height)) {
            return Err(LoadError::InputShape {
                model: model(),
                expected: [width, height],
                found: image.described,
            });
        }
        if image.element == ImageElement::Uint8 && !spec.input().is_plain() {
            return Err(LoadError::ByteInput {
                model: model(),
                found: image.described,
            });
        }
        let extras = image.extras(graph, width, height).map_err(input)?;
        let outputs = spec.family().outputs(graph).ok_or_else(|| LoadError::Outputs {
            model: model(),
            family: spec.family(),
            found: list(graph.outputs()),
        })?;
        let batch = image
            .batch
            .map_or(Batch::UpTo(spec.largest_batch()), Batch::Fixed);
        Ok(Self {
            image,
            extras,
            outputs,
            batch,
            width: width as usize,
            height: height as usize,
        })
    }

    /// Shape of the picture's tensor.
    pub(crate) fn image_shape(&self, rows: usize) -> [usize; 4] {
        if self.image.channels_last {
            [rows, self.height, self.width, 3]
        } else {
            [rows, 3, self.height, self.width]
        }
    }
}

//! Which input of a network takes the picture, how it lies there, and what the other inputs want.

use crate::onnx::{ElementType, ModelGraph, TensorInfo};
use crate::{MAX_BATCH, MAX_INPUT_SIDE};

/// The input that takes the picture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ImageInput {
    pub(crate) name: String,
    pub(crate) element: ImageElement,
    /// `[frame, row, column, channel]` (NHWC) instead of `[frame, channel, row, column]` (NCHW).
    pub(crate) channels_last: bool,
    /// Frames; `None` if the file leaves them open.
    pub(crate) batch: Option<usize>,
    pub(crate) height: Option<u32>,
    pub(crate) width: Option<u32>,
    /// Type and shape, for messages.
    pub(crate) described: String,
}

/// Types of pixels that a network may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageElement {
    Float32,
    Float16,
    Uint8,
}

/// An input beside the picture, with the values that it gets for each frame.
///
/// Networks that map boxes back to the camera's picture get values for which this picture is their own input: boxes then come
/// in pixels of the input, as those of all others.
#[cfg(any(feature = "rten", feature = "ort", feature = "kserve", test))]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExtraInput {
    pub(crate) name: String,
    pub(crate) element: ElementType,
    /// Frames, where the file fixes them.
    pub(crate) rows: Option<usize>,
    /// Sides of one frame's values.
    pub(crate) sides: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// Why no picture can be given to a network. Its file or the way it was exported is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// No input, or several and none that could take a picture.
    #[error("the model has no input for a picture, but {found}: use a detector that takes pictures")]
    NoPicture {
        /// Its inputs.
        found: String,
    },
    /// The picture's pixels have a type that is not supported.
    #[error(
        "the model takes pixels of {element} ({found}): export it with an input of float32, float16 or uint8"
    )]
    Element {
        /// The type.
        element: ElementType,
        /// The input.
        found: String,
    },
    /// The input has four dimensions or another number, but none of them is three colours.
    #[error(
        "the input of the model is {found}, but a picture is [frames, 3, height, width] (NCHW) or \
         [frames, height, width, 3] (NHWC, channels last): export it for colour pictures in one of these layouts"
    )]
    Layout {
        /// The input.
        found: String,
    },
    /// A side or the batch is out of range.
    #[error(
        "the input of the model is {found}, but sides are 1..={MAX_INPUT_SIDE} pixels and batches 1..={MAX_BATCH} frames: \
         export it with others"
    )]
    Size {
        /// The input.
        found: String,
    },
    /// An input beside the picture whose meaning is unknown.
    #[error(
        "the model has a second input, {found}, whose meaning is not known: export the detector with the picture as its only input"
    )]
    Extra {
        /// The input.
        found: String,
    },
}

impl ImageInput {
    /// The picture's input.
    pub(crate) fn find(graph: &ModelGraph) -> Result<Self, InputError> {
        let inputs = graph.inputs();
        let four = inputs.iter().find(|input| input.rank() == Some(4));
        let alone = || match inputs {
            [input] => Some(input),
            _ => None,
        };
        let input = four.or_else(alone).ok_or_else(|| InputError::NoPicture {
            found: match inputs {
                [] => "none at all".to_owned(),
                inputs => list(inputs),
            },
        })?;
        let found = || input.to_string();
        let element = match input.element {
            // A file that states no type is tried with the usual one.
            ElementType::Float32 | ElementType::Other(0) => ImageElement::Float32,
            ElementType::Float16 => ImageElement::Float16,
            ElementType::Uint8 => ImageElement::Uint8,
            element => {
                return Err(InputError::Element {
                    element,
                    found: found(),
                });
            }
        };
        let (batch, channels_last, height, width) = match input.shape.as_deref() {
            // Without a shape, only the trial run shows whether it fits.
            None | Some([]) => (None, false, None, None),
            Some(&[batch, Some(3), height, width]) => (batch, false, height, width),
            Some(&[batch, height, width, Some(3)]) => (batch, true, height, width),
            Some(&[batch, None, height, width]) => (batch, false, height, width),
            Some(_) => return Err(InputError::Layout { found: found() }),
        };
        let side = |side: Option<usize>| match side {
            None => Ok(None),
            Some(side) => match u32::try_from(side) {
                Ok(side) if side <= MAX_INPUT_SIDE => Ok(Some(side)),
                _ => Err(InputError::Size { found: found() }),
            },
        };
        if batch.is_some_and(|batch| batch > MAX_BATCH) {
            return Err(InputError::Size { found: found() });
        }
        let described = if channels_last {
            format!("{input} (channels last, NHWC)")
        } else {
            found()
        };
        Ok(Self {
            name: input.name.clone(),
            element,
            channels_last,
            batch,
            height: side(height)?,
            width: side(width)?,
            described,
        })
    }

    /// The other inputs, for pictures of a size.
    #[cfg(any(feature = "rten", feature = "ort", feature = "kserve", test))]
    pub(crate) fn extras(
        &self,
        graph: &ModelGraph,
        width: u32,
        height: u32,
    ) -> Result<Vec<ExtraInput>, InputError> {
        let others = graph.inputs().iter().filter(|input| input.name != self.name);
        others.map(|input| extra(input, width, height)).collect()
    }
}

#[cfg(any(feature = "rten", feature = "ort", feature = "kserve", test))]
fn extra(input: &TensorInfo, width: u32, height: u32) -> Result<ExtraInput, InputError> {
    let unknown = || InputError::Extra {
        found: input.to_string(),
    };
    let (width_px, height_px) = (width as f32, height as f32);
    let pair = |values: [f32; 2]| (vec![2], values.to_vec());
    let (sides, values) = match input.name.trim_end_matches(":0") {
        // RT-DETR, D-FINE: width first.
        "orig_target_sizes" => pair([width_px, height_px]),
        // PaddleDetection: input over source, which are the same here.
        "scale_factor" => pair([1.0, 1.0]),
        // PaddleDetection, Keras YOLOv3: height first.
        "im_shape" | "image_shape" => pair([height_px, width_px]),
        // Transformers' DETR: ones where there is a picture.
        "pixel_mask" => {
            let side = |index, open: u32| {
                input
                    .dim(index)
                    .unwrap_or(open as usize)
                    .min(MAX_INPUT_SIDE as usize)
            };
            let sides = vec![side(1, height), side(2, width)];
            let values = vec![1.0; sides.iter().product()];
            (sides, values)
        }
        _ => return Err(unknown()),
    };
    if !matches!(
        input.element,
        ElementType::Float32 | ElementType::Int32 | ElementType::Int64
    ) {
        return Err(unknown());
    }
    Ok(ExtraInput {
        name: input.name.clone(),
        element: input.element,
        rows: input.dim(0),
        sides,
        values,
    })
}

/// `a float32 [1], b int64 [2]`.
pub(crate) fn list(tensors: &[TensorInfo]) -> String {
    const LISTED: usize = 8;
    let mut text: Vec<_> = tensors.iter().take(LISTED).map(ToString::to_string).collect();
    if tensors.len() > LISTED {
        text.push(format!("and {} more", tensors.len() - LISTED));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::writer::{FLOAT, FLOAT16, INT64, UINT8, Writer};

    fn graph(writer: &Writer) -> ModelGraph {
        ModelGraph::read(&writer.bytes()).unwrap()
    }

    fn find(element: u64, shape: &[u64]) -> Result<ImageInput, InputError> {
        ImageInput::find(&graph(&Writer::new().input("x", element, shape)))
    }

    #[test]
    fn layouts_and_types() {
        let first = find(FLOAT16, &[0, 3, 0, 64]).unwrap();
        assert_eq!(
            (first.element, first.channels_last),
            (ImageElement::Float16, false)
        );
        assert_eq!((first.batch, first.height, first.width), (None, None, Some(64)));
        let last = find(UINT8, &[2, 32, 64, 3]).unwrap();
        assert_eq!((last.element, last.channels_last), (ImageElement::Uint8, true));
        assert_eq!(
            (last.batch, last.height, last.width),
            (Some(2), Some(32), Some(64))
        );
        assert!(matches!(
            find(INT64, &[1, 3, 8, 8]),
            Err(InputError::Element { .. })
        ));
        assert!(matches!(
            find(FLOAT, &[1, 1, 8, 8]),
            Err(InputError::Layout { .. })
        ));
        assert!(matches!(find(FLOAT, &[3, 8, 8]), Err(InputError::Layout { .. })));
        assert!(matches!(
            find(FLOAT, &[1, 3, 8, 100_000]),
            Err(InputError::Size { .. })
        ));
        assert!(matches!(
            find(FLOAT, &[1000, 3, 8, 8]),
            Err(InputError::Size { .. })
        ));
    }

    #[test]
    fn the_other_inputs_speak_of_the_input_itself() {
        let writer = Writer::new()
            .input("orig_target_sizes", INT64, &[0, 2])
            .input("image", FLOAT, &[0, 3, 32, 64])
            .input("im_shape", FLOAT, &[1, 2])
            .input("scale_factor", FLOAT, &[1, 2]);
        let graph = graph(&writer);
        let image = ImageInput::find(&graph).unwrap();
        let extras = image.extras(&graph, 64, 32).unwrap();
        let values: Vec<_> = extras.iter().map(|e| e.values.as_slice()).collect();
        assert_eq!(values, [[64.0, 32.0], [32.0, 64.0], [1.0, 1.0]]);
        let unknown = ModelGraph::read(&writer.input("tokens", INT64, &[1]).bytes()).unwrap();
        let error = image.extras(&unknown, 64, 32).unwrap_err().to_string();
        assert!(error.contains("tokens int64 [1]"), "{error}");
    }
}

//! Names of classes, and choosing among them.

use std::fmt;

/// The 80 classes of COCO in the order and spelling of the darknet list, which FastestDet and many others
/// use.
#[rustfmt::skip]
pub const COCO_CLASS_NAMES: [&str; 80] = [
    "person", "bicycle", "car", "motorbike", "aeroplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "sofa",
    "pottedplant", "bed", "diningtable", "toilet", "tvmonitor", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase",
    "scissors", "teddy bear", "hair drier", "toothbrush",
];

/// A class by name or by index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClassSelector {
    /// By its name, as in the model's list; case matters.
    Name(String),
    /// By its index in the model's list.
    Index(u16),
}

impl ClassSelector {
    /// Index of the class in a list of names; `None` when the list has no such class.
    pub(super) fn find(&self, names: &[String]) -> Option<usize> {
        match self {
            Self::Name(name) => names.iter().position(|n| n == name),
            Self::Index(index) => Some(usize::from(*index)).filter(|&i| i < names.len()),
        }
    }
}

impl From<&str> for ClassSelector {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for ClassSelector {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<u16> for ClassSelector {
    fn from(index: u16) -> Self {
        Self::Index(index)
    }
}

impl fmt::Display for ClassSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "'{name}'"),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

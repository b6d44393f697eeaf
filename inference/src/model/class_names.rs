//! Names of classes, and choosing among them.

use std::fmt;

use super::ModelFamily;

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

/// Numbers up to 90 that COCO leaves out.
const NOT_IN_COCO: [usize; 10] = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];

/// The classes of COCO by their original numbers 0..=90, as networks of TensorFlow and RF-DETR give them: 1 is a person, 0
/// and ten others are unused.
pub(crate) fn coco_by_number() -> Vec<String> {
    let mut names = COCO_CLASS_NAMES.iter();
    let name = |number: usize| match number {
        0 => "background".to_owned(),
        number if NOT_IN_COCO.contains(&number) => format!("unused {number}"),
        _ => names.next().copied().unwrap_or_default().to_owned(),
    };
    (0..=90).map(name).collect()
}

/// The names of a published model of a family with so many classes, or of its most usual one.
pub(crate) fn usual(family: ModelFamily, classes: Option<usize>) -> Vec<String> {
    let own = |names: &[&str]| names.iter().copied().map(String::from).collect::<Vec<_>>();
    let usual = match family {
        ModelFamily::PersonGrid => own(&["person"]),
        ModelFamily::DetectNetV2 => own(&["person", "bag", "face"]),
        ModelFamily::DetectionOutput => own(&["background", "person"]),
        ModelFamily::TensorFlow | ModelFamily::RfDetr => coco_by_number(),
        _ => own(&COCO_CLASS_NAMES),
    };
    match classes {
        None => usual,
        Some(classes) if classes == usual.len() => usual,
        Some(80) => own(&COCO_CLASS_NAMES),
        // Detectors of one class are detectors of people here.
        Some(1) => own(&["person"]),
        Some(classes) => (0..classes).map(|class| format!("class {class}")).collect(),
    }
}

/// Spellings of COCO's own list for those of darknet's.
const SPELLINGS: [(&str, &str); 6] = [
    ("motorcycle", "motorbike"),
    ("airplane", "aeroplane"),
    ("couch", "sofa"),
    ("potted plant", "pottedplant"),
    ("dining table", "diningtable"),
    ("tv", "tvmonitor"),
];

/// A class by name or by index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClassSelector {
    /// By its name, as in the model's list. Case does not matter, nor which of two spellings of COCO's list it has
    /// (`motorcycle`, `motorbike`).
    Name(String),
    /// By its index in the model's list.
    Index(u16),
}

impl ClassSelector {
    /// Index of the class in a list of names; `None` when the list has no such class.
    pub(crate) fn find(&self, names: &[String]) -> Option<usize> {
        match self {
            Self::Name(name) => {
                let like = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name));
                let other = || {
                    let pair = |(a, b): &(&str, &str)| {
                        let other = if name.eq_ignore_ascii_case(a) { b } else { a };
                        let named = name.eq_ignore_ascii_case(a) || name.eq_ignore_ascii_case(b);
                        if named { like(other) } else { None }
                    };
                    SPELLINGS.iter().find_map(pair)
                };
                names
                    .iter()
                    .position(|n| n == name)
                    .or_else(|| like(name))
                    .or_else(other)
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_coco() {
        let names = coco_by_number();
        assert_eq!(names.len(), 91);
        for (number, name) in [
            (1, "person"),
            (13, "stop sign"),
            (44, "bottle"),
            (90, "toothbrush"),
        ] {
            assert_eq!(names[number], name);
        }
    }

    #[test]
    fn spellings_are_forgiven() {
        let names: Vec<_> = COCO_CLASS_NAMES.iter().copied().map(String::from).collect();
        for (name, index) in [("Person", 0), ("motorcycle", 3), ("TV", 62), ("tvmonitor", 62)] {
            assert_eq!(ClassSelector::from(name).find(&names), Some(index), "{name}");
        }
        let modern = ["tv".to_owned()];
        assert_eq!(ClassSelector::from("tvmonitor").find(&modern), Some(0));
        assert_eq!(ClassSelector::from("persona").find(&names), None);
    }
}

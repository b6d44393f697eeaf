//! Numbers of the contract: single precision on the wire, shortest text in JSON.

use serde::{Serialize, Serializer};
use std::fmt;

/// A number of an inference: a coordinate or a confidence.
///
/// The gRPC contract has single precision and prints it in the shortest way (`0.66026187`), HTTP extensions write
/// double precision. A plain `f64` would turn the first into `0.6602618694305420`, a plain `f32` would cut the
/// second. So a `Real` keeps double precision, and [`From<f32>`] goes by the shortest decimal text of the single.
///
/// Values that are not finite have no JSON number; they are written as the strings `"NaN"`, `"Infinity"` and
/// `"-Infinity"` (as in proto3's JSON mapping) and read back from them.
#[derive(Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Real(f64);

impl Real {
    /// Nought.
    pub const ZERO: Self = Self(0.0);

    /// In double precision.
    pub fn get(self) -> f64 {
        self.0
    }

    /// In single precision. What came from an `f32` comes back as it was.
    pub fn to_f32(self) -> f32 {
        self.0 as f32
    }

    /// Whether it is neither infinite nor NaN.
    pub fn is_finite(self) -> bool {
        self.0.is_finite()
    }

    /// Reads one of the three texts for values that are not finite, or a decimal number.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        match text {
            "NaN" => Some(Self(f64::NAN)),
            "Infinity" => Some(Self(f64::INFINITY)),
            "-Infinity" => Some(Self(f64::NEG_INFINITY)),
            // `f64` would read "inf" and "nan" too, which no JSON mapping writes.
            _ if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => {
                text.parse().ok().map(Self)
            }
            _ => None,
        }
    }
}

impl From<f64> for Real {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<f32> for Real {
    fn from(value: f32) -> Self {
        let widened = f64::from(value);
        // Halves, quarters, noughts and ones are most of what is drawn by hand and need no detour.
        if !value.is_finite() || f64::from((value * 1024.0) as i32) == widened * 1024.0 {
            return Self(widened);
        }
        // Display of a float is its shortest text that reads back to it.
        Self(value.to_string().parse().unwrap_or(widened))
    }
}

impl From<Real> for f64 {
    fn from(value: Real) -> Self {
        value.0
    }
}

impl fmt::Debug for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f64(self.0)
        } else if self.0.is_nan() {
            serializer.serialize_str("NaN")
        } else {
            serializer.serialize_str(if self.0 > 0.0 { "Infinity" } else { "-Infinity" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_precision_is_printed_shortest() {
        for text in ["0.66026187", "0.26559368", "0.9458008", "0.1", "1.0", "0.0"] {
            let single: f32 = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&Real::from(single)).unwrap(), text);
            assert_eq!(
                serde_json::to_value(Real::from(single)).unwrap().to_string(),
                text
            );
        }
    }

    #[test]
    fn double_precision_stays() {
        assert_eq!(
            serde_json::to_string(&Real::from(0.0344108157687717_f64)).unwrap(),
            "0.0344108157687717"
        );
    }

    #[test]
    fn what_is_no_number_is_a_word() {
        assert_eq!(serde_json::to_string(&Real::from(f32::NAN)).unwrap(), "\"NaN\"");
        assert_eq!(
            serde_json::to_string(&Real::from(f64::NEG_INFINITY)).unwrap(),
            "\"-Infinity\""
        );
        assert_eq!(Real::from_text("Infinity"), Some(Real::from(f64::INFINITY)));
        assert_eq!(Real::from_text("inf"), None);
        assert_eq!(Real::from_text("1e-3"), Some(Real::from(0.001)));
        assert_eq!(Real::from_text(""), None);
    }

    proptest! {
        #[test]
        fn singles_come_back(bits in any::<u32>()) {
            let single = f32::from_bits(bits);
            let back = Real::from(single).to_f32();
            prop_assert!(back == single || (back.is_nan() && single.is_nan()));
        }
    }
}

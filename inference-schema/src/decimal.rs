//! Numbers of the contract: single precision on the wire, the shortest decimal in JSON.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::read::wrong_type;

/// A number of an inference: a coordinate or a confidence.
///
/// The gRPC contract has single precision and prints it in the shortest way (`0.66026187`), HTTP extensions write double
/// precision. A plain `f64` would turn the first into `0.6602618694305420`, a plain `f32` would cut the second. So a
/// `Decimal` has double precision, and [`From<f32>`] goes by the shortest decimal of the single.
///
/// JSON has no numbers that are not finite: they are the strings `"NaN"`, `"Infinity"` and `"-Infinity"`, as in proto3's JSON
/// mapping.
#[derive(Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Decimal(f64);

impl Decimal {
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

    fn parse(text: &str) -> Option<Self> {
        match text {
            "NaN" => Some(Self(f64::NAN)),
            "Infinity" => Some(Self(f64::INFINITY)),
            "-Infinity" => Some(Self(f64::NEG_INFINITY)),
            // `f64` would accept "inf" and "nan" too, which no JSON mapping writes.
            _ if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => {
                text.parse().ok().map(Self)
            }
            _ => None,
        }
    }
}

impl From<f64> for Decimal {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<f32> for Decimal {
    fn from(value: f32) -> Self {
        let widened = f64::from(value);
        // Halves, quarters, zeros and ones are common in configurations drawn by hand, and need no detour.
        if !value.is_finite() || f64::from((value * 1024.0) as i32) == widened * 1024.0 {
            return Self(widened);
        }
        // `Display` of a float is its shortest decimal that reads back to it.
        Self(value.to_string().parse().unwrap_or(widened))
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            finite if finite.is_finite() => serializer.serialize_f64(finite),
            nan if nan.is_nan() => serializer.serialize_str("NaN"),
            infinite if infinite > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// Also accepts numbers in strings.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let read = match &value {
            Value::Number(number) => number.as_f64().map(Self),
            Value::String(text) => Self::parse(text.trim()),
            _ => None,
        };
        read.ok_or_else(|| wrong_type("a number", &value))
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
            assert_eq!(serde_json::to_string(&Decimal::from(single)).unwrap(), text);
            assert_eq!(
                serde_json::to_value(Decimal::from(single)).unwrap().to_string(),
                text
            );
        }
    }

    #[test]
    fn double_precision_is_kept() {
        assert_eq!(
            serde_json::to_string(&Decimal::from(0.0344108157687717_f64)).unwrap(),
            "0.0344108157687717"
        );
    }

    #[test]
    fn numbers_that_are_not_finite_are_strings() {
        assert_eq!(
            serde_json::to_string(&Decimal::from(f32::NAN)).unwrap(),
            "\"NaN\""
        );
        assert_eq!(
            serde_json::to_string(&Decimal::from(f64::NEG_INFINITY)).unwrap(),
            "\"-Infinity\""
        );
        assert_eq!(Decimal::parse("Infinity"), Some(Decimal::from(f64::INFINITY)));
        assert_eq!(Decimal::parse("inf"), None);
        assert_eq!(Decimal::parse("1e-3"), Some(Decimal::from(0.001)));
        assert_eq!(Decimal::parse(""), None);
    }

    proptest! {
        #[test]
        fn singles_come_back(bits in any::<u32>()) {
            let single = f32::from_bits(bits);
            let back = Decimal::from(single).to_f32();
            prop_assert!(back == single || (back.is_nan() && single.is_nan()));
        }
    }
}

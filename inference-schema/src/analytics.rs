//! The body of an analytics message.

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::inference::{Extra, Inference};
use crate::read::{ReadError, optional_integer, read};
use crate::style::{JsonStyle, WithStyle, to_value, write_extra, write_option};

/// The body of an `Inference` event: `{"timestamp": …, "inferences": […]}`.
///
/// Do not send a message without inferences: the published JSON schema asks for at least one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnalyticsBody {
    /// Media time of the frame, in ticks of 1/90000 s since 1970. The first previews left it out for HTTP extensions.
    pub timestamp_90k: Option<u64>,
    /// The results for the frame.
    pub inferences: Vec<Inference>,
    /// Unknown members.
    pub extra: Extra,
}

/// A body as it is written.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Members {
    #[serde(default, deserialize_with = "optional_integer")]
    timestamp: Option<u64>,
    inferences: Vec<Value>,
    #[serde(flatten)]
    extra: Extra,
}

impl AnalyticsBody {
    /// A body for the frame of this time.
    pub fn new(timestamp_90k: u64, inferences: Vec<Inference>) -> Self {
        Self {
            timestamp_90k: Some(timestamp_90k),
            inferences,
            extra: Extra::new(),
        }
    }

    /// Reads a body of either style; see [`Inference::from_json`].
    ///
    /// # Errors
    ///
    /// [`ReadError`] with the JSON pointer of what is wrong, also when `inferences` is missing.
    pub fn from_json(value: Value) -> Result<Self, ReadError> {
        let members: Members = read(value)?;
        let read_item = |(index, item)| {
            Inference::from_json(item).map_err(|error| error.below(format_args!("/inferences/{index}")))
        };
        Ok(Self {
            timestamp_90k: members.timestamp,
            inferences: members
                .inferences
                .into_iter()
                .enumerate()
                .map(read_item)
                .collect::<Result<_, _>>()?,
            extra: members.extra,
        })
    }

    /// Reads a body from JSON text.
    ///
    /// # Errors
    ///
    /// [`ReadError`], also for nesting beyond 128 levels.
    pub fn from_slice(json: &[u8]) -> Result<Self, ReadError> {
        Self::from_json(serde_json::from_slice(json)?)
    }

    /// This body in a style, to be serialised.
    pub fn styled(&self, style: JsonStyle) -> WithStyle<'_, Self> {
        WithStyle { value: self, style }
    }

    /// This body as a JSON value.
    pub fn to_json(&self, style: JsonStyle) -> Value {
        to_value(&self.styled(style))
    }
}

impl Serialize for WithStyle<'_, AnalyticsBody> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Items<'a>(&'a [Inference], JsonStyle);
        impl Serialize for Items<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.iter().map(|inference| inference.styled(self.1)))
            }
        }
        let mut map = serializer.serialize_map(None)?;
        write_option(&mut map, "timestamp", self.value.timestamp_90k.as_ref())?;
        map.serialize_entry("inferences", &Items(&self.value.inferences, self.style))?;
        write_extra(&mut map, &self.value.extra)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for AnalyticsBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Adds the frame's `timestamp` to the response of an HTTP extension and leaves the rest as the server wrote it: the order of
/// its members too, with `serde_json`'s feature `preserve_order`. Returns anything but an object unchanged.
///
/// ```
/// let answer = serde_json::json!({ "inferences": [] });
/// let body = lva_inference_schema::add_timestamp(answer, 143810610210090);
/// assert_eq!(body.to_string(), r#"{"timestamp":143810610210090,"inferences":[]}"#);
/// ```
pub fn add_timestamp(response: Value, timestamp_90k: u64) -> Value {
    match response {
        Value::Object(members) => {
            let mut body = serde_json::Map::with_capacity(members.len() + 1);
            body.insert("timestamp".to_owned(), timestamp_90k.into());
            body.extend(members.into_iter().filter(|(name, _)| name != "timestamp"));
            Value::Object(body)
        }
        other => other,
    }
}

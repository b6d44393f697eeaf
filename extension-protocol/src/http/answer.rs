//! The body of a successful answer.

use lva_inference_schema::{AnalyticsBody, Inference, JsonStyle, OtherContent, add_timestamp};
use serde_json::Value;

use super::picture::essence;
use crate::bounds::{self, LeftOut};

/// An extension's result for a picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HttpContent {
    /// No result, so no event.
    Nothing,
    /// Inferences of the schema, or one of type `other` around an answer that is not JSON.
    Inferences {
        /// The parsed inferences. Boxes are fractions of the picture as sent.
        inferences: Vec<Inference>,
        /// The whole answer as the server wrote it, with its order of members; less what is too much.
        json: Value,
    },
    /// Other JSON, published as it is. Includes inferences that violate the schema, as Microsoft's C# sample writes them.
    Json(Value),
}

impl HttpContent {
    /// Reads the body of an answer with a status of 200 to 299.
    ///
    /// `content_type` is the header, parameters included; without one, the body counts as `application/octet-stream`.
    /// JSON is `application/json`, `text/json`, and any type that ends in `+json`.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if the content type is JSON and the body is not.
    pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, AnswerError> {
        Self::read_and_count(content_type, body).map(|(content, _)| content)
    }

    /// The same, and what was left out because it was too much.
    pub(super) fn read_and_count(
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<(Self, LeftOut), AnswerError> {
        let whole = |content| Ok((content, LeftOut::default()));
        if body.is_empty() {
            return whole(Self::Nothing);
        }
        let name = content_type.map(essence).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| "application/octet-stream".to_owned());
        if !matches!(name.as_str(), "application/json" | "text/json") && !name.ends_with("+json") {
            return whole(Self::wrapped(&name, body));
        }
        // A byte order mark may be ignored (RFC 8259, section 8.1), and some servers write one.
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let json: Value = serde_json::from_slice(text).map_err(AnswerError)?;
        let Some(list) = json.get("inferences") else {
            return whole(Self::Json(json));
        };
        if list.as_array().is_some_and(Vec::is_empty) {
            return whole(Self::Nothing);
        }
        match AnalyticsBody::from_json(json.clone()) {
            Ok(mut read) => {
                let left_out = bounds::bound(&mut read.inferences);
                let content = Self::Inferences {
                    json: match left_out == LeftOut::default() {
                        true => json,
                        false => read.to_json(JsonStyle::VideoAnalyzer),
                    },
                    inferences: read.inferences,
                };
                Ok((content, left_out))
            }
            Err(error) => {
                tracing::debug!(%error, "an answer with inferences that violate the schema is published as it is");
                whole(Self::Json(json))
            }
        }
    }

    fn wrapped(content_type: &str, body: &[u8]) -> Self {
        let other = OtherContent {
            content_type: content_type.to_owned(),
            content_bytes: body.to_vec(),
            ..OtherContent::default()
        };
        let body = AnalyticsBody {
            inferences: vec![Inference::new(other)],
            ..AnalyticsBody::default()
        };
        Self::Inferences {
            json: body.to_json(JsonStyle::VideoAnalyzer),
            inferences: body.inferences,
        }
    }

    /// The parsed inferences; empty for other JSON.
    pub fn inferences(&self) -> &[Inference] {
        match self {
            Self::Inferences { inferences, .. } => inferences,
            Self::Nothing | Self::Json(_) => &[],
        }
    }

    /// The body of the event to publish, with the frame's time in ticks of 1/90000 s; `None` without a result.
    pub fn event_body(&self, timestamp_90k: u64) -> Option<Value> {
        match self {
            Self::Nothing => None,
            Self::Inferences { json, .. } | Self::Json(json) => {
                Some(add_timestamp(json.clone(), timestamp_90k))
            }
        }
    }
}

/// An answer with a content type of JSON and another body. The server is at fault; the next answer may be valid.
#[derive(Debug, thiserror::Error)]
#[error("the content type of the answer is JSON, but its body is not: {0}")]
pub struct AnswerError(serde_json::Error);

#[cfg(test)]
mod tests {
    use lva_inference_schema::InferenceKind;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PERSON: &str = r#"{"inferences":[{"type":"entity","entity":{"tag":{"value":"person","confidence":0.9},"box":{"l":0.1,"t":0.2,"w":0.3,"h":0.4}}}]}"#;

    fn read(content_type: &str, body: &str) -> HttpContent {
        HttpContent::read(Some(content_type), body.as_bytes()).unwrap()
    }

    #[test]
    fn inferences_are_parsed_and_published_as_written() {
        for name in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.x+json",
            "text/json",
        ] {
            let content = read(name, PERSON);
            assert_eq!(content.inferences().len(), 1);
            let stamped = content.event_body(7).unwrap().to_string();
            assert_eq!(stamped, PERSON.replacen('{', r#"{"timestamp":7,"#, 1));
        }
        let with_mark = format!("\u{feff}{PERSON}");
        assert_eq!(read("application/json", &with_mark).inferences().len(), 1);
    }

    #[test]
    fn other_json_and_inferences_that_violate_the_schema_are_published() {
        let csharp = r#"{"inferences":[{"type":"classification","subType":"colorIntensity","classification":{"confidence":1.0,"value":"dark"}}]}"#;
        for text in [
            csharp,
            r#"{"people":3}"#,
            "[1,2]",
            r#""text""#,
            r#"{"inferences":"none"}"#,
        ] {
            let content = read("application/json", text);
            assert_eq!(content, HttpContent::Json(serde_json::from_str(text).unwrap()));
            assert!(content.inferences().is_empty());
        }
        assert_eq!(
            read("application/json", "[1,2]").event_body(7),
            Some(json!([1, 2]))
        );
    }

    #[test]
    fn answers_that_are_not_json_are_wrapped() {
        let content = read("text/plain; charset=utf-8", "3 people");
        assert_eq!(content.inferences()[0].kind(), InferenceKind::Other);
        assert_eq!(
            content.event_body(7).unwrap(),
            json!({"timestamp": 7, "inferences": [
                {"type": "other", "other": {"contentType": "text/plain", "contentBytes": "MyBwZW9wbGU="}}
            ]})
        );
        let unnamed = HttpContent::read(None, b"{}").unwrap();
        assert_eq!(
            unnamed.event_body(7).unwrap()["inferences"][0]["other"]["contentType"],
            "application/octet-stream"
        );
    }

    #[test]
    fn an_empty_answer_causes_no_event() {
        assert_eq!(read("application/json", ""), HttpContent::Nothing);
        assert_eq!(
            read("application/json", r#"{"inferences":[]}"#),
            HttpContent::Nothing
        );
        assert_eq!(HttpContent::Nothing.event_body(7), None);
    }

    #[test]
    fn invalid_json_is_an_error_with_its_position() {
        let error = HttpContent::read(Some("application/json"), b"{\"inferences\":[").unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        let deep = "[".repeat(100_000);
        assert!(HttpContent::read(Some("application/json"), deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(name in "[ -~]{0,30}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            for name in [None, Some(name.as_str()), Some("application/json")] {
                if let Ok(content) = HttpContent::read(name, &body) {
                    prop_assert_eq!(content.event_body(1).is_none(), content == HttpContent::Nothing);
                }
            }
        }

        #[test]
        fn wrapped_bytes_can_be_unwrapped(body in proptest::collection::vec(any::<u8>(), 1..200)) {
            let content = HttpContent::read(Some("application/x-tensor"), &body).unwrap();
            let again = AnalyticsBody::from_json(content.event_body(1).unwrap()).unwrap();
            let lva_inference_schema::InferenceValue::Other(other) = &again.inferences[0].value else { panic!() };
            prop_assert_eq!(&other.content_bytes, &body);
        }
    }
}

//! What the body of a good answer means.

use lva_inference_schema::{AnalyticsBody, Inference, JsonStyle, OtherContent, add_timestamp};
use serde_json::Value;

use super::picture::essence;

/// What an extension said about a picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HttpContent {
    /// It has seen nothing: no event.
    Nothing,
    /// Inferences by the schema, or one of type `other` around an answer that is no JSON.
    Inferences {
        /// As they were understood. Boxes are fractions of the picture as sent, and are passed on as they are.
        inferences: Vec<Inference>,
        /// The whole answer as the server wrote it, order of members included.
        json: Value,
    },
    /// Other JSON, inferences off the schema among it (Microsoft's C# sample answers so): passed on as it is.
    Json(Value),
}

impl HttpContent {
    /// Reads the body of an answer with a status of 200 or its like.
    ///
    /// `content_type` is the header, parameters included; without one, the body counts as `application/octet-stream`.
    /// JSON is `application/json`, `text/json`, and whatever ends in `+json`.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] where the header says JSON and the body does not.
    pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, AnswerError> {
        if body.is_empty() {
            return Ok(Self::Nothing);
        }
        let name = content_type.map(essence).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| "application/octet-stream".to_owned());
        if !matches!(name.as_str(), "application/json" | "text/json") && !name.ends_with("+json") {
            return Ok(Self::wrapped(&name, body));
        }
        // A byte order mark may be ignored (RFC 8259, section 8.1), and some servers write one.
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let json: Value = serde_json::from_slice(text).map_err(AnswerError)?;
        let Some(list) = json.get("inferences") else {
            return Ok(Self::Json(json));
        };
        if list.as_array().is_some_and(Vec::is_empty) {
            return Ok(Self::Nothing);
        }
        Ok(match AnalyticsBody::from_json(json.clone()) {
            Ok(body) => Self::Inferences {
                inferences: body.inferences,
                json,
            },
            Err(error) => {
                tracing::debug!(%error, "an answer with inferences off the schema is passed on as it is");
                Self::Json(json)
            }
        })
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

    /// What was understood; empty for other JSON.
    pub fn inferences(&self) -> &[Inference] {
        match self {
            Self::Inferences { inferences, .. } => inferences,
            Self::Nothing | Self::Json(_) => &[],
        }
    }

    /// The body of the event to publish, stamped with the frame's time in ticks of 1/90000 s; `None` where there is
    /// nothing to publish.
    pub fn event_body(&self, timestamp_90k: u64) -> Option<Value> {
        match self {
            Self::Nothing => None,
            Self::Inferences { json, .. } | Self::Json(json) => {
                Some(add_timestamp(json.clone(), timestamp_90k))
            }
        }
    }
}

/// An answer that calls itself JSON and is not. The server is at fault; the next picture may well be answered better.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not the JSON that it says it is: {0}")]
pub struct AnswerError(#[source] serde_json::Error);

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
    fn inferences_are_understood_and_kept_as_they_were_written() {
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
    fn other_json_and_inferences_off_the_schema_are_passed_on() {
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
    fn what_is_no_json_is_wrapped() {
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
    fn nothing_is_no_event() {
        assert_eq!(read("application/json", ""), HttpContent::Nothing);
        assert_eq!(
            read("application/json", r#"{"inferences":[]}"#),
            HttpContent::Nothing
        );
        assert_eq!(HttpContent::Nothing.event_body(7), None);
    }

    #[test]
    fn broken_json_is_an_error_with_the_place() {
        let error = HttpContent::read(Some("application/json"), b"{\"inferences\":[").unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        let deep = "[".repeat(100_000);
        assert!(HttpContent::read(Some("application/json"), deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(name in "[ -~]{0,30}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            for name in [None, Some(name.as_str()), Some("application/json")] {
                if let Ok(content) = HttpContent::read(name, &body) {
                    prop_assert_eq!(content.event_body(1).is_none(), content == HttpContent::Nothing);
                }
            }
        }

        #[test]
        fn bytes_that_are_wrapped_come_out_again(body in proptest::collection::vec(any::<u8>(), 1..200)) {
            let content = HttpContent::read(Some("application/x-tensor"), &body).unwrap();
            let again = AnalyticsBody::from_json(content.event_body(1).unwrap()).unwrap();
            let lva_inference_schema::InferenceValue::Other(other) = &again.inferences[0].value else { panic!() };
            prop_assert_eq!(&other.content_bytes, &body);
        }
    }
}

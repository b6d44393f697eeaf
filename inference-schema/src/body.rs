//! Bodies of the published events.

use crate::analytics::AnalyticsBody;
use crate::event_type::EventName;
use crate::inference::Extra;
use crate::read::{Members, Place, ReadError};
use crate::state_change::StateChange;
use crate::style::JsonStyle;
use serde_json::Value;

/// Body of an event, by what it holds. `RecordingStarted`, `RecordingAvailable` and `RecordingStopped` share a form,
/// as do the three errors that have an `errorCode`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventBody {
    /// Of [`EventName::Inference`].
    Analytics(AnalyticsBody),
    /// Of [`EventName::MediaSessionEstablished`].
    MediaSessionEstablished(MediaSessionEstablished),
    /// Of [`EventName::ProtocolError`].
    ProtocolError(ProtocolError),
    /// Of authentication, authorization and network errors.
    CodedError(CodedError),
    /// Of [`EventName::MediaFormatError`].
    MediaFormatError(MediaFormatError),
    /// Of [`EventName::DataDropped`].
    DataDropped(DataDropped),
    /// Of [`EventName::StorageError`].
    StorageError(StorageError),
    /// Of [`EventName::RuntimeError`].
    RuntimeError(RuntimeError),
    /// Of the three recording events.
    Recording(Recording),
    /// Of the events of instances. Theirs were never published, so that any other form is kept as [`Other`](Self::Other).
    StateChange(StateChange),
    /// Of events whose body is shown nowhere, and of types outside the catalogue.
    Other(Value),
}

impl EventBody {
    /// Reads the body of an event of this name; `None` is a name outside the catalogue.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the body is not of the published form. The JSON itself is still with the caller, who may
    /// pass it on as it is.
    pub fn from_json(name: Option<EventName>, body: Value) -> Result<Self, ReadError> {
        let Some(name) = name else {
            return Ok(Self::Other(body));
        };
        Ok(match name {
            EventName::Inference => Self::Analytics(AnalyticsBody::from_json(body)?),
            EventName::MediaSessionEstablished => {
                Self::MediaSessionEstablished(MediaSessionEstablished::from_json(body)?)
            }
            EventName::ProtocolError => Self::ProtocolError(ProtocolError::from_json(body)?),
            EventName::AuthenticationError | EventName::AuthorizationError | EventName::NetworkError => {
                Self::CodedError(CodedError::from_json(body)?)
            }
            EventName::MediaFormatError => Self::MediaFormatError(MediaFormatError::from_json(body)?),
            EventName::DataDropped => Self::DataDropped(DataDropped::from_json(body)?),
            EventName::StorageError => Self::StorageError(StorageError::from_json(body)?),
            EventName::RuntimeError => Self::RuntimeError(RuntimeError::from_json(body)?),
            EventName::RecordingStarted | EventName::RecordingAvailable | EventName::RecordingStopped => {
                Self::Recording(Recording::from_json(body)?)
            }
            EventName::GraphInstanceStarted
            | EventName::GraphInstanceStopped
            | EventName::GraphInstanceFailed
            | EventName::PipelineStateChanged => match StateChange::from_json(&body) {
                Some(change) => Self::StateChange(change),
                None => Self::Other(body),
            },
            EventName::VideoFormatError => Self::Other(body),
        })
    }

    /// The body as JSON. The style matters for analytics only.
    pub fn to_json(&self, style: JsonStyle) -> Value {
        match self {
            Self::Analytics(body) => body.to_json(style),
            Self::MediaSessionEstablished(body) => body.to_json(),
            Self::ProtocolError(body) => body.to_json(),
            Self::CodedError(body) => body.to_json(),
            Self::MediaFormatError(body) => body.to_json(),
            Self::DataDropped(body) => body.to_json(),
            Self::StorageError(body) => body.to_json(),
            Self::RuntimeError(body) => body.to_json(),
            Self::Recording(body) => body.to_json(),
            Self::StateChange(body) => body.to_json(),
            Self::Other(body) => body.clone(),
        }
    }
}

/// Writes members in order, absent ones left out.
pub(crate) fn object<const N: usize>(members: [(&str, Option<Value>); N], extra: &Extra) -> Value {
    let known = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(known.chain(extra.clone()).collect())
}

pub(crate) fn text(value: &str) -> Option<Value> {
    Some(value.into())
}

pub(crate) fn optional(value: &Option<String>) -> Option<Value> {
    value.as_deref().map(Value::from)
}

/// A URL without user and password: they belong into no event.
fn without_user_info(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    // Passwords may hold an `@` that nobody escaped: the host comes after the last one.
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// A camera answered and described its streams.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MediaSessionEstablished {
    /// The contract's text: `SDP:`, a line feed, then the SDP as the camera sent it, its line ends included.
    pub sdp: String,
    /// Unknown members.
    pub extra: Extra,
}

const SDP_PREFIX: &str = "SDP:\n";

impl MediaSessionEstablished {
    /// For an SDP as it was received.
    pub fn new(sdp: &str) -> Self {
        Self {
            sdp: format!("{SDP_PREFIX}{sdp}"),
            extra: Extra::new(),
        }
    }

    /// The SDP alone.
    pub fn description(&self) -> &str {
        self.sdp.strip_prefix(SDP_PREFIX).unwrap_or(&self.sdp)
    }

    fn from_json(body: Value) -> Result<Self, ReadError> {
        let mut m = Members::of(body, Place::Root)?;
        Ok(Self {
            sdp: m.required_text("sdp")?,
            extra: m.rest(),
        })
    }

    fn to_json(&self) -> Value {
        object([("sdp", text(&self.sdp))], &self.extra)
    }
}

/// A camera refused a request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProtocolError {
    /// Status as text: `401` for wrong credentials, `404` for a missing stream. Also read from `errorCode`.
    pub code: String,
    /// The camera's URL, without user and password.
    pub target: String,
    /// `rtsp`.
    pub protocol: String,
    /// Unknown members.
    pub extra: Extra,
}

impl ProtocolError {
    /// An RTSP status from a URL. User and password are cut out of the URL.
    pub fn rtsp(status: u16, url: &str) -> Self {
        Self {
            code: status.to_string(),
            target: without_user_info(url),
            protocol: "rtsp".to_owned(),
            extra: Extra::new(),
        }
    }

    fn from_json(body: Value) -> Result<Self, ReadError> {
        let mut m = Members::of(body, Place::Root)?;
        let code = match m.optional_text("code")? {
            Some(code) => code,
            None => m.optional_text("errorCode")?.ok_or_else(|| m.missing("code"))?,
        };
        Ok(Self {
            code,
            target: m.text("target")?,
            protocol: m.text("protocol")?,
            extra: m.rest(),
        })
    }

    fn to_json(&self) -> Value {
        object(
            [
                ("code", text(&self.code)),
                ("target", text(&self.target)),
                ("protocol", text(&self.protocol)),
            ],
            &self.extra,
        )
    }
}

/// Authentication, authorization or the network failed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CodedError {
    /// What failed, in a word. The published texts name this member and no values.
    pub error_code: String,
    /// The peer's URL, without user and password. Ours: the published texts stop at `errorCode`.
    pub target: Option<String>,
    /// Unknown members.
    pub extra: Extra,
}

impl CodedError {
    /// A failure towards a peer. User and password are cut out of the URL.
    pub fn new(error_code: impl Into<String>, url: &str) -> Self {
        Self {
            error_code: error_code.into(),
            target: Some(without_user_info(url)),
            extra: Extra::new(),
        }
    }

    fn from_json(body: Value) -> Result<Self, ReadError> {
        let mut m = Members::of(body, Place::Root)?;
        let error_code = match m.optional_text("errorCode")? {
            Some(code) => code,
            None => m.optional_text("code")?.ok_or_else(|| m.missing("errorCode"))?,
        };
        Ok(Self {
            error_code,
            target: m.optional_text("target")?,
            extra: m.rest(),
        })
    }

    fn to_json(&self) -> Value {
        object(
            [
                ("errorCode", text(&self.error_code)),
                ("target", optional(&self.target)),
            ],
            &self.extra,
        )
    }
}

/// A camera sends what cannot be used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MediaFormatError {
    /// **Milliseconds** since 1970; the only time of the contract in this unit.
    pub timestamp_unix_ms: Option<u64>,
    /// `unsupportedVideoFormat` or `unsupportedAudioFormat`.
    pub code: String,
    /// Unknown members.
    pub extra: Extra,
}

impl MediaFormatError {
    /// Video in a codec that is not supported, noticed at this media time.
    pub fn unsupported_video(timestamp_90k: u64) -> Self {
        Self::new(timestamp_90k, "unsupportedVideoFormat")
    }

    /// Audio in a codec that is not supported, noticed at this media time.
    pub fn unsupported_audio(timestamp_90k: u64) -> Self {
        Self::new(timestamp_90k, "unsupportedAudioFormat")
    }

    fn new(timestamp_90k: u64, code: &str) -> Self {
        let timestamp_unix_ms = Some(crate::time::unix_milliseconds(timestamp_90k));
        Self {
            timestamp_unix_ms,
            code: code.to_owned(),
            extra: Extra::new(),
        }
    }

    fn from_json(body: Value) -> Result<Self, ReadError> {
        let mut m = Members::of(body, Place::Root)?;
        Ok(Self {
            timestamp_unix_ms: m.whole("timestamp")?,
            code: m.required_text("code")?,
            extra: m.rest(),
        })
    }

    fn to_json(&self) -> Value {
        let timestamp = self.timestamp_unix_ms.map(Value::from);
        object(
            [("timestamp", timestamp), ("code", text(&self.code))],
            &self.extra,
        )
    }
}

macro_rules! one_text_body {
    ($(#[$doc:meta])* $name:ident, $(#[$field_doc:meta])* $field:ident, $member:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name {
            $(#[$field_doc])*
            pub $field: String,
            /// Unknown members.
            pub extra: Extra,
        }

        impl $name {
            /// With its only published member.
            pub fn new($field: impl Into<String>) -> Self {
                Self { $field: $field.into(), extra: Extra::new() }
            }

            fn from_json(body: Value) -> Result<Self, ReadError> {
                let mut m = Members::of(body, Place::Root)?;
                Ok(Self { $field: m.required_text($member)?, extra: m.rest() })
            }

            fn to_json(&self) -> Value {
                object([($member, text(&self.$field))], &self.extra)
            }
        }
    };
}

one_text_body!(
    /// Media was dropped.
    DataDropped,
    /// What kind of media.
    data_type,
    "dataType"
);
one_text_body!(
    /// Storage refused or failed.
    StorageError,
    /// The account, or whatever names the storage.
    storage_account_name,
    "storageAccountName"
);
one_text_body!(
    /// The module itself failed.
    RuntimeError,
    /// What failed, in a word.
    code,
    "code"
);

/// Kind of place that a recording goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OutputType {
    /// Asset sink; the location is the asset's name.
    AssetName,
    /// File sink; the location is the full path with its extension.
    FilePath,
    /// Video sink of Video Analyzer; the location is the video's name.
    VideoName,
    /// Another word.
    Other(String),
}

impl OutputType {
    /// The word in JSON.
    pub fn as_str(&self) -> &str {
        match self {
            Self::AssetName => "assetName",
            Self::FilePath => "filePath",
            Self::VideoName => "videoName",
            Self::Other(word) => word,
        }
    }

    fn from_word(word: String) -> Self {
        match word.as_str() {
            "assetName" => Self::AssetName,
            "filePath" => Self::FilePath,
            "videoName" => Self::VideoName,
            _ => Self::Other(word),
        }
    }
}

/// A recording began, became playable or ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Kind of place.
    pub output_type: OutputType,
    /// The place.
    pub output_location: String,
    /// Unknown members.
    pub extra: Extra,
}

impl Recording {
    /// A recording to this place.
    pub fn new(output_type: OutputType, output_location: impl Into<String>) -> Self {
        Self {
            output_type,
            output_location: output_location.into(),
            extra: Extra::new(),
        }
    }

    fn from_json(body: Value) -> Result<Self, ReadError> {
        let mut m = Members::of(body, Place::Root)?;
        Ok(Self {
            output_type: OutputType::from_word(m.required_text("outputType")?),
            output_location: m.required_text("outputLocation")?,
            extra: m.rest(),
        })
    }

    fn to_json(&self) -> Value {
        object(
            [
                ("outputType", text(self.output_type.as_str())),
                ("outputLocation", text(&self.output_location)),
            ],
            &self.extra,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_are_cut_out_of_targets() {
        for (url, target) in [
            ("rtsp://user:pass@host:554/path", "rtsp://host:554/path"),
            ("rtsp://user:p@ss@host/path?a=b@c", "rtsp://host/path?a=b@c"),
            ("rtsp://host/media/a@b.mkv", "rtsp://host/media/a@b.mkv"),
            ("rtsp://user@host", "rtsp://host"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(ProtocolError::rtsp(401, url).target, target);
            assert_eq!(CodedError::new("timeout", url).target.as_deref(), Some(target));
        }
    }

    #[test]
    fn published_bodies_are_written_as_published() {
        let refused = ProtocolError::rtsp(401, "rtsp://host:554/path").to_json();
        assert_eq!(
            refused.to_string(),
            r#"{"code":"401","target":"rtsp://host:554/path","protocol":"rtsp"}"#
        );
        let unsupported = MediaFormatError::unsupported_video(1_611_261_009_180 * 90).to_json();
        assert_eq!(
            unsupported,
            json!({"timestamp": 1611261009180u64, "code": "unsupportedVideoFormat"})
        );
        let established = MediaSessionEstablished::new("v=0\r\n");
        assert_eq!(established.to_json(), json!({"sdp": "SDP:\nv=0\r\n"}));
        assert_eq!(established.description(), "v=0\r\n");
    }

    #[test]
    fn either_name_of_a_code_is_read() {
        for name in [EventName::ProtocolError, EventName::NetworkError] {
            for member in ["code", "errorCode"] {
                let body = EventBody::from_json(Some(name), json!({member: 404})).unwrap();
                match body {
                    EventBody::ProtocolError(error) => assert_eq!(error.code, "404"),
                    EventBody::CodedError(error) => assert_eq!(error.error_code, "404"),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn every_name_has_a_body_and_refuses_a_list() {
        for name in EventName::ALL {
            let read = EventBody::from_json(Some(name), json!([]));
            assert!(
                matches!(read, Err(ReadError::WrongType { .. }) | Ok(EventBody::Other(_))),
                "{name}: {read:?}"
            );
        }
    }

    #[test]
    fn unknown_members_are_kept() {
        let json = json!({"outputType": "tape", "outputLocation": "x", "n": {"deep": [1, null]}});
        let body = EventBody::from_json(Some(EventName::RecordingStarted), json.clone()).unwrap();
        assert_eq!(body.to_json(JsonStyle::Lva), json);
    }
}

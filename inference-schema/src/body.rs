//! Bodies of the published events, by [`EventName`].

mod state_change;

pub use self::state_change::{StateChange, StateReason};

use serde::de::{Error as _, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::analytics::AnalyticsBody;
use crate::event_type::EventName;
use crate::inference::Extra;
use crate::read::{
    ReadError, optional_integer, optional_string, or_default, read, string, string_or_empty, take,
};
use crate::style::{JsonStyle, to_value};
use lva_media_types::{MediaTime, masked_address};

/// Body of an event, by what it holds. `RecordingStarted`, `RecordingAvailable` and `RecordingStopped` share a form, as do
/// the three errors with an `errorCode`.
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
    /// Of the events of instances. These were never published: any other form is kept as [`Other`](Self::Other).
    StateChange(StateChange),
    /// Of events whose body was never published, and of types outside the catalogue.
    Other(Value),
}

impl EventBody {
    /// Reads the body of an event of this name; `None` for a name outside the catalogue.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the body is not of the published form.
    pub fn from_json(name: Option<EventName>, body: Value) -> Result<Self, ReadError> {
        let Some(name) = name else {
            return Ok(Self::Other(body));
        };
        Ok(match name {
            EventName::Inference => Self::Analytics(AnalyticsBody::from_json(body)?),
            EventName::MediaSessionEstablished => Self::MediaSessionEstablished(read(body)?),
            EventName::ProtocolError => Self::ProtocolError(read(with_alias(body, "code", "errorCode"))?),
            EventName::AuthenticationError | EventName::AuthorizationError | EventName::NetworkError => {
                Self::CodedError(read(with_alias(body, "errorCode", "code"))?)
            }
            EventName::MediaFormatError => Self::MediaFormatError(read(body)?),
            EventName::DataDropped => Self::DataDropped(read(body)?),
            EventName::StorageError => Self::StorageError(read(body)?),
            EventName::RuntimeError => Self::RuntimeError(read(body)?),
            EventName::RecordingStarted | EventName::RecordingAvailable | EventName::RecordingStopped => {
                Self::Recording(read(body)?)
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
            Self::MediaSessionEstablished(body) => to_value(body),
            Self::ProtocolError(body) => to_value(body),
            Self::CodedError(body) => to_value(body),
            Self::MediaFormatError(body) => to_value(body),
            Self::DataDropped(body) => to_value(body),
            Self::StorageError(body) => to_value(body),
            Self::RuntimeError(body) => to_value(body),
            Self::Recording(body) => to_value(body),
            Self::StateChange(body) => to_value(body),
            Self::Other(body) => body.clone(),
        }
    }
}

/// Renames a member that has two published names.
fn with_alias(mut body: Value, name: &str, alias: &str) -> Value {
    if let Value::Object(members) = &mut body
        && members.get(name).is_none_or(Value::is_null)
        && let Some(value) = take(members, alias)
    {
        members.insert(name.to_owned(), value);
    }
    body
}

/// A URL without user, password and values, which belong in no event.
fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return masked_address(url);
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    // Passwords may hold an unescaped `@`: the host comes after the last one.
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{}", masked_address(path))
}

/// A camera described its streams.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
#[non_exhaustive]
pub struct MediaSessionEstablished {
    /// `SDP:`, a line feed, then the SDP as the camera sent it, its line ends included.
    #[serde(deserialize_with = "string")]
    pub sdp: String,
    /// Unknown members.
    #[serde(flatten)]
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
}

/// A camera or an extension refused a request, or answered something else than its protocol has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
#[non_exhaustive]
pub struct ProtocolError {
    /// Status as a string: `401` for wrong credentials, `404` for a missing stream. Also read from `errorCode`.
    #[serde(deserialize_with = "string")]
    pub code: String,
    /// The camera's URL, without user, password and the values in it.
    #[serde(default, deserialize_with = "string_or_empty")]
    pub target: String,
    /// `rtsp`, or `grpc` and `http` of extensions.
    #[serde(default, deserialize_with = "string_or_empty")]
    pub protocol: String,
    /// What happened and what to do, for people; with the peer's own words where it gave some. An addition.
    #[serde(
        default,
        deserialize_with = "optional_string",
        skip_serializing_if = "Option::is_none"
    )]
    pub message: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ProtocolError {
    /// An RTSP status from a URL, without the URL's user, password and values.
    pub fn rtsp(status: u16, url: &str) -> Self {
        Self {
            code: status.to_string(),
            target: masked(url),
            protocol: "rtsp".to_owned(),
            message: None,
            extra: Extra::new(),
        }
    }
}

/// Authentication, authorization or the network failed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
#[non_exhaustive]
pub struct CodedError {
    /// What failed, in a word. The published documents name this member and no values. Also read from `code`.
    #[serde(deserialize_with = "string")]
    pub error_code: String,
    /// The peer's URL, without user, password and the values in it. An addition: the published documents end at `errorCode`.
    #[serde(
        default,
        deserialize_with = "optional_string",
        skip_serializing_if = "Option::is_none"
    )]
    pub target: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl CodedError {
    /// A failure towards a peer, without the URL's user, password and values.
    pub fn new(error_code: impl Into<String>, url: &str) -> Self {
        Self {
            error_code: error_code.into(),
            target: Some(masked(url)),
            extra: Extra::new(),
        }
    }
}

/// A camera sends media in an unsupported format.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
#[non_exhaustive]
pub struct MediaFormatError {
    /// **Milliseconds** since 1970; the only time of the contract in this unit.
    #[serde(
        rename = "timestamp",
        default,
        deserialize_with = "optional_integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub timestamp_unix_ms: Option<u64>,
    /// `unsupportedVideoFormat` or `unsupportedAudioFormat`.
    #[serde(deserialize_with = "string")]
    pub code: String,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl MediaFormatError {
    /// Video in an unsupported codec, found at this media time.
    pub fn unsupported_video(timestamp_90k: u64) -> Self {
        Self::new(timestamp_90k, "unsupportedVideoFormat")
    }

    /// Audio in an unsupported codec, found at this media time.
    pub fn unsupported_audio(timestamp_90k: u64) -> Self {
        Self::new(timestamp_90k, "unsupportedAudioFormat")
    }

    fn new(timestamp_90k: u64, code: &str) -> Self {
        Self {
            timestamp_unix_ms: Some(MediaTime::from_ticks_90k(timestamp_90k).unix_milliseconds()),
            code: code.to_owned(),
            extra: Extra::new(),
        }
    }
}

/// Media was dropped.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
#[non_exhaustive]
pub struct DataDropped {
    /// What kind of media. The only published member.
    #[serde(deserialize_with = "string")]
    pub data_type: String,
    /// How much, over all reasons. An addition.
    #[serde(
        default,
        deserialize_with = "optional_integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub count: Option<u64>,
    /// How much for each reason, by its name. An addition.
    #[serde(
        default,
        deserialize_with = "counts",
        serialize_with = "counts_by_name",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub reasons: Vec<(String, u64)>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl DataDropped {
    /// With its only published member.
    pub fn new(data_type: impl Into<String>) -> Self {
        Self {
            data_type: data_type.into(),
            ..Self::default()
        }
    }

    /// The count of a reason; 0 for one that is not listed.
    pub fn count_of(&self, reason: &str) -> u64 {
        let own = self.reasons.iter().filter(|(name, _)| name == reason);
        own.map(|(_, count)| count).sum()
    }
}

fn counts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, u64)>, D::Error> {
    let members: Map<String, Value> = or_default(from)?;
    let counts = members.into_iter().map(|(name, count)| {
        let count = optional_integer(count).map_err(D::Error::custom)?;
        Ok((name, count.unwrap_or_default()))
    });
    counts.collect()
}

/// In their order.
fn counts_by_name<S: Serializer>(counts: &[(String, u64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(counts.iter().map(|(name, count)| (name, count)))
}

/// Storage refused or failed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
#[non_exhaustive]
pub struct StorageError {
    /// The account, or another name of the storage. The only published member.
    #[serde(deserialize_with = "string")]
    pub storage_account_name: String,
    /// What failed, in a word. An addition.
    #[serde(
        default,
        deserialize_with = "optional_string",
        skip_serializing_if = "Option::is_none"
    )]
    pub error_code: Option<String>,
    /// What happened and what to do, for people. An addition.
    #[serde(
        default,
        deserialize_with = "optional_string",
        skip_serializing_if = "Option::is_none"
    )]
    pub message: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl StorageError {
    /// With its only published member.
    pub fn new(storage_account_name: impl Into<String>) -> Self {
        Self {
            storage_account_name: storage_account_name.into(),
            ..Self::default()
        }
    }
}

/// The module itself failed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
#[non_exhaustive]
pub struct RuntimeError {
    /// What failed, in a word. The only published member.
    #[serde(deserialize_with = "string")]
    pub code: String,
    /// What happened and what to do, for people. An addition.
    #[serde(
        default,
        deserialize_with = "optional_string",
        skip_serializing_if = "Option::is_none"
    )]
    pub message: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl RuntimeError {
    /// With its only published member.
    pub fn new(code: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            ..Self::default()
        }
    }
}

/// Kind of destination of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutputType {
    /// Asset sink; the location is the asset's name.
    AssetName,
    /// File sink; the location is the full path with its extension.
    FilePath,
    /// Video sink of Video Analyzer; the location is the video's name.
    VideoName,
    /// Another kind.
    #[serde(untagged)]
    Other(String),
}

impl OutputType {
    /// The name in JSON.
    pub fn as_str(&self) -> &str {
        match self {
            Self::AssetName => "assetName",
            Self::FilePath => "filePath",
            Self::VideoName => "videoName",
            Self::Other(name) => name,
        }
    }
}

/// Numbers and booleans become strings, as in other members.
fn output_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OutputType, D::Error> {
    OutputType::deserialize(string(deserializer)?.into_deserializer())
}

/// A recording began, became playable or ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
#[non_exhaustive]
pub struct Recording {
    /// Kind of destination.
    #[serde(deserialize_with = "output_type")]
    pub output_type: OutputType,
    /// The destination.
    #[serde(deserialize_with = "string")]
    pub output_location: String,
    /// Unknown members.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Recording {
    /// A recording to this destination.
    pub fn new(output_type: OutputType, output_location: impl Into<String>) -> Self {
        Self {
            output_type,
            output_location: output_location.into(),
            extra: Extra::new(),
        }
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
            ("rtsp://user:p@ss@host/path?a=b@c", "rtsp://host/path?a=***"),
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
        let refused = to_value(&ProtocolError::rtsp(401, "rtsp://host:554/path"));
        assert_eq!(
            refused.to_string(),
            r#"{"code":"401","target":"rtsp://host:554/path","protocol":"rtsp"}"#
        );
        let unsupported = to_value(&MediaFormatError::unsupported_video(1_611_261_009_180 * 90));
        assert_eq!(
            unsupported,
            json!({"timestamp": 1611261009180u64, "code": "unsupportedVideoFormat"})
        );
        let established = MediaSessionEstablished::new("v=0\r\n");
        assert_eq!(to_value(&established), json!({"sdp": "SDP:\nv=0\r\n"}));
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
    fn every_name_has_a_body_and_rejects_an_array() {
        for name in EventName::ALL.iter().copied() {
            let read = EventBody::from_json(Some(name), json!([]));
            assert!(
                matches!(read, Err(ReadError::Invalid { .. }) | Ok(EventBody::Other(_))),
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

    #[test]
    fn additions_to_errors_are_typed_and_keep_their_order() {
        for (name, text) in [
            (
                EventName::DataDropped,
                r#"{"dataType":"media","count":5,"reasons":{"replacedByNewer":1,"unanswered":4},"n":1}"#,
            ),
            (
                EventName::StorageError,
                r#"{"storageAccountName":"/r","errorCode":"storageFull","message":"free some","n":1}"#,
            ),
            (
                EventName::RuntimeError,
                r#"{"code":"nodeFailed","message":"no model","n":1}"#,
            ),
        ] {
            let body = EventBody::from_json(Some(name), serde_json::from_str(text).unwrap()).unwrap();
            let known = match &body {
                EventBody::DataDropped(body) => {
                    body.count == Some(5) && body.count_of("unanswered") == 4 && body.count_of("stopped") == 0
                }
                EventBody::StorageError(body) => body.error_code.as_deref() == Some("storageFull"),
                EventBody::RuntimeError(body) => body.message.as_deref() == Some("no model"),
                other => panic!("{other:?}"),
            };
            assert!(known, "{body:?}");
            assert_eq!(body.to_json(JsonStyle::Lva).to_string(), text);
        }
        let wrong = json!({"dataType": "media", "reasons": {"stopped": "many"}});
        let error = EventBody::from_json(Some(EventName::DataDropped), wrong).unwrap_err();
        assert!(error.to_string().starts_with("/reasons"), "{error}");
    }
}

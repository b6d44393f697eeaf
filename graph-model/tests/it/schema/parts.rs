//! Words, numbers and small objects. Names of members as documents write them; readers take them without case.
#![allow(dead_code, reason = "these types are read by the derive alone")]
#![allow(clippy::enum_variant_names, reason = "the names are those of the contract")]

use std::borrow::Cow;

use lva_graph_model::nodes::{Accuracy, RtspTransport, Sensitivity};
use lva_graph_model::{ParameterType, PixelFormat, ScaleMode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A word of a list in any case, or a reference to a parameter.
fn word(words: &[String]) -> Schema {
    let any_case: Vec<String> = words
        .iter()
        .map(|word| {
            let letters = word
                .chars()
                .map(|c| match (c.to_ascii_uppercase(), c.to_ascii_lowercase()) {
                    (upper, lower) if upper != lower => format!("[{upper}{lower}]"),
                    _ => c.to_string(),
                });
            letters.collect::<Vec<_>>().join("_?")
        })
        .collect();
    json_schema!({
        "type": "string",
        "anyOf": [{"enum": words}, {"pattern": format!("^({})$", any_case.join("|"))}, {"pattern": r"\$\{.*\}"}],
    })
}

macro_rules! words {
    ($($(#[doc = $doc:expr])+ $name:ident = $words:expr;)+) => {
        $(
            $(#[doc = $doc])+
            pub(super) struct $name;

            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn inline_schema() -> bool {
                    true
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    word(&$words)
                }
            }
        )+
    };
}

/// The words of one of the crate's enumerations.
macro_rules! of {
    ($kind:ty) => {
        of!($kind, as_str)
    };
    ($kind:ty, $name:ident) => {
        <$kind>::ALL
            .iter()
            .map(|word| word.$name().to_owned())
            .collect::<Vec<_>>()
    };
}

fn all(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

words! {
    /// RTP in the RTSP connection, or RTSP in HTTP.
    Transport = of!(RtspTransport);
    /// How much has to move.
    SensitivityWord = of!(Sensitivity);
    /// How a tracker weighs accuracy against effort.
    AccuracyWord = of!(Accuracy);
    /// How a frame is brought to a size.
    ScaleModeWord = of!(ScaleMode, name);
    /// Order and width of samples.
    PixelFormatWord = of!(PixelFormat, name);
    /// The point of a person that counts.
    FocusWord = all(&["center", "bottomCenter", "footprint"]);
    /// When an event is emitted.
    TriggerWord = all(&["event", "interval"]);
    /// What happens at a zone.
    ZoneEventWord = all(&["zoneCrossing", "zoneDwellTime"]);
    /// How an image is encoded in LVA 1.0.
    EncodingWord = all(&["Jpeg", "Bmp", "Png"]);
    /// How frames travel beside gRPC.
    TransferModeWord = all(&["embedded", "sharedMemory"]);
    /// What a selector looks at.
    SelectorProperty = all(&["mediaType"]);
    /// How it compares.
    SelectorOperator = all(&["is", "isNot"]);
    /// The type of a parameter; Video Analyzer begins it with a small letter.
    ParameterTypeWord = ParameterType::ALL.iter().map(|t| t.name().to_owned()).collect::<Vec<_>>();
}

macro_rules! scalars {
    ($($(#[doc = $doc:expr])+ $name:ident = $types:expr;)+) => {
        $(
            $(#[doc = $doc])+
            pub(super) struct $name;

            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn inline_schema() -> bool {
                    true
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({"type": $types})
                }
            }
        )+
    };
}

scalars! {
    /// A number, or a string with a number or a reference.
    Number = ["number", "string"];
    /// A boolean, or a string with one or a reference.
    Flag = ["boolean", "string"];
    /// A string, a number or a boolean.
    Scalar = ["string", "number", "boolean"];
}

/// ISO 8601, such as PT30S.
pub(super) type Duration = String;

/// What a module has written: when the object was made and changed. Ignored when it is set.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct SystemData {
    created_at: Option<String>,
    last_modified_at: Option<String>,
}

/// A value that an instance gives.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct ParameterDeclaration {
    /// Its name; `${name}` refers to it.
    name: String,
    #[schemars(rename = "type")]
    kind: ParameterTypeWord,
    description: Option<String>,
    /// The value where the instance gives none.
    default: Option<Scalar>,
}

/// Where a node connects to.
#[derive(JsonSchema)]
#[schemars(tag = "@type")]
pub(super) enum Endpoint {
    UnsecuredEndpoint(UnsecuredEndpoint),
    TlsEndpoint(TlsEndpoint),
}

#[derive(JsonSchema)]
pub(super) struct UnsecuredEndpoint {
    /// `rtsp://…` of a camera, `tcp://host:port` of a gRPC extension, `http://…` of an HTTP extension.
    url: String,
    credentials: Option<Credentials>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct TlsEndpoint {
    /// The address.
    url: String,
    credentials: Option<Credentials>,
    /// The authorities to trust; those of the platform where there are none.
    trusted_certificates: Option<Certificates>,
    validation_options: Option<TlsValidationOptions>,
}

#[derive(JsonSchema)]
#[schemars(tag = "@type")]
pub(super) enum Certificates {
    PemCertificateList {
        /// PEM texts.
        certificates: Vec<String>,
    },
}

/// Dangerous switches.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct TlsValidationOptions {
    ignore_hostname: Option<Flag>,
    ignore_signature: Option<Flag>,
}

/// The credentials of a node. Refer to parameters of type SecretString for secrets.
#[derive(JsonSchema)]
#[schemars(tag = "@type")]
pub(super) enum Credentials {
    UsernamePasswordCredentials {
        username: Scalar,
        password: Option<Scalar>,
    },
    #[schemars(rename_all = "camelCase")]
    HttpHeaderCredentials {
        header_name: Scalar,
        header_value: Scalar,
    },
    SymmetricKeyCredentials {
        key: Scalar,
    },
}

/// From which node a node gets what it works on.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct Input {
    node_name: Scalar,
    /// Which streams pass: all of them have to hold.
    output_selectors: Option<Vec<OutputSelector>>,
}

#[derive(JsonSchema)]
pub(super) struct OutputSelector {
    property: Option<SelectorProperty>,
    operator: Option<SelectorOperator>,
    /// video, audio, application, or a media type such as video/H264.
    value: Option<Scalar>,
}

/// How a frame looks when an extension gets it.
#[derive(JsonSchema)]
pub(super) struct Image {
    scale: Option<Scale>,
    format: Option<Format>,
}

/// To which size; the camera's own where there is none.
#[derive(JsonSchema)]
pub(super) struct Scale {
    mode: Option<ScaleModeWord>,
    width: Option<Number>,
    height: Option<Number>,
}

#[derive(JsonSchema)]
#[schemars(tag = "@type")]
pub(super) enum Format {
    ImageFormatEncoded {
        encoding: Option<EncodingWord>,
        quality: Option<Number>,
    },
    ImageFormatJpeg {
        quality: Option<Number>,
    },
    ImageFormatBmp {},
    ImageFormatPng {},
    #[schemars(rename_all = "camelCase")]
    ImageFormatRaw {
        pixel_format: PixelFormatWord,
    },
}

/// Which frames an extension is shown.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct Sampling {
    /// Only frames in which something was found before.
    skip_samples_without_annotation: Option<Flag>,
    /// At most so many a second.
    maximum_samples_per_second: Option<Number>,
}

/// How frames travel beside gRPC.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct DataTransfer {
    mode: TransferModeWord,
    /// For shared memory alone.
    #[schemars(rename = "sharedMemorySizeMiB")]
    shared_memory_size: Option<Number>,
}

/// A line from one point to another, in fractions of the frame.
#[derive(JsonSchema)]
#[schemars(tag = "@type")]
pub(super) enum Line {
    NamedLineString {
        name: Scalar,
        /// A string with JSON: [[x1,y1],[x2,y2]]
        line: String,
    },
}

/// A zone, in fractions of the frame.
#[derive(JsonSchema)]
#[schemars(tag = "@type")]
pub(super) enum Polygon {
    NamedPolygonString {
        name: Scalar,
        /// A string with JSON: [[x,y],[x,y],[x,y]]
        polygon: String,
    },
}

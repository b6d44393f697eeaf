//! Members, types and values.

use lva_graph_model::DiagnosticCode;
use lva_graph_model::Severity::{Error, Hint, Info, Warning};
use serde_json::json;

use super::{Case, at, case, message_source, source};
use crate::support::{plaza, street, with, without};

pub(super) fn cases() -> Vec<Case> {
    let gate = "/properties/processors/2";
    vec![
        case(
            DiagnosticCode::ApiVersionMissing,
            without(plaza(), "/@apiVersion"),
            "",
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::ApiVersionNotSupported,
            at("/@apiVersion", json!("3.0")),
            "/@apiVersion",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MemberDuplicate,
            at("/properties/sinks/1/Name", json!("x")),
            "/properties/sinks/1/name",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MemberMissing,
            without(plaza(), "/properties/sources/0/endpoint/url"),
            "/properties/sources/0/endpoint",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MemberMissing,
            without(plaza(), "/properties/processors/1/image/scale/height"),
            "/properties/processors/1/image/scale",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MemberMissing,
            without(plaza(), "/properties"),
            "",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::MemberMissingInGeneration,
            without(street(), "/properties/sinks/1/hubOutputName"),
            "/properties/sinks/1",
            Hint,
            Error,
        ),
        case(
            DiagnosticCode::MemberIgnored,
            at(
                "/properties/processors/1/image/format",
                json!({"@type": "#Microsoft.Media.MediaGraphImageFormatEncoded", "encoding": "png", "quality": "3"}),
            ),
            "/properties/processors/1/image/format/quality",
            Hint,
            Hint,
        ),
        case(
            DiagnosticCode::UnknownMember,
            at("/properties/colour", json!(1)),
            "/properties/colour",
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::WrongType,
            at("/properties/sinks/1/hubOutputName", json!([])),
            "/properties/sinks/1/hubOutputName",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::WrongType,
            at("/properties/sinks", json!("none")),
            "/properties/sinks",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::InvalidName,
            at("/properties/sinks/1/name", json!("a/b")),
            "/properties/sinks/1/name",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::InvalidName,
            at("/name", json!("-x")),
            "/name",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::InvalidValue,
            at("/properties/sources/0/transport", json!("udp")),
            "/properties/sources/0/transport",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::InvalidValue,
            at("/properties/processors/2/minimumActivationTime", json!("30")),
            "/properties/processors/2/minimumActivationTime",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::OutOfRange,
            at("/properties/processors/0/maximumFps", json!(0)),
            "/properties/processors/0/maximumFps",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::OutOfRange,
            at("/properties/processors/2/minimumActivationTime", json!("PT1H")),
            gate,
            Error,
            Error,
        ),
        case(
            DiagnosticCode::OutOfRange,
            with(
                street(),
                "/properties/processors/2/lines/0/line",
                json!("[[0,0],[1,2]]"),
            ),
            "/properties/processors/2/lines/0/line",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::LimitExceeded,
            at("/properties/sinks/0/segmentLength", json!("PT31S")),
            "/properties/sinks/0/segmentLength",
            Hint,
            Error,
        ),
        case(
            DiagnosticCode::LimitExceeded,
            at("/properties/processors/2/minimumActivationTime", json!("PT0.5S")),
            "/properties/processors/2/minimumActivationTime",
            Hint,
            Error,
        ),
        case(
            DiagnosticCode::OutOfRange,
            at("/properties/processors/2/activationSignalOffset", json!("-PT2M")),
            "/properties/processors/2/activationSignalOffset",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::TooLarge,
            at("/properties/sources", json!(vec![message_source(); 1_001])),
            "/properties",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::PropertyValueInvalidPattern,
            at(
                "/properties/sinks/0/assetNamePattern",
                json!("a:${System.DateTime}"),
            ),
            "/properties/sinks/0/assetNamePattern",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::RtspEndpointUrlInvalidScheme,
            at("/properties/sources/0/endpoint/url", json!("cam:554")),
            "/properties/sources/0/endpoint/url",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::EndpointUrlInvalid,
            at(
                "/properties/processors/1/endpoint/url",
                json!("http://127.0.0.1:50051"),
            ),
            "/properties/processors/1/endpoint/url",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::UnknownNodeType,
            at(
                "/properties/sinks/1/@type",
                json!("#Microsoft.Media.MediaGraphCoffeeSink"),
            ),
            "/properties/sinks/1/@type",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::UnknownType,
            at(
                "/properties/sources/0/endpoint/@type",
                json!("#Microsoft.Media.MediaGraphTunnel"),
            ),
            "/properties/sources/0/endpoint/@type",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::WrongRole,
            at("/properties/sinks/2", source("other")),
            "/properties/sinks/2/@type",
            Error,
            Error,
        ),
        case(
            DiagnosticCode::NotInGeneration,
            at("/@apiVersion", json!("2.0")),
            "/properties/processors/0/@type",
            Hint,
            Error,
        ),
        case(
            DiagnosticCode::MixedFamilies,
            at(
                "/properties/sinks/1/@type",
                json!("#Microsoft.VideoAnalyzer.IotHubMessageSink"),
            ),
            "/properties/sinks/1/@type",
            Warning,
            Warning,
        ),
        case(
            DiagnosticCode::OtherForm,
            json!({"methodName": "GraphTopologySet", "payload": plaza()}),
            "/payload",
            Info,
            Info,
        ),
        case(
            DiagnosticCode::ExpressionWithoutValue,
            json!({"resources": [with(
                with(plaza(), "/type", json!("Microsoft.Media/x/mediaGraphs")),
                "/properties/description",
                json!("[resourceGroup().location]"),
            )]}),
            "/resources/0/properties/description",
            Error,
            Error,
        ),
    ]
}

use lva_inference_schema::{EventClass, JsonStyle};
use lva_rtsp::{CameraUrl, TimeoutKind, Transport};

use super::*;

fn url() -> CameraUrl {
    CameraUrl::parse("rtsp://user:geheim@cam:8554/a").unwrap()
}

fn emitted(failure: &Failure) -> String {
    let (name, body) = failure.to_event(0);
    format!("{name} {}", body.to_json(JsonStyle::Lva))
}

#[test]
fn every_kind_is_a_diagnostic_event_with_a_code_and_an_error_status() {
    for kind in FailureKind::ALL.iter().copied() {
        let (event, code, status) = kind.row();
        assert_eq!(event.class(), EventClass::Diagnostics, "{kind:?}");
        assert!(!code.is_empty() && (400..600).contains(&status), "{kind:?}");
        let (name, body) = Failure::new(kind, "tcp://u:geheim@h:1", "grpc").to_event(0);
        let json = body.to_json(JsonStyle::Lva);
        assert_eq!(name, event);
        EventBody::from_json(Some(name), json.clone()).unwrap();
        if kind.event() != EventName::StorageError {
            assert!(!json.to_string().contains("geheim"), "{json}");
        }
    }
    let codes: std::collections::BTreeSet<_> = FailureKind::ALL.iter().map(|kind| kind.row().1).collect();
    assert_eq!(codes.len(), FailureKind::ALL.len());
}

#[test]
fn a_camera_s_status_is_a_protocol_error_as_published() {
    let error = CameraError::Status {
        url: url(),
        status: 401,
        login: None,
    };
    let (name, body) = Failure::camera(&error).to_event(0);
    let mut body = body.to_json(JsonStyle::Lva);
    let text = body.as_object_mut().unwrap().remove("message");
    assert_eq!(text, Some(error.to_string().into()), "an addition");
    assert!(!error.to_string().contains("geheim"), "{error}");
    assert_eq!(
        format!("{name} {body}"),
        r#"ProtocolError {"code":"401","target":"rtsp://cam:8554/a","protocol":"rtsp"}"#
    );
}

#[test]
fn media_that_cannot_be_used_are_named_with_the_remedy() {
    let event = |failure: &Failure| -> serde_json::Value {
        let (_, body) = failure.to_event(90_000);
        body.to_json(JsonStyle::Lva)
    };
    let audio = event(&Failure::unusable_audio("camera", "G.711 A-law"));
    assert_eq!(audio["codec"], "G.711 A-law");
    assert_eq!(
        (&audio["timestamp"], &audio["code"]),
        (&1000.into(), &"unsupportedAudioFormat".into())
    );
    let text = audio["message"].as_str().unwrap();
    assert!(
        text.contains("G.711 A-law") && text.contains("choose AAC"),
        "{text}"
    );
    let video = event(&Failure::no_pictures("camera", &NoPictures::NoKeyframe));
    assert!(
        video["message"].as_str().unwrap().contains("key-frame interval"),
        "{video}"
    );
    assert!(video.get("codec").is_none());
}

#[test]
fn each_error_of_a_camera_has_its_row() {
    let network = CameraError::Network {
        url: url(),
        message: String::new(),
        source: None,
    };
    let protocol = CameraError::Protocol {
        url: url(),
        message: String::new(),
    };
    let timeout = CameraError::Timeout {
        url: url(),
        kind: TimeoutKind::Stall,
        after: Duration::from_secs(1),
        transport: Transport::Tcp,
    };
    let unusable = CameraError::NoUsableStream {
        url: url(),
        offered: String::new(),
    };
    for (error, kind) in [
        (network, FailureKind::Unreachable),
        (CameraError::Closed { url: url() }, FailureKind::Closed),
        (protocol, FailureKind::InvalidResponse),
        (timeout, FailureKind::Timeout),
        (unusable, FailureKind::UnusableVideo),
    ] {
        assert_eq!(Failure::camera(&error).kind, kind);
    }
}

#[test]
fn each_error_of_an_extension_has_its_row() {
    let status = |code| PeerStatus {
        code,
        message: "its reason".into(),
        hint: None,
        is_broken_connection: false,
    };
    let url = "tcp://ext:1";
    for (code, kind) in [
        (GrpcCode::Unauthenticated, FailureKind::Unauthenticated),
        (GrpcCode::PermissionDenied, FailureKind::PermissionDenied),
        (GrpcCode::Unavailable, FailureKind::Closed),
        (GrpcCode::InvalidArgument, FailureKind::Refused),
        (GrpcCode::OutOfRange, FailureKind::Refused),
        // An exception in a Python server.
        (GrpcCode::Unknown, FailureKind::Refused),
        (GrpcCode::DeadlineExceeded, FailureKind::Timeout),
    ] {
        let refused = ConnectError::Refused {
            url: url.into(),
            status: status(code),
        };
        assert_eq!(Failure::connect(&refused, url).kind, kind);
        let failure = Failure::session(&SessionError::Status(status(code)), url);
        assert_eq!(failure.kind, kind);
        // Of a refusal, the extension's reason; nothing of what is not a protocol error.
        let is_refusal = kind.event() == EventName::ProtocolError;
        assert_eq!(emitted(&failure).contains("its reason"), is_refusal, "{kind:?}");
    }
    let broken = PeerStatus {
        is_broken_connection: true,
        ..status(GrpcCode::Unknown)
    };
    let failure = Failure::session(&SessionError::Status(broken), url);
    assert_eq!(failure.kind, FailureKind::Closed);
    let waited = Duration::from_secs(1);
    for (error, kind) in [
        (ConnectError::Options("x"), FailureKind::Configuration),
        (
            ConnectError::HandshakeTimeout {
                url: url.into(),
                waited,
            },
            FailureKind::Timeout,
        ),
        (ConnectError::Closed { url: url.into() }, FailureKind::Closed),
        (
            ConnectError::NotADescriptor { url: url.into() },
            FailureKind::InvalidResponse,
        ),
    ] {
        assert_eq!(Failure::connect(&error, url).kind, kind);
    }
    assert_eq!(
        Failure::session(&SessionError::ClosedByPeer, url).kind,
        FailureKind::Closed
    );
    let hung = SessionError::AnswerTimeout { sequence: 1, waited };
    assert_eq!(Failure::session(&hung, url).kind, FailureKind::Timeout);
}

#[test]
fn each_error_of_an_http_extension_has_its_row() {
    let url = || "http://ext/score".to_owned();
    let rejected = |status| HttpError::Rejected {
        url: url(),
        status,
        message: "its reason".to_owned(),
    };
    let unauthorized = |status| HttpError::Unauthorized {
        url: url(),
        status,
        with_credentials: true,
    };
    let broken = HttpError::Broken {
        url: url(),
        cause: "its reason".into(),
    };
    let overloaded = HttpError::Overloaded {
        url: url(),
        status: 503,
        pause: Duration::from_secs(1),
    };
    for (error, kind) in [
        (rejected(500), FailureKind::Refused),
        (unauthorized(401), FailureKind::Unauthenticated),
        (unauthorized(403), FailureKind::PermissionDenied),
        (broken, FailureKind::Closed),
        (overloaded, FailureKind::Overloaded),
        (HttpError::Busy, FailureKind::Timeout),
    ] {
        let failure = Failure::http(&error, &url());
        assert_eq!(failure.kind, kind);
        let is_rejected = matches!(error, HttpError::Rejected { .. });
        assert_eq!(emitted(&failure).contains("its reason"), is_rejected, "{kind:?}");
    }
    assert_eq!(Failure::http(&rejected(500), &url()).code(), "500");
}

#[test]
fn a_full_disk_is_told_from_one_that_is_not_ours_and_from_a_broken_one() {
    let write = |kind: std::io::ErrorKind| ClipError::Write {
        path: "x".into(),
        cause: kind.into(),
    };
    let full = Failure::clip(&write(std::io::ErrorKind::StorageFull), "asset");
    assert_eq!(full.kind, FailureKind::StorageFull);
    let denied = Failure::clip(&write(std::io::ErrorKind::PermissionDenied), "asset");
    assert_eq!(denied.kind, FailureKind::StorageDenied);
    let broken = Failure::clip(&write(std::io::ErrorKind::Other), "asset");
    assert_eq!(broken.kind, FailureKind::Storage);
}

#[test]
fn a_directory_in_use_is_reported_with_a_remedy() {
    let in_use = ClipError::InUse {
        path: "/r/door".into(),
    };
    assert_eq!(
        emitted(&Failure::clip(&in_use, "/r")),
        r#"StorageError {"storageAccountName":"/r","errorCode":"storageInUse","message":"another recording writes to /r/door; use a separate directory for each, for example with ${System.InstanceName} in its name"}"#
    );
    let foreign = ClipError::ForeignPlaylist {
        path: "/r/door/index.m3u8".into(),
    };
    let failure = Failure::clip(&foreign, "/r");
    assert_eq!(failure.kind, FailureKind::ForeignPlaylist);
    assert!(
        emitted(&failure).contains("move it away"),
        "{}",
        emitted(&failure)
    );
}

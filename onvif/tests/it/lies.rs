//! Devices that lie, or mean harm.

use std::time::Duration;

use lva_onvif::{OnvifErrorKind, OnvifOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::device::{Asks, Camera, MEDIA, Manner, PASSWORD, envelope};
use super::{Described, endpoint, get, get_from, get_with, refused};

const SOAP: &str = "application/soap+xml";

async fn lied(question: &'static str, status: u16, kind: &'static str, body: &str) -> Described {
    let lies = vec![(question, status, kind, body.to_owned())];
    let camera = Camera::start(Manner {
        lies,
        ..Manner::default()
    })
    .await;
    get_from(&camera).await
}

#[tokio::test]
async fn nothing_is_sent_to_a_host_or_port_that_a_device_names() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = elsewhere.local_addr().unwrap();
    let called = tokio::spawn(async move { elsewhere.accept().await.is_ok() });
    for named in [
        format!("http://{other}{MEDIA}"),
        format!("http://127.0.0.2{MEDIA}"),
        format!("https://203.0.113.5{MEDIA}"),
        format!("http://{{self}}@{other}{MEDIA}"),
    ] {
        let streams = format!("rtsp://admin:secret@{other}");
        let manner = Manner {
            media: named.clone(),
            streams: "rtsp://203.0.113.5:554".to_owned(),
            ..Manner::default()
        };
        let camera = Camera::start(manner).await;
        let device = get_from(&camera).await.unwrap();
        // Its own media service is asked at its own address, and no password is sent to another host.
        assert_eq!(camera.faults(), Vec::<String>::new(), "{named}");
        let stream = device.profiles[0].stream_uri.as_deref();
        assert_eq!(stream, Some("rtsp://127.0.0.1:554/profileand1"));
        // On its own host a stream may be anywhere; users in it are left out.
        let camera = Camera::start(Manner {
            streams,
            ..Manner::default()
        })
        .await;
        let device = get_from(&camera).await.unwrap();
        let stream = device.profiles[0].stream_uri.clone();
        assert_eq!(stream, Some(format!("rtsp://{other}/profileand1")));
    }
    assert!(!called.is_finished());
    called.abort();
}

#[tokio::test]
async fn addresses_that_are_none_leave_the_profiles_out_or_the_stream() {
    let manner = Manner {
        media: "file:///etc/passwd".to_owned(),
        ..Manner::default()
    };
    let camera = Camera::start(manner).await;
    assert_eq!(get_from(&camera).await.unwrap().profiles, []);
    let manner = Manner {
        streams: "javascript:alert(1)".to_owned(),
        ..Manner::default()
    };
    let camera = Camera::start(manner).await;
    assert_eq!(get_from(&camera).await.unwrap().profiles[0].stream_uri, None);
}

#[tokio::test]
async fn what_is_not_soap_is_named() {
    let page = "<html><head><title>camera</title></head><body>log in</body></html>";
    let bomb = "<!DOCTYPE a [<!ENTITY b \"ha\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
    let deep = "<a>".repeat(10_000);
    for (body, kind, why) in [
        (page, "text/html", "text/html, it is not a SOAP envelope"),
        ("{\"not\": \"xml\"}", "application/json", "not well-formed XML"),
        ("", SOAP, "nothing"),
        (bomb, SOAP, "document type"),
        (deep.as_str(), SOAP, "nested more than"),
    ] {
        for question in ["*", "GetProfiles"] {
            refused(
                &lied(question, 200, kind, body).await,
                OnvifErrorKind::BadResponse,
                why,
            );
        }
    }
    let other = envelope("<x:FormatDiskResponse/>");
    refused(
        &lied("GetHostname", 200, SOAP, &other).await,
        OnvifErrorKind::BadResponse,
        "FormatDiskResponse",
    );
}

#[tokio::test]
async fn redirections_are_not_followed() {
    for status in [301, 302, 307, 308] {
        let answer = lied("*", status, SOAP, "").await;
        refused(&answer, OnvifErrorKind::BadResponse, "redirection");
    }
}

#[tokio::test]
async fn questions_that_a_device_does_not_know_are_left_out_of_the_answer() {
    let fault = envelope("<s:Fault><faultcode>ter:ActionNotSupported</faultcode></s:Fault>");
    for (status, kind, body) in [
        (500, SOAP, fault.as_str()),
        (404, "text/html", "<html>"),
        (405, "text/plain", ""),
    ] {
        let lies = ["GetHostname", "GetDNS", "GetServices"]
            .map(|question| (question, status, kind, body.to_owned()));
        let camera = Camera::start(Manner {
            lies: lies.to_vec(),
            ..Manner::default()
        })
        .await;
        let device = get_from(&camera).await.unwrap();
        assert!(
            device.host_name.is_none() && device.name_servers.is_none(),
            "{device:?}"
        );
        assert_eq!(device.profiles.len(), 2);
    }
    refused(
        &lied("GetProfiles", 500, SOAP, &fault).await,
        OnvifErrorKind::BadResponse,
        "ActionNotSupported",
    );
}

#[tokio::test]
async fn a_device_that_repeats_the_password_is_not_repeated() {
    let fault = |code: &str| {
        envelope(&format!(
            "<s:Fault><faultcode>{code}</faultcode><faultstring>{PASSWORD}!</faultstring></s:Fault>"
        ))
    };
    refused(
        &lied("GetProfiles", 500, SOAP, &fault("x")).await,
        OnvifErrorKind::BadResponse,
        "***!",
    );
    refused(
        &lied("GetDNS", 400, SOAP, &fault("ter:NotAuthorized")).await,
        OnvifErrorKind::Unauthorized,
        "***!",
    );
}

#[tokio::test]
async fn challenges_without_end_are_not_answered_without_end() {
    let camera = Camera::start(Manner {
        lies: vec![("*", 401, "text/html", String::new())],
        asks: Asks::Token,
        ..Manner::default()
    })
    .await;
    refused(
        &get_from(&camera).await,
        OnvifErrorKind::Unauthorized,
        "credentials",
    );
    assert!(camera.seen().len() <= 4, "{:?}", camera.questions());
}

/// Serves these bytes for ever to each client, after a head.
async fn endless(head: &'static str, bytes: &'static [u8]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/onvif/device_service", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(pour(socket, head, bytes));
        }
    });
    (url, task)
}

async fn pour(mut socket: TcpStream, head: &'static str, bytes: &'static [u8]) {
    let mut question = [0; 4096];
    let _ = socket.read(&mut question).await;
    let mut failed = socket.write_all(head.as_bytes()).await.is_err();
    while !failed {
        failed = socket.write_all(bytes).await.is_err();
    }
}

#[tokio::test]
async fn answers_without_end_are_ended() {
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: application/soap+xml\r\n";
    let (body, task) = endless(
        "HTTP/1.1 200 OK\r\ncontent-type: application/soap+xml\r\n\r\n<a>",
        &[b' '; 4096],
    )
    .await;
    let answer = get(endpoint(&body, true)).await;
    refused(&answer, OnvifErrorKind::BadResponse, "longer than 262144 bytes");
    task.abort();
    let (headers, task) = endless(ok, b"x-more: and more and more\r\n").await;
    refused(
        &get(endpoint(&headers, false)).await,
        OnvifErrorKind::BadResponse,
        "broke off",
    );
    task.abort();
    let huge = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    let (long, task) = endless(huge, b"<a>").await;
    refused(
        &get(endpoint(&long, false)).await,
        OnvifErrorKind::BadResponse,
        "longer than",
    );
    task.abort();
    // One that goes on announcing an answer that does not come is slow.
    let (later, task) = endless("", b"HTTP/1.1 100 Continue\r\n\r\n").await;
    let options = OnvifOptions::default().with_request_timeout(Duration::from_millis(500));
    let answer = get_with(endpoint(&later, false), options).await;
    assert!(answer.is_err(), "{answer:?}");
    task.abort();
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    for bytes in [
        b"SSH-2.0-OpenSSH_9.2\r\n".as_slice(),
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"HTTP/1.1 9\r\n\r\n",
    ] {
        let (url, task) = endless("", bytes).await;
        refused(
            &get(endpoint(&url, false)).await,
            OnvifErrorKind::BadResponse,
            "broke off",
        );
        task.abort();
    }
}

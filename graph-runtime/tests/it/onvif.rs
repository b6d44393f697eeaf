//! Cameras that speak ONVIF, by the methods of a module: found, described, and not believed.

/// The device of `lva-onvif`'s own tests, which check what is asked and what is believed.
#[path = "../../../onvif/tests/it/device.rs"]
#[allow(dead_code, reason = "those tests use more of it")]
mod device;
#[path = "../../../onvif/tests/it/responder.rs"]
mod responder;

use std::sync::Arc;
use std::time::Duration;

use lva_graph_runtime::{Module, OnvifOptions};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use self::device::{Asks, Camera, DEVICE, MEDIA, Manner, PASSWORD, USER};
use self::responder::{CAMERA, Responder, matches};
use crate::support::module_with;

/// A module for devices of these tests.
fn module(options: OnvifOptions) -> (Module, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let (module, _) = module_with(directory.path(), |all| all.with_onvif(options));
    (module, directory)
}

fn endpoint(url: &str, user: Option<(&str, &str)>) -> Value {
    let mut endpoint = json!({"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": url});
    if let Some((user, password)) = user {
        endpoint["credentials"] = json!({
            "@type": "#Microsoft.VideoAnalyzer.UsernamePasswordCredentials", "username": user, "password": password,
        });
    }
    endpoint
}

async fn get(endpoint: Value) -> (u16, Value) {
    get_with(endpoint, OnvifOptions::default()).await
}

async fn get_with(endpoint: Value, options: OnvifOptions) -> (u16, Value) {
    let (module, _folder) = module(options);
    let payload = json!({"@apiVersion": "1.1", "endpoint": endpoint});
    let (status, answer) = module.invoke("onvifDeviceGet", &payload).await;
    assert!(!answer.to_string().contains(PASSWORD), "{answer}");
    (status, answer)
}

fn url(camera: &Camera) -> String {
    format!("http://{}{DEVICE}", camera.address)
}

async fn get_from(camera: &Camera) -> (u16, Value) {
    get(endpoint(&url(camera), Some((USER, PASSWORD)))).await
}

/// A refusal has the contract's form: its code, and a message with the reason.
fn refused(answer: &(u16, Value), status: u16, code: &str, why: &str) {
    assert_eq!(answer.0, status, "{}", answer.1);
    assert_eq!(answer.1["error"]["code"], code, "{}", answer.1);
    let message = answer.1["error"]["message"].as_str().unwrap();
    assert!(message.contains(why), "{message}");
}

#[tokio::test]
async fn a_device_is_described_in_the_contracts_words() {
    let camera = Camera::start(Manner::default()).await;
    let (status, answer) = get_from(&camera).await;
    assert_eq!((status, camera.faults()), (200, vec![]), "{answer}");
    let clock = &answer["systemDateTime"];
    assert_eq!(
        (&clock["type"], &clock["timeZone"]),
        (&json!("Ntp"), &json!("UTC0"))
    );
    assert!(clock["time"].as_str().unwrap().ends_with('Z'), "{clock}");
    assert_eq!(answer["hostname"], json!({"fromDhcp": true, "hostname": "yard"}));
    assert_eq!(
        answer["dns"],
        json!({"fromDhcp": true, "ipv4Address": ["10.0.0.1"], "ipv6Address": []})
    );
    // H.265 is left out; a profile whose stream is unknown is listed without it.
    assert_eq!(
        answer["mediaProfiles"],
        json!([
            {"name": "main <1>", "mediaUri": {"uri": format!("rtsp://{}/stream/profileand1", camera.address)},
             "videoEncoderConfiguration": {
                "encoding": "H264", "quality": 4.5, "resolution": {"width": 1920, "height": 1080},
                "rateControl": {"bitRateLimit": 4096.0, "encodingInterval": 1.0, "frameRateLimit": 25.0,
                                "guaranteedFrameRate": false},
                "h264": {"govLength": 50.0, "profile": "Main"},
             }},
            {"name": "audio"},
        ])
    );
    let expected = [
        "GetSystemDateAndTime",
        "GetHostname",
        "GetDNS",
        "GetServices",
        "GetProfiles",
        "GetStreamUri",
    ];
    assert_eq!(camera.questions(), [&expected[..], &["GetStreamUri"]].concat());
    let seen = camera.seen();
    assert!(
        !seen[0].token && seen[1..].iter().all(|seen| seen.token),
        "{seen:?}"
    );
    let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, [&[DEVICE; 4][..], &[MEDIA; 3]].concat());
}

#[tokio::test]
async fn wrong_and_missing_credentials_are_refused_with_403_and_not_tried_for_long() {
    for asks in [Asks::Token, Asks::Digest, Asks::Basic, Asks::Both] {
        let camera = Camera::start(Manner {
            asks,
            ..Manner::default()
        })
        .await;
        let wrong = get(endpoint(&url(&camera), Some((USER, "hunter2-wrong")))).await;
        refused(&wrong, 403, "Forbidden", "the endpoint's credentials");
        assert!(!wrong.1.to_string().contains("hunter2"), "{}", wrong.1);
        // Devices lock users out after some five failures.
        assert!(camera.seen().len() <= 4, "{asks:?}: {:?}", camera.questions());
        let none = get(endpoint(&url(&camera), None)).await;
        refused(&none, 403, "Forbidden", "without credentials");
    }
}

#[tokio::test]
async fn a_header_goes_with_every_question_but_the_first() {
    let camera = Camera::start(Manner {
        asks: Asks::Nothing,
        ..Manner::default()
    })
    .await;
    let mut endpoint = endpoint(&url(&camera), None);
    endpoint["credentials"] = json!({
        "@type": "#Microsoft.VideoAnalyzer.HttpHeaderCredentials", "headerName": "X-Gateway-Key", "headerValue": "k",
    });
    let (status, answer) = get(endpoint).await;
    assert_eq!(status, 200, "{answer}");
    let sent: Vec<_> = camera.seen().into_iter().map(|seen| seen.extra).collect();
    assert!(
        sent[0].is_none() && sent[1..].iter().all(|extra| extra.as_deref() == Some("k")),
        "{sent:?}"
    );
}

#[tokio::test]
async fn endpoints_that_cannot_be_asked_are_the_callers_to_mend() {
    let tls = "#Microsoft.VideoAnalyzer.TlsEndpoint";
    let certificates =
        json!({"@type": "#Microsoft.VideoAnalyzer.PemCertificateList", "certificates": ["none"]});
    let header = json!({
        "@type": "#Microsoft.VideoAnalyzer.HttpHeaderCredentials", "headerName": "Host", "headerValue": "k",
    });
    for (endpoint, why) in [
        (
            json!({"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "rtsp://cam/"}),
            "",
        ),
        (endpoint("http://u:p@127.0.0.1:1/", None), "a user and a password"),
        (json!({"@type": tls, "url": "http://127.0.0.1:1/"}), "https://"),
        (
            json!({"@type": tls, "url": "https://127.0.0.1:1/", "trustedCertificates": certificates}),
            "certificate",
        ),
        (
            json!({"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "http://127.0.0.1:1/",
                   "credentials": header}),
            "credentials",
        ),
    ] {
        refused(&get(endpoint).await, 400, "BadRequest", why);
    }
}

#[tokio::test]
async fn a_device_that_is_not_there_is_a_bad_gateway() {
    // Bound, so that no other process takes the port, and not listening.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = closed.local_addr().unwrap();
    let answer = get(endpoint(&format!("http://{address}/"), None)).await;
    refused(&answer, 502, "BadGateway", "cannot be reached");
}

#[tokio::test]
async fn tls_is_checked_as_the_endpoint_says() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let manner = Manner {
        media: format!("https://{{self}}{MEDIA}"),
        ..Manner::default()
    };
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let camera = Camera::start_with(manner, Some(acceptor)).await;
    let by_address = format!("https://{}{DEVICE}", camera.address);
    let endpoint = |trusted: &[String], options: Value| {
        let mut endpoint = endpoint(&by_address, Some((USER, PASSWORD)));
        endpoint["@type"] = json!("#Microsoft.VideoAnalyzer.TlsEndpoint");
        endpoint["validationOptions"] = options;
        if !trusted.is_empty() {
            endpoint["trustedCertificates"] =
                json!({"@type": "#Microsoft.VideoAnalyzer.PemCertificateList", "certificates": trusted});
        }
        endpoint
    };
    let own = [made.cert.pem()];
    // The certificate is for another name than the address; and it is self-signed.
    let answer = get(endpoint(&own, json!({}))).await;
    refused(&answer, 502, "BadGateway", "not trusted");
    let other = [rcgen::generate_simple_self_signed(["x".to_owned()])
        .unwrap()
        .cert
        .pem()];
    let answer = get(endpoint(&other, json!({"ignoreHostname": "true"}))).await;
    refused(&answer, 502, "BadGateway", "not trusted");
    assert!(
        camera.seen().is_empty(),
        "nothing was sent to a device that is not trusted"
    );
    for good in [
        endpoint(&own, json!({"ignoreHostname": "true"})),
        endpoint(
            &other,
            json!({"ignoreHostname": "true", "ignoreSignature": "true"}),
        ),
    ] {
        let (status, answer) = get(good).await;
        assert_eq!((status, camera.faults()), (200, vec![]), "{answer}");
        assert_eq!(answer["mediaProfiles"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_device_that_is_slow_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Takes the request, and answers nothing, or a byte now and then.
    let silent = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            all.push(socket);
        }
    });
    let quick = Duration::from_millis(300);
    for options in [
        OnvifOptions::default().with_request_timeout(quick),
        OnvifOptions::default().with_total_timeout(quick),
    ] {
        let secured = json!({
            "@type": "#Microsoft.VideoAnalyzer.TlsEndpoint", "url": format!("https://{address}/"),
            "validationOptions": {"ignoreSignature": "true"},
        });
        // The second is stuck in the TLS handshake.
        for endpoint in [endpoint(&format!("http://{address}/"), None), secured] {
            let answer = get_with(endpoint, options.clone()).await;
            refused(&answer, 504, "GatewayTimeout", "0.3 s");
        }
    }
    silent.abort();
}

#[tokio::test]
async fn devices_are_found_in_the_contracts_words() {
    let answer = matches("urn:uuid:{id}", &["urn:uuid:1"], CAMERA);
    let device = Responder::start(vec![answer]).await;
    let (module, _folder) = module(OnvifOptions::default().with_discovery_targets([device.address]));
    let payload = json!({"@apiVersion": "1.1", "discoveryDuration": "PT3S"});
    let (status, answer) = module.invoke("onvifDeviceDiscover", &payload).await;
    let expected = json!({"value": [{
        "serviceIdentifier": "urn:uuid:1", "remoteIPAddress": "127.0.0.1",
        "scopes": ["onvif://www.onvif.org/name/yard"], "endpoints": ["http://127.0.0.1/onvif/device_service"],
    }]});
    assert_eq!((status, answer), (200, expected));
    assert!(*device.heard.borrow() >= 1);
}

//! Devices that answer as they should, in all their ways.

use std::sync::Arc;
use std::time::Duration;

use lva_client_transport::ClientTls;
use lva_client_transport::http::HttpCredentials;
use lva_media_types::BasicAuthentication;
use lva_onvif::{OnvifErrorKind, OnvifOptions, VideoEncoding};
use tokio_rustls::TlsAcceptor;

use super::device::{Asks, Camera, DEVICE, MEDIA, Manner, USER};
use super::{endpoint, get, get_from, get_with, refused, url};

#[tokio::test]
async fn a_device_is_described_with_its_streams() {
    let camera = Camera::start(Manner::default()).await;
    let device = get_from(&camera).await.unwrap();
    assert_eq!(camera.faults(), Vec::<String>::new());
    let clock = device.clock.unwrap();
    assert_eq!((clock.source.as_str(), clock.time_zone.as_str()), ("Ntp", "UTC0"));
    assert!(clock.time.ends_with('Z'), "{}", clock.time);
    let host = device.host_name.unwrap();
    assert_eq!((host.from_dhcp, host.name.as_str()), (true, "yard"));
    let servers = device.name_servers.unwrap();
    assert!(servers.from_dhcp && servers.ipv6.is_empty());
    assert_eq!(servers.ipv4, ["10.0.0.1".parse::<std::net::Ipv4Addr>().unwrap()]);
    // H.265 is left out; a profile without a stream address is there without it.
    let [main, audio] = &device.profiles[..] else {
        panic!("{:?}", device.profiles);
    };
    assert_eq!((main.name.as_str(), audio.name.as_str()), ("main <1>", "audio"));
    let stream = format!("rtsp://{}/stream/profileand1", camera.address);
    assert_eq!(main.stream_uri.as_deref(), Some(stream.as_str()));
    assert!(audio.stream_uri.is_none() && audio.encoder.is_none());
    let encoder = main.encoder.as_ref().unwrap();
    assert_eq!(
        (encoder.encoding, encoder.quality),
        (VideoEncoding::H264, Some(4.5))
    );
    assert_eq!(
        (encoder.resolution, encoder.gov_length),
        (Some((1920, 1080)), Some(50.0))
    );
    assert_eq!(encoder.codec_profile.as_deref(), Some("Main"));
    let rate = encoder.rate.unwrap();
    assert_eq!(
        (rate.kilobits_per_second, rate.encoding_interval),
        (Some(4096.0), Some(1.0))
    );
    assert_eq!(
        (rate.frames_per_second, rate.guaranteed_frame_rate),
        (Some(25.0), Some(false))
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
async fn every_way_to_ask_for_a_password_is_answered() {
    for asks in [Asks::Nothing, Asks::Token, Asks::Digest, Asks::Basic, Asks::Both] {
        for hides_its_clock in [false, true] {
            let manner = Manner {
                asks,
                hides_its_clock,
                ..Manner::default()
            };
            let camera = Camera::start(manner).await;
            let device = get_from(&camera).await.unwrap();
            assert_eq!((camera.faults(), device.profiles.len()), (vec![], 2), "{asks:?}");
            // The question for the clock comes without anything first.
            let first = &camera.seen()[0];
            assert!(
                !first.token && first.authorization.is_none(),
                "{asks:?}: {first:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_by_decades_is_followed() {
    for clock in [-1_600_000_000, -3600, 40, 400_000_000] {
        let manner = Manner {
            clock,
            ..Manner::default()
        };
        let camera = Camera::start(manner).await;
        let device = get_from(&camera).await;
        assert!(
            device.is_ok() && camera.faults().is_empty(),
            "{clock}: {device:?}"
        );
    }
}

#[tokio::test]
async fn an_old_device_is_asked_the_older_question() {
    let manner = Manner {
        is_old: true,
        ..Manner::default()
    };
    let camera = Camera::start(manner).await;
    let device = get_from(&camera).await.unwrap();
    assert_eq!((camera.faults(), device.profiles.len()), (vec![], 2));
    assert!(camera.questions().contains(&"GetCapabilities".to_owned()));
}

#[tokio::test]
async fn wrong_and_missing_credentials_are_not_tried_for_long() {
    for asks in [Asks::Token, Asks::Digest, Asks::Basic, Asks::Both] {
        let camera = Camera::start(Manner {
            asks,
            ..Manner::default()
        })
        .await;
        let wrong = endpoint(&url(&camera), false).with_password(USER, "hunter2-wrong");
        let wrong = get(wrong).await;
        refused(&wrong, OnvifErrorKind::Unauthorized, "the endpoint's credentials");
        assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        // Devices lock users out after some five failures.
        assert!(camera.seen().len() <= 4, "{asks:?}: {:?}", camera.questions());
        let none = get(endpoint(&url(&camera), false)).await;
        refused(&none, OnvifErrorKind::Unauthorized, "without credentials");
    }
}

#[tokio::test]
async fn a_header_goes_with_every_question_but_the_first() {
    let camera = Camera::start(Manner {
        asks: Asks::Nothing,
        ..Manner::default()
    })
    .await;
    let header = HttpCredentials::header("X-Gateway-Key", "k").unwrap();
    let device = get(endpoint(&url(&camera), false).with_credentials(header)).await;
    assert!(device.is_ok(), "{device:?}");
    let sent: Vec<_> = camera.seen().into_iter().map(|seen| seen.extra).collect();
    assert!(
        sent[0].is_none() && sent[1..].iter().all(|extra| extra.as_deref() == Some("k")),
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_device_that_is_not_there_cannot_be_reached() {
    // Bound, so that no other process takes the port, and not listening.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = closed.local_addr().unwrap();
    let answer = get(endpoint(&format!("http://{address}/"), false)).await;
    refused(&answer, OnvifErrorKind::BadResponse, "cannot be reached");
}

#[tokio::test]
async fn a_port_without_tls_is_not_blamed_on_the_certificate() {
    let camera = Camera::start(Manner::default()).await;
    let secured = format!("https://{}{DEVICE}", camera.address);
    let answer = get(endpoint(&secured, true)).await;
    refused(&answer, OnvifErrorKind::BadResponse, "does not speak TLS");
}

#[tokio::test]
async fn a_device_that_offers_basic_alone_gets_no_password_where_that_is_not_allowed() {
    let camera = Camera::start(Manner {
        asks: Asks::Basic,
        ..Manner::default()
    })
    .await;
    for policy in [BasicAuthentication::OverTls, BasicAuthentication::Never] {
        let device = endpoint(&url(&camera), true).with_basic_authentication(policy);
        refused(&get(device).await, OnvifErrorKind::Unauthorized, "enable Digest");
    }
    let seen = camera.seen();
    assert!(seen.iter().all(|seen| seen.authorization.is_none()), "{seen:?}");
}

#[tokio::test]
async fn tls_is_checked_unless_a_switch_turns_it_off() {
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
    let trusting = |pem: &str| ClientTls::from_pem([pem]).unwrap();
    let own = trusting(&made.cert.pem());
    let unrelated = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
    let other = trusting(&unrelated.cert.pem()).dangerous_ignore_hostname(true);
    // The certificate is for another name than the address; and it is self-signed.
    for tls in [own.clone(), other.clone()] {
        let answer = get(endpoint(&by_address, true).with_tls(tls)).await;
        refused(&answer, OnvifErrorKind::BadResponse, "not trusted");
    }
    assert!(
        camera.seen().is_empty(),
        "nothing was sent to a device that is not trusted"
    );
    for tls in [
        own.dangerous_ignore_hostname(true),
        other.dangerous_ignore_signature(true),
    ] {
        let device = get(endpoint(&by_address, true).with_tls(tls)).await.unwrap();
        assert_eq!((camera.faults(), device.profiles.len()), (vec![], 2));
    }
}

#[tokio::test]
async fn a_device_that_is_slow_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Takes the request, and answers nothing.
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
        // The second is stuck in the TLS handshake.
        let unchecked = ClientTls::platform().dangerous_ignore_signature(true);
        for endpoint in [
            endpoint(&format!("http://{address}/"), false),
            endpoint(&format!("https://{address}/"), false).with_tls(unchecked),
        ] {
            let answer = get_with(endpoint, options.clone()).await;
            refused(&answer, OnvifErrorKind::TimedOut, "0.3 s");
        }
    }
    silent.abort();
}

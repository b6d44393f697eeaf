//! RTSP over TLS and in HTTP tunnels, and certificates that are not good enough.

use lva_rtsp::{
    Camera, CameraError, CameraOptions, ClientTls, ClockSource, Credentials, ErrorKind, Transport,
};
use lva_rtsp_simulator::{AuthScheme, Faults, Simulator, SimulatorOptions, SimulatorTls, video_samples};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{closed, endless, established, lost, made_clip, quick, testuser, units, until};

fn tls() -> SimulatorTls {
    SimulatorTls::self_signed(&["127.0.0.1", "localhost"]).unwrap()
}

fn trusting(tls: &SimulatorTls) -> ClientTls {
    ClientTls::from_pem([tls.certificate_pem()]).unwrap()
}

/// TLS, a tunnel, and a tunnel in TLS.
fn ways() -> [(Transport, Option<SimulatorTls>); 3] {
    [
        (Transport::Tcp, Some(tls())),
        (Transport::Http, None),
        (Transport::Http, Some(tls())),
    ]
}

async fn server(directory: &std::path::Path, tls: Option<&SimulatorTls>, scheme: AuthScheme) -> Simulator {
    let options = SimulatorOptions::new(directory)
        .with_credentials(Some(testuser()))
        .with_auth_scheme(scheme)
        .with_tls(tls.cloned());
    Simulator::start(options).await.unwrap()
}

fn camera(simulator: &Simulator, transport: Transport, tls: Option<&SimulatorTls>) -> CameraOptions {
    quick(&simulator.url("clip.mp4"))
        .with_transport(transport)
        .with_tls(tls.map(trusting))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_tunnels_carry_the_same_bytes_with_both_kinds_of_credentials_or_skips() {
    let Some(directory) = made_clip(true, &[]) else {
        return;
    };
    let samples = video_samples(&directory.path().join("clip.mp4")).unwrap();
    for (transport, tls) in ways() {
        for scheme in [AuthScheme::Digest, AuthScheme::Basic] {
            let simulator = server(directory.path(), tls.as_ref(), scheme).await;
            let mut camera = Camera::connect(camera(&simulator, transport, tls.as_ref()));
            let (streams, sdp) = established(&mut camera).await;
            assert_eq!(
                streams.iter().filter(|s| s.playing).count(),
                2,
                "{transport} {scheme:?}"
            );
            assert!(sdp.starts_with("v=0\r\n") && !sdp.contains("127.0.0.1:"), "{sdp}");
            let units = units(&mut camera, 0, 40).await;
            for (unit, sample) in units.iter().zip(&samples) {
                assert!(unit.data == *sample, "{transport} {scheme:?}");
                assert_eq!(unit.clock, ClockSource::SenderReport);
            }
            assert_eq!(simulator.counters().rejected_credentials, 0);
            camera.close().await;
            // Its answer is not waited for long.
            until("a TEARDOWN", || simulator.counters().teardowns == 1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_tried_once_and_named_on_every_way_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    for (transport, tls) in ways() {
        let simulator = server(directory.path(), tls.as_ref(), AuthScheme::Digest).await;
        for (password, expected) in [(Some("geheim"), "does not accept"), (None, "none are configured")] {
            let credentials = password.map(|password| Credentials::new("testuser", password));
            let options = camera(&simulator, transport, tls.as_ref()).with_credentials(credentials);
            let error = lost(&mut Camera::connect(options)).await;
            assert_eq!(
                (error.kind(), error.status_code()),
                (ErrorKind::Authentication, Some(401)),
                "{transport}: {error}"
            );
            let text = format!("{error} {error:?}");
            assert!(text.contains(expected) && !text.contains("geheim"), "{text}");
        }
        assert_eq!(simulator.counters().rejected_credentials, 1, "{transport}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_without_base_and_play_without_rtp_info_work_on_every_way_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let bare = Faults::default()
        .with_no_content_base(true)
        .with_no_rtp_info(true);
    for (transport, tls) in ways().into_iter().chain([(Transport::Tcp, None)]) {
        let simulator = server(directory.path(), tls.as_ref(), AuthScheme::Digest).await;
        simulator.set_faults(bare.clone());
        let mut camera = Camera::connect(camera(&simulator, transport, tls.as_ref()));
        assert_eq!(units(&mut camera, 0, 5).await.len(), 5, "{transport}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_two_switches_accept_what_they_name_and_nothing_else_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let right = tls();
    let other_host = SimulatorTls::self_signed(&["camera.example"]).unwrap();
    let bare = ClientTls::platform();
    let hostname = |options: ClientTls| options.dangerous_ignore_hostname(true);
    let signature = |options: ClientTls| options.dangerous_ignore_signature(true);
    let cases = [
        (&right, trusting(&right), None),
        (&right, trusting(&other_host), Some("no trusted authority signed")),
        (&right, signature(bare.clone()), None),
        (
            &right,
            hostname(trusting(&other_host)),
            Some("no trusted authority signed"),
        ),
        (&other_host, trusting(&other_host), Some("for another host")),
        (&other_host, hostname(trusting(&other_host)), None),
        (&other_host, signature(bare.clone()), Some("for another host")),
        (&other_host, hostname(signature(bare)), None),
    ];
    for (number, (served, options, refused)) in cases.into_iter().enumerate() {
        let simulator = server(directory.path(), Some(served), AuthScheme::Digest).await;
        let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")).with_tls(Some(options)));
        match refused {
            None => assert_eq!(units(&mut camera, 0, 1).await.len(), 1, "case {number}"),
            Some(expected) => {
                let error = lost(&mut camera).await;
                assert!(matches!(error, CameraError::Tls { .. }), "case {number}: {error}");
                assert!(error.to_string().contains(expected), "case {number}: {error}");
                // The client sends nothing to an untrusted server.
                assert_eq!(simulator.counters().plays, 0);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_that_speak_something_else_are_named_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let plain = server(directory.path(), None, AuthScheme::Digest).await;
    let url = plain.url("clip.mp4").replace("rtsp://", "rtsps://");
    let error = lost(&mut Camera::connect(quick(&url))).await;
    assert!(
        matches!(error, CameraError::Tls { .. }) && !error.to_string().contains("certificate"),
        "{error}"
    );

    let udp = lost(&mut Camera::connect(quick(&url).with_transport(Transport::Udp))).await;
    assert!(
        matches!(udp, CameraError::Unsupported { .. }) && udp.to_string().contains("UDP"),
        "{udp}"
    );

    for (answer, expected) in [
        (&b"HTTP/1.1 404 Not Found\r\n\r\n"[..], "answered 404"),
        (b"RTSP/1.0 400 Bad Request\r\n\r\n", "answered 400"),
        (b"", "not HTTP"),
        (b"220 mail.example ESMTP\r\n\r\n", "no RTSP tunnel"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("rtsp://{}/x", listener.local_addr().unwrap());
        let serve = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
            }
        });
        let error = lost(&mut Camera::connect(quick(&url).with_transport(Transport::Http))).await;
        assert!(error.to_string().contains(expected), "{error}");
        serve.abort();
    }
}

#[tokio::test]
async fn a_camera_that_guards_the_tunnel_itself_is_answered_on_both_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/live?channel=1", listener.local_addr().unwrap());
    let camera = Camera::connect(quick(&url).with_transport(Transport::Http));
    let mut heads = Vec::new();
    let mut held = Vec::new();
    while heads.len() < 3 {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.windows(4).any(|four| four == b"\r\n\r\n") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        let request = String::from_utf8(request).unwrap();
        let answer = match heads.len() {
            0 => "HTTP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\n",
            1 => "HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n",
            _ => "",
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
        heads.push(request);
        held.push(stream);
    }
    assert!(heads[0].starts_with("GET /live?channel=1 HTTP/1.0\r\n") && !heads[0].contains("Authorization"));
    assert!(
        heads[1].starts_with("GET ") && heads[1].contains("uri=\"/live?channel=1\""),
        "{}",
        heads[1]
    );
    assert!(
        heads[2].starts_with("POST ") && heads[2].contains("Authorization: Digest"),
        "{}",
        heads[2]
    );
    assert!(heads.iter().all(|head| !head.contains("testpassword")));
    drop(camera);
}

#[tokio::test]
async fn stop_wins_at_once_over_a_handshake_that_never_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (scheme, transport) in [("rtsps", Transport::Tcp), ("rtsp", Transport::Http)] {
        let options = quick(&format!("{scheme}://{address}/x"))
            .with_transport(transport)
            .with_tls((scheme == "rtsps").then(|| ClientTls::platform().dangerous_ignore_signature(true)))
            .with_timeouts(endless());
        let camera = Camera::connect(options);
        let _held = listener.accept().await.unwrap();
        closed(camera, scheme).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protected_cameras_come_back_and_stop_at_once_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    for (transport, tls) in ways() {
        let simulator = server(directory.path(), tls.as_ref(), AuthScheme::Digest).await;
        let options = camera(&simulator, transport, tls.as_ref()).with_timeouts(endless());
        let mut camera = Camera::connect(options);
        units(&mut camera, 0, 3).await;
        simulator.close_connections();
        let error = lost(&mut camera).await;
        assert_eq!(error.kind(), ErrorKind::Network, "{transport}: {error}");
        established(&mut camera).await;
        units(&mut camera, 0, 3).await;
        closed(camera, &transport.to_string()).await;
    }
}

#[tokio::test]
async fn a_tunnel_without_a_cookie_or_without_its_other_half_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = server(directory.path(), None, AuthScheme::Digest).await;
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.0\r\nx-sessioncookie: unknown\r\n\r\n",
        "POST / HTTP/1.0\r\n\r\n",
    ] {
        let mut stream = tokio::net::TcpStream::connect(simulator.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 400 "), "{request}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_protected_sessions_leave_nothing_behind_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    for (transport, tls) in ways() {
        let simulator = server(directory.path(), tls.as_ref(), AuthScheme::Digest).await;
        let options = camera(&simulator, transport, tls.as_ref());
        let metrics = tokio::runtime::Handle::current().metrics();
        let mut after_warm_up = (0, 0);
        for round in 0..34 {
            let mut camera = Camera::connect(options.clone());
            units(&mut camera, 0, 1).await;
            camera.close().await;
            if round == 9 {
                after_warm_up = (crate::support::descriptors(), metrics.num_alive_tasks());
            }
        }
        until("everything is closed", || {
            crate::support::descriptors() <= after_warm_up.0 + 4
                && metrics.num_alive_tasks() <= after_warm_up.1 + 4
        })
        .await;
    }
}

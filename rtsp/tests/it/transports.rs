//! Which transport a session uses, and what each may do otherwise.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lva_rtsp::{Camera, CameraError, CameraEvent, Codec, ErrorKind, MediaKind, Transport};
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;

use crate::odd_camera::{Request, SDP, interleaved, listener, picture, pictures, plain, request, serve};
use crate::support::{established, lost, next, quick, skip, timeouts, units, until};

/// The answer of a camera that takes transports with these words only.
fn only(wanted: &str, request: &Request) -> String {
    only_or(wanted, "461 Unsupported Transport", request)
}

/// The same with another refusal.
fn only_or(wanted: &str, refusal: &str, request: &Request) -> String {
    let cseq = request.header("CSeq");
    if request.method == "SETUP" && !request.header("Transport").contains(wanted) {
        return format!("RTSP/1.0 {refusal}\r\nCSeq: {cseq}\r\n\r\n");
    }
    plain(request)
}

#[tokio::test]
async fn a_camera_without_tcp_plays_by_udp_where_no_transport_was_asked_for() {
    // The last one takes no notice of what was asked for.
    for refusal in [
        "461 Unsupported Transport",
        "400 Bad Request",
        "501 Not Implemented",
        "",
    ] {
        let (listener, url) = listener().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                let mut target = 0_u16;
                while let Some(request) = request(&mut stream).await {
                    let asked = request.header("Transport");
                    let wanted = if refusal.is_empty() { "" } else { "client_port" };
                    let mut answer = only_or(wanted, refusal, &request);
                    match asked.split_once("client_port=") {
                        Some((_, ports)) => target = ports.split('-').next().unwrap().parse().unwrap(),
                        None if request.method == "SETUP" => {
                            answer = answer.replace(asked, "RTP/AVP;unicast;client_port=0-1;server_port=9-10")
                        }
                        None => {}
                    }
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    for number in (0..7).filter(|_| request.method == "PLAY") {
                        let to = ("127.0.0.1", target);
                        sender.send_to(&picture(number), to).await.unwrap();
                    }
                }
            }
        });
        let mut camera = Camera::connect(quick(&url));
        assert_eq!(units(&mut camera, 0, 5).await.len(), 5, "{refusal}");
        assert_eq!(camera.counters().failed_attempts, 0);
        camera.close().await;
        // Asked for TCP, nothing else is tried.
        let error = lost(&mut Camera::connect(quick(&url).with_transport(Transport::Tcp))).await;
        let is_refused = matches!(
            error,
            CameraError::Status {
                status: 461 | 400 | 501,
                ..
            } | CameraError::Transport {
                instead: Transport::Udp,
                ..
            }
        );
        assert!(is_refused, "{error}");
    }
}

#[tokio::test]
async fn a_camera_that_refuses_every_transport_is_asked_for_each_once_and_the_first_refusal_is_told() {
    let (listener, url) = listener().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let refusing = move |request: &Request| {
        if request.method == "SETUP" {
            log.lock().unwrap().push(request.header("Transport").to_owned());
        }
        only("nothing", request)
    };
    serve(listener, refusing, Vec::new());
    let mut camera = Camera::connect(quick(&url));
    let error = lost(&mut camera).await;
    assert_eq!(error.status_code(), Some(461), "{error}");
    camera.stop();
    let asked = asked.lock().unwrap();
    let kinds = ["interleaved", "client_port", "multicast"];
    for (transport, kind) in asked.iter().zip(kinds) {
        assert!(transport.contains(kind), "{asked:?}");
    }
    assert!(asked.len() >= 3);
}

#[tokio::test]
async fn silence_by_udp_leads_back_to_tcp_and_names_the_firewall() {
    let (listener, url) = listener().await;
    let refused = AtomicUsize::new(0);
    // TCP is refused once, and nothing comes by UDP.
    let answer = move |request: &Request| {
        let tcp = request.header("Transport").contains("interleaved");
        if request.method == "SETUP" && tcp && refused.fetch_add(1, Ordering::Relaxed) == 0 {
            return only("client_port", request);
        }
        plain(request)
    };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut tcp = false;
            while let Some(request) = request(&mut stream).await {
                tcp |= request.header("Transport").contains("interleaved");
                let _ = stream.write_all(answer(&request).as_bytes()).await;
                if request.method == "PLAY" && tcp {
                    let _ = stream.write_all(&pictures(5)).await;
                }
            }
        }
    });
    let options = quick(&url).with_timeouts(timeouts(60_000, 30_000, None));
    let mut camera = Camera::connect(options);
    let error = lost(&mut camera).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("firewall"), "{error}");
    assert_eq!(units(&mut camera, 0, 5).await.len(), 5);
}

#[tokio::test]
async fn udp_plays_without_a_usable_server_port_and_silence_names_the_firewall() {
    for port in ["", ";server_port=0-0", ";server_port=9"] {
        let (listener, url) = listener().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let mut target = 0_u16;
            while let Some(request) = request(&mut stream).await {
                let mut answer = plain(&request);
                if request.method == "SETUP" {
                    let transport = request.header("Transport");
                    let (_, ports) = transport.split_once("client_port=").unwrap();
                    target = ports.split('-').next().unwrap().parse().unwrap();
                    answer = answer.replace(transport, &format!("{transport}{port}"));
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                if request.method == "PLAY" {
                    // Two change places: datagrams do.
                    for number in [0, 2, 1, 3, 4, 5, 6] {
                        sender
                            .send_to(&picture(number), ("127.0.0.1", target))
                            .await
                            .unwrap();
                    }
                }
            }
        });
        let mut camera = Camera::connect(quick(&url).with_transport(Transport::Udp));
        let seen = units(&mut camera, 0, 7).await;
        assert!(seen.iter().all(|unit| unit.lost_before == 0), "{port}");
        camera.close().await;
    }
    let (silent, url) = listener().await;
    serve(silent, plain, Vec::new());
    let options = quick(&url)
        .with_transport(Transport::Udp)
        .with_timeouts(timeouts(200, 30_000, None));
    let error = lost(&mut Camera::connect(options)).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error.to_string().contains("firewall") && error.to_string().contains("tcp"),
        "{error}"
    );
}

/// Sends pictures to a group on loopback until the connection ends.
async fn play_to_group(listener: tokio::net::TcpListener, group: Ipv4Addr, port: u16, names_it: bool) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        SockRef::from(&sender)
            .set_multicast_if_v4(&Ipv4Addr::LOCALHOST)
            .unwrap();
        let other_sender = UdpSocket::bind("127.0.0.2:0").await.unwrap();
        SockRef::from(&other_sender)
            .set_multicast_if_v4(&Ipv4Addr::LOCALHOST)
            .unwrap();
        while let Some(request) = request(&mut stream).await {
            let own = if names_it {
                format!(
                    "RTP/AVP;multicast;destination={group};port={port}-{};ttl=1",
                    port + 1
                )
            } else {
                "RTP/AVP;multicast".to_owned()
            };
            let mut answer = only("multicast", &request);
            if request.method == "SETUP" {
                answer = answer.replace(request.header("Transport"), &own);
            } else if request.method == "DESCRIBE" {
                let sdp = SDP.replace(
                    "m=video 0 RTP/AVP 96\r\n",
                    &format!("m=video {port} RTP/AVP 96\r\nc=IN IP4 {group}/1\r\n"),
                );
                answer = answer.replace(SDP, &sdp).replace(
                    &format!("Content-Length: {}", SDP.len()),
                    &format!("Content-Length: {}", sdp.len()),
                );
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            if request.method == "PLAY" {
                for number in 0..5 {
                    let to = SocketAddrV4::new(group, port);
                    // Of another sender: it would be another stream.
                    let _ = other_sender.send_to(&picture(1000 + number), to).await;
                    sender.send_to(&picture(number), to).await.unwrap();
                }
            }
        }
    }
}

/// Whether datagrams to a group come back on loopback.
async fn loopback_has_multicast(group: Ipv4Addr) -> bool {
    let Ok(receiver) = UdpSocket::bind((group, 0)).await else {
        return false;
    };
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let sent = receiver.join_multicast_v4(group, Ipv4Addr::LOCALHOST).is_ok()
        && SockRef::from(&sender)
            .set_multicast_if_v4(&Ipv4Addr::LOCALHOST)
            .is_ok()
        && sender
            .send_to(b"x", (group, receiver.local_addr().unwrap().port()))
            .await
            .is_ok();
    let received = tokio::time::timeout(Duration::from_secs(5), receiver.recv(&mut [0])).await;
    sent && received.is_ok_and(|received| received.is_ok())
}

#[tokio::test]
async fn multicast_plays_from_the_group_that_the_answer_or_the_description_names_or_skips() {
    let group = Ipv4Addr::new(239, 255, 77, 12);
    if !loopback_has_multicast(group).await {
        return skip("no multicast on loopback");
    }
    for (names_it, transport) in [
        (true, Transport::Multicast),
        (false, Transport::Multicast),
        (true, Transport::Auto),
    ] {
        // A free even port: the next one is for RTCP.
        let port = loop {
            let port = UdpSocket::bind("127.0.0.1:0")
                .await
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            if port % 2 == 0 {
                break port;
            }
        };
        let (listener, url) = listener().await;
        let serving = tokio::spawn(play_to_group(listener, group, port, names_it));
        let mut camera = Camera::connect(quick(&url).with_transport(transport));
        let seen = units(&mut camera, 0, 4).await;
        assert!(seen.iter().all(|unit| unit.lost_before == 0), "{transport}");
        assert!(
            camera.counters().repairs.is_empty(),
            "{}",
            camera.counters().repairs
        );
        camera.close().await;
        serving.abort();
    }
}

#[tokio::test]
async fn every_session_of_a_camera_is_kept_alive_and_torn_down() {
    let (listener, url) = listener().await;
    let sdp = format!("{SDP}m=audio 0 RTP/AVP 8\r\na=control:trackID=1\r\n");
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let log = Arc::clone(&seen);
    let answer = move |request: &Request| {
        log.lock()
            .unwrap()
            .insert((request.method.clone(), request.header("Session").to_owned()));
        let length = format!("Content-Length: {}", SDP.len());
        let track = if request.head.contains("trackID=1") {
            "B2"
        } else {
            "A1"
        };
        plain(request)
            .replace(&length, &format!("Content-Length: {}", sdp.len()))
            .replace(SDP, &sdp)
            .replace("Session: A1", &format!("Session: {track};timeout=3"))
    };
    serve(listener, answer, pictures(5));
    let mut camera = Camera::connect(quick(&url));
    units(&mut camera, 0, 3).await;
    let has = |method: &str, session: &str| {
        seen.lock()
            .unwrap()
            .contains(&(method.to_owned(), session.to_owned()))
    };
    for session in ["A1", "B2"] {
        assert!(has("PLAY", session), "{session}");
        until("a keep-alive", || has("OPTIONS", session)).await;
    }
    camera.close().await;
    for session in ["A1", "B2"] {
        until("a teardown", || has("TEARDOWN", session)).await;
    }
}

#[tokio::test]
async fn metadata_are_received_where_they_are_wanted_and_never_asked_for_otherwise() {
    for wanted in [true, false] {
        let (listener, url) = listener().await;
        let sdp = format!(
            "{SDP}m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:trackID=1\r\n"
        );
        let setups = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&setups);
        let answer = move |request: &Request| {
            count.fetch_add(usize::from(request.method == "SETUP"), Ordering::Relaxed);
            let length = format!("Content-Length: {}", SDP.len());
            plain(request)
                .replace(&length, &format!("Content-Length: {}", sdp.len()))
                .replace(SDP, &sdp)
        };
        let mut media = pictures(3);
        let mut document = |sequence: u8, marker: u8, text: &str| {
            let mut packet = vec![0x80, 107 | marker, 0, sequence, 0, 0, 0, 9, 0, 0, 0, 3];
            packet.extend(text.as_bytes());
            let mut bytes = interleaved(&packet);
            if let Some(channel) = bytes.get_mut(1) {
                *channel = 2;
            }
            media.extend(bytes);
        };
        document(1, 0, "<?xml version=\"1.0\"?><tt:Metadata");
        document(2, 0x80, "Stream/>");
        serve(listener, answer, media);
        let mut camera = Camera::connect(quick(&url).with_metadata(wanted));
        let (streams, _) = established(&mut camera).await;
        assert_eq!(
            (streams[1].codec, streams[1].playing),
            (Codec::OnvifMetadata, wanted)
        );
        let (mut found, mut pictures) = (Vec::new(), 0);
        while pictures < 3 || wanted && found.is_empty() {
            match next(&mut camera).await {
                CameraEvent::Unit(unit) if unit.media == MediaKind::Application => found.push(unit.data),
                CameraEvent::Unit(_) => pictures += 1,
                other => panic!("{other:?}"),
            }
        }
        let expected = &b"<?xml version=\"1.0\"?><tt:MetadataStream/>"[..];
        assert_eq!(found, vec![expected; usize::from(wanted)]);
        assert_eq!(setups.load(Ordering::Relaxed), 1 + usize::from(wanted));
        camera.close().await;
    }
}

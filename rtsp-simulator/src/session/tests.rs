use bytes::Bytes;
use proptest::prelude::*;
use rtsp_types::Message;

use super::*;
use crate::auth::AuthScheme;
use crate::media::{Sample, Track, TrackKind};

const URL: &str = "rtsp://127.0.0.1:8554/media/plaza.mp4";

fn clip() -> Arc<Clip> {
    let kind = TrackKind::H264 {
        sps: vec![vec![0x67, 0x4d, 0x40, 0x1e]],
        pps: vec![vec![0x68, 1]],
        length_bytes: 4,
    };
    let samples = vec![Sample::for_test(0, true)];
    Arc::new(Clip::of_tracks(
        Bytes::new(),
        vec![Track {
            kind,
            timescale: 1,
            samples,
            duration: 1,
        }],
    ))
}

fn session(credentials: Option<Credentials>) -> ServerSession {
    ServerSession::new(
        credentials,
        Challenge::new(AuthScheme::Digest, "nonce".into()),
        42,
        false,
        DescribeFaults::default(),
    )
}

fn request(text: &str) -> Request<Vec<u8>> {
    let text = text.replace('\n', "\r\n") + "\r\n\r\n";
    match Message::<Vec<u8>>::parse(text.as_bytes()) {
        Ok((Message::Request(request), _)) => request,
        other => panic!("{other:?}"),
    }
}

fn ask(session: &mut ServerSession, text: &str) -> (u16, Response<Vec<u8>>, Action) {
    let request = request(text);
    let file = match session.file_of(&request) {
        None => Lookup::NotRequested,
        Some(file) if file.as_os_str() == "plaza.mp4" => Lookup::Found(clip()),
        Some(file) if file.as_os_str() == "broken.mp4" => Lookup::Broken(MediaError::NoUsableTrack),
        Some(_) => Lookup::Missing,
    };
    let (response, action) = session.answer(&request, file, None);
    (response.status().into(), response, action)
}

fn header<'a>(response: &'a Response<Vec<u8>>, name: &rtsp_types::HeaderName) -> &'a str {
    response.header(name).map_or("", |value| value.as_str())
}

#[test]
fn the_usual_course_of_a_session() {
    let mut c = session(None);
    let (code, response, _) = ask(&mut c, &format!("OPTIONS {URL} RTSP/1.0\nCSeq: 1"));
    assert_eq!((code, header(&response, &headers::CSEQ)), (200, "1"));
    assert!(header(&response, &headers::PUBLIC).contains("GET_PARAMETER"));

    let (code, response, _) = ask(
        &mut c,
        &format!("DESCRIBE {URL} RTSP/1.0\nCSeq: 2\nAccept: application/sdp"),
    );
    assert_eq!(
        (code, header(&response, &headers::CONTENT_BASE)),
        (200, "rtsp://127.0.0.1:8554/media/plaza.mp4/")
    );
    assert!(String::from_utf8_lossy(response.body()).contains("a=control:trackID=0\r\n"));

    let setup =
        format!("SETUP {URL}/trackID=0 RTSP/1.0\nCSeq: 3\nTransport: RTP/AVP/TCP;unicast;interleaved=4-5");
    let (code, response, _) = ask(&mut c, &setup);
    assert_eq!(code, 200);
    assert!(header(&response, &headers::TRANSPORT).starts_with("RTP/AVP/TCP;unicast;interleaved=4-5;ssrc="));
    assert_eq!(
        header(&response, &headers::SESSION),
        "000000000000002A;timeout=60"
    );

    let session = "Session: 000000000000002A";
    let (code, response, action) = ask(&mut c, &format!("PLAY {URL}/ RTSP/1.0\nCSeq: 4\n{session}"));
    assert_eq!((code, action), (200, Action::Play));
    assert!(header(&response, &headers::RTP_INFO).contains("trackID=0;seq="));
    assert_eq!(
        ask(
            &mut c,
            &format!("GET_PARAMETER {URL} RTSP/1.0\nCSeq: 5\n{session}")
        )
        .0,
        200
    );
    assert_eq!(
        ask(&mut c, &format!("PAUSE {URL} RTSP/1.0\nCSeq: 6\n{session}")).2,
        Action::Pause
    );
    assert_eq!(
        ask(&mut c, &format!("TEARDOWN {URL} RTSP/1.0\nCSeq: 7\n{session}")).2,
        Action::Teardown
    );
    assert_eq!(
        ask(&mut c, &format!("PLAY {URL} RTSP/1.0\nCSeq: 8\n{session}")).0,
        454
    );
}

#[test]
fn invalid_requests_get_their_status() {
    let mut c = session(None);
    let tcp = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1";
    for (text, expected) in [
        (format!("DESCRIBE {URL} RTSP/1.0"), 400),
        (format!("DESCRIBE {URL} RTSP/1.0\nCSeq: x"), 400),
        (format!("DESCRIBE {URL} RTSP/2.0\nCSeq: 1"), 505),
        ("DESCRIBE * RTSP/1.0\nCSeq: 1".into(), 404),
        ("DESCRIBE rtsp://h/media/none.mp4 RTSP/1.0\nCSeq: 1".into(), 404),
        (
            "DESCRIBE rtsp://h/media/../../etc/passwd RTSP/1.0\nCSeq: 1".into(),
            404,
        ),
        ("DESCRIBE rtsp://h/media/broken.mp4 RTSP/1.0\nCSeq: 1".into(), 415),
        (format!("PLAY {URL} RTSP/1.0\nCSeq: 1"), 455),
        (format!("PLAY {URL} RTSP/1.0\nCSeq: 1\nSession: 1"), 454),
        (format!("SETUP {URL}/trackID=1 RTSP/1.0\nCSeq: 1\n{tcp}"), 404),
        (format!("SETUP {URL}/trackID=0 RTSP/1.0\nCSeq: 1"), 400),
        (
            format!(
                "SETUP {URL}/trackID=0 RTSP/1.0\nCSeq: 1\nTransport: RTP/AVP;unicast;client_port=5000-5001"
            ),
            461,
        ),
        (
            format!("SETUP {URL}/trackID=0 RTSP/1.0\nCSeq: 1\nTransport: RTP/AVP/TCP;multicast"),
            461,
        ),
        (format!("ANNOUNCE {URL} RTSP/1.0\nCSeq: 1"), 405),
        (format!("DANCE {URL} RTSP/1.0\nCSeq: 1"), 501),
    ] {
        assert_eq!(ask(&mut c, &text).0, expected, "{text}");
    }
}

#[test]
fn the_first_supported_transport_is_chosen() {
    let both = "RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast;interleaved=2-3";
    assert_eq!(
        requested_transport(both, false),
        Some(RequestedTransport::Interleaved(Some(2)))
    );
    assert_eq!(
        requested_transport(both, true),
        Some(RequestedTransport::Udp(5000, 5001))
    );
    assert_eq!(
        requested_transport("RTP/AVP/TCP;unicast", true),
        Some(RequestedTransport::Interleaved(None))
    );
    assert_eq!(
        requested_transport("RTP/AVP/TCP;interleaved=300-301", true),
        Some(RequestedTransport::Interleaved(None))
    );
    for broken in [
        "RTP/AVP",
        "RTP/AVP;client_port=0",
        "RTP/AVP;client_port=65535",
        "RTP/AVP;client_port=x-y",
        "",
    ] {
        assert_eq!(requested_transport(broken, true), None, "{broken}");
    }
}

#[test]
fn udp_is_set_up_when_there_are_ports_for_it() {
    let mut c = session(None);
    let request = request(&format!(
        "SETUP {URL}/trackID=0 RTSP/1.0\nCSeq: 1\nTransport: RTP/AVP;unicast;client_port=5000-5001"
    ));
    assert!(c.wants_ports(&request));
    let (response, _) = c.answer(&request, Lookup::Found(clip()), Some((6000, 6001)));
    let transport = header(&response, &headers::TRANSPORT);
    assert!(
        transport.starts_with("RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;ssrc="),
        "{transport}"
    );
}

#[test]
fn without_credentials_there_is_a_challenge_and_no_file_lookup() {
    let mut c = session(Some(Credentials::new("u", "p")));
    let describe = format!("DESCRIBE {URL} RTSP/1.0\nCSeq: 2");
    assert_eq!(c.file_of(&request(&describe)), None);
    let (code, response, _) = ask(&mut c, &describe);
    assert_eq!(code, 401);
    assert!(header(&response, &headers::WWW_AUTHENTICATE).starts_with("Digest realm="));
    assert_eq!(
        (
            c.rejected(),
            ask(&mut c, &format!("OPTIONS {URL} RTSP/1.0\nCSeq: 1")).0
        ),
        (0, 200)
    );
    ask(
        &mut c,
        &format!("DESCRIBE {URL} RTSP/1.0\nCSeq: 2\nAuthorization: Digest x=y"),
    );
    assert_eq!(c.rejected(), 1);
}

#[test]
fn a_second_track_does_not_take_the_channel_of_the_first() {
    let audio = TrackKind::Aac {
        config: [0x11, 0x90],
        sample_rate_hz: 48_000,
        channels: 2,
    };
    let samples = vec![Sample::for_test(0, true)];
    let video = TrackKind::H264 {
        sps: vec![],
        pps: vec![],
        length_bytes: 4,
    };
    let track = |kind| Track {
        kind,
        timescale: 1,
        samples: samples.clone(),
        duration: 1,
    };
    let clip = Arc::new(Clip::of_tracks(Bytes::new(), vec![track(video), track(audio)]));
    let mut c = session(None);
    for n in 0..2 {
        let text =
            format!("SETUP {URL}/trackID={n} RTSP/1.0\nCSeq: 3\nTransport: RTP/AVP/TCP;interleaved=1-2");
        c.answer(&request(&text), Lookup::Found(Arc::clone(&clip)), None);
    }
    let channels: Vec<_> = c
        .setup_parts()
        .unwrap()
        .1
        .iter()
        .map(|channel| channel.route)
        .collect();
    assert_eq!(channels, [Route::Interleaved(1), Route::Interleaved(4)]);
}

proptest! {
    #[test]
    fn any_order_of_requests_is_answered(order in proptest::collection::vec((0..8_usize, any::<bool>()), 0..30)) {
        let mut c = session(None);
        for (n, in_session) in order {
            let method = ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "X"][n];
            let session = if in_session { "\nSession: 000000000000002A" } else { "" };
            let text = format!("{method} {URL} RTSP/1.0\nCSeq: 1\nTransport: RTP/AVP/TCP{session}");
            let (code, _, action) = ask(&mut c, &text);
            prop_assert!((200..600).contains(&code));
            if action == Action::Play {
                prop_assert!(c.setup_parts().is_some_and(|(_, channels)| !channels.is_empty()));
            }
        }
    }
}

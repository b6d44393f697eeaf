//! What a scripted camera of one connection cannot show: redirects, UDP, secrets, cameras that send without end.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use lva_rtsp::{Camera, CameraError, CameraEvent, Credentials, ErrorKind, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::support::{PATIENCE, closed, endless, established, lost, quick, timeouts, units};

const SDP: &str = "v=0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 sprop-parameter-sets=Z2QAH6yzAKALdNQICBkAAAMAAQAAAwA8DxgyaA==,aOlxyyLA\r\na=control:trackID=0\r\n";

/// A request and the connection that it came on.
struct Request {
    method: String,
    head: String,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let prefix = format!("{name}: ");
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .unwrap_or_default()
    }
}

async fn request(stream: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let method = head.split(' ').next().unwrap().to_owned();
    Some(Request { method, head })
}

/// The answer of a plain camera.
fn plain(request: &Request) -> String {
    let cseq = request.header("CSeq");
    match request.method.as_str() {
        "DESCRIBE" => format!(
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        ),
        "SETUP" => format!(
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: A1\r\nTransport: {}\r\n\r\n",
            request.header("Transport")
        ),
        _ => format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n"),
    }
}

fn picture(number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0xe0];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 3000).to_be_bytes());
    packet.extend([0, 0, 0, 7, if number == 0 { 0x65 } else { 0x61 }, 0x88, 0x80]);
    packet
}

fn interleaved(packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'$', 0, 0, packet.len() as u8];
    bytes.extend(packet);
    bytes
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/live", listener.local_addr().unwrap());
    (listener, url)
}

/// Serves connections with `answer`; after PLAY it sends `media`.
fn serve(listener: TcpListener, answer: impl Fn(&Request) -> String + Send + 'static, media: Vec<u8>) {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Some(request) = request(&mut stream).await {
                if stream.write_all(answer(&request).as_bytes()).await.is_err() {
                    break;
                }
                if request.method == "PLAY" && stream.write_all(&media).await.is_err() {
                    break;
                }
            }
        }
    });
}

fn pictures(count: u16) -> Vec<u8> {
    (0..count)
        .flat_map(|number| interleaved(&picture(number)))
        .collect()
}

#[tokio::test]
async fn a_redirect_to_the_same_host_is_followed_once_and_no_other() {
    let (second, url) = listener().await;
    serve(second, plain, pictures(5));
    let redirecting = |location: String| {
        move |request: &Request| {
            // Without CSeq, as some cameras do.
            let _ = request;
            format!("RTSP/1.0 302 Moved Temporarily\r\nLocation: {location}\r\n\r\n")
        }
    };
    let (first, first_url) = listener().await;
    serve(first, redirecting(url), Vec::new());
    let mut camera = Camera::connect(quick(&first_url));
    assert_eq!(units(&mut camera, 0, 3).await.len(), 3);

    let (circle, circle_url) = listener().await;
    serve(circle, redirecting(circle_url.clone()), Vec::new());
    let (away, away_url) = listener().await;
    serve(
        away,
        redirecting("rtsp://admin:geheim@192.0.2.1/other?pwd=geheim".to_owned()),
        Vec::new(),
    );
    for (url, location) in [(circle_url, "/live"), (away_url, "192.0.2.1/other?pwd=***")] {
        let error = lost(&mut Camera::connect(quick(&url))).await;
        assert!(
            matches!(error, CameraError::Redirect { status: 302, .. }),
            "{error}"
        );
        let text = format!("{error} {error:?}");
        assert!(text.contains(location) && !text.contains("geheim"), "{text}");
    }
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
        .with_timeouts(timeouts(200, 2000, None));
    let error = lost(&mut Camera::connect(options)).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error.to_string().contains("firewall") && error.to_string().contains("tcp"),
        "{error}"
    );
}

#[tokio::test]
async fn a_camera_that_sends_without_end_is_stopped_at_once_wherever_it_is() {
    let floods: [(&str, Vec<u8>); 4] = [
        ("DESCRIBE", b"rubbish without end ".repeat(1000)),
        ("DESCRIBE", b"RTSP/1.0 200 OK\r\n".repeat(1000)),
        ("PLAY", pictures(100)),
        ("PLAY", [b"$\0\xff\xff".as_slice(), &[0x80; 65_535]].concat()),
    ];
    for (at, bytes) in floods {
        let (listener, url) = listener().await;
        let (sent, mut sending) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                while let Some(request) = request(&mut stream).await {
                    if request.method != at || at == "PLAY" {
                        let _ = stream.write_all(plain(&request).as_bytes()).await;
                    }
                    while request.method == at && stream.write_all(&bytes).await.is_ok() {
                        sent.send_modify(|sent| *sent += 1);
                    }
                }
            }
        });
        let camera = Camera::connect(quick(&url).with_timeouts(endless()));
        // The camera is in the midst of it, which is what is stopped.
        let begun = tokio::time::timeout(PATIENCE, sending.wait_for(|sent| *sent > 3)).await;
        begun.unwrap().unwrap();
        closed(camera, at).await;
    }
}

#[tokio::test]
async fn pictures_without_parameter_sets_are_diagnosed_once() {
    let (listener, url) = listener().await;
    let without = |request: &Request| {
        let answer = plain(request);
        let sets = "a=fmtp:96 sprop-parameter-sets=Z2QAH6yzAKALdNQICBkAAAMAAQAAAwA8DxgyaA==,aOlxyyLA\r\n";
        match answer.split_once(sets) {
            Some((before, after)) => {
                let text = format!("{before}{after}");
                text.replace(&SDP.len().to_string(), &(SDP.len() - sets.len()).to_string())
            }
            None => answer,
        }
    };
    serve(listener, without, pictures(100));
    let mut camera = Camera::connect(quick(&url));
    established(&mut camera).await;
    match crate::support::next(&mut camera).await {
        CameraEvent::NoPictures { stream: 0, cause } => assert!(cause.to_string().contains("parameter sets")),
        other => panic!("{other:?}"),
    }
    assert_eq!(camera.counters().dropped_no_parameter_sets, 100);
}

/// Writes everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::field::Visit for Log {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0.lock().unwrap(), " {field}={value:?}");
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
        self.0.lock().unwrap().push('\n');
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(flavor = "current_thread")]
async fn secrets_show_nowhere_whatever_the_camera_quotes() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let secret = "Ge:He1m";
    let mut shown = String::new();
    for fails in ["", "SETUP", "DESCRIBE", "PLAY"] {
        let (listener, url) = listener().await;
        let address = url.trim_start_matches("rtsp://").to_owned();
        let answer = move |request: &Request| {
            let cseq = request.header("CSeq");
            let own = format!("rtsp://admin:{secret}@{address}/user=admin_password={secret}_x=1/");
            let sdp = SDP.replace("a=control:trackID=0", &format!("a=control:{own}trackID=0"));
            let quoting = format!("Server: {own}\r\nLocation: {own}\r\nContent-Base: {own}\r\n");
            match request.method.as_str() {
                method if method == fails => format!("RTSP/1.0 400 {own}\r\nCSeq: {cseq}\r\n{quoting}\r\n"),
                "DESCRIBE" => format!(
                    "RTSP/1.0 200 {own}\r\nCSeq: {cseq}\r\n{quoting}Content-Length: {}\r\n\r\n{sdp}",
                    sdp.len()
                ),
                _ => plain(request),
            }
        };
        serve(listener, answer, pictures(5));
        let url = format!("{url}/password={secret}/1?token={secret}");
        let options = quick(&url).with_credentials(Some(Credentials::new("admin", secret)));
        let mut camera = Camera::connect(options);
        loop {
            let event = crate::support::next(&mut camera).await;
            write!(shown, "{event:?}").unwrap();
            match event {
                CameraEvent::Lost { error } => {
                    write!(shown, "{error} {:?}", std::error::Error::source(&error)).unwrap();
                    break;
                }
                CameraEvent::Unit(_) => break,
                _ => {}
            }
        }
        camera.close().await;
    }
    let logged = log.0.lock().unwrap().clone();
    assert!(
        logged.contains("established") && shown.contains("v=0"),
        "{logged}"
    );
    for text in [&logged, &shown] {
        let at = text
            .find(secret)
            .map(|at| text[at.saturating_sub(80)..at].to_owned());
        assert_eq!(at, None);
    }
}

#[tokio::test]
async fn a_session_is_torn_down_by_its_own_name_and_on_its_own_connection() {
    let (listener, url) = listener().await;
    let camera = Camera::connect(quick(&url));
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut methods = Vec::new();
    for _ in 0..3 {
        let request = request(&mut stream).await.unwrap();
        stream.write_all(plain(&request).as_bytes()).await.unwrap();
        methods.push(request.method);
    }
    assert_eq!(methods, ["DESCRIBE", "SETUP", "PLAY"]);
    camera.stop();
    let last = request(&mut stream).await.unwrap();
    assert_eq!((last.method.as_str(), last.header("Session")), ("TEARDOWN", "A1"));
}

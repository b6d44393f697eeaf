//! What a scripted camera of one connection cannot show: redirects, secrets, cameras that send without end.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use lva_rtsp::{BasicAuthentication, Camera, CameraError, CameraEvent, Credentials};
use tokio::io::AsyncWriteExt;

use crate::odd_camera::{Request, SDP, listener, pictures, plain, request, serve};
use crate::support::{PATIENCE, closed, endless, established, lost, next, quick, units, until};

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
    let masked = "rtsp://192.0.2.1/other?pwd=***".to_owned();
    for (url, expected) in [(circle_url.clone(), circle_url), (away_url, masked)] {
        let error = lost(&mut Camera::connect(quick(&url))).await;
        let text = format!("{error} {error:?}");
        assert!(!text.contains("geheim"), "{text}");
        let CameraError::Redirect { status, location, .. } = error else {
            panic!("{text}")
        };
        assert_eq!((status, location), (302, expected));
    }
}

#[tokio::test]
async fn a_camera_that_offers_basic_alone_gets_no_password_where_that_is_not_allowed() {
    let (listener, url) = listener().await;
    let heads = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&heads);
    let refusing = move |request: &Request| {
        seen.lock().unwrap().push_str(&request.head);
        if !request.header("Authorization").is_empty() {
            return plain(request);
        }
        let cseq = request.header("CSeq");
        format!("RTSP/1.0 401 No\r\nCSeq: {cseq}\r\nWWW-Authenticate: Basic realm=\"r\"\r\n\r\n")
    };
    serve(listener, refusing, pictures(5));
    for policy in [BasicAuthentication::OverTls, BasicAuthentication::Never] {
        let mut camera = Camera::connect(quick(&url).with_basic_authentication(policy));
        let error = lost(&mut camera).await;
        assert_eq!(error.status_code(), Some(401));
        assert!(error.to_string().contains("choose Digest"), "{error}");
        camera.close().await;
    }
    assert!(!heads.lock().unwrap().contains("Authorization"));
    let mut camera = Camera::connect(quick(&url));
    assert_eq!(units(&mut camera, 0, 3).await.len(), 3);
}

#[tokio::test]
async fn a_connection_that_is_closed_with_the_challenge_is_opened_once_more() {
    let (listener, url) = listener().await;
    let connections = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            *seen.lock().unwrap() += 1;
            while let Some(request) = request(&mut stream).await {
                if request.header("Authorization").is_empty() {
                    let cseq = request.header("CSeq");
                    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"";
                    let text = format!(
                        "RTSP/1.0 401 No\r\nCSeq: {cseq}\r\n{challenge}\r\nConnection: close\r\n\r\n"
                    );
                    stream.write_all(text.as_bytes()).await.unwrap();
                    break;
                }
                stream.write_all(plain(&request).as_bytes()).await.unwrap();
                if request.method == "PLAY" {
                    stream.write_all(&pictures(5)).await.unwrap();
                }
            }
        }
    });
    let mut camera = Camera::connect(quick(&url));
    assert_eq!(units(&mut camera, 0, 3).await.len(), 3);
    assert_eq!(
        (camera.counters().failed_attempts, *connections.lock().unwrap()),
        (0, 2)
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
    let mut camera = Camera::connect(quick(&url).with_timeouts(endless()));
    established(&mut camera).await;
    match next(&mut camera).await {
        CameraEvent::NoPictures { stream: 0, cause } => assert!(cause.to_string().contains("parameter sets")),
        other => panic!("{other:?}"),
    }
    let monitor = camera.monitor();
    until("all are dropped", || {
        monitor.counters().dropped_no_parameter_sets == 100
    })
    .await;
    // Nothing follows but the end of the session.
    monitor.stop();
    match next(&mut camera).await {
        CameraEvent::Stopped { .. } => {}
        other => panic!("{other:?}"),
    }
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
            let event = next(&mut camera).await;
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

//! What our server makes of what clients send.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lva_extension_protocol::http::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use lva_inference_schema::{Event, Inference};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use super::png;
use super::scripted::MORE_THAN_BUFFERS_HOLD;
use crate::support::{Digester, PATIENCE, digest, seen, small_format};

/// A server of ours that runs until it is dropped or stopped.
pub(super) struct Host {
    pub(super) url: HttpUrl,
    pub(super) stats: HttpStatsReader,
    stop: Option<oneshot::Sender<()>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Host {
    pub(super) async fn start(extension: impl Extension, options: HttpServerOptions) -> Self {
        let server = HttpExtensionServer::new(extension).with_options(options);
        let listening = server.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let (url, stats) = (listening.url(), listening.stats());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(listening.serve(async {
            let _ = stopped.await;
        }));
        Self {
            url,
            stats,
            stop: Some(stop),
            serving,
        }
    }

    pub(super) fn client(&self, path: &str) -> HttpClient {
        let url = self.url.clone().with_path_and_query(path).unwrap();
        let options = HttpClientOptions::new(url, FrameEncoding::Png).with_answer_timeout(PATIENCE);
        HttpClient::new(options).unwrap()
    }

    /// Sends these bytes over a connection of their own and reads until the server closes, or the answer has `until`.
    pub(super) async fn raw(&self, request: &[u8], until: &str) -> String {
        let mut socket = TcpStream::connect((self.url.host(), self.url.port()))
            .await
            .unwrap();
        // A server that refused may have closed already.
        let _ = socket.write_all(request).await;
        let mut answer = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if !until.is_empty() && text.contains(until) {
                return text;
            }
            match socket.read_buf(&mut answer).await {
                Ok(0) | Err(_) => return text,
                Ok(_) => {}
            }
        }
    }

    pub(super) async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        tokio::time::timeout(PATIENCE, &mut self.serving)
            .await
            .unwrap()
            .unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An extension that waits for permission, and reports when it began.
#[derive(Clone, Default)]
pub(super) struct Gated {
    pub(super) began: Arc<Notify>,
    pub(super) may_end: Arc<Notify>,
}

#[async_trait]
impl Extension for Gated {
    async fn open(&self, _: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl ExtensionSession for Gated {
    async fn process(&mut self, _: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        self.began.notify_one();
        self.may_end.notified().await;
        Ok(vec![Inference::new(Event::new("done"))])
    }
}

fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend(body);
    request
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[tokio::test]
async fn pictures_arrive_whole_and_findings_come_back_by_the_schema() {
    let raw = HttpServerOptions::default().with_raw_format(small_format());
    let host = Host::start(Digester::default(), raw).await;
    let picture = png(64, 48, 7);
    let answer = host.client("/score").ask(picture.clone()).await.unwrap();
    assert_eq!(answer.content.inferences(), [seen(&picture)]);
    let HttpContent::Inferences { json, .. } = &answer.content else {
        panic!()
    };
    assert_eq!(
        json.to_string(),
        format!(
            r#"{{"inferences":[{{"type":"event","event":{{"name":"seen","properties":{{"bytes":"{}","digest":"{}"}}}}}}]}}"#,
            picture.len(),
            digest(&picture)
        )
    );
    let encoding = FrameEncoding::Raw(PixelFormat::Bgr24);
    let bare = HttpClient::new(HttpClientOptions::new(host.url.clone(), encoding)).unwrap();
    let frame = vec![5; small_format().frame_bytes().unwrap()];
    assert_eq!(
        bare.ask(frame.clone()).await.unwrap().content.inferences(),
        [seen(&frame)]
    );
    let error = bare.ask(vec![5; frame.len() - 1]).await.unwrap_err();
    assert!(error.to_string().contains("raw bgr24 64x48"), "{error}");
    let stats = host.stats.read();
    assert_eq!(
        (stats.requests, stats.answers, stats.inferences, stats.refused),
        (3, 2, 2, 1)
    );
}

#[tokio::test]
async fn an_answer_without_findings_is_204() {
    let options = HttpServerOptions::default().with_configuration("answer empty");
    let host = Host::start(Digester::default(), options).await;
    let answer = host.client("/").ask(png(64, 48, 0)).await.unwrap();
    assert_eq!(answer.content, HttpContent::Nothing);
    let raw = host.raw(&post("", &png(64, 48, 0)), "").await;
    assert!(
        raw.starts_with("HTTP/1.1 204 ") && raw.ends_with("\r\n\r\n"),
        "{raw}"
    );
}

#[tokio::test]
async fn what_is_no_picture_is_400_and_says_what_would_be_taken() {
    let host = Host::start(Digester::default(), HttpServerOptions::default()).await;
    let body = png(64, 48, 0);
    for (headers, body, words) in [
        ("content-type: image/jpeg\r\n", &b""[..], "no picture"),
        (
            "content-type: image/jpeg\r\n",
            b"GIF89a",
            "not a JPEG, PNG or BMP",
        ),
        (
            "content-type: multipart/form-data\r\n",
            &body,
            "image/jpeg, image/png",
        ),
        ("content-type: image/x-raw\r\n", &body, "configured"),
        ("", &body[..20], "not a JPEG, PNG or BMP"),
        ("", &png(0, 48, 0), "each side"),
    ] {
        let answer = host.raw(&post(headers, body), "").await;
        assert_eq!(status(&answer), "400", "{answer}");
        assert!(answer.contains(words), "{answer}");
    }
    assert_eq!(host.stats.read().refused, 6);
    let host = Host::start(
        Digester::default(),
        HttpServerOptions::default().with_configuration("refuse format"),
    )
    .await;
    let answer = host.raw(&post("", &body), "").await;
    assert!(
        status(&answer) == "400" && answer.contains("only rgb24 is taken"),
        "{answer}"
    );
}

#[tokio::test]
async fn only_posts_to_the_path_with_credentials_are_served() {
    let options = HttpServerOptions::default()
        .with_credentials(Credentials::new("camera", "secret"))
        .with_path("/score");
    let host = Host::start(Digester::default(), options).await;
    let none = host.raw(&post("", &png(64, 48, 0)), "").await;
    assert!(
        status(&none) == "401" && none.contains(r#"Basic realm="extension""#),
        "{none}"
    );
    let authorized = "authorization: Basic Y2FtZXJhOnNlY3JldA==\r\n";
    let elsewhere = host.raw(&post(authorized, &png(64, 48, 0)), "").await;
    assert_eq!(status(&elsewhere), "404");
    let get = format!("GET /score HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorized}\r\n");
    let got = host.raw(get.as_bytes(), "").await;
    assert!(status(&got) == "405" && got.contains("allow: POST"), "{got}");
    let url = host.url.clone().with_path_and_query("/score?id=1").unwrap();
    let ask = |password: &str| {
        let credentials = HttpCredentials::password("camera", password);
        let options = HttpClientOptions::new(url.clone(), FrameEncoding::Png).with_credentials(credentials);
        HttpClient::new(options).unwrap()
    };
    ask("secret").ask(png(64, 48, 0)).await.unwrap();
    assert!(matches!(
        ask("wrong").ask(png(64, 48, 0)).await,
        Err(HttpError::Unauthorized { .. })
    ));
    let stats = host.stats.read();
    assert_eq!((stats.answers, stats.unauthorized, stats.refused), (1, 4, 2));
}

#[tokio::test]
async fn a_picture_without_credentials_is_read_so_that_the_connection_lives_on() {
    let options = HttpServerOptions::default()
        .with_credentials(Credentials::new("camera", "secret"))
        .with_max_frame_bytes(MORE_THAN_BUFFERS_HOLD);
    let host = Host::start(Digester::default(), options).await;
    let wrong = HttpClientOptions::new(host.url.clone(), FrameEncoding::Png)
        .with_answer_timeout(PATIENCE)
        .with_credentials(HttpCredentials::password("camera", "wrong"));
    let client = HttpClient::new(wrong).unwrap();
    let refused = |result: Result<_, HttpError>| matches!(result, Err(HttpError::Unauthorized { .. }));
    assert!(refused(client.ask(vec![7; MORE_THAN_BUFFERS_HOLD]).await));
    assert_eq!(client.stats().connections, 1, "the challenge and its answer");
    assert!(refused(client.ask(vec![7; MORE_THAN_BUFFERS_HOLD + 1]).await));
}

#[tokio::test]
async fn too_large_a_picture_is_413_announced_or_not() {
    let options = HttpServerOptions::default().with_max_frame_bytes(1000);
    let host = Host::start(Digester::default(), options).await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n";
    let answer = host.raw(head.as_bytes(), "").await;
    assert!(
        status(&answer) == "413" && answer.contains("1000 bytes"),
        "{answer}"
    );
    let mut chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..11 {
        chunked.extend(b"64\r\n");
        chunked.extend([b'x'; 100]);
        chunked.extend(b"\r\n");
    }
    assert_eq!(status(&host.raw(&chunked, "1000 bytes").await), "413");
    assert_eq!(host.stats.read().too_large, 2);
    host.client("/").ask(png(64, 48, 0)).await.unwrap();
}

#[tokio::test]
async fn a_failing_extension_is_500_and_begins_anew_after_three() {
    let options = HttpServerOptions::default().with_configuration("fail");
    let host = Host::start(Digester::default(), options).await;
    let client = host.client("/");
    for _ in 0..4 {
        let error = client.ask(png(64, 48, 0)).await.unwrap_err();
        assert!(
            matches!(error, HttpError::Rejected { status: 500, .. }) && error.is_transient(),
            "{error:?}"
        );
        assert!(
            !error.to_string().contains("as requested"),
            "the extension's inside stays inside: {error}"
        );
    }
    let stats = host.stats.read();
    assert_eq!(
        (stats.failures, stats.sessions_opened, stats.sessions_closed),
        (4, 2, 1)
    );
}

/// Takes no picture with this byte at its end.
struct Picky;

#[async_trait]
impl Extension for Picky {
    async fn open(&self, _: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(Picky))
    }
}

#[async_trait]
impl ExtensionSession for Picky {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        match sample.data().last() {
            Some(13) => Err(StreamError::BadFrame("the picture cannot be decoded".into()).into()),
            _ => Ok(Vec::new()),
        }
    }
}

#[tokio::test]
async fn a_picture_that_the_extension_cannot_decode_is_400_with_its_words() {
    let host = Host::start(Picky, HttpServerOptions::default()).await;
    let client = host.client("/?stream=door");
    for mark in [0, 13, 0] {
        let answer = client.ask(png(64, 48, mark)).await;
        match mark {
            13 => assert!(
                matches!(&answer, Err(HttpError::Rejected { status: 400, message, .. }) if message.contains("decoded")),
                "{answer:?}"
            ),
            _ => assert_eq!(answer.unwrap().content, HttpContent::Nothing),
        }
    }
    let stats = host.stats.read();
    assert_eq!((stats.sessions_opened, stats.refused, stats.failures), (2, 1, 0));
}

#[tokio::test]
async fn a_panic_is_500_and_the_server_lives() {
    let options = HttpServerOptions::default().with_configuration("panic");
    let host = Host::start(Digester::default(), options).await;
    let client = host.client("/?stream=door");
    for _ in 0..2 {
        let error = client.ask(png(64, 48, 0)).await.unwrap_err();
        assert!(
            matches!(error, HttpError::Rejected { status: 500, .. }),
            "{error:?}"
        );
    }
    assert_eq!(host.stats.read().sessions_opened, 2);
}

#[tokio::test]
async fn a_stream_that_is_busy_is_503_and_our_client_keeps_away_as_told() {
    let gated = Gated::default();
    let options = HttpServerOptions::default().with_retry_after(Duration::from_secs(70));
    let host = Host::start(gated.clone(), options).await;
    let (one, other) = (host.client("/?stream=door"), host.client("/?stream=door"));
    let first = tokio::spawn(async move { one.ask(png(64, 48, 0)).await });
    gated.began.notified().await;
    let error = other.ask(png(64, 48, 0)).await.unwrap_err();
    assert!(
        matches!(error, HttpError::Overloaded { status: 503, pause, .. } if pause == Duration::from_secs(70)),
        "{error:?}"
    );
    assert!(matches!(
        other.ask(png(64, 48, 0)).await,
        Err(HttpError::Paused { .. })
    ));
    gated.may_end.notify_one();
    first.await.unwrap().unwrap();
    gated.may_end.notify_one();
    let later = std::time::Instant::now() + Duration::from_secs(71);
    other
        .ask_at(png(64, 48, 0), later, std::time::SystemTime::now())
        .await
        .unwrap();
    assert_eq!(host.stats.read().busy, 1);
}

#[tokio::test]
async fn a_shutdown_answers_the_picture_in_progress_and_lets_nobody_in() {
    let gated = Gated::default();
    let host = Host::start(gated.clone(), HttpServerOptions::default()).await;
    let (client, idle) = (host.client("/"), host.client("/"));
    gated.may_end.notify_one();
    idle.ask(png(64, 48, 0)).await.unwrap();
    gated.began.notified().await;
    let asking = tokio::spawn(async move { client.ask(png(64, 48, 0)).await });
    gated.began.notified().await;
    let stats = host.stats.clone();
    let stopping = tokio::spawn(host.stop());
    gated.may_end.notify_one();
    asking.await.unwrap().unwrap();
    stopping.await.unwrap();
    assert_eq!(stats.read().sessions_closed, 2);
    assert!(idle.ask(png(64, 48, 0)).await.is_err());
}

#[tokio::test]
async fn slow_and_silent_clients_lose_their_connection_and_nobody_else_does() {
    // What is sent as a whole has to come within it.
    let short = Duration::from_secs(2);
    let options = HttpServerOptions::default()
        .with_body_timeout(short)
        .with_idle_timeout(short);
    let host = Host::start(Digester::default(), options).await;
    let half = host
        .raw(
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf",
            "",
        )
        .await;
    assert!(
        status(&half) == "408" && half.contains("connection: close"),
        "{half}"
    );
    // Ends without an answer, or with a 408 of the transport's.
    let head = host.raw(b"POST / HTTP/1.1\r\nhost", "").await;
    assert!(head.is_empty() || status(&head) == "408", "{head}");
    assert_eq!(host.raw(b"", "").await, "");
    host.client("/").ask(png(64, 48, 0)).await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_counted_and_forgotten() {
    let host = Host::start(Digester::default(), HttpServerOptions::default()).await;
    let mut socket = TcpStream::connect((host.url.host(), host.url.port()))
        .await
        .unwrap();
    socket
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf")
        .await
        .unwrap();
    socket.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest).await;
    let left = async {
        while host.stats.read().left == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.unwrap();
    host.client("/").ask(png(64, 48, 0)).await.unwrap();
}

#[tokio::test]
async fn more_connections_than_allowed_are_503_at_once() {
    let options = HttpServerOptions::default().with_max_connections(1);
    let host = Host::start(Digester::default(), options).await;
    let kept = host.client("/");
    kept.ask(png(64, 48, 0)).await.unwrap();
    let refused = host.raw(b"", "connection: close").await;
    assert!(
        status(&refused) == "503" && refused.contains("retry-after: 1"),
        "{refused}"
    );
    kept.ask(png(64, 48, 0)).await.unwrap();
    assert_eq!(host.stats.read().busy, 1);
}

#[tokio::test]
async fn half_written_requests_on_every_connection_make_way() {
    let credentials = Credentials::new("user", "secret");
    for options in [
        HttpServerOptions::default(),
        HttpServerOptions::default().with_credentials(credentials.clone()),
    ] {
        let host = Host::start(Digester::default(), options).await;
        let mut held = Vec::new();
        for number in 0..200 {
            let mut socket = TcpStream::connect((host.url.host(), host.url.port()))
                .await
                .unwrap();
            let half = match number % 3 {
                0 => &b""[..],
                1 => b"POST / HTTP/1.1\r\nhost: x",
                _ => b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf",
            };
            // It may have been closed for a newer one.
            let _ = socket.write_all(half).await;
            held.push(socket);
        }
        let url = host.url.clone();
        let options = HttpClientOptions::new(url, FrameEncoding::Png)
            .with_answer_timeout(PATIENCE)
            .with_credentials(credentials.clone().into());
        let client = HttpClient::new(options).unwrap();
        for _ in 0..3 {
            client.ask(png(64, 48, 0)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_no_http_harms_nobody() {
    let host = Host::start(Digester::default(), HttpServerOptions::default()).await;
    for nonsense in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    ] {
        let answer = host.raw(nonsense, "\r\n\r\n").await;
        assert!(
            answer.is_empty() || matches!(status(&answer), "400" | "405"),
            "{answer}"
        );
    }
    host.client("/").ask(png(64, 48, 0)).await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let host = Host::start(Digester::default(), HttpServerOptions::default()).await;
    let address = format!("127.0.0.1:{}", host.url.port()).parse().unwrap();
    let error = HttpExtensionServer::new(Digester::default())
        .listen(address)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&host.url.port().to_string()),
        "{error}"
    );
}

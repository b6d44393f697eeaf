//! How our client reads the answers of servers.

use std::time::{Duration, Instant, SystemTime};

use lva_extension_protocol::http::*;
use lva_extension_protocol::{BackoffPolicy, FrameEncoding, PixelFormat};
use lva_inference_schema::InferenceKind;

use super::scripted::{Act, MORE_THAN_BUFFERS_HOLD, Scripted, answer, json};
use crate::support::PATIENCE;

const PERSON: &str = r#"{"inferences":[{"type":"entity","entity":{"tag":{"value":"person"},"box":{"l":0.1,"t":0.2,"w":0.3,"h":0.4}}}]}"#;

fn options(server: &Scripted) -> HttpClientOptions {
    HttpClientOptions::new(server.url.clone(), FrameEncoding::Jpg).with_answer_timeout(PATIENCE)
}

fn client(server: &Scripted) -> HttpClient {
    HttpClient::new(options(server)).unwrap()
}

/// The result of an answer.
async fn result_of(text: String) -> Result<HttpAnswer, HttpError> {
    let server = Scripted::start(move |_, _| Act::Send(text.clone())).await;
    client(&server).ask("picture").await
}

#[tokio::test]
async fn the_request_is_the_contracts() {
    let server = Scripted::start(|_, _| json(PERSON)).await;
    let answer = client(&server).ask(vec![7; 300_000]).await.unwrap();
    assert_eq!(answer.content.inferences()[0].kind(), InferenceKind::Entity);
    assert_eq!(
        answer.event_body(5).unwrap().to_string(),
        PERSON.replacen('{', r#"{"timestamp":5,"#, 1)
    );
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "POST /score?id=1 HTTP/1.1");
    assert_eq!(seen.header("content-type"), Some("image/jpeg"));
    assert_eq!(seen.header("content-length"), Some("300000"));
    assert_eq!(seen.header("accept"), Some("application/json, */*"));
    assert_eq!(seen.header("user-agent"), Some("Azure Media Services"));
    assert_eq!(
        seen.header("host"),
        Some(&*format!("localhost:{}", server.url.port()))
    );
    assert_eq!(seen.header("x-ms-client-request-id").unwrap().len(), 36);
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.body, vec![7; 300_000]);
    for (encoding, name) in [
        (FrameEncoding::Png, "image/png"),
        (FrameEncoding::Bmp, "image/bmp"),
        (FrameEncoding::Raw(PixelFormat::Bgr24), "image/x-raw"),
    ] {
        let client = HttpClient::new(HttpClientOptions::new(server.url.clone(), encoding)).unwrap();
        client.ask("picture").await.unwrap();
        assert_eq!(server.seen().last().unwrap().header("content-type"), Some(name));
    }
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    assert_eq!(
        result_of(answer(204, "", "")).await.unwrap().content,
        HttpContent::Nothing
    );
    let other = result_of(answer(200, "content-type: application/json\r\n", "[1]"))
        .await
        .unwrap();
    assert_eq!(other.content, HttpContent::Json(serde_json::json!([1])));
    let text = result_of(answer(200, "content-type: text/plain\r\n", "two people"))
        .await
        .unwrap();
    assert_eq!(text.content.inferences()[0].kind(), InferenceKind::Other);
    for status in [400, 404, 500, 502] {
        let error = result_of(answer(status, "", "no such\nmodel")).await.unwrap_err();
        let HttpError::Rejected {
            status: received,
            message,
            ..
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!((*received, message.as_str()), (status, "no such model"));
        assert_eq!(error.is_transient(), status >= 500);
    }
    let error = result_of(answer(403, "", "")).await.unwrap_err();
    assert!(matches!(
        error,
        HttpError::Unauthorized {
            status: 403,
            with_credentials: false,
            ..
        }
    ));
    let encoded = "content-encoding: gzip\r\ncontent-type: application/json\r\n";
    let error = result_of(answer(200, encoded, "{}")).await.unwrap_err();
    assert!(matches!(error, HttpError::ContentEncoding { .. }), "{error}");
}

#[tokio::test]
async fn a_redirection_is_told_and_not_followed() {
    let elsewhere = Scripted::start(|_, _| json(PERSON)).await;
    let to = elsewhere.url.to_string().replace("?…", "?code=secret");
    let server =
        Scripted::start(move |_, _| Act::Send(answer(307, &format!("location: {to}\r\n"), ""))).await;
    let error = client(&server).ask("picture").await.unwrap_err();
    assert!(matches!(error, HttpError::Redirected { status: 307, .. }));
    let text = error.to_string();
    assert!(
        text.contains(&elsewhere.url.port().to_string()) && !text.contains("secret"),
        "{text}"
    );
    assert!(elsewhere.seen().is_empty());
    let error = result_of(answer(302, "location: /elsewhere\r\n", ""))
        .await
        .unwrap_err();
    assert!(matches!(error, HttpError::Redirected { to: None, .. }));
}

#[tokio::test]
async fn a_connection_is_kept_and_a_closed_one_replaced() {
    let server = Scripted::start(|number, _| match number {
        2 => Act::SendAndClose(answer(204, "connection: close\r\n", "")),
        // Closed without a word, as servers do whose patience is over.
        4 => Act::SendAndClose(answer(204, "", "")),
        _ => Act::Send(answer(204, "", "")),
    })
    .await;
    let client = client(&server);
    for _ in 0..3 {
        client.ask("picture").await.unwrap();
    }
    assert_eq!(client.stats().connections, 1);
    for _ in 0..2 {
        client.ask("picture").await.unwrap();
    }
    assert_eq!(client.stats().connections, 2);
    // Whether the end was noticed before or after the next request was begun, it is answered.
    let _ = client.ask("picture").await;
    client.ask("picture").await.unwrap();
    let stats = client.stats();
    assert!(stats.connections == 3 && stats.answered >= 6, "{stats:?}");
}

#[tokio::test]
async fn an_overloaded_server_is_left_alone_until_the_time_it_named() {
    let server = Scripted::start(|number, _| match number {
        0 => Act::Send(answer(503, "retry-after: 30\r\n", "later")),
        2 => Act::Send(answer(503, "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")),
        4 => Act::Send(answer(429, "", "")),
        _ => json(PERSON),
    })
    .await;
    let client = client(&server);
    let (start, wall_clock) = (
        Instant::now(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_000),
    );
    let ask = |seconds| {
        let after = Duration::from_secs(seconds);
        client.ask_at("picture", start + after, wall_clock + after)
    };
    let error = ask(0).await.unwrap_err();
    let HttpError::Overloaded {
        status: 503, pause, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(*pause, Duration::from_secs(30));
    assert!(error.is_transient());
    let error = ask(10).await.unwrap_err();
    assert!(
        matches!(error, HttpError::Paused { remaining } if remaining > Duration::from_secs(19)),
        "{error:?}"
    );
    assert_eq!(server.seen().len(), 1, "nothing was sent in the pause");
    // The time that the request itself took is real, and far below this margin.
    ask(100).await.unwrap();
    // Until 777 s after the wall_clock clock's beginning.
    let error = ask(700).await.unwrap_err();
    assert!(
        matches!(error, HttpError::Overloaded { pause, .. } if pause > Duration::from_secs(10)),
        "{error:?}"
    );
    assert!(matches!(ask(720).await, Err(HttpError::Paused { .. })));
    ask(900).await.unwrap();
    // No time named: one of the client's own.
    let error = ask(1000).await.unwrap_err();
    let cap = BackoffPolicy::default().max_delay;
    assert!(
        matches!(error, HttpError::Overloaded { status: 429, pause, .. } if pause <= cap),
        "{error:?}"
    );
    ask(1100).await.unwrap();
    let stats = client.stats();
    assert_eq!(
        (stats.sent, stats.answered, stats.overloaded, stats.refused_paused),
        (6, 3, 3, 2)
    );
}

#[tokio::test]
async fn more_results_than_anybody_finds_are_left_out_and_counted() {
    let entity = |tag: &str| {
        let bounds = r#"{"l":0.1,"t":0.2,"w":0.3,"h":0.4}"#;
        format!(r#"{{"type":"entity","entity":{{"tag":{{"value":"{tag}"}},"box":{bounds}}}}}"#)
    };
    let first = entity(&"x".repeat(1 << 20));
    let body = format!(
        r#"{{"inferences":[{first}{}]}}"#,
        format!(",{}", entity("person")).repeat(20_000)
    );
    let server = Scripted::start(move |_, _| json(&body)).await;
    let client = client(&server);
    let answer = client.ask("picture").await.unwrap();
    let published = answer.event_body(5).unwrap();
    assert_eq!(answer.content.inferences().len(), 2000);
    assert_eq!(published["inferences"].as_array().unwrap().len(), 2000);
    let tag = published["inferences"][0]["entity"]["tag"]["value"].as_str();
    assert_eq!(tag.unwrap().len(), 4096);
    let stats = client.stats();
    assert_eq!((stats.inferences_left_out, stats.parts_left_out), (18_001, 1));
}

#[tokio::test]
async fn provisional_answers_without_end_break_the_exchange() {
    let head = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100);
    let server = Scripted::start(move |_, _| Act::Send(head.clone())).await;
    let client = client(&server);
    let error = client.ask("picture").await.unwrap_err();
    assert!(error.to_string().contains("provisional"), "{error}");
    assert_eq!(client.stats().broken, 1);
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
    let server = Scripted::start(move |_, _| Act::Endless(head.to_owned())).await;
    let client = HttpClient::new(options(&server).with_largest_answer(100_000)).unwrap();
    assert!(matches!(
        client.ask("picture").await,
        Err(HttpError::TooLarge { limit: 100_000, .. })
    ));
    // One that announces its size is not even read.
    let error = result_of("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_owned())
        .await
        .unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error:?}");
    // Headers without end are no answer either.
    let endless_head = Scripted::start(|_, _| Act::Endless("HTTP/1.1 200 OK\r\nx-y: ".to_owned())).await;
    let error = self::client(&endless_head).ask("picture").await.unwrap_err();
    assert!(matches!(error, HttpError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn a_slow_server_costs_its_time_and_the_next_picture_has_a_new_connection() {
    let server = Scripted::start(|number, _| match number {
        0 => Act::Hang,
        1 => Act::Send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab".to_owned()),
        _ => Act::Send(answer(204, "", "")),
    })
    .await;
    // The third has to be answered within it.
    let short = Duration::from_secs(2);
    let client = HttpClient::new(options(&server).with_answer_timeout(short)).unwrap();
    for _ in 0..2 {
        let error = client.ask("picture").await.unwrap_err();
        assert!(
            matches!(error, HttpError::TimedOut { waited, .. } if waited == short),
            "{error:?}"
        );
    }
    client.ask("picture").await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.timed_out, stats.answered), (2, 1));
}

#[tokio::test]
async fn nonsense_is_an_error_and_the_next_picture_is_answered() {
    let server = Scripted::start(|number, _| match number {
        0 => json(r#"{"inferences":[{"type":"#),
        1 => Act::SendAndClose("not HTTP\r\n\r\n".to_owned()),
        2 => Act::SendAndClose("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes.".to_owned()),
        3 => Act::SendAndClose(String::new()),
        4 => Act::SendAndClose("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned()),
        _ => json(PERSON),
    })
    .await;
    let client = client(&server);
    let error = client.ask("picture").await.unwrap_err();
    assert!(matches!(error, HttpError::NotJson { .. }), "{error:?}");
    for _ in 1..5 {
        let error = client.ask("picture").await.unwrap_err();
        assert!(matches!(error, HttpError::Broken { .. }), "{error:?}");
        assert!(error.is_transient() && std::error::Error::source(&error).is_none());
    }
    client.ask("picture").await.unwrap();
    let stats = client.stats();
    assert_eq!(
        (stats.unusable, stats.broken, stats.answered, stats.sent),
        (1, 4, 1, 6)
    );
}

#[tokio::test]
async fn one_request_is_under_way_and_the_others_wait_a_bounded_while() {
    let server = Scripted::start(|_, _| Act::Hang).await;
    let client = HttpClient::new(options(&server).with_turn_timeout(Duration::ZERO)).unwrap();
    {
        let first = client.ask("first");
        tokio::pin!(first);
        // Until the first one is on its way, which the server sees.
        let underway = async {
            while server.seen().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = &mut first => panic!("no server answers"),
            () = underway => {}
        }
        assert!(matches!(client.ask("second").await, Err(HttpError::Busy)));
        assert_eq!(server.seen().len(), 1);
    }
    // The first was given up by being dropped.
    let second = client.ask("second");
    tokio::pin!(second);
    let underway = async {
        while server.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut second => panic!("no server answers"),
        () = underway => {}
    }
    assert_eq!(server.seen()[1].body, b"second");
    let stats = client.stats();
    assert_eq!((stats.sent, stats.refused_busy, stats.connections), (2, 1, 0));
}

#[tokio::test]
async fn a_refusal_is_heard_although_the_server_closed_before_it_had_the_picture() {
    for _ in 0..10 {
        let refusal = answer(
            401,
            "www-authenticate: Negotiate\r\nconnection: close\r\n",
            "who?",
        );
        let server = Scripted::start_impatient(refusal).await;
        let client = HttpClient::new(options(&server)).unwrap();
        let error = client.ask(vec![7; MORE_THAN_BUFFERS_HOLD]).await.unwrap_err();
        assert!(
            matches!(error, HttpError::Unauthorized { status: 401, .. }),
            "{error:?}"
        );
    }
    let server = Scripted::start_impatient(String::new()).await;
    let client = HttpClient::new(options(&server)).unwrap();
    let error = client.ask(vec![7; MORE_THAN_BUFFERS_HOLD]).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_asked_again_after_a_pause() {
    let server = Scripted::start(|_, _| json(PERSON)).await;
    let options = options(&server);
    // Bound, so that no other process takes the port, and not listening.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = format!("http://{}/", closed.local_addr().unwrap());
    let client = HttpClient::new(HttpClientOptions::new(gone.parse().unwrap(), options.encoding())).unwrap();
    let (start, wall_clock) = (Instant::now(), SystemTime::now());
    let error = client.ask_at("picture", start, wall_clock).await.unwrap_err();
    assert!(
        matches!(error, HttpError::Unreachable { .. }) && error.is_transient(),
        "{error:?}"
    );
    assert!(matches!(
        client.ask_at("picture", start, wall_clock).await,
        Err(HttpError::Paused { .. })
    ));
    let later = start + BackoffPolicy::default().max_delay;
    let error = client.ask_at("picture", later, wall_clock).await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { .. }), "{error:?}");
    assert!(matches!(client.ask("").await, Err(HttpError::EmptyPicture)));
    let stats = client.stats();
    assert_eq!(
        (
            stats.unreachable,
            stats.refused_paused,
            stats.refused_empty,
            stats.sent
        ),
        (2, 1, 1, 2)
    );
}

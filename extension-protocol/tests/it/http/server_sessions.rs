//! Which session a picture belongs to.

use std::sync::Arc;

use async_trait::async_trait;
use lva_extension_protocol::client::*;
use lva_extension_protocol::http::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use lva_inference_schema::{Event, Inference, InferenceValue};

use super::png;
use super::server::Host;

/// Answers each picture with its session and the number of pictures in it.
struct SessionCounter;

struct CountingSession {
    info: SessionInfo,
    pictures: u64,
    last_90k: u64,
}

#[async_trait]
impl Extension for SessionCounter {
    fn identifier(&self) -> &str {
        "session-counter"
    }

    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(CountingSession {
            info: session.clone(),
            pictures: 0,
            last_90k: 0,
        }))
    }
}

#[async_trait]
impl ExtensionSession for CountingSession {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        self.pictures += 1;
        // Times of arrival, after 2020 and never back.
        assert!(sample.timestamp_90k() >= self.last_90k && sample.timestamp_90k() > 1_577_836_800 * 90_000);
        self.last_90k = sample.timestamp_90k();
        assert_eq!((sample.sequence(), self.info.timescale), (self.pictures, 90_000));
        let event = Event::new(&*self.info.identity.graph_instance_name)
            .with_property("session", self.info.number.to_string())
            .with_property("pictures", self.pictures.to_string());
        Ok(vec![Inference::new(event)])
    }
}

/// Name, number, and pictures of the session that answered.
async fn session_of(client: &HttpClient, width: u32) -> (String, u64, u64) {
    let answer = client.ask(png(width, 48, 0)).await.unwrap();
    let InferenceValue::Event(event) = &answer.content.inferences()[0].value else {
        panic!()
    };
    let number = |name: &str| event.properties[name].parse().unwrap();
    (event.name.clone(), number("session"), number("pictures"))
}

/// In which place a session was first seen: its number depends on what else the process has served.
fn place(sessions: &mut Vec<u64>, number: u64) -> usize {
    let known = sessions.iter().position(|own| *own == number);
    known.unwrap_or_else(|| {
        sessions.push(number);
        sessions.len() - 1
    })
}

#[tokio::test]
async fn a_named_session_goes_on_over_connections_and_an_unnamed_one_is_the_connections_own() {
    let host = Host::start(SessionCounter, HttpServerOptions::default()).await;
    let (mut sessions, mut seen) = (Vec::new(), Vec::new());
    let (one, other) = (host.client("/"), host.client("/"));
    let door = || host.client("/score?id=1&stream=door");
    for client in [
        &door(),
        &door(),
        &door(),
        &one,
        &other,
        &one,
        &host.client("/?stream=yard"),
    ] {
        let (name, number, pictures) = session_of(client, 64).await;
        seen.push((name, place(&mut sessions, number), pictures));
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(name, session, pictures)| (name.as_str(), *session, *pictures))
        .collect();
    let expected = [
        ("door", 0, 1),
        ("door", 0, 2),
        ("door", 0, 3),
        ("", 1, 1),
        ("", 2, 1),
        ("", 1, 2),
        ("yard", 3, 1),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn sessions_of_all_listeners_have_numbers_of_their_own() {
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let host = Host::start(SessionCounter, HttpServerOptions::default()).await;
        let (_, number, _) = session_of(&host.client("/"), 64).await;
        numbers.push(number);
    }
    numbers.dedup();
    assert!(numbers.len() == 3 && numbers.is_sorted(), "{numbers:?}");
}

#[tokio::test]
async fn pictures_of_another_size_begin_the_session_anew() {
    let host = Host::start(SessionCounter, HttpServerOptions::default()).await;
    let client = host.client("/?stream=door");
    let (mut sessions, mut seen) = (Vec::new(), Vec::new());
    for width in [64, 64, 65, 65, 64] {
        let (_, number, pictures) = session_of(&client, width).await;
        seen.push((place(&mut sessions, number), pictures));
    }
    assert_eq!(seen, [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1)]);
    let stats = host.stats.read();
    assert_eq!((stats.sessions_opened, stats.sessions_closed), (3, 2));
}

#[tokio::test]
async fn sessions_have_a_limit_and_the_name_of_the_parameter_is_free() {
    let options = HttpServerOptions::default()
        .with_max_sessions(1)
        .with_stream_parameter("camera");
    let host = Host::start(SessionCounter, options).await;
    assert_eq!(session_of(&host.client("/?camera=door"), 64).await.0, "door");
    let error = host
        .client("/?camera=yard")
        .ask(png(64, 48, 0))
        .await
        .unwrap_err();
    assert!(
        matches!(error, HttpError::Overloaded { status: 503, .. }),
        "{error:?}"
    );
    // An unnamed one takes no place among them.
    assert_eq!(session_of(&host.client("/?stream=roof"), 64).await.0, "");
    let long = format!("/?camera={}", "x".repeat(300));
    let error = host.client(&long).ask(png(64, 48, 0)).await.unwrap_err();
    assert!(
        matches!(error, HttpError::Rejected { status: 400, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn one_extension_serves_grpc_and_http_at_once() {
    let shared = Arc::new(crate::support::Digester::default());
    let host = Host::start(Arc::clone(&shared), HttpServerOptions::default()).await;
    let listening = ExtensionServer::new(Arc::clone(&shared))
        .listen(ListenAddress::loopback(0))
        .await
        .unwrap();
    let url = listening.url();
    let grpc = tokio::spawn(listening.serve(std::future::pending()));
    host.client("/").ask(png(64, 48, 0)).await.unwrap();
    let options = ClientOptions::new(url, FrameFormat::png(64, 48).unwrap());
    let Session {
        frames,
        mut answers,
        peer,
        ..
    } = connect::<()>(&options).await.unwrap();
    assert_eq!(peer.identifier, "digester");
    frames.slot_with_size(100).unwrap().send(1, &[], ()).unwrap();
    assert!(matches!(
        answers.next().await,
        Ok(Some(SessionEvent::Answered(_)))
    ));
    assert_eq!(shared.seen.lock().unwrap().len(), 2);
    grpc.abort();
}

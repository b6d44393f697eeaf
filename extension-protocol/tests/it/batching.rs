//! Samples of many streams in one call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lva_extension_protocol::*;
use lva_inference_schema::InferenceValue;

use crate::support::{digest, end, next, seen, small_format, within};

/// What happened to the model, in order.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Open(String),
    Batch(usize),
    Close(String),
}

struct Model {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Waits for a word before each batch, if there is somebody to say it.
    gate: Option<mpsc::Receiver<()>>,
}

impl BatchExtension for Model {
    fn open(&mut self, session: &SessionInfo) -> Result<(), OpenError> {
        if session.configuration == "refuse" {
            return Err(OpenError::Configuration("no such zone".into()));
        }
        let name = session.identity.graph_node_name.clone();
        self.seen.lock().unwrap().push(Seen::Open(name));
        Ok(())
    }

    fn close(&mut self, session: &SessionInfo) {
        let name = session.identity.graph_node_name.clone();
        self.seen.lock().unwrap().push(Seen::Close(name));
    }

    fn process(&mut self, batch: &[BatchSample<'_>]) -> Result<Vec<BatchResult>, BoxError> {
        assert_eq!(std::thread::current().name(), Some("extension-batch"));
        self.seen.lock().unwrap().push(Seen::Batch(batch.len()));
        if let Some(gate) = &self.gate {
            let _ = gate.recv();
        }
        let said = |word: &str| batch.iter().any(|it| it.session.configuration == word);
        if said("panic") {
            panic!("as told");
        }
        if said("fail all") {
            return Err("as told".into());
        }
        if said("too few") {
            return Ok(Vec::new());
        }
        Ok(batch
            .iter()
            .map(|it| match it.session.configuration.as_str() {
                "bad frame" => Err(EndStream::BadFrame("no picture".into()).into()),
                _ => Ok(vec![seen(it.sample.data())]),
            })
            .collect())
    }
}

struct Scene {
    url: ExtensionUrl,
    seen: Arc<Mutex<Vec<Seen>>>,
    stats: BatchStatsReader,
    go: mpsc::Sender<()>,
}

impl Scene {
    async fn new(limits: BatchLimits, gated: bool) -> Self {
        let (seen, (go, gate)) = (Arc::default(), mpsc::channel());
        let model = Model {
            seen: Arc::clone(&seen),
            gate: gated.then_some(gate),
        };
        let batching = Batching::new("batches", model, limits).unwrap();
        let stats = batching.stats();
        let options = ServerOptions::default().with_trust(Trust::Peer);
        let listening = ExtensionServer::new(batching)
            .with_options(options)
            .listen(ListenAddress::loopback(0))
            .await
            .unwrap();
        let url = listening.url();
        tokio::spawn(listening.serve(std::future::pending()));
        Self { url, seen, stats, go }
    }

    async fn open(&self, name: &str, configuration: &str) -> Result<Session<String>, ConnectError> {
        let options = ClientOptions::new(self.url.clone(), small_format())
            .with_identity(GraphIdentity::new("graph", name))
            .with_configuration(configuration)
            .with_transfer(Transfer::SharedMemory(SharedMemoryOptions::default()));
        connect(&options).await
    }
}

/// Sends a frame that no other is like, with its digest as context.
fn send(frames: &FrameSender<String>, fill: u8) {
    let mut slot = frames.slot().unwrap();
    slot.fill(fill);
    let digest = digest(&slot);
    slot.send(fill.into(), &[], digest).unwrap();
}

fn assert_own(answer: &Answer<String>) {
    let InferenceValue::Event(event) = &answer.inferences[0].value else {
        panic!("no event")
    };
    assert_eq!(event.properties["digest"], answer.context);
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_of_all_open_streams_go_together_and_each_gets_its_own_result() {
    let limits = BatchLimits {
        samples: 8,
        wait: LONG,
    };
    let scene = Scene::new(limits, false).await;
    let mut sessions = Vec::new();
    for name in ["a", "b", "c"] {
        sessions.push(scene.open(name, "").await.unwrap());
    }
    assert_eq!(sessions[0].peer.identifier, "batches");
    for round in 0..20_u8 {
        for (stream, session) in sessions.iter().enumerate() {
            send(&session.frames, round * 3 + stream as u8);
        }
        for session in &mut sessions {
            assert_own(&next(&mut session.answers).await);
        }
    }
    let stats = scene.stats.read();
    assert_eq!((stats.batches, stats.samples, stats.all_streams), (20, 60, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_during_a_batch_makes_the_next_one_and_none_is_larger_than_allowed() {
    let limits = BatchLimits {
        samples: 2,
        wait: Duration::ZERO,
    };
    let scene = Scene::new(limits, true).await;
    let mut sessions = Vec::new();
    for name in ["a", "b", "c", "d"] {
        sessions.push(scene.open(name, "").await.unwrap());
    }
    for (fill, session) in sessions.iter().enumerate() {
        send(&session.frames, fill as u8);
    }
    // Enough words for as many batches as there can be.
    (0..4).for_each(|_| scene.go.send(()).unwrap());
    for session in &mut sessions {
        assert_own(&next(&mut session.answers).await);
    }
    let stats = scene.stats.read();
    assert_eq!(stats.samples, 4);
    assert!((2..=4).contains(&stats.batches), "{stats:?}");
    let seen = scene.seen.lock().unwrap();
    assert!(seen.iter().all(|it| !matches!(it, Seen::Batch(3..))), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_waits_for_a_silent_one_waits_no_longer_than_allowed() {
    let limits = BatchLimits {
        samples: 8,
        wait: Duration::from_millis(20),
    };
    let scene = Scene::new(limits, false).await;
    let mut busy = scene.open("busy", "").await.unwrap();
    let _silent = scene.open("silent", "").await.unwrap();
    send(&busy.frames, 1);
    let answer = next(&mut busy.answers).await;
    assert_own(&answer);
    assert!(answer.round_trip >= Duration::from_millis(20));
    assert_eq!(scene.stats.read().waited, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_frame_ends_its_own_stream_and_the_rest_of_the_batch_is_answered() {
    let scene = Scene::new(
        BatchLimits {
            samples: 2,
            wait: LONG,
        },
        false,
    )
    .await;
    let mut good = scene.open("good", "").await.unwrap();
    let mut bad = scene.open("bad", "bad frame").await.unwrap();
    send(&good.frames, 1);
    send(&bad.frames, 2);
    assert_own(&next(&mut good.answers).await);
    let SessionError::Status(status) = end(&mut bad.answers).await else {
        panic!("no status")
    };
    assert_eq!(
        (status.code, status.message.as_str()),
        (Code::InvalidArgument, "no picture")
    );
    // The other one is not waited for any more.
    within(async {
        while !scene.seen.lock().unwrap().contains(&Seen::Close("bad".into())) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    send(&good.frames, 3);
    assert_own(&next(&mut good.answers).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_as_a_whole_is_answered_empty_and_the_next_one_is_not() {
    for word in ["fail all", "too few", "panic"] {
        let scene = Scene::new(
            BatchLimits {
                samples: 2,
                wait: LONG,
            },
            false,
        )
        .await;
        let mut good = scene.open("good", "").await.unwrap();
        let mut bad = scene.open("bad", word).await.unwrap();
        send(&good.frames, 1);
        send(&bad.frames, 2);
        for session in [&mut good, &mut bad] {
            assert!(next(&mut session.answers).await.inferences.is_empty(), "{word}");
        }
        drop(bad);
        send(&good.frames, 3);
        assert_own(&next(&mut good.answers).await);
        assert_eq!(scene.stats.read().failed, 1, "{word}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_opened_closed_and_refused_by_the_extension() {
    let scene = Scene::new(BatchLimits::default(), false).await;
    let Err(ConnectError::Refused { status, .. }) = scene.open("x", "refuse").await else {
        panic!("not refused")
    };
    assert_eq!(status.code, Code::InvalidArgument);
    let (first, second) = (
        scene.open("a", "").await.unwrap(),
        scene.open("b", "").await.unwrap(),
    );
    drop((first, second));
    within(async {
        loop {
            let mut counts = BTreeMap::new();
            for it in scene.seen.lock().unwrap().iter() {
                if let Seen::Open(name) | Seen::Close(name) = it {
                    *counts.entry(name.clone()).or_insert(0) += 1;
                }
            }
            if counts == BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 2)]) {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

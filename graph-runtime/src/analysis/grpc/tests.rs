//! Whatever a server does with a node's frames, each is accounted for once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lva_extension_protocol::BackoffPolicy;
use lva_extension_protocol::wire::media_graph_extension_server::{
    MediaGraphExtension, MediaGraphExtensionServer,
};
use lva_extension_protocol::wire::media_stream_message::Payload;
use lva_extension_protocol::wire::{self, MediaStreamMessage};
use lva_framing::{ColorMatrix, ColorRange, Picture, PictureFormat};
use lva_graph_model::{Graph, Instance, Strictness, Topology, resolve};
use lva_inference_schema::EventName;
use proptest::prelude::*;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use super::*;
use crate::convert::extension::ClientPlan;
use crate::emitter::EventEmitter;
use crate::filter::Filters;
use crate::flow::{Admission, NodeInput, NodeOutputs};
use crate::node::Factories;
use crate::plan::{Analyzer, Plan};
use crate::stats::{Counters, ExtensionStats, InstanceStats};

const NODE: &str = "ext";
/// After which a skipped frame is given up, where whatever comes of it is right.
const SOON: Duration = Duration::from_millis(20);
/// The same where the frames that are answered have to be answered in time.
const LATER: Duration = Duration::from_secs(2);

/// What a server does with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behavior {
    Answer,
    AnswerTwice,
    AnswerWhatNeverWas,
    Skip,
    /// Answers this one, and the oldest that it skipped.
    AnswerLate,
    Close,
    Fail,
    /// Neither reads nor writes any more.
    Hang,
}

const BEHAVIORS: [Behavior; 8] = [
    Behavior::Answer,
    Behavior::AnswerTwice,
    Behavior::AnswerWhatNeverWas,
    Behavior::Skip,
    Behavior::AnswerLate,
    Behavior::Close,
    Behavior::Fail,
    Behavior::Hang,
];

/// What it does when the client half-closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Close,
    AnswerAllAndClose,
    /// It never closes its side.
    Stay,
}

#[derive(Debug, Clone)]
struct Server {
    behaviors: Vec<Behavior>,
    ending: Ending,
}

fn answer(number: u64, to: u64) -> Result<MediaStreamMessage, Status> {
    Ok(MediaStreamMessage {
        sequence_number: number,
        ack_sequence_number: to,
        payload: Some(Payload::MediaSample(wire::MediaSample::default())),
    })
}

impl Server {
    async fn act(
        self,
        mut from: Streaming<MediaStreamMessage>,
        to: mpsc::Sender<Result<MediaStreamMessage, Status>>,
    ) {
        let _ = from.message().await;
        let hello = MediaStreamMessage {
            sequence_number: 1,
            ack_sequence_number: 1,
            payload: Some(Payload::MediaStreamDescriptor(wire::MediaStreamDescriptor {
                media_descriptor: Some(wire::MediaDescriptor {
                    timescale: 90_000,
                    media_sample_format: None,
                }),
                ..Default::default()
            })),
        };
        let _ = to.send(Ok(hello)).await;
        let mut behaviors = self.behaviors.iter().cycle();
        let mut skipped = Vec::new();
        let mut number = 1;
        while let Ok(Some(message)) = from.message().await {
            let frame = message.sequence_number;
            let answers = match behaviors.next().copied().unwrap_or(Behavior::Answer) {
                Behavior::Answer => vec![frame],
                Behavior::AnswerTwice => vec![frame, frame],
                Behavior::AnswerWhatNeverWas => vec![frame, frame + 1000],
                Behavior::Skip => {
                    skipped.push(frame);
                    vec![]
                }
                Behavior::AnswerLate => {
                    let oldest = (!skipped.is_empty()).then(|| skipped.remove(0));
                    [frame].into_iter().chain(oldest).collect()
                }
                Behavior::Close => return,
                Behavior::Fail => {
                    let _ = to.send(Err(Status::internal("as configured"))).await;
                    return;
                }
                Behavior::Hang => std::future::pending().await,
            };
            for acknowledged in answers {
                number += 1;
                let _ = to.send(answer(number, acknowledged)).await;
            }
        }
        match self.ending {
            Ending::Close => {}
            Ending::AnswerAllAndClose => {
                for frame in skipped {
                    number += 1;
                    let _ = to.send(answer(number, frame)).await;
                }
            }
            Ending::Stay => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl MediaGraphExtension for Server {
    type ProcessMediaStreamStream =
        Pin<Box<dyn Stream<Item = Result<MediaStreamMessage, Status>> + Send + 'static>>;

    async fn process_media_stream(
        &self,
        request: Request<Streaming<MediaStreamMessage>>,
    ) -> Result<Response<Self::ProcessMediaStreamStream>, Status> {
        let (to, answers) = mpsc::channel(64);
        tokio::spawn(self.clone().act(request.into_inner(), to));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

fn graph(port: u16, node: &str) -> Graph {
    let endpoint = |url: String| json!({"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": url});
    let raw = json!({"@type": "#Microsoft.Media.MediaGraphImageFormatRaw", "pixelFormat": "bgr24"});
    let topology = Topology::from_value(json!({
        "@apiVersion": "2.0", "name": "t",
        "properties": {
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
                "endpoint": endpoint("rtsp://cam/a".to_owned()),
            }],
            "processors": [{
                "@type": "#Microsoft.Media.MediaGraphGrpcExtension", "name": node,
                "endpoint": endpoint(format!("tcp://127.0.0.1:{port}")),
                "dataTransfer": {"mode": "embedded"}, "image": {"format": raw},
                "inputs": [{"nodeName": "camera"}],
            }],
            "sinks": [{
                "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink", "name": "hub", "hubOutputName": "out",
                "inputs": [{"nodeName": node}],
            }],
        },
    }));
    let instance = Instance::from_value(json!({
        "@apiVersion": "2.0", "name": "i", "properties": {"topologyName": "t"},
    }));
    let resolved = resolve(&topology.unwrap(), &instance.unwrap(), Strictness::Open);
    resolved.unwrap().graph
}

fn picture(timestamp_90k: u64, width: u32) -> Picture {
    let (luma, chroma) = (width as usize * 16, width as usize / 2 * 8);
    let planes = [&vec![0; luma][..], &vec![0; chroma][..], &vec![0; chroma][..]];
    Picture::from_planes(
        PictureFormat::Yuv420p,
        (width, 16),
        planes,
        ColorMatrix::Bt601,
        ColorRange::Limited,
        timestamp_90k,
    )
    .unwrap()
}

/// A node, and the way into it.
struct Bench {
    name: &'static str,
    counters: Counters,
    node_input: NodeInput,
    node: tokio::task::JoinHandle<()>,
    worker: Worker,
    serving: tokio::task::JoinHandle<()>,
    frames: u64,
}

impl Bench {
    async fn start(server: Server, answer: Duration) -> Self {
        Self::start_as(NODE, server, answer).await
    }

    /// With a name of its own.
    async fn start_as(name: &'static str, server: Server, answer: Duration) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let router =
                tonic::transport::Server::builder().add_service(MediaGraphExtensionServer::new(server));
            let _ = router.serve_with_incoming(TcpListenerStream::new(listener)).await;
        });
        let plan = Plan::new(&graph(port, name), "lvaEdge", &Factories::default()).unwrap();
        let plan = plan.analyses.into_iter().next().unwrap();
        let Analyzer::Extension {
            spec,
            client: ClientPlan::Grpc(client),
        } = plan.analyzer
        else {
            panic!("a gRPC node was asked for");
        };
        let counters = Counters::default();
        let outputs = NodeOutputs {
            node: EventEmitter::detached(&counters).node(plan.node),
            outputs: Default::default(),
        };
        let results = Results::new(outputs.clone(), Vec::new(), None);
        let slot = InputSlot::default();
        let timeouts = NodeTimeouts {
            backoff: BackoffPolicy {
                min_delay: Duration::from_millis(1),
                max_delay: Duration::from_millis(5),
                healthy_after: Duration::from_secs(30),
            },
            answer,
            last_answers: 2 * answer,
        };
        let (analysis, worker) = GrpcNode::new(*client, spec, slot.clone(), results, timeouts).unwrap();
        let node_input = NodeInput {
            motion: None,
            filters: Filters::default(),
            own_limit: None,
            annotated_only: false,
            slot,
            fanout: None,
            outputs,
        };
        Self {
            name,
            counters,
            node_input,
            node: tokio::spawn(analysis.run()),
            worker,
            serving,
            frames: 0,
        }
    }

    /// Gives a picture to the node.
    fn show(&mut self, width: u32) {
        self.frames += 1;
        let picture = picture(self.frames * 9000, width);
        let frame = Frame::new(picture, Instant::now(), 1, Arc::default());
        self.node_input.take(frame, Admission::Delivered);
    }

    fn stats(&self) -> ExtensionStats {
        self.counters.snapshot().extensions[self.name]
    }

    /// Until something is true of the numbers, but no longer than a while. Whether it is.
    async fn until(&self, limit: Duration, condition: impl Fn(&InstanceStats) -> bool) -> bool {
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        let true_at_last = async {
            while !condition(&self.counters.snapshot()) {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(limit, true_at_last).await.is_ok()
    }

    async fn end(self) -> InstanceStats {
        self.node_input.close();
        let Self {
            counters,
            node_input,
            node,
            worker,
            serving,
            ..
        } = self;
        node.await.unwrap();
        worker.ended().await;
        drop(node_input);
        serving.abort();
        counters.snapshot()
    }
}

/// `offered = sent + dropped before`, `sent = answered + lost`, each frame once.
fn assert_adds_up(stats: &InstanceStats, offered: u64) {
    assert_adds_up_of(stats, NODE, offered);
}

fn assert_adds_up_of(stats: &InstanceStats, node: &str, offered: u64) {
    let extension = stats.extensions[node];
    let dropped: u64 = stats.dropped.values().sum();
    assert_eq!(extension.offered, offered, "{stats:?}");
    assert_eq!(extension.sent, extension.answered + extension.lost, "{stats:?}");
    assert!(dropped >= extension.lost, "{stats:?}");
    assert_eq!(
        extension.offered,
        extension.sent + (dropped - extension.lost),
        "{stats:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skipped_frame_of_a_server_that_never_closes_its_side_is_dropped_once() {
    let server = Server {
        behaviors: vec![Behavior::Skip, Behavior::Answer, Behavior::Answer],
        ending: Ending::Stay,
    };
    let mut bench = Bench::start(server, LATER).await;
    let timeouts = Duration::from_secs(60);
    // The first is skipped, the second answered; the third makes the first overdue.
    for sent in 1..=3 {
        bench.show(16);
        assert!(
            bench
                .until(timeouts, |stats| stats.extensions[NODE].sent >= sent)
                .await
        );
    }
    let given_up = |stats: &InstanceStats| stats.dropped_for(DropReason::Unanswered) == 1;
    assert!(
        bench.until(timeouts, given_up).await,
        "{:?}",
        bench.counters.snapshot()
    );
    let stats = bench.end().await;
    assert_eq!(stats.dropped.values().sum::<u64>(), 1, "{stats:?}");
    assert_adds_up(&stats, 3);
}

/// A node that panics once reports it, accounts for its frames in flight, and goes on.
async fn panics(what: &str, name: &'static str) -> InstanceStats {
    crate::panics::set_failpoint(what, name, 1);
    let mut bench = Bench::start_as(
        name,
        Server {
            behaviors: vec![Behavior::Answer],
            ending: Ending::Close,
        },
        LATER,
    )
    .await;
    let timeouts = Duration::from_secs(60);
    bench.show(16);
    let reported = |stats: &InstanceStats| stats.events.contains_key(&EventName::RuntimeError);
    assert!(bench.until(timeouts, reported).await, "{what} was not reported");
    let before = bench.stats().answered;
    bench.show(16);
    let again = |stats: &InstanceStats| stats.extensions[name].answered > before;
    assert!(bench.until(timeouts, again).await, "{what} was the end");
    let stats = bench.end().await;
    assert_adds_up_of(&stats, name, 2);
    assert_eq!(stats.events[&EventName::RuntimeError], 1);
    stats
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_while_a_frame_is_rendered_drops_that_frame() {
    let stats = panics("render", "panics while it renders").await;
    assert_eq!(stats.dropped_for(DropReason::InternalError), 1);
    assert_eq!(stats.extensions["panics while it renders"].sessions, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renderer_whose_thread_ended_is_replaced() {
    let stats = panics("renderer", "panics with its renderer").await;
    assert_eq!(stats.dropped_for(DropReason::InternalError), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_after_an_answer_ends_the_session() {
    let stats = panics("answer", "panics with an answer").await;
    // The frame was answered; what was to be made of the answer is lost.
    assert_eq!(stats.extensions["panics with an answer"].answered, 2);
    assert_eq!(stats.extensions["panics with an answer"].sessions, 2);
}

fn servers() -> impl Strategy<Value = Server> {
    let behavior = prop_oneof![
        4 => Just(Behavior::Answer),
        4 => Just(Behavior::Skip),
        6 => prop::sample::select(&BEHAVIORS[..]),
    ];
    let ending = prop::sample::select(&[Ending::Close, Ending::AnswerAllAndClose, Ending::Stay][..]);
    (prop::collection::vec(behavior, 1..8), ending)
        .prop_map(|(behaviors, ending)| Server { behaviors, ending })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 64, ..ProptestConfig::default() })]

    /// Whether frames come slowly or in bursts, and change their size, which takes a new session.
    #[test]
    fn every_frame_is_accounted_for_once_whatever_a_server_does(
        server in servers(),
        frames in prop::collection::vec((any::<bool>(), prop::sample::select(&[16u32, 16, 16, 32][..])), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut bench = Bench::start(server, SOON).await;
            for (at_leisure, width) in &frames {
                bench.show(*width);
                if *at_leisure {
                    let sent = bench.stats().sent;
                    bench.until(SOON, |stats| stats.extensions[NODE].sent > sent).await;
                }
            }
            let stats = bench.end().await;
            assert_adds_up(&stats, frames.len() as u64);
        });
    }
}

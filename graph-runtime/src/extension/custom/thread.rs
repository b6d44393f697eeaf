//! The thread that a node of the program's own looks on, and how the node is made.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use lva_framing::Picture;
use lva_graph_model::CustomProcessor;
use lva_inference_schema::Inference;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::frame::About;
use crate::guard::{Panicked, guarded};
use crate::node::{CustomNode, NodeContext, NodeError, NodeFactory, NodeFrame};
use crate::thread::Worker;

/// Makes one node, as often as it has to be made.
#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) factory: Arc<dyn NodeFactory>,
    pub(crate) topology: String,
    pub(crate) instance: String,
    pub(crate) name: String,
    pub(crate) processor: CustomProcessor,
}

/// A node, and how to make another one.
pub(crate) struct CustomNodePlan {
    pub(crate) maker: Maker,
    pub(crate) node: Box<dyn CustomNode>,
}

impl fmt::Debug for CustomNodePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomNodePlan")
            .field(&self.maker.processor)
            .finish()
    }
}

/// Why there is no node, or no result of it.
#[derive(Debug)]
pub(crate) enum Broken {
    Failed(NodeError),
    Panicked(Panicked),
}

impl Maker {
    pub(crate) fn create(&self) -> Result<Box<dyn CustomNode>, Broken> {
        let context = NodeContext {
            topology: &self.topology,
            instance: &self.instance,
            name: &self.name,
            processor: &self.processor,
        };
        guarded(|| self.factory.create(&context))
            .map_err(Broken::Panicked)?
            .map_err(Broken::Failed)
    }
}

/// A picture for a node, with what was found in it.
struct Job {
    picture: Picture,
    session: u64,
    found: Arc<[Inference]>,
    /// Closed when nobody waits for the node any more.
    gone: oneshot::Receiver<()>,
}

/// What became of a job.
pub(super) struct Report {
    /// Whether the node was made anew for it.
    pub(super) made: bool,
    pub(super) end: End,
}

pub(super) enum End {
    Found(Vec<Inference>),
    Failed(NodeError),
    Panicked(Panicked),
    /// There was no node, and none could be made.
    NotMade(Broken),
    /// Nobody waited any more.
    GivenUp,
}

/// The node's thread.
struct LookWorker {
    maker: Maker,
    node: Option<Box<dyn CustomNode>>,
    runtime: Handle,
}

impl LookWorker {
    fn work(mut self, jobs: &Receiver<Job>, reports: &mpsc::Sender<Report>) {
        let runtime = self.runtime.clone();
        let _inside = runtime.enter();
        while let Ok(job) = jobs.recv() {
            let report = self.look(job);
            if reports.blocking_send(report).is_err() {
                break;
            }
        }
        self.discard();
    }

    fn look(&mut self, job: Job) -> Report {
        let made = self.node.is_none();
        if made {
            match self.maker.create() {
                Ok(node) => self.node = Some(node),
                Err(broken) => {
                    let end = End::NotMade(broken);
                    return Report { made: false, end };
                }
            }
        }
        let end = match &mut self.node {
            Some(node) => looked(&self.runtime, node.as_mut(), job),
            None => End::GivenUp,
        };
        if matches!(end, End::Panicked(_)) {
            self.discard();
        }
        Report { made, end }
    }

    /// What a panic has left behind may panic again.
    fn discard(&mut self) {
        let node = self.node.take();
        if guarded(|| drop(node)).is_err() {
            tracing::error!(node = %self.maker.name, "a node panicked while it was dropped");
        }
    }
}

fn looked(runtime: &Handle, node: &mut dyn CustomNode, job: Job) -> End {
    let Job {
        picture,
        session,
        found,
        gone,
    } = job;
    let frame = NodeFrame::new(&picture, session, &found);
    let look = || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                found = node.process(frame) => match found {
                    Ok(found) => End::Found(found),
                    Err(error) => End::Failed(error),
                },
                _ = gone => End::GivenUp,
            }
        })
    };
    guarded(look).unwrap_or_else(End::Panicked)
}

/// The thread, seen from the node's task: one job at a time.
pub(super) struct LookThread {
    jobs: SyncSender<Job>,
    reports: mpsc::Receiver<Report>,
    /// Dropped to give the job up.
    waits: Option<oneshot::Sender<()>>,
}

impl LookThread {
    pub(super) fn start(plan: CustomNodePlan) -> io::Result<(Self, Worker)> {
        // A thread whose node hangs holds nothing of the instance but these ends.
        let (jobs, queue) = sync_channel(1);
        let (report, reports) = mpsc::channel(1);
        let name = format!("lva-own-{}", plan.maker.name);
        let worker = LookWorker {
            maker: plan.maker,
            node: Some(plan.node),
            runtime: Handle::current(),
        };
        let worker = Worker::start(&name, move || worker.work(&queue, &report))?;
        let thread = Self {
            jobs,
            reports,
            waits: None,
        };
        Ok((thread, worker))
    }

    /// Gives a picture; whether the thread takes it. The one before has to be reported.
    pub(super) fn give(&mut self, picture: Picture, about: &About) -> bool {
        let (waits, gone) = oneshot::channel();
        self.waits = Some(waits);
        let job = Job {
            picture,
            session: about.epoch,
            found: about.found(),
            gone,
        };
        self.jobs.try_send(job).is_ok()
    }

    /// Nobody waits for the job any more. It is reported all the same, when the node comes back.
    pub(super) fn give_up(&mut self) {
        self.waits = None;
    }

    /// Waits for the job that was given; `None` when the thread is gone. Nothing is lost when the future is dropped.
    pub(super) async fn report(&mut self) -> Option<Report> {
        self.reports.recv().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use async_trait::async_trait;
    use lva_framing::{ColorMatrix, ColorRange, PictureFormat};
    use lva_graph_model::{CustomNodeTypes, Instance, Node, Strictness, Topology, resolve};
    use serde_json::json;

    use super::*;
    use crate::frame::Frame;

    const TYPE: &str = "#Contoso.Worst";

    /// Panics when it looks, and again when it is dropped.
    struct Worst;

    impl Drop for Worst {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[async_trait]
    impl CustomNode for Worst {
        async fn process(&mut self, _: NodeFrame<'_>) -> Result<Vec<Inference>, NodeError> {
            panic!("looked at {}", TYPE);
        }
    }

    /// Makes them, and once it does not.
    struct Factory(AtomicU32);

    impl NodeFactory for Factory {
        fn type_name(&self) -> &str {
            TYPE
        }

        fn create(&self, _: &NodeContext<'_>) -> Result<Box<dyn CustomNode>, NodeError> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                1 => Err(NodeError::new("not now")),
                _ => Ok(Box::new(Worst)),
            }
        }
    }

    fn processor() -> CustomProcessor {
        let topology = Topology::from_value(json!({"@apiVersion": "1.1", "name": "t", "properties": {
            "sources": [{"@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "camera", "endpoint": {
                "@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "rtsp://cam/1"}}],
            "processors": [{"@type": TYPE, "name": "own", "inputs": [{"nodeName": "camera"}]}],
        }}));
        let own = CustomNodeTypes::new([TYPE]).unwrap();
        let topology = topology.unwrap().with_custom_types(own);
        let resolved = resolve(&topology, &Instance::new("i", "t", []), Strictness::Open).unwrap();
        match &resolved.graph.node_named("own").unwrap().node {
            Node::Custom(own) => own.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn frame(timestamp_90k: u64) -> Frame {
        let planes: [&[u8]; 3] = [&[0; 4], &[0], &[0]];
        let picture = Picture::from_planes(
            PictureFormat::Yuv420p,
            (2, 2),
            planes,
            ColorMatrix::Bt601,
            ColorRange::Full,
            timestamp_90k,
        );
        Frame::new(picture.unwrap(), Instant::now(), 1, Arc::default())
    }

    #[tokio::test]
    async fn a_thread_outlives_whatever_its_node_does() {
        let maker = Maker {
            factory: Arc::new(Factory(AtomicU32::new(0))),
            topology: "t".to_owned(),
            instance: "i".to_owned(),
            name: "own".to_owned(),
            processor: processor(),
        };
        let node = maker.create().unwrap_or_else(|broken| panic!("{broken:?}"));
        let (mut thread, worker) = LookThread::start(CustomNodePlan { maker, node }).unwrap();
        let mut ends = Vec::new();
        for time in 0..3 {
            let frame = frame(time);
            assert!(thread.give(frame.picture, &frame.about));
            let report = thread.report().await.unwrap();
            ends.push(match report.end {
                End::Panicked(panicked) => (report.made, panicked.words().to_owned()),
                End::NotMade(Broken::Failed(error)) => (report.made, error.to_string()),
                _ => panic!("{ends:?}"),
            });
        }
        let looked = format!("looked at {TYPE}");
        assert_eq!(
            ends,
            [
                (false, looked.clone()),
                (false, "not now".to_owned()),
                (true, looked)
            ]
        );
        drop(thread);
        worker.ended().await;
    }
}

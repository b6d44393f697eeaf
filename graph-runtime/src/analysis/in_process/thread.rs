//! The thread of a node in this process.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use lva_framing::Picture;
use lva_inference_schema::Inference;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::flow::FrameMeta;
use crate::node::{CustomNode, InProcessPlan, NodeBuildError, NodeBuilder, NodeError, NodeFrame};
use crate::panics::{Panicked, catch_panic};
use crate::thread::Worker;

/// A picture for a node, with the results from upstream.
struct Job {
    picture: Picture,
    session: u64,
    prior_results: Arc<[Inference]>,
    /// Closed when the node timed out.
    cancelled: oneshot::Receiver<()>,
}

/// The result of a job.
pub(super) struct Report {
    /// Whether the node was created for it.
    pub(super) created: bool,
    pub(super) end: End,
}

pub(super) enum End {
    Found(Vec<Inference>),
    Failed(NodeError),
    Panicked(Panicked),
    /// No node existed, and none could be created.
    BuildFailed(NodeBuildError),
    /// The node timed out.
    Cancelled,
}

/// The node's thread.
struct CustomNodeWorker {
    builder: NodeBuilder,
    node: Option<Box<dyn CustomNode>>,
    runtime: Handle,
}

impl CustomNodeWorker {
    fn run(mut self, jobs: &Receiver<Job>, reports: &mpsc::Sender<Report>) {
        let runtime = self.runtime.clone();
        let _inside = runtime.enter();
        while let Ok(job) = jobs.recv() {
            let report = self.process(job);
            if reports.blocking_send(report).is_err() {
                break;
            }
        }
        self.discard();
    }

    fn process(&mut self, job: Job) -> Report {
        let created = self.node.is_none();
        if created {
            match self.builder.create() {
                Ok(node) => self.node = Some(node),
                Err(error) => {
                    let end = End::BuildFailed(error);
                    return Report { created: false, end };
                }
            }
        }
        let end = match &mut self.node {
            Some(node) => process(&self.runtime, node.as_mut(), job),
            None => End::Cancelled,
        };
        if matches!(end, End::Panicked(_)) {
            self.discard();
        }
        Report { created, end }
    }

    /// Dropping a node after a panic may panic again.
    fn discard(&mut self) {
        let node = self.node.take();
        if catch_panic(|| drop(node)).is_err() {
            tracing::error!(node = %self.builder.name, "a custom node panicked while it was dropped");
        }
    }
}

fn process(runtime: &Handle, node: &mut dyn CustomNode, job: Job) -> End {
    let Job {
        picture,
        session,
        prior_results,
        cancelled,
    } = job;
    let frame = NodeFrame::new(&picture, session, &prior_results);
    let work = || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                found = node.process(frame) => match found {
                    Ok(found) => End::Found(found),
                    Err(error) => End::Failed(error),
                },
                _ = cancelled => End::Cancelled,
            }
        })
    };
    catch_panic(work).unwrap_or_else(End::Panicked)
}

/// The thread, seen from the node's task: one job at a time.
pub(super) struct InProcessThread {
    jobs: SyncSender<Job>,
    reports: mpsc::Receiver<Report>,
    /// Dropped to cancel the job.
    cancel: Option<oneshot::Sender<()>>,
}

impl InProcessThread {
    pub(super) fn start(plan: InProcessPlan) -> io::Result<(Self, Worker)> {
        // A thread whose node blocks holds nothing of the instance but these channels.
        let (jobs, queue) = sync_channel(1);
        let (report, reports) = mpsc::channel(1);
        let name = format!("lva-node-{}", plan.builder.name);
        let worker = CustomNodeWorker {
            builder: plan.builder,
            node: Some(plan.node),
            runtime: Handle::current(),
        };
        let worker = Worker::start(&name, move || worker.run(&queue, &report))?;
        let thread = Self {
            jobs,
            reports,
            cancel: None,
        };
        Ok((thread, worker))
    }

    /// Gives a picture; returns whether the thread takes it. The job before must be reported.
    pub(super) fn give(&mut self, picture: Picture, meta: &FrameMeta) -> bool {
        let (cancel, cancelled) = oneshot::channel();
        self.cancel = Some(cancel);
        let job = Job {
            picture,
            session: meta.epoch,
            prior_results: meta.prior_results(),
            cancelled,
        };
        self.jobs.try_send(job).is_ok()
    }

    /// Cancels the job. It is reported when the node returns.
    pub(super) fn cancel(&mut self) {
        self.cancel = None;
    }

    /// Waits for the job that was given; `None` when the thread has ended. Cancel safe.
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
    use lva_graph_model::{CustomNodeTypes, Graph, Instance, Node, Strictness, Topology, resolve};
    use serde_json::json;

    use super::*;
    use crate::flow::Frame;
    use crate::node::{NodeContext, NodeFactory};

    const TYPE: &str = "#Contoso.Worst";

    /// Panics in `process`, and again when it is dropped.
    struct Worst;

    impl Drop for Worst {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[async_trait]
    impl CustomNode for Worst {
        async fn process(&mut self, _: NodeFrame<'_>) -> Result<Vec<Inference>, NodeError> {
            panic!("in {}", TYPE);
        }
    }

    /// Creates them, and fails once.
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

    fn graph() -> Graph {
        let topology = Topology::from_value(json!({"@apiVersion": "1.1", "name": "t", "properties": {
            "sources": [{"@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "camera", "endpoint": {
                "@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "rtsp://cam/1"}}],
            "processors": [{"@type": TYPE, "name": "custom", "inputs": [{"nodeName": "camera"}]}],
        }}));
        let types = CustomNodeTypes::new([TYPE]).unwrap();
        let topology = topology.unwrap().with_custom_types(types);
        let resolved = resolve(&topology, &Instance::new("i", "t", []), Strictness::Open);
        resolved.unwrap().graph
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
    async fn a_thread_outlives_the_panics_of_its_node() {
        let factory = Arc::new(Factory(AtomicU32::new(0)));
        let graph = graph();
        let Node::Custom(processor) = &graph.node_named("custom").unwrap().kind else {
            panic!("{graph:?}");
        };
        let builder = NodeBuilder::custom(factory, &graph, "custom", processor.clone());
        let node = builder.create().unwrap_or_else(|error| panic!("{error:?}"));
        let (mut thread, worker) = InProcessThread::start(InProcessPlan { builder, node }).unwrap();
        let mut ends = Vec::new();
        for time in 0..3 {
            let frame = frame(time);
            assert!(thread.give(frame.picture, &frame.meta));
            let report = thread.report().await.unwrap();
            ends.push(match report.end {
                End::Panicked(panicked) => (report.created, panicked.message().to_owned()),
                End::BuildFailed(NodeBuildError::Failed(error)) => (report.created, error.to_string()),
                _ => panic!("{ends:?}"),
            });
        }
        let message = format!("in {TYPE}");
        assert_eq!(
            ends,
            [
                (false, message.clone()),
                (false, "not now".to_owned()),
                (true, message)
            ]
        );
        drop(thread);
        worker.ended().await;
    }
}

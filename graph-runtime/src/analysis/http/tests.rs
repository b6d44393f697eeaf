//! A node that panics goes on, and accounts for its frames in flight.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use lva_extension_protocol::BoxError;
use lva_extension_protocol::http::HttpExtensionServer;
use lva_extension_protocol::server::{Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo};
use lva_framing::{ColorMatrix, ColorRange, PictureFormat};
use lva_graph_model::{Instance, Strictness, Topology, resolve};
use lva_inference_schema::{EventName, Inference};
use serde_json::json;

use super::*;
use crate::convert::extension::ClientPlan;
use crate::emitter::EventEmitter;
use crate::flow::NodeOutputs;
use crate::node::Factories;
use crate::options::RuntimeOptions;
use crate::panics::set_failpoint;
use crate::plan::{Analyzer, Plan};
use crate::stats::{Counters, InstanceStats};

const NODE: &str = "panics and posts by HTTP";

/// Finds nothing.
#[derive(Clone)]
struct Blind;

#[async_trait]
impl Extension for Blind {
    async fn open(&self, _: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl ExtensionSession for Blind {
    async fn process(&mut self, _: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        Ok(Vec::new())
    }
}

fn plan(url: &str) -> Plan {
    let endpoint = |url: &str| json!({"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": url});
    let topology = Topology::from_value(json!({
        "@apiVersion": "2.0", "name": "t",
        "properties": {
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
                "endpoint": endpoint("rtsp://cam/a"),
            }],
            "processors": [{
                "@type": "#Microsoft.Media.MediaGraphHttpExtension", "name": NODE, "endpoint": endpoint(url),
                "image": {"format": {"@type": "#Microsoft.Media.MediaGraphImageFormatBmp"}},
                "inputs": [{"nodeName": "camera"}],
            }],
            "sinks": [{
                "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink", "name": "hub", "hubOutputName": "out",
                "inputs": [{"nodeName": NODE}],
            }],
        },
    }));
    let instance = Instance::from_value(json!({
        "@apiVersion": "2.0", "name": "i", "properties": {"topologyName": "t"},
    }));
    let resolved = resolve(&topology.unwrap(), &instance.unwrap(), Strictness::Open);
    Plan::new(&resolved.unwrap().graph, "lvaEdge", &Factories::default()).unwrap()
}

fn frame(timestamp_90k: u64) -> Frame {
    let planes = [&[0; 256][..], &[0; 64][..], &[0; 64][..]];
    let (format, matrix, range) = (PictureFormat::Yuv420p, ColorMatrix::Bt601, ColorRange::Limited);
    let picture = Picture::from_planes(format, (16, 16), planes, matrix, range, timestamp_90k);
    Frame::new(picture.unwrap(), Instant::now(), 1, Default::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_costs_a_picture_or_an_answer_and_the_node_goes_on() {
    let server = HttpExtensionServer::new(Blind);
    let server = server.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let plan = plan(&format!("{}score", server.url()));
    let serving = tokio::spawn(server.serve(std::future::pending()));
    let plan = plan.analyses.into_iter().next().unwrap();
    let Analyzer::Extension {
        spec,
        client: ClientPlan::Http(options),
    } = plan.analyzer
    else {
        panic!("an HTTP node was asked for");
    };
    let counters = Counters::default();
    let outputs = NodeOutputs {
        node: EventEmitter::detached(&counters).node(plan.node),
        outputs: Default::default(),
    };
    let results = Results::new(outputs, Vec::new(), None);
    let slot = InputSlot::default();
    let timeouts = NodeTimeouts::of(&RuntimeOptions::new("recordings"));
    let (http, worker) = HttpNode::new(*options, spec, slot.clone(), results, timeouts).unwrap();
    let node = tokio::spawn(http.run());
    let until = async |condition: &dyn Fn(&InstanceStats) -> bool| {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let found = async {
            while !condition(&counters.snapshot()) {
                ticks.tick().await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(60), found).await;
        assert!(found.is_ok(), "{:?}", counters.snapshot());
    };
    set_failpoint("render", NODE, 1);
    slot.put(frame(1));
    until(&|stats| stats.dropped_for(DropReason::InternalError) == 1).await;
    set_failpoint("answer", NODE, 1);
    // The second is answered, and its results are lost; the third finds the node running again.
    for answered in 1..=2 {
        slot.put(frame(1 + answered));
        until(&|stats| stats.extensions[NODE].answered == answered).await;
    }
    slot.close();
    node.await.unwrap();
    worker.ended().await;
    serving.abort();
    let stats = counters.snapshot();
    let extension = stats.extensions[NODE];
    assert_eq!((extension.sent, extension.answered, extension.lost), (2, 2, 0));
    assert_eq!(stats.dropped.values().sum::<u64>(), 1, "{stats:?}");
    assert_eq!(
        stats.events[&EventName::RuntimeError],
        1,
        "reported once a minute: {stats:?}"
    );
}

//! A node that falls goes on, and accounts for what it had in hand.

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
use crate::extension::WayOut;
use crate::guard::set_trap;
use crate::node::Factories;
use crate::options::RuntimeOptions;
use crate::plan::{Analyzer, Plan};
use crate::seam::extension::ClientPlan;
use crate::sink::Outlet;
use crate::speaker::Speaker;
use crate::stats::{Counters, InstanceStats};

const NODE: &str = "falls and asks by HTTP";

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
    let (form, matrix, range) = (PictureFormat::Yuv420p, ColorMatrix::Bt601, ColorRange::Limited);
    let picture = Picture::from_planes(form, (16, 16), planes, matrix, range, timestamp_90k);
    Frame::new(picture.unwrap(), Instant::now(), 1, Default::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_defect_costs_a_picture_or_an_answer_and_the_node_goes_on() {
    let server = HttpExtensionServer::new(Blind);
    let server = server.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let plan = plan(&format!("{}score", server.url()));
    let serving = tokio::spawn(server.serve(std::future::pending()));
    let plan = plan.analyses.into_iter().next().unwrap();
    let Analyzer::Extension {
        form,
        client: ClientPlan::Http(options),
    } = plan.analyzer
    else {
        panic!("an HTTP node was asked for");
    };
    let counters = Counters::default();
    let way_out = WayOut {
        node: plan.node,
        exits: Default::default(),
        speaker: Speaker::new(Outlet::default(), counters.clone()),
    };
    let results = Results::new(way_out, Vec::new(), None);
    let entrance = Entrance::default();
    let patience = Patience::of(&RuntimeOptions::new("recordings"));
    let (http, worker) = HttpNode::new(*options, form, entrance.clone(), results, patience).unwrap();
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
    set_trap("render", NODE, 1);
    entrance.mailbox.put(frame(1));
    until(&|stats| stats.dropped_for(DropReason::Defect) == 1).await;
    set_trap("answer", NODE, 1);
    // The second is answered, and nothing comes of it; the third finds the node at work again.
    for answered in 1..=2 {
        entrance.mailbox.put(frame(1 + answered));
        until(&|stats| stats.extensions[NODE].answered == answered).await;
    }
    entrance.mailbox.close();
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
        "said once in a minute: {stats:?}"
    );
}

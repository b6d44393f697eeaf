//! The counts of a server for Prometheus, read when a scrape asks.

use std::fmt;
use std::sync::Arc;

use lva_extension_protocol::server::ServerStats;
use lva_spatial_analysis::AnalysisStats;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use super::counts::AnalysisCounts;
use super::live::LiveOperations;
use crate::hub_stats::HubStats;
use crate::metrics::{self, Labels, Metrics, counters, gauges};

/// The metrics of a server, with those of its hub where it has one.
pub(super) fn of(counts: AnalysisCounts, operations: Arc<LiveOperations>, hub: Option<HubStats>) -> Metrics {
    Metrics::collected(
        Registry::default(),
        AnalysisCollector {
            counts,
            operations,
            hub,
        },
    )
}

#[derive(Debug)]
struct AnalysisCollector {
    counts: AnalysisCounts,
    operations: Arc<LiveOperations>,
    hub: Option<HubStats>,
}

type Read<T> = fn(&T) -> u64;

/// Kinds of events by their contract names in lower case.
const EVENTS: [(&str, Read<AnalysisStats>); 6] = [
    ("zone_enter", |stats| stats.zone_enters),
    ("zone_exit", |stats| stats.zone_exits),
    ("line_crossing", |stats| stats.line_crossings),
    ("zone_dwell", |stats| stats.zone_dwells),
    ("people_count", |stats| stats.people_counts),
    ("people_distance", |stats| stats.people_distances),
];

impl Collector for AnalysisCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let encoder = &mut encoder;
        self.server(encoder)?;
        self.analysis(encoder)?;
        self.graphs(encoder)?;
        if let Some(hub) = &self.hub {
            metrics::encode_hub(encoder, hub)?;
        }
        metrics::process(encoder)
    }
}

impl AnalysisCollector {
    fn server(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let counts = &self.counts;
        let sum = |read: Read<ServerStats>| counts.sum(read);
        let opened = sum(|stats| stats.sessions_opened);
        let open = opened.saturating_sub(sum(|stats| stats.sessions_closed));
        let help = "Streams of graphs that are open";
        gauges(
            encoder,
            "lva_edge_analysis_streams_open",
            help,
            one(open).map(|(labels, value)| (labels, value as f64)),
        )?;
        for (name, help, value) in [
            ("lva_edge_analysis_streams", "Streams that were accepted", opened),
            (
                "lva_edge_analysis_streams_refused",
                "Streams that were refused: credentials, limits, or no operation",
                sum(|stats| stats.sessions_refused),
            ),
            (
                "lva_edge_analysis_streams_failed",
                "Streams that ended by a fault of the client",
                sum(|stats| stats.sessions_failed),
            ),
            (
                "lva_edge_analysis_frames",
                "Frames received over gRPC and HTTP",
                counts.frames(),
            ),
            (
                "lva_edge_analysis_answers",
                "Answers sent over gRPC and HTTP",
                counts.answers(),
            ),
            (
                "lva_edge_analysis_http_busy",
                "Pictures over HTTP that were refused because too many waited",
                counts.http.as_ref().map_or(0, |http| http.read().busy),
            ),
        ] {
            counters(encoder, name, help, one(value))?;
        }
        Ok(())
    }

    fn analysis(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let stats = self.counts.analysis.read();
        let dropped = [
            ("late", stats.late_frames),
            ("unreadable", stats.unreadable_frames),
            ("failed", stats.failed_frames),
        ];
        let dropped = dropped.map(|(reason, count)| (vec![("reason", reason.to_owned())], count));
        let help = "Frames that were received and not analysed, by reason";
        counters(
            encoder,
            "lva_edge_analysis_frames_dropped",
            help,
            dropped.into_iter(),
        )?;
        let help = "People detected, over all frames";
        counters(encoder, "lva_edge_analysis_people", help, one(stats.people))?;
        let events = EVENTS.map(|(event, read)| (vec![("event", event.to_owned())], read(&stats)));
        let help = "Spatial events of all streams, by kind";
        counters(encoder, "lva_edge_analysis_events", help, events.into_iter())
    }

    /// Of the operations of file and twin; streams that bring their own are in the counts of all alone.
    fn graphs(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let graphs = self.operations.in_force().into_iter();
        let graphs: Vec<_> = graphs.map(|(name, own)| (name, own.stats.read())).collect();
        let label = |name: &String| vec![("graph", name.clone())];
        let sessions = graphs.iter().map(|(name, stats)| (label(name), stats.sessions));
        let help = "Streams that were analysed by an operation";
        counters(encoder, "lva_edge_analysis_graph_streams", help, sessions)?;
        let frames = graphs.iter().map(|(name, stats)| (label(name), stats.frames));
        let help = "Frames that were analysed by an operation";
        counters(encoder, "lva_edge_analysis_graph_frames", help, frames)?;
        let events = graphs.iter().flat_map(|(name, stats)| {
            EVENTS.map(|(event, read)| {
                let mut labels = label(name);
                labels.push(("event", event.to_owned()));
                (labels, read(stats))
            })
        });
        let help = "Spatial events by an operation, by kind";
        counters(encoder, "lva_edge_analysis_graph_events", help, events)
    }
}

fn one(value: u64) -> impl Iterator<Item = (Labels, u64)> {
    std::iter::once((Labels::new(), value))
}

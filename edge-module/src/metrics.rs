//! Metrics for Prometheus: the names of both retired products, and what else an operator looks at.
//!
//! Everything is read from the running module when a scrape asks, so nothing is counted twice and an idle endpoint costs
//! nothing.

mod hub;
mod outbox;

pub(crate) use hub::encode as encode_hub;

use std::fmt;
use std::sync::Arc;

use lva_graph_model::Family as Product;
use lva_graph_model::methods::{InstanceInfo, InstanceState};
use lva_graph_runtime::{DropReason, InstanceStats, Module};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::events::DeliveryStats;
use crate::hub_stats::HubStats;

/// Content type of [`Metrics::text`].
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Calls of methods by name and status.
#[derive(Debug, Clone, Default)]
pub(crate) struct MethodCounts(Family<MethodLabels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    method: &'static str,
    status: u16,
}

impl MethodCounts {
    pub(crate) fn count(&self, method: &'static str, status: u16) {
        self.0.get_or_create(&MethodLabels { method, status }).inc();
    }
}

/// Who the module is, in the labels of the contract.
#[derive(Debug, Clone, Default)]
pub struct ModuleLabels {
    /// Host name of the hub; empty without one.
    pub hub: String,
    /// The device.
    pub device: String,
    /// The module.
    pub module: String,
}

/// The metrics of one module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// Metrics of a module. `sinks` are the names of its message sinks, in their order.
    pub(crate) fn new(
        module: Module,
        counts: &MethodCounts,
        identity: ModuleLabels,
        sinks: Vec<String>,
        hub: Option<HubStats>,
        deliveries: Vec<DeliveryStats>,
    ) -> Self {
        let mut registry = Registry::default();
        registry.register(
            "lva_edge_methods",
            "Direct methods that were answered, by their status",
            counts.0.clone(),
        );
        Self::collected(
            registry,
            ModuleCollector {
                module,
                identity,
                sinks,
                hub,
                deliveries,
            },
        )
    }

    /// With what a collector reads at each scrape.
    pub(crate) fn collected(mut registry: Registry, collector: impl Collector) -> Self {
        registry.register_collector(Box::new(collector));
        Self(Arc::new(Mutex::new(registry)))
    }

    /// All metrics in the OpenMetrics text format, with the content type [`OPENMETRICS`].
    ///
    /// # Errors
    ///
    /// When a metric cannot be written.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.lock())?;
        Ok(text)
    }
}

#[derive(Debug)]
struct ModuleCollector {
    module: Module,
    identity: ModuleLabels,
    sinks: Vec<String>,
    hub: Option<HubStats>,
    deliveries: Vec<DeliveryStats>,
}

pub(crate) type Labels = Vec<(&'static str, String)>;

impl Collector for ModuleCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let instances: Vec<_> = self
            .module
            .instances()
            .into_iter()
            .map(|info| {
                let stats = self.module.stats(&info.name).unwrap_or_default();
                (info, stats)
            })
            .collect();
        if let Some(hub) = &self.hub {
            hub.refused
                .keep(|name| instances.iter().any(|(info, _)| info.name == name));
        }
        let encoder = &mut encoder;
        self.active(encoder, &instances)?;
        self.received(encoder, &instances)?;
        self.dropped(encoder, &instances)?;
        self.latency(encoder, &instances)?;
        self.frames(encoder, &instances)?;
        self.recordings(encoder, &instances)?;
        self.sinks(encoder)?;
        if let Some(hub) = &self.hub {
            encode_hub(encoder, hub)?;
        }
        outbox::deliveries(encoder, &self.deliveries)?;
        process(encoder)
    }
}

type Instances = [(InstanceInfo, InstanceStats)];

impl ModuleCollector {
    fn module_labels(&self) -> Labels {
        vec![
            ("iothub", self.identity.hub.clone()),
            ("edge_device", self.identity.device.clone()),
            ("module_name", self.identity.module.clone()),
        ]
    }

    /// The contract's labels of one node, in the names of the instance's product.
    fn node(&self, info: &InstanceInfo, node: Option<&str>) -> Labels {
        let [topology, instance, name] = match info.family {
            Product::Lva => ["graph_topology", "graph_instance", "graph_node"],
            Product::VideoAnalyzer => ["pipeline_topology", "live_pipeline", "node"],
        };
        let mut labels = self.module_labels();
        labels.push((topology, info.topology.clone()));
        labels.push((instance, info.name.clone()));
        labels.extend(node.map(|node| (name, node.to_owned())));
        labels
    }

    fn active(&self, encoder: &mut DescriptorEncoder, instances: &Instances) -> fmt::Result {
        for (product, metric, label) in [
            (Product::Lva, "lva_active_graph_instances", "graph_topology"),
            (
                Product::VideoAnalyzer,
                "va_active_live_pipelines",
                "pipeline_topology",
            ),
        ] {
            let mut topologies = std::collections::BTreeMap::<&str, u64>::new();
            for (info, _) in instances.iter().filter(|(info, _)| info.family == product) {
                *topologies.entry(&info.topology).or_default() +=
                    u64::from(info.state == InstanceState::Active);
            }
            let values = topologies.into_iter().map(|(topology, active)| {
                let mut labels = self.module_labels();
                labels.push((label, topology.to_owned()));
                (labels, active as f64)
            });
            gauges(encoder, metric, "Instances that run, by topology", values)?;
        }
        Ok(())
    }

    fn received(&self, encoder: &mut DescriptorEncoder, instances: &Instances) -> fmt::Result {
        for (product, prefix) in PRODUCTS {
            let values = of(product, instances).flat_map(|(info, stats)| {
                let labels = |node: &str| self.node(info, Some(node));
                stats
                    .received_bytes
                    .iter()
                    .map(move |(node, bytes)| (labels(node), *bytes))
                    .collect::<Vec<_>>()
            });
            let name = format!("{prefix}_received_bytes");
            counters(
                encoder,
                &name,
                "Bytes of encoded media received from cameras",
                values,
            )?;
        }
        Ok(())
    }

    fn dropped(&self, encoder: &mut DescriptorEncoder, instances: &Instances) -> fmt::Result {
        for (product, prefix) in PRODUCTS {
            let values = of(product, instances).flat_map(|(info, stats)| {
                let one = |((node, reason), count): (&(String, DropReason), &u64)| {
                    let mut labels = self.node(info, Some(node));
                    let kind = if reason.is_of_events() { "events" } else { "media" };
                    labels.push(("data_kind", kind.to_owned()));
                    labels.push(("reason", label(*reason).to_owned()));
                    (labels, *count)
                };
                let refused = self
                    .hub
                    .as_ref()
                    .map(|hub| hub.refused.of(&info.name))
                    .unwrap_or_default();
                let event = |(node, reason, count): (String, &str, u64)| {
                    let mut labels = self.node(info, Some(&node));
                    labels.push(("data_kind", "events".to_owned()));
                    labels.push(("reason", reason.to_owned()));
                    (labels, count)
                };
                let media = stats.dropped.iter().map(one);
                media.chain(refused.into_iter().map(event)).collect::<Vec<_>>()
            });
            let name = format!("{prefix}_data_dropped");
            counters(
                encoder,
                &name,
                "Pictures, encoded units, signals and events that were dropped, by reason",
                values,
            )?;
        }
        Ok(())
    }

    fn latency(&self, encoder: &mut DescriptorEncoder, instances: &Instances) -> fmt::Result {
        let help = "From a frame's arrival at the source to its leaving the node, over the last minute";
        for (product, prefix) in PRODUCTS {
            for (suffix, max) in [("average", false), ("max", true)] {
                let values = of(product, instances).flat_map(|(info, stats)| {
                    let one = |(node, latency): (&String, &lva_graph_runtime::NodeLatency)| {
                        let value = if max { latency.max } else { latency.average };
                        (self.node(info, Some(node)), value.as_secs_f64())
                    };
                    stats.latencies.iter().map(one).collect::<Vec<_>>()
                });
                gauges(
                    encoder,
                    &format!("{prefix}_cumulative_latency_seconds_{suffix}"),
                    help,
                    values,
                )?;
            }
        }
        Ok(())
    }

    fn frames(&self, encoder: &mut DescriptorEncoder, instances: &Instances) -> fmt::Result {
        type Read = fn(&InstanceStats) -> u64;
        let metrics: [(&str, &str, Read); 4] = [
            (
                "lva_edge_pictures_received",
                "Encoded pictures from cameras",
                |s| s.received,
            ),
            ("lva_edge_pictures_decoded", "Pictures that were decoded", |s| {
                s.decoded
            }),
            (
                "lva_edge_pictures_skipped",
                "Pictures that no node wanted decoded",
                |s| s.skipped,
            ),
            ("lva_edge_camera_sessions", "Sessions with cameras", |s| {
                s.camera_sessions
            }),
        ];
        for (name, help, read) in metrics {
            let values = instances
                .iter()
                .map(|(info, stats)| (instance(info), read(stats)));
            counters(encoder, name, help, values)?;
        }
        let memory = instances
            .iter()
            .map(|(info, stats)| (instance(info), stats.memory.used_bytes as f64));
        gauges(
            encoder,
            "lva_edge_media_bytes",
            "Encoded media held in memory",
            memory,
        )?;
        type ReadExtension = fn(&lva_graph_runtime::ExtensionStats) -> u64;
        let metrics: [(&str, &str, ReadExtension); 4] = [
            (
                "lva_edge_extension_frames_sent",
                "Frames sent to extensions",
                |s| s.sent,
            ),
            (
                "lva_edge_extension_frames_answered",
                "Frames answered by extensions",
                |s| s.answered,
            ),
            (
                "lva_edge_extension_frames_lost",
                "Frames sent and not answered",
                |s| s.lost,
            ),
            ("lva_edge_extension_sessions", "Sessions with extensions", |s| {
                s.sessions
            }),
        ];
        for (name, help, read) in metrics {
            let values = instances.iter().flat_map(|(info, stats)| {
                stats
                    .extensions
                    .iter()
                    .map(move |(node, stats)| (named(info, "node", node), read(stats)))
            });
            counters(encoder, name, help, values)?;
        }
        let events = instances.iter().flat_map(|(info, stats)| {
            stats
                .events
                .iter()
                .map(move |(name, count)| (named(info, "event", name.as_str()), *count))
        });
        counters(
            encoder,
            "lva_edge_events",
            "Events that were emitted, by name",
            events,
        )
    }

    fn recordings(&self, encoder: &mut DescriptorEncoder, instances: &Instances) -> fmt::Result {
        let clips = instances
            .iter()
            .map(|(info, stats)| (instance(info), stats.clips));
        counters(
            encoder,
            "lva_edge_recordings",
            "Recorded files that were finished",
            clips,
        )
    }

    fn sinks(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let stats = self.module.sink_stats();
        let of = |read: fn(&lva_graph_runtime::SinkStats) -> u64| {
            let names = self.sinks.iter().zip(&stats);
            names
                .map(move |(name, stats)| (vec![("sink", name.clone())], read(stats)))
                .collect::<Vec<_>>()
        };
        let published = of(|stats| stats.published).into_iter();
        counters(
            encoder,
            "lva_edge_sink_events_published",
            "Events that a sink accepted",
            published,
        )?;
        let failed = of(|stats| stats.failed).into_iter();
        counters(
            encoder,
            "lva_edge_sink_events_failed",
            "Events that a sink rejected",
            failed,
        )?;
        let dropped = of(|stats| stats.dropped_queue_full).into_iter();
        counters(
            encoder,
            "lva_edge_sink_events_dropped",
            "Events dropped at a sink's full queue",
            dropped,
        )
    }
}

const PRODUCTS: [(Product, &str); 2] = [(Product::Lva, "lva"), (Product::VideoAnalyzer, "va")];

fn of(product: Product, instances: &Instances) -> impl Iterator<Item = &(InstanceInfo, InstanceStats)> {
    instances.iter().filter(move |(info, _)| info.family == product)
}

fn label(reason: DropReason) -> &'static str {
    reason.into()
}

fn instance(info: &InstanceInfo) -> Labels {
    vec![("graph_instance", info.name.clone())]
}

fn named(info: &InstanceInfo, label: &'static str, name: &str) -> Labels {
    vec![("graph_instance", info.name.clone()), (label, name.to_owned())]
}

pub(crate) fn counters(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (Labels, u64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        ConstCounter::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

pub(crate) fn gauges(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (Labels, f64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// The log, memory and descriptors of this process, the latter under the names that dashboards know.
pub(crate) fn process(encoder: &mut DescriptorEncoder) -> fmt::Result {
    let lost = std::iter::once((Labels::new(), crate::logs::lost_lines()));
    let help = "Lines of the log that were not read in time";
    counters(encoder, "lva_edge_log_lines_lost", help, lost)?;
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let resident = pages
        .as_deref()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    if let Some(pages) = resident {
        let bytes = pages.saturating_mul(rustix::param::page_size() as u64);
        let value = std::iter::once((Labels::new(), bytes as f64));
        gauges(
            encoder,
            "process_resident_memory_bytes",
            "Memory of this process",
            value,
        )?;
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        let value = std::iter::once((Labels::new(), open.count() as f64));
        gauges(
            encoder,
            "process_open_fds",
            "Open file descriptors of this process",
            value,
        )?;
    }
    Ok(())
}

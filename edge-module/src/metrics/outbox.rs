//! Events on disk until their receiver has them.

use std::fmt;

use lva_hub::OutboxStats;
use prometheus_client::encoding::DescriptorEncoder;

use super::{Labels, counters, gauges};
use crate::events::DeliveryStats;

/// The outboxes of webhook and brokers.
pub(super) fn deliveries(encoder: &mut DescriptorEncoder, deliveries: &[DeliveryStats]) -> fmt::Result {
    if deliveries.is_empty() {
        return Ok(());
    }
    let labels = |delivery: &DeliveryStats| vec![("sink", delivery.sink.to_owned())];
    let outboxes: Vec<_> = deliveries
        .iter()
        .map(|delivery| (labels(delivery), delivery.outbox()))
        .collect();
    encode(encoder, "lva_edge_sink_outbox", "the sink's receiver", &outboxes)?;
    let failures = deliveries
        .iter()
        .map(|delivery| (labels(delivery), delivery.failures()));
    let help = "Attempts to deliver events that failed, and are made again";
    counters(encoder, "lva_edge_sink_failures", help, failures)
}

/// Outboxes with the labels that distinguish them, in metrics with this prefix.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder,
    prefix: &str,
    receiver: &str,
    outboxes: &[(Labels, OutboxStats)],
) -> fmt::Result {
    let all = |read: fn(&OutboxStats) -> u64| {
        let values = outboxes.iter();
        values.map(move |(labels, stats)| (labels.clone(), read(stats)))
    };
    let sizes = |read: fn(&OutboxStats) -> u64| all(read).map(|(labels, value)| (labels, value as f64));
    gauges(
        encoder,
        &format!("{prefix}_events"),
        &format!("Events in the outbox that {receiver} does not have yet"),
        sizes(|stats| stats.waiting),
    )?;
    gauges(
        encoder,
        &format!("{prefix}_bytes"),
        "Bytes of the outbox on disk",
        sizes(|stats| stats.bytes),
    )?;
    counters(
        encoder,
        &format!("{prefix}_accepted"),
        "Events that the outbox took in",
        all(|stats| stats.accepted),
    )?;
    counters(
        encoder,
        &format!("{prefix}_delivered"),
        &format!("Events that {receiver} acknowledged"),
        all(|stats| stats.delivered),
    )?;
    let dropped = outboxes.iter().flat_map(|(labels, stats)| {
        stats.dropped.iter().map(|(reason, count)| {
            let mut labels = labels.clone();
            labels.push(("reason", reason.as_str().to_owned()));
            (labels, *count)
        })
    });
    counters(
        encoder,
        &format!("{prefix}_dropped"),
        "Events that are not delivered, by reason",
        dropped,
    )
}

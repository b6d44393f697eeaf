//! The connection to a hub or broker, and the outbox.

use std::fmt;

use lva_hub::{ClientStats, ConnectionState};
use prometheus_client::encoding::DescriptorEncoder;

use super::{Labels, counters, gauges};
use crate::hub_stats::HubStats;

pub(crate) fn encode(encoder: &mut DescriptorEncoder, hub: &HubStats) -> fmt::Result {
    let connected = *hub.client.state().borrow() == ConnectionState::Connected;
    let one = |value: f64| std::iter::once((Labels::new(), value));
    let help = "1 while there is a connection to the hub, else 0";
    gauges(
        encoder,
        "lva_edge_hub_connected",
        help,
        one(f64::from(u8::from(connected))),
    )?;
    let stats = hub.client.stats();
    connection(encoder, &stats)?;
    let ignored = [
        ("own_event", stats.echoes_ignored),
        ("unknown", stats.unknown_messages),
        ("malformed", stats.malformed_messages),
    ];
    let ignored = ignored.map(|(reason, count)| (label("reason", reason), count));
    let help = "Messages from the hub or broker that are of no use, by reason";
    counters(
        encoder,
        "lva_edge_hub_messages_ignored",
        help,
        ignored.into_iter(),
    )?;
    let inputs = hub
        .inputs
        .all()
        .into_iter()
        .map(|(result, count)| (label("result", result), count));
    let help = "Messages for inputs of the module, by their effect";
    counters(encoder, "lva_edge_hub_inputs", help, inputs)?;

    super::outbox::encode(
        encoder,
        "lva_edge_outbox",
        "the hub",
        &[(Labels::new(), hub.client.outbox_stats())],
    )
}

fn connection(encoder: &mut DescriptorEncoder, stats: &ClientStats) -> fmt::Result {
    type Read = fn(&ClientStats) -> u64;
    let metrics: [(&str, &str, Read); 8] = [
        (
            "lva_edge_hub_connections",
            "Connections that the hub accepted",
            |s| s.connected,
        ),
        (
            "lva_edge_hub_connect_failures",
            "Attempts to connect that failed",
            |s| s.connect_failures,
        ),
        (
            "lva_edge_hub_not_authorized",
            "Attempts that the hub refused as not authorized",
            |s| s.not_authorized,
        ),
        (
            "lva_edge_hub_connections_lost",
            "Connections that were lost",
            |s| s.connections_lost,
        ),
        (
            "lva_edge_hub_tokens_renewed",
            "Connections made anew for a new token",
            |s| s.tokens_renewed,
        ),
        (
            "lva_edge_hub_events_resent",
            "Events sent again, with their ids",
            |s| s.events_resent,
        ),
        (
            "lva_edge_hub_events_refused",
            "Events that the hub refused",
            |s| s.events_refused,
        ),
        (
            "lva_edge_hub_inputs_dropped",
            "Messages for inputs that came faster than they are taken",
            |s| s.inputs_dropped,
        ),
    ];
    for (name, help, read) in metrics {
        counters(encoder, name, help, std::iter::once((Labels::new(), read(stats))))?;
    }
    Ok(())
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

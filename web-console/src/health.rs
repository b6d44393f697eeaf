//! Cameras, extensions, receivers of events, disk and memory, and what to do about each problem.

use std::path::Path;
use std::sync::Arc;

use lva_graph_model::methods::InstanceState;
use lva_graph_runtime::InstanceStats;
use serde_json::{Value, json};

use crate::options::EventReceiver;
use crate::shared::Shared;

/// Less than that of a disk is a problem.
const LITTLE_SPACE: f64 = 0.05;

/// More than that of a budget is one.
const MUCH_MEMORY: f64 = 0.875;

/// Problems as they are found.
#[derive(Default)]
struct Problems(Vec<Value>);

impl Problems {
    fn add(&mut self, severity: &str, subject: &str, text: impl Into<String>, remedy: &str) {
        let text = text.into();
        self.0
            .push(json!({"severity": severity, "subject": subject, "text": text, "remedy": remedy}));
    }
}

/// The whole report.
pub(crate) async fn report(shared: &Arc<Shared>) -> Value {
    let mut problems = Problems::default();
    let (mut cameras, mut extensions, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for instance in shared.cameras.look() {
        let name = instance.name.as_str();
        let stats = shared.module.stats(name);
        let live = shared.cameras.live(name);
        let runs = instance.state == InstanceState::Active;
        let is_live = live.as_ref().is_some_and(|live| live.stream().is_live);
        let error = shared.events.last_error(name);
        match (&error, runs) {
            (Some(error), _) => problems.add("error", name, error.clone(), remedy(error)),
            (None, true) if !is_live => problems.add(
                "warning",
                name,
                "the camera sends no pictures",
                "check that it is switched on and reachable from this machine",
            ),
            _ => {}
        }
        cameras.push(json!({
            "id": name,
            "state": if is_live { "live" } else if runs { "waiting" } else { "off" },
            "sessions": stats.as_ref().map(|stats| stats.camera_sessions),
            "received": stats.as_ref().map(|stats| stats.received),
            "lastError": error,
        }));
        let Some(stats) = stats else { continue };
        for (node, own) in &stats.extensions {
            extensions.push(json!({
                "instance": name,
                "node": node,
                "sent": own.sent,
                "answered": own.answered,
                "lost": own.lost,
                "sessions": own.sessions,
                "latencyMs": stats.latencies.get(node).map(|latency| (latency.average.as_secs_f64() * 1e4).round() / 10.0),
            }));
        }
        note_memory(name, &stats, &mut problems);
        memory.push(json!({
            "instance": name,
            "usedBytes": stats.memory.used_bytes,
            "budgetBytes": stats.memory.budget_bytes,
            "highestBytes": stats.memory.highest_bytes,
        }));
    }
    let disk: Vec<Value> = shared
        .recordings
        .folders()
        .iter()
        .filter_map(|folder| note_disk(folder, &mut problems))
        .collect();
    let receivers = (shared.receivers)();
    for receiver in &receivers {
        note_receiver(receiver, &mut problems);
    }
    let sinks = shared.module.sink_stats();
    let lost: u64 = sinks
        .iter()
        .map(|sink| sink.failed + sink.dropped_queue_full)
        .sum();
    json!({
        "problems": problems.0,
        "cameras": cameras,
        "extensions": extensions,
        "events": {"published": sinks.iter().map(|sink| sink.published).sum::<u64>(), "lost": lost},
        "receivers": receivers,
        "disk": disk,
        "memory": {"instances": memory},
    })
}

fn note_memory(name: &str, stats: &InstanceStats, problems: &mut Problems) {
    let used = stats.memory.used_bytes as f64 / stats.memory.budget_bytes.max(1) as f64;
    if used > MUCH_MEMORY {
        problems.add(
            "warning",
            name,
            format!("{:.0} % of its memory for media are used", used * 100.0),
            "a disk or an extension does not keep up: see the drops on the edges of its graph",
        );
    }
}

fn note_receiver(receiver: &EventReceiver, problems: &mut Problems) {
    if !receiver.connected {
        problems.add(
            "error",
            &receiver.name,
            format!("no connection; {} events wait", receiver.waiting),
            "check its address and credentials, and the network; events are kept on disk meanwhile",
        );
    }
    if receiver.dropped > 0 {
        problems.add(
            "warning",
            &receiver.name,
            format!("{} events were dropped", receiver.dropped),
            "the log has the reason: an outbox that is full needs a larger limit, and refused events a look at the receiver",
        );
    }
}

fn note_disk(folder: &Path, problems: &mut Problems) -> Option<Value> {
    let found = rustix::fs::statvfs(folder).ok()?; // nothing was recorded yet
    let (free, whole) = (found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize);
    let place = folder.display().to_string();
    if (free as f64) < whole as f64 * LITTLE_SPACE {
        problems.add(
            "error",
            &place,
            format!(
                "{:.1} % of the disk are free",
                free as f64 / whole.max(1) as f64 * 100.0
            ),
            "limit the sinks (maximumSizeMiB, retentionPeriod), or remove recordings",
        );
    }
    Some(json!({"directory": place, "freeBytes": free, "bytes": whole}))
}

/// What helps against the usual errors.
fn remedy(error: &str) -> &'static str {
    let has = |word: &str| error.contains(word);
    if has("Authentication") || has("401") {
        "correct the user name and the password in the parameters of the instance"
    } else if has("404") {
        "correct the path in the address: the camera does not know this stream"
    } else if has("Network") {
        "check the address, the cable and the firewall between this machine and the other"
    } else if has("MediaFormat") {
        "choose H.264 or H.265 in the camera's settings"
    } else if has("dropped") {
        "the machine does not keep up: lower the frame rate of the extension, or use fewer cameras"
    } else if has("Storage") {
        "check the disk and the rights of its directory"
    } else {
        "see the log of the module"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_is_away_or_lost_events_is_a_problem_with_a_remedy() {
        let good = EventReceiver {
            name: "hub".to_owned(),
            connected: true,
            waiting: 3,
            bytes: 600,
            delivered: 9,
            dropped: 0,
        };
        let mut problems = Problems::default();
        note_receiver(&good, &mut problems);
        assert!(problems.0.is_empty(), "{:?}", problems.0);
        let away = EventReceiver {
            connected: false,
            dropped: 2,
            ..good
        };
        note_receiver(&away, &mut problems);
        let found: Vec<_> = problems
            .0
            .iter()
            .map(|problem| (&problem["severity"], &problem["text"]))
            .collect();
        let expected = [
            ("error", "no connection; 3 events wait"),
            ("warning", "2 events were dropped"),
        ];
        assert_eq!(
            found,
            expected
                .map(|(severity, text)| (json!(severity), json!(text)))
                .each_ref()
                .map(|(a, b)| (a, b))
        );
    }
}

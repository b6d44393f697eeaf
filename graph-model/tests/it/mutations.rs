//! Documents with mistakes: nothing panics, and no document takes long. Two thousand of them; in a release build twenty
//! thousand.
//!
//! `MUTATIONS=n` changes how many. `cargo test --release -p lva-graph-model --test it mutations` prints on standard error how
//! long the worst took.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::exercise::exercise;
use crate::mutate::{Chance, large, mutate_bytes, mutate_structure};
use crate::support::{plaza, plaza_instance, street};

/// In an unoptimised build a document may take this long; a release build takes far less.
const MOST: Duration = Duration::from_secs(10);

/// The time that this thread has had on a processor, which is what a document costs however busy the machine is. Linux
/// measures it; elsewhere the elapsed time is used.
pub(crate) fn spent(since: Instant) -> Duration {
    let had = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let had = had.and_then(|text| text.split_whitespace().next()?.parse().ok());
    had.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

/// One document in so many is large.
const LARGE_EVERY: u64 = 400;

fn seeds() -> Vec<Value> {
    let operations = json!({"apiVersion": "1.0", "operations": [
        {"opName": "GraphTopologySet", "opParams": {"topologyFile": "a.json"}},
        {"opName": "GraphInstanceSet", "opParams": plaza_instance().to_value()},
        {"opName": "WaitForInput", "opParams": {"message": "m"}},
    ]});
    let template = include_str!("deployment/deployment.street.template.json");
    let topology = include_str!("../../../examples/documents/topology.json");
    vec![
        plaza(),
        street(),
        crate::custom::document(),
        serde_json::from_str(topology).unwrap(),
        plaza_instance().to_value().clone(),
        operations,
        serde_json::from_str(template).unwrap(),
    ]
}

/// The most memory that this process has had, in KiB, as Linux reports it.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn mutated_documents_are_judged_within_bounds() {
    let usual = if cfg!(debug_assertions) { 2_000 } else { 20_000_u64 };
    let wanted = std::env::var("MUTATIONS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(usual);
    let instance = plaza_instance();
    let seeds = seeds();
    let texts: Vec<String> = seeds.iter().map(Value::to_string).collect();
    let (mut worst, mut worst_small) = ((Duration::ZERO, 0, 0), (Duration::ZERO, 0, 0));
    let started = Instant::now();
    for i in 0..wanted {
        let chance = &mut Chance::new(i);
        let seed = chance.below(seeds.len());
        let is_large = i % LARGE_EVERY == 0;
        let bytes = match i % 2 {
            _ if is_large => large(chance).to_string().into_bytes(),
            0 => mutate_bytes(&texts[seed], chance),
            _ => mutate_structure(&seeds[seed], chance).to_string().into_bytes(),
        };
        let begun = spent(started);
        exercise(&bytes, &instance);
        let took = (spent(started).saturating_sub(begun), i, bytes.len());
        worst = worst.max(took);
        if !is_large {
            worst_small = worst_small.max(took);
        }
        assert!(
            took.0 < MOST,
            "document {i} of {} bytes took {:?}",
            bytes.len(),
            took.0
        );
    }
    let mut stderr = std::io::stderr();
    writeln!(
        stderr,
        "{wanted} documents in {:.1?} of processor time; the worst took {:.1?} (number {}, {} bytes), of those that are not large on \
         purpose {:.2?} (number {}, {} bytes); peak memory {} MiB",
        spent(started),
        worst.0,
        worst.1,
        worst.2,
        worst_small.0,
        worst_small.1,
        worst_small.2,
        peak_kib().unwrap_or_default() / 1024,
    )
    .unwrap();
}

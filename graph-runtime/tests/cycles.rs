//! An instance that is activated and deactivated again and again leaves nothing behind: no memory, descriptors, threads or
//! entries in `/dev/shm`. In a process of its own, since it counts the process's.
#![allow(clippy::unwrap_used)] // clippy does not count helpers of tests as tests

#[allow(dead_code)] // what the other tests need
#[path = "it/support.rs"]
mod support;

use std::fs;
use std::time::Duration;

use lva_graph_runtime::{Module, RuntimeOptions};
use support::*;

/// Cycles before the first look: caches fill, threads of pools are started.
const WARM_UP: usize = 20;
/// What the resident memory may grow by: allocators keep what was freed in pieces.
const RESIDENT_KIB: u64 = 12 << 10;
/// How long pools keep threads that have nothing to do, and servers connections that were closed.
const SETTLE: Duration = Duration::from_secs(60);

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    resident_kib: u64,
    descriptors: usize,
    threads: usize,
    shared_memory: usize,
}

impl Held {
    fn now() -> Self {
        let count = |directory: &str| fs::read_dir(directory).unwrap().count();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let own = format!("-{}-", std::process::id());
        let shared = fs::read_dir("/dev/shm").unwrap();
        let shared = shared.filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains(&own)
        });
        Self {
            resident_kib: resident.split_whitespace().nth(1).unwrap().parse().unwrap(),
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            shared_memory: shared.count(),
        }
    }

    /// As soon as no more is held than at another time, but for memory; in the end, whatever is held.
    async fn settled(at_most: Option<Self>) -> Self {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let mut looks = SETTLE.as_millis() / 100;
        loop {
            ticks.tick().await;
            looks -= 1;
            let held = Self::now();
            let settled = at_most.is_some_and(|most| {
                held.descriptors <= most.descriptors
                    && held.threads <= most.threads
                    && held.shared_memory <= most.shared_memory
            });
            if settled || looks == 0 {
                return held;
            }
        }
    }
}

async fn cycles(count: usize) {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let simulator = camera(directory.path(), None).await;
    let server = Server::start(Script::every(2), 0).await;
    let module = Module::new(
        RuntimeOptions::new(directory.path().join("recordings")),
        Vec::new(),
    );
    must(&module, "GraphTopologySet", topology(vec![], vec![])).await;
    let instance = instance(&simulator.url("clip.mp4"), server.port);
    must(&module, "GraphInstanceSet", instance).await;
    let nothing_runs = Held::now();
    let mut warm = None;
    for cycle in 0..WARM_UP + count {
        if cycle == WARM_UP {
            warm = Some(Held::now());
            eprintln!("after {WARM_UP} cycles: {:?}", Held::now());
        } else if cycle % 100 == WARM_UP {
            eprintln!("after {cycle} cycles: {:?}", Held::now());
        }
        must(&module, "GraphInstanceActivate", by_name("Sample-Graph-1")).await;
        // While it connects, while it analyses, while it records.
        match cycle % 3 {
            0 => {}
            1 => {
                until(&module, |stats| {
                    stats.extensions["computerVisionExtension"].answered >= 1
                })
                .await;
            }
            _ => {
                until(&module, |stats| {
                    !stats.events.is_empty() && stats.frame_to_event.count >= 1
                })
                .await;
            }
        }
        must(&module, "GraphInstanceDeactivate", by_name("Sample-Graph-1")).await;
    }
    let warm = warm.unwrap();
    let held = Held::settled(Some(nothing_runs)).await;
    eprintln!("nothing runs: {nothing_runs:?}\nin the end:   {held:?}");
    assert_eq!(held.shared_memory, 0);
    assert!(
        held.descriptors <= nothing_runs.descriptors,
        "{held:?}, {nothing_runs:?}"
    );
    assert!(held.threads <= nothing_runs.threads, "{held:?}, {nothing_runs:?}");
    assert!(
        held.resident_kib <= warm.resident_kib + RESIDENT_KIB,
        "{held:?}, {warm:?}"
    );
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_activations_leave_nothing_behind() {
    cycles(60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn a_thousand_activations_leave_nothing_behind() {
    cycles(1000).await;
}

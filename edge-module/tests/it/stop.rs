//! A stop whatever hangs: the hub, the gateway, the edge runtime, the disk.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::UnixListener;

use crate::edge_hub::Seen;
use crate::site::Site;
use crate::support::{Client, Program, activated};

/// What the documents promise, and the time for which the edge runtime is set to wait.
const LIMIT: Duration = Duration::from_secs(30);

/// Ends it by SIGTERM; its exit code.
fn stopped(program: &mut Program) -> Option<i32> {
    let begun = Instant::now();
    program.signal(Signal::TERM);
    let code = program.wait();
    let took = begun.elapsed();
    assert!(took < LIMIT, "{took:?}");
    code
}

async fn disconnected(site: &mut Site) {
    let pick = |seen| (seen == Seen::Disconnect).then_some(());
    site.hub.next("DISCONNECT", pick).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_acknowledges_nothing_is_left_with_disconnect() {
    let mut site = Site::new().await;
    site.hub.set(|behaviour| behaviour.acknowledge = false);
    let mut program = site.started().await;
    activated(&mut Client::of(program.address), "one").await;
    site.event("an event", |_| Some(())).await;
    assert_eq!(stopped(&mut program), Some(0));
    disconnected(&mut site).await;
    // They are the first that the next start sends.
    site.hub.set(|behaviour| behaviour.acknowledge = true);
    let _program = site.start(&[]);
    let is_start = |event: &crate::site::HubEvent| (event.name() == "GraphInstanceStarted").then_some(());
    site.event("the event again", is_start).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_says_nothing_holds_up_no_stop() {
    let site = Site::new().await;
    // The system accepts for it, and nothing answers.
    let (_silent, address) = crate::site::listener().await;
    let mut environment = site.environment();
    for (name, value) in &mut environment {
        if *name == "IOTEDGE_GATEWAYHOSTNAME" {
            *value = address.to_string();
        }
    }
    let mut program = Program::start_with(site.directory.path(), &[], Some(&environment));
    activated(&mut Client::of(program.address), "one").await;
    assert_eq!(stopped(&mut program), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_runtime_that_says_nothing_holds_up_no_stop() {
    let site = Site::new().await;
    let path = site.directory.path().join("silent.sock");
    let _silent = UnixListener::bind(&path).unwrap();
    let mut environment = site.environment();
    for (name, value) in &mut environment {
        if *name == "IOTEDGE_WORKLOADURI" {
            *value = format!("unix://{}", path.display());
        }
    }
    let mut program = Program::start_with(site.directory.path(), &[], Some(&environment));
    activated(&mut Client::of(program.address), "one").await;
    assert_eq!(stopped(&mut program), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_holds_up_no_disconnect_and_is_told_by_the_exit_code() {
    let mut site = Site::new().await;
    let mut program = site.started().await;
    // What the outbox opens next blocks for ever: a pipe without a reader.
    let pipe = site.directory.path().join("lva-edge-data/outbox/cursor.tmp");
    let made = async {
        while !Command::new("mkfifo").arg(&pipe).status().unwrap().success() {
            tokio::task::yield_now().await;
        }
    };
    crate::within("a pipe in the place of a file", made).await;
    activated(&mut Client::of(program.address), "one").await;
    site.event("an event", |_| Some(())).await;
    assert_eq!(stopped(&mut program), Some(1));
    disconnected(&mut site).await;
    program
        .logged("the disk does not take the last events in time")
        .await;
}

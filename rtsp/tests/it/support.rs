//! Clips, cameras and patience.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lva_rtsp::{
    AccessUnit, Camera, CameraError, CameraEvent, CameraOptions, CameraUrl, ReconnectPolicy, StreamInfo,
    Timeouts,
};
use lva_rtsp_simulator::{Simulator, SimulatorOptions};

/// Clips and simulators, shared with the simulator's own tests.
#[path = "../../../rtsp-simulator/tests/it/support.rs"]
mod simulator_support;

pub(crate) use simulator_support::*;

/// A file of the shared data next to the project; `None`, with a note, where it is missing.
pub(crate) fn shared_clip(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LVA_SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let file = root.join("video").join(name);
    if file.exists() {
        return Some(file);
    }
    skip(&format!(
        "no {}; LVA_SHARED_DATA names the directory of shared data",
        file.display()
    ));
    None
}

/// A port without a listener, which no other can take as long as this lives.
pub(crate) struct ClosedPort(tokio::net::TcpSocket);

impl ClosedPort {
    pub(crate) fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(crate) fn url(&self) -> String {
        format!("rtsp://{}/x", self.0.local_addr().unwrap())
    }
}

/// A simulator at an address that was another's, as soon as it is free.
pub(crate) async fn simulator_again(options: &SimulatorOptions) -> Simulator {
    let patience = std::time::Instant::now();
    loop {
        match Simulator::start(options.clone()).await {
            Ok(simulator) => return simulator,
            Err(error) => assert!(patience.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A camera that comes back within 50 to 200 ms.
pub(crate) fn quick(url: &str) -> CameraOptions {
    let reconnect = ReconnectPolicy::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_millis(200));
    CameraOptions::new(CameraUrl::parse(url).unwrap())
        .with_credentials(Some(testuser()))
        .with_reconnect(reconnect)
}

/// A busy machine may lose a datagram of a session over UDP; that all of so many sessions do is our fault.
pub(crate) const MOST_SESSIONS: usize = 10;

/// Time-outs of a camera that no test waits for: whatever waits for one of them misses [`PATIENCE`] first.
pub(crate) fn endless() -> Timeouts {
    let long = Duration::from_secs(3600);
    Timeouts::default().with_stall(long).with_attempt(long)
}

/// Stops a camera that has [`endless`] time-outs, none of which its end may wait for.
pub(crate) async fn closed(camera: Camera, what: &str) {
    let closed = tokio::time::timeout(PATIENCE, camera.close()).await;
    assert!(closed.is_ok(), "{what}: still open after {PATIENCE:?}");
}

pub(crate) fn timeouts(stall_ms: u64, attempt_ms: u64, give_up_ms: Option<u64>) -> Timeouts {
    Timeouts::default()
        .with_stall(Duration::from_millis(stall_ms))
        .with_attempt(Duration::from_millis(attempt_ms))
        .with_give_up(give_up_ms.map(Duration::from_millis))
}

pub(crate) async fn next(camera: &mut Camera) -> CameraEvent {
    let event = tokio::time::timeout(PATIENCE, camera.next()).await;
    event.expect("an event in time").expect("the camera continues")
}

/// What comes until a session is established.
pub(crate) async fn established(camera: &mut Camera) -> (Vec<StreamInfo>, String) {
    loop {
        if let CameraEvent::Established { streams, sdp } = next(camera).await {
            return (streams, sdp);
        }
    }
}

/// The next `count` units of a stream.
pub(crate) async fn units(camera: &mut Camera, stream: usize, count: usize) -> Vec<AccessUnit> {
    let mut units = Vec::new();
    while units.len() < count {
        match next(camera).await {
            CameraEvent::Unit(unit) if unit.stream == stream => units.push(unit),
            CameraEvent::Lost { error } => panic!("lost: {error}"),
            _ => {}
        }
    }
    units
}

/// Why the next attempt or session failed.
pub(crate) async fn lost(camera: &mut Camera) -> CameraError {
    loop {
        if let CameraEvent::Lost { error } = next(camera).await {
            return error;
        }
    }
}

/// Open descriptors of this process.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count())
}

/// Waits, within reason, until something holds that other tasks bring about.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let patience = std::time::Instant::now();
    while !holds() {
        assert!(patience.elapsed() < PATIENCE, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

//! `lva-edge simulator` and an RTSP client.

use lva_rtsp::{Camera, CameraEvent, CameraOptions, CameraUrl};

use crate::ended::run;
use crate::process::Process;
use crate::within;

const MEDIA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/media");

// The clients' connections go on while the test waits for lines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_plays_the_files_of_the_directory_until_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let mut simulator = Process::start(
        directory.path(),
        &["simulator", MEDIA, "--port", "0", "--auth", "viewer:geheim-17"],
    );
    let address = simulator.after("camera: rtsp://");
    assert!(address.ends_with("/media/plaza.mp4"), "{address}");
    let (url, credentials) =
        CameraUrl::parse_with_credentials(&format!("rtsp://viewer:geheim-17@{address}")).unwrap();
    let mut camera = Camera::connect(CameraOptions::new(url).with_credentials(credentials));
    within("a keyframe", async {
        loop {
            match camera.next().await.expect("the camera plays") {
                CameraEvent::Unit(unit) if unit.keyframe => break,
                _ => {}
            }
        }
    })
    .await;
    camera.close().await;
    let (code, log) = simulator.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("sessions played: 1"), "{log}");
    assert!(!log.contains("geheim-17"), "{log}");
}

#[test]
fn what_cannot_be_served_is_named_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let failed = |args: &[&str], expected: &str| {
        let (code, _, error) = run(directory.path(), &[&["simulator", "--port", "0"], args].concat());
        assert!(code == Some(2) && error.contains(expected), "{error}");
    };
    failed(&["nowhere"], "check that it exists");
    failed(&["--loss", "7"], "from 0 to 1");
    failed(&["--bind", "203.0.113.1"], "an address of this machine");
    failed(&["--auth", "geheim-17"], "USER:PASSWORD");
}

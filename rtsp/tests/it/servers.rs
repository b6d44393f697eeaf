//! The client against servers of other projects: GStreamer's, and VLC's.

use std::io::Write;
use std::process::Stdio;

use lva_rtsp::{Camera, CameraEvent, CameraOptions, ClientTls, ClockSource, Codec, Transport};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{PATIENCE, established, lost, made_clip, next, quick, skip, testuser, units};

/// A running GStreamer server. It ends with its standard input.
struct Server {
    _child: Child,
    port: u16,
}

/// `None`, with a note, where GStreamer or Python is missing.
async fn gstreamer(scheme: &str, certificate: Option<&std::path::Path>) -> Option<Server> {
    // Not that of a virtual environment: Debian's bindings belong to Debian's Python.
    let child = Command::new("/usr/bin/python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/gst_server.py"))
        .arg(scheme)
        .args(certificate)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            skip(&format!("python3 cannot be run: {error}"));
            return None;
        }
    };
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    tokio::time::timeout(PATIENCE, output.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    let Ok(port) = line.trim().parse() else {
        let output = child.wait_with_output().await.unwrap();
        skip(&format!(
            "no GStreamer RTSP server: {}",
            String::from_utf8_lossy(&output.stderr)
                .lines()
                .last()
                .unwrap_or_default()
        ));
        return None;
    };
    Some(Server { _child: child, port })
}

/// A certificate for 127.0.0.1 in a file, with its key, and the certificate alone.
fn certificate() -> (tempfile::NamedTempFile, String) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let mut file = tempfile::Builder::new().suffix(".pem").tempfile().unwrap();
    write!(file, "{}{}", made.cert.pem(), made.signing_key.serialize_pem()).unwrap();
    (file, made.cert.pem())
}

fn options(server: &Server, scheme: &str, path: &str, transport: Transport) -> CameraOptions {
    quick(&format!("{scheme}://127.0.0.1:{}/{path}", server.port)).with_transport(transport)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gstreamers_server_is_played_on_every_way_or_skips() {
    let (pem, trusted) = certificate();
    let tls = ClientTls::from_pem([&trusted]).unwrap();
    for (scheme, secured, transports) in [
        (
            "digest",
            false,
            &[Transport::Tcp, Transport::Udp, Transport::Http][..],
        ),
        ("basic", false, &[Transport::Tcp, Transport::Http]),
        ("none", false, &[Transport::Tcp]),
        ("digest", true, &[Transport::Tcp, Transport::Http]),
    ] {
        let Some(server) = gstreamer(scheme, secured.then(|| pem.path())).await else {
            return;
        };
        for transport in transports {
            let protocol = if secured { "rtsps" } else { "rtsp" };
            let options =
                options(&server, protocol, "h264", *transport).with_tls(secured.then(|| tls.clone()));
            let mut camera = Camera::connect(options);
            let what = format!("{scheme} {protocol} {transport}");
            let (streams, _) = tokio::time::timeout(PATIENCE, async {
                loop {
                    match next(&mut camera).await {
                        CameraEvent::Established { streams, sdp } => break (streams, sdp),
                        CameraEvent::Lost { error } => panic!("{what}: {error}"),
                        _ => {}
                    }
                }
            })
            .await
            .unwrap();
            assert_eq!(
                (streams[0].codec, streams[0].playing),
                (Codec::H264, true),
                "{what}"
            );
            assert_eq!(
                (streams[1].codec, streams[1].playing),
                (Codec::PcmAlaw, true),
                "{what}"
            );
            let (mut pictures, mut audio) = (Vec::new(), 0);
            // The first report may come five seconds after PLAY; datagrams with it may be lost.
            let by_the_camera = |unit: &lva_rtsp::AccessUnit| unit.clock == ClockSource::SenderReport;
            while pictures.len() < 45
                || audio < 10
                || (*transport != Transport::Udp
                    && pictures.len() < 400
                    && !pictures.iter().any(by_the_camera))
            {
                match next(&mut camera).await {
                    CameraEvent::Unit(unit) if unit.stream == 0 => pictures.push(unit),
                    CameraEvent::Unit(_) => audio += 1,
                    CameraEvent::StreamChanged(stream) => assert_eq!(stream.size, Some((320, 240))),
                    other => panic!("{what}: {other:?}"),
                }
            }
            assert!(
                pictures[0].keyframe
                    && pictures
                        .windows(2)
                        .all(|w| w[0].timestamp_90k < w[1].timestamp_90k)
            );
            assert!(
                pictures.iter().any(by_the_camera) || *transport == Transport::Udp,
                "{what}"
            );
            camera.close().await;
        }
        if scheme != "none" && !secured {
            let wrong = options(&server, "rtsp", "h264", Transport::Tcp)
                .with_credentials(Some(lva_rtsp::Credentials::new("testuser", "geheim")));
            assert_eq!(
                lost(&mut Camera::connect(wrong)).await.status_code(),
                Some(401),
                "{scheme}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h265_and_jpeg_of_gstreamers_server_are_played_or_skips() {
    let Some(server) = gstreamer("digest", None).await else {
        return;
    };
    for (path, codec) in [("h265", Codec::H265), ("jpeg", Codec::Jpeg)] {
        let mut camera = Camera::connect(options(&server, "rtsp", path, Transport::Tcp));
        let error = loop {
            match next(&mut camera).await {
                CameraEvent::Established { streams, .. } => {
                    assert_eq!((streams[0].codec, streams[0].playing), (codec, true));
                    break None;
                }
                CameraEvent::Lost { error } => break Some(error),
                _ => {}
            }
        };
        if let Some(error) = error {
            // The encoders are in packages of their own.
            assert_eq!(error.status_code(), Some(503), "{error}");
            skip(&format!("{path}: {error}"));
            continue;
        }
        let units = units(&mut camera, 0, 20).await;
        if codec == Codec::Jpeg {
            assert!(
                units
                    .iter()
                    .all(|unit| unit.keyframe && unit.data.starts_with(&[0xff, 0xd8]))
            );
        }
    }
}

/// Whether this process can switch to another user: VLC refuses to run as root.
fn as_nobody() -> Command {
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "env",
        "HOME=/tmp",
        "cvlc",
    ]);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vlcs_server_is_played_or_skips() {
    use std::os::unix::fs::PermissionsExt;
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let child = as_nobody()
        .args(["-I", "dummy", "--no-audio", "--loop", "--rtsp-host=127.0.0.1"])
        .arg(directory.path().join("clip.mp4"))
        .arg(format!("--sout=#rtp{{sdp=rtsp://127.0.0.1:{port}/clip}}"))
        .args(["--sout-keep", "--sout-all"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let _child = match child {
        Ok(child) => child,
        Err(error) => return skip(&format!("setpriv cannot be run: {error}")),
    };
    let found = tokio::task::spawn_blocking(|| {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|p| p.join("cvlc").exists()))
    });
    if !found.await.unwrap() {
        return skip("cvlc is not installed");
    }
    let url = format!("rtsp://127.0.0.1:{port}/clip");
    let options = quick(&url).with_credentials(Some(testuser()));
    // It offers UDP alone, which is found without an option.
    let mut camera = Camera::connect(options.clone());
    let (streams, _) = tokio::time::timeout(PATIENCE, established(&mut camera))
        .await
        .unwrap();
    assert_eq!(streams[0].codec, Codec::H264);
    let mut whole = 0;
    while whole < 30 {
        if let CameraEvent::Unit(unit) = next(&mut camera).await {
            whole += usize::from(unit.lost_before == 0);
        }
    }
    camera.close().await;
    // It offers UDP alone, and rejects the rest. Between two rounds of the clip it rejects everything.
    let mut camera = Camera::connect(options.with_transport(Transport::Tcp));
    let refused = async { while lost(&mut camera).await.status_code() != Some(461) {} };
    tokio::time::timeout(PATIENCE, refused)
        .await
        .expect("the transport is refused");
}

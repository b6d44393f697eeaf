//! Google's gRPC stack as our peer: `interop/peer.py`, client and server.
//!
//! Needs a Python with grpcio and grpcio-tools, named by `LVA_GRPC_PYTHON`; `make test` makes one.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use async_trait::async_trait;
use lva_extension_protocol::client::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use lva_inference_schema::{Event, Inference, InferenceValue};
use md5::{Digest, Md5};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::support::{next, within};

const FRAMES: u32 = 500;

fn peer(directory: &Path) -> Option<Command> {
    let Some(python) = std::env::var_os("LVA_GRPC_PYTHON") else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: LVA_GRPC_PYTHON names no Python with grpcio (scripts/grpc-python.sh makes one)"
        );
        return None;
    };
    let mut command = Command::new(python);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/peer.py");
    command.arg(script).arg("--directory").arg(directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Some(command)
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A Python server that ends when its input does.
struct PythonServer {
    child: Child,
    url: ExtensionUrl,
}

impl PythonServer {
    fn start(command: Command) -> Self {
        Self::start_with(command, &[])
    }

    fn start_with(mut command: Command, flags: &[&str]) -> Self {
        let mut child = command.arg("server").args(flags).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.parse().unwrap();
        Self { child, url }
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn shared() -> (tempfile::TempDir, SharedMemoryOptions) {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let memory = SharedMemoryOptions::default().with_directory(directory.path());
    (directory, memory)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_server_sees_every_byte_of_500_frames_or_skips() {
    let (directory, memory) = shared();
    let Some(command) = peer(directory.path()) else {
        return;
    };
    let server = PythonServer::start(command);
    for transfer in [Transfer::SharedMemory(memory), Transfer::Embedded] {
        let options = ClientOptions::new(server.url.clone(), interop_format()).with_transfer(transfer);
        send(&options, FRAMES).await;
    }
}

fn interop_format() -> FrameFormat {
    FrameFormat::raw(PixelFormat::Bgr24, 320, 180).unwrap()
}

/// Sends different frames to a server that answers with their digests.
async fn send(options: &ClientOptions, count: u32) {
    let Session {
        frames, mut answers, ..
    } = connect::<(u32, String)>(options).await.unwrap();
    let (mut sent, mut equal) = (0, 0);
    while equal < count {
        while sent < count
            && let Ok(mut slot) = frames.slot()
        {
            let mut state = sent.wrapping_mul(2_654_435_761) | 1;
            slot.fill_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            let digest = md5(&slot);
            slot.send(u64::from(sent) * 3000, &[], (sent, digest)).unwrap();
            sent += 1;
        }
        let answer = next(&mut answers).await;
        let InferenceValue::Event(event) = &answer.inferences[0].value else {
            panic!("no event")
        };
        assert_eq!(
            event.properties["digest"], answer.context.1,
            "frame {}",
            answer.context.0
        );
        equal += 1;
    }
    frames.finish();
    assert!(
        within(answers.next()).await.unwrap().is_none(),
        "the stream ends well"
    );
    let stats = answers.stats();
    assert_eq!((stats.sent, stats.answered), (count.into(), count.into()));
    assert_eq!(stats.zero_acks + stats.unknown_acks + stats.repeated_acks, 0);
}

/// Frames over TLS and Unix sockets, for each way of sending them.
const FEW_FRAMES: u32 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_server_is_reached_over_tls_and_over_a_unix_socket_or_skips() {
    let (directory, memory) = shared();
    let files = tempfile::tempdir().unwrap();
    let (root, identity) = (files.path().join("root.pem"), Identity::new(&["127.0.0.1"]));
    std::fs::write(&root, &identity.root).unwrap();
    let socket = files.path().join("peer.sock").display().to_string();
    let [certificate, key] = identity.write(files.path());
    for flags in [&["--unix", &socket][..], &["--tls", &certificate, &key]] {
        let Some(command) = peer(directory.path()) else {
            return;
        };
        let server = PythonServer::start_with(command, flags);
        for transfer in [Transfer::SharedMemory(memory.clone()), Transfer::Embedded] {
            let mut options =
                ClientOptions::new(server.url.clone(), interop_format()).with_transfer(transfer);
            if server.url.is_tls() {
                options = options.with_tls(TrustedRoots::from_pem([identity.root.clone()]).unwrap());
            }
            send(&options, FEW_FRAMES).await;
        }
    }
}

/// A certificate for these names, and the root that signed it, in PEM.
struct Identity {
    root: String,
    certificate: String,
    key: String,
}

impl Identity {
    fn new(names: &[&str]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL distinguishes it from what it signed by the name alone.
        params
            .distinguished_name
            .push(DnType::CommonName, "Root of the test");
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        Self {
            root: root.pem(),
            certificate: params.signed_by(&key, &root).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes certificate and key, and returns their paths.
    fn write(&self, directory: &Path) -> [String; 2] {
        [("certificate.pem", &self.certificate), ("key.pem", &self.key)].map(|(name, pem)| {
            let path = directory.join(name);
            std::fs::write(&path, pem).unwrap();
            path.display().to_string()
        })
    }
}

struct Digests;

#[async_trait]
impl Extension for Digests {
    async fn open(&self, _: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl ExtensionSession for Digests {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        let digest = md5(sample.data());
        Ok(vec![Inference::new(
            Event::new("seen").with_property("digest", digest),
        )])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_of_a_python_clients_500_frames_is_seen_or_skips() {
    let (directory, _) = shared();
    if peer(directory.path()).is_none() {
        return;
    }
    for trust in [Trust::Untrusted, Trust::Peer] {
        let options = ServerOptions::default()
            .with_trust(trust)
            .with_shared_memory_directory(directory.path());
        let listening = ExtensionServer::new(Digests)
            .with_options(options)
            .listen(ListenAddress::loopback(0))
            .await
            .unwrap();
        let (url, stats) = (listening.url().to_string(), listening.stats());
        let serving = tokio::spawn(listening.serve(std::future::pending()));
        let target = url.trim_start_matches("tcp://").to_owned();
        for mode in ["shared-memory", "embedded"] {
            let command = peer(directory.path()).unwrap();
            receive(command, &["client", &target, "--mode", mode], FRAMES).await;
        }
        let stats = stats.read();
        assert_eq!(
            (stats.samples, stats.answers),
            (2 * u64::from(FRAMES), 2 * u64::from(FRAMES))
        );
        assert_eq!(
            stats.sequence_gaps + stats.sequence_repeats + stats.sessions_failed,
            0
        );
        serving.abort();
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Runs a Python client, which checks every answer.
async fn receive(mut command: Command, flags: &[&str], count: u32) {
    command.args(flags).args(["--frames", &count.to_string()]);
    let output = tokio::task::spawn_blocking(move || command.stderr(Stdio::piped()).output().unwrap());
    let output = within(output).await.unwrap();
    let counts = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{flags:?}: {counts} {error}");
    let expected =
        format!(r#"{{"frames": {count}, "answered": {count}, "equal": {count}, "violations": 0}}"#);
    assert_eq!(counts.trim(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_clients_reach_a_server_over_tls_and_over_its_unix_socket_or_skip() {
    let (directory, _) = shared();
    let files = tempfile::tempdir().unwrap();
    let (root, identity) = (files.path().join("root.pem"), Identity::new(&["127.0.0.1"]));
    std::fs::write(&root, &identity.root).unwrap();
    let socket = files.path().join("extension.sock");
    let tls = ServerTls::from_pem(identity.certificate.clone(), identity.key.clone()).unwrap();
    for address in [ListenAddress::Unix(socket.clone()), ListenAddress::loopback(0)] {
        if peer(directory.path()).is_none() {
            return;
        }
        let mut options = ServerOptions::default().with_shared_memory_directory(directory.path());
        let over_tls = !matches!(address, ListenAddress::Unix(_));
        if over_tls {
            options = options.with_tls(tls.clone());
        }
        let server = ExtensionServer::new(Digests).with_options(options);
        let listening = server.listen(address).await.unwrap();
        let target = listening.url().to_string().replace("tls://", "");
        let serving = tokio::spawn(listening.serve(std::future::pending()));
        for mode in ["shared-memory", "embedded"] {
            let mut flags = vec!["client", &target, "--mode", mode];
            let trust = root.display().to_string();
            if over_tls {
                flags.extend(["--trust", &trust]);
            }
            receive(peer(directory.path()).unwrap(), &flags, FEW_FRAMES).await;
        }
        serving.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_stream_to_a_python_server_gets_nothing_and_the_error_says_so_or_skips() {
    let (directory, memory) = shared();
    let Some(command) = peer(directory.path()) else {
        return;
    };
    let server = PythonServer::start(command);
    let format = FrameFormat::raw(PixelFormat::Bgr24, 64, 48).unwrap();
    let options =
        ClientOptions::new(server.url.clone(), format).with_transfer(Transfer::SharedMemory(memory));
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(connect::<()>(&options).await.unwrap());
    }
    let hasty = options.with_handshake_timeout(std::time::Duration::from_millis(300));
    let error = connect::<()>(&hasty).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::HandshakeTimeout { .. }),
        "{error:?}"
    );
    open[0].frames.slot().unwrap().send(1, &[], ()).unwrap();
    open[0].frames.finish();
    next(&mut open[0].answers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_python_server_says_of_a_missing_file_is_shown_with_a_hint_or_skips() {
    let (directory, _) = shared();
    let elsewhere = PathBuf::from("/dev/shm");
    let Some(command) = peer(directory.path()) else {
        return;
    };
    let server = PythonServer::start(command);
    let format = FrameFormat::raw(PixelFormat::Bgr24, 64, 48).unwrap();
    let memory = SharedMemoryOptions::default().with_directory(elsewhere);
    let options =
        ClientOptions::new(server.url.clone(), format).with_transfer(Transfer::SharedMemory(memory));
    let error = connect::<()>(&options).await.unwrap_err().to_string();
    assert!(
        error.contains("No such file") && error.contains("IpcMode"),
        "{error}"
    );
}

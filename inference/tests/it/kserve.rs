//! A foreign server of the Open Inference Protocol: Seldon's MLServer, with a runtime of a page that runs ONNX files.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lva_inference::{
    Detector, Device, KserveAddress, KserveDetector, KserveError, KserveOptions, LoadError, ModelFamily,
    ModelOverrides, ServedModel,
};

/// MLServer imports a hundred packages first.
const START: Duration = Duration::from_secs(180);

/// A server with models, ended when it is dropped.
pub(crate) struct MlServer {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Drop for MlServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl MlServer {
    /// Serves these models by name, or `None` after a note: `LVA_MLSERVER_PYTHON` names a Python with `mlserver` and `onnxruntime`.
    pub(crate) fn start(models: &[(String, Vec<u8>)]) -> Option<Self> {
        use std::io::Write as _;

        let Some(python) = std::env::var_os("LVA_MLSERVER_PYTHON").filter(|python| !python.is_empty()) else {
            let note =
                b"skipped: LVA_MLSERVER_PYTHON names no Python with mlserver (scripts/mlserver-python.sh)\n";
            std::io::stderr().write_all(note).unwrap();
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/onnx_runtime.py");
        fs::copy(runtime, root.join("onnx_runtime.py")).unwrap();
        for (name, bytes) in models {
            let home = root.join(name);
            fs::create_dir(&home).unwrap();
            let file = home.join("model.onnx");
            fs::write(&file, bytes).unwrap();
            let settings = format!(
                r#"{{"name":"{name}","implementation":"onnx_runtime.OnnxModel","parameters":{{"uri":"{}"}}}}"#,
                file.display()
            );
            fs::write(home.join("model-settings.json"), settings).unwrap();
        }
        let [http, grpc, metrics] = free_ports();
        let settings = format!(
            r#"{{"host":"127.0.0.1","http_port":{http},"grpc_port":{grpc},"metrics_port":{metrics},"parallel_workers":0}}"#
        );
        fs::write(root.join("settings.json"), settings).unwrap();
        let log = fs::File::create(root.join("log")).unwrap();
        let process = Command::new(&python)
            .args(["-m", "mlserver.cli.main", "start"])
            .arg(root)
            .env("PYTHONPATH", root)
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self {
            process,
            port: grpc,
            _directory: directory,
        };
        server.wait_until_ready(models);
        Some(server)
    }

    fn wait_until_ready(&mut self, models: &[(String, Vec<u8>)]) {
        let end = Instant::now() + START;
        for (name, _) in models {
            while let Err(error) = self.model(name) {
                let log = || fs::read_to_string(self._directory.path().join("log")).unwrap_or_default();
                assert!(
                    self.process.try_wait().unwrap().is_none() && Instant::now() < end,
                    "MLServer does not serve '{name}': {error}\n{}",
                    log()
                );
                // Between two looks, not instead of them.
                std::thread::park_timeout(Duration::from_millis(100));
            }
        }
    }

    pub(crate) fn model(&self, name: &str) -> Result<ServedModel, KserveError> {
        let address: KserveAddress = format!("grpc://127.0.0.1:{}/{name}", self.port).parse().unwrap();
        ServedModel::connect(address, &KserveOptions::default())
    }
}

/// Ports that are free at the moment.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// The detector of a family's network, recognised from what the server reports where that is possible.
pub(crate) fn of_family(server: &MlServer, family: ModelFamily) -> Result<KserveDetector, String> {
    let model = server.model(family.as_str()).map_err(|error| error.to_string())?;
    let mut overrides = ModelOverrides::default();
    // A server does not report operators.
    overrides.family = (family == ModelFamily::YoloXDecoded).then_some(family);
    let recognition = model.recognise(&overrides).map_err(|error| error.to_string())?;
    if recognition.spec().family() != family {
        return Err(format!("{family} is taken for {recognition}"));
    }
    KserveDetector::load(model, recognition.into_spec()).map_err(|error| error.to_string())
}

#[test]
fn nobody_at_the_address_is_an_error_with_the_address() {
    let [free, ..] = free_ports();
    let address: KserveAddress = format!("grpc://127.0.0.1:{free}/yolox").parse().unwrap();
    let error = ServedModel::connect(address.clone(), &KserveOptions::default()).unwrap_err();
    assert!(matches!(error, KserveError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_server_that_says_nothing_is_late() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let address: KserveAddress = format!("grpc://127.0.0.1:{port}/yolox").parse().unwrap();
    let options = KserveOptions::default().with_timeout(Duration::from_millis(200));
    let error = ServedModel::connect(address, &options).unwrap_err();
    assert!(matches!(error, KserveError::Late { .. }), "{error:?}");
}

#[cfg(feature = "rten")]
#[test]
fn mlserver_finds_the_people_that_rten_finds_or_skips() {
    use crate::support::{Clip, shared_data};
    use lva_inference::{Frame, ModelSpec, RtenDetector, RtenOptions};

    let Some(model) = shared_data("models/FastestDet.onnx") else {
        return;
    };
    let Some(server) = MlServer::start(&[("fastest".to_owned(), read(&model))]) else {
        return;
    };
    let absent = server.model("slowest").unwrap_err();
    assert!(matches!(absent, KserveError::NoModel { .. }), "{absent:?}");

    let served = server.model("fastest").unwrap();
    let recognition = served.recognise(&ModelOverrides::default()).unwrap();
    assert_eq!(
        recognition.spec().family(),
        ModelFamily::FastestDet,
        "{recognition}"
    );
    let other_family = ModelSpec::of_family(ModelFamily::RtDetr, "fastest", 352, 352);
    let refused = KserveDetector::load(server.model("fastest").unwrap(), other_family).unwrap_err();
    assert!(matches!(refused, LoadError::Outputs { .. }), "{refused:?}");

    let mut there = KserveDetector::load(served, recognition.spec().clone()).unwrap();
    assert_eq!(there.info().device, Device::Server);
    assert!(
        there.info().runtime.starts_with("mlserver "),
        "{}",
        there.info().runtime
    );
    let mut here = RtenDetector::load(&model, recognition.into_spec(), RtenOptions::default()).unwrap();
    let Some(clip) = Clip::read("video/pedestrians-outdoor.mp4", (480, 360), 100) else {
        return;
    };
    let frames: Vec<_> = clip.frames().map(Frame::Host).collect();
    let (there, here) = (there.detect(&frames).unwrap(), here.detect(&frames).unwrap());
    let people = |found: &[Vec<_>]| found.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(people(&there), people(&here));
    assert!(people(&here).iter().sum::<usize>() > 0);

    // The server goes away while the detector is there.
    let served = server.model("fastest").unwrap();
    let spec = served.recognise(&ModelOverrides::default()).unwrap().into_spec();
    let mut left = KserveDetector::load(served, spec).unwrap();
    drop(server);
    let error = left.detect(&frames[..1]).unwrap_err();
    assert!(error.is_transient(), "{error}");
}

fn read(path: &PathBuf) -> Vec<u8> {
    fs::read(path).unwrap()
}

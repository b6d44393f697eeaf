//! `run-topology` as users run it: however it ends, the last line is the summary, and the exit status agrees with it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::programs::program;

/// An address without a camera.
const NO_CAMERA: &str = "rtspUrl=rtsp://127.0.0.1:9/x";

fn topology(processors: Value, sinks: Value) -> Value {
    json!({
        "@apiVersion": "2.0", "name": "made-up",
        "properties": {
            "parameters": [{"name": "rtspUrl", "type": "String"}],
            "sources": [{
                "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
                "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "${rtspUrl}"},
            }],
            "processors": processors, "sinks": sinks,
        },
    })
}

fn motion() -> Value {
    json!({
        "@type": "#Microsoft.Media.MediaGraphMotionDetectionProcessor", "name": "motion",
        "inputs": [{"nodeName": "camera"}],
    })
}

fn hub(from: &str) -> Value {
    json!({
        "@type": "#Microsoft.Media.MediaGraphIoTHubMessageSink", "name": "hub", "hubOutputName": "out",
        "inputs": [{"nodeName": from}],
    })
}

fn files(from: &str) -> Value {
    json!({
        "@type": "#Microsoft.Media.MediaGraphFileSink", "name": "files", "baseDirectoryPath": "/clips",
        "fileNamePattern": "clip-${System.DateTime}", "maximumSizeMiB": "512", "inputs": [{"nodeName": from}],
    })
}

struct Run {
    child: Child,
    _directory: tempfile::TempDir,
}

struct Ended {
    status: Option<i32>,
    last: Value,
    log: String,
}

impl Run {
    fn start(document: &Value, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("topology.json");
        std::fs::File::create(&file)
            .unwrap()
            .write_all(document.to_string().as_bytes())
            .unwrap();
        let child = program("run-topology")
            .arg(&file)
            .arg("--recordings")
            .arg(directory.path().join("recordings"))
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            _directory: directory,
        }
    }

    /// Presses Ctrl-C after the first line.
    fn interrupted(mut self) -> Ended {
        let mut stdout = BufReader::new(self.child.stdout.take().unwrap());
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        // The shell's own: not every machine has the program.
        let press = format!("kill -INT {}", self.child.id());
        let pressed = Command::new("sh").args(["-c", &press]).status().unwrap();
        assert!(pressed.success());
        let rest = stdout.lines().map_while(Result::ok).last();
        self.end(rest.unwrap_or(first))
    }

    fn ended(mut self) -> Ended {
        let stdout = BufReader::new(self.child.stdout.take().unwrap());
        let last = stdout.lines().map_while(Result::ok).last();
        self.end(last.unwrap_or_default())
    }

    fn end(self, last: String) -> Ended {
        let output = self.child.wait_with_output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let read = serde_json::from_str(&last);
        Ended {
            status: output.status.code(),
            last: read.unwrap_or_else(|error| panic!("{error}: {last}\n{log}")),
            log,
        }
    }
}

impl Ended {
    /// The last line is a complete summary of a failed run.
    fn failed(&self) -> &Value {
        let Self { last, log, .. } = self;
        assert_eq!(last["topology"], "made-up", "{last}\n{log}");
        assert_eq!(last["generation"], "Live Video Analytics 2.0");
        for member in ["frames", "dropped", "events"] {
            assert!(last[member].is_object(), "{member}: {last}");
        }
        assert!(last["recordings"].is_array());
        assert_eq!(last["ok"], false, "{last}");
        assert_eq!(self.status, Some(1), "{log}");
        last
    }

    fn failed_with(&self, why: &str) {
        let last = self.failed();
        let error = last["error"].as_str().unwrap_or_default();
        assert!(error.contains(why), "{last}");
        assert!(self.log.contains(why), "{}", self.log);
    }
}

#[test]
fn a_camera_that_does_not_answer_is_summed_up() {
    let document = topology(json!([motion()]), json!([hub("motion")]));
    let ended = Run::start(
        &document,
        &["--param", NO_CAMERA, "--seconds", "5", "--patience", "1"],
    )
    .ended();
    ended.failed_with("no session with the camera within 1 s");
    let missing = &ended.last["missing"];
    assert_eq!(missing[0], "no frames from the camera", "{missing}");
    assert_eq!(
        missing[1], "'hub' received no messages from 'motion'",
        "{missing}"
    );
}

#[test]
fn ctrl_c_is_summed_up() {
    let document = topology(json!([motion()]), json!([hub("motion")]));
    let ended = Run::start(&document, &["--param", NO_CAMERA]).interrupted();
    let last = ended.failed();
    assert_eq!(last["missing"][0], "no frames from the camera", "{last}");
}

#[test]
fn a_parameter_without_a_value_is_summed_up() {
    let document = topology(json!([motion()]), json!([hub("motion")]));
    Run::start(&document, &[])
        .ended()
        .failed_with("--param rtspUrl=VALUE");
}

#[test]
fn a_broken_topology_is_summed_up() {
    let document = topology(json!([motion()]), json!([hub("absent")]));
    Run::start(&document, &["--param", NO_CAMERA])
        .ended()
        .failed_with("absent");
}

#[test]
fn a_document_that_is_not_a_topology_is_summed_up() {
    let ended = Run::start(&json!(["not a topology"]), &[]).ended();
    assert_eq!((ended.status, &ended.last["ok"]), (Some(1), &json!(false)));
    assert_eq!(ended.last["generation"], Value::Null);
    let error = ended.last["error"].as_str().unwrap();
    assert!(
        error.contains("topology.json") && ended.log.contains(error),
        "{error}"
    );
}

#[test]
fn a_topology_that_is_refused_at_activation_is_summed_up() {
    let document = topology(json!([]), json!([files("camera")]));
    let refused = Run::start(&document, &["--param", NO_CAMERA]).ended();
    refused.failed_with("a continuous recording into one file would grow without limit");
}

#[test]
fn events_that_cannot_be_written_are_summed_up() {
    let document = topology(json!([motion()]), json!([hub("motion")]));
    let flags = ["--param", NO_CAMERA, "--events", "/nowhere/events.jsonl"];
    Run::start(&document, &flags)
        .ended()
        .failed_with("cannot write /nowhere/events.jsonl");
}

#[test]
fn a_simulated_run_is_complete_and_its_summary_has_these_members() {
    let gate = json!({
        "@type": "#Microsoft.Media.MediaGraphSignalGateProcessor", "name": "gate",
        "minimumActivationTime": "PT3S", "maximumActivationTime": "PT3S",
        "inputs": [{"nodeName": "motion"}, {"nodeName": "camera"}],
    });
    let document = topology(json!([motion(), gate]), json!([hub("motion"), files("gate")]));
    let ended = Run::start(&document, &["--simulate", "--seconds", "12"]).ended();
    let last = &ended.last;
    assert_eq!(last["ok"], true, "{last}\n{}", ended.log);
    assert_eq!(ended.status, Some(0));
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut all = members(last);
    all.retain(|member| member != "dropped_by_node");
    all.sort();
    let promised = [
        "dropped",
        "events",
        "frames",
        "generation",
        "ok",
        "recordings",
        "topology",
    ];
    assert_eq!(all, promised);
    let recordings = last["recordings"].as_array().unwrap();
    assert!(recordings.len() > 1, "{last}");
    let mut of_a_recording = members(&recordings[0]);
    of_a_recording.sort();
    assert_eq!(of_a_recording, ["first_keyframe", "path", "seconds", "sink"]);
    assert!(Path::new(recordings[0]["path"].as_str().unwrap()).is_absolute());
    assert!(last["events"]["Inference"].as_u64().unwrap() > 0, "{last}");
    assert!(ended.log.contains("10 s: "), "progress: {}", ended.log);
}

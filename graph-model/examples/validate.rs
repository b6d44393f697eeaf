//! Reads a topology, prints every finding with its JSON pointer, and resolves it with the values of an instance.
//!
//! `cargo run -p lva-graph-model --example validate -- topology.json rtspUrl=rtsp://camera/1`
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program

use std::error::Error;
use std::process::ExitCode;

use lva_graph_model::{Diagnostic, Instance, Strictness, Topology, resolve};

/// Returns whether the documents are right.
fn run(path: &str, parameters: &[(&str, &str)]) -> Result<bool, Box<dyn Error>> {
    let topology = Topology::from_slice(&std::fs::read(path)?)?;
    let findings = topology.validate(Strictness::Open);
    print(&findings);
    if findings.iter().any(Diagnostic::is_error) {
        return Ok(false);
    }
    let instance = Instance::new("instance-1", topology.name(), parameters.iter().copied());
    match resolve(&topology, &instance, Strictness::Open) {
        Ok(resolved) => {
            for node in resolved.graph.nodes() {
                println!("{}: {:#?}", node.name, node.kind);
            }
            Ok(true)
        }
        Err(error) => {
            print(&error.findings);
            Ok(false)
        }
    }
}

fn print(findings: &[Diagnostic]) {
    for finding in findings {
        println!("{finding}");
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parameters = arguments.iter().skip(1).map(|argument| argument.split_once('='));
    let (Some(path), Some(parameters)) = (arguments.first(), parameters.collect::<Option<Vec<_>>>()) else {
        eprintln!("usage: validate TOPOLOGY.json [PARAMETER=VALUE ...]");
        return ExitCode::from(2);
    };
    match run(path, &parameters) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

//! `lva-edge operations`: the tutorial's console.
#![allow(clippy::print_stderr)] // a program

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use lva_client_transport::ClientTls;
use lva_edge_module::operations::{Service, ServiceUrl, Settings, TopologyFiles, Transcript, play};
use lva_edge_module::service::Signals;
use lva_graph_model::operations::OperationsFile;
use tokio::sync::oneshot;

use crate::{CANNOT_START, INTERRUPTED};

/// Call the methods of an operations file, one after the other, and print requests and responses.
///
/// The file is that of the tutorials of Live Video Analytics and Video Analyzer:
///
///   {"apiVersion": "2.0", "operations": [
///      {"opName": "GraphTopologySet", "opParams": {"topologyFile": "topology.json"}},
///      {"opName": "WaitForInput", "opParams": {"message": "Press Enter to go on"}},
///      {"opName": "GraphInstanceList", "opParams": {}}]}
///
/// It goes to a module of an IoT hub by appsettings.json, with IoThubConnectionString (of a
/// shared access policy), deviceId and moduleId, or directly to a module by --url. The whole file
/// is checked before the first call. A path of topologyFile is relative to the working directory,
/// else to the operations file; topologyUrl (http or https) comes first.
///
/// WaitForInput waits for Enter on a terminal; with --yes, or where standard input is not a
/// terminal, it goes on at once. Passwords and keys are not printed.
///
/// Examples:
///   lva-edge operations operations.json --url http://127.0.0.1:8580
///   lva-edge operations operations.json --settings appsettings.json
///
/// Exit codes: 0 when all methods succeeded; 1 when one failed (status 400 and above) or had no
/// answer; 2 when the file, the settings or the arguments cannot be used; 130 after Ctrl-C or
/// SIGTERM.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The operations file.
    file: PathBuf,
    /// Address of a module's own server, such as http://127.0.0.1:8580, instead of a hub.
    #[arg(long, conflicts_with = "settings")]
    url: Option<ServiceUrl>,
    /// Settings. Default: appsettings.json in the working directory, else beside the operations file.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Name of the device, with --url.
    #[arg(long, requires = "url", default_value = "device")]
    device: String,
    /// Name of the module, with --url.
    #[arg(long, requires = "url", default_value = "lvaEdge")]
    module: String,
    /// File with the module's token (api-token of its data directory), with --url off loopback.
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
    /// PEM file of certificates to trust, instead of those of this machine.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Do not wait for Enter.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    let prepared = prepare(&args).and_then(|parts| Ok((parts, Signals::listen()?)));
    let ((operations, files, mut service), mut signals) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("lva-edge: {error:#}");
            return ExitCode::from(CANNOT_START);
        }
    };
    let out = io::stdout();
    let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut console = Transcript::new(out, colours);
    let waits = !args.yes && io::stdin().is_terminal();
    let wait = async || match waits {
        true => enter().await,
        false => Ok(()),
    };
    let playing = play(operations.steps, &files, &mut service, &mut console, wait);
    let played = tokio::select! {
        played = playing => played,
        () = signals.received() => {
            eprintln!("lva-edge: interrupted; what was set on the module stays there");
            return ExitCode::from(INTERRUPTED);
        }
    };
    match played {
        Ok(played) if played.failed == 0 => ExitCode::SUCCESS,
        Ok(played) => {
            eprintln!(
                "lva-edge: {} of {} methods failed",
                played.failed, played.answered
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("lva-edge: {error}");
            ExitCode::FAILURE
        }
    }
}

fn prepare(args: &Args) -> anyhow::Result<(OperationsFile, TopologyFiles, Service)> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let operations = OperationsFile::from_slice(&read(&args.file)?)
        .with_context(|| format!("{} cannot be carried out", args.file.display()))?;
    for finding in &operations.findings {
        eprintln!("{}: {finding}", args.file.display());
    }
    let tls = match &args.trust {
        Some(path) => {
            ClientTls::from_pem([read(path)?]).with_context(|| format!("--trust {}", path.display()))?
        }
        None => ClientTls::platform(),
    };
    let service = match &args.url {
        Some(url) => {
            let token = match &args.token_file {
                Some(path) => Some(String::from_utf8_lossy(&read(path)?).trim().to_owned().into()),
                None => None,
            };
            Service::at(url, &args.device, &args.module, token, &tls)?
        }
        None => Service::of(&Settings::from_file(&settings_file(args))?, &tls)?,
    };
    Ok((operations, TopologyFiles::of(&args.file, tls), service))
}

fn settings_file(args: &Args) -> PathBuf {
    const NAME: &str = "appsettings.json";
    let here = PathBuf::from(NAME);
    match &args.settings {
        Some(path) => path.clone(),
        None if here.is_file() => here,
        None => args.file.with_file_name(NAME),
    }
}

/// Waits for Enter, or the end of the input.
async fn enter() -> io::Result<()> {
    let (read, was_read) = oneshot::channel();
    // A thread of its own: reading cannot be interrupted, and one of tokio's threads would keep the program from ending.
    std::thread::Builder::new()
        .name("enter".to_owned())
        .spawn(move || {
            let mut line = String::new();
            let _ = read.send(io::stdin().read_line(&mut line));
        })?;
    match was_read.await {
        Ok(line) => line.map(drop),
        Err(_) => Err(io::Error::other("the reading thread ended")),
    }
}

//! `lva-edge health`: whether a running module is well, by the exit code.
#![allow(clippy::print_stderr)] // a program

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use lva_client_transport::ClientTls;
use lva_client_transport::http::{HttpConnection, HttpLimits};
use lva_edge_module::operations::ServiceUrl;

/// Ask a running module whether it is well. The exit code is the answer: for health checks of container engines, and in
/// images without a shell.
///
/// Asks GET /healthz, or GET /readyz with --ready, of `lva-edge module`.
///
/// Examples:
///   lva-edge health
///   lva-edge health --ready https://127.0.0.1:8580 --trust certificate.pem
///
/// Exit codes: 0 when it is well; 1 when it is not, or does not answer in time.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Address of the module's server.
    #[arg(default_value = "http://127.0.0.1:8580")]
    url: ServiceUrl,
    /// Ask whether it works, not only whether it lives.
    #[arg(long)]
    ready: bool,
    /// Longest wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    timeout: f64,
    /// PEM file of certificates to trust, instead of those of this machine.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    match ask(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lva-edge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn ask(args: &Args) -> anyhow::Result<()> {
    let timeout = Duration::try_from_secs_f64(args.timeout).context("--timeout")?;
    let limits = HttpLimits {
        connect_timeout: timeout,
        exchange_timeout: timeout,
        ..HttpLimits::default()
    };
    let tls = match &args.trust {
        Some(path) => {
            let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            ClientTls::from_pem([pem]).with_context(|| format!("--trust {}", path.display()))?
        }
        None => ClientTls::platform(),
    };
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let address = format!("{}{path}", args.url.origin());
    let mut connection = HttpConnection::new(args.url.origin().clone(), &tls, limits)?;
    let request = Request::get(path).body(Bytes::new())?;
    let answer = connection
        .exchange(request)
        .await
        .with_context(|| address.clone())?;
    ensure!(
        answer.status == StatusCode::OK,
        "{address} answered with status {}",
        answer.status.as_u16()
    );
    Ok(())
}

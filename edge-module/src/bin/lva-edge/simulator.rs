//! `lva-edge simulator`: video files as cameras.
#![allow(clippy::print_stderr)] // a program

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use lva_edge_module::flags::{parse_credentials, read_credentials};
use lva_edge_module::service::{Ready, Signals};
use lva_media_types::Credentials;
use lva_rtsp_simulator::{AuthScheme, Faults, Simulator, SimulatorOptions, SimulatorTls};

use crate::CANNOT_START;
use crate::log_args::LogArgs;

/// Files that are listed at the start.
const LISTED: usize = 20;
/// Files and directories that are looked at for the list, and how deep.
const LOOKED_AT: usize = 10_000;
const DEPTH: usize = 4;

/// Serve the video files below a directory as RTSP cameras, each at rtsp://HOST:PORT/media/FILE,
/// repeated endlessly.
///
/// MP4 and Matroska files with H.264, H.265 and AAC; files that are added later are served too.
/// Clients choose the transport: interleaved TCP, UDP, or an HTTP tunnel on the same port; with
/// --tls the port serves RTSPS and HTTPS instead.
///
/// This is the module rtspsim of the tutorials, whose directory is /live/mediaServer/media and whose
/// port is 554. The flags under "Faults and quirks" make it behave like bad cameras, for tests of
/// what receives them.
///
/// Examples:
///   lva-edge simulator examples/media
///   lva-edge simulator --bind 0.0.0.0 --port 554 /live/mediaServer/media
///   lva-edge simulator videos --auth testuser:testpassword --close-after 15     closes every session after 15 s
///   lva-edge simulator videos --loss 0.01 --seed 7                              one packet in a hundred is missing
///   lva-edge simulator videos --tls --certificate-out camera.pem
/// and then
///   ffplay -rtsp_transport tcp rtsp://127.0.0.1:8554/media/plaza.mp4
///
/// Exit codes: 0 after SIGTERM or Ctrl-C; 2 when the directory, an argument or the address cannot be
/// used; 130 after a second signal.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Directory with video files.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Port; 0 selects a free one, which is logged.
    #[arg(long, default_value_t = 8554)]
    port: u16,
    /// Address. Any other than loopback serves the directory's videos to the network: use --auth-file.
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    bind: IpAddr,
    /// Require this user name and password. Default: none. Other users of the machine can see them in its list of processes.
    #[arg(long, value_parser = parse_credentials, value_name = "USER:PASSWORD", group = "credentials")]
    auth: Option<Credentials>,
    /// File with USER:PASSWORD, instead of --auth.
    #[arg(long, value_parser = read_credentials, value_name = "FILE", group = "credentials")]
    auth_file: Option<Credentials>,
    /// Basic authentication instead of digest.
    #[arg(long, requires = "credentials")]
    basic: bool,
    /// Most concurrent connections; each takes about 100 KiB, and further ones are closed at once.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Serve TLS, with a generated certificate unless one is given.
    #[arg(long)]
    tls: bool,
    /// PEM file with the certificate (the server's own first) for --tls.
    #[arg(long, value_name = "FILE", requires_all = ["key", "tls"])]
    certificate: Option<PathBuf>,
    /// PEM file with its private key.
    #[arg(long, value_name = "FILE", requires_all = ["certificate", "tls"])]
    key: Option<PathBuf>,
    /// File to write the certificate to, for clients to trust.
    #[arg(long, value_name = "FILE", requires = "tls")]
    certificate_out: Option<PathBuf>,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Faults and quirks")]
struct FaultArgs {
    /// Seed that selects the packets of --loss and --reorder.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Share of RTP packets that are dropped, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Share of RTP packets that are sent after the next one, 0 to 1. Only UDP clients expect that.
    #[arg(long, default_value_t = 0.0)]
    reorder: f64,
    /// Close every connection this many seconds after PLAY.
    #[arg(long, value_name = "SECONDS")]
    close_after: Option<f64>,
    /// Send nothing from this many seconds after PLAY, for --stall-for.
    #[arg(long, value_name = "SECONDS")]
    stall_after: Option<f64>,
    /// Seconds that a stall lasts.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    stall_for: f64,
    /// Restart RTP time at another value this many seconds after PLAY.
    #[arg(long, value_name = "SECONDS")]
    reset_timestamps_after: Option<f64>,
    /// Milliseconds by which the clock of sender reports is ahead, or behind if negative.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    clock_offset_ms: i64,
    /// No sender reports.
    #[arg(long)]
    no_reports: bool,
    /// Send parameter sets only with the pictures.
    #[arg(long)]
    in_band: bool,
    /// Describe other parameter sets than those of the pictures.
    #[arg(long)]
    wrong_parameter_sets: bool,
    /// Also offer VP8, Opus and ONVIF metadata.
    #[arg(long)]
    foreign_streams: bool,
    /// No Content-Base in descriptions and no RTP-Info in responses to PLAY.
    #[arg(long)]
    terse: bool,
}

impl FaultArgs {
    fn faults(&self) -> anyhow::Result<Faults> {
        let seconds = |name: &str, value: Option<f64>| {
            value
                .map(|value| Duration::try_from_secs_f64(value).with_context(|| format!("--{name} {value}")))
                .transpose()
        };
        for (name, share) in [("loss", self.loss), ("reorder", self.reorder)] {
            anyhow::ensure!(
                (0.0..=1.0).contains(&share),
                "--{name} {share} is not a share from 0 to 1"
            );
        }
        let stall =
            seconds("stall-after", self.stall_after)?.zip(seconds("stall-for", Some(self.stall_for))?);
        Ok(Faults::default()
            .with_seed(self.seed)
            .with_loss(self.loss)
            .with_reorder(self.reorder)
            .with_close_after(seconds("close-after", self.close_after)?)
            .with_stall(stall)
            .with_timestamp_reset_after(seconds("reset-timestamps-after", self.reset_timestamps_after)?)
            .with_clock_offset_ms(self.clock_offset_ms)
            .with_no_reports(self.no_reports)
            .with_wrong_parameter_sets(self.wrong_parameter_sets)
            .with_foreign_streams(self.foreign_streams)
            .with_no_content_base(self.terse)
            .with_no_rtp_info(self.terse))
    }
}

impl Args {
    fn tls(&self) -> anyhow::Result<Option<SimulatorTls>> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => SimulatorTls::from_pem(&read(certificate)?, &read(key)?)?,
            _ if self.tls => SimulatorTls::self_signed(&["localhost", &self.bind.to_string()])?,
            _ => return Ok(None),
        };
        if let Some(path) = &self.certificate_out {
            std::fs::write(path, tls.certificate_pem())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(Some(tls))
    }

    fn options(&self) -> anyhow::Result<SimulatorOptions> {
        let scheme = match self.basic {
            true => AuthScheme::Basic,
            false => AuthScheme::Digest,
        };
        Ok(SimulatorOptions::new(&self.directory)
            .with_address((self.bind, self.port).into())
            .with_auth_scheme(scheme)
            .with_max_clients(self.clients)
            .with_parameter_sets_in_band(self.faults.in_band)
            .with_tls(self.tls()?)
            .with_faults(self.faults.faults()?)
            .with_credentials(self.auth.clone().or_else(|| self.auth_file.clone())))
    }
}

pub(crate) async fn run(args: Args) -> ExitCode {
    let (simulator, mut signals) = match start(&args).await {
        Ok(started) => started,
        Err(error) => {
            eprintln!("lva-edge: {error:#}");
            return ExitCode::from(CANNOT_START);
        }
    };
    let ready = Ready::notify();
    signals.received().await;
    let stop = async {
        let counters = simulator.counters();
        simulator.shutdown().await;
        tracing::info!(
            "sessions played: {}, refused: {}, pictures: {}, packets dropped: {}",
            counters.plays,
            counters.rejected_credentials,
            counters.units,
            counters.dropped_packets
        );
        true
    };
    ready.stop(&mut signals, stop).await
}

async fn start(args: &Args) -> anyhow::Result<(Simulator, Signals)> {
    args.log.start()?;
    let signals = Signals::listen()?;
    let simulator = Simulator::start(args.options()?).await?;
    tracing::info!("listening: {}", simulator.url("FILE"));
    let files = videos(&args.directory);
    for file in files.iter().take(LISTED) {
        tracing::info!("camera: {}", simulator.url(file));
    }
    match files.len() {
        0 => tracing::warn!(
            "{} has no .mp4, .mkv or .mov file yet; files that are added are served",
            args.directory.display()
        ),
        more if more > LISTED => tracing::info!("and {} more", more - LISTED),
        _ => {}
    }
    Ok((simulator, signals))
}

/// Video files below a directory, relative to it, with `/` as separator; sorted.
fn videos(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(directory.to_owned(), String::new(), 0)];
    let mut left = LOOKED_AT;
    while let Some((directory, prefix, depth)) = open.pop() {
        // What cannot be listed may still be served by its name.
        let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        for entry in entries.take(left) {
            left -= 1;
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            let name = format!("{prefix}{name}");
            if path.is_dir() && depth < DEPTH {
                open.push((path, format!("{name}/"), depth + 1));
            } else if is_video(&path) {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

fn is_video(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        let mut known = ["mp4", "m4v", "mov", "mkv"].iter();
        known.any(|one| extension.eq_ignore_ascii_case(one))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn it_listens_on_loopback_by_default() {
        assert!(
            Flags::try_parse_from(["simulator"])
                .unwrap()
                .args
                .bind
                .is_loopback()
        );
    }

    #[test]
    fn videos_below_the_directory_are_found_by_their_paths() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("night/.hidden")).unwrap();
        for name in [
            "b.mp4",
            "a.MKV",
            "notes.txt",
            "night/c.mov",
            "night/.hidden/d.mp4",
        ] {
            std::fs::write(directory.path().join(name), b"").unwrap();
        }
        assert_eq!(videos(directory.path()), ["a.MKV", "b.mp4", "night/c.mov"]);
        assert!(videos(Path::new("/nonexistent")).is_empty());
    }
}

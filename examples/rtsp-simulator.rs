//! Serves MP4 files as RTSP cameras, with the faults of real cameras.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use lva_rtsp::Credentials;
use lva_rtsp_simulator::{AuthScheme, Faults, Simulator, SimulatorOptions, SimulatorTls};

/// Serve the MP4 files of a directory as RTSP cameras, each at rtsp://HOST:PORT/media/FILE, repeated endlessly.
///
/// H.264, H.265 and AAC in MP4, fragmented or not. Clients choose the transport: interleaved TCP, UDP, or an HTTP tunnel on
/// the same port; with --tls the port serves RTSPS and HTTPS instead. Ctrl-C stops it.
///
/// Examples:
///   rtsp-simulator --port 8554 --media examples/media
///   rtsp-simulator --media examples/media --loss 0.01 --seed 7        one packet in a hundred is missing
///   rtsp-simulator --media examples/media --close-after 15            every session is closed after 15 s
///   rtsp-simulator --media examples/media --tls --certificate-out camera.pem
/// and then
///   ffplay -rtsp_transport http rtsp://testuser:testpassword@127.0.0.1:8554/media/plaza.mp4
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Port; 0 selects a free one, which is printed.
    #[arg(long, default_value_t = 8554)]
    port: u16,
    /// Address. Any other than loopback serves the directory's videos to the network.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Directory with MP4 files.
    #[arg(long)]
    media: PathBuf,
    /// Required user name.
    #[arg(long, default_value = "testuser")]
    user: String,
    /// Required password.
    #[arg(long, default_value = "testpassword")]
    password: String,
    /// Serve without authentication.
    #[arg(long)]
    open: bool,
    /// Basic authentication instead of digest.
    #[arg(long)]
    basic: bool,
    /// Most concurrent connections.
    #[arg(long, default_value_t = 64)]
    clients: usize,

    /// Serve TLS, with a generated certificate unless one is given.
    #[arg(long)]
    tls: bool,
    /// PEM file with the certificate (the server's own first) for --tls.
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// PEM file with its private key.
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
    /// File to write the certificate to, for clients to trust.
    #[arg(long)]
    certificate_out: Option<PathBuf>,

    /// Fault: seed that selects the packets of --loss and --reorder.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Fault: share of RTP packets that are dropped, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Fault: share of RTP packets that are sent after the next one, 0 to 1. Only UDP clients expect that.
    #[arg(long, default_value_t = 0.0)]
    reorder: f64,
    /// Fault: close every connection this many seconds after PLAY.
    #[arg(long)]
    close_after: Option<f64>,
    /// Fault: send nothing from this many seconds after PLAY, for --stall-for.
    #[arg(long)]
    stall_after: Option<f64>,
    /// Seconds that a stall lasts.
    #[arg(long, default_value_t = 60.0)]
    stall_for: f64,
    /// Fault: restart RTP time at another value this many seconds after PLAY.
    #[arg(long)]
    reset_timestamps_after: Option<f64>,
    /// Fault: milliseconds by which the clock of sender reports is ahead, or behind if negative.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    clock_offset_ms: i64,
    /// Fault: no sender reports.
    #[arg(long)]
    no_reports: bool,
    /// Quirk: send parameter sets only with the pictures.
    #[arg(long)]
    in_band: bool,
    /// Fault: describe other parameter sets than those of the pictures.
    #[arg(long)]
    wrong_parameter_sets: bool,
    /// Quirk: also offer VP8, Opus and ONVIF metadata.
    #[arg(long)]
    foreign_streams: bool,
    /// Quirk: no Content-Base in descriptions and no RTP-Info in responses to PLAY.
    #[arg(long)]
    terse: bool,
}

impl Args {
    fn faults(&self) -> anyhow::Result<Faults> {
        let seconds = |name: &str, value: Option<f64>| {
            value
                .map(|value| Duration::try_from_secs_f64(value).with_context(|| format!("--{name} {value}")))
                .transpose()
        };
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
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let scheme = if args.basic {
        AuthScheme::Basic
    } else {
        AuthScheme::Digest
    };
    let options = SimulatorOptions::new(&args.media)
        .with_address((args.bind, args.port).into())
        .with_auth_scheme(scheme)
        .with_max_clients(args.clients)
        .with_parameter_sets_in_band(args.in_band)
        .with_tls(args.tls()?)
        .with_faults(args.faults()?)
        .with_credentials((!args.open).then(|| Credentials::new(args.user, args.password)));
    let simulator = Simulator::start(options).await?;
    eprintln!("listening: {}", simulator.url("FILE"));
    tokio::signal::ctrl_c().await?;
    let counters = simulator.counters();
    simulator.shutdown().await;
    eprintln!(
        "sessions played: {}, refused: {}, pictures: {}, packets dropped: {}",
        counters.plays, counters.rejected_credentials, counters.units, counters.dropped_packets
    );
    Ok(())
}

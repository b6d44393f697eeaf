//! Serves MP4 files as an RTSP camera, with the faults that cameras have.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use lva_rtsp::Credentials;
use lva_rtsp_simulator::{AuthScheme, Faults, Simulator, SimulatorOptions, SimulatorTls};

/// Serve the MP4 files of a folder as RTSP cameras, each at rtsp://HOST:PORT/media/FILE, over and over.
///
/// H.264, H.265 and AAC in MP4, fragmented or not. Clients choose the transport: interleaved in TCP, UDP, or an HTTP tunnel on the
/// same port; with --tls the same port speaks RTSPS and HTTPS instead. Ctrl-C ends it.
///
/// Examples:
///   rtsp-simulator --port 8554 --media examples/media
///   rtsp-simulator --media examples/media --loss 0.01 --seed 7        one packet in a hundred is missing
///   rtsp-simulator --media examples/media --close-after 15            every session dies after 15 s
///   rtsp-simulator --media examples/media --tls --certificate-out camera.pem
/// and then
///   ffplay -rtsp_transport http rtsp://testuser:testpassword@127.0.0.1:8554/media/plaza.mp4
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Port to listen on; 0 takes a free one and says which.
    #[arg(long, default_value_t = 8554)]
    port: u16,
    /// Address to listen on. Anything but loopback shows the folder's videos to the network.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Folder with MP4 files.
    #[arg(long)]
    media: PathBuf,
    /// User name that clients must know.
    #[arg(long, default_value = "testuser")]
    user: String,
    /// The user's password.
    #[arg(long, default_value = "testpassword")]
    password: String,
    /// Ask for nobody's name.
    #[arg(long)]
    open: bool,
    /// Basic authentication instead of digest.
    #[arg(long)]
    basic: bool,
    /// Connections at a time.
    #[arg(long, default_value_t = 64)]
    clients: usize,

    /// Speak TLS, with a certificate made up on the spot unless one is given.
    #[arg(long)]
    tls: bool,
    /// PEM file with the certificate (the server's own first) for --tls.
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// PEM file with its private key.
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
    /// Where to write the certificate, for clients to trust.
    #[arg(long)]
    certificate_out: Option<PathBuf>,

    /// Fault: which packets are hit by --loss and --reorder.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Fault: part of the RTP packets that are left out, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Fault: part of the RTP packets that come behind the next one, 0 to 1. Only UDP clients expect that.
    #[arg(long, default_value_t = 0.0)]
    reorder: f64,
    /// Fault: every connection is closed this many seconds after PLAY.
    #[arg(long)]
    close_after: Option<f64>,
    /// Fault: nothing is sent from this many seconds after PLAY on, for --stall-for.
    #[arg(long)]
    stall_after: Option<f64>,
    /// How many seconds a stall lasts.
    #[arg(long, default_value_t = 60.0)]
    stall_for: f64,
    /// Fault: RTP time starts over at another place this many seconds after PLAY.
    #[arg(long)]
    reset_timestamps_after: Option<f64>,
    /// Fault: the wall clock in sender reports is ahead by so many milliseconds, behind where negative.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    clock_offset_ms: i64,
    /// Fault: no sender reports.
    #[arg(long)]
    no_reports: bool,
    /// Quirk: parameter sets come with the pictures only.
    #[arg(long)]
    in_band: bool,
    /// Fault: the description tells other parameter sets than the pictures have.
    #[arg(long)]
    wrong_parameter_sets: bool,
    /// Quirk: VP8, Opus and ONVIF metadata are offered too.
    #[arg(long)]
    foreign_streams: bool,
    /// Quirk: no Content-Base in descriptions and no RTP-Info in answers to PLAY.
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
        "sessions played: {}, refused: {}, pictures: {}, packets left out: {}",
        counters.plays, counters.refused, counters.units, counters.dropped_packets
    );
    Ok(())
}

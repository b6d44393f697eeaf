//! Reports what a camera offers.
#![allow(clippy::print_stdout)] // a program

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use lva_examples::printable;
use lva_rtsp::{
    BasicAuthentication, CameraOptions, CameraUrl, ClientTls, ClockSource, Credentials, ProbeReport,
    Timeouts, Transport, probe,
};
use serde_json::json;

/// Watch a camera for some seconds, and report what it offers: streams, sizes, frame and bit rates, keyframes, the source
/// of its clock, and its quirks.
///
/// Examples:
///   probe rtsp://192.168.1.20/stream1 --user viewer --password-file secret.txt
///   probe rtsp://192.168.1.20/stream1 --transport http            through the camera's HTTP port
///   probe rtsps://192.168.1.20/stream1 --trust camera.pem         over TLS, with the camera's own certificate
///   probe rtsp://testuser:testpassword@127.0.0.1:8554/media/plaza.mp4 --json
///
/// If the camera cannot be reached, the error names the remedy: a wrong host or port ("no connection", "Connection
/// refused"), a wrong path (404), wrong credentials (401), another transport (461), a certificate that is not trusted.
/// The exit status is 0 if video or audio was received, else 1.
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// The camera's address: rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH, or rtsps:// for TLS.
    url: String,
    /// How long to watch. At least 8 s are needed to detect sender reports.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// auto, tcp, udp, multicast or http; auto is tcp, or what the camera takes instead.
    #[arg(long, default_value = "auto")]
    transport: Transport,
    /// User name, if the address has none.
    #[arg(long)]
    user: Option<String>,
    /// File whose first line is the password; other users can read the command line.
    #[arg(long, requires = "user")]
    password_file: Option<PathBuf>,
    /// When a camera that offers Basic alone gets the password as it is: allowed, over-tls or never.
    #[arg(long, value_name = "WHEN", default_value_t)]
    basic_authentication: BasicAuthentication,
    /// PEM file with trusted certificates instead of the machine's: those of authorities, or the camera's own.
    #[arg(long)]
    trust: Option<PathBuf>,
    /// Accept a certificate for another host. Anyone with a trusted certificate can then impersonate the camera.
    #[arg(long)]
    dangerous_ignore_hostname: bool,
    /// Accept an untrusted certificate. Anyone on the network path can then impersonate the camera.
    #[arg(long)]
    dangerous_ignore_signature: bool,
    /// Print one JSON object instead of the readable report.
    #[arg(long)]
    json: bool,
}

impl Args {
    fn options(&self) -> anyhow::Result<CameraOptions> {
        let (url, in_url) = CameraUrl::parse_with_credentials(&self.url)?;
        let credentials = match &self.user {
            None => in_url,
            Some(user) => {
                let password = match &self.password_file {
                    None => String::new(),
                    Some(path) => std::fs::read_to_string(path)
                        .with_context(|| format!("cannot read the password from {}", path.display()))?,
                };
                Some(Credentials::new(
                    user,
                    password.lines().next().unwrap_or_default(),
                ))
            }
        };
        let tls = match &self.trust {
            None => ClientTls::platform(),
            Some(path) => {
                let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                ClientTls::from_pem([pem])?
            }
        };
        let tls = tls
            .dangerous_ignore_hostname(self.dangerous_ignore_hostname)
            .dangerous_ignore_signature(self.dangerous_ignore_signature);
        let secured = url.is_tls();
        // A camera that falls silent should not end the watch: that it did is what one wants to know.
        let timeouts = Timeouts::default().with_stall(Duration::from_secs(3600));
        Ok(CameraOptions::new(url)
            .with_credentials(credentials)
            .with_basic_authentication(self.basic_authentication)
            .with_transport(self.transport)
            .with_metadata(true)
            .with_timeouts(timeouts)
            .with_tls(secured.then_some(tls)))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(report) => {
            if args.json {
                println!("{}", printable(&to_json(&report).to_string()));
            } else {
                print!("{report}");
            }
            ExitCode::from(u8::from(report.first_unit_after.is_none()))
        }
        Err(error) => {
            eprintln!("probe: {error:#}");
            if args.json {
                let object = json!({ "error": format!("{error:#}") });
                println!("{}", printable(&object.to_string()));
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<ProbeReport> {
    let watch = Duration::try_from_secs_f64(args.seconds).context("--seconds")?;
    Ok(probe(args.options()?, watch).await?)
}

fn to_json(report: &ProbeReport) -> serde_json::Value {
    let streams: Vec<_> = report
        .streams
        .iter()
        .map(|stream| {
            let info = &stream.info;
            json!({
                "index": info.index,
                "media": format!("{:?}", info.media).to_lowercase(),
                "codec": info.codec.to_string(),
                "encodingName": info.encoding_name,
                "codecName": info.codec_name,
                "width": info.size.map(|size| size.0),
                "height": info.size.map(|size| size.1),
                "sampleRate": info.sample_rate_hz,
                "channels": info.channels,
                "received": info.playing,
                "formatError": info.format_error_code(),
                "units": stream.units,
                "bytes": stream.bytes,
                "largestUnitBytes": stream.largest_unit,
                "unitsPerSecond": stream.rate,
                "bitsPerSecond": stream.bits_per_second,
                "keyFrameIntervalSeconds": stream.key_frame_interval,
                "clock": stream.clock.map(|clock| match clock {
                    ClockSource::SenderReport => "senderReport",
                    _ => "arrival",
                }),
                "leastDelaySeconds": stream.delay,
            })
        })
        .collect();
    json!({
        "url": report.url,
        "watchedSeconds": report.watched.as_secs_f64(),
        "connectedAfterMs": report.connected_after.as_millis() as u64,
        "firstUnitAfterMs": report.first_unit_after.map(|after| after.as_millis() as u64),
        "lostPackets": report.lost_packets,
        "streams": streams,
        "quirks": report.quirks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sdp": report.sdp,
    })
}

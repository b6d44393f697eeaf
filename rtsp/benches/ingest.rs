//! What receiving costs: CPU seconds for each minute of one stream, without decoding, of this crate's client (supervisor
//! and clock on), `ffmpeg -c copy -f null`, and GStreamer's `rtspsrc ! fakesink`, all from `lva-rtsp-simulator` in a
//! process of its own.
//!
//! `cargo bench -p lva-rtsp --bench ingest -- --streams 20 --seconds 20 --rounds 5`, which `make bench` runs.
//!
//! The figures of the foreign programs include their start, as ours do. In each round all clients take turns on the same
//! machine, and a ratio is the median of the rounds' ratios; the load average is printed, because what else runs there moves
//! the figures. Linux only.
#![allow(clippy::print_stdout, reason = "a table is what it is for")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lva_rtsp::{Camera, CameraEvent, CameraOptions, CameraUrl, Transport};
use lva_rtsp_simulator::{Simulator, SimulatorOptions};

type Failure = Box<dyn std::error::Error>;
/// Makes the processes of a row anew for each round.
type Commands<'a> = Box<dyn Fn() -> Vec<Command> + 'a>;

/// Clock ticks of `/proc/*/stat` in a second, the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str, default: u64| -> u64 {
        let place = arguments.iter().position(|a| a == name);
        place
            .and_then(|place| arguments.get(place + 1)?.parse().ok())
            .unwrap_or(default)
    };
    let (streams, seconds) = (value("--streams", 20), value("--seconds", 30));
    let text = |name: &str| {
        let place = arguments.iter().position(|a| a == name)?;
        arguments.get(place + 1).cloned()
    };
    if let Some(directory) = text("--serve") {
        return serve(&directory);
    }
    if let Some(url) = text("--client") {
        let transport = text("--transport").unwrap_or_default().parse()?;
        return client(&url, transport, streams, Duration::from_secs(seconds));
    }
    compare(streams, seconds, value("--rounds", 1))
}

/// Prints its address, and serves until its standard input ends.
fn serve(directory: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let options = SimulatorOptions::new(directory).with_max_clients(1000);
        let simulator = Simulator::start(options).await?;
        println!("{}", simulator.url("clip.mp4"));
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
        Ok(())
    })
}

/// Receives, and fails if anything is missing.
fn client(url: &str, transport: Transport, streams: u64, watch: Duration) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let until = Instant::now() + watch;
    let units = runtime.block_on(async {
        let tasks: Vec<_> = (0..streams)
            .map(|_| CameraUrl::parse(url).map(|url| CameraOptions::new(url).with_transport(transport)))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .map(|options| {
                tokio::spawn(async move {
                    let mut camera = Camera::connect(options);
                    let mut units = 0_u64;
                    while let Ok(Some(event)) = tokio::time::timeout_at(until.into(), camera.next()).await {
                        match event {
                            CameraEvent::Unit(_) => units += 1,
                            CameraEvent::Lost { error } => eprintln!("{error}"),
                            _ => {}
                        }
                    }
                    let counters = camera.counters();
                    (units, counters.lost_packets + counters.dropped_queue_full)
                })
            })
            .collect();
        let (mut units, mut missing) = (0, 0);
        for task in tasks {
            let (received, lost) = task.await?;
            units += received;
            missing += lost;
        }
        eprintln!("    {units} units, {missing} packets or units missing");
        Ok::<_, Failure>(units)
    })?;
    if units < streams * watch.as_secs() * 20 {
        return Err(format!("only {units} units came").into());
    }
    Ok(())
}

fn compare(streams: u64, seconds: u64, rounds: u64) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    make_clip(&directory.path().join("clip.mp4"))?;
    let me = std::env::current_exe()?;
    let mut server = Command::new(&me)
        .args(["--serve", &directory.path().to_string_lossy()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut url = String::new();
    let output = server.stdout.take().ok_or("the simulator has no output")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut url)?;
    let url = url.trim();
    let whole = seconds.to_string();
    let count = streams.to_string();
    let stop_after = format!("{seconds}s");
    let location = format!("location={url}");

    let ours = |transport: &str| {
        let mut command = Command::new(&me);
        command.args([
            "--client",
            url,
            "--transport",
            transport,
            "--streams",
            &count,
            "--seconds",
            &whole,
        ]);
        vec![command]
    };
    let many = |program: &str, arguments: &[&str]| -> Vec<Command> {
        (0..streams)
            .map(|_| {
                let mut command = Command::new(program);
                command
                    .args(arguments)
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                command
            })
            .collect()
    };
    println!(
        "Receiving without decoding: {streams} streams of 1080p30 H.264 at 4 Mbit/s, {seconds} s, {rounds} round(s), load before: {}",
        load()
    );
    let rows: Vec<(&str, Commands<'_>)> = vec![
        (
            "`ffmpeg -rtsp_transport tcp -c copy -f null`",
            Box::new(|| {
                many(
                    "ffmpeg",
                    &[
                        "-v",
                        "error",
                        "-nostdin",
                        "-rtsp_transport",
                        "tcp",
                        "-i",
                        url,
                        "-t",
                        &whole,
                        "-c",
                        "copy",
                        "-f",
                        "null",
                        "-",
                    ],
                )
            }),
        ),
        (
            "GStreamer `rtspsrc protocols=tcp ! fakesink`",
            Box::new(|| {
                many(
                    "timeout",
                    &[
                        "--signal=INT",
                        &stop_after,
                        "gst-launch-1.0",
                        "-q",
                        "rtspsrc",
                        &location,
                        "protocols=tcp",
                        "!",
                        "fakesink",
                    ],
                )
            }),
        ),
        ("`lva-rtsp` over TCP", Box::new(|| ours("tcp"))),
        ("`lva-rtsp` over UDP", Box::new(|| ours("udp"))),
        ("`lva-rtsp` in an HTTP tunnel", Box::new(|| ours("http"))),
    ];
    // By the row, then by the round; none where a client is missing or failed.
    let mut costs = vec![Vec::new(); rows.len()];
    for _ in 0..rounds {
        for ((name, commands), costs) in rows.iter().zip(&mut costs) {
            let cost = cost(commands()).map(|cpu| cpu / (streams as f64 * seconds as f64 / 60.0));
            if let Err(error) = &cost {
                eprintln!("    {name}: {error}");
            }
            costs.push(cost.ok());
        }
    }
    println!(
        "| client | CPU-s per stream-minute | lowest to highest | relative to ffmpeg |\n|---|---|---|---|"
    );
    let reference = costs.first().cloned().unwrap_or_default();
    for ((name, _), costs) in rows.iter().zip(&costs) {
        let both = costs.iter().zip(&reference);
        let ratios = both.filter_map(|(own, of)| Some((*own)? / (*of)?));
        let (mut own, mut ratios): (Vec<f64>, Vec<f64>) =
            (costs.iter().copied().flatten().collect(), ratios.collect());
        match (median(&mut own), median(&mut ratios)) {
            (Some(middle), Some(ratio)) => println!(
                "| {name} | {middle:.3} | {:.3} to {:.3} | {ratio:.2} |",
                own.first().copied().unwrap_or(middle),
                own.last().copied().unwrap_or(middle),
            ),
            (Some(middle), None) => println!("| {name} | {middle:.3} | | |"),
            _ => println!("| {name} | not run | | |"),
        }
    }
    println!("load after: {}", load());
    drop(server.stdin.take());
    server.wait()?;
    Ok(())
}

/// Sorts them, too.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// 10 s of moving pictures with noise, at 4 Mbit/s, a key frame each second.
fn make_clip(file: &Path) -> Result<(), Failure> {
    let source = "testsrc2=size=1920x1080:rate=30:duration=10,noise=alls=12:allf=t";
    let made = Command::new("ffmpeg")
        .args([
            "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt",
            "yuv420p",
        ])
        .args([
            "-g", "30", "-bf", "0", "-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M",
        ])
        .arg(file)
        .status()?;
    if !made.success() {
        return Err("ffmpeg cannot make the clip".into());
    }
    Ok(())
}

/// CPU seconds of these processes, from start to end.
fn cost(commands: Vec<Command>) -> Result<f64, Failure> {
    let before = children_cpu()?;
    let mut running: Vec<Child> = Vec::new();
    for mut command in commands {
        running.push(command.spawn()?);
    }
    for child in &mut running {
        let status = child.wait()?;
        // `timeout` ends with 124 when it has done its work.
        if !status.success() && status.code() != Some(124) {
            return Err(format!("a process ended with {status}").into());
        }
    }
    Ok(children_cpu()? - before)
}

/// User and system time of all children that were waited for (proc(5): `cutime`, `cstime`).
fn children_cpu() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("no /proc/self/stat")?.1;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let ticks: f64 = fields
        .get(13..15)
        .unwrap_or_default()
        .iter()
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks / TICKS)
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

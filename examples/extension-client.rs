//! Shows a video or a camera to any extension of the contract.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use lva_examples::frames::{FormatFlag, FrameForm, FrameMaker, ScaleFlag};
use lva_examples::round_trips::RoundTrips;
use lva_examples::source::Source;
use lva_examples::{parse_credentials, progress};
use lva_extension_protocol::client::{
    Answer, Answers, ClientOptions, FrameSender, NoSlot, SessionEvent, Transfer, connect,
};
use lva_extension_protocol::{Credentials, ExtensionUrl, GraphIdentity, SharedMemoryOptions};
use lva_framing::{FrameRate, Picture};
use lva_inference_schema::{Inference, JsonStyle};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// How long an extension that has answered everything may take to close.
const CLOSING: Duration = Duration::from_secs(3);

/// Show the pictures of a video file or of a camera to an extension, and print what it says.
///
/// Any extension of Live Video Analytics or Video Analyzer will do: this speaks their gRPC, with frames in shared
/// memory or in the messages. A file's pictures are sent as fast as they are answered; of a camera's, the newest one,
/// and those that it replaces are counted. Boxes are those of the picture, not of the padded frame.
///
/// Each result is one line of JSON on standard output:
///
///   {"sequence":2,"timestamp":143810610210090,"round_trip_ms":24.1,"inferences":[…]}
///
/// The counts come last, on standard error. The exit status is 0 only if no session failed.
///
/// Examples:
///
///   extension-client --url tcp://127.0.0.1:50051 --video examples/media/plaza.mp4 --frames 300
///   extension-client --url tcp://yolov3:5001 --video street.mp4 --mode embedded --scale stretch:416x416 --format jpeg
///   extension-client --url unix:///run/extension.sock --video rtsp://user:password@camera/stream1 --fps 15
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// The extension: tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH.
    #[arg(long)]
    url: ExtensionUrl,
    /// A video file, or a camera: rtsp://USER:PASSWORD@HOST/PATH.
    #[arg(long)]
    video: String,
    /// Where frames go. Shared memory needs the same machine, and in containers IpcMode host.
    #[arg(long, value_enum, default_value_t = Mode::SharedMemory)]
    mode: Mode,
    /// How pictures become frames: none, pad:WxH, stretch:WxH or preserveAspectRatio:WxH.
    #[arg(long, default_value = "pad:1408x786")]
    scale: ScaleFlag,
    /// Of what frames are made: jpeg, png, bmp, or bare pixels under the contract's names (bgr24, rgb24, yuv420p, …).
    #[arg(long, default_value = "bgr24")]
    format: FormatFlag,
    /// Show at most so many pictures in a second of the video's own time: 15, 0.2, 30000/1001.
    #[arg(long)]
    fps: Option<FrameRate>,
    /// Send exactly so many frames; a file begins again at its end. Default: a file once, a camera until Ctrl-C.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// User and password of the extension, USER:PASSWORD.
    #[arg(long, value_parser = parse_credentials, value_name = "USER:PASSWORD")]
    auth: Option<Credentials>,
    /// Text for the extension, as `extensionConfiguration` in a topology.
    #[arg(long)]
    configuration: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    SharedMemory,
    Embedded,
}

/// What the two sides of the run share.
struct Run {
    /// An answer came, or the run is to end.
    wake: Notify,
    stop: AtomicBool,
    /// Everything was sent.
    sent: Notify,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let mut source = Source::open(&args.video, args.fps, args.frames.is_some())?;
    let first = source.next_picture()?.context("the video has no picture")?;
    let form = FrameForm::new(args.scale, args.format, (first.width(), first.height()))?;
    let session = runtime.block_on(connect::<()>(&options(&args, &form)?))?;
    let (frames, answers) = (session.frames, session.answers);
    eprintln!(
        "connected to {} {}, {}",
        args.url,
        session.peer.identifier,
        form.announced()?
    );

    let run = Arc::new(Run {
        wake: Notify::new(),
        stop: AtomicBool::new(false),
        sent: Notify::new(),
    });
    let total = args.frames.unwrap_or(match &source {
        Source::File(file) if args.fps.is_none() => file.count(),
        _ => 0,
    });
    let answers = {
        let (run, stop_source) = (Arc::clone(&run), source.stopper());
        runtime.spawn(async move {
            let mut trips = RoundTrips::default();
            let outcome = receive(answers, form, &run, &mut trips, total).await;
            run.stop.store(true, Ordering::Relaxed);
            run.wake.notify_one();
            stop_source();
            (outcome, trips)
        })
    };
    // Decoding and rendering block, and stay on this thread.
    let sending = send(
        &mut source,
        first,
        &frames,
        form,
        args.frames,
        &run,
        runtime.handle(),
    );
    frames.finish();
    run.sent.notify_one();
    let (outcome, mut trips) = runtime
        .block_on(answers)
        .context("the answers were not read to their end")?;
    trips.dropped.extend(source.dropped());
    eprintln!("{trips}");
    outcome.and(sending)
}

fn options(args: &Args, form: &FrameForm) -> anyhow::Result<ClientOptions> {
    let mut options = ClientOptions::new(args.url.clone(), form.announced()?)
        .with_identity(GraphIdentity::new("extension-client", "extension-client"));
    if args.mode == Mode::SharedMemory {
        options = options.with_transfer(Transfer::SharedMemory(SharedMemoryOptions::default()));
    }
    if let Some(credentials) = &args.auth {
        options = options.with_credentials(credentials.clone());
    }
    if let Some(text) = &args.configuration {
        options = options.with_configuration(text);
    }
    Ok(options)
}

/// Sends pictures until there are no more, or enough.
fn send(
    source: &mut Source,
    first: Picture,
    frames: &FrameSender<()>,
    form: FrameForm,
    wanted: Option<u64>,
    run: &Run,
    handle: &Handle,
) -> anyhow::Result<()> {
    let mut maker = FrameMaker::new(form);
    let mut picture = Some(first);
    let mut sent = 0;
    while wanted.is_none_or(|wanted| sent < wanted) && !run.stop.load(Ordering::Relaxed) {
        // The slot first: while it is waited for, a camera has newer pictures.
        let mut slot = match frames.slot() {
            Ok(slot) => slot,
            Err(NoSlot::WindowFull | NoSlot::NoSpace) => {
                handle.block_on(run.wake.notified());
                continue;
            }
            // Why, is for the answers to say.
            Err(NoSlot::Ended) => break,
            Err(error) => return Err(error.into()),
        };
        let next = match picture.take() {
            Some(first) => Some(first),
            None => source.next_picture()?,
        };
        let Some(next) = next else { break };
        ensure!(
            form.fits(&next),
            "the pictures have changed their size to {}x{}: begin again",
            next.width(),
            next.height()
        );
        let bytes = maker.fill(&next, &mut slot)?;
        slot.truncate(bytes);
        if slot.send(next.timestamp_90k(), &[], ()).is_err() {
            break;
        }
        sent += 1;
    }
    Ok(())
}

/// Prints answers until the session is over.
async fn receive(
    mut answers: Answers<()>,
    form: FrameForm,
    run: &Run,
    trips: &mut RoundTrips,
    total: u64,
) -> anyhow::Result<()> {
    let bar = if total > 0 && !std::io::stdout().is_terminal() {
        progress(total, "frames")
    } else {
        indicatif::ProgressBar::hidden()
    };
    let mut all_sent = false;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let outcome = loop {
        let stats = answers.stats();
        // Some servers leave a stream open for ever though the client has closed its half.
        let over = all_sent && stats.answered + stats.unanswered == stats.sent;
        let event = tokio::select! {
            event = answers.next() => event,
            () = run.sent.notified() => {
                all_sent = true;
                continue;
            }
            () = tokio::time::sleep(CLOSING), if over => break Ok(()),
            pressed = &mut interrupted => break pressed.context("Ctrl-C cannot be noticed"),
        };
        run.wake.notify_one();
        match event {
            Ok(Some(SessionEvent::Answered(answer))) => {
                trips.add(Instant::now(), answer.round_trip);
                bar.inc(1);
                match print(answer, form) {
                    Ok(()) => {}
                    // Whoever read has read enough: `| head` is no error.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => break Ok(()),
                    Err(error) => break Err(error.into()),
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    bar.finish_and_clear();
    let left = answers.stats();
    drop(answers);
    trips.sent = left.sent;
    let lost = left.sent.saturating_sub(left.answered + left.unanswered);
    trips.dropped = vec![("unanswered", left.unanswered), ("sessionEnded", lost)];
    outcome
}

fn print(answer: Answer<()>, form: FrameForm) -> std::io::Result<()> {
    let mut inferences = answer.inferences;
    form.unpad(&mut inferences);
    let to_json = |inference: &Inference| inference.to_json(JsonStyle::VideoAnalyzer);
    let line = json!({
        "sequence": answer.sequence,
        "timestamp": answer.timestamp_90k,
        "round_trip_ms": (answer.round_trip.as_secs_f64() * 1e6).round() / 1e3,
        "inferences": inferences.iter().map(to_json).collect::<Vec<Value>>(),
    });
    // One write for a line: whoever reads a pipe gets whole lines.
    std::io::stdout().write_all(format!("{line}\n").as_bytes())
}

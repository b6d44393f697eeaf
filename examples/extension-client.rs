//! Sends the pictures of a video or a camera to any extension.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use lva_examples::frames::{FormatFlag, FrameForm, FrameMaker, ScaleFlag};
use lva_examples::round_trips::RoundTrips;
use lva_examples::source::Source;
use lva_examples::{parse_credentials, printable, progress, read_credentials};
use lva_extension_protocol::client::{
    Answer, Answers, ClientOptions, FrameSender, NoSlot, SeparateResults, SessionEvent, Transfer, connect,
};
use lva_extension_protocol::{Credentials, ExtensionUrl, GraphIdentity, SharedMemoryOptions};
use lva_framing::{FrameRate, Picture};
use lva_inference_schema::{Inference, JsonStyle};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Time for an extension that has answered everything to close the session.
const CLOSING: Duration = Duration::from_secs(3);

/// Send the pictures of a video file or of a camera to an extension, and print its results.
///
/// Works with any extension of Live Video Analytics or Video Analyzer over gRPC, with frames in shared memory or in
/// the messages. A file's pictures are sent as fast as they are answered; of a camera, the newest picture is sent, and
/// replaced pictures are counted. Boxes refer to the picture, not to the padded frame.
///
/// Each result is one line of JSON on standard output:
///
///   {"sequence":2,"timestamp":143810610210090,"round_trip_ms":24.1,"inferences":[…]}
///
/// Results that come after the acknowledgement of their frame are a line without "round_trip_ms", with the frame's number;
/// results that acknowledge no frame have the number null.
///
/// The counts follow on standard error. The exit status is 0 only if the session did not fail.
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
    /// How frames are sent. Shared memory needs the same machine, and in containers IpcMode host.
    #[arg(long, value_enum, default_value_t = Mode::SharedMemory)]
    mode: Mode,
    /// How pictures are scaled: none, pad:WxH, stretch:WxH or preserveAspectRatio:WxH.
    #[arg(long, default_value = "pad:1408x786")]
    scale: ScaleFlag,
    /// Format of frames: jpeg, png, bmp, or raw pixels by the contract's names (bgr24, rgb24, yuv420p, …).
    #[arg(long, default_value = "bgr24")]
    format: FormatFlag,
    /// Send at most this many pictures per second of media time: 15, 0.2, 30000/1001.
    #[arg(long)]
    fps: Option<FrameRate>,
    /// Send exactly this many frames; a file restarts at its end. Default: a file once, a camera until Ctrl-C.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// User name and password of the extension. Other users of the machine can see them in its list of processes.
    #[arg(long, value_parser = parse_credentials, value_name = "USER:PASSWORD")]
    auth: Option<Credentials>,
    /// File with USER:PASSWORD, instead of --auth.
    #[arg(long, value_parser = read_credentials, value_name = "FILE", conflicts_with = "auth")]
    auth_file: Option<Credentials>,
    /// Configuration for the extension, like `extensionConfiguration` in a topology.
    #[arg(long)]
    configuration: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    SharedMemory,
    Embedded,
}

/// State that sending and receiving share.
struct Run {
    /// An answer arrived, or the run ends.
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
    // Decoding and rendering block this thread.
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
    let (outcome, mut trips) = runtime.block_on(answers).context("the receiving task panicked")?;
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
    if let Some(credentials) = args.auth.as_ref().or(args.auth_file.as_ref()) {
        options = options.with_credentials(credentials.clone());
    }
    if let Some(text) = &args.configuration {
        options = options.with_configuration(text);
    }
    Ok(options)
}

/// Sends pictures up to the end or the requested number.
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
        // First the slot: during the wait, a camera delivers newer pictures.
        let mut slot = match frames.slot() {
            Ok(slot) => slot,
            Err(NoSlot::WindowFull | NoSlot::NoSpace) => {
                handle.block_on(run.wake.notified());
                continue;
            }
            // The receiver returns the reason.
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
            "the size of the pictures has changed to {}x{}: start again",
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

/// Prints answers until the session ends.
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
        // Some servers never close a stream that the client has half-closed.
        let complete = all_sent && stats.answered + stats.unanswered == stats.sent;
        let event = tokio::select! {
            event = answers.next() => event,
            () = run.sent.notified() => {
                all_sent = true;
                continue;
            }
            () = tokio::time::sleep(CLOSING), if complete => break Ok(()),
            pressed = &mut interrupted => break pressed.context("cannot listen for Ctrl-C"),
        };
        run.wake.notify_one();
        match event {
            Ok(Some(SessionEvent::Answered(answer))) => {
                trips.add(Instant::now(), answer.round_trip);
                bar.inc(1);
                match print(answer, form) {
                    Ok(()) => {}
                    // The reader has closed the pipe: `| head` is not an error.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => break Ok(()),
                    Err(error) => break Err(error.into()),
                }
            }
            Ok(Some(SessionEvent::Results(results))) => match print_separate(results, form) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => break Ok(()),
                Err(error) => break Err(error.into()),
            },
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
    print_line(&json!({
        "sequence": answer.sequence,
        "timestamp": answer.timestamp_90k,
        "round_trip_ms": (answer.round_trip.as_secs_f64() * 1e6).round() / 1e3,
        "inferences": inferences_json(answer.inferences, form),
    }))
}

/// Results apart from an answer: they belong to the frame with this number, or to none.
fn print_separate(results: SeparateResults, form: FrameForm) -> std::io::Result<()> {
    print_line(&json!({
        "sequence": results.sequence,
        "timestamp": results.timestamp_90k,
        "inferences": inferences_json(results.inferences, form),
    }))
}

fn inferences_json(mut inferences: Vec<Inference>, form: FrameForm) -> Vec<Value> {
    form.unpad(&mut inferences);
    let json = inferences
        .iter()
        .map(|inference| inference.to_json(JsonStyle::VideoAnalyzer));
    json.collect()
}

fn print_line(line: &Value) -> std::io::Result<()> {
    // One write per line, so that readers of a pipe get whole lines.
    std::io::stdout().write_all(format!("{}\n", printable(&line.to_string())).as_bytes())
}

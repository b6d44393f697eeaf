//! Measures the cost of a picture from the file to the finished frame.
#![allow(clippy::print_stdout)] // a program

use anyhow::{Context, bail};
use clap::Parser;
use lva_examples::{UnitReader, parse_size};
use lva_framing::{
    DecodeQuality, Decoder, DecoderOptions, FrameEncoder, FramePlan, FrameRate, Hardware, ImageFile,
    ImageSettings, Pacer, Picture, PixelFormat, Renderer, ScaleMode,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Decode a video file at a rate, render every frame, and report the cost.
///
/// Prints one JSON object: delivered `frames`, `units` in the file, `wallMsPerFrame` and `cpuMsPerFrame` per delivered
/// frame from opening the file to the last frame, and their split into `read`, `decode`, `render` and `encode` (also
/// milliseconds per delivered frame). CPU time is that of all threads.
///
/// Example: frame-bench -- --video clip.mp4 --size 1408x786 --scale pad --format bgr24
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// The video file: H.264 or H.265 in MP4, MOV or MKV, or MJPEG.
    #[arg(long)]
    video: PathBuf,
    /// Size of the frame. Default: the size of the video.
    #[arg(long, value_parser = parse_size)]
    size: Option<(u32, u32)>,
    /// How the picture is scaled: pad, stretch, preserveAspectRatio or none.
    #[arg(long, default_value = "pad")]
    scale: String,
    /// A pixel format (bgr24, yuv420p, …), or jpeg, png, bmp.
    #[arg(long, default_value = "bgr24")]
    format: String,
    /// JPEG quality.
    #[arg(long, default_value_t = 85)]
    quality: u8,
    /// Most frames per second (15, 0.2, 30000/1001). Default: all.
    #[arg(long)]
    fps: Option<FrameRate>,
    /// Most units of the file. Default: all.
    #[arg(long)]
    frames: Option<u64>,
    /// Decoder threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Hardware decoder: cuda or vaapi.
    #[arg(long)]
    hardware: Option<Hardware>,
    /// How exactly pictures are decoded: exact or fast.
    #[arg(long, default_value_t)]
    decode_quality: DecodeQuality,
    /// Decode everything and drop unneeded pictures, for comparison.
    #[arg(long)]
    full: bool,
    /// Decode only, for comparison.
    #[arg(long)]
    decode_only: bool,
    /// Write rendered frames, before encoding, to this file.
    #[arg(long)]
    dump: Option<PathBuf>,
    /// Write every Nth frame, starting with the first.
    #[arg(long, default_value_t = 1)]
    dump_every: u64,
}

/// Elapsed and CPU time of one kind of work.
#[derive(Default, Clone, Copy)]
struct Cost {
    elapsed: Duration,
    cpu: Duration,
}

impl Cost {
    fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (start, cpu) = (Instant::now(), cpu_time());
        let result = work();
        self.elapsed += start.elapsed();
        self.cpu += cpu_time().saturating_sub(cpu);
        result
    }

    fn json(self, frames: u64) -> Value {
        json!({"wallMs": per_frame(self.elapsed, frames), "cpuMs": per_frame(self.cpu, frames)})
    }
}

/// CPU time of the whole process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

fn per_frame(time: Duration, frames: u64) -> f64 {
    (time.as_secs_f64() * 1e6 / frames.max(1) as f64).round() / 1e3
}

/// Renders, encodes and writes pictures.
struct Bench {
    settings: ImageSettings,
    file: Option<ImageFile>,
    renderer: Option<Renderer>,
    encoder: FrameEncoder,
    frame: Vec<u8>,
    encoded: Vec<u8>,
    encoded_bytes: u64,
    frames: u64,
    render: Cost,
    encode: Cost,
    dump: Option<(BufWriter<File>, u64)>,
}

impl Bench {
    fn take(&mut self, picture: &Picture) -> anyhow::Result<()> {
        let plan = self.settings.plan(picture.width(), picture.height())?;
        let Self {
            render,
            renderer,
            frame,
            ..
        } = self;
        render.of(|| render_into(renderer, plan, picture, frame))?;
        if let Some(format) = self.file {
            let Self {
                encode,
                encoder,
                frame,
                encoded,
                ..
            } = self;
            encode.of(|| encoder.encode(&plan, frame, format, encoded))?;
            self.encoded_bytes += encoded.len() as u64;
        }
        if let Some((dump, every)) = &mut self.dump
            && self.frames.is_multiple_of(*every)
        {
            dump.write_all(&self.frame).context("cannot write the dump")?;
        }
        self.frames += 1;
        Ok(())
    }
}

fn render_into(
    renderer: &mut Option<Renderer>,
    plan: FramePlan,
    picture: &Picture,
    frame: &mut Vec<u8>,
) -> anyhow::Result<()> {
    if renderer.as_ref().is_none_or(|renderer| *renderer.plan() != plan) {
        *renderer = Some(Renderer::new(plan));
        frame.resize(plan.bytes(), 0);
    }
    if let Some(renderer) = renderer {
        renderer.render(picture, frame)?;
    }
    Ok(())
}

fn settings(args: &Args) -> anyhow::Result<(ImageSettings, Option<ImageFile>)> {
    let (pixels, file) = match args.format.to_ascii_lowercase().as_str() {
        "jpeg" | "jpg" => (
            PixelFormat::Bgr24,
            Some(ImageFile::Jpeg {
                quality: args.quality,
            }),
        ),
        "png" => (PixelFormat::Bgr24, Some(ImageFile::Png)),
        "bmp" => (PixelFormat::Bgr24, Some(ImageFile::Bmp)),
        raw => (raw.parse()?, None),
    };
    let settings = ImageSettings::new(pixels);
    let mode = match args.scale.to_ascii_lowercase().as_str() {
        "pad" => ScaleMode::Pad,
        "stretch" => ScaleMode::Stretch,
        "preserveaspectratio" => ScaleMode::PreserveAspectRatio,
        "none" => return Ok((settings, file)),
        other => bail!("{other:?} is not a scale mode: use pad, stretch, preserveAspectRatio or none"),
    };
    Ok(match args.size {
        None => (settings, file),
        Some((width, height)) => (settings.with_scale(mode, Some(width), Some(height)), file),
    })
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (settings, file) = settings(&args)?;
    let dump = match &args.dump {
        None => None,
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Some((BufWriter::new(file), args.dump_every.max(1)))
        }
    };
    let mut bench = Bench {
        settings,
        file,
        renderer: None,
        encoder: FrameEncoder::new(),
        frame: Vec::new(),
        encoded: Vec::new(),
        encoded_bytes: 0,
        frames: 0,
        render: Cost::default(),
        encode: Cost::default(),
        dump,
    };
    let (mut whole, mut reading, mut decoding) = (Cost::default(), Cost::default(), Cost::default());
    let (units, stats, hardware) = whole.of(|| -> anyhow::Result<_> {
        let mut reader = UnitReader::open(&args.video)?;
        let options = DecoderOptions::default()
            .with_threads(args.threads)
            .with_low_delay(args.threads == 1)
            .with_hardware(args.hardware)
            .with_quality(args.decode_quality);
        let mut decoder = Decoder::open(reader.codec(), reader.extra_data(), options)?;
        let mut pacer = args.fps.map(Pacer::new);
        let mut units = 0;
        loop {
            let unit = match args.frames.is_none_or(|most| units < most) {
                true => reading.of(|| reader.next_unit()),
                false => None,
            };
            let over = unit.is_none();
            decoding.of(|| match (unit, &mut pacer) {
                (Some((unit, time)), Some(pacer)) if !args.full => decoder
                    .push_for(unit.data().unwrap_or_default(), time, pacer)
                    .map(|_| ()),
                (Some((unit, time)), _) => decoder.push(unit.data().unwrap_or_default(), time).map(|_| ()),
                (None, Some(pacer)) if !args.full => {
                    decoder.flush_for(pacer);
                    Ok(())
                }
                (None, _) => {
                    decoder.flush();
                    Ok(())
                }
            })?;
            while let Some(picture) = decoder.next_picture() {
                let wanted = match &mut pacer {
                    Some(pacer) if args.full => pacer.admit(picture.timestamp_90k()),
                    _ => true,
                };
                if args.decode_only {
                    bench.frames += u64::from(wanted);
                } else if wanted {
                    bench.take(&picture)?;
                }
            }
            if over {
                return Ok((units, decoder.stats(), decoder.hardware()));
            }
            units += 1;
        }
    })?;
    if let Some((dump, _)) = &mut bench.dump {
        dump.flush().context("cannot write the dump")?;
    }
    let frames = bench.frames;
    let plan = bench.renderer.as_ref().map(|renderer| *renderer.plan());
    println!(
        "{}",
        json!({
            "frames": frames,
            "units": units,
            "unitsNotDecoded": stats.skipped_units,
            "damagedUnits": stats.damaged_units,
            "width": plan.map(|plan| plan.width()),
            "height": plan.map(|plan| plan.height()),
            "format": args.format,
            "threads": args.threads,
            "hardware": hardware.map(|device| device.to_string()),
            "wallMsPerFrame": per_frame(whole.elapsed, frames),
            "cpuMsPerFrame": per_frame(whole.cpu, frames),
            "cpuMs": (whole.cpu.as_secs_f64() * 1e6).round() / 1e3,
            "read": reading.json(frames),
            "decode": decoding.json(frames),
            "render": bench.render.json(frames),
            "encode": bench.encode.json(frames),
            "encodedBytesPerFrame": file.map(|_| bench.encoded_bytes / frames.max(1)),
        })
    );
    Ok(())
}

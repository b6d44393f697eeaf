//! Adds a generated audio track to a clip: cameras have microphones.

use std::f32::consts::TAU;
use std::path::Path;

use anyhow::Context;
use ffmpeg::codec::{self, encoder};
use ffmpeg::format::{self, Sample, sample};
use ffmpeg::util::frame::Audio;
use ffmpeg::{ChannelLayout, Packet, Rational, media};
use ffmpeg_next as ffmpeg;

const RATE: i32 = 48_000;
/// Samples of an AAC frame.
const FRAME: usize = 1024;
/// Time between two strokes of the bell.
const STROKE_SECONDS: f32 = 5.0;

/// Copies the video packets of an MP4 file and adds a mono AAC track of the same length: a hum, and a bell every five
/// seconds.
///
/// # Errors
///
/// The file has no video, FFmpeg has no AAC encoder, or the disk is full.
pub(crate) fn with_audio(video: &Path, out: &Path) -> anyhow::Result<()> {
    ffmpeg::log::set_level(ffmpeg::log::Level::Fatal);
    let mut input = format::input(video).with_context(|| format!("cannot read {}", video.display()))?;
    let stream = input.streams().best(media::Type::Video);
    let stream = stream.context("the clip has no video")?;
    let (index, video_base) = (stream.index(), stream.time_base());
    let seconds = input.duration() as f64 / f64::from(ffmpeg::ffi::AV_TIME_BASE);

    let mut output = format::output(out)?;
    let parameters = stream.parameters();
    let mut copied = output.add_stream(codec::Id::None)?;
    copied.set_parameters(parameters);
    copied.set_time_base(video_base);
    let mut encoder = open_encoder(&output)?;
    let mut audio = output.add_stream(codec::Id::None)?;
    audio.set_parameters(codec::Parameters::from(&encoder));
    audio.set_time_base(Rational(1, RATE));
    output.write_header()?;
    let bases = [0, 1].map(|index| {
        output
            .stream(index)
            .map_or(Rational(1, RATE), |stream| stream.time_base())
    });

    let mut written = 0;
    for (stream, mut packet) in input.packets() {
        if stream.index() != index {
            continue;
        }
        // Write the audio up to this picture first, so that both are interleaved in the file.
        let until = packet.dts().unwrap_or_default() as f64 * f64::from(video_base);
        while written as f64 * FRAME as f64 / f64::from(RATE) < until.min(seconds) {
            encoder.send_frame(&tone(written))?;
            written += 1;
            drain(&mut encoder, &mut output, bases[1])?;
        }
        packet.set_stream(0);
        packet.set_position(-1);
        packet.rescale_ts(video_base, bases[0]);
        packet.write_interleaved(&mut output)?;
    }
    encoder.send_eof()?;
    drain(&mut encoder, &mut output, bases[1])?;
    output.write_trailer()?;
    Ok(())
}

fn open_encoder(output: &format::context::Output) -> anyhow::Result<encoder::Audio> {
    let aac = encoder::find(codec::Id::AAC).context("this FFmpeg has no AAC encoder")?;
    let mut context = codec::Context::new_with_codec(aac);
    if output.format().flags().contains(format::Flags::GLOBAL_HEADER) {
        context.set_flags(codec::Flags::GLOBAL_HEADER);
    }
    let mut encoder = context.encoder().audio()?;
    encoder.set_rate(RATE);
    encoder.set_channel_layout(ChannelLayout::MONO);
    encoder.set_format(Sample::F32(sample::Type::Planar));
    encoder.set_time_base(Rational(1, RATE));
    encoder.set_bit_rate(48_000);
    Ok(encoder.open_as(aac)?)
}

/// The samples of one frame.
fn tone(number: usize) -> Audio {
    let mut frame = Audio::new(Sample::F32(sample::Type::Planar), FRAME, ChannelLayout::MONO);
    frame.set_rate(RATE as u32);
    frame.set_pts(Some((number * FRAME) as i64));
    for (index, sample) in frame.plane_mut::<f32>(0).iter_mut().enumerate() {
        let at = (number * FRAME + index) as f32 / RATE as f32;
        let since_stroke = at % STROKE_SECONDS;
        let hum = 0.02 * (TAU * 110.0 * at).sin();
        let bell = 0.3 * (-3.0 * since_stroke).exp() * (TAU * 660.0 * since_stroke).sin();
        *sample = hum + bell;
    }
    frame
}

fn drain(
    encoder: &mut encoder::Audio,
    output: &mut format::context::Output,
    base: Rational,
) -> anyhow::Result<()> {
    let mut packet = Packet::empty();
    while encoder.receive_packet(&mut packet).is_ok() {
        packet.set_stream(1);
        packet.rescale_ts(Rational(1, RATE), base);
        packet.write_interleaved(output)?;
    }
    Ok(())
}

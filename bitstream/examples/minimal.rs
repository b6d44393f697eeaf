//! Prints what a `.h264` or `.h265` file holds: its parameter sets, and how many pictures.
//!
//! `cargo run -p lva-bitstream --example bitstream-minimal -- camera.h264`
#![allow(clippy::print_stdout)] // a program

use anyhow::{Context, bail};
use lva_bitstream::{NalUnits, Sps, VideoCodec, access_units};

fn main() -> anyhow::Result<()> {
    let Some(path) = std::env::args().nth(1) else {
        bail!("usage: bitstream-minimal FILE.h264|FILE.h265");
    };
    let codec = match path.ends_with(".h265") {
        true => VideoCodec::H265,
        false => VideoCodec::H264,
    };
    let stream = std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
    let mut sets: Vec<Sps> = NalUnits::annex_b(&stream)
        .filter_map(|nal| Sps::parse(codec, nal))
        .collect();
    sets.dedup(); // cameras repeat them with each key frame
    for sps in sets {
        let (width, height) = sps.size;
        println!(
            "{} {width}x{height}, frame rate {:?}",
            sps.codec_name(),
            sps.frame_rate()
        );
    }
    println!("{} pictures", access_units(codec, &stream).count());
    Ok(())
}

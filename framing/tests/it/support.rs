//! What several tests need: clips made on the spot, a drawn picture, a slow reference.

use ffmpeg_next as ffmpeg;
use lva_framing::{ColorMatrix, ColorRange, Picture, PictureFormat, VideoCodec};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One encoded picture of a file.
pub(crate) struct Unit {
    pub(crate) data: Vec<u8>,
    pub(crate) timestamp_90k: u64,
    pub(crate) keyframe: bool,
}

/// The video of a file, as a camera session would give it.
pub(crate) struct Stream {
    pub(crate) codec: VideoCodec,
    pub(crate) extra_data: Vec<u8>,
    pub(crate) units: Vec<Unit>,
}

pub(crate) fn print_note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Makes a clip with the `ffmpeg` program; `None`, with a note on standard error, if that is not possible.
pub(crate) fn make_clip(dir: &Path, name: &str, size: &str, frames: u32, codec: &[&str]) -> Option<PathBuf> {
    let path = dir.join(name);
    let source = format!("testsrc2=size={size}:rate=30");
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            &source,
            "-frames:v",
            &frames.to_string(),
        ])
        .args(codec)
        .arg(&path)
        .output();
    match output {
        Ok(output) if output.status.success() => Some(path),
        Ok(output) => {
            print_note(&format!(
                "skipped: ffmpeg could not make {name}: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
            None
        }
        Err(error) => {
            print_note(&format!("skipped: no ffmpeg program: {error}"));
            None
        }
    }
}

pub(crate) const H264: [&str; 8] = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "30"];

pub(crate) fn read(path: &Path) -> Stream {
    let mut input = ffmpeg::format::input(path).unwrap();
    let stream = input.streams().best(ffmpeg::media::Type::Video).unwrap();
    let (index, rate) = (stream.index(), stream.time_base());
    let parameters = stream.parameters();
    // SAFETY: the parameters live as long as `input`; FFmpeg keeps `extradata_size` bytes at `extradata`, or null.
    let extra_data = unsafe {
        let parameters = &*parameters.as_ptr();
        if parameters.extradata.is_null() {
            Vec::new()
        } else {
            std::slice::from_raw_parts(parameters.extradata, parameters.extradata_size as usize).to_vec()
        }
    };
    let codec = match parameters.id() {
        ffmpeg::codec::Id::H264 => VideoCodec::H264,
        ffmpeg::codec::Id::HEVC => VideoCodec::H265,
        ffmpeg::codec::Id::MJPEG => VideoCodec::Mjpeg,
        other => panic!("{other:?}"),
    };
    drop(parameters);
    let units = input
        .packets()
        .filter(|(stream, _)| stream.index() == index)
        .map(|(_, packet)| Unit {
            data: packet.data().unwrap().to_vec(),
            timestamp_90k: 1_000_000
                + (packet.pts().unwrap() * 90_000 * i64::from(rate.numerator())
                    / i64::from(rate.denominator())) as u64,
            keyframe: packet.is_key(),
        })
        .collect();
    Stream {
        codec,
        extra_data,
        units,
    }
}

/// A clip of the shared directory; `None`, with a note on standard error, if the directory does not exist.
pub(crate) fn shared_clip(name: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("LVA_SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = dir.join("video").join(name);
    if path.exists() {
        return Some(path);
    }
    print_note(&format!("skipped: no {}", path.display()));
    None
}

/// A drawn 4:2:0 picture: slopes in every channel, soft shapes, a few edges.
pub(crate) fn drawn(width: u32, height: u32, matrix: ColorMatrix, range: ColorRange) -> Picture {
    let luma = |x: u32, y: u32| {
        let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let wave = ((x * 40.0).sin() * (y * 30.0).cos() + 1.0) / 2.0;
        let edge = if (x - 0.5).hypot(y - 0.5) < 0.2 { 40.0 } else { 0.0 };
        (40.0 + 60.0 * x + 40.0 * y + 40.0 * wave + edge) as u8
    };
    let chroma = |x: u32, y: u32, turn: f64| {
        let (x, y) = (
            f64::from(x * 2) / f64::from(width),
            f64::from(y * 2) / f64::from(height),
        );
        (128.0 + 60.0 * (x * 5.0 + turn).sin() * (y * 4.0 + turn).cos()) as u8
    };
    let plane = |width: u32, height: u32, value: &dyn Fn(u32, u32) -> u8| -> Vec<u8> {
        (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| value(x, y))
            .collect()
    };
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let planes = [
        plane(width, height, &luma),
        plane(half_width, half_height, &|x, y| chroma(x, y, 0.0)),
        plane(half_width, half_height, &|x, y| chroma(x, y, 1.5)),
    ];
    let [y, u, v] = &planes;
    Picture::from_planes(
        PictureFormat::Yuv420p,
        (width, height),
        [y, u, v],
        matrix,
        range,
        7,
    )
    .unwrap()
}

/// Red, green, blue of every pixel, 0 to 255, as exact as numbers are.
pub(crate) struct Reference {
    pub(crate) width: u32,
    pub(crate) rgb: Vec<[f64; 3]>,
}

impl Reference {
    pub(crate) fn at(&self, x: u32, y: u32) -> [f64; 3] {
        self.rgb[(y * self.width + x) as usize]
    }
}

/// Scales with a triangle as wide as the larger of both pixel pitches, samples taken at pixel centres; then converts
/// with the definition of the matrix. Slow and obvious.
pub(crate) fn reference(picture: &Picture, width: u32, height: u32) -> Reference {
    let planes: Vec<Vec<f64>> = (0..3)
        .map(|plane| scaled_plane(picture, plane, width, height))
        .collect();
    let (red, blue) = match picture.matrix() {
        ColorMatrix::Bt709 => (0.2126, 0.0722),
        ColorMatrix::Bt2020 => (0.2627, 0.0593),
        ColorMatrix::Smpte240 => (0.212, 0.087),
        _ => (0.299, 0.114),
    };
    let (black, luma_scale, chroma_scale) = match picture.range() {
        ColorRange::Limited => (16.0, 255.0 / 219.0, 255.0 / 224.0),
        ColorRange::Full => (0.0, 1.0, 1.0),
    };
    let rgb = (0..(width * height) as usize)
        .map(|index| {
            let y = (planes[0][index] - black) * luma_scale;
            let cb = (planes[1][index] - 128.0) * chroma_scale;
            let cr = (planes[2][index] - 128.0) * chroma_scale;
            let r = y + 2.0 * (1.0 - red) * cr;
            let b = y + 2.0 * (1.0 - blue) * cb;
            let g = (y - red * r - blue * b) / (1.0 - red - blue);
            [r, g, b].map(|value| value.clamp(0.0, 255.0))
        })
        .collect();
    Reference { width, rgb }
}

/// A plane in another size, by the same triangle.
pub(crate) fn scaled_plane(picture: &Picture, plane: usize, width: u32, height: u32) -> Vec<f64> {
    let source = picture.plane(plane).unwrap();
    let rows: Vec<Vec<f64>> = source
        .rows()
        .map(|row| {
            let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
            resample(&row, width as usize)
        })
        .collect();
    let mut out = vec![0.0; (width * height) as usize];
    for x in 0..width as usize {
        let column: Vec<f64> = rows.iter().map(|row| row[x]).collect();
        for (y, value) in resample(&column, height as usize).into_iter().enumerate() {
            out[y * width as usize + x] = value;
        }
    }
    out
}

fn resample(line: &[f64], length: usize) -> Vec<f64> {
    let pitch = line.len() as f64 / length as f64;
    let reach = pitch.max(1.0);
    (0..length)
        .map(|target| {
            let centre = (target as f64 + 0.5) * pitch - 0.5;
            let (mut sum, mut weights) = (0.0, 0.0);
            for source in (centre - reach).floor() as i64..=(centre + reach).ceil() as i64 {
                let weight = (1.0 - (source as f64 - centre).abs() / reach).max(0.0);
                let value = line[source.clamp(0, line.len() as i64 - 1) as usize];
                sum += weight * value;
                weights += weight;
            }
            sum / weights
        })
        .collect()
}

/// Peak signal to noise in decibels.
pub(crate) fn psnr(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (sum, count) = pairs.fold((0.0, 0_u64), |(sum, count), (a, b)| {
        (sum + (a - b) * (a - b), count + 1)
    });
    10.0 * (255.0 * 255.0 / (sum / count as f64)).log10()
}

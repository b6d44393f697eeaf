//! A complete extension in about sixty lines: reports the average colour of every frame.
//!
//! `cargo run -p lva-extension-protocol --example average-color -- 5001`, then point a graph at tcp://127.0.0.1:5001.

use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use lva_inference_schema::{Attribute, Classification, Inference, Tag};

struct AverageColor;

struct Frames;

impl BlockingExtension for AverageColor {
    fn identifier(&self) -> &str {
        "average-color"
    }

    fn open(&self, session: &SessionInfo) -> Result<Box<dyn BlockingSession>, ExtensionOpenError> {
        match session.format.and_then(|format| format.pixel_format()) {
            Some(PixelFormat::Bgr24) => Ok(Box::new(Frames)),
            _ => Err(ExtensionOpenError::UnsupportedFormat(
                "only raw bgr24 is supported".into(),
            )),
        }
    }
}

impl BlockingSession for Frames {
    fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        let pixels = (sample.data().len() / 3).max(1) as u64;
        let mut sums = [0_u64; 3];
        for pixel in sample.data().chunks_exact(3) {
            sums.iter_mut()
                .zip(pixel)
                .for_each(|(sum, value)| *sum += u64::from(*value));
        }
        let [blue, green, red] = sums.map(|sum| sum / pixels);
        let color = format!("#{red:02x}{green:02x}{blue:02x}");
        let attribute = Attribute::new("averageColor", color);
        let tag = Tag {
            value: "color".into(),
            ..Default::default()
        };
        Ok(vec![Inference::new(Classification {
            tag,
            attributes: vec![attribute],
            ..Default::default()
        })])
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "5001".into()).parse()?;
    let server = ExtensionServer::new(ThreadPerStream::new(AverageColor))
        .listen(ListenAddress::loopback(port))
        .await?;
    eprintln!("listening on {}", server.address());
    Ok(server.serve(std::future::pending()).await?)
}

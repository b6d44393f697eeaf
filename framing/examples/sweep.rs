//! x
#![allow(missing_docs, clippy::all)]
use lva_framing::*;
fn main() {
    // raw yuv420p frames 1920x1080
    let data = std::fs::read("target/bench/frames.yuv").unwrap();
    let n = 1920*1080*3/2;
    let plan = ImageSettings::new(PixelFormat::Bgr24).with_scale(ScaleMode::Pad, Some(1408), Some(786)).plan(1920,1080).unwrap();
    let mut r = Renderer::new(plan);
    let mut out = vec![];
    let mut slot = vec![0; plan.bytes()];
    for f in data.chunks_exact(n) {
        let (y, uv) = f.split_at(1920*1080); let (u, v) = uv.split_at(960*540);
        let p = Picture::from_planes(PictureFormat::Yuv420p,(1920,1080),[y,u,v],ColorMatrix::Bt601,ColorRange::Limited,0).unwrap();
        r.render(&p, &mut slot).unwrap();
        out.extend_from_slice(&slot);
    }
    std::fs::write(std::env::args().nth(1).unwrap(), out).unwrap();
}

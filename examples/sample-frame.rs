//! Draws one frame of the sample world as a PNG.
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n = |i: usize, d: u64| a.get(i).and_then(|v| v.parse().ok()).unwrap_or(d);
    let (w, h) = (n(4, 1280) as u32, n(5, 720) as u32);
    let t = std::time::Instant::now();
    let mut world = lva_sample_world::World::new(n(1, 7), lva_sample_world::WorldOptions { width: w, height: h, ..Default::default() }).unwrap();
    eprintln!("new {:?}", t.elapsed());
    let mut rgb = vec![0; world.frame_bytes()];
    let t = std::time::Instant::now();
    let truth = world.render(n(2, 300), &mut rgb).unwrap();
    eprintln!("render {:?}", t.elapsed());
    for e in &world.scene().events { eprintln!("{:.2} {} {} {:?}", e.seconds, e.person, e.boundary, e.status); }
    for p in &truth.people { eprintln!("{p:?}"); }
    image::save_buffer(&a[3], &rgb, w, h, image::ColorType::Rgb8).unwrap();
}

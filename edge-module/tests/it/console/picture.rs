//! Pictures of the page beside those of the demo's clip, and boxes beside the people who were drawn there.

use std::process::Command;

use serde_json::Value;

use super::chromium::decoded;

const WIDTH: usize = 160;
const HEIGHT: usize = 90;
const TICKS_PER_FRAME: i64 = 3000;
const PICTURES: usize = 300;

/// Small grey pictures of what the page shows, while it has boxes that were measured on this very picture.
pub(super) const GRAB: &str = "
    new Promise(done => {
        const stage = document.querySelector('.stage'), small = new OffscreenCanvas(160, 90).getContext('2d', {willReadFrequently: true}), all = [];
        stage.addEventListener('drawn', ({detail}) => {
            if (!detail.exact || all.length === 300 || all.at(-1)?.timestamp90k === detail.timestamp90k) return;
            small.drawImage(stage.querySelector('canvas'), 0, 0, 160, 90);
            const {data} = small.getImageData(0, 0, 160, 90), grey = [];
            for (let i = 0; i < data.length; i += 4) grey.push(Math.round(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]));
            all.push({timestamp90k: detail.timestamp90k, boxes: detail.entities.map(({box}) => box), grey: btoa(String.fromCharCode(...grey))});
            if (all.length === 300) done(all);
        });
    })
";

/// Finds each picture in the clip by its looks, and compares its time and its boxes with those of that very frame.
pub(super) fn compare(drawn: &[Value]) {
    assert_eq!(drawn.len(), PICTURES);
    let clip = clip();
    let truth = truth();
    let frames = clip.len() / (WIDTH * HEIGHT);
    assert_eq!(frames, truth.len());
    let time = |picture: &Value| picture["timestamp90k"].as_i64().unwrap();
    let distance = |grey: &[u8], frame: usize| -> u64 {
        let own = &clip[frame * WIDTH * HEIGHT..][..WIDTH * HEIGHT];
        own.iter().zip(grey).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
    };
    let nearest = |grey: &[u8], among: &mut dyn Iterator<Item = usize>| {
        among.min_by_key(|frame| distance(grey, *frame)).unwrap()
    };
    let first = nearest(&decoded(&drawn[0]["grey"]), &mut (0..frames));
    // How well boxes fit the people, by how many frames the people are taken from later.
    let mut fit = [0.0; 9];
    for picture in drawn {
        let passed = (time(picture) - time(&drawn[0]) + TICKS_PER_FRAME / 2).div_euclid(TICKS_PER_FRAME);
        let expected = (first as i64 + passed).rem_euclid(frames as i64) as usize;
        let around = (0..41).map(|i| (expected + frames + i - 20) % frames);
        let found = nearest(&decoded(&picture["grey"]), &mut around.into_iter());
        assert_eq!(found, expected, "the picture is not that of its time");
        let boxes: Vec<[f64; 4]> = serde_json::from_value(picture["boxes"].clone()).unwrap();
        for (shift, fit) in fit.iter_mut().enumerate() {
            let people = &truth[(found + frames + shift - 4) % frames];
            *fit += boxes
                .iter()
                .map(|drawn| {
                    people
                        .iter()
                        .map(|person| overlap(drawn, person))
                        .fold(0.0, f64::max)
                })
                .sum::<f64>();
        }
    }
    let best = (0..fit.len()).max_by(|a, b| fit[*a].total_cmp(&fit[*b])).unwrap();
    eprintln!("{PICTURES} pictures, each that of its time; boxes fit by frames later, from -4: {fit:.1?}");
    assert_eq!(best, 4, "boxes fit people of other frames better: {fit:?}");
}

/// All frames of the clip, small and grey.
fn clip() -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-i",
            concat!(env!("CARGO_MANIFEST_DIR"), "/demo/plaza.mp4"),
        ])
        .args([
            "-vf",
            "scale=160:90:flags=area,format=gray",
            "-f",
            "rawvideo",
            "-",
        ])
        .output()
        .expect("the ffmpeg program decodes the clip; `make packages` installs it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Boxes of the people in each frame.
fn truth() -> Vec<Vec<[f64; 4]>> {
    let text = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/media/plaza.json"
    ))
    .unwrap();
    let truth: Value = serde_json::from_slice(&text).unwrap();
    let people = |frame: &Value| {
        let all = frame["people"].as_array().unwrap().iter();
        all.map(|person| serde_json::from_value(person["box"].clone()).unwrap())
            .collect()
    };
    truth["frames"].as_array().unwrap().iter().map(people).collect()
}

/// Intersection over union of two boxes.
fn overlap([ax, ay, aw, ah]: &[f64; 4], [bx, by, bw, bh]: &[f64; 4]) -> f64 {
    let width = (ax + aw).min(bx + bw) - ax.max(*bx);
    let height = (ay + ah).min(by + bh) - ay.max(*by);
    let shared = width.max(0.0) * height.max(0.0);
    shared / (aw * ah + bw * bh - shared)
}

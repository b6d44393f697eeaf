use lva_examples::{EncoderOptions, VideoReader, VideoWriter};
use lva_sample_world::{World, WorldOptions};

fn options(width: u32, height: u32) -> EncoderOptions {
    EncoderOptions {
        width,
        height,
        fps: 30,
        keyframe_interval: 8,
        quality: 20,
    }
}

#[test]
fn every_frame_comes_back_in_order_and_looks_the_same() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("clip.mp4");
    let size = WorldOptions {
        width: 320,
        height: 180,
        fps: 30,
        seconds: 0.7,
    };
    let mut world = World::new(7, size).expect("the options are in range");
    let mut writer = VideoWriter::create(&path, options(320, 180)).expect("libx264 is installed");
    let mut drawn = Vec::new();
    for index in 0..world.frame_count() {
        let mut rgb = vec![0; world.frame_bytes()];
        world.render(index, &mut rgb).expect("the frame exists");
        writer.write(&rgb).expect("it can be written");
        drawn.push(rgb);
    }
    writer.finish().expect("it can be written");
    let mut reader = VideoReader::open(&path).expect("it was just written");
    assert_eq!(reader.frame_count(), 21);
    let mut bgr = Vec::new();
    for rgb in &drawn {
        assert_eq!(reader.read(&mut bgr).expect("it decodes"), Some((320, 180)));
        let difference: u64 = rgb
            .chunks_exact(3)
            .zip(bgr.chunks_exact(3))
            .map(|(a, b)| u64::from(a[0].abs_diff(b[2])) + u64::from(a[1].abs_diff(b[1])))
            .sum();
        let mean = difference as f64 / (rgb.len() / 3 * 2) as f64;
        assert!(mean < 6.0, "a mean difference of {mean} levels");
    }
    assert_eq!(reader.read(&mut bgr).expect("the end is not an error"), None);
}

#[test]
fn an_odd_size_and_a_wrong_frame_are_refused_with_a_reason() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("clip.mp4");
    let odd = VideoWriter::create(&path, options(321, 180)).expect_err("4:2:0 cannot hold it");
    assert!(odd.to_string().contains("even"), "{odd}");
    let mut writer = VideoWriter::create(&path, options(320, 180)).expect("libx264 is installed");
    assert!(writer.write(&[0; 12]).is_err());
}

#[test]
fn a_file_that_is_not_a_video_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("notes.mp4");
    std::fs::write(&path, "not a video").expect("it can be written");
    let error = VideoReader::open(&path).expect_err("it is text");
    assert!(error.to_string().contains("notes.mp4"), "{error}");
    assert!(VideoReader::open(&directory.path().join("absent.mp4")).is_err());
}

//! An encoder's output becomes a clip that decodes to the same pictures.

use lva_recording::nal::access_units;
use lva_recording::{ClipWriter, MediaUnit, Tracks, VideoCodec, VideoTrack};

use crate::support::{START, run};

/// The hash of all decoded pictures of a file.
fn pictures(path: &str) -> Option<String> {
    run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-i",
            path,
            "-map",
            "0:v",
            "-fps_mode",
            "passthrough",
            "-f",
            "hash",
            "-hash",
            "md5",
            "-",
        ],
    )
}

#[test]
fn the_output_of_x264_and_x265_is_recorded_without_loss_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let source = "testsrc2=size=190x108:rate=25:duration=2";
    for (codec, name, encoder) in [
        (
            VideoCodec::H264,
            "source.h264",
            ["-c:v", "libx264", "-x264-params", "bframes=0:slices=3"],
        ),
        (
            VideoCodec::H265,
            "source.h265",
            ["-c:v", "libx265", "-x265-params", "bframes=0:log-level=none"],
        ),
    ] {
        let stream = directory.path().join(name);
        let stream = stream.to_str().unwrap();
        let mut arguments = vec![
            "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", "-g", "10",
        ];
        arguments.extend(encoder);
        arguments.push(stream);
        if run("ffmpeg", &arguments).is_none() {
            return;
        }
        let bytes = std::fs::read(stream).unwrap();
        let video = VideoTrack::from_annex_b(codec, &bytes).unwrap();
        assert_eq!((video.width, video.height), (190, 108));
        let path = directory.path().join(format!("{name}.mp4"));
        let mut clip = ClipWriter::create(&path, &Tracks { video, audio: None }, START).unwrap();
        let mut keyframes = 0;
        for (number, picture) in (0..).zip(access_units(codec, &bytes)) {
            let unit = MediaUnit::from_annex_b(codec, START + number * 3600, picture)
                .unwrap()
                .unwrap();
            keyframes += usize::from(unit.keyframe);
            clip.write(&unit).unwrap();
        }
        assert_eq!(keyframes, 5, "{name}");
        assert_eq!(clip.finish().unwrap().video_packets, 50, "{name}");
        let expected = pictures(stream).expect("ffmpeg decodes what it encoded");
        assert_eq!(pictures(path.to_str().unwrap()), Some(expected), "{name}");
    }
}

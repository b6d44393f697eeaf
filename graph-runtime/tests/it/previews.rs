//! Preview pictures of a video, compared with the video itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use lva_recording::{PreviewSize, Sidecar, preview_path};
use serde_json::json;

use crate::site::{instance_of, named};
use crate::support::*;

/// The pixels of the last picture that a filter lets through, in the size of a preview.
fn pixels(path: &Path, filter: &str, size: (usize, usize)) -> Vec<u8> {
    let filter = format!("{filter},scale={}:{}:flags=area", size.0, size.1);
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-vf", &filter, "-fps_mode", "passthrough"])
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let frame = size.0 * size.1 * 3;
    assert!(!output.stdout.is_empty() && output.stdout.len().is_multiple_of(frame));
    output.stdout[output.stdout.len() - frame..].to_vec()
}

/// What two pictures differ by, a sample on average.
fn difference(one: &[u8], other: &[u8]) -> f64 {
    let sum: u64 = one
        .iter()
        .zip(other)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / one.len() as f64
}

/// Width and height as `ffprobe` finds them, and the codec.
fn probed(path: &Path) -> (String, usize, usize) {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name,width,height"])
        .args(["-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let fields: Vec<&str> = text.trim().split(',').collect();
    (
        fields[0].to_owned(),
        fields[1].parse().unwrap(),
        fields[2].parse().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_with_previews_has_pictures_of_its_newest_key_frame_in_three_sizes() {
    let directory = tempfile::tempdir().unwrap();
    make_clip_of(directory.path(), "size=720x480:rate=30:duration=6");
    let recordings = directory.path().join("recordings");
    let simulator = camera(directory.path(), None).await;
    let (module, _) = module(&recordings);
    let video = |name: &str, previews: &str| {
        json!({
            "@type": "#Microsoft.VideoAnalyzer.VideoSink", "name": name, "videoName": name,
            "videoPublishingOptions": {"enableVideoPreviewImage": previews},
            "localMediaCachePath": "/var/lib/videoanalyzer/tmp/", "localMediaCacheMaximumSizeMiB": "2048",
            "inputs": [{"nodeName": "camera"}],
        })
    };
    let credentials = json!({
        "@type": "#Microsoft.VideoAnalyzer.UsernamePasswordCredentials", "username": USER, "password": PASSWORD,
    });
    let endpoint = json!({
        "@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": simulator.url("clip.mp4").to_string(),
        "credentials": credentials,
    });
    let source =
        json!({"@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "camera", "endpoint": endpoint});
    let topology = json!({
        "@apiVersion": "1.1", "name": "DoorTopology",
        "properties": {"sources": [source], "sinks": [video("shown", "true"), video("plain", "false")]},
    });
    must(&module, "pipelineTopologySet", topology).await;
    must(&module, "livePipelineSet", instance_of("1.1", "Door")).await;
    must(&module, "livePipelineActivate", named("1.1", "Door")).await;
    until_of(&module, "Door", |stats| stats.received >= 100).await;
    must(&module, "livePipelineDeactivate", named("1.1", "Door")).await;

    let stats = module.stats("Door").unwrap();
    let made = stats.recordings["shown"].previews;
    assert_eq!((made.made, made.failed, made.skipped), (1, 0, 0));
    assert_eq!(stats.recordings["plain"].previews.made, 0);
    let of = |sink: &str| {
        let mut clips = stats.newest_clips.iter().filter(|clip| clip.sink == sink);
        clips.next().unwrap().path.clone()
    };
    let clip: PathBuf = of("shown");
    let newest = *Sidecar::read(&clip).unwrap().keyframes_90k.last().unwrap();
    for (size, width, height) in [
        (PreviewSize::Small, 320, 213),
        (PreviewSize::Medium, 640, 427),
        (PreviewSize::Large, 720, 480),
    ] {
        let preview = preview_path(&clip, size);
        assert!(!preview_path(&of("plain"), size).exists());
        assert_eq!(probed(&preview), ("mjpeg".to_owned(), width, height));
        let picture = pixels(&preview, "null", (width, height));
        let newest_key = pixels(&clip, r"select=eq(pict_type\,I)", (width, height));
        let one_before = pixels(&clip, r"select=eq(pict_type\,I)*lt(n\,60)", (width, height));
        let (own, other) = (
            difference(&picture, &newest_key),
            difference(&picture, &one_before),
        );
        eprintln!("{width}x{height}: {own:.2} from its key frame, {other:.2} from an earlier one");
        assert!(own < 8.0 && own * 1.5 < other, "{own} {other}");
        let comment = format!("timestamp_90k {newest}");
        let bytes = std::fs::read(&preview).unwrap();
        assert!(
            bytes
                .windows(comment.len())
                .any(|text| text == comment.as_bytes())
        );
    }
    let names = std::fs::read_dir(recordings.join("shown")).unwrap();
    assert_eq!(names.count(), 2 + 3 + 1, "no unfinished file");
}

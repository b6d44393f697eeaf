//! Encodings and file forms, and streams that cannot be used.

use lva_rtsp::{Camera, CameraEvent, Codec, MediaKind, Transport};
use lva_rtsp_simulator::{Faults, Simulator, SimulatorOptions, video_samples};

use crate::support::{established, made_clip, next, quick, simulator, units};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h265_comes_with_its_parameters_and_byte_for_byte_or_skips() {
    let x265 = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=error:bframes=0:keyint=15",
        "-tag:v",
        "hvc1",
    ];
    let Some(directory) = made_clip(false, &x265) else {
        return;
    };
    let samples = video_samples(&directory.path().join("clip.mp4")).unwrap();
    for in_band in [false, true] {
        let options = SimulatorOptions::new(directory.path()).with_parameter_sets_in_band(in_band);
        let simulator = Simulator::start(options).await.unwrap();
        for transport in [Transport::Tcp, Transport::Http] {
            let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")).with_transport(transport));
            let (mut streams, _) = established(&mut camera).await;
            assert_eq!((streams[0].codec, streams[0].playing), (Codec::H265, true));
            let mut found = Vec::new();
            while found.len() < 20 {
                match next(&mut camera).await {
                    CameraEvent::StreamChanged(stream) => streams[0] = stream,
                    CameraEvent::Unit(unit) => found.push(unit),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(streams[0].size, Some((320, 240)), "in band: {in_band}");
            assert!(streams[0].codec_name.as_deref().unwrap().starts_with("hvc1."));
            assert!(found[0].keyframe);
            for (number, (unit, sample)) in found.iter().zip(&samples).enumerate() {
                assert!(
                    ends_with_the_same_picture(&unit.data, sample),
                    "unit {number}, in band: {in_band}"
                );
            }
        }
    }
}

/// The encoder puts parameter sets and a message about itself before the first picture; units come without the sets.
fn ends_with_the_same_picture(unit: &[u8], sample: &[u8]) -> bool {
    let picture = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let mut rest = bytes;
        let mut slices = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (nal, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            if nal[0] >> 1 < 32 {
                slices.push(nal.to_vec());
            }
            rest = after;
        }
        slices
    };
    !picture(unit).is_empty() && picture(unit) == picture(sample)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fragmented_files_play_as_whole_ones_do_or_skips() {
    let flags = "frag_keyframe+empty_moov+default_base_moof";
    for flags in [flags, "frag_keyframe+empty_moov", "frag_keyframe"] {
        let Some(directory) = made_clip(true, &["-movflags", flags]) else {
            return;
        };
        let samples = video_samples(&directory.path().join("clip.mp4")).unwrap();
        assert_eq!(samples.len(), 60, "{flags}");
        let simulator = simulator(directory.path()).await;
        let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
        let (streams, _) = established(&mut camera).await;
        assert!(streams.iter().all(|stream| stream.playing) && streams.len() == 2);
        // Across the loop: two seconds, and the beginning again.
        let units = units(&mut camera, 0, 70).await;
        for (number, unit) in units.iter().enumerate() {
            assert!(unit.data == samples[number % 60], "{flags}: unit {number}");
            // The audio encoder begins with silence, for which ffmpeg stretches the first picture.
            if number % 60 > 1 {
                let ticks = unit.timestamp_90k - units[number - 1].timestamp_90k;
                assert!(ticks.abs_diff(3000) < 200, "{flags}: unit {number} after {ticks}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matroska_files_play_as_the_same_streams_in_mp4_do_or_skips() {
    for encoder in [["-bf", "0"], ["-bf", "2"]] {
        let Some(directory) = made_clip(true, &encoder) else {
            return;
        };
        let (mp4, mkv) = (
            directory.path().join("clip.mp4"),
            directory.path().join("clip.mkv"),
        );
        let copied = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&mp4)
            .args(["-c", "copy"])
            .arg(&mkv)
            .status();
        assert!(copied.unwrap().success());
        let samples = video_samples(&mp4).unwrap();
        assert!(video_samples(&mkv).unwrap() == samples, "{encoder:?}");
        let simulator = simulator(directory.path()).await;
        let mut camera = Camera::connect(quick(&simulator.url("clip.mkv")));
        let (streams, _) = established(&mut camera).await;
        assert!(streams.iter().all(|stream| stream.playing) && streams.len() == 2);
        let units = units(&mut camera, 0, 70).await;
        let mut shown: Vec<u64> = units.iter().take(60).map(|unit| unit.timestamp_90k).collect();
        shown.sort_unstable();
        for (number, unit) in units.iter().enumerate() {
            assert!(unit.data == samples[number % 60], "{encoder:?}: unit {number}");
        }
        for pair in shown.windows(2).skip(2) {
            // Matroska counts milliseconds.
            assert!((pair[1] - pair[0]).abs_diff(3000) < 200, "{encoder:?}: {pair:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_was_cut_off_plays_as_far_as_it_goes_or_skips() {
    let flags = ["-movflags", "frag_keyframe+empty_moov+default_base_moof"];
    let Some(directory) = made_clip(false, &flags) else {
        return;
    };
    let file = directory.path().join("clip.mp4");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() * 2 / 3]).unwrap();
    let samples = video_samples(&file).unwrap();
    assert!((20..60).contains(&samples.len()), "{} samples", samples.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_cannot_be_used_are_named_and_the_others_play_or_skips() {
    let Some(directory) = made_clip(true, &[]) else {
        return;
    };
    let options =
        SimulatorOptions::new(directory.path()).with_faults(Faults::default().with_foreign_streams(true));
    let simulator = Simulator::start(options).await.unwrap();
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    let (streams, _) = established(&mut camera).await;
    let seen: Vec<_> = streams
        .iter()
        .map(|s| {
            (
                s.media,
                s.encoding_name.as_str(),
                s.playing,
                s.format_error_code(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (MediaKind::Video, "h264", true, None),
            (MediaKind::Audio, "mpeg4-generic", true, None),
            (MediaKind::Video, "vp8", false, Some("unsupportedVideoFormat")),
            // Usable, but one audio stream is enough.
            (MediaKind::Audio, "opus", false, None),
            (MediaKind::Application, "vnd.onvif.metadata", false, None),
        ]
    );
    assert_eq!(streams[4].codec, Codec::OnvifMetadata);
    assert_eq!(units(&mut camera, 0, 10).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_parameter_sets_in_the_description_give_way_to_those_in_band_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let options = SimulatorOptions::new(directory.path())
        .with_faults(Faults::default().with_wrong_parameter_sets(true));
    let simulator = Simulator::start(options).await.unwrap();
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    let (streams, _) = established(&mut camera).await;
    let described = streams[0].codec_name.clone().unwrap();
    assert!(
        described.ends_with("0A"),
        "level 1.0 is the wrong one: {described}"
    );
    let CameraEvent::StreamChanged(stream) = next(&mut camera).await else {
        panic!("the truth comes before the first unit")
    };
    assert_ne!(stream.codec_name, Some(described));
    assert_eq!(units(&mut camera, 0, 20).await.len(), 20);
}

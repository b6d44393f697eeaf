//! Real streams, and what cameras do to them.

use crate::support::{H264, Stream, make_clip, print_note, read, shared_clip};
use lva_framing::{
    ColorMatrix, ColorRange, Decoder, DecoderOpenError, DecoderOptions, Picture, PushError, UnitOutcome,
    VideoCodec,
};

fn open(stream: &Stream) -> Decoder {
    Decoder::open(stream.codec, &stream.extra_data, DecoderOptions::default()).unwrap()
}

fn all(decoder: &mut Decoder) -> Vec<Picture> {
    std::iter::from_fn(|| decoder.next_picture()).collect()
}

#[test]
fn each_unit_gives_its_picture_at_once_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = make_clip(dir.path(), "plain.mp4", "320x180", 70, &H264) else {
        return;
    };
    let stream = read(&path);
    for threads in [1, 3] {
        let options = DecoderOptions::default().with_threads(threads);
        let mut decoder = Decoder::open(stream.codec, &stream.extra_data, options).unwrap();
        for unit in &stream.units {
            assert_eq!(
                decoder.push(&unit.data, unit.timestamp_90k),
                Ok(UnitOutcome::Accepted)
            );
            let picture = decoder.next_picture().expect("no delay without reordering");
            assert_eq!(picture.timestamp_90k(), unit.timestamp_90k);
            assert_eq!(
                (picture.width(), picture.height(), picture.is_damaged()),
                (320, 180, false)
            );
            assert!(decoder.next_picture().is_none());
        }
        assert_eq!((decoder.stats().units, decoder.stats().pictures), (70, 70));
        assert_eq!(decoder.stats().damaged_units, 0);
    }
}

#[test]
fn threads_over_pictures_lose_none_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = make_clip(dir.path(), "plain.mp4", "320x180", 40, &H264) else {
        return;
    };
    let stream = read(&path);
    let options = DecoderOptions::default().with_threads(4).with_low_delay(false);
    let mut decoder = Decoder::open(stream.codec, &stream.extra_data, options).unwrap();
    let mut pictures = Vec::new();
    for unit in &stream.units {
        let _ = decoder.push(&unit.data, unit.timestamp_90k).unwrap();
        pictures.extend(all(&mut decoder));
    }
    decoder.flush();
    pictures.extend(all(&mut decoder));
    let times: Vec<u64> = pictures.iter().map(Picture::timestamp_90k).collect();
    assert_eq!(
        times,
        stream
            .units
            .iter()
            .map(|unit| unit.timestamp_90k)
            .collect::<Vec<_>>()
    );
}

#[test]
fn reordered_pictures_come_in_order_of_presentation_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let codec = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "3", "-g", "30"];
    let Some(path) = make_clip(dir.path(), "b.mp4", "320x180", 60, &codec) else {
        return;
    };
    let stream = read(&path);
    let mut decoder = open(&stream);
    let mut pictures = Vec::new();
    for unit in &stream.units {
        assert_eq!(
            decoder.push(&unit.data, unit.timestamp_90k),
            Ok(UnitOutcome::Accepted)
        );
        pictures.extend(all(&mut decoder));
    }
    decoder.flush();
    pictures.extend(all(&mut decoder));
    let mut expected: Vec<u64> = stream.units.iter().map(|unit| unit.timestamp_90k).collect();
    expected.sort_unstable();
    let times: Vec<u64> = pictures.iter().map(Picture::timestamp_90k).collect();
    assert_eq!(times, expected);
}

#[test]
fn damaged_units_are_counted_and_survived_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = make_clip(dir.path(), "plain.mp4", "320x180", 90, &H264) else {
        return;
    };
    let stream = read(&path);
    let mut decoder = open(&stream);
    let mut clean_after_keyframe = 0;
    for (index, unit) in stream.units.iter().enumerate() {
        let mut data = unit.data.clone();
        match index {
            5 => data.truncate(data.len() / 2),
            10 => data.clear(),
            15 => data = vec![0xff; 200],
            20 => data[4..].fill(0),
            25 => {
                let tail = data.len() / 3;
                data[tail..].reverse();
            }
            _ => {}
        }
        let outcome = decoder.push(&data, unit.timestamp_90k).unwrap();
        if matches!(index, 5 | 10 | 15) {
            assert_eq!(outcome, UnitOutcome::Damaged, "unit {index}");
        }
        for picture in all(&mut decoder) {
            if index >= 30 {
                assert!(!picture.is_damaged());
                clean_after_keyframe += 1;
            }
        }
    }
    assert_eq!(
        clean_after_keyframe, 60,
        "from the next keyframe on nothing is missing"
    );
    assert!(decoder.stats().damaged_units >= 3, "{:?}", decoder.stats());
}

#[test]
fn a_stream_may_change_its_size_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let small = make_clip(dir.path(), "small.mp4", "320x180", 10, &H264);
    let large = make_clip(dir.path(), "large.mp4", "640x360", 10, &H264);
    let (Some(small), Some(large)) = (small, large) else {
        return;
    };
    let (small, large) = (read(&small), read(&large));
    let mut decoder = open(&small);
    let mut sizes = Vec::new();
    for stream in [&small, &large, &small] {
        decoder.set_extra_data(&stream.extra_data).unwrap();
        for unit in &stream.units {
            let _ = decoder.push(&unit.data, unit.timestamp_90k).unwrap();
            sizes.extend(all(&mut decoder).iter().map(Picture::width));
        }
    }
    assert_eq!(sizes, [vec![320; 10], vec![640; 10], vec![320; 10]].concat());
}

#[test]
fn joining_in_mid_stream_waits_for_a_keyframe_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = make_clip(dir.path(), "plain.mp4", "320x180", 60, &H264) else {
        return;
    };
    let stream = read(&path);
    assert!(stream.units[30].keyframe);
    let mut decoder = open(&stream);
    let mut times = Vec::new();
    for unit in &stream.units[7..] {
        let _ = decoder.push(&unit.data, unit.timestamp_90k).unwrap();
        times.extend(all(&mut decoder).iter().map(Picture::timestamp_90k));
    }
    assert!(times.contains(&stream.units[30].timestamp_90k));
    assert_eq!(times.last(), stream.units.last().map(|unit| &unit.timestamp_90k));
    decoder.flush();
    let _ = decoder.push(&stream.units[30].data, 5).unwrap();
    assert_eq!(
        all(&mut decoder)
            .iter()
            .map(Picture::timestamp_90k)
            .collect::<Vec<_>>(),
        [5]
    );
}

#[test]
fn other_codecs_decode_by_the_same_code_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let h265 = [
        "-c:v",
        "libx265",
        "-pix_fmt",
        "yuv420p",
        "-x265-params",
        "bframes=0:log-level=none",
    ];
    let mjpeg = ["-c:v", "mjpeg", "-pix_fmt", "yuvj422p", "-q:v", "3"];
    for (name, codec, expected) in [
        ("a.mp4", &h265[..], VideoCodec::H265),
        ("a.mov", &mjpeg[..], VideoCodec::Mjpeg),
    ] {
        let Some(path) = make_clip(dir.path(), name, "320x180", 12, codec) else {
            continue;
        };
        let stream = read(&path);
        assert_eq!(stream.codec, expected);
        let mut decoder = open(&stream);
        let mut count = 0;
        for unit in &stream.units {
            assert_eq!(
                decoder.push(&unit.data, unit.timestamp_90k),
                Ok(UnitOutcome::Accepted)
            );
            for picture in all(&mut decoder) {
                assert_eq!(picture.width(), 320);
                let range = if expected == VideoCodec::Mjpeg {
                    ColorRange::Full
                } else {
                    ColorRange::Limited
                };
                assert_eq!(picture.range(), range);
                count += 1;
            }
        }
        decoder.flush();
        count += all(&mut decoder).len();
        assert_eq!(count, 12, "{expected}");
    }
}

#[test]
fn colours_are_taken_from_the_stream_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let codec = [&H264[..], &["-colorspace", "bt709", "-color_range", "pc"]].concat();
    let Some(path) = make_clip(dir.path(), "hd.mp4", "320x180", 2, &codec) else {
        return;
    };
    let stream = read(&path);
    let mut decoder = open(&stream);
    let _ = decoder.push(&stream.units[0].data, 0).unwrap();
    let picture = decoder.next_picture().unwrap();
    assert_eq!(
        (picture.matrix(), picture.range()),
        (ColorMatrix::Bt709, ColorRange::Full)
    );
}

#[test]
fn shared_clips_decode_in_full_or_skips() {
    for name in ["one-by-one-indoor.mp4", "pedestrians-outdoor.mp4"] {
        let Some(path) = shared_clip(name) else { continue };
        let stream = read(&path);
        let mut decoder = open(&stream);
        let mut pictures = 0;
        for unit in &stream.units {
            assert_eq!(
                decoder.push(&unit.data, unit.timestamp_90k),
                Ok(UnitOutcome::Accepted)
            );
            pictures += all(&mut decoder).len();
        }
        decoder.flush();
        pictures += all(&mut decoder).len();
        print_note(&format!(
            "{name}: {pictures} pictures of {} units",
            stream.units.len()
        ));
        assert_eq!(pictures, stream.units.len(), "{name}");
    }
}

#[test]
fn what_is_no_configuration_is_refused() {
    for extra_data in [&[0, 0, 0, 1, 0x67][..], &[1, 66, 0, 30][..]] {
        let error = Decoder::open(VideoCodec::H264, extra_data, DecoderOptions::default()).unwrap_err();
        assert!(
            matches!(
                error,
                DecoderOpenError::ExtraData {
                    codec: VideoCodec::H264,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("record"), "{error}");
    }
}

#[test]
fn noise_and_impossible_times_do_not_stop_a_decoder() {
    for codec in [VideoCodec::H264, VideoCodec::H265, VideoCodec::Mjpeg] {
        let mut decoder = Decoder::open(codec, &[], DecoderOptions::default()).unwrap();
        let mut state = 1_u32;
        for length in 0..400_usize {
            let mut noise = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            let mut unit: Vec<u8> = u32::try_from(length).unwrap().to_be_bytes().to_vec();
            unit.extend((0..length).map(|_| noise()));
            let _ = decoder.push(&unit, length as u64);
            let _ = all(&mut decoder);
        }
        assert_eq!(
            decoder.push(&[0; 9], u64::MAX),
            Err(PushError::Timestamp(u64::MAX))
        );
        decoder.flush();
        assert_eq!(decoder.stats().units, 401);
    }
}

#[test]
fn decoders_pictures_and_plans_move_between_threads() {
    fn send<T: Send>() {}
    send::<Decoder>();
    send::<Picture>();
    send::<lva_framing::FramePlan>();
}

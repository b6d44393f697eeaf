//! Decoding less: what is delivered has to be what full decoding delivers, to the last bit.

use crate::support::{H264, Stream, make_clip, print_note, read};
use lva_framing::{Decoder, DecoderOptions, Demand, FrameRate, Hardware, Pacer, Picture, UnitOutcome};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

fn digest(picture: &Picture) -> u64 {
    let mut hasher = DefaultHasher::new();
    for plane in (0..3).filter_map(|plane| picture.plane(plane)) {
        plane.rows().for_each(|row| row.hash(&mut hasher));
    }
    hasher.finish()
}

fn open(stream: &Stream) -> Decoder {
    Decoder::open(stream.codec, &stream.extra_data, DecoderOptions::default()).unwrap()
}

fn drain(decoder: &mut Decoder, into: &mut Vec<(u64, u64)>) {
    while let Some(picture) = decoder.next_picture() {
        assert!(!picture.is_damaged());
        into.push((picture.timestamp_90k(), digest(&picture)));
    }
}

/// Time and digest of every picture.
fn in_full(stream: &Stream) -> Vec<(u64, u64)> {
    let (mut decoder, mut out) = (open(stream), Vec::new());
    for unit in &stream.units {
        let _ = decoder.push(&unit.data, unit.timestamp_90k).unwrap();
        drain(&mut decoder, &mut out);
    }
    decoder.flush();
    drain(&mut decoder, &mut out);
    assert_eq!(out.len(), stream.units.len());
    out
}

/// Time and digest of the pictures that a demand gets, and the number of units left out.
fn on_demand(stream: &Stream, demand: &mut dyn Demand) -> (Vec<(u64, u64)>, u64) {
    let (mut decoder, mut out) = (open(stream), Vec::new());
    for unit in &stream.units {
        let outcome = decoder.push_for(&unit.data, unit.timestamp_90k, demand).unwrap();
        assert_ne!(outcome, UnitOutcome::Damaged);
        drain(&mut decoder, &mut out);
    }
    decoder.flush_for(demand);
    drain(&mut decoder, &mut out);
    let stats = decoder.stats();
    assert_eq!(stats.units, stream.units.len() as u64);
    assert_eq!(
        stats.pictures + stats.unwanted_pictures + stats.skipped_units,
        stats.units,
        "{stats:?}"
    );
    (out, stats.skipped_units)
}

fn pacer(rate: &str) -> Pacer {
    Pacer::new(rate.parse::<FrameRate>().unwrap())
}

/// Checks rates of 30 frames a second against full decoding; for each the least share of units to be left out.
fn check(name: &str, stream: &Stream, rates: &[(&str, f64)]) {
    let full = in_full(stream);
    let by_time: BTreeMap<u64, u64> = full.iter().copied().collect();
    for (rate, least) in rates {
        let (delivered, skipped) = on_demand(stream, &mut pacer(rate));
        let mut pacer = pacer(rate);
        let expected: Vec<(u64, u64)> = full
            .iter()
            .copied()
            .filter(|(time, _)| pacer.admit(*time))
            .collect();
        for (time, digest) in &delivered {
            assert_eq!(
                by_time.get(time),
                Some(digest),
                "{name} at {rate}: the picture of {time}"
            );
        }
        assert_eq!(delivered, expected, "{name} at {rate}");
        let share = skipped as f64 / stream.units.len() as f64;
        print_note(&format!(
            "{name} at {rate} of 30: {share:.2} of the units left out"
        ));
        assert!(share >= *least, "{name} at {rate}: {share}");
    }
}

#[test]
fn what_is_delivered_equals_full_decoding_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let x264 = |b_frames: &'static str, keys: &'static str| {
        [
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-pix_fmt",
            "yuv420p",
            "-sc_threshold",
            "0",
            "-bf",
            b_frames,
            "-g",
            keys,
        ]
    };
    let x265 = "bframes=4:b-pyramid=1:keyint=60:min-keyint=60:scenecut=0:open-gop=0:log-level=none";
    type Case = (&'static str, Vec<&'static str>, &'static [(&'static str, f64)]);
    let cases: [Case; 5] = [
        ("plain.mp4", x264("0", "60").to_vec(), &[("2", 0.0), ("15", 0.0)]),
        (
            "b.mp4",
            x264("3", "60").to_vec(),
            &[("2", 0.3), ("7", 0.25), ("15", 0.0), ("30", 0.0)],
        ),
        // A keyframe each half second.
        (
            "keys.mp4",
            x264("0", "15").to_vec(),
            &[("2", 0.75), ("1", 0.75), ("3", 0.0)],
        ),
        ("b-keys.mp4", x264("3", "15").to_vec(), &[("2", 0.75), ("5", 0.3)]),
        (
            "h265.mp4",
            vec![
                "-c:v",
                "libx265",
                "-preset",
                "ultrafast",
                "-pix_fmt",
                "yuv420p",
                "-x265-params",
                x265,
            ],
            &[("2", 0.2), ("30", 0.0)],
        ),
    ];
    for (name, codec, rates) in cases {
        if let Some(path) = make_clip(dir.path(), name, "320x180", 240, &codec) {
            check(name, &read(&path), rates);
        }
    }
}

#[test]
fn of_mjpeg_nothing_is_decoded_but_what_is_wanted_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let codec = ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "4"];
    if let Some(path) = make_clip(dir.path(), "a.mov", "160x120", 90, &codec) {
        check("mjpeg", &read(&path), &[("2", 0.9), ("10", 0.65), ("30", 0.0)]);
    }
}

#[test]
fn slower_than_the_keyframes_their_pictures_come_in_the_same_number_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let codec = [&H264[..], &["-sc_threshold", "0"]].concat();
    let Some(path) = make_clip(dir.path(), "slow.mp4", "160x120", 600, &codec) else {
        return;
    };
    let stream = read(&path);
    let full: BTreeMap<u64, u64> = in_full(&stream).into_iter().collect();
    // A keyframe each second, and a picture each 1.6 s is asked for.
    let (delivered, skipped) = on_demand(&stream, &mut pacer("0.625"));
    let mut pacer = pacer("0.625");
    let expected = full.keys().filter(|time| pacer.admit(**time)).count();
    // The last one waits for a keyframe after the end.
    assert!(
        (expected - 1..=expected).contains(&delivered.len()),
        "{} of {expected}",
        delivered.len()
    );
    assert!(
        delivered
            .iter()
            .all(|(time, digest)| full.get(time) == Some(digest))
    );
    assert!(skipped >= 500, "{skipped}");
}

#[test]
fn parameter_sets_in_band_make_no_difference_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = make_clip(dir.path(), "plain.mp4", "320x180", 60, &H264) else {
        return;
    };
    let out_of_band = read(&path);
    let expected = in_full(&out_of_band);
    // avcC: five bytes, then the counts of both kinds of sets, each of them with a length of two bytes.
    let record = &out_of_band.extra_data;
    let (mut sets, mut at) = (Vec::new(), 5);
    for mask in [31, 255] {
        let count = record[at] & mask;
        at += 1;
        for _ in 0..count {
            let length = usize::from(record[at]) << 8 | usize::from(record[at + 1]);
            sets.extend((length as u32).to_be_bytes());
            sets.extend(&record[at + 2..at + 2 + length]);
            at += 2 + length;
        }
    }
    let mut in_band = read(&path);
    in_band.extra_data.clear();
    for unit in in_band.units.iter_mut().filter(|unit| unit.keyframe) {
        unit.data = [&sets[..], &unit.data].concat();
    }
    assert_eq!(in_full(&in_band), expected);
    assert_eq!(on_demand(&in_band, &mut pacer("1")).0.len(), 2);
}

#[test]
fn damage_among_units_on_demand_is_counted_and_survived_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let codec = [
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "-sc_threshold",
        "0",
        "-bf",
        "2",
        "-g",
        "30",
    ];
    let Some(path) = make_clip(dir.path(), "b.mp4", "320x180", 180, &codec) else {
        return;
    };
    let stream = read(&path);
    let full: BTreeMap<u64, u64> = in_full(&stream).into_iter().collect();
    let mut decoder = open(&stream);
    let mut pacer = pacer("10");
    let mut clean = 0;
    for (index, unit) in stream.units.iter().enumerate() {
        let mut data = unit.data.clone();
        if index % 37 == 11 {
            data.truncate(data.len() / 3);
        }
        let _ = decoder.push_for(&data, unit.timestamp_90k, &mut pacer);
        while let Some(picture) = decoder.next_picture() {
            clean += usize::from(full.get(&picture.timestamp_90k()) == Some(&digest(&picture)));
        }
    }
    assert!(decoder.stats().damaged_units >= 3, "{:?}", decoder.stats());
    assert!(clean >= 20, "{clean}");
}

#[test]
fn a_device_that_is_not_there_is_replaced_by_software_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = make_clip(dir.path(), "plain.mp4", "320x180", 10, &H264) else {
        return;
    };
    let stream = read(&path);
    let expected = in_full(&stream);
    for device in Hardware::ALL {
        let options = DecoderOptions::default().with_hardware(Some(device));
        let mut decoder = Decoder::open(stream.codec, &stream.extra_data, options).unwrap();
        let mut out = Vec::new();
        for unit in &stream.units {
            let _ = decoder.push(&unit.data, unit.timestamp_90k).unwrap();
            drain(&mut decoder, &mut out);
        }
        decoder.flush();
        drain(&mut decoder, &mut out);
        print_note(&format!("{device}: {:?}", decoder.hardware()));
        assert_eq!(out.len(), expected.len(), "{device}");
        if decoder.hardware().is_none() {
            assert_eq!(out, expected, "{device}");
        }
    }
}

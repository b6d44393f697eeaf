use bytes::Bytes;

use super::*;

const START_90K: u64 = 143_039_375_044_290;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn video(index: usize, codec: Codec) -> StreamInfo {
    let mut info = StreamInfo::new(index, MediaKind::Video, codec, 90_000);
    info.size = Some((1920, 1080));
    info.extra_data = Bytes::from_static(&[1]);
    info
}

/// A camera with 25 pictures a second, a key frame each `gop`, and 1000 bytes a picture.
fn watched(streams: Vec<StreamInfo>, gop: u64, count: u64) -> Collector {
    let mut collector = Collector::new("rtsp://cam/".into());
    let sdp = "v=0\r\n".to_owned();
    collector.event(CameraEvent::Established { streams, sdp }, ms(80), START_90K);
    for n in 0..count {
        let unit = AccessUnit::new(0, START_90K + n * 3600, n % gop == 0, Bytes::from(vec![0; 1000]));
        let arrival = START_90K + n * 3600 + 4500 + n % 3 * 90;
        collector.event(CameraEvent::Unit(unit), ms(100 + n * 40), arrival);
    }
    collector
}

#[test]
fn rates_are_those_of_media_time() {
    let report = watched(vec![video(0, Codec::H264)], 50, 251).finish(&CameraCounters::default(), ms(10_080));
    let stream = &report.streams[0];
    assert_eq!(
        (stream.units, stream.bytes, stream.largest_unit),
        (251, 251_000, 1000)
    );
    assert!((stream.rate.unwrap() - 25.0).abs() < 1e-9);
    assert!((stream.bits_per_second.unwrap() - 200_000.0).abs() < 1e-6);
    assert!((stream.key_frame_interval.unwrap() - 2.0).abs() < 1e-9);
    assert!((stream.delay.unwrap() - 0.05).abs() < 1e-9);
    assert_eq!(
        (report.connected_after, report.first_unit_after, report.watched),
        (ms(80), Some(ms(20)), ms(10_000))
    );
    let text = report.to_string();
    assert!(
        text.contains("1920x1080, 25.00 frames/s, 200 kbit/s, a key frame every 2.00 s"),
        "{text}"
    );
}

#[test]
fn what_a_jump_leaves_out_does_not_count() {
    let mut collector = watched(vec![video(0, Codec::H264)], 25, 51);
    for n in 0..50 {
        let mut unit = AccessUnit::new(
            0,
            START_90K + 90_000_000 + n * 3600,
            n == 0,
            Bytes::from(vec![0; 1000]),
        );
        unit.discontinuity = n == 0;
        collector.event(CameraEvent::Unit(unit), ms(9000), START_90K);
    }
    let report = collector.finish(&CameraCounters::default(), ms(10_080));
    let rate = report.streams[0].rate.unwrap();
    assert!((rate - 25.0).abs() < 0.6, "{rate}");
}

#[test]
fn quirks_are_found_and_say_what_to_do() {
    let mut unknown = StreamInfo::new(1, MediaKind::Video, Codec::Unsupported, 90_000);
    unknown.encoding_name = "vp8".into();
    let mut second = video(2, Codec::H264);
    second.playing = false;
    let mut first = video(0, Codec::H264);
    first.extra_data = Bytes::new();
    let collector = watched(vec![first, unknown, second], 200, 250);
    let mut counters = CameraCounters {
        units: 250,
        lost_packets: 3,
        ..CameraCounters::default()
    };
    counters.clock.reordered = 1;
    counters.clock.jumps = 2;
    let report = collector.finish(&counters, ms(10_080));
    let unusable = Quirk::UnusableStream {
        stream: 1,
        encoding: "video/vp8".into(),
    };
    assert_eq!(
        report.quirks,
        [
            Quirk::ParametersInBand,
            Quirk::KeyFramesRare { seconds: Some(8.0) },
            unusable,
            Quirk::FurtherVideo { stream: 2 },
            Quirk::NoSenderReports,
            Quirk::BFrames,
            Quirk::TimeJumped { times: 2 },
            Quirk::PacketsLost { packets: 3 },
        ]
    );
    let text = report.to_string();
    assert_eq!(text.matches("  note: ").count(), 8);
    assert!(text.contains("stream 1 is video/vp8, which is not received; choose H.264"));
    let audio = Quirk::UnusableStream {
        stream: 1,
        encoding: "audio/g726".into(),
    };
    assert_eq!(audio.to_string(), "stream 1 is audio/g726, which is not received");
}

#[test]
fn a_camera_that_sends_nothing_is_reported_so() {
    let report = watched(vec![video(0, Codec::H264)], 1, 0).finish(&CameraCounters::default(), ms(5080));
    assert_eq!((report.streams[0].rate, report.first_unit_after), (None, None));
    assert!(report.to_string().contains("sent nothing in 5.0 s"));
    assert_eq!(report.quirks, [Quirk::SentNothing { udp: false }]);
}

#[test]
fn metadata_are_counted_and_are_no_media() {
    let mut metadata = StreamInfo::new(1, MediaKind::Application, Codec::OnvifMetadata, 90_000);
    metadata.playing = true;
    let mut collector = watched(vec![video(0, Codec::H264), metadata], 1, 0);
    for n in 0..5 {
        let mut unit = AccessUnit::new(1, START_90K + n * 90_000, true, Bytes::from_static(b"<a/>"));
        unit.media = MediaKind::Application;
        collector.event(CameraEvent::Unit(unit), ms(1000 * n), START_90K);
    }
    let report = collector.finish(&CameraCounters::default(), ms(5080));
    assert_eq!((report.streams[1].units, report.first_unit_after), (5, None));
    assert_eq!(report.quirks, [Quirk::SentNothing { udp: false }]);
}

#[test]
fn pictures_that_came_late_came() {
    let mut collector = watched(vec![video(0, Codec::H264)], 1, 0);
    let cause = NoPictures::NoKeyframe;
    collector.event(CameraEvent::NoPictures { stream: 0, cause }, ms(1000), START_90K);
    let unit = AccessUnit::new(0, START_90K, true, Bytes::from_static(b"x"));
    collector.event(CameraEvent::Unit(unit), ms(2000), START_90K);
    let report = collector.finish(&CameraCounters::default(), ms(5080));
    assert_eq!(report.quirks, [Quirk::KeyFramesRare { seconds: None }]);
}

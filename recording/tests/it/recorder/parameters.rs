//! Cameras that change their parameters again and again.

use super::*;

/// Tracks with parameter sets of their own, of a width.
fn with_sets(number: u64, width: u32) -> Tracks {
    let mut record = vec![1, 66, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 66, 1, 1, 0, 3, 0x68, 4];
    record.push(number as u8);
    let mut tracks = tracks();
    tracks.video.extra_data = record.into();
    tracks.video.width = width;
    tracks
}

/// What a keyframe with these parameter sets looks like in a track of other ones.
fn in_band(number: u64) -> Vec<u8> {
    let mut data = vec![0, 0, 0, 3, 0x67, 66, 1, 0, 0, 0, 3, 0x68, 4, number as u8];
    data.push(b'p');
    data
}

/// 10 pictures a second, a keyframe a second with other tracks each time; and the number of events.
fn feed_changing(
    recorder: &mut Recorder<Memory>,
    from: u64,
    to: u64,
    tracks: impl Fn(u64) -> Tracks,
) -> usize {
    let mut events = 0;
    for n in from * 10..to * 10 {
        if n % 10 == 0 {
            events += recorder.set_tracks(tracks(n / 10)).len();
        }
        events += recorder.push(picture(n * 9000, n % 10 == 0)).len();
    }
    events
}

#[test]
fn sets_that_change_at_each_keyframe_cut_a_file_once_in_ten_seconds_and_lose_nothing() {
    let memory = Memory::default();
    let mut recorder = Recorder::continuous(with_sets(0, 64), memory.clone());
    let events = feed_changing(&mut recorder, 0, 100, |n| with_sets(n, 64));
    let _ = recorder.end();
    let clips = memory.clips.lock().unwrap();
    // The first change, and ten seconds after each cut.
    assert_eq!(clips.len(), 11);
    // A start, a stop and, by this store, a failure for each.
    assert!(events <= 3 * clips.len(), "{events} events");
    let units: Vec<_> = clips.iter().flat_map(|clip| &clip.units).collect();
    let times: Vec<u64> = units.iter().map(|unit| unit.timestamp_90k).collect();
    assert_eq!(times, (0..1000).map(|n| n * 9000).collect::<Vec<_>>());
    assert_eq!(recorder.stats().not_written, 0);
    for clip in clips.iter() {
        for (place, unit) in clip.units.iter().enumerate().filter(|(_, unit)| unit.keyframe) {
            let own = unit.timestamp_90k / S;
            let expected = if place == 0 { b"p".to_vec() } else { in_band(own) };
            assert_eq!(unit.data, expected, "{own}");
        }
    }
}

#[test]
fn sets_that_change_at_each_keyframe_leave_the_pre_roll() {
    let memory = Memory::default();
    let options = GateOptions::new(seconds(5), seconds(5)).starting_before(seconds(5));
    let mut recorder = recorder(&memory, options, 8);
    let events = feed_changing(&mut recorder, 0, 30, |n| with_sets(n, 64));
    assert_eq!(events, 0);
    recorder.signal(Signal::at(29 * S));
    feed_changing(&mut recorder, 30, 33, |n| with_sets(n, 64));
    let clips = memory.clips.lock().unwrap();
    // The last cut was long ago, so the next key frame begins a file with its own sets; then none for a while.
    assert_eq!(clips.len(), 2);
    let times = clips
        .iter()
        .flat_map(|clip| &clip.units)
        .map(|unit| unit.timestamp_90k);
    assert!(times.eq((240..330).map(|n| n * 9000)));
    assert_eq!(clips[0].units[0].timestamp_90k, 24 * S);
    assert_eq!(clips[0].units[0].data, Bytes::from_static(b"p"));
    assert_eq!(clips[0].units[10].data, in_band(25));
}

#[test]
fn sizes_that_change_at_each_keyframe_cut_a_file_once_in_two_seconds_and_are_counted() {
    let memory = Memory::default();
    let mut recorder = Recorder::continuous(with_sets(0, 64), memory.clone());
    feed_changing(&mut recorder, 0, 100, |n| with_sets(n, 64 + n as u32));
    let _ = recorder.end();
    let clips = memory.clips.lock().unwrap();
    // The first change, and every second one.
    assert_eq!(clips.len(), 51);
    let recorded: usize = clips.iter().map(|clip| clip.units.len()).sum();
    assert_eq!(recorder.stats().not_written, 1000 - recorded as u64);
    assert!(
        clips
            .iter()
            .all(|clip| clip.units[0].keyframe && clip.units.len() >= 10)
    );
}

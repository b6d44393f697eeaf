//! Any stream, any events, and a disk that fails at any time.

use super::*;
use lva_recording::Track;
use proptest::prelude::*;

proptest! {
    /// Streams with any groups, reordering, gaps and audio; events at any time. Every clip keeps the promise.
    #[test]
    fn a_clip_holds_what_its_events_ask_for(
        groups in proptest::collection::vec((1u64..40, 1u64..4), 5..30),
        signals in proptest::collection::vec((0usize..600, 0u64..30), 1..12),
        (before, window, minimum, longer) in (0u64..6, 0u64..3, 1u64..6, 0u64..6),
        reordered in any::<bool>(), with_audio in any::<bool>(),
    ) {
        let memory = Memory::default();
        let options = GateOptions::new(seconds(minimum), seconds(minimum + longer))
            .starting_before(seconds(before)).with_evaluation_window(seconds(window));
        let mut recorder = recorder(&memory, options, before + window + 4);
        let (mut units, mut time) = (Vec::new(), 5000 * S);
        for (length, step) in groups {
            for number in 0..length {
                units.push(picture(time, number == 0));
                if with_audio { units.push(MediaUnit::audio(time, Bytes::from_static(b"a"))); }
                time += step * 3000;
            }
            // A P picture and the B pictures that are shown before it.
            if reordered && length > 3 {
                let last = units.len();
                units.swap(last - 1, last - if with_audio { 3 } else { 2 });
            }
        }
        let mut accepted = Vec::new();
        for (number, unit) in units.iter().enumerate() {
            let _ = recorder.push(unit.clone());
            for (_, ago) in signals.iter().filter(|(at, _)| *at == number) {
                let event = unit.timestamp_90k - ago * 3000;
                if recorder.signal(Signal::at(event)) == SignalOutcome::Accepted { accepted.push(event); }
            }
        }
        let _ = recorder.end();
        let video: Vec<&MediaUnit> = units.iter().filter(|unit| unit.track == Track::Video).collect();
        let keyframes: Vec<u64> = video.iter().filter(|unit| unit.keyframe).map(|unit| unit.timestamp_90k).collect();
        let newest = video.iter().map(|unit| unit.timestamp_90k).max().unwrap();
        let clips = memory.clips.lock().unwrap();
        for clip in clips.iter() {
            let new = clip.new.unwrap();
            let first = &clip.units[0];
            prop_assert!(first.keyframe && first.timestamp_90k == new.start_90k);
            let last = clip.units.iter().map(|unit| unit.timestamp_90k).max().unwrap();
            // At or before the wanted start, unless the stream itself began later.
            prop_assert!(new.start_90k <= new.wanted_start_90k || new.start_90k == keyframes[0], "{new:?}");
            // Everything from event + offset to event + minimum that the stream has, in order and once.
            let end = new.event_90k + minimum * S;
            let wanted: Vec<&&MediaUnit> = video.iter()
                .filter(|unit| (new.wanted_start_90k.max(keyframes[0])..=end).contains(&unit.timestamp_90k)).collect();
            for unit in wanted {
                prop_assert_eq!(clip.units.iter().filter(|other| *other == *unit).count(), 1);
            }
            // At most the maximum and one group: what lies before the start belongs to one group, what lies behind the
            // end is the picture that shows that the end is complete.
            let limit = new.event_90k + (minimum + longer) * S;
            let beyond = clip.units.iter()
                .filter(|unit| unit.track == Track::Video && unit.timestamp_90k > limit).count();
            prop_assert!(beyond <= 2, "{beyond} pictures beyond the maximum");
            let early = keyframes.iter().filter(|time| **time > new.start_90k && **time <= new.wanted_start_90k).count();
            prop_assert_eq!(early, 0, "it begins with the last keyframe that serves");
            prop_assert!(last <= newest);
        }
        for event in accepted.into_iter().filter(|event| (keyframes[0]..=newest).contains(event)) {
            prop_assert!(clips.iter().any(|clip| {
                clip.new.unwrap().event_90k <= event
                    && event <= clip.units.iter().map(|unit| unit.timestamp_90k).max().unwrap()
            }), "an event at {event} is in no clip");
        }
    }
}

proptest! {
    /// A disk that fails from time to time: each recording begins with a keyframe, no picture is recorded twice, what
    /// is not recorded is reported, and recording continues within the longest delay and a group.
    #[test]
    fn recording_goes_on_whenever_the_disk_does(
        groups in proptest::collection::vec(1u64..30, 5..60),
        refusals in proptest::collection::vec((0usize..900, 1usize..200), 0..6),
    ) {
        let memory = Flaky::default();
        let mut recorder = Recorder::continuous(tracks(), memory.clone());
        let (mut time, mut failed, mut started) = (100 * S, 0, 0);
        let mut sent = Vec::new();
        for number in groups.iter().flat_map(|group| 0..*group) {
            let place = sent.len();
            *memory.refuses.lock().unwrap() =
                refusals.iter().any(|(from, count)| (*from..from + count).contains(&place));
            for event in recorder.push(picture(time, number == 0)) {
                match event {
                    RecorderEvent::Failed { .. } => failed += 1,
                    RecorderEvent::Started { .. } => started += 1,
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            sent.push((time, number == 0, *memory.refuses.lock().unwrap()));
            time += 9000;
        }
        prop_assert_eq!(recorder.stats().failed, failed);
        let clips = memory.clips.lock().unwrap();
        prop_assert_eq!(clips.len() as u64, started);
        let recorded: Vec<u64> = clips.iter().flatten().map(|unit| unit.timestamp_90k).collect();
        prop_assert!(recorded.windows(2).all(|pair| pair[0] < pair[1]), "in order and once");
        prop_assert!(clips.iter().all(|clip| clip.first().is_none_or(|unit| unit.keyframe)));
        let missing = sent.iter().filter(|(time, ..)| recorded.binary_search(time).is_err()).count() as u64;
        // Each failure costs the picture that was refused.
        prop_assert_eq!(missing, recorder.stats().not_written + failed);
        if refusals.is_empty() {
            prop_assert_eq!(missing, 0);
        }
        let mut well = 0;
        for (time, keyframe, refused) in &sent {
            well = if *refused { 0 } else { well + 9000 };
            let due = *keyframe && well > 30 * S + 9000;
            prop_assert!(!due || recorded.binary_search(time).is_ok(), "nothing at {time}");
        }
    }
}

/// Keeps clips in memory, and rejects them on demand.
#[derive(Default, Clone)]
struct Flaky {
    clips: Arc<Mutex<Vec<Vec<MediaUnit>>>>,
    refuses: Arc<Mutex<bool>>,
}

struct FlakyClip(Flaky, usize);

impl Flaky {
    fn check(&self) -> Result<(), ClipError> {
        if *self.refuses.lock().unwrap() {
            Err(full())
        } else {
            Ok(())
        }
    }
}

impl ClipStore for Flaky {
    type Clip = FlakyClip;

    fn create(&mut self, _new: &NewClip, _tracks: &Tracks) -> Result<FlakyClip, ClipError> {
        self.check()?;
        let mut clips = self.clips.lock().unwrap();
        clips.push(Vec::new());
        Ok(FlakyClip(self.clone(), clips.len() - 1))
    }
}

impl Clip for FlakyClip {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn write(&mut self, unit: &MediaUnit, _finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        self.0.check()?;
        self.0.clips.lock().unwrap()[self.1].push(unit.clone());
        Ok(())
    }

    fn finish(self, _finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        Ok(())
    }
}

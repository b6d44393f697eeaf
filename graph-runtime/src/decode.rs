//! Encoded units in, decoded pictures out to every extension that wants them: one thread an instance.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use bytes::Bytes;
use lva_framing::{Decoder, DecoderOptions, Demand, Picture, UnitOutcome, VideoCodec};
use lva_inference_schema::Inference;
use lva_rtsp::AccessUnit;

use crate::failure::Failure;
use crate::frame::{Admission, Frame, Tap};
use crate::guard::{Defects, Panicked, guarded, trap};
use crate::instance::Speaker;
use crate::motion::Watch;
use crate::plan::Named;
use crate::stats::{Counters, DropReason};
use crate::thread::Worker;

/// Units that wait for the decoder: two seconds of a usual camera. Fewer, and a hiccup of the machine costs the rest
/// of a group of pictures; more, and what is analysed may be older than that.
const QUEUE: usize = 64;

/// Units whose pictures have not come out: more than any stream reorders, or than the decoder holds back.
const MAX_INSIDE: usize = 400;

/// What all nodes together want of the stream.
///
/// Their filters are asked about each picture once, in the order of presentation, which may be before the picture is
/// decoded; the answers wait here for the picture.
struct Wishes {
    taps: Vec<Tap>,
    /// Motion nodes look at every picture that there is.
    watched: bool,
    /// For pictures to come: what the taps make of them.
    chosen: VecDeque<(u64, Box<[Admission]>)>,
    counters: Counters,
}

impl Wishes {
    /// Who takes a picture, of those who take pictures without motion too.
    fn chosen(&mut self, time: u64) -> Box<[Admission]> {
        let place = self.chosen.iter().position(|(chosen, _)| *chosen == time);
        place
            .and_then(|place| self.chosen.remove(place))
            .map(|(_, takers)| takers)
            .unwrap_or_default()
    }
}

impl Demand for Wishes {
    fn wants(&mut self, time: u64) -> bool {
        let counters = &self.counters;
        let takers: Box<[Admission]> = self
            .taps
            .iter_mut()
            .map(|tap| {
                // What comes past a motion node is known when the picture has been looked at.
                if tap.motion.is_some() {
                    return Admission::Held;
                }
                let admission = tap.admits(time, false);
                if admission == Admission::Held {
                    counters.extension(&tap.node, |stats| stats.filtered += 1);
                }
                admission
            })
            .collect();
        let wanted = self.watched || takers.iter().any(|admission| *admission != Admission::Held);
        if wanted {
            if self.chosen.len() == MAX_INSIDE {
                self.chosen.pop_front();
            }
            self.chosen.push_back((time, takers));
        }
        wanted
    }

    fn interval_90k(&self) -> Option<u64> {
        if self.watched {
            return None;
        }
        let intervals = self.taps.iter().map(Tap::interval_90k);
        // The most demanding one counts; `None`, which wants everything, is less than any interval.
        intervals.min().flatten()
    }

    fn not_before_90k(&self) -> Option<u64> {
        if self.watched {
            return None;
        }
        // The first one counts; `None`, which may want the next picture, is less than any time.
        self.taps.iter().map(Tap::not_before_90k).min().flatten()
    }

    fn passed_over(&mut self) {
        for tap in &self.taps {
            self.counters.extension(&tap.node, |stats| stats.filtered += 1);
        }
    }
}

enum Command {
    /// A session began, or its parameters changed.
    Stream {
        codec: VideoCodec,
        extra_data: Bytes,
    },
    Unit {
        unit: AccessUnit,
        epoch: u64,
    },
    /// The camera is lost; nobody knows for how long.
    Pause,
}

/// The queue to the decoder's thread. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct DecoderInput {
    sender: SyncSender<Command>,
    node: String,
    counters: Counters,
    /// Until the next key frame nothing can be decoded.
    waits_for_key: bool,
    /// Why.
    reason: DropReason,
    /// A change of stream that found the queue full.
    due: Option<(VideoCodec, Bytes)>,
}

/// Starts the thread. `node` is the source.
pub(crate) fn start(
    node: Named,
    taps: Vec<Tap>,
    watches: Vec<Watch>,
    options: DecoderOptions,
    speaker: Speaker,
) -> io::Result<(DecoderInput, Worker)> {
    let (sender, receiver) = sync_channel(QUEUE);
    let counters = speaker.counters().clone();
    let input = DecoderInput {
        sender,
        node: node.name.clone(),
        counters: counters.clone(),
        waits_for_key: true,
        reason: DropReason::DecoderBusy,
        due: None,
    };
    let worker = Worker::start("lva-decode", move || {
        let mut thread = DecoderThread {
            node,
            wishes: Wishes {
                taps,
                watched: !watches.is_empty(),
                chosen: VecDeque::new(),
                counters: counters.clone(),
            },
            watches,
            options,
            seen: Vec::new(),
            counters,
            speaker,
            defects: Defects::default(),
            stream: None,
            decoder: None,
            waits_for_key: false,
            units: VecDeque::new(),
        };
        thread.run(&receiver);
    })?;
    Ok((input, worker))
}

impl DecoderInput {
    /// The stream from the next unit on.
    pub(crate) fn stream(&mut self, codec: VideoCodec, extra_data: Bytes) {
        self.due = Some((codec, extra_data));
    }

    /// Gives a unit, or drops it and all that follow up to a key frame when the decoder is behind. Never waits.
    pub(crate) fn unit(&mut self, unit: AccessUnit, epoch: u64) {
        if self.waits_for_key && !unit.random_access {
            self.counters.dropped(&self.node, self.reason, 1);
            return;
        }
        if let Some((codec, extra_data)) = self.due.take() {
            let stream = Command::Stream {
                codec,
                extra_data: extra_data.clone(),
            };
            if !self.try_send(stream) {
                self.due = Some((codec, extra_data));
                self.drop_from_here(DropReason::DecoderBusy);
                return;
            }
        }
        if self.try_send(Command::Unit { unit, epoch }) {
            self.waits_for_key = false;
        } else {
            self.drop_from_here(DropReason::DecoderBusy);
        }
    }

    /// A unit of the stream is dropped for want of memory, and so is all that follows up to a key frame.
    pub(crate) fn refuse(&mut self) {
        self.drop_from_here(DropReason::OverBudget);
    }

    /// The camera is lost. Best effort: behind a full queue it does not matter.
    pub(crate) fn pause(&mut self) {
        self.try_send(Command::Pause);
    }

    /// Something was lost before it came here.
    pub(crate) fn wait_for_key(&mut self) {
        self.waits_for_key = true;
    }

    fn drop_from_here(&mut self, reason: DropReason) {
        (self.waits_for_key, self.reason) = (true, reason);
        self.counters.dropped(&self.node, reason, 1);
    }

    fn try_send(&self, command: Command) -> bool {
        match self.sender.try_send(command) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

struct DecoderThread {
    node: Named,
    wishes: Wishes,
    watches: Vec<Watch>,
    options: DecoderOptions,
    /// For each of them, what it has seen in the picture at hand.
    seen: Vec<Option<Arc<[Inference]>>>,
    counters: Counters,
    speaker: Speaker,
    defects: Defects,
    /// What the decoder was opened for.
    stream: Option<(VideoCodec, Bytes)>,
    decoder: Option<Decoder>,
    /// After a defect, nothing can be decoded until the next key frame.
    waits_for_key: bool,
    /// Time, arrival and session of units whose pictures have not come out.
    units: VecDeque<(u64, Instant, u64)>,
}

impl DecoderThread {
    fn run(&mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            if let Err(panicked) = guarded(|| self.carry_out(command)) {
                self.begin_anew(&panicked);
            }
        }
        self.pause();
        for tap in &self.wishes.taps {
            tap.mailbox.close();
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Stream { codec, extra_data } => {
                self.stream = Some((codec, extra_data.clone()));
                self.open(codec, &extra_data);
            }
            Command::Unit { unit, .. } if self.waits_for_key && !unit.random_access => {
                self.counters.dropped(&self.node.name, DropReason::NoKeyFrame, 1);
            }
            Command::Unit { unit, epoch } => {
                self.waits_for_key = false;
                self.decode(&unit, epoch);
            }
            Command::Pause => self.pause(),
        }
    }

    /// With another decoder, from the next key frame on.
    fn begin_anew(&mut self, panicked: &Panicked) {
        self.counters.dropped(&self.node.name, DropReason::Defect, 1);
        self.speaker.stumbled(&self.node, &mut self.defects, panicked);
        self.units.clear();
        self.wishes.chosen.clear();
        self.waits_for_key = true;
        let opened = guarded(|| {
            self.decoder = None;
            if let Some((codec, extra_data)) = self.stream.clone() {
                self.open(codec, &extra_data);
            }
        });
        if let Err(panicked) = opened {
            tracing::error!(node = %self.node.name, %panicked, "no decoder could be opened");
        }
    }

    fn pause(&mut self) {
        for watch in &mut self.watches {
            watch.pause();
        }
    }

    fn open(&mut self, codec: VideoCodec, extra_data: &[u8]) {
        if let Some(decoder) = self.decoder.as_mut().filter(|decoder| decoder.codec() == codec)
            && decoder.set_extra_data(extra_data).is_ok()
        {
            return;
        }
        self.decoder = match Decoder::open(codec, extra_data, &self.options) {
            Ok(decoder) => Some(decoder),
            Err(error) => {
                tracing::error!(node = %self.node.name, %error, "the stream cannot be decoded");
                let failure = Failure::unusable_video(self.node.name.clone());
                self.speaker.fail(&self.node, &failure);
                None
            }
        };
    }

    fn decode(&mut self, unit: &AccessUnit, epoch: u64) {
        trap("decode", &self.node.name);
        let Some(decoder) = &mut self.decoder else {
            self.counters.dropped(&self.node.name, DropReason::NoKeyFrame, 1);
            return;
        };
        let decoded = |decoder: &Decoder| decoder.stats().pictures + decoder.stats().unwanted_pictures;
        let (before, skipped_before) = (decoded(decoder), decoder.stats().skipped_units);
        if unit.discontinuity && unit.random_access {
            decoder.flush_for(&mut self.wishes);
        }
        if self.units.len() == MAX_INSIDE {
            self.units.pop_front();
        }
        self.units
            .push_back((unit.timestamp_90k, unit.received_at, epoch));
        match decoder.push_for(&unit.data, unit.timestamp_90k, &mut self.wishes) {
            Ok(UnitOutcome::Accepted) => {}
            Ok(UnitOutcome::Skipped) => {
                self.units.pop_back();
            }
            Ok(UnitOutcome::Damaged) => {
                self.counters
                    .dropped(&self.node.name, DropReason::DamagedPicture, 1);
            }
            Err(error) => {
                tracing::warn!(node = %self.node.name, error = %error, "a unit was not decoded");
                self.counters
                    .dropped(&self.node.name, DropReason::DamagedPicture, 1);
            }
        }
        let more = decoded(decoder).saturating_sub(before);
        let skipped = decoder.stats().skipped_units.saturating_sub(skipped_before);
        self.counters.update(|stats| {
            stats.decoded += more;
            stats.not_decoded += skipped;
        });
        while let Some(picture) = self.decoder.as_mut().and_then(Decoder::next_picture) {
            self.hand_out(picture, unit, epoch);
        }
    }

    fn hand_out(&mut self, picture: Picture, newest: &AccessUnit, epoch: u64) {
        let time = picture.timestamp_90k();
        let own = self.units.iter().find(|(unit, ..)| *unit == time).copied();
        let (_, received_at, epoch) = own.unwrap_or((time, newest.received_at, epoch));
        // Earlier ones have come out, or never will.
        self.units.retain(|(unit, ..)| *unit > time);
        let takers = self.wishes.chosen(time);
        if picture.is_damaged() {
            self.counters
                .dropped(&self.node.name, DropReason::DamagedPicture, 1);
            return;
        }
        self.seen.clear();
        let watches = self.watches.iter_mut();
        self.seen
            .extend(watches.map(|watch| watch.look(&picture, received_at)));
        for (place, tap) in self.wishes.taps.iter_mut().enumerate() {
            let (motion, admission) = match tap.motion.map(|place| self.seen.get(place)) {
                // Counted when it was decided.
                None => match takers.get(place) {
                    Some(Admission::Held) | None => continue,
                    Some(admission) => (Arc::default(), *admission),
                },
                Some(Some(Some(found))) => (Arc::clone(found), tap.admits(time, true)),
                // Without motion, and behind a motion node.
                Some(_) => continue,
            };
            let frame = Frame::new(picture.clone(), received_at, epoch, motion);
            tap.take(frame, admission, &self.counters);
        }
    }
}

impl Drop for DecoderThread {
    /// Also when a panic ends the thread: whoever waits must not wait for ever.
    fn drop(&mut self) {
        for tap in &self.wishes.taps {
            tap.mailbox.close();
        }
    }
}

#[cfg(test)]
impl DecoderInput {
    /// An input whose units are taken out, one by one, by a test.
    pub(crate) fn unserved(counters: Counters) -> (Self, impl FnMut() -> bool) {
        let (sender, receiver) = sync_channel(QUEUE);
        let input = Self {
            sender,
            node: "camera".into(),
            counters,
            waits_for_key: true,
            reason: DropReason::DecoderBusy,
            due: None,
        };
        (input, move || receiver.try_recv().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::{EventName, Subject};

    use super::*;
    use crate::sink::Outlet;

    fn unit(time: u64, random_access: bool) -> AccessUnit {
        AccessUnit::new(0, time, random_access, Bytes::from_static(&[0, 0, 0, 1, 0x65]))
    }

    /// An input whose thread never takes anything.
    fn stuck() -> (DecoderInput, Receiver<Command>, Counters) {
        let (sender, receiver) = sync_channel(QUEUE);
        let counters = Counters::default();
        let input = DecoderInput {
            sender,
            node: "camera".into(),
            counters: counters.clone(),
            waits_for_key: true,
            reason: DropReason::DecoderBusy,
            due: None,
        };
        (input, receiver, counters)
    }

    #[test]
    fn a_decoder_that_is_behind_drops_up_to_the_next_key_frame_and_counts() {
        let (mut input, receiver, counters) = stuck();
        input.stream(VideoCodec::H264, Bytes::new());
        input.unit(unit(0, false), 1); // before the first key frame
        for time in 1..QUEUE as u64 {
            input.unit(unit(time, time == 1), 1);
        }
        // The stream and 63 units fill the queue.
        input.unit(unit(100, false), 1);
        input.unit(unit(101, false), 1);
        let dropped = || counters.snapshot().dropped_for(DropReason::DecoderBusy);
        assert_eq!(dropped(), 3);
        receiver.recv().unwrap();
        input.unit(unit(102, false), 1);
        assert_eq!(dropped(), 4, "there is room, but decoding cannot start here");
        input.unit(unit(103, true), 1);
        assert_eq!(dropped(), 4);
        assert_eq!(receiver.try_iter().count(), QUEUE);
    }

    #[test]
    fn a_defect_costs_pictures_up_to_the_next_key_frame_and_is_said_once() {
        let speaker = Speaker::new(Outlet::default(), Counters::default());
        let counters = speaker.counters().clone();
        let node = Named {
            name: "camera of a defect".into(),
            subject: Subject::graph_instance("i"),
        };
        let name = node.name.clone();
        let (input, receiver) = sync_channel(QUEUE);
        let wishes = Wishes {
            taps: Vec::new(),
            watched: true,
            chosen: VecDeque::new(),
            counters: counters.clone(),
        };
        let mut thread = DecoderThread {
            node,
            wishes,
            watches: Vec::new(),
            options: DecoderOptions::default(),
            seen: Vec::new(),
            counters: counters.clone(),
            speaker,
            defects: Defects::default(),
            stream: None,
            decoder: None,
            waits_for_key: false,
            units: VecDeque::new(),
        };
        let (codec, extra_data) = (VideoCodec::H264, Bytes::new());
        input.send(Command::Stream { codec, extra_data }).unwrap();
        // Both key frames fall; of the others, the last one only is behind a key frame that did not.
        crate::guard::set_trap("decode", &name, 2);
        for key in [true, false, true, false, false, true, false] {
            let unit = unit(1, key);
            input.send(Command::Unit { unit, epoch: 1 }).unwrap();
        }
        drop(input);
        thread.run(&receiver);
        let stats = counters.snapshot();
        let dropped = |reason| stats.dropped_for(reason);
        assert_eq!(
            (dropped(DropReason::Defect), dropped(DropReason::NoKeyFrame)),
            (2, 3)
        );
        assert_eq!(stats.events[&EventName::RuntimeError], 1);
        assert!(thread.decoder.is_some() && !thread.waits_for_key);
    }

    #[test]
    fn a_stream_that_found_the_queue_full_comes_with_the_next_key_frame() {
        let (mut input, receiver, _) = stuck();
        for time in 0..QUEUE as u64 {
            input.unit(unit(time, true), 1);
        }
        input.stream(VideoCodec::H265, Bytes::new());
        input.unit(unit(100, true), 1);
        assert_eq!(receiver.try_iter().count(), QUEUE);
        input.unit(unit(101, true), 1);
        let commands: Vec<_> = receiver.try_iter().collect();
        assert!(matches!(
            commands[0],
            Command::Stream {
                codec: VideoCodec::H265,
                ..
            }
        ));
        assert!(matches!(commands[1], Command::Unit { .. }));
    }
}

//! Encoded units in, decoded pictures out to every extension that wants them: one thread an instance.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use bytes::Bytes;
use lva_framing::{Decoder, DecoderOptions, Picture, UnitOutcome, VideoCodec};
use lva_inference_schema::Inference;
use lva_rtsp::AccessUnit;

use self::demand::Wishes;
use self::input::Command;
pub(crate) use self::input::DecoderInput;
use crate::failure::Failure;
use crate::frame::{Admission, Frame, Tap};
use crate::guard::{Panicked, guarded, trap};
use crate::motion::MotionNode;
use crate::once_a_minute::OnceAMinute;
use crate::plan::Named;
use crate::speaker::Speaker;
use crate::stats::{Counters, DropReason};
use crate::thread::Worker;

mod demand;
mod input;

/// Units whose pictures have not come out: more than any stream reorders, or than the decoder holds back.
const MAX_INSIDE: usize = 400;

/// Starts the thread. `node` is the source.
pub(crate) fn start(
    node: Named,
    taps: Vec<Tap>,
    motions: Vec<MotionNode>,
    options: DecoderOptions,
    speaker: Speaker,
) -> io::Result<(DecoderInput, Worker)> {
    let (input, receiver) = DecoderInput::new(node.name.clone(), speaker.counters().clone());
    let worker = Worker::start("lva-decode", move || {
        DecoderThread::new(node, taps, motions, options, speaker).run(&receiver);
    })?;
    Ok((input, worker))
}

/// When the first packet of a unit arrived, and in which session.
type Arrival = (Instant, u64);

struct DecoderThread {
    node: Named,
    wishes: Wishes,
    motions: Vec<MotionNode>,
    options: DecoderOptions,
    /// For each of them, what it has seen in the picture at hand.
    seen: Vec<Option<Arc<[Inference]>>>,
    counters: Counters,
    speaker: Speaker,
    defects: OnceAMinute,
    /// What the decoder was opened for.
    stream: Option<(VideoCodec, Bytes)>,
    decoder: Option<Decoder>,
    /// After a defect, nothing can be decoded until the next key frame.
    waits_for_key: bool,
    /// Time of units whose pictures have not come out, and how they came.
    units: VecDeque<(u64, Arrival)>,
    /// How the newest unit came.
    newest: Option<Arrival>,
}

impl DecoderThread {
    fn new(
        node: Named,
        taps: Vec<Tap>,
        motions: Vec<MotionNode>,
        options: DecoderOptions,
        speaker: Speaker,
    ) -> Self {
        let counters = speaker.counters().clone();
        Self {
            node,
            wishes: Wishes::new(taps, !motions.is_empty(), counters.clone()),
            motions,
            options,
            seen: Vec::new(),
            counters,
            speaker,
            defects: OnceAMinute::default(),
            stream: None,
            decoder: None,
            waits_for_key: false,
            units: VecDeque::new(),
            newest: None,
        }
    }

    fn run(&mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            if let Err(panicked) = guarded(|| self.carry_out(command)) {
                self.begin_anew(&panicked);
            }
        }
        if let Err(panicked) = guarded(|| self.pause()) {
            self.begin_anew(&panicked);
        }
        for tap in &self.wishes.taps {
            tap.close();
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
        self.wishes.forget();
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

    /// The camera is away: what the decoder holds comes out now, not when it is back.
    fn pause(&mut self) {
        self.flush();
        for motion in &mut self.motions {
            motion.pause();
        }
    }

    fn flush(&mut self) {
        self.with_decoder(|decoder, wishes| decoder.flush_for(wishes));
        self.hand_out_all();
    }

    /// Counts what the decoder did with what it wanted to know.
    fn with_decoder<T>(&mut self, act: impl FnOnce(&mut Decoder, &mut Wishes) -> T) -> Option<T> {
        let decoder = self.decoder.as_mut()?;
        let counts = |decoder: &Decoder| {
            let stats = decoder.stats();
            (stats.pictures + stats.unwanted_pictures, stats.skipped_units)
        };
        let before = counts(decoder);
        let done = act(decoder, &mut self.wishes);
        let after = counts(decoder);
        self.counters.update(|stats| {
            stats.decoded += after.0.saturating_sub(before.0);
            stats.not_decoded += after.1.saturating_sub(before.1);
        });
        Some(done)
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
        if unit.discontinuity && unit.random_access {
            self.flush();
        }
        if self.units.len() == MAX_INSIDE {
            self.units.pop_front();
        }
        let (time, arrival) = (unit.timestamp_90k, (unit.received_at, epoch));
        self.units.push_back((time, arrival));
        self.newest = Some(arrival);
        let pushed = self.with_decoder(|decoder, wishes| decoder.push_for(&unit.data, time, wishes));
        let reason = match pushed {
            None => Some(DropReason::NoKeyFrame),
            Some(Ok(UnitOutcome::Accepted)) => None,
            Some(Ok(UnitOutcome::Skipped)) => {
                self.units.pop_back();
                None
            }
            Some(Ok(UnitOutcome::Damaged)) => Some(DropReason::DamagedPicture),
            Some(Err(error)) => {
                tracing::warn!(node = %self.node.name, error = %error, "a unit was not decoded");
                Some(DropReason::DamagedPicture)
            }
        };
        if let Some(reason) = reason {
            self.counters.dropped(&self.node.name, reason, 1);
        }
        self.hand_out_all();
    }

    fn hand_out_all(&mut self) {
        while let Some(picture) = self.decoder.as_mut().and_then(Decoder::next_picture) {
            self.hand_out(picture);
        }
    }

    fn hand_out(&mut self, picture: Picture) {
        let time = picture.timestamp_90k();
        let own = self.units.iter().find(|(unit, _)| *unit == time);
        let arrival = own.map(|(_, arrival)| *arrival).or(self.newest);
        let Some((received_at, epoch)) = arrival else {
            return;
        };
        // Earlier ones have come out, or never will.
        self.units.retain(|(unit, _)| *unit > time);
        let takers = self.wishes.chosen(time);
        if picture.is_damaged() {
            self.counters
                .dropped(&self.node.name, DropReason::DamagedPicture, 1);
            return;
        }
        self.seen.clear();
        let motions = self.motions.iter_mut();
        self.seen
            .extend(motions.map(|watch| watch.look(&picture, received_at)));
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
            tap.close();
        }
    }
}

#[cfg(test)]
mod tests;

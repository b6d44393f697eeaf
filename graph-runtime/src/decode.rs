//! Decodes the camera's units for all nodes: one thread for each instance.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use bytes::Bytes;
use lva_framing::{Decoder, DecoderOptions, Picture, UnitOutcome, VideoCodec};
use lva_inference_schema::Inference;
use lva_rtsp::AccessUnit;

use self::demand::DecodeDemand;
use self::input::Command;
pub(crate) use self::input::DecoderInput;
use crate::emitter::NodeReporter;
use crate::failure::Failure;
use crate::flow::{Admission, Frame, NodeInput};
use crate::motion::MotionNode;
use crate::panics::{Panicked, catch_panic, failpoint};
use crate::rate_limiter::RateLimiter;
use crate::stats::DropReason;
use crate::thread::Worker;

mod demand;
mod input;

/// Units whose pictures have not come out: more than any stream reorders, or than the decoder holds back.
const MAX_INSIDE: usize = 400;

/// Starts the thread. `source` reports for the camera; `motions` are in the order of the plan.
pub(crate) fn start(
    source: NodeReporter,
    node_inputs: Vec<NodeInput>,
    motions: Vec<MotionNode>,
    options: DecoderOptions,
) -> io::Result<(DecoderInput, Worker)> {
    let (input, receiver) = DecoderInput::new(source.counters().clone());
    let worker = Worker::start("lva-decode", move || {
        DecoderThread::new(source, node_inputs, motions, options).run(&receiver);
    })?;
    Ok((input, worker))
}

/// When the first packet of a unit arrived, and in which session.
type Arrival = (Instant, u64);

struct DecoderThread {
    source: NodeReporter,
    demand: DecodeDemand,
    motions: Vec<MotionNode>,
    options: DecoderOptions,
    /// For each motion node, what moves in the current picture.
    motion_results: Vec<Option<Arc<[Inference]>>>,
    panic_reports: RateLimiter,
    /// What the decoder was opened for.
    stream: Option<(VideoCodec, Bytes)>,
    decoder: Option<Decoder>,
    /// After a panic, nothing can be decoded until the next key frame.
    waits_for_key: bool,
    /// Time and arrival of units whose pictures have not come out.
    units: VecDeque<(u64, Arrival)>,
    /// Arrival of the newest unit.
    newest: Option<Arrival>,
}

impl DecoderThread {
    fn new(
        source: NodeReporter,
        node_inputs: Vec<NodeInput>,
        motions: Vec<MotionNode>,
        options: DecoderOptions,
    ) -> Self {
        Self {
            source,
            demand: DecodeDemand::new(node_inputs, !motions.is_empty()),
            motions,
            options,
            motion_results: Vec::new(),
            panic_reports: RateLimiter::default(),
            stream: None,
            decoder: None,
            waits_for_key: false,
            units: VecDeque::new(),
            newest: None,
        }
    }

    fn run(&mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            if let Err(panicked) = catch_panic(|| self.execute(command)) {
                self.restart(&panicked);
            }
        }
        if let Err(panicked) = catch_panic(|| self.pause()) {
            self.restart(&panicked);
        }
        for node_input in &self.demand.node_inputs {
            node_input.close();
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Stream { codec, extra_data } => {
                if self.stream.as_ref().is_none_or(|(before, _)| *before != codec) {
                    self.demand
                        .node_inputs
                        .iter_mut()
                        .for_each(|input| input.set_codec(codec));
                    self.motions.iter_mut().for_each(|motion| motion.set_codec(codec));
                }
                self.stream = Some((codec, extra_data.clone()));
                self.open(codec, &extra_data);
            }
            Command::Unit { unit, .. } if self.waits_for_key && !unit.keyframe => {
                self.source.dropped(DropReason::NoKeyFrame, 1);
            }
            Command::Unit { unit, epoch } => {
                self.waits_for_key = false;
                self.decode(&unit, epoch);
            }
            Command::Pause => self.pause(),
        }
    }

    /// Opens another decoder, which starts at the next key frame.
    fn restart(&mut self, panicked: &Panicked) {
        self.source.dropped(DropReason::InternalError, 1);
        self.source.on_panic(&mut self.panic_reports, panicked);
        self.units.clear();
        self.demand.forget();
        self.waits_for_key = true;
        let opened = catch_panic(|| {
            self.decoder = None;
            if let Some((codec, extra_data)) = self.stream.clone() {
                self.open(codec, &extra_data);
            }
        });
        if let Err(panicked) = opened {
            tracing::error!(node = self.source.name(), %panicked, "opening a decoder panicked; the stream is not decoded");
        }
    }

    /// The camera is disconnected: the decoder's pictures come out now, and not when it is back.
    fn pause(&mut self) {
        self.flush();
        for motion in &mut self.motions {
            motion.pause();
        }
    }

    fn flush(&mut self) {
        self.with_decoder(|decoder, demand| decoder.flush_for(demand));
        self.dispatch_all();
    }

    /// Counts what the decoder did.
    fn with_decoder<T>(&mut self, act: impl FnOnce(&mut Decoder, &mut DecodeDemand) -> T) -> Option<T> {
        let decoder = self.decoder.as_mut()?;
        let counts = |decoder: &Decoder| {
            let stats = decoder.stats();
            (stats.pictures + stats.unwanted_pictures, stats.skipped_units)
        };
        let before = counts(decoder);
        let done = act(decoder, &mut self.demand);
        let after = counts(decoder);
        let counters = self.source.emitter().counters();
        counters.decoded(after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
        Some(done)
    }

    fn open(&mut self, codec: VideoCodec, extra_data: &[u8]) {
        if let Some(decoder) = self.decoder.as_mut().filter(|decoder| decoder.codec() == codec)
            && decoder.set_extra_data(extra_data).is_ok()
        {
            return;
        }
        self.decoder = match Decoder::open(codec, extra_data, self.options.clone()) {
            Ok(decoder) => Some(decoder),
            Err(error) => {
                tracing::error!(node = self.source.name(), %error, "the camera's stream cannot be decoded");
                self.source
                    .emit_failure(&Failure::undecodable_video(self.source.name(), codec));
                None
            }
        };
    }

    fn decode(&mut self, unit: &AccessUnit, epoch: u64) {
        failpoint("decode", self.source.name());
        if unit.discontinuity && unit.keyframe {
            self.flush();
        }
        if self.units.len() == MAX_INSIDE {
            self.units.pop_front();
        }
        let (time, arrival) = (unit.timestamp_90k, (unit.received_at, epoch));
        self.units.push_back((time, arrival));
        self.newest = Some(arrival);
        let pushed = self.with_decoder(|decoder, demand| decoder.push_for(&unit.data, time, demand));
        let reason = match pushed {
            None => Some(DropReason::NoKeyFrame),
            Some(Ok(UnitOutcome::Accepted)) => None,
            Some(Ok(UnitOutcome::Skipped)) => {
                self.units.pop_back();
                None
            }
            Some(Ok(UnitOutcome::Damaged)) => Some(DropReason::DamagedPicture),
            Some(Err(error)) => {
                tracing::warn!(node = self.source.name(), %error, "a unit was not decoded");
                Some(DropReason::DamagedPicture)
            }
        };
        if let Some(reason) = reason {
            self.source.dropped(reason, 1);
        }
        self.dispatch_all();
    }

    fn dispatch_all(&mut self) {
        while let Some(picture) = self.decoder.as_mut().and_then(Decoder::next_picture) {
            self.dispatch(picture);
        }
    }

    /// Gives a picture to the motion nodes, and then to every node that takes it.
    fn dispatch(&mut self, picture: Picture) {
        let time = picture.timestamp_90k();
        let own = self.units.iter().find(|(unit, _)| *unit == time);
        let arrival = own.map(|(_, arrival)| *arrival).or(self.newest);
        let Some((received_at, epoch)) = arrival else {
            return;
        };
        // Earlier ones have come out, or never will.
        self.units.retain(|(unit, _)| *unit > time);
        let admissions = self.demand.take_admissions(time);
        if picture.is_damaged() {
            self.source.dropped(DropReason::DamagedPicture, 1);
            return;
        }
        self.motion_results.clear();
        let motions = self.motions.iter_mut();
        self.motion_results
            .extend(motions.map(|motion| motion.process(&picture, received_at)));
        for (index, node_input) in self.demand.node_inputs.iter_mut().enumerate() {
            let found = node_input.motion.map(|motion| self.motion_results.get(motion.0));
            let (motion, admission) = match found {
                // Counted when it was decided.
                None => match admissions.get(index) {
                    Some(Admission::Filtered) | None => continue,
                    Some(admission) => (Arc::default(), *admission),
                },
                Some(Some(Some(found))) => (Arc::clone(found), node_input.admits(time, true)),
                // Without motion, and behind a motion node.
                Some(_) => continue,
            };
            let frame = Frame::new(picture.clone(), received_at, epoch, motion);
            node_input.take(frame, admission);
        }
    }
}

impl Drop for DecoderThread {
    /// Also when a panic ends the thread: the nodes behind it must not wait for ever.
    fn drop(&mut self) {
        for node_input in &self.demand.node_inputs {
            node_input.close();
        }
    }
}

#[cfg(test)]
mod tests;

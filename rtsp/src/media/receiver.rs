//! Puts the packets of one stream into their order: sans-I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rtp::Packet;
use crate::wire::repairs::{Repair, Repairs};

/// Packets that wait for an earlier one.
const MAX_WAITING: usize = 32;
/// How long they wait.
const MAX_WAIT: Duration = Duration::from_millis(250);
/// A packet that is so much ahead or behind does not belong to the same count.
const MAX_JUMP: i32 = 3_000;
/// A packet that is so much behind, and of a later time, begins another count; closer ones may be copies.
const MIN_RESTART: i32 = 16;
/// So many late packets in a row, and the stream has begun again.
const MAX_LATE: u32 = 100;
/// So many packets in a row with the number of the one before, none of them the same, and numbers mean nothing.
const MAX_REPEATS: u32 = 8;
/// So many packets of another payload type, and none of the described one: the description is wrong.
const MAX_OTHER_TYPE: usize = 10;

/// A packet in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ordered<'a> {
    pub(crate) packet: Packet<'a>,
    /// Its RTP time, extended to 64 bits.
    pub(crate) ticks: i64,
    /// Packets that are missing before it.
    pub(crate) lost: u32,
}

/// The state of one stream.
#[derive(Debug)]
pub(crate) struct Receiver {
    payload_type: u8,
    /// The first packets, all of one type that was not described.
    others: Vec<Kept>,
    source: Option<Source>,
    /// A first packet of another source; the next one shows whether the stream changed to it.
    stray: Option<Kept>,
    waiting: BTreeMap<i64, Kept>,
    waiting_since: Duration,
    last_ticks: Option<i64>,
    /// Packets have been handed on.
    began: bool,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    /// The sequence number of the next packet, extended.
    next: i64,
    late: u32,
    repeats: u32,
    /// The last packet with the number of the one before it.
    repeated: Option<Kept>,
    /// Packets come in their order, whatever their numbers.
    is_unnumbered: bool,
}

impl Source {
    fn new(packet: &Packet<'_>) -> Self {
        Self {
            ssrc: packet.ssrc,
            next: i64::from(packet.sequence),
            late: 0,
            repeats: 0,
            repeated: None,
            is_unnumbered: false,
        }
    }

    /// Takes a packet with the number of the one before. True: there are too many of them for copies.
    fn repeat(&mut self, packet: &Packet<'_>) -> bool {
        let is_copy = self
            .repeated
            .as_ref()
            .is_some_and(|kept| kept.timestamp == packet.timestamp && kept.payload == packet.payload);
        if !is_copy {
            self.repeats += 1;
            self.repeated = Some(Kept::new(packet));
        }
        self.is_unnumbered |= self.repeats > MAX_REPEATS;
        self.is_unnumbered
    }
}

#[derive(Debug, Clone)]
struct Kept {
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload_type: u8,
    payload: Vec<u8>,
}

impl Kept {
    fn new(packet: &Packet<'_>) -> Self {
        Self {
            marker: packet.marker,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            payload_type: packet.payload_type,
            payload: packet.payload.to_vec(),
        }
    }

    fn packet(&self) -> Packet<'_> {
        Packet {
            payload_type: self.payload_type,
            marker: self.marker,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            payload: &self.payload,
        }
    }
}

impl Receiver {
    pub(crate) fn new(payload_type: u8) -> Self {
        Self {
            payload_type,
            others: Vec::new(),
            source: None,
            stray: None,
            waiting: BTreeMap::new(),
            waiting_since: Duration::ZERO,
            last_ticks: None,
            began: false,
        }
    }

    /// RTP time of a report, extended to 64 bits. Reports may come before the first packet, and some cameras give them an
    /// SSRC of their own; whether the time is the stream's is for its clock to decide.
    pub(crate) fn report_ticks(&mut self, timestamp: u32) -> i64 {
        match self.last_ticks {
            Some(last) => extended(last, timestamp),
            None => *self.last_ticks.insert(i64::from(timestamp)),
        }
    }

    /// Takes a packet as it came, and hands on what is in order now. `now` is since any fixed moment.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        now: Duration,
        repairs: &mut Repairs,
        out: &mut dyn FnMut(Ordered<'_>, &mut Repairs),
    ) {
        let Some(packet) = Packet::parse(bytes) else {
            return repairs.add(Repair::BrokenRtp);
        };
        if packet.payload_type == self.payload_type {
            return self.take(&packet, now, repairs, out);
        }
        repairs.add(Repair::OtherPayloadType);
        for kept in self.adopt(&packet) {
            self.take(&kept.packet(), now, repairs, out);
        }
    }

    /// Takes a packet of the stream's payload type.
    fn take(
        &mut self,
        packet: &Packet<'_>,
        now: Duration,
        repairs: &mut Repairs,
        out: &mut dyn FnMut(Ordered<'_>, &mut Repairs),
    ) {
        let Some(source) = &mut self.source else {
            self.others = Vec::new();
            self.begin(packet, repairs, out);
            return;
        };
        if source.is_unnumbered {
            return self.hand_on(packet, 0, out, repairs);
        }
        let distance = i32::from(packet.sequence.wrapping_sub(source.next as u16) as i16);
        if packet.ssrc != source.ssrc {
            if distance == 0 {
                // Some cameras take another SSRC for each group of pictures.
                repairs.add(Repair::SourceChanged);
                source.ssrc = packet.ssrc;
            } else {
                return self.other_source(packet, repairs, out);
            }
        }
        match distance {
            0 => {
                self.stray = None;
                (source.late, source.repeats) = (0, 0);
                self.hand_on(packet, 0, out, repairs);
                self.hand_on_waiting(false, now, repairs, out);
            }
            1..=MAX_JUMP => {
                self.stray = None;
                if self.waiting.is_empty() {
                    self.waiting_since = now;
                }
                let at = source.next + i64::from(distance);
                if self.waiting.insert(at, Kept::new(packet)).is_some() {
                    repairs.add(Repair::Duplicate);
                }
                self.hand_on_waiting(false, now, repairs, out);
            }
            distance if distance > MAX_JUMP || -distance > MAX_JUMP => {
                self.other_source(packet, repairs, out)
            }
            -1 if source.repeat(packet) => {
                repairs.add(Repair::Unnumbered);
                self.hand_on(packet, 1, out, repairs);
            }
            // Some cameras number the packets of each group of pictures.
            distance
                if distance <= -MIN_RESTART
                    && self
                        .last_ticks
                        .is_some_and(|last| extended(last, packet.timestamp) > last) =>
            {
                self.other_source(packet, repairs, out)
            }
            _ => {
                repairs.add(Repair::Duplicate);
                source.late += 1;
                if source.late > MAX_LATE {
                    self.restart(repairs, out);
                    self.begin(packet, repairs, out);
                }
            }
        }
    }

    /// Hands on everything that waits, because the stream has ended or is silent.
    pub(crate) fn flush(
        &mut self,
        now: Duration,
        repairs: &mut Repairs,
        out: &mut dyn FnMut(Ordered<'_>, &mut Repairs),
    ) {
        self.hand_on_waiting(true, now, repairs, out);
    }

    /// Whether packets wait for an earlier one.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Keeps a packet of a payload type that was not described. When only such packets come, the type is the stream's
    /// nevertheless, and all of them are returned.
    fn adopt(&mut self, packet: &Packet<'_>) -> Vec<Kept> {
        if self.source.is_some() {
            return Vec::new();
        }
        self.others
            .retain(|kept| kept.payload_type == packet.payload_type);
        self.others.push(Kept::new(packet));
        if self.others.len() < MAX_OTHER_TYPE {
            return Vec::new();
        }
        self.payload_type = packet.payload_type;
        std::mem::take(&mut self.others)
    }

    /// A packet that cannot belong to the current count: the second in a row begins a new one (RFC 3550 appendix A.1).
    fn other_source(
        &mut self,
        packet: &Packet<'_>,
        repairs: &mut Repairs,
        out: &mut dyn FnMut(Ordered<'_>, &mut Repairs),
    ) {
        let stray = self.stray.take();
        match stray {
            Some(stray) if stray.ssrc == packet.ssrc && stray.sequence.wrapping_add(1) == packet.sequence => {
                self.restart(repairs, out);
                self.begin(&stray.packet(), repairs, out);
                self.hand_on(packet, 0, out, repairs);
            }
            stray => {
                if stray.is_some() {
                    repairs.add(Repair::Duplicate);
                }
                self.stray = Some(Kept::new(packet));
            }
        }
    }

    fn restart(&mut self, repairs: &mut Repairs, out: &mut dyn FnMut(Ordered<'_>, &mut Repairs)) {
        self.hand_on_waiting(true, Duration::ZERO, repairs, out);
        repairs.add(Repair::SourceChanged);
        self.source = None;
    }

    fn begin(
        &mut self,
        packet: &Packet<'_>,
        repairs: &mut Repairs,
        out: &mut dyn FnMut(Ordered<'_>, &mut Repairs),
    ) {
        self.source = Some(Source::new(packet));
        // After a restart an unknown number is missing: at least the distance to the last packet.
        let lost = u32::from(std::mem::replace(&mut self.began, true));
        self.hand_on(packet, lost, out, repairs);
    }

    fn hand_on(
        &mut self,
        packet: &Packet<'_>,
        lost: u32,
        out: &mut dyn FnMut(Ordered<'_>, &mut Repairs),
        repairs: &mut Repairs,
    ) {
        if let Some(source) = &mut self.source {
            source.next += 1;
        }
        let ticks = match self.last_ticks {
            Some(last) => extended(last, packet.timestamp),
            None => i64::from(packet.timestamp),
        };
        self.last_ticks = Some(ticks);
        let packet = *packet;
        out(Ordered { packet, ticks, lost }, repairs);
    }

    /// Hands on waiting packets that are next, or, when they waited too long or are too many, those behind a gap.
    fn hand_on_waiting(
        &mut self,
        all: bool,
        now: Duration,
        repairs: &mut Repairs,
        out: &mut dyn FnMut(Ordered<'_>, &mut Repairs),
    ) {
        if self.waiting.is_empty() {
            return;
        }
        let mut give_up =
            all || self.waiting.len() > MAX_WAITING || now.saturating_sub(self.waiting_since) > MAX_WAIT;
        let (mut came, mut gave_up) = (false, false);
        while let Some(entry) = self.waiting.first_entry() {
            let Some(source) = &mut self.source else { return };
            let missing = entry.key().saturating_sub(source.next);
            if missing > 0 && !give_up {
                break;
            }
            let kept = entry.remove();
            source.next += missing;
            came |= missing == 0;
            let lost = u32::try_from(missing).unwrap_or(0);
            self.hand_on(&kept.packet(), lost, out, repairs);
            if missing > 0 {
                // One gap is given up; what follows another one waits again.
                give_up = all;
                self.waiting_since = now;
                gave_up = true;
            }
        }
        if came && !gave_up {
            repairs.add(Repair::Reordered);
        }
    }
}

/// The 64-bit time closest to `last` whose lower bits are `timestamp`.
fn extended(last: i64, timestamp: u32) -> i64 {
    last.saturating_add(i64::from(timestamp.wrapping_sub(last as u32) as i32))
}

#[cfg(test)]
#[path = "receiver/tests.rs"]
mod tests;

//! Puts the packets of one stream into their order: sans-I/O.
//!
//! Datagrams are lost and overtake each other, so their numbers decide. A connection does neither: there numbers show what the
//! camera itself left out, sent twice or swapped, and where they make no sense, packets are taken as they come.

mod recent;

use std::collections::BTreeMap;
use std::time::Duration;

use self::recent::Recent;
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
/// So many packets in a row whose numbers fit neither the count nor each other, and numbers mean nothing.
const MAX_ODD: usize = 8;
/// So many numbers in a row that follow each other, and numbers mean something again.
const MIN_RUN: u32 = 64;
/// So many packets of another payload type, and none of the described one: the description is wrong.
const MAX_OTHER_TYPE: usize = 10;

/// How packets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// By a connection: in the order in which they were sent.
    InOrder,
    Datagrams,
}

/// When a packet came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    /// Since any fixed moment.
    pub(crate) at: Duration,
    /// RTP packets that came before it on the same connection, of all streams.
    pub(crate) number: u64,
}

/// A packet in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ordered<'a> {
    pub(crate) packet: Packet<'a>,
    /// Its RTP time, extended to 64 bits.
    pub(crate) ticks: i64,
    /// Packets that are missing before it.
    pub(crate) lost: u32,
}

/// Takes packets in their order.
type Out<'a> = &'a mut dyn FnMut(Ordered<'_>, &mut Repairs);

/// The state of one stream.
#[derive(Debug)]
pub(crate) struct Receiver {
    payload_type: u8,
    delivery: Delivery,
    /// The first packets, all of one type that was not described.
    others: Vec<Kept>,
    source: Option<Source>,
    /// Packets that fit nothing, until the next ones show what they were.
    odd: Vec<Kept>,
    waiting: BTreeMap<i64, Kept>,
    waiting_since: Duration,
    recent: Recent,
    /// Packets that came.
    arrivals: u64,
    /// The sequence number of the last one, and its place among those of all streams.
    previous: Option<(u16, u64)>,
    count: Count,
    last_ticks: Option<i64>,
    /// Packets have been handed on.
    began: bool,
}

/// What sequence numbers count.
#[derive(Debug, Clone, Copy)]
enum Count {
    Unknown,
    /// The packets of the stream. So much is subtracted from them.
    Own(u16),
    /// The packets of all streams of the connection, as with some cameras; so many were of other streams.
    Shared(u16),
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    /// The sequence number of the next packet, extended.
    next: i64,
    late: u32,
    /// Packets in a row behind a gap of their own.
    gaps: usize,
    /// Packets come in their order, whatever their numbers; so many of them have followed each other.
    unnumbered: Option<u32>,
}

impl Source {
    fn new(packet: &Packet<'_>) -> Self {
        Self {
            ssrc: packet.ssrc,
            next: i64::from(packet.sequence),
            late: 0,
            gaps: 0,
            unnumbered: None,
        }
    }

    /// How far a packet is ahead of the next one.
    fn distance(&self, sequence: u16) -> i32 {
        i32::from(sequence.wrapping_sub(self.next as u16) as i16)
    }
}

#[derive(Debug, Clone)]
struct Kept {
    /// Its place in the order of arrival.
    arrival: u64,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload_type: u8,
    payload: Vec<u8>,
}

impl Kept {
    fn new(packet: &Packet<'_>, arrival: u64) -> Self {
        Self {
            arrival,
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
    pub(crate) fn new(payload_type: u8, delivery: Delivery) -> Self {
        Self {
            payload_type,
            delivery,
            others: Vec::new(),
            source: None,
            odd: Vec::new(),
            waiting: BTreeMap::new(),
            waiting_since: Duration::ZERO,
            recent: Recent::default(),
            arrivals: 0,
            previous: None,
            count: Count::Unknown,
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

    /// Takes a packet as it came, and hands on what is in order now.
    pub(crate) fn push(&mut self, bytes: &[u8], came: Came, repairs: &mut Repairs, out: Out<'_>) {
        let Some(packet) = Packet::parse(bytes) else {
            return repairs.add(Repair::BrokenRtp);
        };
        if packet.payload_type == self.payload_type {
            return self.take(&packet, came, repairs, out);
        }
        repairs.add(Repair::OtherPayloadType);
        for kept in self.adopt(&packet) {
            self.take(&kept.packet(), came, repairs, out);
        }
    }

    /// Takes a packet of the stream's payload type.
    fn take(&mut self, packet: &Packet<'_>, came: Came, repairs: &mut Repairs, out: Out<'_>) {
        self.arrivals += 1;
        let came_packet = packet;
        let elsewhere = self
            .previous
            .map_or(0, |(_, number)| came.number.saturating_sub(number + 1));
        let packet = &Packet {
            sequence: self.own_number(packet.sequence, elsewhere, repairs),
            ..*packet
        };
        let previous = self.previous.replace((packet.sequence, came.number));
        let follows = previous.is_some_and(|(sequence, _)| sequence.wrapping_add(1) == packet.sequence);
        let Some(source) = &mut self.source else {
            self.others = Vec::new();
            self.recent.note(came_packet);
            self.begin(packet, repairs, out);
            return;
        };
        if source.unnumbered.is_some() {
            return self.take_unnumbered(packet, follows, repairs, out);
        }
        let distance = source.distance(packet.sequence);
        let at = source.next + i64::from(distance);
        if (distance < 0 || self.waiting.contains_key(&at)) && self.recent.has(came_packet) {
            return self.copy(packet, repairs, out);
        }
        self.recent.note(came_packet);
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
                (source.late, source.gaps) = (0, 0);
                self.drop_odd(repairs);
                self.hand_on(packet, 0, out, repairs);
                self.hand_on_waiting(false, came.at, repairs, out);
            }
            1..=MAX_JUMP if !self.waiting.contains_key(&at) => {
                source.gaps = if follows { 0 } else { source.gaps + 1 };
                let mean_nothing = source.gaps > MAX_ODD && self.delivery == Delivery::InOrder;
                if self.waiting.is_empty() {
                    self.waiting_since = came.at;
                }
                self.waiting.insert(at, Kept::new(packet, self.arrivals));
                if mean_nothing {
                    self.ignore_numbers(repairs, out);
                } else {
                    self.hand_on_waiting(false, came.at, repairs, out);
                }
            }
            distance => match self.delivery {
                Delivery::InOrder => self.take_as_it_comes(packet, distance, follows, repairs, out),
                Delivery::Datagrams => self.take_odd_datagram(packet, distance, follows, repairs, out),
            },
        }
    }

    /// The number of a packet among those of its stream. `elsewhere`: packets of other streams since the one before.
    fn own_number(&mut self, sequence: u16, elsewhere: u64, repairs: &mut Repairs) -> u16 {
        if elsewhere > 0
            && let Some(source) = &self.source
        {
            let others = elsewhere as u16;
            self.count = match self.count {
                Count::Unknown => match source.distance(sequence) {
                    0 => Count::Own(0),
                    distance if distance == i32::from(others) && self.waiting.is_empty() => {
                        Count::Shared(others)
                    }
                    _ => Count::Unknown,
                },
                Count::Shared(before) if source.distance(sequence.wrapping_sub(before)) == 0 => {
                    Count::Own(before)
                }
                Count::Shared(before) => Count::Shared(before.wrapping_add(others)),
                own => own,
            };
            if matches!(self.count, Count::Shared(_)) {
                repairs.add(Repair::SharedCount);
            }
        }
        match self.count {
            Count::Unknown => sequence,
            Count::Own(others) | Count::Shared(others) => sequence.wrapping_sub(others),
        }
    }

    /// A packet that came before, or too late.
    fn copy(&mut self, packet: &Packet<'_>, repairs: &mut Repairs, out: Out<'_>) {
        repairs.add(Repair::Duplicate);
        let Some(source) = &mut self.source else { return };
        source.late += 1;
        if source.late > MAX_LATE {
            self.restart(repairs, out);
            self.begin(packet, repairs, out);
        }
    }

    /// A packet whose number is behind, or far ahead. By a connection nothing overtakes it.
    fn take_as_it_comes(
        &mut self,
        packet: &Packet<'_>,
        distance: i32,
        follows: bool,
        repairs: &mut Repairs,
        out: Out<'_>,
    ) {
        self.hand_on_as_they_came(repairs, out);
        let begins_again = distance > MAX_JUMP || distance <= -MIN_RESTART;
        repairs.add(if follows && begins_again {
            Repair::SourceChanged
        } else {
            Repair::Unnumbered
        });
        if follows && let Some(source) = &mut self.source {
            source.next = i64::from(packet.sequence);
        }
        self.hand_on(packet, 0, out, repairs);
    }

    fn take_odd_datagram(
        &mut self,
        packet: &Packet<'_>,
        distance: i32,
        follows: bool,
        repairs: &mut Repairs,
        out: Out<'_>,
    ) {
        let is_later = self
            .last_ticks
            .is_some_and(|last| extended(last, packet.timestamp) > last);
        if distance.abs() > MAX_JUMP || distance <= -MIN_RESTART && is_later {
            // Some cameras number the packets of each group of pictures.
            return self.other_source(packet, repairs, out);
        }
        if !follows {
            self.odd.push(Kept::new(packet, self.arrivals));
            if self.odd.len() > MAX_ODD {
                self.ignore_numbers(repairs, out);
            }
            return;
        }
        self.copy(packet, repairs, out);
    }

    fn take_unnumbered(&mut self, packet: &Packet<'_>, follows: bool, repairs: &mut Repairs, out: Out<'_>) {
        let run = match &mut self.source {
            Some(Source {
                unnumbered: Some(run),
                ..
            }) => run,
            _ => return,
        };
        if follows {
            *run += 1;
        } else {
            *run = 0;
            repairs.add(Repair::Unnumbered);
        }
        if *run >= MIN_RUN {
            self.source = Some(Source::new(packet));
        }
        self.hand_on(packet, 0, out, repairs);
    }

    /// Hands on everything that waits, because the stream has ended or is silent.
    pub(crate) fn flush(&mut self, now: Duration, repairs: &mut Repairs, out: Out<'_>) {
        self.hand_on_waiting(true, now, repairs, out);
        if self.delivery == Delivery::InOrder {
            self.hand_on_as_they_came(repairs, out);
        }
    }

    /// Whether packets wait for an earlier one, or for the next one.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.delivery == Delivery::InOrder && !self.odd.is_empty()
    }

    /// Keeps a packet of a payload type that was not described. When only such packets come, the type is the stream's
    /// nevertheless, and all of them are returned.
    fn adopt(&mut self, packet: &Packet<'_>) -> Vec<Kept> {
        if self.source.is_some() {
            return Vec::new();
        }
        self.others
            .retain(|kept| kept.payload_type == packet.payload_type);
        self.others.push(Kept::new(packet, 0));
        if self.others.len() < MAX_OTHER_TYPE {
            return Vec::new();
        }
        self.payload_type = packet.payload_type;
        std::mem::take(&mut self.others)
    }

    /// A packet that cannot belong to the current count: the second in a row begins a new one (RFC 3550 appendix A.1).
    fn other_source(&mut self, packet: &Packet<'_>, repairs: &mut Repairs, out: Out<'_>) {
        let follows =
            |kept: &Kept| kept.ssrc == packet.ssrc && kept.sequence.wrapping_add(1) == packet.sequence;
        if self.odd.last().is_some_and(follows)
            && let Some(first) = self.odd.pop()
        {
            self.drop_odd(repairs);
            self.restart(repairs, out);
            self.begin(&first.packet(), repairs, out);
            self.hand_on(packet, 0, out, repairs);
            return;
        }
        self.odd.push(Kept::new(packet, self.arrivals));
        match self.delivery {
            // Two that fit neither the count nor each other: nothing else will come in their place.
            Delivery::InOrder if self.odd.len() > 1 => {
                repairs.add(Repair::SourceChanged);
                self.hand_on_as_they_came(repairs, out);
                if let Some(source) = &mut self.source {
                    source.ssrc = packet.ssrc;
                }
            }
            Delivery::Datagrams if self.odd.len() > MAX_ODD => self.ignore_numbers(repairs, out),
            _ => {}
        }
    }

    /// Packets that fitted nothing were of no use.
    fn drop_odd(&mut self, repairs: &mut Repairs) {
        for _ in self.odd.drain(..) {
            repairs.add(Repair::Duplicate);
        }
    }

    /// Numbers mean nothing: from here on, packets are taken as they come.
    fn ignore_numbers(&mut self, repairs: &mut Repairs, out: Out<'_>) {
        repairs.add(Repair::Unnumbered);
        if let Some(source) = &mut self.source {
            source.unnumbered = Some(0);
        }
        self.hand_on_as_they_came(repairs, out);
    }

    fn hand_on_as_they_came(&mut self, repairs: &mut Repairs, out: Out<'_>) {
        if self.waiting.is_empty() && self.odd.is_empty() {
            return;
        }
        let mut kept: Vec<_> = std::mem::take(&mut self.waiting).into_values().collect();
        kept.append(&mut self.odd);
        kept.sort_by_key(|kept| kept.arrival);
        for kept in kept {
            self.hand_on(&kept.packet(), 0, out, repairs);
        }
    }

    fn restart(&mut self, repairs: &mut Repairs, out: Out<'_>) {
        self.hand_on_waiting(true, Duration::ZERO, repairs, out);
        repairs.add(Repair::SourceChanged);
        self.source = None;
    }

    fn begin(&mut self, packet: &Packet<'_>, repairs: &mut Repairs, out: Out<'_>) {
        self.source = Some(Source::new(packet));
        // After a restart an unknown number is missing: at least the distance to the last packet.
        let lost = u32::from(std::mem::replace(&mut self.began, true));
        self.hand_on(packet, lost, out, repairs);
    }

    fn hand_on(&mut self, packet: &Packet<'_>, lost: u32, out: Out<'_>, repairs: &mut Repairs) {
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
    fn hand_on_waiting(&mut self, all: bool, now: Duration, repairs: &mut Repairs, out: Out<'_>) {
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

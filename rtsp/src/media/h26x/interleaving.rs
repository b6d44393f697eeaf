//! Units that come in another order than they are decoded in, numbered for that: H.264 in interleaved mode (RFC 6184
//! sections 5.5 and 7: STAP-B, MTAP, FU-B), H.265 with `sprop-max-don-diff` (RFC 7798 sections 4.4 and 6).

use std::collections::{BTreeMap, VecDeque};

use lva_bitstream::{NalHeader, VideoCodec};

use super::{At, MAX_PICTURE, nal};
use crate::media::receiver::Ordered;
use crate::wire::description::parameter;
use crate::wire::repairs::{Repair, Repairs};

/// Units that wait, whatever the description states, and their bytes.
const MAX_WAITING: usize = 512;
const MAX_WAITING_BYTES: usize = MAX_PICTURE;
/// Slices that wait where interleaved mode does not state how many.
const DEFAULT_DEPTH: usize = 16;
/// Numbers within which a lost unit may have been, where the description does not state it.
const DEFAULT_DIFFERENCE: i64 = 32;

/// Puts the units of one stream into the order of decoding.
#[derive(Debug)]
pub(super) struct Interleaving {
    codec: VideoCodec,
    /// So many slices (H.264) or units (H.265) may come before one that is decoded earlier.
    depth: Option<usize>,
    /// The number of a unit is at most so much below those that came before it.
    difference: Option<i64>,
    /// By number, and by arrival where numbers are the same.
    waiting: BTreeMap<(i64, u64), Waiting>,
    waiting_slices: usize,
    waiting_bytes: usize,
    arrivals: u64,
    /// The highest number so far, extended, and the last one that went out.
    newest: Option<i64>,
    last_out: Option<i64>,
    fragment: Option<Partial>,
    /// Packets were lost before the next unit.
    lost: bool,
    /// A lost unit may have been among those up to this number.
    suspect_until: Option<i64>,
    ready: VecDeque<InOrder>,
}

#[derive(Debug)]
struct Waiting {
    unit: Vec<u8>,
    at: At,
    is_slice: bool,
    is_numbered: bool,
    /// Packets were lost right before it.
    after_loss: bool,
}

#[derive(Debug)]
struct Partial {
    number: Option<u16>,
    unit: Vec<u8>,
    at: At,
}

/// A unit in its order.
#[derive(Debug)]
pub(super) struct InOrder {
    pub(super) unit: Vec<u8>,
    pub(super) at: At,
    /// A part of its picture may have been lost.
    pub(super) suspect: bool,
}

/// Whether this payload has numbers. In H.265 only the description states it.
pub(super) fn is_numbered(codec: VideoCodec, payload: &[u8]) -> bool {
    codec == VideoCodec::H264
        && payload
            .first()
            .is_some_and(|first| matches!(first & 31, 25..=27 | 29))
}

impl Interleaving {
    /// `None` if the units come in the order of decoding.
    pub(super) fn described(codec: VideoCodec, fmtp: &str) -> Option<Self> {
        let number = |name: &str| parameter(fmtp, name).and_then(|value| value.parse::<usize>().ok());
        let difference = number("sprop-max-don-diff").filter(|difference| (1..=32_767).contains(difference));
        let (is_used, depth) = match codec {
            VideoCodec::H264 => {
                let depth = number("sprop-interleaving-depth");
                let default = difference.is_none().then_some(DEFAULT_DEPTH);
                (number("packetization-mode") == Some(2), depth.or(default))
            }
            VideoCodec::H265 => {
                let depth = number("sprop-depack-buf-nalus").filter(|depth| *depth > 0);
                (difference.or(depth).is_some(), depth)
            }
            VideoCodec::Mjpeg => (false, None),
        };
        is_used.then(|| Self {
            depth,
            difference: difference.and_then(|difference| i64::try_from(difference).ok()),
            ..Self::undescribed(codec)
        })
    }

    /// Of a stream with numbers that the description does not announce: they are taken to be in order.
    pub(super) fn undescribed(codec: VideoCodec) -> Self {
        Self {
            codec,
            depth: Some(0),
            difference: None,
            waiting: BTreeMap::new(),
            waiting_slices: 0,
            waiting_bytes: 0,
            arrivals: 0,
            newest: None,
            last_out: None,
            fragment: None,
            lost: false,
            suspect_until: None,
            ready: VecDeque::new(),
        }
    }

    /// The next unit in the order of decoding.
    pub(super) fn next(&mut self) -> Option<InOrder> {
        self.ready.pop_front()
    }

    /// Takes a packet.
    pub(super) fn push(&mut self, ordered: &Ordered<'_>, at: At, repairs: &mut Repairs) {
        if ordered.lost > 0 {
            self.lost = true;
            self.fragment = None;
        }
        let payload = ordered.packet.payload;
        let taken = match self.codec {
            VideoCodec::H265 => self.h265(payload, at, repairs),
            VideoCodec::H264 | VideoCodec::Mjpeg => self.h264(payload, at, repairs),
        };
        if taken.is_none() {
            repairs.add(Repair::Payload);
            self.lost = true;
        }
        self.release(repairs);
    }

    /// `None`: it is cut off.
    fn h264(&mut self, payload: &[u8], at: At, repairs: &mut Repairs) -> Option<()> {
        let kind = payload.first()? & 31;
        match kind {
            25..=27 => {
                let (first, mut rest) = split_number(payload.get(1..)?)?;
                let offset = match kind {
                    26 => 2,
                    27 => 3,
                    _ => 0,
                };
                let mut count = 0_u16;
                while !rest.is_empty() {
                    let (length, behind) = split_number(rest)?;
                    let (mut number, mut ticks, mut behind) = (first.wrapping_add(count), 0, behind);
                    if kind != 25 {
                        let (difference, after) = behind.split_first()?;
                        let (time, after) = after.split_at_checked(offset)?;
                        number = first.wrapping_add(u16::from(*difference));
                        ticks = time.iter().fold(0, |ticks, byte| ticks << 8 | i64::from(*byte));
                        behind = after;
                    }
                    let (unit, behind) = behind.split_at_checked(usize::from(length))?;
                    rest = behind;
                    count = count.wrapping_add(1);
                    let at = At {
                        ticks: at.ticks.saturating_add(ticks),
                        ..at
                    };
                    self.unit(Some(number), unit.to_vec(), at, repairs);
                }
            }
            28 | 29 => {
                // The number is in the first fragment alone.
                let mut fragment = nal::fragment(self.codec, payload)?;
                let number = match kind {
                    29 => {
                        let (number, body) = split_number(fragment.body)?;
                        fragment.body = body;
                        Some(number)
                    }
                    _ => None,
                };
                self.fragment(&fragment, number, at, repairs);
            }
            24 => {
                for unit in nal::aggregated(self.codec, payload)? {
                    self.unit(None, unit.ok()?.to_vec(), at, repairs);
                }
            }
            _ => self.unit(None, payload.to_vec(), at, repairs),
        }
        Some(())
    }

    fn h265(&mut self, payload: &[u8], at: At, repairs: &mut Repairs) -> Option<()> {
        let (header, rest) = payload.split_at_checked(NalHeader::size(self.codec))?;
        match header.first()? >> 1 & 63 {
            48 => {
                let (mut number, mut rest) = split_number(rest)?;
                let mut is_first = true;
                while !rest.is_empty() {
                    if !std::mem::take(&mut is_first) {
                        let (difference, behind) = rest.split_first()?;
                        number = number.wrapping_add(u16::from(*difference)).wrapping_add(1);
                        rest = behind;
                    }
                    let (length, behind) = split_number(rest)?;
                    let (unit, behind) = behind.split_at_checked(usize::from(length))?;
                    rest = behind;
                    self.unit(Some(number), unit.to_vec(), at, repairs);
                }
            }
            49 => {
                let mut fragment = nal::fragment(self.codec, payload)?;
                let mut number = None;
                if fragment.start {
                    let (first, body) = split_number(fragment.body)?;
                    (number, fragment.body) = (Some(first), body);
                }
                self.fragment(&fragment, number, at, repairs);
            }
            _ => {
                let (number, body) = split_number(rest)?;
                self.unit(Some(number), [header, body].concat(), at, repairs);
            }
        }
        Some(())
    }

    /// Fragments of a unit follow each other (RFC 6184 section 5.8), whatever the order of the units.
    fn fragment(&mut self, fragment: &nal::Fragment<'_>, number: Option<u16>, at: At, repairs: &mut Repairs) {
        if fragment.start {
            if self.fragment.is_some() {
                repairs.add(Repair::Fragments);
                self.lost = true;
            }
            self.fragment = Some(Partial {
                number,
                unit: fragment.header().to_vec(),
                at,
            });
        }
        let Some(partial) = &mut self.fragment else {
            if !self.lost {
                repairs.add(Repair::Fragments);
                self.lost = true;
            }
            return;
        };
        if partial.unit.len() + fragment.body.len() > MAX_PICTURE {
            repairs.add(Repair::TooLarge);
            self.fragment = None;
            self.lost = true;
            return;
        }
        partial.unit.extend_from_slice(fragment.body);
        if fragment.end
            && let Some(partial) = self.fragment.take()
        {
            self.unit(partial.number, partial.unit, partial.at, repairs);
        }
    }

    /// A whole unit. One without a number is the next one.
    fn unit(&mut self, number: Option<u16>, unit: Vec<u8>, at: At, repairs: &mut Repairs) {
        let is_numbered = number.is_some();
        let number = match (number, self.newest) {
            (Some(number), Some(newest)) => newest + i64::from(number.wrapping_sub(newest as u16) as i16),
            (Some(number), None) => i64::from(number),
            (None, newest) => newest.unwrap_or(0),
        };
        let newest = self.newest.map_or(number, |newest| newest.max(number));
        self.newest = Some(newest);
        let after_loss = std::mem::take(&mut self.lost);
        if after_loss {
            self.suspect_until = Some(newest + self.difference.unwrap_or(DEFAULT_DIFFERENCE));
        }
        if self.last_out.is_some_and(|last| number < last) {
            // Too late: its picture may have gone out without it.
            repairs.add(Repair::Duplicate);
            self.lost = true;
            return;
        }
        let is_slice = NalHeader::parse(self.codec, &unit).is_some_and(|header| header.kind.is_slice());
        self.waiting_slices += usize::from(is_slice);
        self.waiting_bytes += unit.len();
        self.arrivals += 1;
        let waiting = Waiting {
            unit,
            at,
            is_slice,
            is_numbered,
            after_loss,
        };
        self.waiting.insert((number, self.arrivals), waiting);
    }

    /// Lets those out before which nothing can come.
    fn release(&mut self, repairs: &mut Repairs) {
        while let Some((&(number, _), _)) = self.waiting.first_key_value() {
            let counted = match self.codec {
                VideoCodec::H264 => self.waiting_slices,
                VideoCodec::H265 | VideoCodec::Mjpeg => self.waiting.len(),
            };
            let newest = self.newest.unwrap_or(number);
            let is_due = self.depth.is_some_and(|depth| counted > depth)
                || self
                    .difference
                    .is_some_and(|difference| newest - number >= difference);
            let is_too_much = self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES;
            if !is_due && !is_too_much {
                return;
            }
            if !is_due {
                repairs.add(Repair::TooLarge);
            }
            let Some((_, next)) = self.waiting.pop_first() else {
                return;
            };
            self.waiting_slices -= usize::from(next.is_slice);
            self.waiting_bytes -= next.unit.len();
            self.last_out = Some(number);
            let is_near_loss = next.is_numbered && self.suspect_until.is_some_and(|until| number <= until);
            self.ready.push_back(InOrder {
                unit: next.unit,
                at: next.at,
                suspect: next.after_loss || is_near_loss,
            });
        }
    }
}

/// A number of 16 bits, and what follows it.
fn split_number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests;

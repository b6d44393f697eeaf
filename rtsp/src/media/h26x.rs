//! Pictures of H.264 (RFC 6184) and H.265 (RFC 7798) from RTP payloads: sans-I/O.
//!
//! The end of a picture is known by the marker, by RTP time, and by the slices themselves. Cameras get the first two wrong,
//! so the marker is believed only after some pictures have shown that it is right.

mod entry;
mod interleaving;
mod nal;

use std::ops::Range;

use lva_bitstream::{NalHeader, NalKind, VideoCodec};

use self::entry::EntryPoints;
use self::interleaving::Interleaving;
use super::parameter_sets::{Field, Interlacing, ParameterSets};
use super::receiver::Ordered;
use super::unit::{Arrival, Unit};
use crate::wire::repairs::{Repair, Repairs};

/// Largest picture: a key frame of 8K at an unusually fine quantiser.
const MAX_PICTURE: usize = 16 << 20;
/// Units in a picture: one for each packet of the largest picture is more than any camera sends.
const MAX_UNITS: u32 = 16 * 1024;
/// Bytes of units without a slice in front of a picture.
const MAX_LEADING: usize = 256 * 1024;
/// So many pictures must end at their markers before a marker is believed at once.
const PICTURES_TO_TRUST: u32 = 3;
/// The second field of a frame comes within this of the first: 0.1 s.
const MAX_FIELD_DISTANCE: i64 = 9_000;
/// Bytes of the length in front of each unit.
const LENGTH: usize = 4;

/// Assembles the pictures of one stream.
#[derive(Debug)]
pub(crate) struct PictureAssembler {
    codec: VideoCodec,
    pub(crate) parameters: ParameterSets,
    /// Version of the parameter sets with which the last picture came out.
    announced: u32,
    picture: Picture,
    /// Where units come in another order than they are decoded in.
    interleaving: Option<Box<Interleaving>>,
    entry: EntryPoints,
    /// The unit of which fragments have come.
    fragment: Option<Fragment>,
    trust: Trust,
    /// RTP time of the last picture that came out.
    last_ticks: Option<i64>,
    /// Packets lost and not yet reported.
    lost: u32,
    /// Nothing counts until the next picture begins.
    skipping: bool,
    /// Pictures that were dropped because a part of them is missing.
    damaged: u64,
}

/// Whether the marker ends pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// So many pictures have shown that it does.
    Unknown(u32),
    Yes,
    No,
}

/// A picture that is being assembled, or that has ended and waits for what follows.
#[derive(Debug, Default)]
struct Picture {
    /// Units after their lengths.
    data: Vec<u8>,
    units: u32,
    slices: u32,
    /// Slices that begin a picture: two in a frame of two fields.
    first_slices: u32,
    /// The first slice is one of a field.
    field: Option<Field>,
    /// Where units begin that may belong to the next picture.
    tail: Option<usize>,
    ticks: i64,
    arrival: Option<Arrival>,
    keyframe: bool,
    disposable: bool,
    damaged: bool,
    /// Its marker has come.
    ended: bool,
}

#[derive(Debug)]
struct Fragment {
    at: usize,
    ticks: i64,
    /// Its last packet had the marker, and not the bit that ends it: the next packet shows which of them is wrong.
    marked: bool,
}

impl PictureAssembler {
    pub(crate) fn new(codec: VideoCodec, fmtp: &str) -> Self {
        let parameters = ParameterSets::from_description(codec, fmtp);
        Self {
            codec,
            announced: parameters.version(),
            parameters,
            picture: Picture::default(),
            interleaving: Interleaving::described(codec, fmtp).map(Box::new),
            entry: EntryPoints::default(),
            fragment: None,
            trust: Trust::Unknown(0),
            last_ticks: None,
            lost: 0,
            skipping: false,
            damaged: 0,
        }
    }

    /// Pictures that were dropped because a part of them was lost or damaged.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Whether a picture waits only for the beginning of the next one.
    pub(crate) fn is_holding(&self) -> bool {
        self.picture.ended && self.picture.slices > 0
            || self.fragment.as_ref().is_some_and(|open| open.marked)
    }

    /// Hands out a picture that waits.
    pub(crate) fn flush(&mut self, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        self.end_at_marker(repairs, out);
        if self.is_holding() {
            // Nothing of it followed: at a low rate this is how its marker is found right.
            self.verify_marker();
            self.finish(repairs, out);
        }
    }

    /// Takes a packet with its payload.
    pub(crate) fn push(
        &mut self,
        ordered: &Ordered<'_>,
        arrival: Arrival,
        repairs: &mut Repairs,
        out: &mut Vec<Unit>,
    ) {
        let packet = ordered.packet;
        let payload = packet.payload;
        let at = At {
            ticks: ordered.ticks,
            arrival,
        };
        if self.interleaving.is_none() && interleaving::is_numbered(self.codec, payload) {
            self.interleaving = Some(Box::new(Interleaving::undescribed(self.codec)));
        }
        if let Some(mut interleaving) = self.interleaving.take() {
            self.lost = self.lost.saturating_add(ordered.lost);
            // The marker ends a picture in the order of transmission, which is of no use.
            self.trust = Trust::No;
            interleaving.push(ordered, at, repairs);
            while let Some(next) = interleaving.next() {
                self.unit(&next.unit, next.at, repairs, out);
                self.picture.damaged |= next.suspect && self.picture.slices > 0;
            }
            self.interleaving = Some(interleaving);
            return;
        }
        let fragment = nal::fragment(self.codec, payload);
        if let Some(open) = &mut self.fragment
            && open.marked
        {
            let goes_on = fragment.as_ref().is_some_and(|fragment| !fragment.start);
            if goes_on && open.ticks == at.ticks && ordered.lost == 0 {
                // The marker is on every packet, of whatever part.
                repairs.add(Repair::Marker);
                open.marked = false;
                self.trust = Trust::No;
            } else {
                self.end_at_marker(repairs, out);
            }
        }
        if ordered.lost > 0 {
            self.lose(ordered.lost, repairs, out);
        }
        if let Some(units) = nal::aggregated(self.codec, payload) {
            for unit in units {
                match unit {
                    Ok(unit) => self.unit(unit, at, repairs, out),
                    Err(nal::Malformed) => self.malformed(repairs),
                }
            }
        } else if let Some(fragment) = fragment {
            self.fragment(&fragment, at, repairs, out);
        } else {
            self.unit(payload, at, repairs, out);
        }
        match &mut self.fragment {
            Some(open) => open.marked = packet.marker && self.trust != Trust::No,
            None if packet.marker => self.marker(repairs, out),
            None => {}
        }
    }

    /// A unit whose last fragment has no sign of its end but the marker is complete.
    fn end_at_marker(&mut self, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        if self.fragment.as_ref().is_some_and(|open| open.marked) {
            repairs.add(Repair::Fragments);
            self.end_fragment(repairs, out);
            self.marker(repairs, out);
        }
    }

    /// Packets are missing here.
    fn lose(&mut self, lost: u32, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        self.lost = self.lost.saturating_add(lost);
        if self.is_holding() && self.fragment.is_none() && self.trust != Trust::No {
            // It was complete; the loss is that of the next one.
            let mut held = Vec::new();
            let next = std::mem::take(&mut self.lost);
            self.finish(repairs, &mut held);
            self.lost = self.lost.saturating_add(next);
            out.append(&mut held);
        } else if self.picture.slices > 0 {
            self.picture.damaged = true;
        } else if self.fragment.is_some() {
            self.damaged += 1;
            self.picture = Picture::default();
        }
        if let Some(fragment) = self.fragment.take() {
            self.picture.data.truncate(fragment.at);
        }
        // Whatever comes is of this picture until another one begins.
        self.skipping = true;
    }

    fn malformed(&mut self, repairs: &mut Repairs) {
        repairs.add(Repair::Payload);
        self.picture.damaged |= self.picture.slices > 0 && !self.picture.ended;
    }

    /// A complete unit, or several with start codes between them.
    fn unit(&mut self, unit: &[u8], at: At, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        if self.fragment.is_some() {
            // The one before had no end.
            repairs.add(Repair::Fragments);
            self.end_fragment(repairs, out);
        }
        if nal::has_start_code(unit) {
            repairs.add(Repair::StartCodes);
            self.parts(unit, at, repairs, out);
        } else {
            self.whole_unit(unit, at, repairs, out);
        }
    }

    /// Units with start codes between them.
    fn parts(&mut self, units: &[u8], at: At, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        for part in nal::split(units) {
            self.whole_unit(part, at, repairs, out);
        }
    }

    fn whole_unit(&mut self, unit: &[u8], at: At, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        let Some(nal) = NalHeader::parse(self.codec, unit) else {
            return self.malformed(repairs);
        };
        if !self.begin_unit(unit, &nal, at, repairs, out) {
            return;
        }
        if matches!(nal.kind, NalKind::ParameterSet(_)) {
            self.parameters.offer(unit);
        } else if let Some(start) = self.open_unit(unit, repairs) {
            self.close_unit(start, &nal);
        }
    }

    /// A fragment of a unit.
    fn fragment(&mut self, fragment: &nal::Fragment<'_>, at: At, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        let begins = fragment.start || self.fragment.is_none();
        if begins {
            if self.fragment.is_some() {
                repairs.add(Repair::Fragments);
                self.end_fragment(repairs, out);
            }
            if !fragment.start {
                if self.skipping || self.lost > 0 {
                    // Its beginning was lost.
                    return;
                }
                repairs.add(Repair::Fragments);
            }
            // Where a start code follows at once, the fragments' header is that of no unit.
            let start_codes = [&b"\0\0\x01"[..], b"\0\0\0\x01"];
            let header = if start_codes.iter().any(|code| fragment.body.starts_with(code)) {
                &[][..]
            } else {
                fragment.header()
            };
            let head = [header, fragment.body].concat();
            let first = nal::split(&head).next().unwrap_or_default();
            let Some(nal) = NalHeader::parse(self.codec, first) else {
                return self.malformed(repairs);
            };
            if !self.begin_unit(first, &nal, at, repairs, out) {
                return;
            }
            let Some(start) = self.open_unit(&head, repairs) else {
                return;
            };
            self.fragment = Some(Fragment {
                at: start,
                ticks: at.ticks,
                marked: false,
            });
        } else {
            if self.fragment.as_ref().is_some_and(|open| open.ticks != at.ticks) {
                repairs.add(Repair::Fragments);
            }
            if self.picture.data.len() + fragment.body.len() > MAX_PICTURE {
                return self.too_large(repairs);
            }
            self.picture.data.extend_from_slice(fragment.body);
        }
        if fragment.end {
            if fragment.start {
                repairs.add(Repair::Fragments);
            }
            self.end_fragment(repairs, out);
        }
    }

    fn end_fragment(&mut self, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        let Some(fragment) = self.fragment.take() else {
            return;
        };
        let at = At {
            ticks: fragment.ticks,
            arrival: self.picture.arrival.unwrap_or_else(Arrival::now),
        };
        let unit = self.picture.data.get(fragment.at + LENGTH..).unwrap_or_default();
        if nal::has_start_code(unit) {
            repairs.add(Repair::StartCodes);
            let unit = unit.to_vec();
            self.picture.data.truncate(fragment.at);
            return self.parts(&unit, at, repairs, out);
        }
        let Some(nal) = NalHeader::parse(self.codec, unit) else {
            return;
        };
        if matches!(nal.kind, NalKind::ParameterSet(_)) {
            self.parameters.offer(unit);
            self.picture.data.truncate(fragment.at);
        } else {
            self.close_unit(fragment.at, &nal);
        }
    }

    /// Decides whether a unit begins another picture. `unit` has at least its first bytes. False: it is dropped.
    fn begin_unit(
        &mut self,
        unit: &[u8],
        nal: &NalHeader,
        at: At,
        repairs: &mut Repairs,
        out: &mut Vec<Unit>,
    ) -> bool {
        let same_time = at.ticks == self.picture.ticks;
        if nal.kind.is_slice() {
            let first = nal.first_slice;
            let field = match self.parameters.interlacing() {
                Interlacing::Fields(syntax) if first => syntax.field(unit),
                _ => None,
            };
            if self.picture.slices > 0 {
                let begins = if first && self.picture.is_completed_by(field, at.ticks) {
                    self.picture.ended = false;
                    false
                } else if first {
                    self.picture.ended
                        || !same_time
                        || self.picture.tail_has_start(self.codec)
                        // Two fields, as far as is known.
                        || self.picture.first_slices >= 2
                        || self.parameters.interlacing() != Interlacing::Unknown
                } else if self.picture.ended && same_time {
                    // The picture goes on behind its marker.
                    repairs.add(Repair::Marker);
                    self.trust = Trust::No;
                    self.picture.ended = false;
                    false
                } else {
                    !same_time && (self.skipping || self.picture.ended)
                };
                if begins {
                    self.verify_marker();
                    self.finish(repairs, out);
                }
            } else if !first && self.trust == Trust::Yes && self.last_ticks == Some(at.ticks) {
                // A part of the picture that has already been handed out.
                repairs.add(Repair::Marker);
                self.trust = Trust::No;
                self.lost = self.lost.saturating_add(1);
                return false;
            }
            if self.picture.slices == 0 {
                self.picture.ticks = at.ticks;
                self.picture.field = field;
                self.picture.damaged = !first;
                if self.skipping && !first {
                    return false;
                }
                self.skipping = false;
                if first && nal.kind == (NalKind::Slice { keyframe: true }) {
                    self.parameters.activate(unit);
                }
            } else if self.skipping {
                return false;
            }
        } else if self.picture.slices > 0 {
            // Each field is an access unit, with a delimiter and messages of its own.
            let may_be_of_second_field = nal.kind.is_leading() && self.picture.awaits_field();
            if may_be_of_second_field {
                return true;
            }
            if self.picture.ended || !same_time && self.fragment.is_none() {
                if nal.kind == NalKind::Trailing {
                    if self.picture.ended && same_time {
                        return true;
                    }
                    repairs.add(Repair::UnitWithoutSlice);
                    return false;
                }
                self.verify_marker();
                self.finish(repairs, out);
            }
        } else if nal.kind == NalKind::Trailing {
            repairs.add(Repair::UnitWithoutSlice);
            return false;
        }
        if self.picture.arrival.is_none() {
            self.picture.arrival = Some(at.arrival);
            if self.picture.slices == 0 {
                self.picture.ticks = at.ticks;
            }
        }
        true
    }

    /// Appends the beginning of a unit behind space for its length; `None` if there is too much.
    fn open_unit(&mut self, bytes: &[u8], repairs: &mut Repairs) -> Option<usize> {
        let picture = &mut self.picture;
        let start = picture.data.len();
        let leading = picture.slices == 0 && start > MAX_LEADING;
        if start + bytes.len() + LENGTH > MAX_PICTURE || picture.units >= MAX_UNITS || leading {
            self.too_large(repairs);
            return None;
        }
        picture.data.extend_from_slice(&[0; LENGTH]);
        picture.data.extend_from_slice(bytes);
        Some(start)
    }

    fn too_large(&mut self, repairs: &mut Repairs) {
        repairs.add(Repair::TooLarge);
        self.damaged += 1;
        self.lost = self.lost.max(1);
        self.fragment = None;
        self.picture = Picture::default();
        self.skipping = true;
    }

    /// Writes a unit's length and notes what it is.
    fn close_unit(&mut self, start: usize, nal: &NalHeader) {
        let picture = &mut self.picture;
        let len = picture.data.len().saturating_sub(start + LENGTH);
        let length = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        if let Some(place) = picture.data.get_mut(start..start + LENGTH) {
            place.copy_from_slice(&length);
        }
        picture.units += 1;
        if let NalKind::Slice { keyframe } = nal.kind {
            if picture.slices == 0 {
                picture.keyframe = keyframe;
                picture.disposable = true;
            }
            picture.first_slices += u32::from(nal.first_slice);
            // The second field of an IDR picture is never one (H.264 section 7.4.1.2.4).
            picture.keyframe &= keyframe || picture.first_slices > 1;
            picture.disposable &= nal.disposable;
            picture.slices += 1;
            picture.tail = None;
        } else if picture.slices > 0 && nal.kind.is_leading() {
            picture.tail.get_or_insert(start);
        }
    }

    fn marker(&mut self, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        if self.picture.slices == 0 {
            if !self.skipping {
                repairs.add(Repair::UnitWithoutSlice);
            }
            return;
        }
        self.picture.ended = true;
        if self.trust == Trust::Yes && !self.picture.awaits_field() {
            self.finish(repairs, out);
        }
    }

    /// Another picture begins: was that where the marker was?
    fn verify_marker(&mut self) {
        if let Trust::Unknown(pictures) = self.trust
            && self.picture.ended
        {
            self.trust = if pictures + 1 >= PICTURES_TO_TRUST {
                Trust::Yes
            } else {
                Trust::Unknown(pictures + 1)
            };
        }
    }

    /// Hands out the picture, or drops it if a part is missing.
    fn finish(&mut self, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        if self.fragment.is_some() {
            repairs.add(Repair::Fragments);
            self.end_fragment(repairs, out);
        }
        let capacity = self.picture.data.len();
        let mut picture = std::mem::take(&mut self.picture);
        if let Some(tail) = picture.tail.filter(|tail| *tail <= capacity) {
            // Units in front of the next picture.
            self.picture.data = picture.data.split_off(tail);
            self.picture.arrival = picture.arrival;
            self.picture.units = 1;
        } else {
            self.picture.data.reserve(capacity / 2);
        }
        self.last_ticks = Some(picture.ticks);
        if picture.damaged || picture.slices == 0 {
            if picture.slices > 0 {
                self.damaged += 1;
                self.lost = self.lost.max(1);
            }
            return;
        }
        let arrival = picture.arrival.unwrap_or_else(Arrival::now);
        let keyframe = self
            .entry
            .is_at(self.codec, &picture.data, picture.keyframe, arrival);
        let version = self.parameters.version();
        let parameters_changed = version != self.announced;
        self.announced = version;
        out.push(Unit {
            data: picture.data,
            ticks: picture.ticks,
            arrival,
            lost: std::mem::take(&mut self.lost),
            keyframe,
            disposable: picture.disposable,
            parameters_changed,
        });
    }
}

/// The time of a packet.
#[derive(Debug, Clone, Copy)]
struct At {
    ticks: i64,
    arrival: Arrival,
}

impl Picture {
    /// Whether it is one field, which most often another one completes.
    fn awaits_field(&self) -> bool {
        self.field.is_some() && self.first_slices == 1
    }

    /// Whether this field and it are one frame (H.264 section 7.4.1.2.4).
    fn is_completed_by(&self, other: Option<Field>, ticks: i64) -> bool {
        let (Some(own), Some(other)) = (self.field, other) else {
            return false;
        };
        self.first_slices == 1
            && own.frame_num == other.frame_num
            && own.is_bottom != other.is_bottom
            && (ticks - self.ticks).abs() <= MAX_FIELD_DISTANCE
    }

    /// Whether the units behind the last slice begin a picture.
    fn tail_has_start(&self, codec: VideoCodec) -> bool {
        let Some(tail) = self.tail else { return false };
        let range: Range<usize> = tail + LENGTH..self.data.len();
        let unit = self.data.get(range).unwrap_or_default();
        NalHeader::parse(codec, unit).is_some_and(|header| header.kind == NalKind::Delimiter)
    }
}

#[cfg(test)]
mod tests;

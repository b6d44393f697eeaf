//! ONVIF metadata from RTP payloads (ONVIF Streaming section 5.2.1.1): XML documents, each in one or more packets of
//! which the last has the marker. Sans-I/O.

use super::receiver::Ordered;
use super::unit::{Arrival, Unit};
use crate::wire::repairs::{Repair, Repairs};

/// Largest document.
const MAX_DOCUMENT: usize = 1 << 20;

/// Assembles the documents of one stream.
#[derive(Debug, Default)]
pub(crate) struct DocumentAssembler {
    data: Vec<u8>,
    ticks: i64,
    arrival: Option<Arrival>,
    /// Packets of the current document are missing, or it is too large: what is left of it is dropped.
    broken: bool,
}

impl DocumentAssembler {
    /// Takes a packet. `lost` are packets that no unit has reported yet.
    pub(crate) fn push(
        &mut self,
        ordered: &Ordered<'_>,
        lost: &mut u32,
        arrival: Arrival,
        repairs: &mut Repairs,
        out: &mut Vec<Unit>,
    ) {
        let packet = ordered.packet;
        if !self.data.is_empty() && self.ticks != ordered.ticks && ordered.lost == 0 {
            // Some cameras forget the marker.
            repairs.add(Repair::Marker);
            self.finish(lost, out);
        }
        *lost = lost.saturating_add(ordered.lost);
        self.broken |= ordered.lost > 0 && !starts_document(packet.payload);
        if ordered.lost > 0 {
            self.data.clear();
        }
        if self.data.is_empty() {
            (self.ticks, self.arrival) = (ordered.ticks, Some(arrival));
        }
        if self.data.len() + packet.payload.len() > MAX_DOCUMENT {
            repairs.add(Repair::TooLarge);
            self.broken = true;
            self.data = Vec::new();
        }
        if !self.broken {
            self.data.extend_from_slice(packet.payload);
        }
        if packet.marker {
            self.finish(lost, out);
        }
    }

    fn finish(&mut self, lost: &mut u32, out: &mut Vec<Unit>) {
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.broken) || data.is_empty() {
            return;
        }
        out.push(Unit {
            data,
            ticks: self.ticks,
            arrival: self.arrival.unwrap_or_else(Arrival::now),
            lost: std::mem::take(lost),
            keyframe: true,
            disposable: false,
            parameters_changed: false,
        });
    }
}

fn starts_document(payload: &[u8]) -> bool {
    payload.trim_ascii_start().starts_with(b"<?xml")
        || payload.trim_ascii_start().starts_with(b"<tt:MetadataStream")
}

#[cfg(test)]
mod tests {
    use super::super::rtp::Packet;
    use super::*;

    /// Payload, ticks, marker, packets lost before it; to documents with the loss before them.
    fn documents(packets: &[(&[u8], i64, bool, u32)]) -> (Vec<(String, u32)>, Repairs) {
        let mut assembler = DocumentAssembler::default();
        let (mut repairs, mut lost, mut out) = (Repairs::default(), 0, Vec::new());
        for (payload, ticks, marker, before) in packets {
            let packet = Packet {
                payload_type: 107,
                marker: *marker,
                sequence: 0,
                timestamp: *ticks as u32,
                ssrc: 1,
                payload,
            };
            let ordered = Ordered {
                packet,
                ticks: *ticks,
                lost: *before,
            };
            assembler.push(&ordered, &mut lost, Arrival::now(), &mut repairs, &mut out);
            assert!(assembler.data.len() <= MAX_DOCUMENT);
        }
        let text = |unit: Unit| (String::from_utf8(unit.data).unwrap(), unit.lost);
        (out.into_iter().map(text).collect(), repairs)
    }

    #[test]
    fn documents_end_at_their_markers_or_where_time_goes_on() {
        let (out, repairs) = documents(&[
            (b"<?xml ", 0, false, 0),
            (b"a/>", 0, true, 0),
            (b"<b>", 9, false, 0),
            (b"</b>", 9, false, 0),
            (b"<c/>", 18, true, 0),
        ]);
        let texts: Vec<_> = out.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["<?xml a/>", "<b></b>", "<c/>"]);
        assert_eq!(repairs.count(Repair::Marker), 1);
    }

    #[test]
    fn a_loss_costs_its_document_and_no_other() {
        let (out, _) = documents(&[
            (b"<?xml a", 0, false, 0),
            (b"/>", 0, true, 1),
            (b"<b/>", 9, true, 0),
            (b"<c", 18, false, 0),
            (b"<?xml d/>", 27, true, 2),
        ]);
        assert_eq!(out, [("<b/>".to_owned(), 1), ("<?xml d/>".to_owned(), 2)]);
    }

    #[test]
    fn a_document_without_end_is_given_up() {
        let part = [b'x'; 60_000];
        let mut packets = vec![(&part[..], 0, false, 0); 100];
        packets.push((b"end", 0, true, 0));
        packets.push((b"<b/>", 9, true, 0));
        let (out, repairs) = documents(&packets);
        assert_eq!(out, [("<b/>".to_owned(), 0)]);
        assert!(repairs.count(Repair::TooLarge) > 0);
    }
}

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::message::OutputMessage;

/// Bytes before a record's payload: its length and its checksum.
const FRAME: usize = 8;
/// Sequence number, time, length of the header.
const FIXED: usize = 20;
/// Longest payload. An event is at most 262,144 bytes, and JSON makes at most six of each in its header.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// An event with its place in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEvent {
    pub(crate) sequence: u64,
    /// Milliseconds since 1970 by the clock of the machine, which may have been wrong.
    pub(crate) created_ms: u64,
    pub(crate) event: OutputMessage,
}

/// All of an event but its body. As JSON, so that members can be added.
#[derive(Serialize, Deserialize)]
struct Header {
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(rename = "encoding", skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<String, String>,
}

/// Appends a record: length (u32) and CRC-32 (u32) of the payload; then sequence number (u64), time (u64), length of the
/// header (u32), header, body. Little endian.
pub(crate) fn encode(stored: &StoredEvent, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let event = &stored.event;
    let header = Header {
        id: event.message_id.clone(),
        output: event.output.clone(),
        correlation: event.correlation_id.clone(),
        content_type: event.content_type.clone(),
        content_encoding: event.content_encoding.clone(),
        properties: event.properties.clone(),
    };
    let header = serde_json::to_vec(&header)?;
    let length = FIXED + header.len() + event.body.len();
    out.reserve(FRAME + length);
    // Neither length passes 32 bits: `OutputMessage::check` bounds both.
    out.extend_from_slice(&(length as u32).to_le_bytes());
    let checksum_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let payload_at = out.len();
    out.extend_from_slice(&stored.sequence.to_le_bytes());
    out.extend_from_slice(&stored.created_ms.to_le_bytes());
    out.extend_from_slice(&(header.len() as u32).to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(&event.body);
    let checksum = crc32fast::hash(&out[payload_at..]);
    out[checksum_at..payload_at].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}

/// Reads the record at the beginning of `bytes`, and returns it with its length. `None` for anything that [`encode`] did
/// not write completely.
pub(crate) fn decode(bytes: &[u8]) -> Option<(StoredEvent, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if !(FIXED..=MAX_PAYLOAD).contains(&length) {
        return None;
    }
    let payload = rest.get(..length)?;
    if crc32fast::hash(payload) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (sequence, rest) = payload.split_first_chunk::<8>()?;
    let (created_ms, rest) = rest.split_first_chunk::<8>()?;
    let (header_length, rest) = rest.split_first_chunk::<4>()?;
    let (header, body) = rest.split_at_checked(u32::from_le_bytes(*header_length) as usize)?;
    let header: Header = serde_json::from_slice(header).ok()?;
    let event = OutputMessage {
        output: header.output,
        message_id: header.id,
        correlation_id: header.correlation,
        content_type: header.content_type,
        content_encoding: header.content_encoding,
        properties: header.properties,
        body: Bytes::copy_from_slice(body),
    };
    let stored = StoredEvent {
        sequence: u64::from_le_bytes(*sequence),
        created_ms: u64::from_le_bytes(*created_ms),
        event,
    };
    Some((stored, FRAME + length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::MAX_MESSAGE_BYTES;

    fn sample() -> StoredEvent {
        let event = OutputMessage::json("out", r#"{"a":1}"#).with_property("subject", "\u{1}x");
        StoredEvent {
            sequence: 7,
            created_ms: 1_700_000_000_000,
            event: event.with_message_id("m"),
        }
    }

    #[test]
    fn a_record_comes_back_and_no_cut_or_flipped_one_does() {
        let mut bytes = Vec::new();
        encode(&sample(), &mut bytes).unwrap();
        assert_eq!(decode(&bytes), Some((sample(), bytes.len())));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), None, "cut at {cut}");
            let mut flipped = bytes.clone();
            flipped[cut] ^= 0x10;
            assert_eq!(decode(&flipped), None, "flipped at {cut}");
        }
    }

    #[test]
    fn the_largest_event_fits_into_a_record() {
        let event = OutputMessage::default().with_property("p", "\u{1}".repeat(20_000));
        let left = MAX_MESSAGE_BYTES - event.size() - 6;
        let event = OutputMessage {
            body: vec![b'x'; left].into(),
            message_id: Some("m".into()),
            ..event
        };
        assert_eq!(event.check(), Ok(()));
        let stored = StoredEvent { event, ..sample() };
        let mut bytes = Vec::new();
        encode(&stored, &mut bytes).unwrap();
        assert_eq!(decode(&bytes), Some((stored, bytes.len())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}

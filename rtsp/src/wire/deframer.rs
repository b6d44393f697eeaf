//! Bytes of an RTSP connection to messages and interleaved packets (RFC 2326 section 10.12): sans-I/O.

use std::ops::Range;
use std::time::Duration;

use super::message::{Message, end_of_head};
use super::repairs::{Repair, Repairs};

/// Free space that a read gets at least.
const MIN_SPACE: usize = 32 * 1024;
const FIRST_SIZE: usize = 64 * 1024;
/// Largest head of a message.
const MAX_HEAD: usize = 64 * 1024;
/// Largest message: a description of all its tracks fits many times.
const MAX_BODY: usize = 1 << 20;
/// The longest name of a method.
const MAX_METHOD: usize = 16;
const PACKET_HEADER: usize = 4;
/// What ends a body of unknown length.
const NEXT_MESSAGE: &[u8] = b"\nRTSP/1.";
/// Nothing for so long, and a description without a length has ended; and one that is shorter than its length.
const END_OF_BODY: Duration = Duration::from_millis(500);
const END_OF_SHORT_BODY: Duration = Duration::from_secs(3);

/// What the connection carries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The place of an interleaved packet without its header, for [`Deframer::bytes`].
    Packet {
        channel: u8,
        at: Range<usize>,
    },
    Message(Message),
}

/// Splits the bytes of a connection, and finds its way back when there is something else between them.
///
/// Keeps at most one message or packet and one read: little more than 1 MiB.
pub(crate) struct Deframer {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the current head that are known not to end it.
    scanned: usize,
    /// A message whose body is not complete, and that body's length.
    message: Option<(Message, Length)>,
    /// The next success has a description as its body, whatever length it states.
    expects_description: bool,
    lost: bool,
    /// Bytes that were neither.
    garbage: u64,
    /// Channels that carry RTP or RTCP.
    channels: [bool; 256],
}

/// Length of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    /// It ends where another message begins, or nothing more comes. So many bytes are known not to end it.
    Open(usize),
}

impl Default for Deframer {
    fn default() -> Self {
        Self {
            buffer: vec![0; FIRST_SIZE],
            start: 0,
            end: 0,
            scanned: 0,
            message: None,
            expects_description: false,
            lost: false,
            garbage: 0,
            channels: [false; 256],
        }
    }
}

impl Deframer {
    /// Names a channel that carries RTP or RTCP.
    pub(crate) fn expect_channel(&mut self, channel: u8) {
        if let Some(known) = self.channels.get_mut(usize::from(channel)) {
            *known = true;
        }
    }

    /// A description has been asked for, or has come.
    pub(crate) fn expect_description(&mut self, expected: bool) {
        self.expects_description = expected;
    }

    /// How long to wait for more of a description of which the end is uncertain, before [`settle`](Self::settle).
    pub(crate) fn settles_after(&self) -> Option<Duration> {
        match self.message.as_ref()? {
            (_, Length::Open(_)) => Some(END_OF_BODY),
            (_, Length::Known(_)) => self.expects_description.then_some(END_OF_SHORT_BODY),
        }
    }

    /// No more of the body comes: what there is is all of it.
    pub(crate) fn settle(&mut self) {
        let all = self.data().len();
        if let Some((_, length)) = &mut self.message {
            *length = Length::Known(all);
        }
    }

    /// Where the next bytes go. [`next`](Self::next) must have returned `None` before.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len() - self.end < MIN_SPACE {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() - self.end < MIN_SPACE {
                self.buffer.resize(self.end + MIN_SPACE.max(self.end), 0);
            }
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes were written there.
    pub(crate) fn filled(&mut self, len: usize) {
        self.end = (self.end + len).min(self.buffer.len());
    }

    /// Copies bytes in.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let (now, later) = bytes.split_at(space.len().min(bytes.len()));
            space
                .get_mut(..now.len())
                .unwrap_or_default()
                .copy_from_slice(now);
            let len = now.len();
            self.filled(len);
            bytes = later;
        }
    }

    /// The bytes of a packet; valid until [`space`](Self::space) is called.
    pub(crate) fn bytes(&self, at: Range<usize>) -> &[u8] {
        self.buffer.get(at).unwrap_or_default()
    }

    /// Bytes so far that were neither messages nor packets.
    pub(crate) fn garbage(&self) -> u64 {
        self.garbage
    }

    fn data(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The next message or packet, if it has arrived completely.
    pub(crate) fn next(&mut self, repairs: &mut Repairs) -> Option<Frame> {
        loop {
            if self.message.is_some() {
                return self.take_body(repairs).map(Frame::Message);
            }
            if self.lost {
                self.find_frame()?;
            }
            let data = self.data();
            match *data.first()? {
                b'$' => {
                    let &[_, channel, high, low] = data.first_chunk::<PACKET_HEADER>()?;
                    let length = usize::from(u16::from_be_bytes([high, low]));
                    let body = data.get(PACKET_HEADER..PACKET_HEADER + length)?;
                    if self.is_odd(channel, body) && !begins_frame(*data.get(PACKET_HEADER + length)?) {
                        repairs.add(Repair::Garbage);
                        self.lost = true;
                        self.skip(1);
                        continue;
                    }
                    let from = self.start + PACKET_HEADER;
                    self.start = from + length;
                    let at = from..self.start;
                    return Some(Frame::Packet { channel, at });
                }
                // Empty lines between messages are allowed.
                b'\r' | b'\n' => self.start += 1,
                _ => match begins_message(data) {
                    Some(true) => self.take_head(repairs)?,
                    Some(false) => {
                        repairs.add(Repair::Garbage);
                        self.lost = true;
                        self.skip(1);
                    }
                    None => return None,
                },
            }
        }
    }

    /// Reads a head. `None`: it is not complete.
    fn take_head(&mut self, repairs: &mut Repairs) -> Option<()> {
        let data = self.data();
        match end_of_head(data, self.scanned) {
            Err(scanned) if data.len() <= MAX_HEAD => {
                self.scanned = scanned;
                None
            }
            Err(scanned) => {
                // All of it, so that nothing is read twice.
                repairs.add(Repair::TooLarge);
                self.lost = true;
                self.skip(scanned);
                Some(())
            }
            Ok(len) => {
                let message = Message::parse(data.get(..len).unwrap_or_default(), repairs);
                self.start += len;
                self.scanned = 0;
                let length = message.content_length();
                let describes = self.expects_description && message.is_success();
                let length = match length {
                    None | Some(0) | Some(MAX_BODY..) if describes => Length::Open(0),
                    // Whatever it is, its head has what matters, and the way back is found behind it.
                    Some(MAX_BODY..) => {
                        repairs.add(Repair::TooLarge);
                        self.lost = true;
                        Length::Known(0)
                    }
                    length => Length::Known(length.unwrap_or(0)),
                };
                self.message = Some((message, length));
                Some(())
            }
        }
    }

    /// Completes the message whose head has come. `None`: its body is not complete.
    fn take_body(&mut self, repairs: &mut Repairs) -> Option<Message> {
        let data = self.buffer.get(self.start..self.end)?;
        let (message, length) = self.message.as_mut()?;
        let declared = message.content_length();
        if let Length::Known(known) = *length
            && Some(known) == declared
            && self.expects_description
            && data.get(known).is_some_and(|byte| !begins_frame(*byte))
        {
            // It goes on behind its length.
            *length = Length::Open(0);
        }
        let len = match length {
            Length::Known(length) => *length,
            Length::Open(scanned) => {
                let from = scanned.saturating_sub(NEXT_MESSAGE.len());
                let behind = data.get(from..).unwrap_or_default();
                let next = behind
                    .windows(NEXT_MESSAGE.len())
                    .position(|bytes| bytes == NEXT_MESSAGE);
                *scanned = data.len();
                match next {
                    Some(at) => from + at + 1,
                    None if data.len() > MAX_BODY => MAX_BODY,
                    None => return None,
                }
            }
        };
        let body = data.get(..len)?.to_vec();
        let (mut message, _) = self.message.take()?;
        if self.expects_description && message.is_success() && declared != Some(len) && len > 0 {
            repairs.add(Repair::Length);
        }
        message.body = body;
        self.start += len;
        Some(message)
    }

    fn skip(&mut self, len: usize) {
        self.start += len;
        self.garbage += len as u64;
        self.scanned = 0;
    }

    /// Skips what is neither message nor packet. `None`: everything that has come is skipped or undecided.
    fn find_frame(&mut self) -> Option<()> {
        loop {
            let data = self.data();
            let next = data.iter().position(|byte| matches!(byte, b'$' | b'R'));
            let Some(next) = next else {
                let all = data.len();
                self.skip(all);
                return None;
            };
            self.skip(next);
            match self.is_frame() {
                Some(true) => {
                    self.lost = false;
                    return Some(());
                }
                Some(false) => self.skip(1),
                None => return None,
            }
        }
    }

    /// Whether a plausible frame begins here; `None`: too few bytes to decide.
    fn is_frame(&self) -> Option<bool> {
        let data = self.data();
        if data.first() == Some(&b'R') {
            const START: &[u8] = b"RTSP/1.";
            let common = START.len().min(data.len());
            let same = data.get(..common) == START.get(..common);
            return if same && common < START.len() {
                None
            } else {
                Some(same)
            };
        }
        let &[_, channel, high, low, version, _] = data.first_chunk::<6>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let known = self.channels.get(usize::from(channel)).copied().unwrap_or(false);
        if !known || version >> 6 != 2 || length < 8 {
            return Some(false);
        }
        // A dollar sign in garbage rarely has another frame at the distance that it seems to give.
        let behind = data.get(PACKET_HEADER + length);
        Some(behind.is_none_or(|byte| begins_frame(*byte)))
    }

    /// Whether a packet is neither RTP nor RTCP though its channel carries that. It counts if another frame follows it.
    fn is_odd(&self, channel: u8, body: &[u8]) -> bool {
        let known = self.channels.get(usize::from(channel)).copied().unwrap_or(false);
        known && body.first().is_some_and(|version| version >> 6 != 2)
    }
}

fn begins_frame(byte: u8) -> bool {
    matches!(byte, b'$' | b'R' | b'\r' | b'\n')
}

/// Whether a message begins here: a protocol or a method. `None`: too few bytes to decide.
fn begins_message(data: &[u8]) -> Option<bool> {
    let word = data.iter().take(MAX_METHOD + 1).position(|byte| !is_token(*byte));
    match word {
        Some(0) => Some(false),
        Some(len) => {
            let (word, rest) = data.split_at(len);
            Some(match rest.first() {
                Some(b'/') => matches!(word, b"RTSP" | b"HTTP"),
                Some(b' ') => len >= 3,
                _ => false,
            })
        }
        None if data.len() > MAX_METHOD => Some(false),
        None => None,
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'_'
}

#[cfg(test)]
#[path = "deframer/tests.rs"]
mod tests;

//! What the session layer repairs, and how often.

use std::fmt;

macro_rules! repairs {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// A deviation of a camera that the session layer repairs. Each leaves a good session byte for byte as it is, and each
        /// is counted. The table in the README of this crate has an example of every one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Repair {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Repair {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// A short name for logs and metrics, in lower case with hyphens.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}

repairs! {
    /// The syntax of a header: folded lines, a line feed alone, spaces before the colon, bytes that are not UTF-8.
    HeaderSyntax = "header-syntax",
    /// A response without the number of its request, or with another one.
    ResponseNumber = "response-number",
    /// A description without its length, or with another one.
    Length = "length",
    /// A header whose value is missing or malformed: `Session`, `Transport`, `Content-Base`.
    HeaderValue = "header-value",
    /// A line of the session description.
    Description = "description",
    /// An optional track that the camera refused to set up.
    TrackRefused = "track-refused",
    /// A new nonce in the middle of a session.
    NonceRenewed = "nonce-renewed",
    /// A keep-alive that was refused or not answered.
    KeepAlive = "keep-alive",
    /// A request of the camera to this client.
    CameraRequest = "camera-request",
    /// Bytes between messages and interleaved packets that are neither.
    Garbage = "garbage",
    /// An interleaved packet on a channel that was not set up.
    UnknownChannel = "unknown-channel",
    /// A stream whose packets come on another channel than the agreed one.
    OtherChannel = "other-channel",
    /// A packet that is not RTP: too short, empty, of another version.
    BrokenRtp = "broken-rtp",
    /// A packet that is not RTCP.
    BrokenRtcp = "broken-rtcp",
    /// An RTP packet of another payload type than the described one.
    OtherPayloadType = "other-payload-type",
    /// A packet that came twice, or too late.
    Duplicate = "duplicate",
    /// Packets that came in another order.
    Reordered = "reordered",
    /// Sequence numbers that mean nothing: packets are taken in the order in which they come.
    Unnumbered = "unnumbered",
    /// Sequence numbers that count the packets of all streams of a connection.
    SharedCount = "shared-count",
    /// A stream whose SSRC changed, or began again with another sequence number.
    SourceChanged = "source-changed",
    /// A payload that does not follow the payload format.
    Payload = "payload",
    /// Fragments of a unit without a beginning or an end, though no packet is missing.
    Fragments = "fragments",
    /// Start codes inside a unit (Annex B).
    StartCodes = "start-codes",
    /// The marker on a packet that does not end its picture.
    Marker = "marker",
    /// A unit without a slice, such as filler data, behind the picture that it belongs to.
    UnitWithoutSlice = "unit-without-slice",
    /// More than this crate keeps of one thing: a picture, the units in it, a message.
    TooLarge = "too-large",
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// How often each was needed. `Debug` shows those that were.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Repairs {
    counts: [u64; Repair::ALL.len()],
    any: bool,
}

impl Default for Repairs {
    fn default() -> Self {
        Self {
            counts: [0; Repair::ALL.len()],
            any: false,
        }
    }
}

impl Repairs {
    /// How often this one was needed.
    pub fn count(&self, repair: Repair) -> u64 {
        self.counts.get(repair as usize).copied().unwrap_or(0)
    }

    /// Those that were needed, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Repair, u64)> {
        let all = Repair::ALL.iter().map(|repair| (*repair, self.count(*repair)));
        all.filter(|(_, count)| *count > 0)
    }

    /// Whether none was needed.
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    pub(crate) fn add(&mut self, repair: Repair) {
        if let Some(count) = self.counts.get_mut(repair as usize) {
            *count = count.saturating_add(1);
            self.any = true;
        }
    }

    /// Moves the counts of `other` here.
    pub(crate) fn take_from(&mut self, other: &mut Self) {
        for (own, theirs) in self.counts.iter_mut().zip(&mut other.counts) {
            *own = own.saturating_add(std::mem::take(theirs));
        }
        self.any |= std::mem::take(&mut other.any);
    }
}

impl fmt::Debug for Repairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needed = self.iter().map(|(repair, count)| (repair.code(), count));
        f.debug_map().entries(needed).finish()
    }
}

/// A map from [`Repair::code`] to the count.
#[cfg(feature = "serde")]
impl serde::Serialize for Repairs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(repair, count)| (repair.code(), count)))
    }
}

impl fmt::Display for Repairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (repair, count)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{repair} {count}")?;
        }
        Ok(())
    }
}

//! Which stream an interleaved packet belongs to: the one whose channel was agreed, and where that cannot be, the one that
//! the packet itself shows. Sans-I/O.

/// So many packets on a channel that was not agreed, and it is that of the stream whose payload type they have.
const ENOUGH: usize = 3;
/// So many packets that may be of another stream are kept until that is certain.
const MAX_KEPT: usize = 10;
/// Channels of which packets are kept.
const MAX_CANDIDATES: usize = 4;

/// Where a packet goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To this stream.
    To {
        stream: usize,
        rtcp: bool,
        /// It came on the channel that was agreed.
        agreed: bool,
    },
    /// It was kept until the next ones show where it belongs.
    Kept,
    /// All that were kept are of this stream, in this order; the packet itself is the last.
    Found {
        stream: usize,
        packets: Vec<Vec<u8>>,
        agreed: bool,
    },
    /// It was not set up.
    Unknown,
}

/// The channels of a connection.
#[derive(Debug)]
pub(super) struct Channels {
    /// The stream of each channel, and whether it carries RTCP.
    agreed: Vec<Option<(usize, bool)>>,
    streams: Vec<Known>,
    /// Channels that carry another stream than the agreed one.
    found: Vec<(u8, usize)>,
    candidates: Vec<Candidate>,
}

/// A stream that was set up.
#[derive(Debug)]
struct Known {
    stream: usize,
    payload_type: u8,
    /// Its packets come on the channel that was agreed.
    came: bool,
}

#[derive(Debug)]
struct Candidate {
    channel: u8,
    stream: usize,
    packets: Vec<Vec<u8>>,
    /// The channel is its own after all.
    dismissed: bool,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            agreed: vec![None; 256],
            streams: Vec::new(),
            found: Vec::new(),
            candidates: Vec::new(),
        }
    }
}

impl Channels {
    /// Whether no stream has this channel.
    pub(super) fn is_free(&self, channel: u8) -> bool {
        self.agreed(channel).is_none()
    }

    /// The RTP of a stream comes on this channel, its RTCP on the next.
    pub(super) fn agree(&mut self, channel: u8, stream: usize, payload_type: u8) {
        for (channel, rtcp) in [(channel, false), (channel.saturating_add(1), true)] {
            if let Some(place) = self.agreed.get_mut(usize::from(channel)) {
                *place = Some((stream, rtcp));
            }
        }
        self.streams.push(Known {
            stream,
            payload_type,
            came: false,
        });
    }

    /// Where a packet belongs.
    pub(super) fn route(&mut self, channel: u8, packet: &[u8]) -> Route {
        let kind = Kind::of(packet);
        match (self.agreed(channel), kind) {
            (Some((stream, rtcp)), Kind::Other) => Route::To {
                stream,
                rtcp,
                agreed: true,
            },
            (Some((stream, rtcp)), Kind::Rtcp) => Route::To {
                stream,
                rtcp: true,
                agreed: rtcp,
            },
            (Some((stream, rtcp)), Kind::Rtp(payload_type)) => {
                self.on_agreed(channel, (stream, rtcp), payload_type, packet)
            }
            (None, Kind::Rtp(payload_type)) => self.on_unknown(channel, payload_type, packet),
            (None, Kind::Rtcp) => {
                let rtp = self.found.iter().find(|(found, _)| *found == channel ^ 1);
                rtp.map_or(Route::Unknown, |(_, stream)| Route::To {
                    stream: *stream,
                    rtcp: true,
                    agreed: false,
                })
            }
            (None, Kind::Other) => Route::Unknown,
        }
    }

    fn agreed(&self, channel: u8) -> Option<(usize, bool)> {
        self.agreed.get(usize::from(channel)).copied().flatten()
    }

    /// RTP on a channel that was agreed.
    fn on_agreed(
        &mut self,
        channel: u8,
        (stream, rtcp): (usize, bool),
        payload_type: u8,
        packet: &[u8],
    ) -> Route {
        let is_own = |known: &&mut Known| known.stream == stream && known.payload_type == payload_type;
        if let Some(own) = self.streams.iter_mut().find(is_own) {
            if !rtcp {
                own.came = true;
            }
            return Route::To {
                stream,
                rtcp: false,
                agreed: !rtcp,
            };
        }
        if let Some(found) = self.found(channel) {
            return found;
        }
        let own_came = self
            .streams
            .iter()
            .any(|known| known.stream == stream && known.came);
        match self.silent(payload_type, false).filter(|other| *other != stream) {
            Some(other) => self.keep(channel, other, packet, |candidates| {
                // Two streams on one channel, or two that have changed places.
                own_came
                    || candidates
                        .iter()
                        .any(|candidate| candidate.channel != channel && candidate.stream == stream)
            }),
            None => Route::To {
                stream,
                rtcp,
                agreed: true,
            },
        }
    }

    fn on_unknown(&mut self, channel: u8, payload_type: u8, packet: &[u8]) -> Route {
        if let Some(found) = self.found(channel) {
            return found;
        }
        match self.silent(payload_type, true) {
            Some(stream) => self.keep(channel, stream, packet, |_| true),
            None => Route::Unknown,
        }
    }

    /// The stream that was found to come on a channel, as long as nothing comes on its own.
    fn found(&self, channel: u8) -> Option<Route> {
        let (_, stream) = self.found.iter().find(|(found, _)| *found == channel)?;
        let is_silent = |known: &Known| known.stream == *stream && !known.came;
        self.streams.iter().any(is_silent).then_some(Route::To {
            stream: *stream,
            rtcp: false,
            agreed: false,
        })
    }

    /// The only stream that has this payload type and of which nothing has come yet; with `any_type` the only
    /// stream at all.
    fn silent(&self, payload_type: u8, any_type: bool) -> Option<usize> {
        let is_found = |known: &Known| self.found.iter().any(|(_, stream)| *stream == known.stream);
        let is_silent = |known: &&Known| !known.came && !is_found(known);
        let mut silent = self.streams.iter().filter(is_silent);
        if any_type && self.streams.len() == 1 {
            return silent.next().map(|known| known.stream);
        }
        let mut of_type = silent.filter(|known| known.payload_type == payload_type);
        match (of_type.next(), of_type.next()) {
            (Some(one), None) => Some(one.stream),
            _ => None,
        }
    }

    /// Keeps a packet that seems to be of another stream than its channel's.
    fn keep(
        &mut self,
        channel: u8,
        stream: usize,
        packet: &[u8],
        is_certain: impl Fn(&[Candidate]) -> bool,
    ) -> Route {
        let is_same = |candidate: &Candidate| candidate.channel == channel && candidate.stream == stream;
        let place = match self.candidates.iter().position(is_same) {
            Some(place) => place,
            None if self.candidates.len() < MAX_CANDIDATES => {
                self.candidates.push(Candidate {
                    channel,
                    stream,
                    packets: Vec::new(),
                    dismissed: false,
                });
                self.candidates.len() - 1
            }
            None => return self.as_agreed(channel),
        };
        let is_certain = is_certain(&self.candidates);
        let agreed = self.as_agreed(channel);
        let Some(candidate) = self.candidates.get_mut(place).filter(|one| !one.dismissed) else {
            return agreed;
        };
        candidate.packets.push(packet.to_vec());
        let packets = candidate.packets.len();
        if is_certain && packets >= ENOUGH {
            self.found.push((channel, stream));
            return Route::Found {
                stream,
                packets: std::mem::take(&mut candidate.packets),
                agreed: false,
            };
        }
        if packets < MAX_KEPT {
            return Route::Kept;
        }
        candidate.dismissed = true;
        match agreed {
            Route::To { stream, .. } => Route::Found {
                stream,
                packets: std::mem::take(&mut candidate.packets),
                agreed: true,
            },
            other => other,
        }
    }

    /// Where a packet of RTP goes if its channel is the right one.
    fn as_agreed(&self, channel: u8) -> Route {
        self.agreed(channel)
            .map_or(Route::Unknown, |(stream, rtcp)| Route::To {
                stream,
                rtcp,
                agreed: true,
            })
    }
}

/// What a packet is, as far as its first bytes show (RFC 5761 section 4).
enum Kind {
    /// With this payload type.
    Rtp(u8),
    Rtcp,
    Other,
}

impl Kind {
    fn of(packet: &[u8]) -> Self {
        match packet {
            [first, 192..=195 | 200..=210, _, _, ..] if first >> 6 == 2 => Self::Rtcp,
            [first, second, rest @ ..] if first >> 6 == 2 && rest.len() >= 10 => Self::Rtp(second & 0x7f),
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(payload_type: u8) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type | 0x80];
        packet.extend([0; 12]);
        packet
    }

    const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 7];

    /// Video (stream 0, type 96) on channels 0 and 1, audio (stream 1, type 97) on 2 and 3.
    fn agreed() -> Channels {
        let mut channels = Channels::default();
        channels.agree(0, 0, 96);
        channels.agree(2, 1, 97);
        channels
    }

    fn to(stream: usize, rtcp: bool, agreed: bool) -> Route {
        Route::To { stream, rtcp, agreed }
    }

    /// Routes so many packets, and returns what comes of the last.
    fn last(channels: &mut Channels, channel: u8, payload_type: u8, packets: usize) -> Route {
        (0..packets).fold(Route::Unknown, |_, _| channels.route(channel, &rtp(payload_type)))
    }

    fn found(stream: usize, payload_type: u8, packets: usize, agreed: bool) -> Route {
        let packets = vec![rtp(payload_type); packets];
        Route::Found {
            stream,
            packets,
            agreed,
        }
    }

    #[test]
    fn packets_on_their_channels_pass_whatever_they_are() {
        let mut channels = agreed();
        assert_eq!(channels.route(0, &rtp(96)), to(0, false, true));
        assert_eq!(channels.route(2, &rtp(97)), to(1, false, true));
        assert_eq!(channels.route(3, &REPORT), to(1, true, true));
        for broken in [&[][..], &[0, 0, 0, 0], &rtp(96)[..9]] {
            assert_eq!(channels.route(1, broken), to(0, true, true));
            assert_eq!(channels.route(0, broken), to(0, false, true));
        }
        // A type without a description is for the stream itself to judge.
        assert_eq!(channels.route(0, &rtp(50)), to(0, false, true));
        assert_eq!(channels.route(9, &REPORT), Route::Unknown);
    }

    #[test]
    fn rtp_and_rtcp_that_have_changed_places_are_told_by_their_types() {
        let mut channels = agreed();
        assert_eq!(channels.route(1, &rtp(96)), to(0, false, false));
        assert_eq!(channels.route(0, &REPORT), to(0, true, false));
    }

    #[test]
    fn a_stream_on_a_channel_that_nobody_agreed_is_found_and_loses_nothing() {
        let mut channels = agreed();
        assert_eq!(last(&mut channels, 8, 96, ENOUGH - 1), Route::Kept);
        assert_eq!(channels.route(8, &rtp(96)), found(0, 96, ENOUGH, false));
        assert_eq!(channels.route(8, &rtp(96)), to(0, false, false));
        assert_eq!(channels.route(9, &REPORT), to(0, true, false));
        assert_eq!(channels.route(2, &rtp(97)), to(1, false, true));
        // Nothing else comes in the place of a stream that comes.
        assert_eq!(last(&mut channels, 6, 97, 20), Route::Unknown);
        assert_eq!(channels.route(0, &rtp(96)), to(0, false, true));
        assert_eq!(last(&mut channels, 8, 96, 20), Route::Unknown);
        // The only stream, whatever its type.
        let mut alone = Channels::default();
        alone.agree(0, 0, 96);
        assert_eq!(last(&mut alone, 4, 99, ENOUGH), found(0, 99, ENOUGH, false));
    }

    #[test]
    fn streams_that_have_changed_places_are_told_by_their_types() {
        let mut channels = agreed();
        assert_eq!(last(&mut channels, 0, 97, ENOUGH), Route::Kept);
        assert_eq!(last(&mut channels, 2, 96, ENOUGH), found(0, 96, ENOUGH, false));
        assert_eq!(channels.route(0, &rtp(97)), found(1, 97, ENOUGH + 1, false));
        assert_eq!(channels.route(0, &rtp(97)), to(1, false, false));
        // Two streams on one channel.
        let mut channels = agreed();
        channels.route(0, &rtp(96));
        assert_eq!(last(&mut channels, 0, 97, ENOUGH), found(1, 97, ENOUGH, false));
    }

    #[test]
    fn a_type_that_lies_leaves_its_packets_on_their_channel() {
        let mut channels = agreed();
        assert_eq!(last(&mut channels, 0, 97, MAX_KEPT - 1), Route::Kept);
        assert_eq!(channels.route(0, &rtp(97)), found(0, 97, MAX_KEPT, true));
        assert_eq!(channels.route(0, &rtp(97)), to(0, false, true));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut channels = agreed();
        for channel in 4..=255 {
            for _ in 0..MAX_KEPT {
                channels.route(channel, &rtp(if channel % 2 == 0 { 96 } else { 97 }));
            }
        }
        let kept: usize = channels.candidates.iter().map(|one| one.packets.len()).sum();
        assert!(channels.candidates.len() <= MAX_CANDIDATES && kept <= MAX_CANDIDATES * MAX_KEPT);
    }
}

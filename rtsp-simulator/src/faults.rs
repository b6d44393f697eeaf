//! Planned faults of a simulated camera: sans-I/O and reproducible by seed.

use std::time::Duration;

/// The faults of every session, and when they happen. All are off by default.
///
/// The same faults, file and order of sessions hit the same packets; only [`with_seed`](Self::with_seed) decides which.
///
/// ```
/// use std::time::Duration;
/// use lva_rtsp_simulator::Faults;
///
/// let faults = Faults::default()
///     .with_seed(7)
///     .with_loss(0.01)
///     .with_close_after(Some(Duration::from_secs(15)));
/// assert_ne!(faults, Faults::default());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    pub(crate) seed: u64,
    pub(crate) loss: f64,
    pub(crate) reorder: f64,
    pub(crate) stall: Option<(Duration, Duration)>,
    pub(crate) close_after: Option<Duration>,
    pub(crate) reset_after: Option<Duration>,
    pub(crate) clock_offset_ms: i64,
    pub(crate) no_reports: bool,
    pub(crate) describe: DescribeFaults,
}

/// Wrong and missing statements in descriptions and responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DescribeFaults {
    pub(crate) parameter_sets: bool,
    pub(crate) foreign_streams: bool,
    pub(crate) no_content_base: bool,
    pub(crate) no_rtp_info: bool,
}

impl Faults {
    /// Decides which packets are hit. Default 0.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Fraction of the RTP packets that are not sent, 0 to 1. Default 0.
    pub fn with_loss(mut self, fraction: f64) -> Self {
        self.loss = fraction.clamp(0.0, 1.0);
        self
    }

    /// Fraction of the RTP packets that are sent after the next one of their stream, 0 to 1. Default 0.
    pub fn with_reorder(mut self, fraction: f64) -> Self {
        self.reorder = fraction.clamp(0.0, 1.0);
        self
    }

    /// Sends nothing for a while, as `(delay after PLAY, duration)`; the connection stays open. Default `None`.
    pub fn with_stall(mut self, after_and_for: Option<(Duration, Duration)>) -> Self {
        self.stall = after_and_for;
        self
    }

    /// Closes each connection this long after PLAY. Default `None`.
    pub fn with_close_after(mut self, after: Option<Duration>) -> Self {
        self.close_after = after;
        self
    }

    /// RTP time restarts at another value this long after PLAY, within the session. Default `None`.
    pub fn with_timestamp_reset_after(mut self, after: Option<Duration>) -> Self {
        self.reset_after = after;
        self
    }

    /// The wall clock in sender reports is ahead by this many milliseconds, or behind if negative. Default 0.
    pub fn with_clock_offset_ms(mut self, offset_ms: i64) -> Self {
        self.clock_offset_ms = offset_ms;
        self
    }

    /// Sends no sender reports. Default false.
    pub fn with_no_reports(mut self, none: bool) -> Self {
        self.no_reports = none;
        self
    }

    /// The description contains parameter sets with a wrong level; the right ones are sent before each keyframe. Default
    /// false.
    pub fn with_wrong_parameter_sets(mut self, wrong: bool) -> Self {
        self.describe.parameter_sets = wrong;
        self
    }

    /// The description offers three more streams that few clients can use: VP8 video, Opus audio and ONVIF metadata. They
    /// cannot be set up. Default false.
    pub fn with_foreign_streams(mut self, foreign: bool) -> Self {
        self.describe.foreign_streams = foreign;
        self
    }

    /// Omits `Content-Base` from descriptions. Default false.
    pub fn with_no_content_base(mut self, none: bool) -> Self {
        self.describe.no_content_base = none;
        self
    }

    /// Omits `RTP-Info` from the response to PLAY. Default false.
    pub fn with_no_rtp_info(mut self, none: bool) -> Self {
        self.describe.no_rtp_info = none;
        self
    }
}

/// Loss and reordering of one stream's packets.
#[derive(Debug)]
pub(crate) struct FaultInjector {
    state: u64,
    loss: f64,
    reorder: f64,
    deferred: Option<Vec<u8>>,
}

/// What happened to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketFate {
    Sent,
    Deferred,
    Lost,
}

impl FaultInjector {
    /// For stream `stream` of session `session`.
    pub(crate) fn new(faults: &Faults, session: u64, stream: usize) -> Self {
        let mut state = faults.seed ^ session.rotate_left(32) ^ (stream as u64).rotate_left(17);
        mix(&mut state);
        Self {
            state,
            loss: faults.loss,
            reorder: faults.reorder,
            deferred: None,
        }
    }

    /// Sends the packets that are due now.
    pub(crate) fn pass(&mut self, packet: &[u8], mut send: impl FnMut(&[u8])) -> PacketFate {
        if self.loss == 0.0 && self.reorder == 0.0 {
            send(packet);
            return PacketFate::Sent;
        }
        // Both are drawn for each packet, so that one fault does not shift the other.
        let (loss, reorder) = (fraction(&mut self.state), fraction(&mut self.state));
        if loss < self.loss {
            return PacketFate::Lost;
        }
        if self.deferred.is_none() && reorder < self.reorder {
            self.deferred = Some(packet.to_vec());
            return PacketFate::Deferred;
        }
        send(packet);
        if let Some(deferred) = self.deferred.take() {
            send(&deferred);
        }
        PacketFate::Sent
    }
}

/// Ticks that a reset adds to RTP time: far away, as after a reboot.
pub(crate) fn reset_offset(faults: &Faults, session: u64) -> u32 {
    let mut state = faults.seed ^ session;
    // A quarter to three quarters of the range: far from the old value in both directions.
    0x4000_0000 + (mix(&mut state) >> 33) as u32
}

/// A number in 0..1 with 53 random bits.
fn fraction(state: &mut u64) -> f64 {
    (mix(state) >> 11) as f64 / (1_u64 << 53) as f64
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(faults: &Faults, session: u64, count: u32) -> Vec<u32> {
        let mut injector = FaultInjector::new(faults, session, 0);
        let mut out = Vec::new();
        for n in 0..count {
            injector.pass(&n.to_be_bytes(), |packet| {
                out.push(u32::from_be_bytes(packet.try_into().unwrap()));
            });
        }
        out
    }

    #[test]
    fn a_plan_without_faults_passes_everything_in_order() {
        assert_eq!(sent(&Faults::default(), 1, 100), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_same_seed_hits_the_same_packets_and_another_seed_others() {
        let plan = |seed| {
            Faults::default()
                .with_seed(seed)
                .with_loss(0.1)
                .with_reorder(0.05)
        };
        assert_eq!(sent(&plan(1), 1, 1000), sent(&plan(1), 1, 1000));
        assert_ne!(sent(&plan(1), 1, 1000), sent(&plan(2), 1, 1000));
        assert_ne!(sent(&plan(1), 1, 1000), sent(&plan(1), 2, 1000));
    }

    #[test]
    fn losses_match_the_fraction() {
        for part in [0.01, 0.1, 0.5] {
            let lost = 100_000 - sent(&Faults::default().with_loss(part), 1, 100_000).len();
            let expected = 100_000.0 * part;
            assert!(
                (lost as f64 - expected).abs() < expected * 0.15,
                "{lost} of {expected}"
            );
        }
        assert!(sent(&Faults::default().with_loss(9.0), 1, 100).is_empty());
    }

    #[test]
    fn a_reordered_packet_comes_right_after_the_next_one() {
        let out = sent(&Faults::default().with_reorder(0.2), 1, 1000);
        assert!(out.len() >= 999);
        let mut swapped = 0;
        for (place, n) in out.iter().enumerate() {
            assert!((*n as i64 - place as i64).abs() <= 1, "{n} at {place}");
            swapped += u32::from(*n as usize != place);
        }
        assert!(swapped > 100, "{swapped}");
    }

    #[test]
    fn a_reset_goes_far_in_both_directions_of_the_clock() {
        for session in 0..1000 {
            let offset = reset_offset(&Faults::default(), session);
            assert!((0x4000_0000..=0xc000_0000).contains(&offset), "{offset:#x}");
        }
    }
}

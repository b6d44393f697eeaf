//! Peculiarities of cameras.

use std::fmt;
use std::time::Duration;

use super::{Collector, StreamObserver, StreamReport};
use crate::clock::MAX_DESCENTS;
use crate::{CameraCounters, ClockSource, Codec, MediaKind, NoPictures, Repairs};

/// Recordings begin at a key frame; with a longer interval they begin much too early.
const LONG_INTERVAL_SECONDS: f64 = 4.0;
/// Reports come every 5 s: a shorter watch may miss them.
const ENOUGH_FOR_REPORTS: Duration = Duration::from_secs(8);

/// A peculiarity of a camera that an integrator may want to know, or to change. `Display` explains it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Quirk {
    /// The encoding of a stream is not supported.
    UnusableStream {
        /// [`StreamInfo::index`](crate::StreamInfo::index).
        stream: usize,
        /// Media type and encoding.
        encoding: String,
    },
    /// The camera offers several usable video streams; the first is received.
    FurtherVideo {
        /// One that is not received.
        stream: usize,
    },
    /// The description has no parameter sets; they come with the pictures.
    ParametersInBand,
    /// The parameter sets in the description differ from those of the pictures.
    ParametersChanged,
    /// The camera sends no sender reports.
    NoSenderReports,
    /// The wall clock in sender reports is too far from the local one.
    ClockRejected,
    /// Pictures do not arrive in the order of presentation.
    BFrames,
    /// RTP time jumped.
    TimeJumped {
        /// How often.
        times: u64,
    },
    /// RTP time runs at another rate than the described one, or not at all.
    ClockRate,
    /// Pictures or audio with an RTP time far from that of their neighbours, or with the same.
    OddTimes {
        /// How many.
        units: u64,
    },
    /// Packets were lost.
    PacketsLost {
        /// How many.
        packets: u64,
    },
    /// Key frames are far apart, or fewer than two came.
    KeyFramesRare {
        /// Seconds between them, if measured.
        seconds: Option<f64>,
    },
    /// Packets of the video came, but no picture that could be decoded.
    NoPictures {
        /// Why.
        cause: NoPictures,
    },
    /// The session layer repaired what the camera does against the RFCs.
    Repaired {
        /// What, and how often.
        repairs: Repairs,
    },
    /// Nothing came in the whole watch.
    SentNothing {
        /// Whether RTP was to come over UDP, which firewalls drop.
        udp: bool,
    },
    /// The session was lost during the watch.
    SessionLost {
        /// How often, failed attempts to reconnect included.
        times: u64,
        /// Why, each reason with its count; the last one last.
        reasons: Vec<(String, u64)>,
    },
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnusableStream { stream, encoding } => {
                write!(f, "stream {stream} is {encoding}, which is not received")?;
                match encoding.starts_with("video/") {
                    true => f.write_str("; choose H.264 in the camera's settings"),
                    false => Ok(()),
                }
            }
            Self::FurtherVideo { stream } => write!(
                f,
                "stream {stream} is a second video stream; only the first is received, so use an address that offers \
                 the wanted one alone"
            ),
            Self::ParametersInBand => f.write_str("parameter sets come only with the pictures, which is supported"),
            Self::ParametersChanged => f.write_str(
                "the parameter sets in the description differ from those of the pictures, which are used",
            ),
            Self::NoSenderReports => f.write_str(
                "no RTCP sender reports: units carry the time of their arrival",
            ),
            Self::ClockRejected => f.write_str(
                "the camera's clock is far from this machine's: set it (NTP); until then units carry the time of \
                 their arrival",
            ),
            Self::BFrames => f.write_str(
                "B-frames: units come in decoding order, so their times go back and forth; switch them off for less delay",
            ),
            Self::TimeJumped { times } => write!(f, "RTP time jumped {times} time(s); media time continued"),
            Self::ClockRate => f.write_str(
                "RTP time does not run at the described rate: media time follows arrival; check the camera's frame rate",
            ),
            Self::OddTimes { units } => write!(
                f,
                "{units} unit(s) with an RTP time far from, or equal to, that of their neighbours; media time continued",
            ),
            Self::PacketsLost { packets } => write!(
                f,
                "{packets} packet(s) lost: check the network, or use the transport tcp"
            ),
            Self::KeyFramesRare { seconds: Some(seconds) } => write!(
                f,
                "key frames only every {seconds:.1} s: clips begin up to that much early, and every start takes as long; \
                 set 1 to 2 s in the camera"
            ),
            Self::KeyFramesRare { seconds: None } => f.write_str(
                "fewer than two key frames during the watch: set an interval of 1 to 2 s, or watch longer",
            ),
            Self::NoPictures { cause } => write!(f, "no picture could be decoded: {cause}"),
            Self::Repaired { repairs } => write!(f, "repaired: {repairs}"),
            Self::SentNothing { udp: false } => f.write_str("the camera sent nothing: is this stream enabled in it?"),
            Self::SentNothing { udp: true } => f.write_str(
                "the camera sent nothing: does a firewall drop UDP? try the transport tcp",
            ),
            Self::SessionLost { times, reasons } => {
                write!(f, "the session was lost {times} time(s) during the watch")?;
                for (reason, count) in reasons.iter().rev() {
                    write!(f, "; {count} time(s): {reason}")?;
                }
                Ok(())
            }
        }
    }
}

pub(super) fn of_stream(
    seen: &StreamObserver,
    report: &StreamReport,
    video_played: &mut bool,
    quirks: &mut Vec<Quirk>,
) {
    let info = &seen.now;
    if info.codec == Codec::Unsupported {
        let kind = match info.media {
            MediaKind::Video => "video",
            MediaKind::Audio => "audio",
            MediaKind::Application => "application",
        };
        quirks.push(Quirk::UnusableStream {
            stream: info.index,
            encoding: format!("{kind}/{}", info.encoding_name),
        });
        return;
    }
    if info.media != MediaKind::Video {
        return;
    }
    if !info.playing {
        if std::mem::replace(video_played, true) {
            quirks.push(Quirk::FurtherVideo { stream: info.index });
        }
        return;
    }
    *video_played = true;
    if seen.described.extra_data.is_empty() && info.codec != Codec::Jpeg && seen.units > 0 {
        quirks.push(Quirk::ParametersInBand);
    }
    if info.codec != Codec::Jpeg && seen.units > 0 {
        match report.key_frame_interval {
            Some(seconds) if seconds <= LONG_INTERVAL_SECONDS => {}
            seconds => quirks.push(Quirk::KeyFramesRare { seconds }),
        }
    }
}

pub(super) fn of_session(
    collector: &Collector,
    counters: &CameraCounters,
    watched: Duration,
    quirks: &mut Vec<Quirk>,
) {
    if collector.parameters_changed {
        quirks.push(Quirk::ParametersChanged);
    }
    let units = collector.units();
    let by_arrival = |seen: &StreamObserver| seen.clock == Some(ClockSource::Arrival);
    if counters.clock.reports_rejected > 0 && collector.streams.iter().any(by_arrival) {
        quirks.push(Quirk::ClockRejected);
    } else if counters.clock.reports == 0 && units > 0 && watched >= ENOUGH_FOR_REPORTS {
        quirks.push(Quirk::NoSenderReports);
    }
    // The first units of a time that runs backwards seem to be reordered.
    if counters.clock.reordered > u64::from(MAX_DESCENTS) * counters.clock.off_rate {
        quirks.push(Quirk::BFrames);
    }
    // A new session is a jump too, and reported by its loss.
    let jumps = counters.clock.jumps.saturating_sub(collector.lost);
    if jumps > 0 {
        quirks.push(Quirk::TimeJumped { times: jumps });
    }
    if counters.clock.off_rate > 0 {
        quirks.push(Quirk::ClockRate);
    }
    let odd = counters.clock.outliers + counters.clock.clamped;
    if odd > 0 && counters.clock.off_rate == 0 {
        quirks.push(Quirk::OddTimes { units: odd });
    }
    if counters.lost_packets > 0 {
        quirks.push(Quirk::PacketsLost {
            packets: counters.lost_packets,
        });
    }
    if let Some(cause) = collector.no_pictures {
        quirks.push(Quirk::NoPictures { cause });
    } else if units == 0 && counters.dropped_no_parameter_sets > 0 {
        quirks.push(Quirk::NoPictures {
            cause: NoPictures::NoParameterSets,
        });
    } else if units == 0 && counters.dropped_no_keyframe > 0 {
        quirks.push(Quirk::NoPictures {
            cause: NoPictures::NoKeyframe,
        });
    } else if units == 0 && collector.lost == 0 {
        quirks.push(Quirk::SentNothing { udp: collector.udp });
    }
    if !counters.repairs.is_empty() {
        quirks.push(Quirk::Repaired {
            repairs: counters.repairs,
        });
    }
    if collector.lost > 0 {
        quirks.push(Quirk::SessionLost {
            times: collector.lost,
            reasons: collector.reasons.clone(),
        });
    }
}

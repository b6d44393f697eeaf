//! Watches a camera for a while and reports what it offers.

mod quirk;

use std::fmt;
use std::time::{Duration, SystemTime};

use lva_media_types::MediaTime;
use tokio::time::{Instant, timeout_at};

pub use self::quirk::Quirk;
use crate::{
    AccessUnit, Camera, CameraCounters, CameraError, CameraEvent, CameraOptions, ClockSource, Codec,
    MediaKind, NoPictures, StreamInfo, Transport,
};

/// Kinds of losses that a report lists.
const MAX_REASONS: usize = 8;

/// What a camera offers and how it behaves. `Display` is for people.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProbeReport {
    /// The camera's address, without secrets.
    pub url: String,
    /// Duration of the watch, from PLAY on.
    pub watched: Duration,
    /// From the first packet of the first attempt to the response to PLAY.
    pub connected_after: Duration,
    /// From the response to PLAY to the first unit; `None` without units.
    pub first_unit_after: Option<Duration>,
    /// All streams of the camera, including unusable ones.
    pub streams: Vec<StreamReport>,
    /// Peculiarities that an integrator may want to know, or to change in the camera.
    pub quirks: Vec<Quirk>,
    /// RTP packets that never arrived.
    pub lost_packets: u64,
    /// The session description as the camera sent it.
    pub sdp: String,
}

/// One stream of a [`ProbeReport`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StreamReport {
    /// Its description, with parameters that came in band.
    pub info: StreamInfo,
    /// Received units.
    pub units: u64,
    /// Bytes of these units.
    pub bytes: u64,
    /// Bytes of the largest one.
    pub largest_unit: u64,
    /// Units a second by media time; `None` for fewer than two.
    pub rate: Option<f64>,
    /// Bits a second by media time; `None` for fewer than two.
    pub bits_per_second: Option<f64>,
    /// Average seconds from one key frame to the next; `None` for fewer than two, and for audio.
    pub key_frame_interval: Option<f64>,
    /// The source of the last unit's time.
    pub clock: Option<ClockSource>,
    /// Smallest delay of a unit's arrival after its own time, in seconds. Negative if the camera's clock is ahead of the
    /// local one. `None` without units.
    pub delay: Option<f64>,
}

/// Connects, watches for `watch` from PLAY on, and disconnects.
///
/// Does not retry: returns the error of a failed attempt. A session that is lost while it is watched is a [`Quirk`].
///
/// # Panics
///
/// Outside a tokio runtime with I/O and time enabled.
pub async fn probe(options: CameraOptions, watch: Duration) -> Result<ProbeReport, CameraError> {
    let url = options.url().to_string();
    let began = Instant::now();
    let mut collector = Collector::new(url);
    collector.udp = options.transport == Transport::Udp;
    let mut camera = Camera::connect(options);
    let mut until = None;
    loop {
        let event = match until {
            Some(until) => timeout_at(until, camera.next()).await,
            // The time limit of an attempt ends this.
            None => Ok(camera.next().await),
        };
        let Ok(Some(event)) = event else { break };
        match event {
            CameraEvent::Lost { error } if until.is_none() => {
                camera.close().await;
                return Err(error);
            }
            CameraEvent::Established { .. } if until.is_none() => until = Some(Instant::now() + watch),
            _ => {}
        }
        collector.event(
            event,
            began.elapsed(),
            MediaTime::from_system_time(SystemTime::now()).ticks_90k(),
        );
    }
    let counters = camera.counters();
    camera.close().await;
    Ok(collector.finish(&counters, began.elapsed()))
}

/// Builds the report from events: sans-I/O. Times are since the first attempt.
#[derive(Debug)]
struct Collector {
    url: String,
    established: Option<Duration>,
    first_unit: Option<Duration>,
    streams: Vec<StreamObserver>,
    parameters_changed: bool,
    lost: u64,
    /// Why sessions were lost, each reason with its count; the last one last.
    reasons: Vec<(String, u64)>,
    no_pictures: Option<NoPictures>,
    udp: bool,
    sdp: String,
}

#[derive(Debug)]
struct StreamObserver {
    described: StreamInfo,
    now: StreamInfo,
    units: u64,
    bytes: u64,
    first_bytes: u64,
    largest: u64,
    /// Media time, not counting jumps.
    first: Option<u64>,
    last: Option<u64>,
    jumped: u64,
    key_frames: u64,
    first_key: Option<u64>,
    last_key: Option<u64>,
    clock: Option<ClockSource>,
    least_delay: Option<i64>,
}

impl StreamObserver {
    fn new(info: StreamInfo) -> Self {
        Self {
            described: info.clone(),
            now: info,
            units: 0,
            bytes: 0,
            first_bytes: 0,
            largest: 0,
            first: None,
            last: None,
            jumped: 0,
            key_frames: 0,
            first_key: None,
            last_key: None,
            clock: None,
            least_delay: None,
        }
    }

    fn unit(&mut self, unit: &AccessUnit, arrival_90k: u64) {
        let len = unit.data.len() as u64;
        let at = unit.timestamp_90k;
        match self.last {
            None => self.first_bytes = len,
            Some(last) if unit.discontinuity => self.jumped += at.saturating_sub(last),
            Some(_) => {}
        }
        let at_without_jumps = at.saturating_sub(self.jumped);
        self.first.get_or_insert(at_without_jumps);
        self.last = Some(at);
        if unit.keyframe {
            self.key_frames += 1;
            self.first_key.get_or_insert(at_without_jumps);
            self.last_key = Some(at_without_jumps);
        }
        self.units += 1;
        self.bytes += len;
        self.largest = self.largest.max(len);
        self.clock = Some(unit.clock);
        let delay = i64::try_from(arrival_90k).unwrap_or(i64::MAX) - i64::try_from(at).unwrap_or(i64::MAX);
        self.least_delay = Some(self.least_delay.map_or(delay, |least| least.min(delay)));
    }

    fn report(&self) -> StreamReport {
        let last = self.last.map(|last| last.saturating_sub(self.jumped));
        let duration = match (self.first, last) {
            (Some(first), Some(last)) if last > first => Some(seconds((last - first) as i64)),
            _ => None,
        };
        let per_second = |amount: u64| duration.map(|seconds| amount as f64 / seconds);
        let video = self.now.media == MediaKind::Video && self.now.codec != Codec::Jpeg;
        let key_frames = match (self.first_key, self.last_key) {
            (Some(first), Some(last)) if last > first => Some(seconds((last - first) as i64)),
            _ => None,
        };
        StreamReport {
            info: self.now.clone(),
            units: self.units,
            bytes: self.bytes,
            largest_unit: self.largest,
            rate: per_second(self.units.saturating_sub(1)),
            // All units but the first fall into the time between the first and the last.
            bits_per_second: per_second(self.bytes.saturating_sub(self.first_bytes).saturating_mul(8)),
            key_frame_interval: key_frames
                .filter(|_| video)
                .map(|seconds| seconds / self.key_frames.saturating_sub(1).max(1) as f64),
            clock: self.clock,
            delay: self.least_delay.map(seconds),
        }
    }
}

fn seconds(ticks: i64) -> f64 {
    let seconds = MediaTime::duration_of(ticks.unsigned_abs()).as_secs_f64();
    if ticks < 0 { -seconds } else { seconds }
}

impl Collector {
    fn new(url: String) -> Self {
        Self {
            url,
            established: None,
            first_unit: None,
            streams: Vec::new(),
            parameters_changed: false,
            lost: 0,
            reasons: Vec::new(),
            no_pictures: None,
            udp: false,
            sdp: String::new(),
        }
    }

    fn event(&mut self, event: CameraEvent, now: Duration, wall_90k: u64) {
        match event {
            CameraEvent::Established { streams, sdp } => {
                if self.established.is_none() {
                    self.established = Some(now);
                    self.streams = streams.into_iter().map(StreamObserver::new).collect();
                    self.sdp = sdp;
                }
            }
            CameraEvent::StreamChanged(stream) => {
                if let Some(seen) = self.streams.get_mut(stream.index) {
                    self.parameters_changed |= !seen.now.extra_data.is_empty();
                    seen.now = stream;
                }
            }
            CameraEvent::Unit(unit) => {
                if unit.media == MediaKind::Video {
                    self.no_pictures = None;
                }
                if unit.media != MediaKind::Application {
                    self.first_unit.get_or_insert(now);
                }
                if let Some(seen) = self.streams.get_mut(unit.stream) {
                    seen.unit(&unit, wall_90k);
                }
            }
            CameraEvent::NoPictures { cause, .. } => self.no_pictures = Some(cause),
            CameraEvent::Lost { error } => {
                self.lost += 1;
                let text = error.to_string();
                // Without the address, which the report has.
                let reason = text
                    .strip_prefix(&format!("{}: ", self.url))
                    .unwrap_or(&text)
                    .to_owned();
                let known = self.reasons.iter().position(|(known, _)| *known == reason);
                let count = known.map_or(0, |place| self.reasons.remove(place).1);
                self.reasons.push((reason, count + 1));
                if self.reasons.len() > MAX_REASONS {
                    self.reasons.remove(0);
                }
            }
            CameraEvent::Waiting { .. } | CameraEvent::Stopped { .. } => {}
        }
    }

    /// Pictures and audio frames.
    fn units(&self) -> u64 {
        let media = |seen: &&StreamObserver| seen.now.media != MediaKind::Application;
        self.streams.iter().filter(media).map(|seen| seen.units).sum()
    }

    fn finish(self, counters: &CameraCounters, now: Duration) -> ProbeReport {
        let established = self.established.unwrap_or(now);
        let watched = now.saturating_sub(established);
        let streams: Vec<_> = self.streams.iter().map(StreamObserver::report).collect();
        let mut quirks = Vec::new();
        let mut video_played = false;
        for (seen, report) in self.streams.iter().zip(&streams) {
            quirk::of_stream(seen, report, &mut video_played, &mut quirks);
        }
        quirk::of_session(&self, counters, watched, &mut quirks);
        ProbeReport {
            url: self.url,
            watched,
            connected_after: established,
            first_unit_after: self.first_unit.map(|first| first.saturating_sub(established)),
            streams,
            quirks,
            lost_packets: counters.lost_packets,
            sdp: self.sdp,
        }
    }
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.url)?;
        write!(f, "  answered PLAY after {} ms", self.connected_after.as_millis())?;
        match self.first_unit_after {
            Some(after) => writeln!(f, ", first unit {} ms later", after.as_millis())?,
            None => writeln!(f, ", and sent nothing in {:.1} s", self.watched.as_secs_f64())?,
        }
        for stream in &self.streams {
            writeln!(f, "  {stream}")?;
        }
        for quirk in &self.quirks {
            writeln!(f, "  note: {quirk}")?;
        }
        Ok(())
    }
}

impl fmt::Display for StreamReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = &self.info;
        write!(f, "stream {}: {}", info.index, info.codec)?;
        if info.codec == Codec::Unsupported {
            write!(f, " {}", info.encoding_name)?;
        }
        if let Some(name) = &info.codec_name {
            write!(f, " ({name})")?;
        }
        if let Some((width, height)) = info.size {
            write!(f, ", {width}x{height}")?;
        }
        if let (Some(rate), Some(channels)) = (info.sample_rate_hz, info.channels) {
            write!(f, ", {rate} Hz, {channels} channel(s)")?;
        }
        if !info.playing {
            return f.write_str(", not received");
        }
        if let (MediaKind::Video, Some(rate)) = (info.media, self.rate) {
            write!(f, ", {rate:.2} frames/s")?;
        }
        if let Some(bits) = self.bits_per_second {
            write!(f, ", {:.0} kbit/s", bits / 1000.0)?;
        }
        if let Some(seconds) = self.key_frame_interval {
            write!(f, ", a key frame every {seconds:.2} s")?;
        }
        match self.clock {
            Some(ClockSource::SenderReport) => f.write_str(", time by the camera's clock")?,
            Some(ClockSource::Arrival) => f.write_str(", time by arrival")?,
            None => f.write_str(", no units")?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

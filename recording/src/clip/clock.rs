//! Decoding times, which cameras do not send and MP4 files need.

use crate::unit::MediaUnit;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Pictures examined to find the reordering depth; H.264 and H.265 allow 16.
const REORDER_PROBE: usize = 17;

/// For a slow camera, this many pictures in order that span a second (in ticks) are enough: examined pictures are in
/// memory only, and a stream that reorders shows it by then.
const SLOW_PROBE: usize = 5;
const SLOW_PROBE_90K: i64 = 90_000;

/// A picture with all times that the MP4 writer needs.
pub(super) struct Timed {
    pub(super) unit: MediaUnit,
    pub(super) pts: i64,
    pub(super) dts: i64,
    pub(super) duration: i64,
    pub(super) retimed: bool,
}

/// Assigns decoding times to pictures, which arrive in decoding order with presentation times.
///
/// The decoding time of a picture is the presentation time of the picture N places earlier in presentation order, where N
/// is the reordering depth. The depth is found from the first pictures; without B-frames it is 0, and both times are
/// equal.
#[derive(Default)]
pub(super) struct VideoClock {
    probe: Vec<(MediaUnit, i64)>,
    depth: Option<usize>,
    times: BinaryHeap<Reverse<i64>>,
    first_dts: VecDeque<i64>,
    last_dts: Option<i64>,
    held: Option<Timed>,
    frame: i64,
}

impl VideoClock {
    /// A clock for a stream that is known not to reorder, with this distance between pictures. It outputs the first
    /// picture at once.
    pub(super) fn in_order(frame: i64) -> Self {
        Self {
            depth: Some(0),
            frame,
            ..Self::default()
        }
    }

    /// Whether it still examines pictures and outputs none.
    pub(super) fn is_learning(&self) -> bool {
        self.depth.is_none()
    }

    /// Reordering depth and distance of pictures, as far as known.
    pub(super) fn learnt(&self) -> (usize, i64) {
        match self.depth {
            Some(depth) => (depth, self.frame),
            None => measure(&self.probe),
        }
    }

    /// Distance of pictures, if the stream certainly does not reorder them.
    pub(super) fn known_in_order(&self) -> Option<i64> {
        (self.depth == Some(0)).then_some(self.frame)
    }

    /// The last picture lasts until the next file's first one is presented.
    pub(super) fn last_until(&mut self, end: i64) {
        if let Some(held) = &mut self.held
            && self.depth == Some(0) // otherwise another picture is presented last
            && end > held.dts
        {
            held.duration = end - held.dts;
        }
    }

    pub(super) fn push(&mut self, unit: MediaUnit, pts: i64) -> Vec<Timed> {
        if self.depth.is_some() {
            return self.order(unit, pts).into_iter().collect();
        }
        self.probe.push((unit, pts));
        if self.knows_enough() {
            self.learn()
        } else {
            Vec::new()
        }
    }

    fn knows_enough(&self) -> bool {
        let count = self.probe.len();
        let times = || self.probe.iter().map(|(_, pts)| *pts);
        let lasts = || times().max().unwrap_or(0) - times().min().unwrap_or(0);
        count >= REORDER_PROBE
            || (count >= SLOW_PROBE && lasts() >= SLOW_PROBE_90K && measure(&self.probe).0 == 0)
    }

    /// The remaining pictures, at the end of the clip.
    pub(super) fn end(&mut self) -> Vec<Timed> {
        let mut rest = self.learn();
        rest.extend(self.held.take());
        rest
    }

    pub(super) fn learn(&mut self) -> Vec<Timed> {
        if self.depth.is_some() {
            return Vec::new();
        }
        let probe = std::mem::take(&mut self.probe);
        let (depth, frame) = measure(&probe);
        let first = probe.iter().map(|(_, pts)| *pts).min().unwrap_or(0);
        self.frame = frame;
        self.depth = Some(depth);
        self.first_dts = (1..=depth as i64)
            .rev()
            .map(|ahead| first - ahead * frame)
            .collect();
        probe
            .into_iter()
            .filter_map(|(unit, pts)| self.order(unit, pts))
            .collect()
    }

    /// Delays each picture until the next one determines its duration.
    fn order(&mut self, unit: MediaUnit, pts: i64) -> Option<Timed> {
        self.times.push(Reverse(pts));
        let wanted = match self.first_dts.pop_front() {
            Some(dts) => dts,
            None => self.times.pop().map_or(pts, |Reverse(time)| time),
        };
        let dts = self.last_dts.map_or(wanted, |last| wanted.max(last + 1));
        self.last_dts = Some(dts);
        let timed = Timed {
            unit,
            pts: pts.max(dts),
            dts,
            duration: self.frame,
            retimed: dts > wanted || dts > pts,
        };
        let mut ready = self.held.replace(timed);
        if let Some(ready) = &mut ready {
            ready.duration = dts - ready.dts;
        }
        ready
    }
}

/// The largest number of pictures in front of one that is presented before them, and the smallest distance of two in
/// time.
fn measure(probe: &[(MediaUnit, i64)]) -> (usize, i64) {
    let later_before =
        |index: usize, pts: i64| probe.iter().take(index).filter(|(_, other)| *other > pts).count();
    let depth = probe
        .iter()
        .enumerate()
        .map(|(index, (_, pts))| later_before(index, *pts))
        .max()
        .unwrap_or(0);
    let mut times: Vec<i64> = probe.iter().map(|(_, pts)| *pts).collect();
    times.sort_unstable();
    let frame = times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|step| *step > 0)
        .min()
        .unwrap_or(3000);
    (depth, frame)
}

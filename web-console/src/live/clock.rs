//! Decoding times, which cameras do not send and MP4 needs, as the pictures come.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Pictures that are remembered to find how a stream reorders; H.264 and H.265 allow 16.
const REMEMBERED: usize = 17;

/// A distance of pictures before one is known: 30 in a second.
const USUAL_FRAME: i64 = 3000;

/// How a stream reorders its pictures and how far apart they are, learnt from the pictures themselves.
#[derive(Debug, Default)]
pub(crate) struct Reordering {
    recent: VecDeque<i64>,
    depth: usize,
}

impl Reordering {
    /// Takes the presentation time of the next picture in decoding order; returns whether the depth has grown.
    pub(crate) fn learn(&mut self, pts: i64) -> bool {
        let later_before = self.recent.iter().filter(|other| **other > pts).count();
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(pts);
        let grows = later_before > self.depth;
        self.depth = self.depth.max(later_before);
        grows
    }

    /// Time has jumped: what was before says nothing about what comes.
    pub(crate) fn forget_times(&mut self) {
        self.recent.clear();
    }

    /// Pictures in front of one that are presented after it, at most.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The smallest distance of two pictures.
    pub(crate) fn frame(&self) -> i64 {
        let mut times: Vec<i64> = self.recent.iter().copied().collect();
        times.sort_unstable();
        let steps = times.windows(2).filter_map(|pair| match pair {
            [before, after] => Some(after - before),
            _ => None,
        });
        steps.filter(|step| *step > 0).min().unwrap_or(USUAL_FRAME)
    }
}

/// Gives each picture its decoding time: the presentation time of the picture as many places earlier as the depth says.
#[derive(Debug)]
pub(crate) struct DecodingClock {
    times: BinaryHeap<Reverse<i64>>,
    first: VecDeque<i64>,
    last: Option<i64>,
}

impl DecodingClock {
    /// A clock that starts with a picture at `pts`.
    pub(crate) fn starting(pts: i64, depth: usize, frame: i64) -> Self {
        let ahead = 1..=i64::try_from(depth).unwrap_or(0);
        Self {
            times: BinaryHeap::new(),
            first: ahead.rev().map(|places| pts - places * frame).collect(),
            last: None,
        }
    }

    /// The decoding time of the next picture; always later than that before.
    pub(crate) fn next(&mut self, pts: i64) -> i64 {
        self.times.push(Reverse(pts));
        let wanted = match self.first.pop_front() {
            Some(time) => time,
            None => self.times.pop().map_or(pts, |Reverse(time)| time),
        };
        let time = self.last.map_or(wanted, |last| wanted.max(last + 1));
        self.last = Some(time);
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoding_times(order: &[i64]) -> (usize, Vec<i64>) {
        let mut reordering = Reordering::default();
        for pts in order {
            reordering.learn(*pts);
        }
        let depth = reordering.depth();
        let mut clock = DecodingClock::starting(order[0], depth, reordering.frame());
        (depth, order.iter().map(|pts| clock.next(*pts)).collect())
    }

    #[test]
    fn without_reordering_both_times_are_equal() {
        assert_eq!(decoding_times(&[0, 10, 20, 30]), (0, vec![0, 10, 20, 30]));
    }

    #[test]
    fn reordered_pictures_are_decoded_before_they_are_shown() {
        let order = [0, 30, 10, 20, 60, 40, 50, 90, 70, 80];
        let (depth, times) = decoding_times(&order);
        assert_eq!(depth, 1);
        assert_eq!(times, [-10, 0, 10, 20, 30, 40, 50, 60, 70, 80]);
        assert!(times.iter().zip(&order).all(|(dts, pts)| dts <= pts));
        // Pyramids of B-frames.
        let (depth, times) = decoding_times(&[0, 40, 20, 10, 30, 80, 60, 50, 70]);
        assert_eq!(depth, 2);
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn times_that_contradict_each_other_still_rise() {
        let mut clock = DecodingClock::starting(0, 0, 10);
        let times: Vec<i64> = [0, 5, 5, 3, 20].into_iter().map(|pts| clock.next(pts)).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    }
}

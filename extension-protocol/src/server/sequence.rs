//! The sequence numbers of a client's messages: gaps and repeats are counted, only 0 is an error.
//!
//! Real clients skip and repeat numbers. An answer acknowledges the number of its sample; because samples are answered
//! one by one in order, that is unambiguous. Only 0 cannot be acknowledged: it means "none".

/// Tracks the numbers of one stream.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    highest: u64,
}

/// A number relative to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The next one.
    Next,
    /// Numbers before it are missing.
    Gap,
    /// Not above the highest number so far.
    Repeat,
    /// 0.
    Zero,
}

impl Sequence {
    pub(super) fn see(&mut self, number: u64) -> Step {
        let step = match number {
            0 => Step::Zero,
            number if number <= self.highest => Step::Repeat,
            number if number - self.highest == 1 => Step::Next,
            _ => Step::Gap,
        };
        self.highest = self.highest.max(number);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_number_is_distinguished() {
        let mut sequence = Sequence::default();
        let seen = [1, 2, 2, 5, 4, 6, 0, u64::MAX, u64::MAX, 7].map(|number| sequence.see(number));
        use Step::{Gap, Next, Repeat, Zero};
        assert_eq!(
            seen,
            [Next, Next, Repeat, Gap, Repeat, Next, Zero, Gap, Repeat, Repeat]
        );
    }
}

//! When a zone or a line is watched.

/// Most openings of a [`Schedule`].
pub const MAX_OPENINGS: usize = 64;

/// Minutes of a day and of a week.
const DAY: i64 = 24 * 60;
const WEEK: i64 = 7 * DAY;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Weekday {
    /// The first day of the week here.
    Monday,
    /// The second.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth; 1970 began on one.
    Thursday,
    /// The fifth.
    Friday,
    /// The sixth.
    Saturday,
    /// The seventh.
    Sunday,
}

impl Weekday {
    /// All of them, Monday first.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];
}

/// A time in each week during which something is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opening {
    /// The day on which it begins.
    pub day: Weekday,
    /// Minute of that day, 0 to 1439.
    pub from_minute: u16,
    /// How many minutes it lasts, 1 to 10080; it may reach into the next days.
    pub minutes: u16,
}

/// When a zone or line is watched, by media time.
///
/// When a zone closes, open visits end with an exit without side ([`Reason::Closed`](crate::Reason::Closed)); who is inside when it opens
/// appears there. A change of the clock for summer is the caller's to make: the offset is one number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    openings: Vec<Opening>,
    utc_offset_minutes: i32,
}

impl Schedule {
    /// Always: the default.
    pub fn always() -> Self {
        Self::default()
    }

    /// Weekly openings, in the local time that is `utc_offset_minutes` ahead of UTC. An empty list means always; of
    /// more than [`MAX_OPENINGS`] the first ones count, and numbers out of range are cut to it.
    pub fn weekly(openings: impl IntoIterator<Item = Opening>, utc_offset_minutes: i32) -> Self {
        let mut openings: Vec<Opening> = openings.into_iter().take(MAX_OPENINGS).collect();
        for opening in &mut openings {
            opening.from_minute = opening.from_minute.min(1439);
            opening.minutes = opening.minutes.clamp(1, 10_080);
        }
        Self {
            openings,
            utc_offset_minutes: utc_offset_minutes.clamp(-DAY as i32, DAY as i32),
        }
    }

    /// The same hours on each of these days.
    pub fn daily(days: &[Weekday], from_minute: u16, minutes: u16, utc_offset_minutes: i32) -> Self {
        let opening = |day: &Weekday| Opening {
            day: *day,
            from_minute,
            minutes,
        };
        Self::weekly(days.iter().map(opening), utc_offset_minutes)
    }

    /// Whether it is open at a media time.
    pub fn is_open(&self, timestamp_90k: u64) -> bool {
        if self.openings.is_empty() {
            return true;
        }
        let minute = (timestamp_90k / (90_000 * 60)) as i64 + i64::from(self.utc_offset_minutes);
        // 1970 began on a Thursday, three days into the week.
        let now = (minute + 3 * DAY).rem_euclid(WEEK);
        self.openings.iter().any(|opening| {
            let begin = opening.day as i64 * DAY + i64::from(opening.from_minute);
            (now - begin).rem_euclid(WEEK) < i64::from(opening.minutes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of 2020-08-20 (a Thursday) at an hour and a minute, UTC.
    fn thursday(hour: u64, minute: u64) -> u64 {
        (1_597_881_600 + hour * 3600 + minute * 60) * 90_000
    }

    #[test]
    fn office_hours_are_open_from_their_first_to_before_their_last_minute() {
        let office = Schedule::daily(&Weekday::ALL[..5], 8 * 60, 9 * 60, 0);
        for (hour, minute, open) in [(7, 59, false), (8, 0, true), (16, 59, true), (17, 0, false)] {
            assert_eq!(office.is_open(thursday(hour, minute)), open, "{hour}:{minute}");
        }
        assert!(!office.is_open(thursday(10 + 48, 0)), "Saturday");
        assert!(Schedule::always().is_open(0));
    }

    #[test]
    fn nights_reach_into_the_next_day_and_offsets_move_them() {
        let night = Schedule::daily(&[Weekday::Sunday], 22 * 60, 8 * 60, 120);
        // Monday, two in the morning UTC, is four o'clock there.
        assert!(night.is_open(thursday(2 + 4 * 24, 0)));
        assert!(!night.is_open(thursday(4 + 4 * 24, 0)));
    }
}

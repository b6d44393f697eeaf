//! The clock of the contract: ticks of 1/90000 s since 1970, and their RFC 3339 texts.

use thiserror::Error;

/// Ticks of media time in a second.
pub const TICKS_PER_SECOND: u64 = 90_000;

/// Ticks of media time in a millisecond.
pub const TICKS_PER_MILLISECOND: u64 = 90;

const SECONDS_PER_DAY: u64 = 86_400;

/// A text that is no time of an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Not of the form `2020-05-12T23:33:09.381Z`, or no such date.
    #[error("{text:?} is no time: expected a text like 2020-05-12T23:33:09.381Z")]
    Malformed {
        /// The text, cut to 64 characters.
        text: String,
    },
    /// Before 1970, or so late that its ticks exceed 64 bits.
    #[error("{text:?} is outside the range of media time, which begins in 1970")]
    OutOfRange {
        /// The text.
        text: String,
    },
}

/// The `eventTime` of a media time: UTC with three digits and `Z`, as the published samples have it.
///
/// Ticks that are not whole milliseconds are rounded down, so that an event is never dated after its frame.
/// Years above 9999 are written with sign, as ISO 8601 allows (`+10000-01-01T00:00:00.000Z`).
///
/// ```
/// assert_eq!(lva_inference_schema::event_time(143039375044290), "2020-05-12T23:33:09.381Z");
/// ```
pub fn event_time(timestamp_90k: u64) -> String {
    let ms = unix_milliseconds(timestamp_90k);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (day, second) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
    let (year, month, day) = date_of(day);
    let sign = if year > 9999 { "+" } else { "" };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{sign}{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The media time of an `eventTime`.
///
/// Read are the published forms and what their readers met: any number of fraction digits, blanks around, lower
/// case, a blank in place of `T`, an offset in place of `Z`. Fractions of a tick are cut.
///
/// # Errors
///
/// [`TimeError`], for the sender to mend; trying again does not help.
pub fn parse_event_time(text: &str) -> Result<u64, TimeError> {
    let malformed = || TimeError::Malformed {
        text: text.chars().take(64).collect(),
    };
    let fields = fields(text.trim()).ok_or_else(malformed)?;
    fields.ticks().ok_or_else(|| TimeError::OutOfRange {
        text: text.chars().take(64).collect(),
    })
}

/// Milliseconds since 1970, rounded down: the unit of `MediaFormatError`'s `timestamp`.
pub fn unix_milliseconds(timestamp_90k: u64) -> u64 {
    timestamp_90k / TICKS_PER_MILLISECOND
}

/// Media time of milliseconds since 1970; `None` when it exceeds 64 bits.
pub fn from_unix_milliseconds(milliseconds: u64) -> Option<u64> {
    milliseconds.checked_mul(TICKS_PER_MILLISECOND)
}

struct Fields {
    year: u64,
    month: u64,
    day: u64,
    seconds_of_day: u64,
    ticks: u64,
    offset_minutes: i64,
}

impl Fields {
    fn ticks(&self) -> Option<u64> {
        let days = days_before(self.year, self.month, self.day)?;
        let seconds = days
            .checked_mul(SECONDS_PER_DAY)?
            .checked_add(self.seconds_of_day)?;
        let seconds = seconds.checked_add_signed(-60 * self.offset_minutes)?;
        seconds.checked_mul(TICKS_PER_SECOND)?.checked_add(self.ticks)
    }
}

fn fields(text: &str) -> Option<Fields> {
    let (year, rest) = if let Some(long) = text.strip_prefix('+') {
        let end = long.find('-').filter(|end| (5..=9).contains(end))?;
        (number(long.get(..end)?)?, long.get(end..)?)
    } else {
        (number(text.get(..4)?)?, text.get(4..)?)
    };
    let (month, rest) = two(rest.strip_prefix('-')?)?;
    let (day, rest) = two(rest.strip_prefix('-')?)?;
    let (hour, rest) = two(rest.strip_prefix(['T', 't', ' '])?)?;
    let (minute, rest) = two(rest.strip_prefix(':')?)?;
    let (second, mut rest) = two(rest.strip_prefix(':')?)?;
    // RFC 3339 section 5.7 allows a leap second; it is the first of the next minute here.
    let fits = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !fits {
        return None;
    }
    let mut ticks = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        // Nanoseconds tell ticks apart; further digits are read over.
        let kept = number(fraction.get(..digits.min(9))?)?;
        let scale = 10u64.pow(9 - digits.min(9) as u32);
        ticks = kept * scale * 9 / 100_000;
        rest = fraction.get(digits..)?;
    }
    let offset_minutes = match rest {
        "Z" | "z" => 0,
        _ => {
            let sign = if rest.starts_with('-') { -1 } else { 1 };
            let (hours, rest) = two(rest.strip_prefix(['+', '-'])?)?;
            let (minutes, rest) = two(rest.strip_prefix(':')?)?;
            if !rest.is_empty() || hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes) as i64
        }
    };
    let seconds_of_day = hour * 3600 + minute * 60 + second;
    Some(Fields {
        year,
        month,
        day,
        seconds_of_day,
        ticks,
        offset_minutes,
    })
}

fn two(text: &str) -> Option<(u64, &str)> {
    Some((number(text.get(..2)?)?, text.get(2..)?))
}

fn number(digits: &str) -> Option<u64> {
    // `parse` alone would take a sign.
    let all = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all.then(|| digits.parse().ok()).flatten()
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of all years before `year`, counted from year 1.
fn days_before_year(year: u64) -> u64 {
    let y = year - 1;
    y * 365 + y / 4 - y / 100 + y / 400
}

/// Days from 1970-01-01 to this date; `None` before.
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    if year == 0 {
        return None;
    }
    let months: u64 = (1..month).map(|m| days_in_month(year, m)).sum();
    (days_before_year(year) + months + day - 1).checked_sub(days_before_year(1970))
}

/// Year, month, day of a day counted from 1970-01-01.
fn date_of(day: u64) -> (u64, u64, u64) {
    let day = day + days_before_year(1970);
    // The mean year is 365.2425 days: this estimate is at most one year off, either way.
    let mut year = day * 400 / 146_097 + 1;
    if days_before_year(year) > day {
        year -= 1;
    } else if days_before_year(year + 1) <= day {
        year += 1;
    }
    let mut rest = day - days_before_year(year);
    let mut month = 1;
    while rest >= days_in_month(year, month) {
        rest -= days_in_month(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_pairs_agree() {
        for (ticks, text) in [
            (143_039_375_044_290, "2020-05-12T23:33:09.381Z"),
            (142_843_967_343_090, "2020-04-17T20:26:32.701Z"),
            (143_810_610_210_090, "2020-08-20T03:54:29.001Z"),
        ] {
            assert_eq!(event_time(ticks), text);
            assert_eq!(parse_event_time(text), Ok(ticks));
        }
    }

    #[test]
    fn forms_that_readers_met() {
        let expected = parse_event_time("2020-04-09T16:42:18.128Z").unwrap();
        for text in [
            "2020-04-09T16:42:18.1280000Z",
            " 2020-04-09T16:42:18.128Z",
            "2020-04-09t16:42:18.12800000000000000z",
            "2020-04-09 16:42:18.128Z",
            "2020-04-09T18:42:18.128+02:00",
            "2020-04-09T11:12:18.128-05:30",
        ] {
            assert_eq!(parse_event_time(text), Ok(expected), "{text}");
        }
        assert_eq!(parse_event_time("1970-01-01T00:00:00Z"), Ok(0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2020",
            "2020-13-01T00:00:00Z",
            "2021-02-29T00:00:00Z",
            "2020-04-09T24:00:00Z",
            "2020-04-09T16:42:18",
            "2020-04-09T16:42:18.Z",
            "2020-04-09T16:42:18Zjunk",
            "-020-04-09T16:42:18Z",
            "2020-04-09T16:42:18+1:00",
            "２０２０-04-09T16:42:18Z",
            "2020-00-09T16:42:18Z",
            "+-01-01T00:00:00Z",
        ] {
            assert!(
                matches!(parse_event_time(text), Err(TimeError::Malformed { .. })),
                "{text}"
            );
        }
        for text in [
            "1969-12-31T23:59:59.999Z",
            "1970-01-01T00:00:00+00:01",
            "0000-01-01T00:00:00Z",
            "+999999999-01-01T00:00:00Z",
        ] {
            assert!(
                matches!(parse_event_time(text), Err(TimeError::OutOfRange { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn leap_days_and_centuries() {
        for (text, days) in [
            ("1972-02-29", 789),
            ("2000-03-01", 11_017),
            ("2100-03-01", 47_541),
            ("2400-12-31", 157_419),
        ] {
            let ticks = days * SECONDS_PER_DAY * TICKS_PER_SECOND;
            assert_eq!(event_time(ticks), format!("{text}T00:00:00.000Z"));
        }
        assert_eq!(event_time(u64::MAX).get(..1), Some("+"));
        assert_eq!(parse_event_time(&event_time(u64::MAX)), Ok(u64::MAX / 90 * 90));
    }

    proptest! {
        #[test]
        fn milliseconds_survive(ms in 0u64..=u64::MAX / 90) {
            let ticks = ms * 90;
            prop_assert_eq!(parse_event_time(&event_time(ticks)), Ok(ticks));
        }

        #[test]
        fn rounding_is_down_and_below_a_millisecond(ticks in any::<u64>()) {
            let back = parse_event_time(&event_time(ticks)).unwrap();
            prop_assert!(back <= ticks && ticks - back < 90);
        }

        #[test]
        fn any_text_is_a_time_or_an_error(text in "[ 0-9TZ:.+-]{0,40}|.{0,40}") {
            let _ = parse_event_time(&text);
        }
    }
}

//! The clock of the contract: ticks of 1/90000 s since 1970, and the same as RFC 3339 strings.

use std::time::Duration;

use jiff::Timestamp;
use lva_media_types::MediaTime;
use thiserror::Error;

/// The Gregorian calendar repeats every 400 years, and [`jiff`] ends with the year 9999.
const CYCLE_YEARS: u64 = 400;
const CYCLE_SECONDS: u64 = 146_097 * 86_400;

/// A string that is not the time of an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Not of the form `2020-05-12T23:33:09.381Z`, or not a date of the calendar.
    #[error("{text:?} is not a time; expected the form 2020-05-12T23:33:09.381Z")]
    Malformed {
        /// The string, cut to 64 characters.
        text: String,
    },
    /// Before 1970, or so late that its ticks exceed 64 bits.
    #[error("{text:?} is outside the range of media time, which begins in 1970")]
    OutOfRange {
        /// The string, cut to 64 characters.
        text: String,
    },
}

/// Formats a media time as `eventTime`: UTC with three digits and `Z`, as in the published samples.
///
/// Rounds down to milliseconds, so that an event is never dated after its frame. Years above 9999 have a sign, as ISO 8601
/// allows (`+10000-01-01T00:00:00.000Z`).
///
/// ```
/// assert_eq!(lva_inference_schema::event_time(143039375044290), "2020-05-12T23:33:09.381Z");
/// ```
pub fn event_time(timestamp_90k: u64) -> String {
    let ms = MediaTime::from_ticks_90k(timestamp_90k).unix_milliseconds();
    let (seconds, ms) = (ms / 1000, ms % 1000);
    // Below a cycle, hence in the years 1970 to 2369.
    let time = Timestamp::from_second((seconds % CYCLE_SECONDS) as i64).unwrap_or_default();
    let date_time = jiff::tz::Offset::UTC.to_datetime(time);
    let year = date_time.year().unsigned_abs() as u64 + seconds / CYCLE_SECONDS * CYCLE_YEARS;
    let sign = if year > 9999 { "+" } else { "" };
    format!(
        "{sign}{year:04}{}.{ms:03}Z",
        date_time.strftime("-%m-%dT%H:%M:%S")
    )
}

/// Parses an `eventTime` as media time.
///
/// Accepts the published forms and their known variants: any number of fraction digits, surrounding spaces, lower case, a
/// space in place of `T`, an offset in place of `Z`. Rounds down to ticks.
///
/// # Errors
///
/// [`TimeError`]. The sender has to correct it; a retry does not help.
pub fn parse_event_time(text: &str) -> Result<u64, TimeError> {
    let shown = || text.chars().take(64).collect();
    let (time, cycles) = parse(text.trim()).ok_or_else(|| TimeError::Malformed { text: shown() })?;
    ticks(time, cycles).ok_or_else(|| TimeError::OutOfRange { text: shown() })
}

/// A time in the years 2000 to 2399, and by how many cycles of the calendar it lies later. A leap second is the first of the
/// next minute.
fn parse(text: &str) -> Option<(Duration, i64)> {
    let (year, rest) = match text.strip_prefix('+') {
        Some(long) => long.split_at(long.find('-').filter(|digits| (5..=9).contains(digits))?),
        None => text.split_at_checked(4)?,
    };
    // `parse` alone would accept a sign.
    let year: u64 = Some(year)
        .filter(|year| year.bytes().all(|b| b.is_ascii_digit()))?
        .parse()
        .ok()?;
    let rest = Some(rest).filter(|rest| is_date_time(rest))?;
    let in_cycle = format!("{}{}", 5 * CYCLE_YEARS + year % CYCLE_YEARS, nanoseconds(rest));
    let time: Timestamp = in_cycle.parse().ok()?;
    let leap = Duration::from_secs(u64::from(rest.get(13..15) == Some("60")));
    let since_1970 = Duration::try_from(time.as_duration()).ok()?;
    Some((since_1970 + leap, (year / CYCLE_YEARS) as i64 - 5))
}

/// Whether this is `-MM-DDTHH:MM:SS`, a fraction if any, and `Z` or `±HH:MM`. [`jiff`] alone accepts shorter forms.
fn is_date_time(text: &str) -> bool {
    let Some((date_time, rest)) = text.split_at_checked(15) else {
        return false;
    };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|c: char| c.is_ascii_digit()) => {
            fraction.trim_start_matches(|c: char| c.is_ascii_digit())
        }
        _ => rest,
    };
    let form = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0").to_uppercase();
    matches!(form(date_time).as_str(), "-00-00T00:00:00" | "-00-00 00:00:00")
        && matches!(form(offset).as_str(), "Z" | "+00:00" | "-00:00")
}

/// The string with no more than nine fraction digits.
fn nanoseconds(text: &str) -> String {
    let Some((seconds, fraction)) = text.split_once('.') else {
        return text.to_owned();
    };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, offset) = fraction.split_at(digits);
    format!("{seconds}.{digits:.9}{offset}")
}

fn ticks(time: Duration, cycles: i64) -> Option<u64> {
    let earlier_or_later = cycles.checked_mul(CYCLE_SECONDS as i64)?;
    let seconds = time.as_secs().checked_add_signed(earlier_or_later)?;
    let fraction = Duration::from_nanos(time.subsec_nanos().into());
    seconds
        .checked_mul(MediaTime::TICKS_PER_SECOND)?
        .checked_add(MediaTime::ticks_in(fraction))
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
    fn known_variants_are_accepted() {
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
    fn malformed_and_early_times_are_rejected() {
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
            "2020-04-09T16Z",
            "2020-04-09T16:42Z",
            "20200409T164218Z",
            "2020-04-09T16:42:18,128Z",
            "2020-04-09T16:42:18+02",
            "2020-04-09T16:42:18+02:00[Europe/Berlin]",
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
            let ticks = days * 86_400 * MediaTime::TICKS_PER_SECOND;
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
        fn any_string_is_a_time_or_an_error(text in "[ 0-9TZ:.+-]{0,40}|.{0,40}") {
            let _ = parse_event_time(&text);
        }
    }
}

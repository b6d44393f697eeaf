//! Names of clips, from their start in UTC.

use crate::error::ClipError;
use crate::unit::TICKS_PER_SECOND;
use std::path::{Component, Path, PathBuf};

/// A moment of media time as UTC.
pub(crate) fn utc(timestamp_90k: u64) -> jiff::Timestamp {
    let nanoseconds = u128::from(timestamp_90k) * 1_000_000_000 / u128::from(TICKS_PER_SECOND);
    i128::try_from(nanoseconds)
        .ok()
        .and_then(|nanoseconds| jiff::Timestamp::from_nanosecond(nanoseconds).ok())
        .unwrap_or(jiff::Timestamp::MAX)
}

/// `yyyyMMddTHHmmssZ`, the contract's `System.DateTime`.
///
/// ```
/// assert_eq!(lva_recording::date_time(1_589_738_026 * 90_000), "20200517T175346Z");
/// ```
pub fn date_time(timestamp_90k: u64) -> String {
    utc(timestamp_90k).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// `yyyyMMddTHHmmss.fffZ`, the contract's `System.PreciseDateTime`; cut to milliseconds.
pub fn precise_date_time(timestamp_90k: u64) -> String {
    let time = utc(timestamp_90k);
    format!(
        "{}.{:03}Z",
        time.strftime("%Y%m%dT%H%M%S"),
        time.subsec_millisecond()
    )
}

/// `yyyy-MM-ddTHH:mm:ss.fffZ`, cut to milliseconds.
pub(crate) fn iso_time(timestamp_90k: u64) -> String {
    let time = utc(timestamp_90k);
    format!(
        "{}.{:03}Z",
        time.strftime("%Y-%m-%dT%H:%M:%S"),
        time.subsec_millisecond()
    )
}

/// The file of a clip: folder, pattern with its date variables replaced, `.mp4`.
///
/// The variables of both generations are known: `${System.DateTime}`, `${System.PreciseDateTime}` and the same with
/// `System.Runtime`. They are taken from the clip's start in media time. A pattern may name folders below `folder`.
///
/// # Errors
///
/// A name that is empty, absolute, or leads out of the folder.
pub fn clip_path(folder: &Path, pattern: &str, start_90k: u64) -> Result<PathBuf, ClipError> {
    let mut name = pattern.to_owned();
    for (variable, value) in [
        ("DateTime", date_time(start_90k)),
        ("PreciseDateTime", precise_date_time(start_90k)),
    ] {
        for prefix in ["System", "System.Runtime"] {
            name = name.replace(&format!("${{{prefix}.{variable}}}"), &value);
        }
    }
    let relative = Path::new(&name);
    let plain = relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if !plain || relative.file_name().is_none() || name.contains('\0') || name.ends_with('/') {
        return Err(ClipError::Name {
            name: name.chars().take(256).collect(),
        });
    }
    Ok(folder.join(format!("{name}.mp4")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_both_generations_are_the_start_of_the_clip() {
        let start = 1_589_738_026_062 * 90 + 45;
        let path = |pattern| clip_path(Path::new("/r"), pattern, start).unwrap();
        assert_eq!(
            path("a-${System.DateTime}"),
            Path::new("/r/a-20200517T175346Z.mp4")
        );
        assert_eq!(
            path("x/${System.Runtime.PreciseDateTime}"),
            Path::new("/r/x/20200517T175346.062Z.mp4")
        );
        assert_eq!(path("${other}"), Path::new("/r/${other}.mp4"));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for pattern in ["", "../a", "/a", "a/../../b", "a/", "a\0b", "."] {
            assert!(
                matches!(
                    clip_path(Path::new("/r"), pattern, 0),
                    Err(ClipError::Name { .. })
                ),
                "{pattern:?}"
            );
        }
    }

    #[test]
    fn any_time_has_a_name() {
        assert_eq!(date_time(0), "19700101T000000Z");
        assert!(date_time(u64::MAX).ends_with('Z'));
    }
}

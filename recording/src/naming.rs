//! Names of clips, from their start in UTC.

use std::path::{Component, Path, PathBuf};

use lva_media_types::MediaTime;

use crate::error::ClipError;

/// A media time as UTC.
pub(crate) fn utc(timestamp_90k: u64) -> jiff::Timestamp {
    let nanoseconds = MediaTime::from_ticks_90k(timestamp_90k).unix_nanoseconds();
    jiff::Timestamp::from_nanosecond(nanoseconds as i128).unwrap_or(jiff::Timestamp::MAX)
}

/// `yyyyMMddTHHmmssZ`, the contract's `System.DateTime`.
///
/// ```
/// assert_eq!(lva_recording::date_time(1_589_738_026 * 90_000), "20200517T175346Z");
/// ```
pub fn date_time(timestamp_90k: u64) -> String {
    utc(timestamp_90k).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// `yyyyMMddTHHmmss.fffZ`, the contract's `System.PreciseDateTime`; rounded down to milliseconds.
pub fn precise_date_time(timestamp_90k: u64) -> String {
    utc(timestamp_90k).strftime("%Y%m%dT%H%M%S%.3fZ").to_string()
}

/// `yyyy-MM-ddTHH:mm:ss.fffZ`, rounded down to milliseconds.
pub(crate) fn iso_time(timestamp_90k: u64) -> String {
    utc(timestamp_90k).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The path of a clip: directory, pattern with its date variables replaced, `.mp4`.
///
/// The variables of both product families are supported: `${System.DateTime}`, `${System.PreciseDateTime}` and the same
/// with `System.Runtime`, all from the clip's start in media time. A pattern may contain directories below `directory`.
///
/// # Errors
///
/// The name is empty, absolute, or leads out of the directory.
pub fn clip_path(directory: &Path, pattern: &str, start_90k: u64) -> Result<PathBuf, ClipError> {
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
    Ok(directory.join(format!("{name}.mp4")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_both_product_families_are_the_start_of_the_clip() {
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
    fn names_that_lead_elsewhere_are_rejected() {
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

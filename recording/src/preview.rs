//! Preview pictures beside clips. This crate decodes nothing: whoever does makes them of [`Keyframe`]s, and they are kept
//! here as long as their clip.

use crate::clip::UNFINISHED;
use crate::error::ClipError;
use crate::recover::remove_if_there;
use crate::sidecar::replace;
use crate::unit::{MediaUnit, VideoTrack};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A JPEG's first two bytes, and those before a comment's length.
const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];
const COMMENT: [u8; 2] = [0xff, 0xfe];

/// What the comment begins with, by which a picture is known as put there by this crate.
const OURS: &[u8] = b"recorded by lva-recording";

/// A key frame of a recording, and what a decoder needs for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keyframe {
    /// The encoded picture.
    pub unit: MediaUnit,
    /// How it is encoded.
    pub video: VideoTrack,
}

impl Keyframe {
    /// A key frame of a video.
    pub fn new(unit: MediaUnit, video: VideoTrack) -> Self {
        Self { unit, video }
    }
}

/// The sizes of preview pictures, as Video Analyzer called them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PreviewSize {
    /// At most 320 pixels wide and high.
    Small,
    /// At most 640.
    Medium,
    /// At most 1280.
    Large,
}

impl PreviewSize {
    /// All of them, smallest first.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// Pixels of the longer side, where the video has as many; a smaller video is not enlarged.
    pub fn longer_side(self) -> u32 {
        match self {
            Self::Small => 320,
            Self::Medium => 640,
            Self::Large => 1280,
        }
    }

    /// As in the file's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

/// `NAME.small.jpg` of `NAME.mp4`.
pub fn preview_path(clip: &Path, size: PreviewSize) -> PathBuf {
    clip.with_extension(format!("{}.jpg", size.as_str()))
}

/// Puts a preview picture beside a finished clip, whole or not at all. `false`: the clip is gone, and so is the picture.
/// It goes when the clip does, for size or age; it does not count to the size. The picture's time is written into it, as a
/// comment.
///
/// # Errors
///
/// What is no JPEG, a disk that refuses it, or something else of this name, which stays.
pub fn write_preview(
    clip: &Path,
    size: PreviewSize,
    timestamp_90k: u64,
    jpeg: &[u8],
) -> Result<bool, ClipError> {
    let path = preview_path(clip, size);
    let failed = |source| ClipError::Beside {
        path: path.clone(),
        source,
    };
    let Some(rest) = jpeg.strip_prefix(&START_OF_IMAGE) else {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "not a JPEG")));
    };
    if path.try_exists().map_err(failed)? {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let mut comment = OURS.to_vec();
    comment.extend(format!(", timestamp_90k {timestamp_90k}").bytes());
    let length = (comment.len() as u16 + 2).to_be_bytes(); // it is far below 64 KiB
    let content = [&START_OF_IMAGE, &COMMENT, &length[..], &comment, rest].concat();
    replace(&path, &content).map_err(failed)?;
    // Removal takes the clip first. If it is there now, its removal finds the picture; if not, it may have missed it.
    if clip.try_exists().map_err(failed)? {
        return Ok(true);
    }
    remove_if_there(&path).map_err(failed)?;
    Ok(false)
}

/// Removes the preview pictures of a clip. What this crate did not put there stays.
pub(crate) fn remove_previews(clip: &Path) -> Result<(), ClipError> {
    for size in PreviewSize::ALL {
        let path = preview_path(clip, size);
        if is_ours(&path) {
            remove_if_there(&path).map_err(|source| ClipError::Beside { path, source })?;
        }
    }
    Ok(())
}

/// Whether a file is a picture of this crate's.
pub(crate) fn is_ours(path: &Path) -> bool {
    let mut beginning = Vec::new();
    let head = START_OF_IMAGE.len() + COMMENT.len() + 2;
    let read = File::open(path).and_then(|file| {
        let wanted = (head + OURS.len()) as u64;
        file.take(wanted).read_to_end(&mut beginning)
    });
    read.is_ok()
        && beginning.starts_with(&[START_OF_IMAGE, COMMENT].concat())
        && beginning.get(head..) == Some(OURS)
}

/// The ends of the names of pictures, with that of an unfinished one.
pub(crate) fn endings() -> impl Iterator<Item = (String, bool)> {
    PreviewSize::ALL.into_iter().flat_map(|size| {
        let whole = format!(".{}.jpg", size.as_str());
        [(format!("{whole}{UNFINISHED}"), true), (whole, false)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xd9];

    #[test]
    fn a_picture_lies_beside_its_clip_and_tells_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("20200517T175346.062Z.mp4");
        fs::write(&clip, b"").unwrap();
        for size in PreviewSize::ALL {
            assert!(write_preview(&clip, size, 143_039_375_044_290, JPEG).unwrap());
        }
        let small = folder.path().join("20200517T175346.062Z.small.jpg");
        let mut expected = b"\xff\xd8\xff\xfe\x00\x3a".to_vec();
        expected.extend(b"recorded by lva-recording, timestamp_90k 143039375044290\xff\xd9");
        assert_eq!(fs::read(&small).unwrap(), expected);
        assert!(is_ours(&small));
        assert!(matches!(
            write_preview(&clip, PreviewSize::Small, 0, JPEG),
            Err(ClipError::Beside { .. })
        ));
        remove_previews(&clip).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_picture_of_a_clip_that_is_gone_goes_too() {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("a.mp4");
        assert!(!write_preview(&clip, PreviewSize::Large, 0, JPEG).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_somebody_else_s_stays_and_what_is_no_jpeg_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("a.mp4");
        fs::write(&clip, b"").unwrap();
        let theirs = folder.path().join("a.medium.jpg");
        fs::write(&theirs, JPEG).unwrap();
        assert!(write_preview(&clip, PreviewSize::Medium, 0, JPEG).is_err());
        remove_previews(&clip).unwrap();
        assert_eq!(fs::read(&theirs).unwrap(), JPEG);
        assert!(write_preview(&clip, PreviewSize::Small, 0, b"GIF89a").is_err());
    }
}

//! Preview pictures next to clips. The caller decodes [`Keyframe`]s and encodes JPEG; this crate stores the pictures as
//! long as their clip.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::beneath::{Access, Boundaries};
use crate::error::ClipError;
use crate::files::UNFINISHED_SUFFIX;

/// The first two bytes of a JPEG, and those before the length of a comment.
const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];
const COMMENT: [u8; 2] = [0xff, 0xfe];

/// The beginning of the comment that marks a picture as this crate's.
const MANAGED_TAG: &[u8] = b"recorded by lva-recording";

/// Sizes of preview pictures, named as in Video Analyzer.
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
    /// All sizes, smallest first.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// Longest edge in pixels; a smaller video is not enlarged.
    pub fn long_edge(self) -> u32 {
        match self {
            Self::Small => 320,
            Self::Medium => 640,
            Self::Large => 1280,
        }
    }

    /// The name in file names.
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

/// Stores a preview picture next to a finished clip, as a whole. Returns `false` if the clip no longer exists; the
/// picture is then removed. The picture is evicted together with its clip and does not count towards the size. Its time
/// is stored in it as a comment.
///
/// It stays below `folders`, as the clip does
/// ([`ClipDirectory::with_boundaries`](crate::ClipDirectory::with_boundaries)); none allows every directory.
///
/// # Errors
///
/// The data is not a JPEG, the disk rejects it, a link leads out of the folders, or another file has the name; that file stays.
pub fn write_preview(
    folders: &[PathBuf],
    clip: &Path,
    size: PreviewSize,
    timestamp_90k: u64,
    jpeg: &[u8],
) -> Result<bool, ClipError> {
    let boundaries = Boundaries::new(folders.to_vec());
    let path = preview_path(clip, size);
    let failed = ClipError::sidecar_io(&path);
    let Some(rest) = jpeg.strip_prefix(&START_OF_IMAGE) else {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "not a JPEG")));
    };
    if boundaries.kind(&path).map_err(failed)?.is_some() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let mut comment = MANAGED_TAG.to_vec();
    comment.extend(format!(", timestamp_90k {timestamp_90k}").bytes());
    let length = (comment.len() as u16 + 2).to_be_bytes(); // it is far below 64 KiB
    let content = [&START_OF_IMAGE, &COMMENT, &length[..], &comment, rest].concat();
    boundaries.replace(&path, &content).map_err(failed)?;
    // Eviction removes the clip first. If the clip exists now, its eviction finds the picture; if not, it may have missed it.
    if boundaries.kind(clip).map_err(failed)?.is_some() {
        return Ok(true);
    }
    boundaries.remove_if_exists(&path).map_err(failed)?;
    Ok(false)
}

/// Removes the preview pictures of a clip. Files of other origin stay.
pub(crate) fn remove_previews(clip: &Path, boundaries: &Boundaries) -> Result<(), ClipError> {
    for size in PreviewSize::ALL {
        let path = preview_path(clip, size);
        if is_managed(&path, boundaries) {
            let removed = boundaries.remove_if_exists(&path);
            removed.map_err(|cause| ClipError::SidecarIo { path, cause })?;
        }
    }
    Ok(())
}

/// Whether a file is a preview picture of this crate.
pub(crate) fn is_managed(path: &Path, boundaries: &Boundaries) -> bool {
    let mut beginning = Vec::new();
    let head = START_OF_IMAGE.len() + COMMENT.len() + 2;
    let read = boundaries.open(path, Access::Read).and_then(|file| {
        let wanted = (head + MANAGED_TAG.len()) as u64;
        file.take(wanted).read_to_end(&mut beginning)
    });
    read.is_ok()
        && beginning.starts_with(&[START_OF_IMAGE, COMMENT].concat())
        && beginning.get(head..) == Some(MANAGED_TAG)
}

/// File name suffixes of pictures, and whether each is of an unfinished one.
pub(crate) fn endings() -> impl Iterator<Item = (String, bool)> {
    PreviewSize::ALL.into_iter().flat_map(|size| {
        let whole = format!(".{}.jpg", size.as_str());
        [(format!("{whole}{UNFINISHED_SUFFIX}"), true), (whole, false)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xd9];

    #[test]
    fn a_picture_is_next_to_its_clip_and_contains_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let clip = directory.path().join("20200517T175346.062Z.mp4");
        fs::write(&clip, b"").unwrap();
        for size in PreviewSize::ALL {
            assert!(write_preview(&[], &clip, size, 143_039_375_044_290, JPEG).unwrap());
        }
        let small = directory.path().join("20200517T175346.062Z.small.jpg");
        let mut expected = b"\xff\xd8\xff\xfe\x00\x3a".to_vec();
        expected.extend(b"recorded by lva-recording, timestamp_90k 143039375044290\xff\xd9");
        assert_eq!(fs::read(&small).unwrap(), expected);
        assert!(is_managed(&small, &Boundaries::default()));
        assert!(matches!(
            write_preview(&[], &clip, PreviewSize::Small, 0, JPEG),
            Err(ClipError::SidecarIo { .. })
        ));
        remove_previews(&clip, &Boundaries::default()).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_picture_of_a_removed_clip_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let clip = directory.path().join("a.mp4");
        assert!(!write_preview(&[], &clip, PreviewSize::Large, 0, JPEG).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn foreign_pictures_stay_and_other_formats_are_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let clip = directory.path().join("a.mp4");
        fs::write(&clip, b"").unwrap();
        let theirs = directory.path().join("a.medium.jpg");
        fs::write(&theirs, JPEG).unwrap();
        assert!(write_preview(&[], &clip, PreviewSize::Medium, 0, JPEG).is_err());
        remove_previews(&clip, &Boundaries::default()).unwrap();
        assert_eq!(fs::read(&theirs).unwrap(), JPEG);
        assert!(write_preview(&[], &clip, PreviewSize::Small, 0, b"GIF89a").is_err());
    }
}

//! Maps paths in requests to files of the media directory, never outside of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use percent_encoding::percent_decode_str;
use tokio::sync::Mutex as AsyncMutex;

use crate::media::{Clip, MediaError};

/// First segment of every path.
const MOUNT: &str = "media";
/// Most files in the cache; one more clears it.
const MAX_CACHED: usize = 8;

/// The parts of a request's path: `/media/FILE[/trackID=N]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Relative to the media directory: one name or more, none of them `.`, `..` or empty.
    pub(crate) file: PathBuf,
    pub(crate) track: Option<usize>,
}

impl Resource {
    /// `None` for paths that cannot name a file of the directory.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?.strip_prefix(MOUNT)?.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let (path, track) = match path.rsplit_once("/trackID=") {
            Some((path, track)) => (path, Some(track.parse().ok()?)),
            None => (path, None),
        };
        let mut file = PathBuf::new();
        for part in path.split('/') {
            let name = percent_decode_str(part).decode_utf8().ok()?;
            // Percent-encoded separators, and drive letters of other systems.
            let forbidden = |c: char| matches!(c, '/' | '\\' | ':') || c.is_control();
            if name.is_empty() || name == "." || name == ".." || name.contains(forbidden) {
                return None;
            }
            file.push(&*name);
        }
        Some(Self { file, track })
    }
}

/// The media directory and a cache of its clips.
#[derive(Debug)]
pub(crate) struct Library {
    root: PathBuf,
    cache: Mutex<HashMap<PathBuf, Cached>>,
    reading: Mutex<HashMap<PathBuf, Weak<AsyncMutex<()>>>>,
}

/// A clip and its file's time of modification.
type Cached = (Option<SystemTime>, Arc<Clip>);

impl Library {
    /// `root` must exist.
    pub(crate) fn open(root: &Path) -> std::io::Result<Self> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            return Err(std::io::Error::from(std::io::ErrorKind::NotADirectory));
        }
        Ok(Self {
            root,
            cache: Mutex::default(),
            reading: Mutex::default(),
        })
    }

    /// The lock under which a file is read: requests for the same file wait for it, and no others do.
    pub(crate) fn turn(&self, file: &Path) -> Arc<AsyncMutex<()>> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = reading.get(file).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        reading.insert(file.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// The clip of a file; `None` if the directory has no such file. Blocks.
    pub(crate) fn load(&self, file: &Path) -> Option<Result<Arc<Clip>, MediaError>> {
        // Canonical, so that links cannot lead out of the directory either.
        let path = self.root.join(file).canonicalize().ok()?;
        let metadata = path.metadata().ok()?;
        if !path.starts_with(&self.root) || !metadata.is_file() {
            return None;
        }
        let modified = metadata.modified().ok();
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, clip)) = cache().get(&path)
            && *known == modified
        {
            return Some(Ok(Arc::clone(clip)));
        }
        // Not under the lock: a broken file may take long.
        Some(Clip::read(&path).map(|clip| {
            let mut cache = cache();
            if cache.len() >= MAX_CACHED {
                cache.clear();
            }
            let clip = Arc::new(clip);
            cache.insert(path, (modified, Arc::clone(&clip)));
            clip
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_and_tracks_are_found_in_paths() {
        let parse = |path| Resource::parse(path).map(|r| (r.file.to_string_lossy().into_owned(), r.track));
        assert_eq!(parse("/media/a.mp4"), Some(("a.mp4".into(), None)));
        assert_eq!(parse("/media/a.mp4/"), Some(("a.mp4".into(), None)));
        assert_eq!(
            parse("/media/my%20clips/a.mp4/trackID=1"),
            Some(("my clips/a.mp4".into(), Some(1)))
        );
    }

    #[test]
    fn paths_out_of_the_directory_are_none() {
        for path in [
            "",
            "/",
            "/media",
            "/media/",
            "/other/a.mp4",
            "/mediaa.mp4",
            "/media/../secret",
            "/media/..",
            "/media/a/../../b",
            "/media/%2e%2e/secret",
            "/media/..%2fsecret",
            "/media/%2Fetc%2Fpasswd",
            "/media//etc/passwd",
            "/media/..%5csecret",
            "/media/a%00.mp4",
            "/media/./a.mp4",
            "/media/c:/x",
            "/media/%ff",
            "/media/a.mp4/trackID=x",
            "/media/a.mp4/trackID=-1",
            "/media/a.mp4/trackID=99999999999999999999",
        ] {
            assert_eq!(Resource::parse(path), None, "{path}");
        }
    }

    #[test]
    fn links_out_of_the_directory_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret.mp4"), b"x").unwrap();
        let root = tempfile::tempdir().unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path().join("secret.mp4"), root.path().join("link.mp4")).unwrap();
        let library = Library::open(root.path()).unwrap();
        assert!(library.load(Path::new("link.mp4")).is_none());
        assert!(library.load(Path::new("../secret.mp4")).is_none());
        assert!(library.load(Path::new(".")).is_none());
        std::fs::write(root.path().join("broken.mp4"), b"x").unwrap();
        assert!(library.load(Path::new("broken.mp4")).unwrap().is_err());
    }

    proptest! {
        #[test]
        fn no_path_escapes(path in "/media/[a-z./%25\\\\]{0,40}") {
            if let Some(resource) = Resource::parse(&path) {
                prop_assert!(resource.file.components().all(|c| matches!(c, std::path::Component::Normal(_))));
            }
        }
    }
}

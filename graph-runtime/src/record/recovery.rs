//! Recordings that a killed process left unfinished.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lva_recording::{ClipReport, Recovery, recover, recover_owned_by};
use parking_lot::Mutex;

/// Clips that were finished below each root directory and not yet reported by their sinks. Shared by all recorders of a module,
/// which search each root once.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecoveredClips(Arc<Mutex<BTreeMap<PathBuf, Vec<ClipReport>>>>);

impl RecoveredClips {
    /// Finishes everything below a root, if that was not done before, and returns the clips of one sink. Other sinks wait
    /// meanwhile. A root that could not be read is tried again.
    pub(super) fn take(&self, root: &Path, owner_id: &str) -> Vec<ClipReport> {
        let mut recovered = self.0.lock();
        if !recovered.contains_key(root)
            && let Some(found) = finished(recover(root))
        {
            recovered.insert(root.to_owned(), found);
        }
        let clips = recovered.get_mut(root).into_iter();
        clips
            .flat_map(|clips| clips.extract_if(.., |clip| clip.sidecar.owner == owner_id))
            .collect()
    }
}

/// Finishes the clips of one sink below a directory.
pub(super) fn recover_own(folders: &[PathBuf], directory: &Path, owner_id: &str) -> Vec<ClipReport> {
    finished(recover_owned_by(folders, directory, owner_id)).unwrap_or_default()
}

/// The clips that were finished; failures are logged. `None`: the directory could not be read.
fn finished(recovery: io::Result<Recovery>) -> Option<Vec<ClipReport>> {
    let recovery = match recovery {
        Ok(recovery) => recovery,
        Err(error) => {
            tracing::warn!(%error, "could not search for unfinished recordings");
            return None;
        }
    };
    for (path, error) in &recovery.failed {
        tracing::warn!(path = %path.display(), %error, "could not finish a recording after a crash");
    }
    for (path, error) in &recovery.unreadable {
        tracing::warn!(path = %path.display(), %error, "could not search a directory for unfinished recordings");
    }
    for report in &recovery.recovered {
        tracing::info!(path = %report.path.display(), "finished a recording after a crash");
    }
    Some(recovery.recovered)
}

//! Open files: as many as the system allows, and a line at the start where those are too few for what is configured.
//!
//! The limit that a program starts with is 1,024 on most systems, for programs that use `select`; nothing here does.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a program holds whatever it serves: the log, data, timers, models, listeners.
const OWN: u64 = 64;
/// One instance: a camera over UDP with sound, an extension with its shared memory, files of a recording and what is beside them.
pub(crate) const OF_AN_INSTANCE: u64 = 32;

/// Files that the process may have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// `None` without a limit.
    limit: Option<u64>,
}

impl Descriptors {
    /// Raises the limit as far as the system lets it.
    pub(crate) fn raised() -> Self {
        let found = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: found.maximum,
            ..found
        };
        let limit = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => found.maximum,
            Err(_) => found.current,
        };
        Self { limit }
    }

    /// Logs a warning where there are too few for this: `what` names it, as in `12 instances and 256 connections`.
    pub(crate) fn check(self, needed: u64, what: &str) {
        if let Some(line) = self.too_few(needed, what) {
            tracing::warn!("{line}");
        }
    }

    fn too_few(self, needed: u64, what: &str) -> Option<String> {
        let needed = needed.saturating_add(OWN);
        let limit = self.limit.filter(|limit| *limit < needed)?;
        Some(format!(
            "this program may have {limit} files open, and {what} may take {needed}: what comes beyond that fails; raise the limit \
             (LimitNOFILE= of the service, --ulimit nofile= of the container, ulimit -n of the shell)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_are_told_with_the_remedy() {
        let few = Descriptors { limit: Some(300) };
        assert_eq!(few.too_few(300 - OWN, "5 instances"), None);
        let line = few.too_few(301 - OWN, "5 instances").unwrap();
        assert!(
            line.contains("300 files") && line.contains("LimitNOFILE="),
            "{line}"
        );
        assert_eq!(Descriptors { limit: None }.too_few(u64::MAX, "all"), None);
    }
}

//! The session of a request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::stats::Counters;
use crate::FrameFormat;
use crate::counters::count;
use crate::server::ExtensionSession;

/// Most bytes of a session's name.
const MAX_NAME_BYTES: usize = 256;

/// A session and its format. Counts its own end.
pub(super) struct OpenSession {
    pub(super) session: Box<dyn ExtensionSession>,
    pub(super) format: FrameFormat,
    pub(super) number: u64,
    /// Pictures so far.
    pub(super) sequence: u64,
    pub(super) failures_in_a_row: u32,
    counters: Arc<Counters>,
}

impl OpenSession {
    pub(super) fn new(
        session: Box<dyn ExtensionSession>,
        format: FrameFormat,
        number: u64,
        counters: Arc<Counters>,
    ) -> Self {
        count(&counters.sessions_opened);
        Self {
            session,
            format,
            number,
            sequence: 0,
            failures_in_a_row: 0,
            counters,
        }
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        count(&self.counters.sessions_closed);
    }
}

/// Holds a session once it is open. Its lock serializes the session's pictures.
pub(super) type SessionSlot = Arc<AsyncMutex<Option<OpenSession>>>;

/// The session while one request uses it.
pub(super) type SlotGuard = OwnedMutexGuard<Option<OpenSession>>;

pub(super) fn empty_slot() -> SessionSlot {
    Arc::new(AsyncMutex::new(None))
}

/// The named sessions of a server.
pub(super) struct Sessions {
    named: Mutex<HashMap<String, Named>>,
    max: usize,
    idle: Duration,
}

struct Named {
    slot: SessionSlot,
    last_used: Instant,
}

/// Why a request gets no session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoSession {
    /// The name is too long.
    Name,
    /// The maximum is reached, and no session is idle.
    Full,
}

impl Sessions {
    pub(super) fn new(max: usize, idle: Duration) -> Self {
        Self {
            named: Mutex::default(),
            max,
            idle,
        }
    }

    /// The slot of the session of this name.
    pub(super) fn named(&self, name: &str, now: Instant) -> Result<SessionSlot, NoSession> {
        if name.len() > MAX_NAME_BYTES {
            return Err(NoSession::Name);
        }
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.get_mut(name) {
            known.last_used = now;
            return Ok(Arc::clone(&known.slot));
        }
        if named.len() >= self.max {
            remove_idle(&mut named, now, self.idle);
        }
        if named.len() >= self.max {
            return Err(NoSession::Full);
        }
        let slot = empty_slot();
        named.insert(
            name.to_owned(),
            Named {
                slot: Arc::clone(&slot),
                last_used: now,
            },
        );
        Ok(slot)
    }

    /// Closes idle sessions.
    pub(super) fn close_idle(&self, now: Instant) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        remove_idle(&mut named, now, self.idle);
    }
}

/// A session with a picture in progress is not idle.
fn remove_idle(named: &mut HashMap<String, Named>, now: Instant, idle: Duration) {
    named.retain(|_, known| {
        now.saturating_duration_since(known.last_used) < idle || Arc::strong_count(&known.slot) > 1
    });
}

/// The value of a parameter in a query. It is not percent-decoded: two spellings of one name are two sessions.
pub(super) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[test]
    fn a_name_has_the_same_slot_until_it_is_idle() {
        let sessions = Sessions::new(2, IDLE);
        let start = Instant::now();
        let door = sessions.named("door", start).unwrap();
        assert!(Arc::ptr_eq(&door, &sessions.named("door", start).unwrap()));
        drop(door);
        sessions.named("yard", start + IDLE / 2).unwrap();
        assert_eq!(
            sessions.named("roof", start + IDLE / 2).err(),
            Some(NoSession::Full)
        );
        // The door is idle, the yard is not.
        assert!(sessions.named("roof", start + IDLE).is_ok());
        assert_eq!(sessions.named("door", start + IDLE).err(), Some(NoSession::Full));
        sessions.close_idle(start + IDLE * 3);
        assert!(sessions.named("door", start + IDLE * 3).is_ok());
    }

    #[test]
    fn a_session_in_use_is_not_closed() {
        let sessions = Sessions::new(1, IDLE);
        let start = Instant::now();
        let in_use = sessions.named("door", start).unwrap();
        sessions.close_idle(start + IDLE * 9);
        assert!(Arc::ptr_eq(
            &in_use,
            &sessions.named("door", start + IDLE * 9).unwrap()
        ));
    }

    #[test]
    fn names_come_from_the_query_and_are_bounded() {
        assert_eq!(parameter(Some("id=1&stream=door"), "stream"), Some("door"));
        assert_eq!(parameter(Some("stream=&stream=b"), "stream"), Some("b"));
        for query in [
            None,
            Some(""),
            Some("stream"),
            Some("upstream=x"),
            Some("stream="),
        ] {
            assert_eq!(parameter(query, "stream"), None);
        }
        let sessions = Sessions::new(1, IDLE);
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(sessions.named(&long, Instant::now()).err(), Some(NoSession::Name));
    }
}

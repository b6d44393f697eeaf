//! Which session a request belongs to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard};

use super::stats::{Counters, count};
use crate::FrameFormat;
use crate::server::ExtensionSession;

/// Longest name of a session in bytes.
const MAX_NAME: usize = 256;

/// A session, and what it was opened for. Counts its own end.
pub(super) struct Open {
    pub(super) session: Box<dyn ExtensionSession>,
    pub(super) format: FrameFormat,
    pub(super) number: u64,
    /// Pictures so far.
    pub(super) sequence: u64,
    pub(super) failures_in_a_row: u32,
    counters: Arc<Counters>,
}

impl Open {
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

impl Drop for Open {
    fn drop(&mut self) {
        count(&self.counters.sessions_closed);
    }
}

/// Where a session is, or will be. Whoever holds it has the turn.
pub(super) type Place = Arc<TurnMutex<Option<Open>>>;

/// The turn of one request.
pub(super) type Taken = OwnedMutexGuard<Option<Open>>;

pub(super) fn empty_place() -> Place {
    Arc::new(TurnMutex::new(None))
}

/// The named sessions of a server.
pub(super) struct Sessions {
    named: Mutex<HashMap<String, Named>>,
    most: usize,
    idle: Duration,
    last_number: AtomicU64,
}

struct Named {
    place: Place,
    last_used: Instant,
}

/// Why a session cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoSession {
    /// The name is too long.
    Name,
    /// As many as may be are there, and none of them was idle for long enough.
    Full,
}

impl Sessions {
    pub(super) fn new(most: usize, idle: Duration) -> Self {
        Self {
            named: Mutex::default(),
            most,
            idle,
            last_number: AtomicU64::new(0),
        }
    }

    /// A number for a new session, from 1.
    pub(super) fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The place of the session of this name.
    pub(super) fn named(&self, name: &str, now: Instant) -> Result<Place, NoSession> {
        if name.len() > MAX_NAME {
            return Err(NoSession::Name);
        }
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.get_mut(name) {
            known.last_used = now;
            return Ok(Arc::clone(&known.place));
        }
        if named.len() >= self.most {
            forget(&mut named, now, self.idle);
        }
        if named.len() >= self.most {
            return Err(NoSession::Full);
        }
        let place = empty_place();
        named.insert(
            name.to_owned(),
            Named {
                place: Arc::clone(&place),
                last_used: now,
            },
        );
        Ok(place)
    }

    /// Forgets the sessions that were not asked for lately.
    pub(super) fn forget_idle(&self, now: Instant) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut named, now, self.idle);
    }
}

/// A session at work is not idle, however long it takes.
fn forget(named: &mut HashMap<String, Named>, now: Instant, idle: Duration) {
    named.retain(|_, known| {
        now.saturating_duration_since(known.last_used) < idle || Arc::strong_count(&known.place) > 1
    });
}

/// The value of a parameter in a query, percent-decoded as far as it has to be to tell names apart: not at all. Two
/// spellings of one name are two sessions, and neither is a way out of anything.
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
    fn a_name_is_the_same_place_until_it_is_idle() {
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
        // The door was silent for long enough, the yard was not.
        assert!(sessions.named("roof", start + IDLE).is_ok());
        assert_eq!(sessions.named("door", start + IDLE).err(), Some(NoSession::Full));
        sessions.forget_idle(start + IDLE * 3);
        assert!(sessions.named("door", start + IDLE * 3).is_ok());
    }

    #[test]
    fn a_session_at_work_is_not_forgotten() {
        let sessions = Sessions::new(1, IDLE);
        let start = Instant::now();
        let at_work = sessions.named("door", start).unwrap();
        sessions.forget_idle(start + IDLE * 9);
        assert!(Arc::ptr_eq(
            &at_work,
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
        let long = "x".repeat(MAX_NAME + 1);
        assert_eq!(sessions.named(&long, Instant::now()).err(), Some(NoSession::Name));
    }
}

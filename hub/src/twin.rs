//! The twin: desired properties in, reported properties out.

mod limits;
mod merge;
mod own;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use limits::check_size;
pub use limits::{TwinLimitError, check_properties};
pub use merge::merge_patch;
use merge::{can_combine, combine_patches};
use own::{FromBroker, OwnDesired};

/// How long an answer may take before the request is sent again; doubles up to [`MAX_PAUSE`].
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the first failure of the hub's; doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Shortest pause after 429: the hub counts requests by the second and asks for ten.
const THROTTLED_PAUSE: Duration = Duration::from_secs(10);
/// Most notices kept while the document is being fetched; beyond, the document is fetched again.
const MAX_WAITING_NOTICES: usize = 32;
/// Documents older than a notice after which notices are applied without those between: the hub has no newer document, as
/// a gateway's copy may count versions of its own.
const MAX_OLDER_DOCUMENTS: u32 = 2;

/// The desired properties as the hub has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Desired {
    /// The properties, without the hub's `$` members.
    pub properties: Map<String, Value>,
    /// Their version (`$version`).
    pub version: u64,
}

impl Desired {
    /// These properties, with this version.
    pub fn new(properties: Map<String, Value>, version: u64) -> Self {
        Self { properties, version }
    }

    /// As JSON, with `$version`.
    pub fn to_document(&self) -> Value {
        let mut document = self.properties.clone();
        document.insert("$version".to_owned(), self.version.into());
        Value::Object(document)
    }
}

/// A request to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TwinRequest {
    /// Ask for both documents.
    Get {
        /// Comes back with the answer.
        request_id: u64,
    },
    /// Change reported properties.
    Report {
        /// Comes back with the answer.
        request_id: u64,
        /// The merge patch as JSON.
        body: Vec<u8>,
    },
    /// Replace the desired properties that stand on a plain broker.
    Desired {
        /// All of them as JSON, with `$version`.
        body: Vec<u8>,
    },
}

/// What an answer of the hub led to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TwinOutcome {
    /// Nothing that the application can see; answers to abandoned requests included.
    Unchanged,
    /// The desired properties are new.
    DesiredChanged,
    /// The hub has stored the reported properties.
    Reported,
    /// The hub refuses the reported properties with this status; they are dropped, since they would be refused again.
    ReportRefused {
        /// As in HTTP.
        status: u16,
    },
}

/// The twin's state machine; the clock is a parameter.
///
/// **After each connect it fetches the document, applies each version at most once, and fetches again when one is
/// missing.** Reported properties that were not acknowledged are sent again.
#[derive(Debug, Default)]
pub struct Twin {
    desired: Option<Desired>,
    /// What this side made of them, where a plain broker keeps them.
    own: OwnDesired,
    reported: Map<String, Value>,
    /// Notices that came before the document or after a gap, by version.
    notices: BTreeMap<u64, Map<String, Value>>,
    /// Documents in a row that did not reach the first of these notices.
    older_documents: u32,
    get: Exchange,
    report: Exchange,
    /// Changes that are not sent yet; more than one where they cannot be combined.
    unreported: VecDeque<Map<String, Value>>,
    /// Changes that are sent and not acknowledged.
    in_flight: Map<String, Value>,
    connected: bool,
    next_request_id: u64,
}

/// One kind of request: at most one is under way.
#[derive(Debug, Default)]
struct Exchange {
    is_needed: bool,
    sent: Option<Sent>,
    not_before: Option<Instant>,
    /// The hub asked for this pause, and a reconnection does not end it.
    throttled_until: Option<Instant>,
    failures: u32,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    request_id: u64,
    deadline: Instant,
}

impl Exchange {
    /// What is left of it after the connection ended.
    fn without_connection(&self) -> Self {
        Self {
            not_before: self.throttled_until,
            throttled_until: self.throttled_until,
            ..Self::default()
        }
    }

    fn is_answered_by(&self, request_id: u64) -> bool {
        self.sent.is_some_and(|sent| sent.request_id == request_id)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.is_needed && self.sent.is_none() && self.not_before.is_none_or(|not_before| now >= not_before)
    }

    /// When something is to be done without an answer.
    fn wakeup(&self, now: Instant) -> Option<Instant> {
        match self.sent {
            Some(sent) => Some(sent.deadline),
            None => self.is_needed.then(|| self.not_before.unwrap_or(now)),
        }
    }

    fn doubled(&self, first: Duration) -> Duration {
        first.saturating_mul(1 << self.failures.min(10)).min(MAX_PAUSE)
    }

    fn send(&mut self, request_id: u64, now: Instant) {
        let deadline = now + self.doubled(ANSWER_TIMEOUT);
        self.sent = Some(Sent { request_id, deadline });
    }

    fn succeed(&mut self) {
        *self = Self::default();
    }

    fn fail(&mut self, status: u16, now: Instant) {
        let pause = self.doubled(MIN_PAUSE);
        let pause = if status == 429 {
            pause.max(THROTTLED_PAUSE)
        } else {
            pause
        };
        self.sent = None;
        self.not_before = Some(now + pause);
        self.throttled_until = self.not_before.filter(|_| status == 429);
        self.failures = self.failures.saturating_add(1);
    }

    /// Returns whether the answer did not come in time.
    fn expire(&mut self, now: Instant) -> bool {
        let is_late = self.sent.is_some_and(|sent| now >= sent.deadline);
        if is_late {
            self.sent = None;
            self.not_before = None;
            self.failures = self.failures.saturating_add(1);
        }
        is_late
    }
}

impl Twin {
    /// Not connected, and nothing known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts request ids from here. A random number keeps answers to requests of an earlier process from being taken for
    /// answers to ours. Default 1.
    #[must_use]
    pub fn with_first_request_id(mut self, first: u64) -> Self {
        self.next_request_id = first.wrapping_sub(1);
        self
    }

    /// The desired properties; `None` until the hub has sent them once.
    pub fn desired(&self) -> Option<&Desired> {
        self.desired.as_ref()
    }

    /// The reported properties as the hub acknowledged them.
    pub fn reported(&self) -> &Map<String, Value> {
        &self.reported
    }

    /// Whether reported properties still wait for the hub.
    pub fn is_reporting(&self) -> bool {
        self.report.is_needed
    }

    /// Changes reported properties by a merge patch: null deletes. Several changes travel as one.
    ///
    /// # Errors
    ///
    /// [`TwinLimitError`] for what the hub would refuse.
    pub fn report(&mut self, patch: Value) -> Result<(), TwinLimitError> {
        let Value::Object(patch) = patch else {
            return Err(TwinLimitError::NotAnObject);
        };
        check_properties(&patch)?;
        let mut unreported = self.unreported.clone();
        match unreported.back_mut() {
            Some(last) if can_combine(last, &patch) => combine_patches(last, patch),
            _ => unreported.push_back(patch),
        }
        check_size(unreported.iter())?;
        self.unreported = unreported;
        self.report.is_needed = true;
        Ok(())
    }

    /// Replaces the desired properties, where no hub owns them but a plain broker keeps them: they are published until the
    /// broker sends them back. `replaced` is what the broker had before, which it may send once more; anything else that
    /// comes was written by another, and is in force instead.
    pub fn set_desired(&mut self, desired: Desired, replaced: Option<Desired>) {
        self.desired = Some(desired.clone());
        self.own.set(desired, replaced);
    }

    /// A connection is there and its subscriptions are requested.
    pub fn on_connected(&mut self) {
        self.connected = true;
        self.own.on_connected();
        self.get = Exchange {
            is_needed: true,
            ..self.get.without_connection()
        };
        self.notices.clear();
        self.older_documents = 0;
    }

    /// The connection ended: answers to what was asked over it do not come any more.
    pub fn on_disconnected(&mut self) {
        self.connected = false;
        self.get = self.get.without_connection();
        self.take_back();
    }

    /// The request to publish now, if one is due. Call again until `None`.
    pub fn poll(&mut self, now: Instant) -> Option<TwinRequest> {
        if !self.connected {
            return None;
        }
        self.get.expire(now);
        if self.report.expire(now) {
            self.take_back();
        }
        if self.get.is_due(now) {
            let request_id = self.request_id();
            self.get.send(request_id, now);
            return Some(TwinRequest::Get { request_id });
        }
        if self.report.is_due(now)
            && let Some(next) = self.unreported.pop_front()
        {
            let request_id = self.request_id();
            self.report.send(request_id, now);
            self.in_flight = next;
            let body = serde_json::to_vec(&self.in_flight).unwrap_or_default();
            return Some(TwinRequest::Report { request_id, body });
        }
        let body = self.own.take_due(now)?.to_document().to_string().into();
        Some(TwinRequest::Desired { body })
    }

    /// A request is done without an answer, since the broker needs none.
    pub fn settle(&mut self, request: &TwinRequest) {
        match request {
            TwinRequest::Get { request_id } if self.get.is_answered_by(*request_id) => self.get.succeed(),
            TwinRequest::Report { request_id, .. } if self.report.is_answered_by(*request_id) => {
                self.on_reported()
            }
            _ => {}
        }
    }

    /// When [`poll`](Self::poll) has to be called at the latest.
    pub fn wakeup(&self, now: Instant) -> Option<Instant> {
        if !self.connected {
            return None;
        }
        let wakeups = [
            self.get.wakeup(now),
            self.report.wakeup(now),
            self.own.wakeup(now),
        ];
        wakeups.into_iter().flatten().min()
    }

    /// An answer came. One to an abandoned request (timed out, or of an earlier connection) is ignored.
    pub fn on_answer(&mut self, request_id: &str, status: u16, body: &[u8], now: Instant) -> TwinOutcome {
        let Ok(request_id) = request_id.parse() else {
            return TwinOutcome::Unchanged;
        };
        if self.get.is_answered_by(request_id) {
            return self.on_document(status, body, now);
        }
        if !self.report.is_answered_by(request_id) {
            return TwinOutcome::Unchanged;
        }
        match status {
            200..=299 => {
                self.on_reported();
                TwinOutcome::Reported
            }
            400..=499 if status != 429 && status != 408 => {
                self.in_flight.clear();
                self.report.succeed();
                self.report.is_needed = !self.unreported.is_empty();
                TwinOutcome::ReportRefused { status }
            }
            _ => {
                self.report.fail(status, now);
                self.take_back();
                TwinOutcome::Unchanged
            }
        }
    }

    /// A notice that desired properties changed. `version` is that of the topic; where it lacks, the body's is used.
    pub fn on_notice(&mut self, version: Option<u64>, body: &[u8]) -> TwinOutcome {
        let patch = match serde_json::from_slice(body) {
            Ok(Value::Object(patch)) => patch,
            // Something changed; only the document has it.
            _ => return self.fetch_again(),
        };
        let Some(version) = version.or_else(|| version_of(&patch)) else {
            return self.fetch_again();
        };
        if self
            .desired
            .as_ref()
            .is_some_and(|desired| version <= desired.version)
            && !self.is_fetching()
        {
            return TwinOutcome::Unchanged;
        }
        if self.notices.len() >= MAX_WAITING_NOTICES {
            return self.fetch_again();
        }
        self.notices.insert(version, patch);
        if self.is_fetching() {
            return TwinOutcome::Unchanged;
        }
        self.apply_notices()
    }

    /// The desired properties as a whole, as plain brokers have them. An empty body, with which a retained message is
    /// deleted, changes nothing.
    pub fn on_desired(&mut self, body: &[u8]) -> TwinOutcome {
        let Ok(Value::Object(document)) = serde_json::from_slice(body) else {
            return TwinOutcome::Unchanged;
        };
        let desired = desired_of(&document);
        match self.own.on_broker(&desired) {
            // The application learns that the broker has them.
            FromBroker::Own => TwinOutcome::DesiredChanged,
            FromBroker::Replaced => TwinOutcome::Unchanged,
            FromBroker::Foreign if self.desired.as_ref() == Some(&desired) => TwinOutcome::Unchanged,
            FromBroker::Foreign => {
                self.desired = Some(desired);
                TwinOutcome::DesiredChanged
            }
        }
    }

    fn on_document(&mut self, status: u16, body: &[u8], now: Instant) -> TwinOutcome {
        let document = match status {
            200 => parse_document(body),
            _ => None,
        };
        let Some((desired, reported)) = document else {
            self.get.fail(status, now);
            return TwinOutcome::Unchanged;
        };
        let failures = self.get.failures;
        self.get.succeed();
        self.reported = reported;
        let is_new = self.desired.as_ref() != Some(&desired);
        self.desired = Some(desired);
        let mut applied = self.apply_notices();
        if self.get.is_needed {
            self.older_documents += 1;
            if self.older_documents >= MAX_OLDER_DOCUMENTS {
                self.get.succeed();
                applied = self.apply_all_notices();
            } else {
                // The document is older than a notice, as a gateway's copy may be: give it time.
                self.get.failures = failures;
                self.get.fail(status, now);
            }
        }
        if !self.get.is_needed {
            self.older_documents = 0;
        }
        if is_new {
            TwinOutcome::DesiredChanged
        } else {
            applied
        }
    }

    fn on_reported(&mut self) {
        let acknowledged = std::mem::take(&mut self.in_flight);
        merge_patch(&mut self.reported, &acknowledged);
        self.report.succeed();
        self.report.is_needed = !self.unreported.is_empty();
    }

    fn is_fetching(&self) -> bool {
        self.get.is_needed
    }

    fn fetch_again(&mut self) -> TwinOutcome {
        self.notices.clear();
        self.get.is_needed = true;
        TwinOutcome::Unchanged
    }

    /// Applies the notices that follow the document without a gap; asks for the document when one is missing.
    fn apply_notices(&mut self) -> TwinOutcome {
        let Some(desired) = &mut self.desired else {
            return self.fetch_again();
        };
        let mut outcome = TwinOutcome::Unchanged;
        while let Some((version, patch)) = self.notices.pop_first() {
            if version <= desired.version {
                continue;
            }
            if version != desired.version + 1 {
                self.notices.insert(version, patch);
                self.get.is_needed = true;
                break;
            }
            merge_patch(&mut desired.properties, &patch);
            desired.version = version;
            outcome = TwinOutcome::DesiredChanged;
        }
        outcome
    }

    /// Applies the waiting notices in order, whatever lies between them.
    fn apply_all_notices(&mut self) -> TwinOutcome {
        let Some(desired) = &mut self.desired else {
            return TwinOutcome::Unchanged;
        };
        let mut outcome = TwinOutcome::Unchanged;
        while let Some((version, patch)) = self.notices.pop_first() {
            merge_patch(&mut desired.properties, &patch);
            desired.version = version;
            outcome = TwinOutcome::DesiredChanged;
        }
        outcome
    }

    /// What was sent and not acknowledged goes back in front of what was changed since.
    fn take_back(&mut self) {
        let mut older = std::mem::take(&mut self.in_flight);
        if let Some(newer) = self.unreported.pop_front_if(|newer| can_combine(&older, newer)) {
            combine_patches(&mut older, newer);
        }
        if !older.is_empty() {
            self.unreported.push_front(older);
        }
        self.report.sent = None;
        self.report.is_needed = !self.unreported.is_empty();
    }

    fn request_id(&mut self) -> u64 {
        self.next_request_id = self.next_request_id.wrapping_add(1);
        self.next_request_id
    }
}

fn version_of(object: &Map<String, Value>) -> Option<u64> {
    object.get("$version")?.as_u64()
}

/// `{"desired":{…,"$version":n},"reported":{…}}`; both may lack.
fn parse_document(body: &[u8]) -> Option<(Desired, Map<String, Value>)> {
    let Ok(Value::Object(mut document)) = serde_json::from_slice(body) else {
        return None;
    };
    let mut take = |name: &str| match document.remove(name) {
        Some(Value::Object(object)) => Some(object),
        Some(Value::Null) | None => Some(Map::new()),
        Some(_) => None,
    };
    let (desired, reported) = (take("desired")?, take("reported")?);
    Some((desired_of(&desired), without_hub_members(&reported)))
}

fn desired_of(object: &Map<String, Value>) -> Desired {
    Desired {
        properties: without_hub_members(object),
        version: version_of(object).unwrap_or_default(),
    }
}

fn without_hub_members(object: &Map<String, Value>) -> Map<String, Value> {
    let mut clean = Map::new();
    merge_patch(&mut clean, object);
    clean
}

#[cfg(test)]
#[path = "twin/tests.rs"]
mod tests;

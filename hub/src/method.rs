//! Direct methods: requests in, each answered once and in time.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

/// Most bytes of a method's payload, each way.
pub const MAX_METHOD_BYTES: usize = 128 * 1024;
/// Longest name of a method, in characters.
const MAX_NAME_LENGTH: usize = 100;

/// How methods are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodOptions {
    /// How long the application may take. Default 24 s, since callers wait 30 s unless they ask for more. After it the
    /// caller gets an error, and a later answer is dropped. Far shorter, work that succeeds looks failed; far longer,
    /// callers have left.
    pub answer_within: Duration,
    /// Most calls in progress. Default 64, each with up to 128 KiB. Beyond it callers get an error.
    pub max_in_progress: usize,
}

impl Default for MethodOptions {
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(24),
            max_in_progress: 64,
        }
    }
}

/// A call of a direct method.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MethodRequest {
    /// Identifies the call; opaque. A hub may use it again for another call.
    pub request_id: String,
    /// Number of the call, which no other call has.
    pub call: u64,
    /// The method's name, as the caller wrote it.
    pub name: String,
    /// Its payload; null where there is none.
    pub payload: Value,
}

/// What to send to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodAnswer {
    /// The call's id.
    pub request_id: String,
    /// Number of the call, which no other call has.
    pub call: u64,
    /// Any integer; those of HTTP are customary.
    pub status: i32,
    /// Valid JSON, or empty.
    pub body: Bytes,
    /// Later than this, the caller has left.
    pub useful_until: Instant,
}

/// What a request leads to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Received {
    /// The application has to answer.
    Call(MethodRequest),
    /// The answer is already known: the request is not valid, or there are too many.
    Answer(MethodAnswer),
    /// The same request again, with the same name and body, while the first is in progress.
    Duplicate,
}

/// Calls in progress; the clock is a parameter.
///
/// **Every request gets exactly one answer**: the application's, or an error when it is late. Answers may come in any order.
/// A request id that comes again with another name or body is another call, as of a hub that was restarted: the earlier
/// one has no caller any more, and its answer is dropped.
#[derive(Debug)]
pub struct PendingCalls {
    options: MethodOptions,
    /// By number.
    calls: HashMap<u64, Call>,
    next_call: u64,
    hasher: RandomState,
}

#[derive(Debug)]
struct Call {
    request_id: String,
    /// Of name and body.
    hash: u64,
    deadline: Instant,
    /// Its id stands for another call now. It still counts as in progress, since the application works on it.
    is_replaced: bool,
}

impl PendingCalls {
    /// Without calls.
    pub fn new(options: MethodOptions) -> Self {
        Self {
            options,
            calls: HashMap::new(),
            next_call: 0,
            hasher: RandomState::new(),
        }
    }

    /// A request came.
    pub fn on_request(&mut self, name: String, request_id: String, body: &[u8], now: Instant) -> Received {
        let hash = self.hasher.hash_one((&name, body));
        let mut calls = self.calls.values_mut();
        if let Some(earlier) = calls.find(|call| call.request_id == request_id && !call.is_replaced) {
            if earlier.hash == hash {
                return Received::Duplicate;
            }
            earlier.is_replaced = true;
        }
        let call = self.number();
        let useful_until = now + self.options.answer_within;
        let refuse = |status, code, message: &str| {
            Received::Answer(MethodAnswer {
                request_id: request_id.clone(),
                call,
                status,
                body: error_body(code, message),
                useful_until,
            })
        };
        if body.len() > MAX_METHOD_BYTES {
            let message = format!("The payload is larger than {MAX_METHOD_BYTES} bytes.");
            return refuse(413, "PayloadTooLarge", &message);
        }
        if name.chars().count() > MAX_NAME_LENGTH {
            return refuse(400, "BadRequest", "The method's name is too long.");
        }
        let payload = match body {
            [] => Value::Null,
            body => match serde_json::from_slice(body) {
                Ok(payload) => payload,
                Err(_) => return refuse(400, "BadRequest", "The payload is not valid JSON."),
            },
        };
        if self.calls.len() >= self.options.max_in_progress {
            return refuse(
                503,
                "ServerBusy",
                "Too many calls are in progress; try again later.",
            );
        }
        let entry = Call {
            request_id: request_id.clone(),
            hash,
            deadline: useful_until,
            is_replaced: false,
        };
        self.calls.insert(call, entry);
        Received::Call(MethodRequest {
            request_id,
            call,
            name,
            payload,
        })
    }

    /// A request came whose name cannot be read: the caller gets an error instead of none.
    pub fn on_malformed(&mut self, request_id: String, now: Instant) -> MethodAnswer {
        MethodAnswer {
            request_id,
            call: self.number(),
            status: 400,
            body: error_body(
                "BadRequest",
                "The method's name is empty, or not UTF-8 in percent-encoding.",
            ),
            useful_until: now + self.options.answer_within,
        }
    }

    /// The application answers the call of this number. `None` when the caller has left. A payload beyond the limit is
    /// replaced by an error.
    pub fn on_answer(&mut self, call: u64, status: i32, payload: &Value) -> Option<MethodAnswer> {
        let Call {
            request_id, deadline, ..
        } = self.calls.remove(&call).filter(|call| !call.is_replaced)?;
        let body = match payload {
            Value::Null => Bytes::from_static(b"null"),
            payload => serde_json::to_vec(payload).unwrap_or_default().into(),
        };
        let (status, body) = match body.len() {
            1..=MAX_METHOD_BYTES => (status, body),
            size => {
                let message = format!(
                    "The answer has {size} bytes, and a method may answer {MAX_METHOD_BYTES}; ask for less at once."
                );
                (413, error_body("PayloadTooLarge", &message))
            }
        };
        Some(MethodAnswer {
            request_id,
            call,
            status,
            body,
            useful_until: deadline,
        })
    }

    /// Errors for calls that the application has not answered in time.
    pub fn expire(&mut self, now: Instant) -> Vec<MethodAnswer> {
        let late = self.calls.extract_if(|_, call| now >= call.deadline);
        late.filter(|(_, call)| !call.is_replaced)
            .map(|(number, call)| MethodAnswer {
                request_id: call.request_id,
                call: number,
                status: 504,
                body: error_body("Timeout", "The method did not answer in time."),
                // The caller's own time-out leaves a few seconds more.
                useful_until: call.deadline + Duration::from_secs(5),
            })
            .collect()
    }

    fn number(&mut self) -> u64 {
        self.next_call += 1;
        self.next_call
    }

    /// When the next call is late.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.calls.values().map(|call| call.deadline).min()
    }

    /// Calls in progress.
    pub fn in_progress(&self) -> usize {
        self.calls.len()
    }
}

/// The error form of the direct methods' contract.
pub(crate) fn error_body(code: &str, message: &str) -> Bytes {
    let body = json!({ "error": { "code": code, "message": message } });
    body.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn new() -> (PendingCalls, Instant) {
        (PendingCalls::new(MethodOptions::default()), Instant::now())
    }

    fn call(methods: &mut PendingCalls, id: &str, body: &[u8], now: Instant) -> Received {
        methods.on_request("GraphTopologyList".to_owned(), id.to_owned(), body, now)
    }

    /// The number of an accepted call.
    fn accepted(received: Received) -> u64 {
        match received {
            Received::Call(request) => request.call,
            other => panic!("not accepted: {other:?}"),
        }
    }

    fn refusal(received: Received) -> MethodAnswer {
        match received {
            Received::Answer(answer) => answer,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn an_empty_body_is_null() {
        let (mut methods, now) = new();
        let Received::Call(request) = call(&mut methods, "1", b"", now) else {
            panic!("no call");
        };
        assert_eq!(request.payload, Value::Null);
        assert_eq!(request.name, "GraphTopologyList");
    }

    #[test]
    fn calls_are_answered_in_any_order_and_once() {
        let (mut methods, now) = new();
        let [first, second] = ["1", "2"].map(|id| accepted(call(&mut methods, id, b"{}", now)));
        assert_eq!(call(&mut methods, "1", b"{}", now), Received::Duplicate);
        let answer = methods.on_answer(second, 201, &json!({"a":1})).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (201, &br#"{"a":1}"#[..]));
        assert_eq!(methods.on_answer(second, 201, &json!({})), None);
        let null = methods.on_answer(first, 200, &Value::Null).unwrap();
        assert_eq!(&null.body[..], b"null");
        assert_eq!(methods.in_progress(), 0);
    }

    #[test]
    fn an_id_with_another_body_is_another_call_and_gets_its_own_answer() {
        let (mut methods, now) = new();
        let first = accepted(call(&mut methods, "1", b"{}", now));
        let second = accepted(call(&mut methods, "1", br#"{"a":1}"#, now + SECOND));
        let name = "GraphInstanceList".to_owned();
        let third = accepted(methods.on_request(name, "1".to_owned(), br#"{"a":1}"#, now + SECOND));
        assert_eq!(methods.in_progress(), 3);
        assert_eq!(methods.on_answer(first, 200, &json!("first")), None);
        let answer = methods.on_answer(third, 200, &json!("third")).unwrap();
        assert_eq!((&answer.request_id[..], answer.call), ("1", third));
        assert_eq!(&answer.body[..], br#""third""#);
        assert_eq!(
            methods.expire(now + 100 * SECOND),
            [],
            "no caller waits for call {second}"
        );
        assert_eq!(methods.in_progress(), 0);
    }

    #[test]
    fn a_name_that_cannot_be_read_is_answered_with_an_error() {
        let (mut methods, now) = new();
        let answer = methods.on_malformed("7".to_owned(), now);
        assert_eq!((answer.status, &answer.request_id[..]), (400, "7"));
        assert_eq!(methods.in_progress(), 0);
    }

    #[test]
    fn a_body_that_is_not_json_is_answered_with_an_error() {
        let (mut methods, now) = new();
        let answer = refusal(call(&mut methods, "1", b"{not json", now));
        assert_eq!(answer.status, 400);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["error"]["code"], "BadRequest");
    }

    #[test]
    fn bodies_over_the_limit_are_answered_with_a_small_error() {
        let (mut methods, now) = new();
        let big = format!("\"{}\"", "x".repeat(MAX_METHOD_BYTES));
        let answer = refusal(call(&mut methods, "1", big.as_bytes(), now));
        assert_eq!(answer.status, 413);
        let second = accepted(call(&mut methods, "2", b"", now));
        let answer = methods
            .on_answer(second, 200, &Value::String("x".repeat(MAX_METHOD_BYTES)))
            .unwrap();
        assert_eq!(answer.status, 413);
        assert!(answer.body.len() < 300);
        let third = accepted(call(&mut methods, "3", b"", now));
        let fits = Value::String("x".repeat(MAX_METHOD_BYTES - 2));
        assert_eq!(methods.on_answer(third, 200, &fits).unwrap().status, 200);
    }

    #[test]
    fn a_late_application_is_answered_for() {
        let (mut methods, now) = new();
        let first = accepted(call(&mut methods, "1", b"", now));
        assert_eq!(methods.next_deadline(), Some(now + 24 * SECOND));
        assert_eq!(methods.expire(now + 23 * SECOND), []);
        let late = methods.expire(now + 24 * SECOND);
        assert_eq!((late.len(), late[0].status), (1, 504));
        assert_eq!(methods.on_answer(first, 200, &json!({})), None);
    }

    #[test]
    fn calls_beyond_the_limit_are_refused() {
        let (mut methods, now) = new();
        let calls: Vec<u64> = (0..64)
            .map(|id| accepted(call(&mut methods, &id.to_string(), b"", now)))
            .collect();
        assert_eq!(refusal(call(&mut methods, "64", b"", now)).status, 503);
        methods.on_answer(calls[7], 200, &Value::Null);
        assert!(matches!(call(&mut methods, "65", b"", now), Received::Call(_)));
    }
}

//! When to send which keep-alive. RTSP/1.0 names no method for it, and cameras differ in which they take.

use std::time::Duration;

use tokio::time::Instant;

use crate::wire::exchange::Method;
use crate::wire::headers;
use crate::wire::message::Message;

/// A session that claims a longer life is kept alive as often as one of this life.
const MAX_LIFE: Duration = Duration::from_secs(60);

/// The next method where one is refused or not answered. OPTIONS comes first: every camera knows it, and its answer
/// lists which of the others it takes.
#[derive(Debug)]
pub(super) struct KeepAlive {
    interval: Duration,
    next_at: Instant,
    /// Those that the camera takes, best first.
    methods: Vec<Method>,
    /// The camera has announced which it takes.
    asked: bool,
}

impl KeepAlive {
    /// Three requests within the time in which the camera forgets a session.
    pub(super) fn new(timeout: Duration, now: Instant) -> Self {
        let interval = timeout.min(MAX_LIFE) / 3;
        Self {
            interval,
            next_at: now + interval,
            methods: vec![Method::Options],
            asked: false,
        }
    }

    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    /// The method to send now.
    pub(super) fn method(&self) -> Method {
        self.methods.first().copied().unwrap_or(Method::Options)
    }

    /// One is sent now.
    pub(super) fn sent(&mut self) -> Method {
        self.next_at = Instant::now() + self.interval;
        self.method()
    }

    /// The last one was not answered.
    pub(super) fn unanswered(&mut self) {
        if self.methods.len() > 1 {
            self.methods.remove(0);
        }
    }

    pub(super) fn answered(&mut self, method: Method, answer: &Message, refused: bool) {
        if refused {
            if self.method() == method {
                self.unanswered();
            }
        } else if method == Method::Options && !self.asked && answer.header("public").is_some() {
            self.asked = true;
            let known = [Method::GetParameter, Method::SetParameter];
            self.methods = known
                .into_iter()
                .filter(|method| headers::offers(answer, method.name()))
                .collect();
            self.methods.push(Method::Options);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::repairs::Repairs;

    fn answer(public: &str) -> Message {
        Message::parse(
            format!("RTSP/1.0 200 OK\r\nPublic: {public}\r\n\r\n").as_bytes(),
            &mut Repairs::default(),
        )
    }

    #[test]
    fn methods_are_tried_from_the_best_to_the_one_that_everybody_knows() {
        let mut keepalive = KeepAlive::new(Duration::from_secs(60), Instant::now());
        assert_eq!(keepalive.method(), Method::Options);
        let all = answer("OPTIONS, SET_PARAMETER,GET_PARAMETER");
        keepalive.answered(Method::Options, &all, false);
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(keepalive.method());
            keepalive.answered(keepalive.method(), &answer(""), true);
        }
        assert_eq!(
            seen,
            [
                Method::GetParameter,
                Method::SetParameter,
                Method::Options,
                Method::Options
            ]
        );
    }

    #[test]
    fn three_come_within_the_life_of_a_session() {
        let now = Instant::now();
        assert_eq!(
            KeepAlive::new(Duration::from_secs(60), now).next_at() - now,
            Duration::from_secs(20)
        );
        assert_eq!(
            KeepAlive::new(Duration::from_secs(3), now).next_at() - now,
            Duration::from_secs(1)
        );
        assert_eq!(
            KeepAlive::new(Duration::from_secs(u64::MAX), now).next_at() - now,
            Duration::from_secs(20)
        );
    }
}

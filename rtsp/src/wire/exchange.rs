//! Requests and answers of one connection: numbers them, logs in, and finds the answer to each request. Sans-I/O.

use std::collections::VecDeque;
use std::ops::Range;

use lva_media_types::Credentials;

use super::authentication::{Authentication, LoginFailure, Next};
use super::deframer::{Deframer, Frame};
use super::headers;
use super::message::{Message, Start};
use super::repairs::{Repair, Repairs};

const USER_AGENT: &str = concat!("lva-rtsp/", env!("CARGO_PKG_VERSION"));
/// Requests that wait for an answer: one, and keep-alives of each session without an answer.
const MAX_OPEN: usize = 16;

/// A method of this client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Options,
    Describe,
    Setup,
    Play,
    GetParameter,
    SetParameter,
    Teardown,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Options => "OPTIONS",
            Self::Describe => "DESCRIBE",
            Self::Setup => "SETUP",
            Self::Play => "PLAY",
            Self::GetParameter => "GET_PARAMETER",
            Self::SetParameter => "SET_PARAMETER",
            Self::Teardown => "TEARDOWN",
        }
    }
}

/// A request that was sent.
#[derive(Debug)]
struct Open {
    cseq: u32,
    method: Method,
    uri: String,
    headers: String,
    session: Option<String>,
    /// How often it went out with credentials.
    tries: u8,
}

/// What the camera's bytes amount to.
#[derive(Debug)]
pub(crate) enum Event {
    /// The place of an interleaved packet, for [`Exchange::bytes`].
    Packet { channel: u8, at: Range<usize> },
    /// The final answer to a request; for a 401 with the reason why it is final.
    Answer {
        method: Method,
        message: Message,
        login: Option<LoginFailure>,
    },
}

/// The state of a connection. What is to be sent is in [`take_output`](Self::take_output) after each call.
pub(crate) struct Exchange {
    pub(crate) deframer: Deframer,
    authentication: Authentication,
    next_cseq: u32,
    open: VecDeque<Open>,
    session: Option<String>,
    output: Vec<u8>,
    pub(crate) repairs: Repairs,
}

impl Exchange {
    pub(crate) fn new(credentials: Option<Credentials>, allows_basic: bool) -> Self {
        Self {
            deframer: Deframer::default(),
            authentication: Authentication::new(credentials, allows_basic),
            next_cseq: 1,
            open: VecDeque::new(),
            session: None,
            output: Vec::new(),
            repairs: Repairs::default(),
        }
    }

    /// The identifier that the camera gave the session.
    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The session of all further requests.
    pub(crate) fn set_session(&mut self, id: Option<String>) {
        self.session = id;
    }

    /// Whether a request with this method waits for its answer.
    pub(crate) fn is_open(&self, method: Method) -> bool {
        self.open.iter().any(|open| open.method == method)
    }

    /// Forgets an unanswered request.
    pub(crate) fn forget(&mut self, method: Method) {
        self.open.retain(|open| open.method != method);
    }

    /// Sends a request. `headers` are whole lines.
    pub(crate) fn send(&mut self, method: Method, uri: &str, headers: &str) {
        self.write(Open {
            cseq: 0,
            method,
            uri: uri.to_owned(),
            headers: headers.to_owned(),
            session: self.session.clone(),
            tries: 0,
        });
    }

    fn write(&mut self, mut open: Open) {
        open.cseq = self.next_cseq;
        self.next_cseq = self.next_cseq.wrapping_add(1).max(1);
        let (method, uri, cseq) = (open.method.name(), &open.uri, open.cseq);
        let mut text = format!("{method} {uri} RTSP/1.0\r\nCSeq: {cseq}\r\nUser-Agent: {USER_AGENT}\r\n");
        if let Some(answer) = self.authentication.respond(method, uri) {
            open.tries += 1;
            text.push_str(&format!("Authorization: {answer}\r\n"));
        }
        if let Some(session) = &open.session {
            text.push_str(&format!("Session: {session}\r\n"));
        }
        text.push_str(&open.headers);
        text.push_str("\r\n");
        self.output.extend_from_slice(text.as_bytes());
        self.deframer.expect_description(open.method == Method::Describe);
        if self.open.len() >= MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back(open);
    }

    /// The connection was closed in place of an answer to the log-in: what is open goes by a new one. False if nothing
    /// suggests that it would fare better.
    pub(crate) fn resume(&mut self) -> bool {
        if self.session.is_some() || !self.open.iter().any(|open| open.tries > 0) {
            return false;
        }
        self.deframer = Deframer::default();
        self.output.clear();
        for mut open in std::mem::take(&mut self.open) {
            open.tries = open.tries.saturating_sub(1);
            self.write(open);
        }
        true
    }

    /// Whether there is something to send.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// What has to be sent, emptied.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The bytes of a packet.
    pub(crate) fn bytes(&self, at: Range<usize>) -> &[u8] {
        self.deframer.bytes(at)
    }

    /// What comes next from the bytes so far. `None`: more bytes are needed.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            match self.deframer.next(&mut self.repairs)? {
                Frame::Packet { channel, at } => return Some(Event::Packet { channel, at }),
                Frame::Message(message) => match &message.start {
                    Start::Request { method } => {
                        let known = matches!(
                            method.as_str(),
                            "OPTIONS" | "GET_PARAMETER" | "SET_PARAMETER" | "ANNOUNCE"
                        );
                        self.reply(&message, known);
                    }
                    // Provisional: the final answer follows.
                    Start::Response {
                        status: 100..=199, ..
                    } => {}
                    Start::Response { status, http } => {
                        let (status, http) = (*status, *http);
                        let mut message = message;
                        if http {
                            // Whatever it is, a camera does not send it.
                            message.start = Start::Response { status: 0, http };
                        }
                        if let Some(event) = self.answer(if http { 0 } else { status }, message) {
                            return Some(event);
                        }
                    }
                },
            }
        }
    }

    /// Answers a request of the camera: it may end a session that does not.
    fn reply(&mut self, request: &Message, known: bool) {
        self.repairs.add(Repair::CameraRequest);
        let status = if known { "200 OK" } else { "501 Not Implemented" };
        let mut text = format!("RTSP/1.0 {status}\r\n");
        if let Some(cseq) = request.header("cseq") {
            text.push_str(&format!("CSeq: {cseq}\r\n"));
        }
        text.push_str("\r\n");
        // A camera that asks without end gets no answers without end.
        if self.output.len() < 64 * 1024 {
            self.output.extend_from_slice(text.as_bytes());
        }
    }

    fn answer(&mut self, status: u16, message: Message) -> Option<Event> {
        let cseq: Option<u32> = message.header("cseq").and_then(|cseq| cseq.parse().ok());
        let named = cseq.and_then(|cseq| self.open.iter().position(|open| open.cseq == cseq));
        // Without its number, or with that of the request before (Tapo): it answers the oldest one.
        let place = named.unwrap_or_else(|| {
            self.repairs.add(Repair::ResponseNumber);
            0
        });
        let open = self.open.remove(place)?;
        if status == 401 {
            match self.authentication.refused(&message, open.tries) {
                Next::Again { renewed } => {
                    if renewed {
                        self.repairs.add(Repair::NonceRenewed);
                    }
                    self.write(open);
                    return None;
                }
                Next::GiveUp(failure) => {
                    return Some(Event::Answer {
                        method: open.method,
                        message,
                        login: Some(failure),
                    });
                }
            }
        }
        if open.tries > 0 {
            self.authentication.accepted();
        }
        if self.session.is_none()
            && open.method == Method::Setup
            && (200..300).contains(&status)
            && let Some((id, _)) = headers::session(&message, &mut Repairs::default())
        {
            self.session = Some(id);
        }
        Some(Event::Answer {
            method: open.method,
            message,
            login: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(credentials: bool) -> Exchange {
        let credentials = credentials.then(|| Credentials::new("admin", "geheim"));
        let mut exchange = Exchange::new(credentials, true);
        exchange.send(Method::Describe, "rtsp://h/s", "Accept: application/sdp\r\n");
        exchange
    }

    fn output(exchange: &mut Exchange) -> String {
        String::from_utf8(exchange.take_output()).unwrap()
    }

    fn answered(exchange: &mut Exchange, text: &str) -> Option<(Method, u16, Option<LoginFailure>)> {
        exchange.deframer.push(text.as_bytes());
        let event = exchange.next().or_else(|| {
            // Nothing more comes: the description has ended.
            exchange.deframer.settles_after()?;
            exchange.deframer.settle();
            exchange.next()
        });
        match event? {
            Event::Answer {
                method,
                message,
                login,
            } => Some((method, message.status()?, login)),
            Event::Packet { .. } => None,
        }
    }

    #[test]
    fn an_answer_without_its_number_or_with_another_one_answers_the_only_request() {
        for cseq in ["", "CSeq:\r\n", "CSeq: 77\r\n", "CSeq: x\r\n"] {
            let mut exchange = asked(false);
            let answer = answered(&mut exchange, &format!("RTSP/1.0 200 OK\r\n{cseq}\r\n"));
            assert_eq!(answer, Some((Method::Describe, 200, None)));
            assert_eq!(exchange.repairs.count(Repair::ResponseNumber), 1);
        }
        let mut exchange = asked(false);
        answered(&mut exchange, "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
        assert!(exchange.repairs.is_empty());
    }

    #[test]
    fn a_challenge_is_answered_and_the_password_stays_here() {
        let mut exchange = asked(true);
        assert!(output(&mut exchange).starts_with("DESCRIBE rtsp://h/s RTSP/1.0\r\nCSeq: 1\r\n"));
        let refusal =
            "RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\n";
        assert_eq!(answered(&mut exchange, refusal), None);
        let again = output(&mut exchange);
        assert!(
            again.contains("CSeq: 2\r\n")
                && again.contains("Authorization: Digest")
                && !again.contains("geheim")
        );
        let refused = refusal.replace("CSeq: 1", "CSeq: 2");
        assert_eq!(
            answered(&mut exchange, &refused),
            Some((Method::Describe, 401, Some(LoginFailure::Refused)))
        );
    }

    #[test]
    fn requests_of_the_camera_are_answered_and_cost_nothing() {
        let mut exchange = asked(false);
        exchange.take_output();
        let text = "OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\nREDIRECT x RTSP/1.0\r\n\r\nRTSP/1.0 100 Wait\r\n\r\nRTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n";
        assert_eq!(answered(&mut exchange, text), Some((Method::Describe, 200, None)));
        assert_eq!(
            output(&mut exchange),
            "RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\nRTSP/1.0 501 Not Implemented\r\n\r\n"
        );
        for _ in 0..10_000 {
            exchange.deframer.push(b"OPTIONS * RTSP/1.0\r\n\r\n");
            assert!(exchange.next().is_none());
        }
        assert!(output(&mut exchange).len() < 70_000);
    }

    #[test]
    fn all_requests_behind_the_first_set_up_carry_the_session() {
        let mut exchange = asked(false);
        answered(&mut exchange, "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
        exchange.send(Method::Setup, "rtsp://h/s/1", "");
        answered(
            &mut exchange,
            "RTSP/1.0 200 OK\r\nCSeq: 2\r\nSession: A1 ; timeout=4\r\n\r\n",
        );
        exchange.take_output();
        exchange.send(Method::Play, "rtsp://h/s", "");
        assert!(output(&mut exchange).contains("Session: A1\r\n"));
    }
}

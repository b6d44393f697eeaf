//! What changes between the client library and the camera: sans-I/O, bytes in, bytes out.
//!
//! The library believes that it talks to an address of loopback. Its DESCRIBE goes out with the camera's own address,
//! and the answer comes back with a `Content-Base` that names it, so that every later request bears the camera's
//! addresses, as `SETUP`, `PLAY` and `RTP-Info` want them, and nothing else has to be translated.
//!
//! Authentication is done here, because a digest covers the address of the request (RFC 2617 section 3.2.2.5), and the
//! library would hash that of loopback.

use std::collections::VecDeque;

use http_auth::{PasswordClient, PasswordParams};

use super::message::{self, Head, Kind};
use crate::Credentials;

/// Requests that wait for an answer. The library has two at the most.
const MAX_PENDING: usize = 8;
/// What the library may send before a request is complete.
const MAX_REQUEST: usize = 64 * 1024;
/// An answer that is longer is handed on as it is: what is wrong with it, the library will say.
const MAX_ANSWER: usize = 1 << 20;

/// The other end of loopback does not speak as the library does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotOurs;

pub(crate) struct Rewriter {
    /// The address that the library was given, and the camera's.
    local: String,
    camera: String,
    credentials: Option<Credentials>,
    challenge: Option<PasswordClient>,
    /// The camera has taken an answer to a challenge.
    accepted: bool,
    next_cseq: u32,
    pending: VecDeque<Pending>,
    session: Option<String>,
    /// Where PLAY was sent, the place to send TEARDOWN to.
    aggregate: Option<String>,
    up: Vec<u8>,
    down: Vec<u8>,
    /// Bytes of an interleaved packet that are still to come.
    packet_left: usize,
    /// What comes is no RTSP: handed on without a look.
    raw: bool,
}

/// A request without `CSeq` and `Authorization`, as it was sent to the camera.
struct Pending {
    library_cseq: Option<String>,
    cseq: u32,
    method: String,
    uri: String,
    rest: Vec<u8>,
    body: Vec<u8>,
    /// With an answer to a challenge. A second refusal is the library's to report.
    authorized: u8,
}

impl Rewriter {
    pub(crate) fn new(local: String, camera: String, credentials: Option<Credentials>) -> Self {
        Self {
            local,
            camera,
            credentials,
            challenge: None,
            accepted: false,
            next_cseq: 1,
            pending: VecDeque::new(),
            session: None,
            aggregate: None,
            up: Vec::new(),
            down: Vec::new(),
            packet_left: 0,
            raw: false,
        }
    }

    /// Whether a connection that begins like this is the library's: nobody else knows the address.
    pub(crate) fn is_library(&self, head: &Head) -> bool {
        matches!(&head.kind, Kind::Request { uri, .. } if *uri == self.local)
    }

    /// Takes bytes of the library; what the camera is to get is put behind `to_camera`.
    pub(crate) fn library_said(&mut self, bytes: &[u8], to_camera: &mut Vec<u8>) -> Result<(), NotOurs> {
        self.up.extend_from_slice(bytes);
        loop {
            if self.up.is_empty() {
                return Ok(());
            }
            // Receiver reports, should the library learn to send them.
            if self.up.first() == Some(&b'$') {
                let Some(len) = message::packet_len(&self.up).filter(|len| *len <= self.up.len()) else {
                    return Ok(());
                };
                to_camera.extend(self.up.drain(..len));
                continue;
            }
            let Some(head) = Head::parse(&self.up) else {
                return if self.up.len() > MAX_REQUEST {
                    Err(NotOurs)
                } else {
                    Ok(())
                };
            };
            let end = head.len.saturating_add(head.content_length);
            if end > MAX_REQUEST {
                return Err(NotOurs);
            }
            if end > self.up.len() {
                return Ok(());
            }
            let Kind::Request { method, uri } = head.kind else {
                return Err(NotOurs);
            };
            let pending = Pending {
                library_cseq: head.cseq,
                cseq: 0,
                uri: self.translate(&uri),
                rest: message::without(
                    self.up.get(..head.len).unwrap_or_default(),
                    &["cseq", "authorization"],
                ),
                body: self.up.get(head.len..end).unwrap_or_default().to_vec(),
                authorized: 0,
                method,
            };
            match pending.method.as_str() {
                "PLAY" => self.aggregate = Some(pending.uri.clone()),
                "TEARDOWN" => self.session = None,
                _ => {}
            }
            self.up.drain(..end);
            self.send(pending, to_camera);
        }
    }

    /// Takes bytes of the camera. What the library is to get is put behind `to_library`; a request that was refused
    /// may be sent again, behind `to_camera`.
    pub(crate) fn camera_said(&mut self, bytes: &[u8], to_library: &mut Vec<u8>, to_camera: &mut Vec<u8>) {
        if self.raw {
            return to_library.extend_from_slice(bytes);
        }
        let mut bytes = bytes;
        // Nearly everything is media: packets go on without a detour over the buffer.
        while self.down.is_empty() && !bytes.is_empty() {
            if self.packet_left > 0 {
                let (now, later) = bytes.split_at(self.packet_left.min(bytes.len()));
                to_library.extend_from_slice(now);
                self.packet_left -= now.len();
                bytes = later;
            } else if let Some(len) = message::packet_len(bytes) {
                self.packet_left = len;
            } else {
                break;
            }
        }
        if self.packet_left > 0 || bytes.is_empty() && self.down.is_empty() {
            return;
        }
        self.down.extend_from_slice(bytes);
        self.take_messages(to_library, to_camera);
    }

    fn take_messages(&mut self, to_library: &mut Vec<u8>, to_camera: &mut Vec<u8>) {
        loop {
            match self.down.first() {
                None => return,
                Some(b'$') => {
                    let Some(len) = message::packet_len(&self.down) else {
                        return;
                    };
                    let now = len.min(self.down.len());
                    to_library.extend(self.down.drain(..now));
                    self.packet_left = len - now;
                }
                // Between messages there may be empty lines.
                Some(b'\r' | b'\n') => to_library.extend(self.down.drain(..1)),
                Some(first) if !first.is_ascii_alphabetic() => return self.give_up(to_library),
                Some(_) => {
                    let Some(head) = Head::parse(&self.down) else {
                        if self.down.len() > MAX_REQUEST {
                            self.give_up(to_library);
                        }
                        return;
                    };
                    let end = head.len.saturating_add(head.content_length);
                    if end > MAX_ANSWER {
                        return self.give_up(to_library);
                    }
                    if end > self.down.len() {
                        return;
                    }
                    let message: Vec<u8> = self.down.drain(..end).collect();
                    self.message(&head, &message, to_library, to_camera);
                }
            }
        }
    }

    fn message(&mut self, head: &Head, message: &[u8], to_library: &mut Vec<u8>, to_camera: &mut Vec<u8>) {
        let Kind::Answer { status } = head.kind else {
            // A request of the camera's: the library's to judge.
            return to_library.extend_from_slice(message);
        };
        let place = head
            .cseq
            .as_deref()
            .and_then(|cseq| cseq.parse::<u32>().ok())
            .and_then(|cseq| self.pending.iter().position(|pending| pending.cseq == cseq));
        let Some(pending) = place.and_then(|place| self.pending.remove(place)) else {
            return to_library.extend_from_slice(message);
        };
        let refused = head.kind == Kind::Answer { status: 401 };
        if refused && self.may_try_again(&pending) && self.challenged(head) {
            return self.send(pending, to_camera);
        }
        self.accepted |= pending.authorized > 0 && status != 401;
        if (200..300).contains(&status)
            && pending.method == "SETUP"
            && let Some(session) = &head.session
        {
            self.session = Some(session.clone());
        }
        let Some(library_cseq) = &pending.library_cseq else {
            // A request of the relay's own.
            return;
        };
        let (text, body) = message.split_at(head.len.min(message.len()));
        to_library.extend_from_slice(message::first_line(text));
        to_library.extend_from_slice(format!("CSeq: {library_cseq}\r\n").as_bytes());
        if pending.method == "DESCRIBE" && !head.has_base {
            // What the library would otherwise take for the base is the address of loopback.
            to_library.extend_from_slice(format!("Content-Base: {}\r\n", self.camera).as_bytes());
        }
        to_library.extend_from_slice(&message::without(text, &["cseq"]));
        to_library.extend_from_slice(b"\r\n");
        to_library.extend_from_slice(body);
    }

    /// A request that ends the session, if there is one; its `CSeq`.
    pub(crate) fn teardown(&mut self, to_camera: &mut Vec<u8>) -> Option<u32> {
        let session = self.session.take()?;
        let uri = self.aggregate.clone().unwrap_or_else(|| self.camera.clone());
        let cseq = self.next_cseq;
        self.send(
            Pending {
                library_cseq: None,
                cseq: 0,
                method: "TEARDOWN".into(),
                uri,
                rest: format!("Session: {session}\r\n").into_bytes(),
                body: Vec::new(),
                authorized: 0,
            },
            to_camera,
        );
        Some(cseq)
    }

    /// Whether the relay's own request still waits for its answer.
    pub(crate) fn waits_for_farewell(&self) -> bool {
        self.pending.iter().any(|pending| pending.library_cseq.is_none())
    }

    fn may_try_again(&self, pending: &Pending) -> bool {
        // A second time only when the credentials were good before, so that the challenge is what has gone stale:
        // wrong passwords are not to be tried more often than asked for.
        self.credentials.is_some() && (pending.authorized == 0 || (self.accepted && pending.authorized == 1))
    }

    /// Takes the camera's challenge; false if it is none that can be answered.
    fn challenged(&mut self, head: &Head) -> bool {
        let mut builder = PasswordClient::builder();
        for challenge in &head.challenges {
            builder = builder.challenges(challenge);
        }
        let Ok(challenge) = builder.build() else {
            return false;
        };
        self.challenge = Some(challenge);
        true
    }

    fn send(&mut self, mut pending: Pending, to_camera: &mut Vec<u8>) {
        pending.cseq = self.next_cseq;
        self.next_cseq = self.next_cseq.wrapping_add(1).max(1);
        to_camera.extend_from_slice(
            format!(
                "{} {} RTSP/1.0\r\nCSeq: {}\r\n",
                pending.method, pending.uri, pending.cseq
            )
            .as_bytes(),
        );
        if let (Some(challenge), Some(credentials)) = (&mut self.challenge, &self.credentials) {
            let answer = challenge.respond(&PasswordParams {
                username: credentials.username(),
                password: credentials.password(),
                uri: &pending.uri,
                method: &pending.method,
                body: Some(&pending.body),
            });
            // A challenge that cannot be answered is met with silence, and the camera's refusal says the rest.
            if let Ok(answer) = answer {
                pending.authorized += 1;
                to_camera.extend_from_slice(format!("Authorization: {answer}\r\n").as_bytes());
            }
        }
        to_camera.extend_from_slice(&pending.rest);
        to_camera.extend_from_slice(b"\r\n");
        to_camera.extend_from_slice(&pending.body);
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(pending);
    }

    fn translate(&self, uri: &str) -> String {
        match uri.strip_prefix(&self.local) {
            Some(rest) => format!("{}{rest}", self.camera),
            None => uri.to_owned(),
        }
    }

    fn give_up(&mut self, to_library: &mut Vec<u8>) {
        self.raw = true;
        to_library.append(&mut self.down);
    }
}

#[cfg(test)]
mod tests;

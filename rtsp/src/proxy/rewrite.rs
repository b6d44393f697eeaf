//! The changes to messages between the client library and the camera: sans-I/O, bytes in, bytes out.
//!
//! The library talks to a loopback address. Its DESCRIBE goes out with the camera's address, and the response comes back
//! with a `Content-Base` of that address, so every later request carries the camera's addresses, as `SETUP`, `PLAY` and
//! `RTP-Info` require, and nothing else has to be translated.
//!
//! The rewriter authenticates, because a digest covers the address of the request (RFC 2617 section 3.2.2.5), and the
//! library would hash the loopback address.

use std::collections::VecDeque;

use http_auth::{PasswordClient, PasswordParams};
use lva_media_types::Credentials;

use super::message::{self, Head, Kind};

/// Requests that wait for a response. The library has two at most.
const MAX_PENDING: usize = 8;
/// Largest request of the library.
const MAX_REQUEST: usize = 64 * 1024;
/// Larger responses are forwarded unchanged; the library reports what is wrong with them.
const MAX_RESPONSE: usize = 1 << 20;

/// The client on loopback does not behave like the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotRtspClient;

pub(crate) struct Rewriter {
    /// The address that the library connects to, and the camera's.
    local: String,
    camera: String,
    credentials: Option<Credentials>,
    challenge: Option<PasswordClient>,
    /// The camera has accepted the credentials.
    accepted: bool,
    next_cseq: u32,
    pending: VecDeque<Pending>,
    session: Option<String>,
    /// The address of PLAY, to which TEARDOWN goes too.
    aggregate: Option<String>,
    up: Vec<u8>,
    down: Vec<u8>,
    /// Missing bytes of an interleaved packet.
    packet_left: usize,
    /// The camera does not send RTSP: everything is forwarded unchanged.
    raw: bool,
}

/// A request sent to the camera, without `CSeq` and `Authorization`.
struct Pending {
    client_cseq: Option<String>,
    cseq: u32,
    method: String,
    uri: String,
    rest: Vec<u8>,
    body: Vec<u8>,
    /// How often it was sent with credentials. The library reports a second rejection.
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

    /// Whether a connection that begins like this is the library's: only the library knows the address.
    pub(crate) fn is_client(&self, head: &Head) -> bool {
        matches!(&head.kind, Kind::Request { uri, .. } if *uri == self.local)
    }

    /// Takes bytes from the library and appends to `to_server` what to send to the camera.
    pub(crate) fn on_client_bytes(
        &mut self,
        bytes: &[u8],
        to_server: &mut Vec<u8>,
    ) -> Result<(), NotRtspClient> {
        self.up.extend_from_slice(bytes);
        loop {
            if self.up.is_empty() {
                return Ok(());
            }
            // Receiver reports, in case the library starts to send them.
            if self.up.first() == Some(&b'$') {
                let Some(len) = message::packet_len(&self.up).filter(|len| *len <= self.up.len()) else {
                    return Ok(());
                };
                to_server.extend(self.up.drain(..len));
                continue;
            }
            let Some(head) = Head::parse(&self.up) else {
                return if self.up.len() > MAX_REQUEST {
                    Err(NotRtspClient)
                } else {
                    Ok(())
                };
            };
            let end = head.len.saturating_add(head.content_length);
            if end > MAX_REQUEST {
                return Err(NotRtspClient);
            }
            if end > self.up.len() {
                return Ok(());
            }
            let Kind::Request { method, uri } = head.kind else {
                return Err(NotRtspClient);
            };
            let pending = Pending {
                client_cseq: head.cseq,
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
            self.send(pending, to_server);
        }
    }

    /// Takes bytes from the camera and appends to `to_client` what to send to the library. Appends a rejected request to
    /// `to_server` if it is to be sent again.
    pub(crate) fn on_server_bytes(&mut self, bytes: &[u8], to_client: &mut Vec<u8>, to_server: &mut Vec<u8>) {
        if self.raw {
            return to_client.extend_from_slice(bytes);
        }
        let mut bytes = bytes;
        // Nearly everything is media: packets bypass the buffer.
        while self.down.is_empty() && !bytes.is_empty() {
            if self.packet_left > 0 {
                let (now, later) = bytes.split_at(self.packet_left.min(bytes.len()));
                to_client.extend_from_slice(now);
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
        self.take_messages(to_client, to_server);
    }

    fn take_messages(&mut self, to_client: &mut Vec<u8>, to_server: &mut Vec<u8>) {
        loop {
            match self.down.first() {
                None => return,
                Some(b'$') => {
                    let Some(len) = message::packet_len(&self.down) else {
                        return;
                    };
                    let now = len.min(self.down.len());
                    to_client.extend(self.down.drain(..now));
                    self.packet_left = len - now;
                }
                // Empty lines between messages are allowed.
                Some(b'\r' | b'\n') => to_client.extend(self.down.drain(..1)),
                Some(first) if !first.is_ascii_alphabetic() => return self.forward_unparsed(to_client),
                Some(_) => {
                    let Some(head) = Head::parse(&self.down) else {
                        if self.down.len() > MAX_REQUEST {
                            self.forward_unparsed(to_client);
                        }
                        return;
                    };
                    let end = head.len.saturating_add(head.content_length);
                    if end > MAX_RESPONSE {
                        return self.forward_unparsed(to_client);
                    }
                    if end > self.down.len() {
                        return;
                    }
                    let message: Vec<u8> = self.down.drain(..end).collect();
                    self.message(&head, &message, to_client, to_server);
                }
            }
        }
    }

    fn message(&mut self, head: &Head, message: &[u8], to_client: &mut Vec<u8>, to_server: &mut Vec<u8>) {
        let Kind::Response { status } = head.kind else {
            // A request from the camera, for the library.
            return to_client.extend_from_slice(message);
        };
        let place = head
            .cseq
            .as_deref()
            .and_then(|cseq| cseq.parse::<u32>().ok())
            .and_then(|cseq| self.pending.iter().position(|pending| pending.cseq == cseq));
        let Some(pending) = place.and_then(|place| self.pending.remove(place)) else {
            return to_client.extend_from_slice(message);
        };
        if status == 401 && self.may_try_again(&pending) && self.challenged(head) {
            return self.send(pending, to_server);
        }
        self.accepted |= pending.authorized > 0 && status != 401;
        if (200..300).contains(&status)
            && pending.method == "SETUP"
            && let Some(session) = &head.session
        {
            self.session = Some(session.clone());
        }
        let Some(client_cseq) = &pending.client_cseq else {
            // The proxy's own TEARDOWN.
            return;
        };
        let (text, body) = message.split_at(head.len.min(message.len()));
        to_client.extend_from_slice(message::first_line(text));
        to_client.extend_from_slice(format!("CSeq: {client_cseq}\r\n").as_bytes());
        if pending.method == "DESCRIBE" && !head.has_base {
            // The library would otherwise take the loopback address for the base.
            to_client.extend_from_slice(format!("Content-Base: {}\r\n", self.camera).as_bytes());
        }
        to_client.extend_from_slice(&message::without(text, &["cseq"]));
        to_client.extend_from_slice(b"\r\n");
        to_client.extend_from_slice(body);
    }

    /// Appends a request that ends the session, if there is one, and returns its `CSeq`.
    pub(crate) fn teardown(&mut self, to_server: &mut Vec<u8>) -> Option<u32> {
        let session = self.session.take()?;
        let uri = self.aggregate.clone().unwrap_or_else(|| self.camera.clone());
        let cseq = self.next_cseq;
        self.send(
            Pending {
                client_cseq: None,
                cseq: 0,
                method: "TEARDOWN".into(),
                uri,
                rest: format!("Session: {session}\r\n").into_bytes(),
                body: Vec::new(),
                authorized: 0,
            },
            to_server,
        );
        Some(cseq)
    }

    /// Whether TEARDOWN still waits for its response.
    pub(crate) fn awaits_teardown(&self) -> bool {
        self.pending.iter().any(|pending| pending.client_cseq.is_none())
    }

    fn may_try_again(&self, pending: &Pending) -> bool {
        // A second time only if the camera accepted the credentials before, so that a stale challenge is the cause:
        // never try a wrong password more often than necessary.
        self.credentials.is_some() && (pending.authorized == 0 || (self.accepted && pending.authorized == 1))
    }

    /// Takes the camera's challenge; false if it cannot be answered.
    fn challenged(&mut self, head: &Head) -> bool {
        let client = head.password_client();
        let answerable = client.is_some();
        self.challenge = client.or(self.challenge.take());
        answerable
    }

    fn send(&mut self, mut pending: Pending, to_server: &mut Vec<u8>) {
        pending.cseq = self.next_cseq;
        self.next_cseq = self.next_cseq.wrapping_add(1).max(1);
        to_server.extend_from_slice(
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
            // If the challenge cannot be answered, the request goes out without, and the camera rejects it.
            if let Ok(answer) = answer {
                pending.authorized += 1;
                to_server.extend_from_slice(format!("Authorization: {answer}\r\n").as_bytes());
            }
        }
        to_server.extend_from_slice(&pending.rest);
        to_server.extend_from_slice(b"\r\n");
        to_server.extend_from_slice(&pending.body);
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

    fn forward_unparsed(&mut self, to_client: &mut Vec<u8>) {
        self.raw = true;
        to_client.append(&mut self.down);
    }
}

#[cfg(test)]
mod tests;

//! Which transport the next attempt asks for: sans-I/O.

use crate::Transport;

/// What is tried where no transport was asked for: TCP passes firewalls and loses nothing.
const ORDER: [Transport; 3] = [Transport::Tcp, Transport::Udp, Transport::Multicast];

/// The transport of a camera's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TransportChoice {
    /// The only one.
    asked: Option<Transport>,
    /// Its place in the order.
    next: usize,
    /// TLS protects nothing that goes by UDP.
    secured: bool,
}

impl TransportChoice {
    pub(crate) fn new(asked: Transport, secured: bool) -> Self {
        Self {
            asked: (asked != Transport::Auto).then_some(asked),
            next: 0,
            secured,
        }
    }

    /// The transport to ask for.
    pub(crate) fn current(self) -> Transport {
        self.asked
            .or(ORDER.get(self.next).copied())
            .unwrap_or(Transport::Tcp)
    }

    /// Whether silence leads to another transport.
    pub(crate) fn may_fall_back(self) -> bool {
        self.asked.is_none() && self.next > 0
    }

    /// The camera refused the current one. False if there is no other; the next attempt then begins with the first.
    pub(crate) fn refused(&mut self) -> bool {
        let left = self.asked.is_none() && !self.secured && self.next + 1 < ORDER.len();
        self.next = if left { self.next + 1 } else { 0 };
        left
    }

    /// Nothing came by the current one.
    pub(crate) fn silent(&mut self) {
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_none_was_asked_for_others_are_tried() {
        let mut auto = TransportChoice::new(Transport::Auto, false);
        let mut tried = vec![auto.current()];
        while auto.refused() {
            tried.push(auto.current());
        }
        assert_eq!(tried, ORDER);
        assert_eq!((auto.current(), auto.may_fall_back()), (Transport::Tcp, false));
        for asked in [
            Transport::Tcp,
            Transport::Udp,
            Transport::Multicast,
            Transport::Http,
        ] {
            let mut only = TransportChoice::new(asked, false);
            assert_eq!(
                (only.current(), only.refused(), only.may_fall_back()),
                (asked, false, false)
            );
            only.silent();
            assert_eq!(only.current(), asked);
        }
    }

    #[test]
    fn silence_leads_back_to_tcp() {
        let mut auto = TransportChoice::new(Transport::Auto, false);
        assert!(auto.refused() && auto.may_fall_back());
        auto.silent();
        assert_eq!(auto.current(), Transport::Tcp);
    }

    #[test]
    fn nothing_but_tcp_is_tried_with_tls() {
        let mut auto = TransportChoice::new(Transport::Auto, true);
        assert!(!auto.refused() && auto.current() == Transport::Tcp);
    }
}

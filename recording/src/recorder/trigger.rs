//! What begins and ends a recording: events at a gate, or nothing.

use crate::gate::{
    GateDecision, GateOptions, GateOptionsError, GateStats, Signal, SignalGate, SignalOutcome,
};

/// When a recorder records.
pub(super) enum Trigger {
    /// Around events.
    Gate(Box<SignalGate>),
    /// From the first keyframe on. Events are accepted without effect, and there are no decisions.
    Always,
}

impl Trigger {
    pub(super) fn gate(options: GateOptions) -> Result<Self, GateOptionsError> {
        Ok(Self::Gate(Box::new(SignalGate::new(options)?)))
    }

    pub(super) fn is_always(&self) -> bool {
        matches!(self, Self::Always)
    }

    pub(super) fn signal(&mut self, signal: Signal) -> SignalOutcome {
        match self {
            Self::Gate(gate) => gate.signal(signal),
            Self::Always => SignalOutcome::Accepted,
        }
    }

    pub(super) fn advance(&mut self, media_90k: u64) {
        if let Self::Gate(gate) = self {
            gate.advance(media_90k);
        }
    }

    pub(super) fn poll(&mut self) -> Option<GateDecision> {
        match self {
            Self::Gate(gate) => gate.poll(),
            Self::Always => None,
        }
    }

    pub(super) fn end(&mut self) {
        if let Self::Gate(gate) = self {
            gate.end();
        }
    }

    pub(super) fn reset(&mut self) {
        if let Self::Gate(gate) = self {
            gate.reset();
        }
    }

    pub(super) fn stats(&self) -> GateStats {
        match self {
            Self::Gate(gate) => gate.stats(),
            Self::Always => GateStats::default(),
        }
    }
}

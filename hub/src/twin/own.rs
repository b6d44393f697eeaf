//! Desired properties that this side wrote, on their way to the plain broker that keeps them.

use std::time::{Duration, Instant};

use super::Desired;

/// How long a broker has, after a connection, to send what it keeps.
const PAUSE: Duration = Duration::from_secs(1);

/// What the application wrote and the broker does not have yet.
#[derive(Debug, Default)]
pub(super) struct OwnDesired {
    written: Option<Written>,
}

#[derive(Debug)]
struct Written {
    desired: Desired,
    /// What the broker had before.
    replaced: Option<Desired>,
    publish: When,
}

/// When to publish over the present connection.
#[derive(Debug, Clone, Copy)]
enum When {
    Now,
    /// Another may have written meanwhile, which the broker sends first.
    AfterPause,
    At(Instant),
    /// It is published.
    Not,
}

/// Whose properties the broker sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FromBroker {
    /// Ours, back from it.
    Own,
    /// Those that ours replace.
    Replaced,
    /// Another's, or there are none of ours.
    Foreign,
}

impl OwnDesired {
    pub(super) fn set(&mut self, desired: Desired, replaced: Option<Desired>) {
        self.written = Some(Written {
            desired,
            replaced,
            publish: When::Now,
        });
    }

    /// Again, until the broker sends them back.
    pub(super) fn on_connected(&mut self) {
        if let Some(written) = &mut self.written {
            written.publish = When::AfterPause;
        }
    }

    pub(super) fn wakeup(&self, now: Instant) -> Option<Instant> {
        match self.written.as_ref()?.publish {
            When::Now | When::AfterPause => Some(now),
            When::At(at) => Some(at),
            When::Not => None,
        }
    }

    /// What to publish now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<&Desired> {
        let written = self.written.as_mut()?;
        match written.publish {
            When::AfterPause => written.publish = When::At(now + PAUSE),
            When::Now => written.publish = When::Not,
            When::At(at) if now >= at => written.publish = When::Not,
            When::At(_) | When::Not => return None,
        }
        matches!(written.publish, When::Not).then_some(&written.desired)
    }

    pub(super) fn on_broker(&mut self, desired: &Desired) -> FromBroker {
        let from = match &mut self.written {
            Some(written) if written.desired == *desired => FromBroker::Own,
            Some(written) if written.replaced.as_ref() == Some(desired) => {
                if matches!(written.publish, When::AfterPause | When::At(_)) {
                    written.publish = When::Now;
                }
                return FromBroker::Replaced;
            }
            _ => FromBroker::Foreign,
        };
        self.written = None;
        from
    }
}

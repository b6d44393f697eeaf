//! Work that a panic takes no further than itself.
//!
//! A panic is a defect of this program or of a library. It must not be silent, and must not end what it has nothing to do
//! with, so each thread and task of an instance does its work piece by piece in here. Whoever is told of one begins anew:
//! what the piece of work held is gone or in doubt.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// A piece of work ended in a panic.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a defect of this program ended it: {0}")]
pub(crate) struct Panicked(String);

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self(text.unwrap_or_else(|| "a panic without a text".to_owned()))
    }

    /// What the panic said.
    pub(crate) fn words(&self) -> &str {
        &self.0
    }
}

/// Does a piece of work. What it changes has to be of use also when it was left half-way.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Panicked::new(&*payload))
}

/// The same for work that waits.
pub(crate) async fn guarded_async<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| match guarded(|| work.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// Where tests let a node fall: `what` it does, and its name.
#[cfg(not(test))]
#[inline]
pub(crate) fn trap(_what: &str, _node: &str) {}

#[cfg(test)]
pub(crate) use traps::{set_trap, trap};

#[cfg(test)]
#[allow(clippy::panic)] // that is what it is for
mod traps {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    static TRAPS: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

    /// Lets a node fall so many times. Names have to differ from test to test.
    pub(crate) fn set_trap(what: &str, node: &str, times: u32) {
        let mut traps = TRAPS.lock().unwrap_or_else(PoisonError::into_inner);
        traps.insert(format!("{what} {node}"), times);
    }

    pub(crate) fn trap(what: &str, node: &str) {
        let mut traps = TRAPS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = traps.get_mut(&format!("{what} {node}"))
            && *times > 0
        {
            *times -= 1;
            drop(traps);
            panic!("a trap of a test");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_words() {
        assert_eq!(guarded(|| 7), Ok(7));
        let words = guarded(|| panic!("no {}", "picture")).map(|()| 0);
        assert_eq!(words, Err(Panicked("no picture".to_owned())));
        assert_eq!(guarded_async(async { 8 }).await, Ok(8));
        let later = guarded_async(async {
            tokio::task::yield_now().await;
            panic!("later")
        });
        let later: Result<(), Panicked> = later.await;
        assert_eq!(
            later.unwrap_err().to_string(),
            "a defect of this program ended it: later"
        );
    }
}

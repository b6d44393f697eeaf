//! Panics, caught where they happen.
//!
//! A panic is a bug of this program or of a library. It must be reported, and must not end what it has nothing to do with.
//! So each thread and task of an instance runs its work in pieces, each inside [`catch_panic`]; after a panic it restarts from
//! known state, because what the interrupted piece held is lost or in doubt.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// A piece of work panicked; with the panic's message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("internal error (a panic, please report it): {0}")]
pub(crate) struct Panicked(String);

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let message = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
        Self(message.unwrap_or_else(|| "a panic without a message".to_owned()))
    }

    /// The panic's message.
    pub(crate) fn message(&self) -> &str {
        &self.0
    }
}

/// Runs a piece of work. What it modifies must be usable even after an interruption.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Panicked::new(&*payload))
}

/// The same for a future.
pub(crate) async fn catch_panic_async<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| match catch_panic(|| work.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// A place where a test can make a node panic, by what the node does and its name.
#[cfg(not(test))]
#[inline]
pub(crate) fn failpoint(_action: &str, _node: &str) {}

#[cfg(test)]
pub(crate) use failpoints::{failpoint, set_failpoint};

#[cfg(test)]
#[allow(clippy::panic)] // that is what it is for
mod failpoints {
    use std::collections::BTreeMap;

    use parking_lot::Mutex;

    static FAILPOINTS: Mutex<BTreeMap<(String, String), u32>> = Mutex::new(BTreeMap::new());

    /// Makes a node panic this many times. Tests run side by side, so each uses a node name of its own.
    pub(crate) fn set_failpoint(action: &str, node: &str, times: u32) {
        let key = (action.to_owned(), node.to_owned());
        FAILPOINTS.lock().insert(key, times);
    }

    pub(crate) fn failpoint(action: &str, node: &str) {
        let mut failpoints = FAILPOINTS.lock();
        if let Some(times) = failpoints.get_mut(&(action.to_owned(), node.to_owned()))
            && *times > 0
        {
            *times -= 1;
            drop(failpoints);
            panic!("a failpoint of a test");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_its_message() {
        assert_eq!(catch_panic(|| 7), Ok(7));
        let panicked = catch_panic(|| panic!("no {}", "picture")).map(|()| 0);
        assert_eq!(panicked, Err(Panicked("no picture".to_owned())));
        assert_eq!(catch_panic_async(async { 8 }).await, Ok(8));
        let later = catch_panic_async(async {
            tokio::task::yield_now().await;
            panic!("later")
        });
        let later: Result<(), Panicked> = later.await;
        assert_eq!(
            later.unwrap_err().to_string(),
            "internal error (a panic, please report it): later"
        );
    }
}

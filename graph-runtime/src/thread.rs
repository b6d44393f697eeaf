//! Named threads for work that blocks.

use std::io;
use std::thread;

use tokio::sync::oneshot;

/// A thread whose end async code can wait for.
#[derive(Debug)]
pub(crate) struct Worker(oneshot::Receiver<()>);

impl Worker {
    /// Starts a thread; the system shows the first 15 characters of its name.
    pub(crate) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (done, ended) = oneshot::channel::<()>();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Dropped when the work ends, also by a panic.
            let _done = done;
            work();
        })?;
        Ok(Self(ended))
    }

    /// Waits until the work has ended.
    pub(crate) async fn ended(self) {
        let _ = self.0.await;
    }

    /// The same from another thread that may block.
    pub(crate) fn join(self) {
        let _ = self.0.blocking_recv();
    }
}

//! The life of a program: signals, and what a service manager wants to know.

use std::process::ExitCode;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::edge_module::EdgeModule;

/// Exit code after a second signal, as shells report SIGINT.
const INTERRUPTED: u8 = 130;

/// SIGXFSZ of Linux, which ends a process that writes beyond its limit for files (`RLIMIT_FSIZE`) unless it is handled.
const FILE_TOO_LARGE: i32 = 25;

/// SIGTERM and Ctrl-C.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Handled by doing nothing: the write fails with an error, as on a full disk.
    _file_too_large: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _file_too_large: signal(SignalKind::from_raw(FILE_TOO_LARGE))?,
        })
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Runs a module until SIGTERM or Ctrl-C, and stops it. A second signal ends at once.
///
/// Reports to systemd (`Type=notify`, `WatchdogSec=`) what happens. Exit codes: 0 after a complete stop, 1 when it was not
/// complete in time or the connection to the hub has failed for good, 130 after a second signal.
pub async fn run(module: EdgeModule, mut signals: Signals) -> ExitCode {
    let ready = Ready::notify();
    let has_failed = tokio::select! {
        () = signals.received() => false,
        () = module.hub_ended() => true,
    };
    if has_failed {
        tracing::error!(
            "a fault of this program ended its connection to the hub; the module stops with exit code 1, for the service manager to \
             start it again"
        );
    } else {
        tracing::info!("stopping: clips are completed and events delivered; a second signal ends at once");
    }
    ready
        .stop(&mut signals, async { module.stop().await && !has_failed })
        .await
}

/// A program that the service manager knows to be ready.
#[derive(Debug)]
pub struct Ready {
    watchdog: JoinHandle<()>,
}

impl Ready {
    /// Reports to systemd (`Type=notify`, `WatchdogSec=`) that the program is ready, and from then on that it lives.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn notify() -> Self {
        notify(&[NotifyState::Ready]);
        Self {
            watchdog: tokio::spawn(watchdog()),
        }
    }

    /// Stops: 0 when `stop` returns true, 1 when it returns false, 130 at once after a signal.
    pub async fn stop(self, signals: &mut Signals, stop: impl Future<Output = bool>) -> ExitCode {
        notify(&[NotifyState::Stopping]);
        tokio::select! {
            done = stop => if done { ExitCode::SUCCESS } else { ExitCode::FAILURE },
            () = signals.received() => ExitCode::from(INTERRUPTED),
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.watchdog.abort();
    }
}

/// Shows the service manager at half its interval that the runtime's tasks still run.
async fn watchdog() {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut ticks = tokio::time::interval((interval / 2).max(Duration::from_millis(10)));
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(state: &[NotifyState<'_>]) {
    // Without a service manager this does nothing.
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not reached");
    }
}

//! Further processes of a program, so that their processor time is not its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

/// Another process of the same program, which ends with this one.
#[derive(Debug)]
pub struct ChildProcess {
    /// What it printed first: its address.
    pub url: String,
    child: Child,
}

impl ChildProcess {
    /// Starts it with these arguments, and waits for its address.
    ///
    /// # Errors
    ///
    /// It cannot be started, or ended at once.
    pub fn start(with: impl FnOnce(&mut Command) -> &mut Command) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = with(&mut command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        let output = child.stdout.take().context("the child has no output")?;
        BufReader::new(output).read_line(&mut url)?;
        ensure!(!url.is_empty(), "a child process failed to start");
        let url = url.trim().to_owned();
        Ok(Self { url, child })
    }

    /// Its number, for `/proc`.
    pub fn id(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// In such a process: waits for the end of the one that started it.
///
/// # Errors
///
/// Standard input cannot be read.
pub async fn parent_ended() -> anyhow::Result<()> {
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

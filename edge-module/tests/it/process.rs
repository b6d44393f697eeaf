//! `lva-edge` as a process whose lines the test reads.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    pub(crate) fn start(directory: &Path, args: &[&str]) -> Self {
        Self::start_with(directory, args, None)
    }

    /// With these variables alone in its environment.
    pub(crate) fn start_with(
        directory: &Path,
        args: &[&str],
        environment: Option<Vec<(&'static str, String)>>,
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lva-edge"));
        command
            .args(args)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(environment) = environment {
            command.env_clear().envs(environment);
        }
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        // Reads to the end, so that the program does not block on a full pipe.
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// The first line with `what`, whether it was printed before or is awaited.
    pub(crate) fn line(&mut self, what: &str) -> String {
        if let Some(found) = self.seen.iter().find(|line| line.contains(what)) {
            return found.clone();
        }
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no line with '{what}' in {:#?}", self.seen);
            };
            self.seen.push(line.clone());
            if line.contains(what) {
                return line;
            }
        }
    }

    /// What follows `what` in that line.
    pub(crate) fn after(&mut self, what: &str) -> String {
        let line = self.line(what);
        line.split_once(what).map(|(_, rest)| rest.to_owned()).unwrap()
    }

    /// Sends SIGTERM and waits: the exit code and all lines.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code();
        self.seen.extend(self.lines.iter());
        (code, self.seen.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

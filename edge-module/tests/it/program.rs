//! The program `lva-edge`, killed and stopped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Client, activated, state_of};

struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lva-edge"))
            .args([
                "module",
                "--http",
                "127.0.0.1:0",
                "--metrics",
                "",
                "--log-format",
                "original",
            ])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let told = lines.find_map(|line| {
            let (_, rest) = line.split_once("methods: http://")?;
            rest.split_once('/').map(|(address, _)| address.to_owned())
        });
        // The program must not wait for a reader of its log.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address: told.expect("the address in the log").parse().unwrap(),
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn after_kill_9_everything_that_ran_runs_and_sigterm_ends_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path());
    activated(&mut Client::of(program.address), "one").await;
    program.signal(Signal::KILL);
    program.child.wait().unwrap();

    let mut program = Program::start(directory.path());
    assert_eq!(state_of(&mut Client::of(program.address), "one").await, "Active");
    program.signal(Signal::TERM);
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_printed_configuration_starts_a_module_and_a_mistake_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lva-edge"))
            .args(args)
            .current_dir(directory.path())
            .output();
        let output = output.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, printed, _) = run(&["module", "--print-config", "--name", "store-17"]);
    assert!(
        code == Some(0) && printed.contains("name = \"store-17\""),
        "{printed}"
    );
    std::fs::write(directory.path().join("good.toml"), &printed).unwrap();
    let (code, again, _) = run(&["module", "--config", "good.toml", "--print-config"]);
    assert_eq!((code, again), (Some(0), printed.clone()));

    std::fs::write(
        directory.path().join("bad.toml"),
        printed.replace("stop-seconds", "stop-secs"),
    )
    .unwrap();
    let (code, _, error) = run(&["module", "--config", "bad.toml"]);
    assert!(
        code == Some(2) && error.contains("stop-secs") && error.contains("--print-config"),
        "{error}"
    );
    let (code, _, error) = run(&["module", "--http", "example.com"]);
    assert!(code == Some(2) && error.contains("IP:PORT"), "{error}");
}
